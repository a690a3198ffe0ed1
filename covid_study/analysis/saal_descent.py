"""Could the paper's training bring SAAL's alpha to where the weights of the classes differ (paper B, 3.4 and 4.3)?

While alpha^k is nothing, SAAL is (1 - alpha) R, where R is the mean of CE + beta RCE over a batch, summed over the stages.
Its derivative to the raw number a, alpha = sigmoid(a), is -alpha (1 - alpha) R: gradient descent drives a up, the slower the
nearer alpha is to 1. In t steps of a rate r, small as they are, da/dt = r R alpha (1 - alpha), and 2 a + e^a - e^-a grows by
r R t. So one can say how large R must have been, averaged over the training, for alpha to come from one place to another.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from covid_study import paths
from covid_study.analysis.class_weights import START, alpha_text, of_paper, raw, reaches
from covid_study.analysis.saal_factors import VISIBLE
from covid_study.params import profiles
from covid_study.report.verdicts import listed
from covid_study.training.optimisers import MOMENTUM
from covid_study.training.slice_classifier import STAGES


def way(raw_alpha: float) -> float:
    """How far a raw alpha is along its descent from alpha = 1/2: the r R t of the module's first lines.

    >>> way(0.0), round(way(5.36), 1)
    (0.0, 223.4)
    """
    return 2 * raw_alpha + 2 * float(np.sinh(raw_alpha))


def rates(steps: int, learning_rate: float) -> float:
    """The learning rates of the paper's training, summed over its steps (paper B, 4.3).

    A third of the steps with the full rate, a tenth of it, a hundredth of it; with momentum m every step counts 1 / (1 - m).

    >>> round(rates(36_840, 1e-3), 1)
    136.3
    """
    return learning_rate * steps / 3 * (1 + 0.1 + 0.01) / (1 - MOMENTUM)


def guessing(classes: int, log_zero: float, beta: float = 0.5) -> float:
    """CE + beta RCE of one stage that finds all classes equally likely: what a training starts with, more or less.

    >>> round(guessing(3, -4.0), 2)  # ln 3 + 4 / 3
    2.43
    """
    return float(np.log(classes)) - beta * log_zero * (classes - 1) / classes


def needed(counts: Sequence[int], settings: Mapping, raw_start: float = 0.0) -> float:
    """The mean R with which a training by SGD brings alpha to where the weights of the classes are 1 % apart.

    Args:
        counts: training slices of each class. settings: `epochs`, `batch_size`, `learning_rate`, as section
            `slice_training`. raw_start: the number whose sigmoid is the first alpha.

    Returns:
        R of all stages together, averaged over the steps by their learning rates; NaN where no alpha puts the weights apart.

    >>> round(needed([1256, 2674, 980], {"epochs": 120, "batch_size": 16, "learning_rate": 1e-3}), 2)
    1.63
    """
    limit = reaches(VISIBLE, counts)
    if np.isnan(limit):
        return float("nan")
    steps = settings["epochs"] * -(-sum(counts) // settings["batch_size"])
    return (way(raw(limit)) - way(raw_start)) / rates(steps, settings["learning_rate"])


def sentences(here: Mapping[str, float]) -> list[str]:
    """What the paper's own training would have needed, in words, beside what guessing gives and what was seen here.

    Choice: the batch size is that of `params/paper.yaml`, for the paper names none.

    Args:
        here: a loss in words -> mean R of its trainings here (`saal_factors.summary`).
    """
    profile = profiles.load_profile(paths.root() / "params" / "paper.yaml")
    counts, settings = list(of_paper().values()), profile["slice_training"]
    middle, late, early = (needed(counts, settings, raw_start) for raw_start in (0.0, *START))
    guessed = guessing(len(counts), profile["slice_losses"]["log_zero"])
    seen = listed([f"{loss:.1f} ({name})" for name, loss in here.items()])
    return [
        f"With the paper's counts, {settings['epochs']} epochs of SGD at a rate of {settings['learning_rate']:g}, and batches "
        f"of {settings['batch_size']} (our choice), alpha comes from 0.5 to "
        f"{alpha_text(reaches(VISIBLE, counts))} if CE + beta RCE, summed over the stages, is {middle:.1f} on average over "
        f"the training ({early:.2f} to {late:.2f} for the first alphas of 95 of 100 trainings).",
        f"Guessing gives {guessed:.1f} a stage (with beta = 1/2): SAAL on a backbone alone would have to stay at "
        f"{100 * middle / guessed:.0f} % of that, DSN-SAAL with its {STAGES} stages at "
        f"{100 * middle / (STAGES * guessed):.0f} %. The trainings here had {seen}.",
    ]
