"""What the rows of paper B's tables are trained from and for, and which of them are a measure of DSN-SAAL."""

from collections.abc import Mapping
from math import ceil

import pandas as pd

from covid_study.report.words import COLUMN_HEADS, column_head
from covid_study.scores import published
from covid_study.tables.table import Cell, Table
from covid_study.training.run import Run

COLUMN, WHOLE, BASELINE, OURS = (
    "slices",
    "100%",
    "baseline",
    "dsn_saal",
)  # columns and rows of paper B's tables
# of the baseline with all slices: else it has not learnt what the losses are compared on
ENOUGH = {"acc": (0.70, 1.0), "auc": (0.85, 1.0)}
# with so many positives: else there is nothing to lose, or nothing lost
FEW, LEFT = "25%", {"sen": (0.20, 0.70)}
STARTS = {"imagenet": "ImageNet weights", "chexnet": "ChestX-ray weights"}


def start_of(run: Run) -> str:
    """What a run starts from, in words."""
    method = run.method
    if not hasattr(method, "supervised"):  # on features: nothing of it is trained in steps
        return "features"
    start = STARTS[method.weights.origin] if method.weights else "random weights"
    return f"{start}, contrastive pre-training" if method.encoder else start


def terms(run: Run) -> tuple | None:
    """What a fair comparison holds equal: random or given weights, epochs, slices; None where nothing is trained in epochs.

    Choice: other weights than ImageNet's, and more pre-training, are what some rows are about, and count as weights.
    """
    method = run.method
    if not hasattr(method, "supervised"):
        return None
    return method.weights is None, method.training["epochs"], len(run.training_ids) + len(method.meta_ids)


def words(name: str | None) -> dict[str, str]:
    """Rows in words that a published table lacks; None: all of them."""
    printed = set(published.table(name)["row"]) if name else set()
    return {row: word for row, word in COLUMN_HEADS.items() if row not in printed}


def unequal(runs: Mapping[Cell, Run]) -> frozenset[str]:
    """Rows that saw fewer slices or epochs than DSN-SAAL, or started from weights of another kind: no measure of it.

    Choice: a small profile trains other backbones for less, and from random weights where no others are at hand. To be
    ahead of those says nothing about the method, so that they are no part of a claim about all others.
    """
    ours = {terms(run) for cell, run in runs.items() if OURS in cell[:2]}  # a column of Table 6
    return frozenset(row for (row, *_), run in runs.items() if terms(run) not in ours | {None})


def trained(table: Table) -> pd.DataFrame:
    """What each row is trained from and for: starts from, epochs, slices, steps, and whether on DSN-SAAL's terms."""
    rows, apart = {}, unequal(table.runs)
    for (row, *_), run in table.runs.items():
        epochs = run.method.training["epochs"] if terms(run) else 0
        steps = ceil(len(run.training_ids) / run.method.training["batch_size"]) * epochs if epochs else 0
        name = table.labels.get(row, column_head(row))
        facts = (start_of(run), epochs, len(run.training_ids), steps, "no" if row in apart else "yes")
        rows[name, *facts] = None
    names = ["", "starts from", "epochs", "slices", "steps", "on DSN-SAAL's terms"]
    return pd.DataFrame(list(rows), columns=names).set_index("")


def weights_used(table: Table) -> list[str]:
    """Where the weights come from that some of the runs start from, each file once."""
    found = (getattr(run.method, "weights", None) for run in table.runs.values())
    return list(dict.fromkeys(weights.sentence for weights in found if weights))


def gates(table: Table, all_slices: tuple[str, str], few: tuple[str, str] | None = None) -> pd.DataFrame:
    """Is there anything to be told from a table of slices: what its baseline must score, in means over seeds.

    Choice: limits that trials on diseased slices reached; calling every slice alike has an accuracy of a third.

    Args:
        all_slices, few: the cells of the baseline trained on all slices, and on a quarter of the positives.

    Returns:
        gate, score, low, high (wanted, both included), found, passed; a cell that was not run has no line.
    """
    scores = table.scores().set_index(["row", "column", "metric"])["mean"]
    wanted = [("all slices", all_slices, ENOUGH), (f"{column_head(FEW)} of the positives", few, LEFT)]
    lines = [
        (f"baseline, {what}", metric, *ends, scores[*cell, metric])
        for what, cell, limits in wanted
        for metric, ends in limits.items()
        if cell and (*cell, metric) in scores
    ]
    found = pd.DataFrame(lines, columns=["gate", "score", "low", "high", "found"])
    return found.assign(passed=found["found"].between(found["low"], found["high"]))
