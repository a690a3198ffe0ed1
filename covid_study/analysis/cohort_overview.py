"""What a cohort is made of and how its preprocessing went: the numbers behind notebook 01."""

import numpy as np
import pandas as pd
from scipy import stats

from covid_study.ct.to_volume import FIELD_OF_VIEW_MM
from covid_study.figures.cohort import GOOD
from covid_study.phantom import cohort, lesions
from covid_study.report.words import FINDINGS

PROTOCOL = {  # column of Table I -> fact of an exam
    "slices_of_exam": "n_slices",
    "slice_thickness": "slice_thickness_mm",
    "matrix": "matrix",
    "pixel_spacing": "pixel_spacing_mm",
    "tube_voltage": "kvp",
    "collimation_rows": "collimation_rows",
    "collimation_width": "collimation_mm",
    "pitch": "pitch",
}
SHOWS = {  # kind of case -> what a reader sees in it
    "typical": "bilateral peripheral ground glass, mostly basal",
    "early": "a few faint patches of ground glass",
    "lobar": "consolidation of one lobe or two",
    "mimic": "bilateral ground glass, like COVID-19",
    "clean": "nothing",
    "nodules": "solid nodules",
    "emphysema": "holes, more in the upper lobes",
}


def split_counts(exams: pd.DataFrame) -> pd.DataFrame:
    """Positive and negative exams of each split, as `beside_paper.side_by_side` wants them (paper A, Table II).

    >>> exams = pd.DataFrame({"finding": ["covid", "cap", "cap"], "split": ["train", "train", "test"]})
    >>> split_counts(exams)[["row", "column", "mean"]].values.tolist()[:2]
    [['positive', 'train', 1], ['positive', 'validation', 0]]
    """
    side = np.where(exams["finding"] == "covid", "positive", "negative")
    counts = pd.crosstab(side, exams["split"]).rename_axis("row").rename_axis("column", axis=1)
    wanted = {"index": ["positive", "negative"], "columns": ["train", "validation", "test"]}
    return counts.reindex(**wanted, fill_value=0).stack().rename("mean").reset_index().assign(metric="count")


def protocol_ranges(facts: pd.DataFrame) -> pd.DataFrame:
    """Least and greatest of each item of the imaging protocol by finding (paper A, Table I); unknown ones are left out.

    Args:
        facts: `store.table`: finding, and what is known of the facts in PROTOCOL.
    """
    rows = [
        {"row": finding, "column": column, "metric": metric, "mean": getattr(group[fact].dropna(), how)()}
        for finding, group in facts.groupby("finding")
        for column, fact in PROTOCOL.items()
        if fact in group and group[fact].notna().any()
        for metric, how in (("low", "min"), ("high", "max"))
    ]
    return pd.DataFrame(rows, columns=["row", "column", "metric", "mean"]).round({"mean": 3})


def facts_by_finding(facts: pd.DataFrame) -> pd.DataFrame:
    """Lung volume, mean HU in the lungs and share of the lungs cut off, by finding: median (lowest to highest).

    >>> facts = pd.DataFrame({"finding": "cap", "lung_ml": [3e3, 4e3, 6e3], "mean_hu": -800.0, "cut_off": [0, 0.01, 0.1]})
    >>> facts_by_finding(facts).loc["CAP"].tolist()[1:]
    ['4000 (3000 to 6000)', '-800 (-800 to -800)', '1.0 (0.0 to 10.0)']
    """
    shown = {"lungs, ml": ("lung_ml", 1, 0), "mean HU": ("mean_hu", 1, 0), "cut off, %": ("cut_off", 100, 1)}
    rows = {}
    for finding in [f for f in FINDINGS if (facts["finding"] == f).any()]:
        group = facts[facts["finding"] == finding]
        rows[FINDINGS[finding]] = {"exams": len(group)}
        for name, (fact, factor, digits) in shown.items():
            low, middle, high = (f"{factor * group[fact].quantile(q):.{digits}f}" for q in (0, 0.5, 1))
            rows[FINDINGS[finding]][name] = f"{middle} ({low} to {high})"
    return pd.DataFrame.from_dict(rows, orient="index")


def crops(facts: pd.DataFrame) -> pd.DataFrame:
    """How large the exams are once cropped to the lungs, in mm, beside the input that all get (paper A, IV-F2).

    "The input size is the mean cropped size" (256 x 192 x 56 voxels of 1 x 1 x 5 mm): true where an interval holds the input.

    >>> facts = pd.DataFrame({f"crop_{axis}_mm": [250.0, 254.0] for axis in "xyz"})
    >>> crops(facts).loc["x"].tolist()
    ['252 (227 to 277)', '250 to 254', '256']
    """
    rows = {}
    for axis, input_mm in zip("xyz", FIELD_OF_VIEW_MM, strict=True):
        sides = facts[f"crop_{axis}_mm"]
        low, high = stats.t.interval(0.95, len(sides) - 1, sides.mean(), sides.sem())
        rows[axis] = {
            "mean crop, mm (95 %)": f"{sides.mean():.0f} ({low:.0f} to {high:.0f})",
            "from to": f"{sides.min():.0f} to {sides.max():.0f}",
            "input, mm": f"{input_mm:.0f}",
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def with_kinds(facts: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The facts of phantom exams with the kind of case of each."""
    return facts.assign(kind=[cohort.kind_of(exam, seed) for exam in facts["exam_id"]])


def masks_by_kind(facts: pd.DataFrame) -> pd.DataFrame:
    """Dice of the lung masks by kind of case and of all: exams, median, the lowest and whose it is, how many are below GOOD.

    >>> facts = pd.DataFrame({"exam_id": ["a", "b"], "kind": ["clean", "lobar"], "dice": [0.99, 0.93]})
    >>> print(*masks_by_kind(facts).loc["all"])
    2 0.96 0.93 b 1
    """
    rows = {}
    for kind, group in [("all", facts), *facts.groupby("kind")]:
        worst = group.loc[group["dice"].idxmin()]
        median, below = group["dice"].median(), int((group["dice"] < GOOD).sum())
        rows[kind] = [len(group), median, worst["dice"], worst["exam_id"], below]
    columns = ["exams", "median", "lowest", "of", f"below {GOOD}"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def in_turn(exams: pd.DataFrame, count: int = 6) -> list[str]:
    """Up to `count` exams, the findings in turn, in the order of the table within each.

    >>> in_turn(pd.DataFrame({"exam_id": list("abcd"), "finding": ["cap", "cap", "cap", "covid"]}), 3)
    ['d', 'a', 'b']
    """
    turn = exams.groupby("finding").cumcount()
    chosen = exams.loc[turn.sort_values(kind="stable").index[:count]]
    order = chosen["finding"].map(list(FINDINGS).index)
    return chosen.assign(order=order).sort_values(["order", "exam_id"])["exam_id"].tolist()


def worst_and_typical(facts: pd.DataFrame, count: int = 3) -> list[str]:
    """The exams with the lowest Dice and those nearest to the median, `count` of each."""
    ordered = facts.sort_values(["dice", "exam_id"])["exam_id"].tolist()
    middle = max(count, (len(ordered) - count) // 2)
    return ordered[:count] + ordered[middle : middle + count]


def first_positive(facts: pd.DataFrame) -> str:
    """The first COVID-19 exam of the training split, else of any, else the first exam.

    >>> first_positive(pd.DataFrame({"exam_id": ["a", "b"], "finding": ["cap", "covid"], "split": "train"}))
    'b'
    """
    wanted = facts.assign(other=facts["finding"] != "covid", later=facts["split"] != "train")
    return wanted.sort_values(["other", "later", "exam_id"])["exam_id"].iloc[0]


def rows_of(exams: pd.DataFrame, exam_ids: list[str]) -> list:
    """Rows of the exam table, in the order of the ids."""
    return list(exams.set_index("exam_id", drop=False).loc[exam_ids].itertuples())


def kind_shares(facts: pd.DataFrame | None = None) -> pd.DataFrame:
    """The kinds of case that the phantom draws from, with their shares and how many there are in a cohort."""
    rows = [
        (FINDINGS[finding], kind, SHOWS[kind], f"{share:.0%}")
        for finding, kinds in lesions.KINDS.items()
        for kind, share in kinds.items()
    ]
    table = pd.DataFrame(rows, columns=["finding", "kind", "shows", "drawn with"])
    if facts is not None:
        table["exams here"] = table["kind"].map(facts["kind"].value_counts()).fillna(0).astype(int)
    return table.set_index(["finding", "kind"])
