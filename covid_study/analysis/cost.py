"""What each cell of a table scores and what it costs: hours, samples seen, FLOPs (paper A, V-D1)."""

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler
from tqdm import tqdm

from covid_study.report import show
from covid_study.report.words import column_head, period, sharing
from covid_study.scores.claims import alike
from covid_study.tables.table import Table
from covid_study.training.run import timing

COSTS = {  # what a cell can be said to cost -> in words
    "flops_in_all": "FLOPs of training, pre-training included",
    "exams_in_all": "samples seen in training, pre-training included",
    "flops": "FLOPs of the classifier's training",
    "exams_seen": "samples seen by the classifier, over all epochs",
    "hours": "hours, pre-training and ranking included",
}
COLUMNS = ["table", "row", "label", "column", "f1", "f1_low", "f1_high", "auc", "hours", "before_hours", "compute_seconds",
           "load_seconds", "exams_seen", "flops", "exams_in_all", "flops_in_all", "seeds", "runs", "beside"]  # fmt: skip
MEANS = COLUMNS[9:-3]  # of the seeds of a cell


def of_table(table: Table) -> pd.DataFrame:
    """F1 and costs of every cell of a table, means over seeds.

    FLOPs and exams seen follow from the configuration and depend on no machine.

    Choice: FLOPs are those of networks in training; the ranking's (features, earth mover's distances) are in the hours alone.

    Returns:
        A line a cell: table, row, label, column, f1, f1_low, f1_high, auc (fractions), hours (all that was needed from
        preprocessed volumes on, loading aside), before_hours (pre-training and ranking), compute_seconds (the classifier),
        load_seconds (its exams gathered, apart from computing), exams_seen and flops (of the classifier), exams_in_all and
        flops_in_all (pre-training included), seeds, runs (names of result folders), beside (see `Table.shared`).
    """
    lines, results, shared = [], table.scores(), table.shared()
    for (row, column, seed), folder in table.train().items():
        took, run = timing(folder), table.runs[row, column, seed]
        lines.append(
            {"row": row, "column": column, "seed": seed, "before_hours": run.before.seconds / 3600}
            | {"compute_seconds": took["train_seconds"], "load_seconds": took["load_seconds"]}
            | {"exams_seen": took["exams_seen"], "flops": took["flops"], "runs": folder.name}
            | {"beside": shared[row, column, seed]}
            | {"exams_in_all": took["exams_seen"] + run.before.exams, "flops_in_all": took["flops"] + run.before.flops}
        )  # fmt: skip
    grouped = pd.DataFrame(lines).groupby(["row", "column"], sort=False)
    found = grouped[MEANS].mean().assign(seeds=grouped["seed"].nunique(), runs=grouped["runs"].agg(" ".join))
    found["beside"] = grouped["beside"].agg(alike)
    found["hours"] = found["before_hours"] + found["compute_seconds"] / 3600
    ends = {"f1": "mean", "f1_low": "low", "f1_high": "high", "auc": "mean"}
    for name, value in ends.items():
        metric = name.partition("_")[0]
        scores = results[results["metric"] == metric].set_index(["row", "column"])[value]
        found[name] = scores.reindex(found.index).astype(float)
    found = found.reset_index().assign(table=table.name)
    found["label"] = [table.labels.get(row, row.replace("_", " ").capitalize()) for row in found["row"]]
    return found[COLUMNS]


def together(*frames: pd.DataFrame) -> pd.DataFrame:
    """The cells of several tables; one that stands in two of them is kept where it has more seeds, or under the first."""
    cells = pd.concat(frames, ignore_index=True)
    runs = [frozenset(one.split()) for one in cells["runs"]]
    cells = cells[[not any(mine < other for other in runs) for mine in runs]]
    return cells.drop_duplicates(["runs", "before_hours"], ignore_index=True)


def amount(x: float) -> str:
    """A large number with a prefix and three digits.

    >>> amount(3.42e12), amount(4056), amount(float("nan"))
    ('3.42T', '4.06k', '–')
    """
    return tqdm.format_sizeof(x) if np.isfinite(x) else "–"


def shown(frame: pd.DataFrame, title: str = "What each row cost here") -> Styler:
    """Costs of every cell for a reader, each beside the score that was bought. frame: of `of_table`."""
    made = pd.DataFrame(
        {
            "row": frame["label"],
            "on": frame["column"].map(column_head),
            "F1, %": frame["f1"].map(lambda x: "–" if np.isnan(x) else f"{100 * x:.1f}"),
            "period": frame["hours"].map(period),
            "pre-training and ranking": frame["before_hours"].map(lambda h: period(h) if h else "none"),
            "classifier": (frame["compute_seconds"] / 3600).map(period),
            "loading": (frame["load_seconds"] / 3600).map(period),
            "samples seen": frame["exams_seen"].map("{:,.0f}".format),
            "FLOPs": frame["flops"].map(amount),
            "FLOPs a sample": (frame["flops"] / frame["exams_seen"]).map(amount),
        }
    )
    return show.table(made, title, sharing(alike(frame["beside"])), index=False)


def relative(frame: pd.DataFrame, column: str | None = None, row: str | None = None) -> pd.DataFrame:
    """What cells cost as a multiple of another's: that of the same row in `column`, or of `row` in the same column.

    Returns:
        row, column, exams_seen, flops, compute_seconds (the classifier) and hours (all): 1 for what is compared with.

    >>> cells = pd.DataFrame({"row": "a", "column": ["none", "ohem"], "exams_seen": 10, "flops": 1.0, "hours": [1.0, 3.0]})
    >>> relative(cells.assign(compute_seconds=[4.0, 8.0]), column="none")["compute_seconds"].tolist()
    [1.0, 2.0]
    """
    of, key, where = ("row", "column", column) if row is None else ("column", "row", row)
    names = ["exams_seen", "flops", "compute_seconds", "hours"]
    base = frame[frame[key] == where].set_index(of)[names].reindex(frame[of])
    return frame[["row", "column"]].join(frame[names].div(base.set_axis(frame.index)))
