"""What SAAL learns: alpha and the betas over the epochs of its trainings, and what they do (paper B, 3.3 and 3.4).

Could the paper's own training (4.3) bring alpha to where the weights of the classes differ? While alpha^k is nothing, SAAL is
(1 - alpha) R, where R is the mean of CE + beta RCE over a batch, summed over the stages. Its derivative to the raw number a,
alpha = sigmoid(a), is -alpha (1 - alpha) R: gradient descent drives a up, the slower the nearer alpha is to 1. In t steps of a
rate r, small as they are, da/dt = r R alpha (1 - alpha), and 2 a + e^a - e^-a grows by r R t. So one can say how large R must
have been, averaged over the training, for alpha to come from one place to another.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from covid_study import paths
from covid_study.analysis.class_weights import START, apart, of_paper, one_minus, raw, reaches, weights
from covid_study.losses.by_stage import slice_loss
from covid_study.params import profiles
from covid_study.training.optimisers import MOMENTUM
from covid_study.training.run import Run
from covid_study.training.slice_classifier import STAGES, network_of

VISIBLE = 0.01  # weights that are less apart than this are the same to any training
SHOWN = {  # columns of `summary` in words
    "seed": "seed",
    "steps": "steps",
    "start": "alpha, first",
    "end": "alpha, last",
    "betas": "betas, first",
    "betas_end": "betas, last",
    "fell": "betas that fell",
    "stages": "of",
    "apart": "weights apart by",
    "scale": "loss by alpha alone",
    "more": "steps until 1 %",
}


def start(run: Run, counts: Sequence[int]) -> dict[str, float]:
    """What a run with SAAL starts from, alpha and the betas: drawn as its training draws them, after the network.

    counts: training slices of each class, in any order: nothing is drawn from them.
    """
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(run.seed)
        network_of(run)
        loss = slice_loss("saal", run.method.losses, counts, STAGES if run.method.supervised else 1)
        betas = {f"beta_{i}": float(beta) for i, beta in enumerate(loss.betas, start=1)}
        return {"alpha": float(loss.alpha), "raw_alpha": float(loss.raw_alpha), **betas}


def factors(runs: Mapping[tuple, Run], folders: Mapping[tuple, Path], counts: Sequence[int]) -> pd.DataFrame:
    """Both factors of every run with SAAL, alpha and the betas, before its training (epoch 0) and after each epoch.

    Args:
        counts: training slices of each class.

    Returns:
        row, seed, epoch, steps (of the optimiser, so far), loss (NaN in epoch 0), alpha, raw_alpha (alpha is its sigmoid),
        beta_1 to beta_6; where there is one stage only beta_1 is known.
    """
    parts = []
    for (row, _, seed), run in runs.items():
        if run.method.loss != "saal":
            continue
        history = pd.read_csv(Path(folders[row, _, seed]) / "history.csv")
        known = ["epoch", "loss", "alpha", "raw_alpha", *(c for c in history if c.startswith("beta_"))]
        whole = pd.concat([pd.DataFrame([{"epoch": 0} | start(run, counts)]), history[known]])
        batches = -(-len(run.training_ids) // run.method.training["batch_size"])
        parts.append(whole.assign(row=row, seed=seed, steps=whole["epoch"] * batches))
    return pd.concat(parts, ignore_index=True)


def summary(found: pd.DataFrame, counts: Sequence[int]) -> pd.DataFrame:
    """What each run's alpha and betas did, and how far alpha is from where the weights of the classes differ.

    Args:
        found: of `factors`. counts: training slices of each class.

    Returns:
        A row a run: row, seed, steps, start and end (of alpha), betas and betas_end (their mean), fell (betas that fell),
        stages, unweighted (the loss without its weights, CE + beta RCE of all stages, mean over the epochs), apart (of the
        weights, at the end), scale (of the whole loss, end against start, by alpha alone), speed (of
        raw alpha, a step) and more (steps until the weights are 1 % apart at that speed; 0: they are, infinite: never).
    """
    rows, target = [], reaches(VISIBLE, counts)

    def level(raw_alpha: float) -> float:
        return weights(np.array([one_minus(raw_alpha)]), counts).mean()

    for (row, seed), run in found.groupby(["row", "seed"], sort=False):
        first, last = run.iloc[0], run.iloc[-1]
        names = [c for c in run if c.startswith("beta_") and np.isfinite(last[c])]
        speed = (last["raw_alpha"] - first["raw_alpha"]) / last["steps"]
        way = raw(target) - last["raw_alpha"] if np.isfinite(target) else np.inf
        more = 0.0 if way <= 0 else way / speed if speed > 0 else np.inf
        rows.append(
            {"row": row, "seed": seed, "steps": int(last["steps"]), "start": first["alpha"], "end": last["alpha"]}
            | {"betas": first[names].mean(), "betas_end": last[names].mean()}
            | {"fell": int((last[names] < first[names]).sum()), "stages": len(names)}
            | {"unweighted": (run["loss"] / run["raw_alpha"].map(level)).mean()}
            | {"apart": apart(one_minus(last["raw_alpha"]), counts)}
            | {"scale": level(last["raw_alpha"]) / level(first["raw_alpha"])}
            | {"speed": speed, "more": more}
        )  # fmt: skip
    return pd.DataFrame(rows)


def way(raw_alpha: float) -> float:
    """How far a raw alpha is along its descent from alpha = 1/2: the r R t above.

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


def guessing(classes: int, log_zero: float) -> float:
    """CE + RCE / 2 of one stage that finds all classes equally likely: what a training starts with, more or less.

    >>> round(guessing(3, -4.0), 2)  # ln 3 + 4 / 3
    2.43
    """
    return float(np.log(classes)) - 0.5 * log_zero * (classes - 1) / classes


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


def paper_training(seen: Mapping[str, float]) -> pd.DataFrame:
    """What the paper's own training would have needed, beside what guessing gives and what was seen here: CE + beta RCE.

    Choice: the batch size is that of `params/paper.yaml`, for the paper names none.

    Args:
        seen: "saal" and "dsn_saal", as far as they were trained -> mean `unweighted` of their trainings (of `summary`).

    Returns:
        Sums over the stages, means over the training: a row a case, a column with one stage and one with six.
    """
    profile = profiles.load_profile(paths.root() / "params" / "paper.yaml")
    counts, settings = list(of_paper().values()), profile["slice_training"]
    late, early = START
    rows = {
        f"needed, alpha from {1 - one_minus(raw_start):.2f}": [needed(counts, settings, raw_start)] * 2
        for raw_start in (late, 0.0, early)
    }
    guessed = guessing(len(counts), profile["slice_losses"]["log_zero"])
    rows["a network that guesses"] = [guessed, STAGES * guessed]
    rows["the trainings here"] = [seen.get("saal", np.nan), seen.get("dsn_saal", np.nan)]
    return pd.DataFrame.from_dict(
        rows, orient="index", columns=["SAAL, one stage", f"DSN-SAAL, {STAGES} stages"]
    )


def drawn(found: pd.DataFrame, labels: Mapping[str, str]) -> pd.DataFrame:
    """Of `factors`, for `curves.lines`: panel (alpha, raw alpha, the betas of each row), line, seed, epoch, value."""
    parts = []
    for row, part in found.groupby("row", sort=False):
        known = part[["seed", "epoch"]]
        for column, panel in (("alpha", "alpha"), ("raw_alpha", "raw alpha")):
            parts.append(known.assign(panel=panel, line=labels.get(row, row), value=part[column]))
        betas = [c for c in part if c.startswith("beta_") and part[c].notna().all()]
        for stage, column in enumerate(betas, start=1):
            line = f"stage {stage}" if len(betas) > 1 else labels.get(row, row)
            parts.append(known.assign(panel=f"beta, {labels.get(row, row)}", line=line, value=part[column]))
    return pd.concat(parts, ignore_index=True)


def levels(counts: Sequence[int]) -> dict[str, dict[str, float]]:
    """The raw alphas from which the weights of the classes are 1 % and 10 % apart, for `curves.lines`."""
    limits = {f"weights {share:.0%} apart": reaches(share, counts) for share in (VISIBLE, 10 * VISIBLE)}
    return {"raw alpha": {text: raw(limit) for text, limit in limits.items() if np.isfinite(limit)}}
