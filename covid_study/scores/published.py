"""The numbers that the papers print, as data, so that no notebook holds one typed by hand.

`data/published/A.III.csv` is Table III of paper A, `B.3.csv` Table 3 of paper B, and so on: `printed` is the number as it
stands there, slips included; what is odd about it is in `note`. `value` is the same as a fraction (scores), hours or a
count; paper A prints scores in per cent, paper B as fractions.
"""

from functools import lru_cache

import numpy as np
import pandas as pd

from covid_study import paths
from covid_study.errors import StudyError
from covid_study.scores.resamples import Resamples

FOLDER = paths.PACKAGE / "data" / "published"
TEST_POSITIVES, TEST_NEGATIVES = 50, 468  # paper A, Table II
NUMERALS = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X")


def _order(name: str) -> tuple:
    paper, _, number = name.partition(".")
    return paper, NUMERALS.index(number) if number in NUMERALS else int(number)


def names() -> list[str]:
    """The tables there are.

    >>> names()[:3]
    ['A.I', 'A.II', 'A.III']
    """
    return sorted((p.stem for p in FOLDER.glob("*.csv")), key=_order)


@lru_cache
def _read(name: str) -> tuple[str, pd.DataFrame]:
    path = FOLDER / f"{name}.csv"
    if not path.is_file():
        raise StudyError(f"There is no published table {name!r}; there are {', '.join(names())}.")
    text = path.read_text(encoding="utf-8")
    remarks = "\n".join(line.removeprefix("# ") for line in text.splitlines() if line.startswith("#"))
    frame = pd.read_csv(path, comment="#", dtype=str, keep_default_na=False)
    value = pd.to_numeric(frame["printed"].str.replace(",", ""))
    frame["value"] = value.mask(frame["unit"] == "%", value / 100).mask(frame["unit"] == "M", value * 1e6)
    frame.insert(0, "table", name)
    return remarks, frame[["table", "row", "label", "column", "metric", "value", "printed", "unit", "note"]]


def table(name: str) -> pd.DataFrame:
    """A table of a paper, tidy: one printed number a row, in the order of the paper.

    Args:
        name: paper and number, e.g. "A.III" or "B.3".

    Returns:
        Columns `table`, `row`, `label` (in words), `column`, `metric`, `value`, `printed`, `unit`, `note`.
        Metrics of paper A: `precision`, `recall`, `f1` (fractions), `hours`, `count`, `low` and `high` (ends of a
        range). Of paper B: `acc`, `f1`, `gmean`, `sen`, `spe`, `auc`, `pre` (fractions; `sen_cap` and the like where
        they are of another class than COVID-19) and `sen_fall`, each with its deviation over repeats (`acc_sd`)
        where there is one; `params`, `cases`, `images`.

    >>> t = table("A.III").set_index(["row", "column", "metric"])
    >>> t.loc[("both", "56%", "f1"), "printed"], t.loc[("both", "56%", "recall"), "printed"]
    ('86.0', '80.0')
    >>> table("B.4").set_index(["row", "column", "metric"]).loc[("resnet50", "dsn", "params"), "value"]
    np.float64(23590000.0)
    """
    return _read(name)[1].copy()


def decimals(name: str) -> int | None:
    """How many decimals paper B prints its scores with; None where a table has no scores printed as fractions.

    >>> decimals("B.3"), decimals("B.8"), decimals("B.2"), decimals("A.III")
    (3, 2, None, None)
    """
    printed = table(name).query("unit == '' and metric not in ('low', 'high')")["printed"]
    return int(printed.str.partition(".")[2].str.len().max()) if len(printed) else None


def remarks(name: str) -> str:
    """Where a table comes from and what had to be worked out to read it.

    >>> remarks("A.VII").splitlines()[-1]
    'Table VII: self-supervised weights, pre-trained and fine-tuned on the whole training set'
    """
    return _read(name)[0]


def sizes(name: str) -> pd.Series:
    """Number of negatives that each column of a table trains on, by column.

    >>> sizes("A.III").to_dict()
    {'14%': 246, '28%': 500, '56%': 1000, 'all': 1785}
    >>> (sizes("A.III") / sizes("A.III")["all"]).round(2).tolist()
    [0.14, 0.28, 0.56, 1.0]
    """
    counts = table(name).query("row == 'negatives' and metric == 'count'")
    return counts.set_index("column")["value"].astype(int).rename("negatives")


def check_scores(name: str) -> pd.DataFrame:
    """Do precision, recall and F1 of each row agree (eq. 8), and with a whole number of test exams (eq. 9)?

    Returns:
        A row for each row and column of the table: the printed `precision`, `recall`, `f1` in per cent;
        `f1_recomputed` from the printed precision and recall, `difference` (printed - recomputed);
        `true_positives` and `false_positives` that give the printed precision and recall with the test split of
        the paper, <NA> where no whole numbers do; `agrees`: F1 within 0.15 and whole numbers found.

    >>> print(*check_scores("A.VII").iloc[0][["f1_recomputed", "true_positives", "false_positives", "agrees"]])
    84.63 44 10 True
    """
    scores = table(name).query("metric in ('precision', 'recall', 'f1')")
    wide = scores.assign(value=100 * scores["value"]).pivot(
        index=["row", "column"], columns="metric", values="value"
    )
    order = scores[["row", "column"]].drop_duplicates()
    wide = wide.loc[list(order.itertuples(index=False, name=None))].reset_index().rename_axis(columns=None)
    wide["f1_recomputed"] = (
        2 * wide["precision"] * wide["recall"] / (wide["precision"] + wide["recall"])
    ).round(2)
    wide["difference"] = (wide["f1"] - wide["f1_recomputed"]).round(2)
    counts = [_whole_counts(r.precision, r.recall, TEST_POSITIVES) for r in wide.itertuples()]
    wide[["true_positives", "false_positives"]] = pd.DataFrame(counts, dtype="Int64", index=wide.index)
    wide["agrees"] = (wide["difference"].abs() <= 0.15) & wide["true_positives"].notna()
    columns = ["row", "column", "precision", "recall", "f1", "f1_recomputed", "difference"]
    return wide[[*columns, "true_positives", "false_positives", "agrees"]]


def _whole_counts(precision: float, recall: float, positives: int) -> tuple:
    """Found and falsely called exams whose precision and recall round to the printed per cent."""
    found = round(recall * positives / 100)
    if abs(100 * found / positives - recall) > 0.051:
        return pd.NA, pd.NA
    for false in {round(found * (100 / precision - 1)) + d for d in (-1, 0, 1)}:
        if false >= 0 and abs(100 * found / (found + false) - precision) <= 0.051:
            return found, false
    return pd.NA, pd.NA


def intervals(name: str, n: int = 4000, seed: int = 0) -> pd.DataFrame:
    """The 95 % intervals that the paper's scores would have had, from the counts behind them.

    The printed precision and recall give the found and the falsely called exams; a stratified bootstrap over
    the test exams (as `Resamples`) then only needs two binomial draws a resample.

    Returns:
        `row`, `column`, `metric`, `low`, `high` (fractions); rows without whole counts are left out.

    >>> i = intervals("A.III").set_index(["row", "column", "metric"]).loc[("both", "56%", "f1")]
    >>> bool(0.74 < i["low"] < 0.79 and 0.91 < i["high"] < 0.95)
    True
    """
    positives, negatives = TEST_POSITIVES, TEST_NEGATIVES
    rng, found = np.random.default_rng(seed), []
    for r in check_scores(name).dropna(subset="true_positives").itertuples():
        tp = rng.binomial(positives, r.true_positives / positives, n)
        called = tp + rng.binomial(negatives, r.false_positives / negatives, n)
        drawn = {
            "precision": tp / np.maximum(called, 1),
            "recall": tp / positives,
            "f1": 2 * tp / (called + positives),
        }
        for metric, values in drawn.items():
            low, high = Resamples.interval(values)
            found.append((r.row, r.column, metric, low, high))
    return pd.DataFrame(found, columns=["row", "column", "metric", "low", "high"])
