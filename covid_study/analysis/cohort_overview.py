"""What a cohort is made of and how its preprocessing went: the numbers behind notebook 01."""

from collections.abc import Sequence

import pandas as pd

from covid_study.phantom import cohort, lesions

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
NAMES = {"covid": "COVID-19", "cap": "CAP", "non_pneumonia": "Non-pneumonia", "other": "Other or unknown"}
CLEARLY = 0.005  # difference of two medians of Dice that is worth a word
GOOD = 0.95  # Dice of a mask that needs no second look
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
    """Positive and negative exams of each split, as `show.side_by_side` wants them (paper A, Table II).

    >>> exams = pd.DataFrame({"finding": ["covid", "cap", "cap"], "split": ["train", "train", "test"]})
    >>> split_counts(exams)[["row", "column", "mean"]].values.tolist()[:2]
    [['positive', 'train', 1], ['positive', 'validation', 0]]
    """
    sides = {"positive": exams["finding"] == "covid", "negative": exams["finding"] != "covid"}
    return pd.DataFrame(
        [
            {
                "row": row,
                "column": split,
                "metric": "count",
                "mean": int((of & (exams["split"] == split)).sum()),
            }
            for row, of in sides.items()
            for split in ("train", "validation", "test")
        ]
    )


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
    for finding in [f for f in NAMES if (facts["finding"] == f).any()]:
        group = facts[facts["finding"] == finding]
        rows[NAMES[finding]] = {"exams": len(group)}
        for name, (fact, factor, digits) in shown.items():
            low, middle, high = (f"{factor * group[fact].quantile(q):.{digits}f}" for q in (0, 0.5, 1))
            rows[NAMES[finding]][name] = f"{middle} ({low} to {high})"
    return pd.DataFrame.from_dict(rows, orient="index")


def with_kinds(facts: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The facts of phantom exams with the kind of case of each."""
    return facts.assign(kind=[cohort.kind_of(exam, seed) for exam in facts["exam_id"]])


def mask_sentence(facts: pd.DataFrame) -> str:
    """What the Dice of the masks says, in words: the cohort, the worst exam, the kinds of case that are worse than clean lungs.

    >>> facts = pd.DataFrame({"exam_id": ["a", "b"], "kind": ["clean", "lobar"], "dice": [0.99, 0.93]})
    >>> print(mask_sentence(facts))
    Masks and truth agree with a median Dice of 0.960 over 2 exams; the lowest is 0.930 (b, lobar); 1 of 2 below 0.95.
    Against clean lungs (median 0.990) the masks are worse for: lobar (0.930). What disease has made dense is told from
    the chest wall by its place alone, and some of it goes missing.
    """
    dice, worst = facts["dice"], facts.loc[facts["dice"].idxmin()]
    text = (
        f"Masks and truth agree with a median Dice of {dice.median():.3f} over {len(facts)} exams; the lowest is "
        f"{worst['dice']:.3f} ({worst['exam_id']}, {worst['kind']}); {int((dice < GOOD).sum())} of {len(facts)} "
        f"below {GOOD}."
    )
    median = facts.groupby("kind")["dice"].median().sort_values()
    clean = median.get("clean", float("nan"))
    worse = [f"{kind} ({value:.3f})" for kind, value in median.items() if value < clean - CLEARLY]
    if worse:
        text += (
            f" Against clean lungs (median {clean:.3f}) the masks are worse for: {', '.join(worse)}. What disease has made "
            "dense is told from the chest wall by its place alone, and some of it goes missing."
        )
    return text


def headline(exams: pd.DataFrame, facts: pd.DataFrame) -> str:
    """One sentence on the cohort and its masks, for the index."""
    ready = exams[exams["exam_id"].isin(facts["exam_id"])]
    text = f"{len(ready)} of {len(exams)} exams ({ready['patient_id'].nunique()} patients) are ready for the network"
    if "dice" not in facts:
        return f"{text}; their lung masks have no truth to be measured against: look at them."
    dice = facts["dice"]
    return f"{text}; lung masks reach a median Dice of {dice.median():.3f} against the truth, {dice.min():.3f} at worst."


def classes_sentence(classes: Sequence[str], outside: pd.DataFrame) -> str:
    """Which classes the classifiers tell apart, and which exams are no part of the study; of `cohorts.outside`.

    >>> print(classes_sentence(["covid", "cap"], pd.DataFrame({"finding": ["non_pneumonia"] * 3})))
    The classifiers tell 2 classes apart: COVID-19 and CAP. Not part of this study, because their finding is none of these:
    3 exams (non-pneumonia).
    >>> classes_sentence(["covid", "negative"], pd.DataFrame({"finding": []}))
    'The classifiers tell 2 classes apart: COVID-19 and negative, which is every other finding. All exams take part.'
    """
    words = NAMES | {
        "non_pneumonia": "non-pneumonia",
        "other": "not COVID-19, no more is known",
        "negative": "negative, which is every other finding",
    }
    names = [words[name] for name in classes]
    listed = ", ".join(names[:-1]) + f" and {names[-1]}"
    text = f"The classifiers tell {len(classes)} classes apart: {listed}."
    if outside.empty:
        return f"{text} All exams take part."
    findings = ", ".join(words[name] for name in NAMES if (outside["finding"] == name).any())
    exams = f"{len(outside)} exam{'s' * (len(outside) != 1)} ({findings})"
    return f"{text} Not part of this study, because their finding is none of these: {exams}."


def spread(exams: pd.DataFrame, count: int = 6) -> list[str]:
    """Up to `count` exams, the findings in turn, in the order of the table within each.

    >>> spread(pd.DataFrame({"exam_id": list("abcd"), "finding": ["cap", "cap", "cap", "covid"]}), 3)
    ['d', 'a', 'b']
    """
    turn = exams.groupby("finding").cumcount()
    chosen = exams.loc[turn.sort_values(kind="stable").index[:count]]
    order = chosen["finding"].map(list(NAMES).index)
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
    by_id = {row.exam_id: row for row in exams.itertuples()}
    return [by_id[exam] for exam in exam_ids]


def kind_shares(facts: pd.DataFrame | None = None) -> pd.DataFrame:
    """The kinds of case that the phantom draws from, with their shares and how many there are in a cohort."""
    rows = [
        {"finding": f, "kind": kind, "shows": SHOWS[kind], "drawn with": f"{share:.0%}"}
        for f, kinds in lesions.KINDS.items()
        for kind, share in kinds.items()
    ]
    table = pd.DataFrame(rows)
    if facts is not None:
        table["exams here"] = [int((facts["kind"] == kind).sum()) for kind in table["kind"]]
    table["finding"] = table["finding"].map(NAMES)
    return table.set_index(["finding", "kind"])
