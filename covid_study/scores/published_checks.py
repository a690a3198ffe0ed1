"""Do the numbers that paper B prints agree with each other? What can be worked out from the others is, and compared."""

import numpy as np
import pandas as pd

from covid_study.errors import StudyError
from covid_study.scores import published

FROM = {
    "f1": "precision and sensitivity (eq. 12)",
    "f1_counts": "sensitivity, specificity and the test slices of Table 2",
    "gmean": "sensitivity and specificity (eq. 13)",
    "sen_fall": "the sensitivity with all slices",
    "acc": "the sensitivity of each class and the test slices of Section 4.1.2",
}
TOLERANCE = {
    "B.6": 0.003,
    "B.7": 0.0005,
    "B.9": 0.0005,
}  # a mean of 10 repeats agrees less closely than one run
COVIDX_CT_TEST = {"non_pneumonia": 9450, "cap": 7395, "covid": 4346}  # Section 4.1.2


def slices_in_test() -> tuple[int, int]:
    """The slices with and without COVID-19 in the test split of COVID19-Diag (paper B, Table 2).

    >>> slices_in_test()
    (513, 1559)
    """
    images = published.table("B.2").query("column == 'test' and metric == 'images'").set_index("row")["value"]
    return int(images["covid"]), int(images.drop("covid").sum())


def agreement(name: str) -> pd.DataFrame:
    """Every number of a table that follows from others, as printed and as worked out (paper B, eq. 11 to 16).

    Table 6 agrees only if all its scores but the accuracy are one-vs-rest for COVID-19: so the paper's are.

    Args:
        name: "B.6", "B.7" or "B.9"; the other tables print nothing that follows from the rest.

    Returns:
        `row`, `column`, `metric`, `printed`, `recomputed`, `difference` (printed less recomputed; fractions),
        `source` (in words) and `agrees`.

    Raises:
        StudyError: nothing of the table can be worked out.

    >>> print(*agreement("B.6").query("metric == 'gmean'").iloc[0][["printed", "recomputed", "agrees"]])
    0.849 0.8491 True
    """
    if name not in TOLERANCE:
        raise StudyError(f"No number of {name} follows from others; choose one of {', '.join(TOLERANCE)}.")
    scores = published.table(name).pivot(index=["row", "column"], columns="metric", values="value")
    found = {"B.6": _imbalance, "B.7": _by_class, "B.9": _one_class}[name](scores)
    order = published.table(name)[["row", "column", "metric"]]
    lines = pd.concat(
        [
            pd.DataFrame(
                {"metric": key.removesuffix("_counts"), "recomputed": values.round(4), "source": FROM[key]}
            )
            for key, values in found.items()
        ]
    ).reset_index()
    lines = order.merge(lines.dropna(subset="recomputed"), on=["row", "column", "metric"])
    printed = scores.stack().rename("printed").reset_index()
    lines = lines.merge(printed, on=["row", "column", "metric"])
    lines["difference"] = (lines["printed"] - lines["recomputed"]).round(4)
    lines["agrees"] = lines["difference"].abs() <= TOLERANCE[name]
    return lines[["row", "column", "metric", "printed", "recomputed", "difference", "source", "agrees"]]


def _imbalance(scores: pd.DataFrame) -> dict[str, pd.Series]:
    positives, negatives = slices_in_test()
    found, false = scores["sen"] * positives, (1 - scores["spe"]) * negatives
    whole = scores["sen"].xs("100%").reindex(scores.index, level="column")
    return {
        "f1_counts": 2 * found / (found + false + positives),
        "gmean": np.sqrt(scores["sen"] * scores["spe"]),
        "sen_fall": (scores["sen"] - whole).where(scores["sen_fall"].notna()),
    }


def _by_class(scores: pd.DataFrame) -> dict[str, pd.Series]:
    slices = pd.Series(COVIDX_CT_TEST)
    right = scores[[f"sen_{finding}" for finding in slices.index]] * slices.to_numpy()
    accuracy = right.sum(axis=1, skipna=False) / slices.sum()
    return {"acc": accuracy.where(scores["acc"].notna())}


def _one_class(scores: pd.DataFrame) -> dict[str, pd.Series]:
    f1 = 2 * scores["pre"] * scores["sen"] / (scores["pre"] + scores["sen"])
    return {"f1": f1.where(scores["f1"].notna())}


def sentence() -> str:
    """How far the printed numbers of paper B agree with each other, in words.

    >>> sentence()[:73]
    'Of 45 numbers of paper B that follow from others, 41 agree; what does not'
    """
    checked = pd.concat(agreement(name).assign(table=name) for name in TOLERANCE)
    labels = pd.concat(published.table(name) for name in TOLERANCE).drop_duplicates(["table", "row"])
    wrong = checked[~checked["agrees"]].merge(labels[["table", "row", "label"]], on=["table", "row"])
    said = [
        f"{r.label} in Table {r.table[2:]} ({r.metric} {r.printed:.4f}, {r.recomputed:.4f} from {r.source})"
        for r in wrong.itertuples()
    ]
    return (
        f"Of {len(checked)} numbers of paper B that follow from others, {len(checked) - len(wrong)} agree; "
        f"what does not: {'; '.join(said)}."
    )
