"""Table VI of paper A: online strategies against imbalance, and where each draws the line between the classes (V-F)."""

import numpy as np
import pandas as pd

from covid_study.cohort.findings import POSITIVE
from covid_study.samples.samples import Samples
from covid_study.scores import published
from covid_study.tables import volume_steps
from covid_study.tables.table import Table, column

NAME = "A.VI"
STRATEGIES = ("none", "oversampling", "ohem", "focal")  # the columns of the table
SETTINGS = {"ohem": ("ohem_share",), "focal": ("focal_gamma", "focal_alpha")}


def settings(p, strategy: str) -> dict | None:
    """A strategy with the settings that it uses and no other, so that no run depends on those of the others.

    None without a strategy: the run is then that of Table III.
    """
    if strategy == "none":
        return None
    return {"strategy": strategy} | {name: getattr(p.online, name) for name in SETTINGS.get(strategy, ())}


def table(p, v: Samples) -> Table:
    """Table VI: every strategy on all negatives and on a selection.

    Rows: "all" and the selection's share, drawn by the long tail from the joint rank, as Table III's "both". Columns:
    `STRATEGIES`. Those without a strategy are runs of Table III.
    """
    everything, selected, runs = volume_steps.ids(v, "train", False), column(p.online.share), {}
    for seed in p.study.seeds:
        found = volume_steps.ranked(p, v, seed=seed)
        chosen = volume_steps.selection(p, found.ranking, "long_tail", p.online.share, seed)
        for row, negatives, ranked in (("all", everything, None), (selected, chosen, found)):
            for strategy in STRATEGIES:
                how = {"ranked": ranked, "online": settings(p, strategy)}
                runs[row, strategy, seed] = volume_steps.run(p, v, negatives, seed, **how)
    words = {"all": "All negatives", selected: f"{selected.replace('%', ' %')} of the negatives"}
    return Table(NAME, runs, v, p.study, main="A23b", words=words)


def decision_line(
    strategy: str, positives: int, negatives: int, alpha=0.25, ohem_share=0.5, classes: int = 2
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


def exposure(p, table: Table) -> pd.DataFrame:
    """What each strategy trains on: exams an epoch, how many of them are positive, and where its line lies.

    Returns:
        row, column, negatives, positives, exams (an epoch), longer (than without a strategy), longer_published, positive
        (share of the exams of an epoch), line (see `decision_line`). With three classes the largest of them depends on what
        was selected: the exams that oversampling draws are then a mean over seeds.
    """
    classes, found = len(p.cohort.classes), []
    theirs = published.sizes("A.III")
    rare = published.table("A.II").set_index(["row", "column"])["value"]["positive", "train"]
    for row in dict.fromkeys(row for row, _, _ in table.runs):
        trained = np.array([run.sizes for (of, _, _), run in table.runs.items() if of == row])
        positives, exams = int(trained[0, POSITIVE]), int(trained[0].sum())
        there = np.count_nonzero(trained, axis=1)
        balanced, known = round(np.mean(trained.max(axis=1) * there)), theirs.get(row, np.nan)
        for strategy in STRATEGIES:
            even = strategy == "oversampling"
            drawn, share = (balanced, np.mean(1 / there)) if even else (exams, positives / exams)
            printed = known / known * (2 * max(known, rare) / (known + rare) if even else 1.0)
            of_strategy = p.online.focal_alpha, p.online.ohem_share, classes
            line = decision_line(strategy, positives, exams - positives, *of_strategy)
            counts = {"negatives": exams - positives, "positives": positives, "exams": drawn}
            told = {"longer": drawn / exams, "longer_published": printed, "positive": share, "line": line}
            found.append({"row": row, "column": strategy} | counts | told)
    return pd.DataFrame(found)


def moves(table: Table, exposure: pd.DataFrame) -> pd.DataFrame:
    """Do recall and precision at 0.5 move as the line of each strategy says, here and in the paper?

    A line below a half calls more exams positive: more recall, less precision.

    Returns:
        row, column, metric, expected (1 up, -1 down, 0 nothing, NaN where the strategy has no line), here, published:
        differences to no strategy.
    """
    cells, rows = table.results().set_index(["row", "column", "metric"]), []
    for line in exposure[exposure["column"] != "none"].itertuples():
        side = np.sign(0.5 - line.line)
        for metric, expected in (("recall", side), ("precision", -side)):
            one, other = cells.loc[(line.row, line.column, metric)], cells.loc[(line.row, "none", metric)]
            differences = one["mean"] - other["mean"], one["published"] - other["published"]
            rows.append((line.row, line.column, metric, expected, *differences))
    return pd.DataFrame(rows, columns=["row", "column", "metric", "expected", "here", "published"])
