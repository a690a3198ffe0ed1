"""The runs behind Table VI of paper A: online strategies against imbalance, and where each draws the line."""

import numpy as np
import pandas as pd

from covid_study.samples.samples import Samples
from covid_study.tables import ablation, volume_steps
from covid_study.tables.ablation import Cell
from covid_study.training.run import Run

STRATEGIES = ("none", "oversampling", "ohem", "focal")  # the columns of the table
SETTINGS = {"ohem": ("ohem_share",), "focal": ("focal_gamma", "focal_alpha")}


def settings(p, strategy: str) -> dict | None:
    """A strategy with the settings that it uses and no other, so that no run depends on those of the others.

    None without a strategy: the run is then that of Table III.
    """
    if strategy == "none":
        return None
    return {"strategy": strategy} | {name: getattr(p.online, name) for name in SETTINGS.get(strategy, ())}


def rows(p) -> tuple[str, str]:
    """The rows of the table: all negatives, and the selection."""
    return "all", ablation.column(p.online.share)


def online_strategies(p, v: Samples) -> dict[Cell, Run]:
    """The runs of Table VI: every strategy on all negatives and on a selection (paper A, V-F).

    Rows: "all" and the selection's share, drawn by the long tail from the joint rank, as Table III's "both". Columns: none,
    oversampling, ohem, focal. Those without a strategy are runs of Table III.
    """
    everything, (whole, selected) = volume_steps.ids(v, "train", False), rows(p)
    runs = {}
    for seed in p.study.seeds:
        found = volume_steps.ranked(p, v, seed=seed)
        chosen = volume_steps.selection(p, found.ranking, "long_tail", p.online.share, seed)
        for row, negatives, ranked in ((whole, everything, None), (selected, chosen, found)):
            for strategy in STRATEGIES:
                online = settings(p, strategy)
                runs[row, strategy, seed] = volume_steps.run(
                    p, v, negatives, seed, ranked=ranked, online=online
                )
    return runs


def decision_line(
    strategy: str,
    positives: int,
    negatives: int,
    alpha: float = 0.25,
    ohem_share: float = 0.5,
    classes: int = 2,
) -> float:
    """How likely COVID-19 must be for a network that has learnt the probabilities to say more than 0.5.

    Without a strategy that is a half. Where every class comes equally often, the odds are multiplied by the negatives for
    each positive, and the line falls to the share of the positives. Focal loss weighs positives by alpha and negatives by
    1 - alpha and is symmetric in the rest, whatever gamma: its line is 1 - alpha. OHEM keeps what is wrong or unsure,
    whichever class it is of, and draws no line of its own. With three classes the line of oversampling and of focal loss
    depends on how the rest is shared by the other two, and is no number.

    Returns:
        NaN for OHEM, unless it keeps everything, and for oversampling and focal loss with three classes.

    >>> [decision_line(s, 246, 1785) for s in STRATEGIES]
    [0.5, 0.12112259970457903, nan, 0.75]
    """
    if strategy in ("oversampling", "focal") and classes > 2:
        return np.nan
    if strategy == "oversampling":
        return positives / (positives + negatives)
    if strategy == "focal":
        return 1.0 - alpha
    return np.nan if strategy == "ohem" and ohem_share < 1 else 0.5


def exposure(p, v: Samples) -> pd.DataFrame:
    """What each strategy trains on: exams an epoch, how many of them are positive, and where its line lies.

    Returns:
        row, column, negatives, positives, exams (an epoch), longer (than without a strategy), positive (share of the exams
        of an epoch), line (see `decision_line`). With three classes the largest of them depends on what was selected: the
        exams that oversampling draws are then a mean over seeds.
    """
    positives, archive = len(volume_steps.ids(v, "train", True)), len(volume_steps.ids(v, "train", False))
    whole, selected = rows(p)
    classes, runs = len(p.cohort.classes), online_strategies(p, v)
    found = []
    for row, negatives in {
        whole: archive,
        selected: volume_steps.selection_size(p.online.share, archive),
    }.items():
        exams = positives + negatives
        trained = [run.sizes for (of, _, _), run in runs.items() if of == row]
        for strategy in STRATEGIES:
            balanced = strategy == "oversampling"
            there = np.count_nonzero(trained, axis=1)
            drawn = round(np.mean(np.max(trained, axis=1) * there)) if balanced else exams
            positive = np.mean(1 / there) if balanced else positives / exams
            settings_of = p.online.focal_alpha, p.online.ohem_share, classes
            line = decision_line(strategy, positives, negatives, *settings_of)
            found.append((row, strategy, negatives, positives, drawn, drawn / exams, positive, line))
    names = ["row", "column", "negatives", "positives", "exams", "longer", "positive", "line"]
    return pd.DataFrame(found, columns=names)
