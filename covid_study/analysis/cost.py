"""What each cell of a table scores and what it costs: hours, exams seen, FLOPs; and the Pareto front (paper A, V-D1)."""

from collections.abc import Mapping
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import HTML

from covid_study.report import show
from covid_study.training.run import Run, timing

COSTS = {  # what a cell can be said to cost -> in words
    "flops_in_all": "FLOPs of training, pre-training included",
    "exams_in_all": "exams seen in training, pre-training included",
    "flops": "FLOPs of the classifier's training",
    "exams_seen": "exams seen by the classifier, over all epochs",
    "hours": "hours, pre-training and ranking included",
}
COLUMNS = ["table", "row", "label", "column", "f1", "f1_low", "f1_high", "auc", "hours", "before_hours", "compute_seconds",
           "load_seconds", "exams_seen", "flops", "exams_in_all", "flops_in_all", "seeds", "runs"]  # fmt: skip
PREFIXES = ("", "k", "M", "G", "T", "P", "E")


def costs(
    table: str,
    runs: Mapping[tuple, Run],
    folders: Mapping[tuple, Path],
    results: pd.DataFrame,
    labels: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """F1 and costs of every cell of a table, means over seeds.

    FLOPs and exams seen follow from the configuration and depend on no machine.

    Choice: FLOPs are those of networks in training; the ranking's (features, earth mover's distances) are in the hours alone.

    Args:
        table: its name, e.g. "A.III". runs, folders: (row, column, seed) -> run, its result folder.
        results: what `ablation.results` returns. labels: row -> words.

    Returns:
        A line a cell: table, row, label, column, f1, f1_low, f1_high, auc (fractions), hours (all that was needed from
        preprocessed volumes on, loading aside), before_hours (pre-training and ranking), compute_seconds (the classifier),
        load_seconds (its exams gathered, apart from computing), exams_seen and flops (of the classifier), exams_in_all and
        flops_in_all (pre-training included), seeds, runs (names of result folders).
    """
    lines = []
    for (row, column, seed), folder in folders.items():
        took, run = timing(folder), runs[row, column, seed]
        lines.append(
            {"row": row, "column": column, "seed": seed, "before_hours": run.before.seconds / 3600}
            | {"compute_seconds": took["train_seconds"], "load_seconds": took["load_seconds"]}
            | {"exams_seen": took["exams_seen"], "flops": took["flops"], "runs": Path(folder).name}
            | {"exams_in_all": took["exams_seen"] + run.before.exams, "flops_in_all": took["flops"] + run.before.flops}
        )  # fmt: skip
    grouped = pd.DataFrame(lines).groupby(["row", "column"], sort=False)
    means = [
        "before_hours",
        "compute_seconds",
        "load_seconds",
        "exams_seen",
        "flops",
        "exams_in_all",
        "flops_in_all",
    ]
    found = grouped[means].mean().assign(seeds=grouped["seed"].nunique(), runs=grouped["runs"].agg(" ".join))
    found["hours"] = found["before_hours"] + found["compute_seconds"] / 3600
    for name, metric, value in (
        ("f1", "f1", "mean"),
        ("f1_low", "f1", "low"),
        ("f1_high", "f1", "high"),
        ("auc", "auc", "mean"),
    ):
        scores = results[results["metric"] == metric].set_index(["row", "column"])[value]
        found[name] = scores.reindex(found.index).astype(float)
    found = found.reset_index().assign(table=table)
    found["label"] = [(labels or {}).get(row, row.replace("_", " ").capitalize()) for row in found["row"]]
    return found[COLUMNS]


def together(*frames: pd.DataFrame) -> pd.DataFrame:
    """The cells of several tables; one that stands in two of them, with the same runs and costs, is kept under the first."""
    cells = pd.concat(frames, ignore_index=True)
    return cells.drop_duplicates(["runs", "before_hours"], ignore_index=True)


def front(frame: pd.DataFrame, cost: str = "flops", score: str = "f1") -> pd.DataFrame:
    """The Pareto front: the cells that no other beats, at most as dear, at least as good and better in one of both.

    Of cells that are alike in both, all are on the front. Cells without a score are not.

    Returns:
        Lines of `frame`, from cheap to dear.

    >>> cells = pd.DataFrame({"flops": [1.0, 2.0, 3.0], "f1": [0.5, 0.4, 0.9]})
    >>> front(cells)["flops"].tolist()
    [1.0, 3.0]
    """
    known = frame[frame[cost].notna() & frame[score].notna()]
    x, y = known[cost].to_numpy(float), known[score].to_numpy(float)
    no_worse = (x[None] <= x[:, None]) & (y[None] >= y[:, None])  # [i, j]: j is no worse than i in either
    better = (x[None] < x[:, None]) | (y[None] > y[:, None])
    return known[~(no_worse & better).any(axis=1)].sort_values([cost, score], kind="stable")


def amount(x: float, unit: str = "") -> str:
    """A large number with a prefix and two digits or three.

    >>> amount(3.42e12, "FLOP"), amount(4056), amount(28.0), amount(float("nan"))
    ('3.42 TFLOP', '4.06 k', '28', '–')
    """
    if not np.isfinite(x):
        return "–"
    step = min(len(PREFIXES) - 1, int(np.log10(max(abs(x), 1.0)) // 3))
    if step and float(f"{x / 1000**step:.3g}") >= 1000:
        step = min(len(PREFIXES) - 1, step + 1)
    number = f"{x / 1000**step:#.3g}".rstrip(".") if step else f"{x:.3g}"
    return f"{number} {PREFIXES[step]}{unit}".rstrip()


def costs_table(frame: pd.DataFrame, title: str = "What each row cost here") -> HTML:
    """Costs of every cell: the period and its parts, exams seen and FLOPs, each beside the score that was bought."""
    heads = [
        "",
        "",
        "F1",
        "Period",
        "Pre-training<br>and ranking",
        "Classifier",
        "Loading<br>its exams",
        "Exams seen",
        "FLOPs",
        "FLOPs<br>an exam",
    ]
    body, last = "", None
    for r in frame.itertuples():
        name = escape(r.label) if (r.table, r.row) != last else ""
        last = (r.table, r.row)
        score = "–" if np.isnan(r.f1) else f"{100 * r.f1:.1f}"
        before = show.duration(r.before_hours) if r.before_hours else "none"
        cells = [score, f"<b>{show.duration(r.hours)}</b>", before]
        cells += [show.duration(s / 3600) for s in (r.compute_seconds, r.load_seconds)]
        cells += [f"{r.exams_seen:,.0f}", amount(r.flops), amount(r.flops / r.exams_seen)]
        body += f"<tr><th class='row'>{name}</th><td>{escape(show.column_head(r.column))}</td>"
        body += "".join(f"<td>{c}</td>" for c in cells) + "</tr>"
    seeds = int(frame["seeds"].max())
    means = f"Means over {seeds} seeds" if seeds > 1 else "One seed"
    caption = (
        f"<b>{escape(title)}</b><br>{means}. Period: from preprocessed volumes on, pre-training and ranking where a row needs "
        "them, and the classifier; loading the exams is measured apart. Exams seen and FLOPs are the classifier's, over all "
        "its epochs: counted, not measured, and the same on every machine."
    )
    head = "".join(f"<th>{h}</th>" for h in heads)
    return show.framed(caption, f"<tr>{head}</tr>", body)


def front_sentence(frame: pd.DataFrame, cost: str = "flops", whole: str = "all") -> str:
    """Which cells lie on the Pareto front, and whether training on everything is among them.

    Choice: the front is that of the mean scores; cells beside it may lie on it by chance, and the other way round.
    """
    if frame["f1"].notna().sum() == 0:
        return "No cell has an F1: there is no front."
    best, measured = front(frame, cost), frame[frame["f1"].notna()]
    names = [f"{r.label}, {show.column_head(r.column)} ({100 * r.f1:.1f} %)" for r in best.itertuples()]
    n, listed = len(names), names if len(names) <= 5 else [*names[:4], f"and {len(names) - 4} more"]
    text = f"Of {len(measured)} cells, {n} lie{'s' * (n == 1)} on the front of F1 against {COSTS[cost].split(',')[0]}: "
    text += "; ".join(listed) + "."
    everything = measured[measured["column"] == whole]
    if everything.empty:
        return text
    if whole in set(best["column"]):
        return f"{text} Training on all negatives is among them."
    top = everything.loc[everything["f1"].idxmax()]
    other = best[(best[cost] <= top[cost]) & (best["f1"] >= top["f1"])].iloc[-1]
    inside = "outside" if other["f1"] > top["f1_high"] else "inside"
    score = f"{100 * other['f1']:.1f} % against {100 * top['f1']:.1f} %"
    interval = "" if np.isnan(top["f1_high"]) else f", {inside} its 95 % interval,"
    winner = f"{other['label']}, {show.column_head(other['column'])}"
    return (
        f"{text} Training on all negatives is not: {winner} reaches {score}{interval} for "
        f"{100 * other[cost] / top[cost]:.0f} % of the cost."
    )
