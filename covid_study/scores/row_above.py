"""Each row of a table against the row above it: paired on the same test exams and seeds, and marked (paper A, V-B)."""

from collections.abc import Mapping, Sequence

import pandas as pd

from covid_study.scores import power_marks
from covid_study.scores.claims import Scored, paired_difference, verdict
from covid_study.scores.power_spread import Spread

METRICS = ("f1", "auc")  # F1 at 0.5 is the paper's, and what is marked


def compare(
    scored: Scored,
    joined: pd.DataFrame,
    spreads: Mapping[str, Spread | None],
    n: int = 1000,
    rows: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Differences of F1 and AUC between each row and the one above it that was run in the same column.

    Args:
        scored: of `claims.scored`. joined: of `Table.results`. spreads: of `power_spread.spreads`.
        n: simulated tests behind a mark. rows: their order; that of `joined` unless given.

    Returns:
        table, row, above, label, above_label, column, metric, difference, low, high (paired 95 % interval), seeds, verdict,
        published (the paper's difference); for F1 also of_test, of_all, mark and published_mark, as
        `power_marks.mark_pairs`. Differences are fractions.
    """
    words = joined.drop_duplicates("row").set_index("row")["label"]
    paper = joined.dropna(subset="published").set_index(["row", "column", "metric"])["published"]
    ran = dict.fromkeys(cell[:2] for cell in scored.values)
    columns = dict.fromkeys(joined["column"])
    pairs = []
    for column in columns:
        here = [row for row in rows or dict.fromkeys(joined["row"]) if (row, column) in ran]
        pairs += [((row, column), (above, column)) for above, row in zip(here, here[1:], strict=False)]
    marked = power_marks.mark_pairs(pairs, scored, joined, spreads, n)
    lines = []
    for (one, other), mark in zip(pairs, marked.to_dict("records"), strict=True):
        for metric in METRICS:
            found = paired_difference(scored, [(one, other)], metric)
            found = {name: found[name] for name in ("difference", "low", "high", "seeds")}
            theirs = paper.get((*one, metric)), paper.get((*other, metric))
            lines.append(
                {"table": joined["table"].iloc[0], "row": one[0], "above": other[0]}
                | {"label": words[one[0]], "above_label": words[other[0]], "column": one[1], "metric": metric}
                | found
                | {"verdict": verdict(found["low"], found["high"], found["seeds"], scored.fewest)}
                | {"published": float("nan") if None in theirs else theirs[0] - theirs[1]}
                | (mark if metric == "f1" else dict.fromkeys(mark))
            )  # fmt: skip
    order = list(rows or dict.fromkeys(joined["row"]))
    found = pd.DataFrame(lines, columns=COLUMNS)
    return found.sort_values("row", key=lambda r: r.map(order.index), kind="stable", ignore_index=True)


COLUMNS = [
    "table", "row", "above", "label", "above_label", "column", "metric", "difference", "low", "high", "seeds", "verdict",
    "published", "of_test", "of_all", "mark", "published_mark",
]  # fmt: skip
