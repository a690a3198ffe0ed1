"""Slices: the table of what is classified one by one, which slices of an exam are taken, and their split by patient."""

import hashlib
from collections.abc import Sequence

import numpy as np
import pandas as pd

from covid_study.cohort.findings import classes_of
from covid_study.cohort.splits import allocate
from covid_study.errors import CohortError

SIDES = ("train", "test")  # paper B has no validation split
ENOUGH = 0.2  # of the lung on the exam's fullest slice
SHOWS = 0.01  # of the lung on a slice that lesions fill, for a reader to choose it

# Of a slice table. Position above the exam's lowest slice, lesions as a share of the lung on the slice; NaN: not known.
AMOUNTS = ("position_mm", "lesion_area_mm2", "lesion_share", "lung_area_mm2")
COLUMNS = ("slice_id", "exam_id", "patient_id", "finding", "split", "path", *AMOUNTS)


def check_slices(
    table: pd.DataFrame, left_out: Sequence[str] = (), published_split: bool = False
) -> pd.DataFrame:
    """The slice table with its columns in order, fit to train on and to test with (paper B, 4.1).

    Args:
        left_out: sentences on what could not be used, for the error.
        published_split: the split is a public data set's own: a patient on both sides is then no error, but one of the
            slices' notes (`splits.both_sides`).

    Raises:
        CohortError: a patient is on both sides, a finding lacks on one side, there is one finding only.
    """
    table = table.reindex(columns=list(COLUMNS)).reset_index(drop=True)
    table = table.astype({name: float if name in AMOUNTS else str for name in COLUMNS})
    sides = table.groupby("patient_id")["split"].nunique()
    if (sides > 1).any() and not published_split:
        raise CohortError(
            f"patient {sides.idxmax()} is on both sides of the split: put all slices of a patient on one side"
        )
    findings, there = (
        list(dict.fromkeys(table["finding"])),
        set(zip(table["split"], table["finding"], strict=True)),
    )
    problems = [
        f"the {split} split holds no slice with the finding {finding}"
        for split in SIDES
        for finding in dict.fromkeys(["covid", *findings])
        if (split, finding) not in there
    ]
    if len(findings) == 1:
        problems.append(f"all slices have the finding {findings[0]}: another one is needed to tell it from")
    if problems:
        reasons = "".join(f"\n- {sentence}" for sentence in left_out[:5])
        more = f" {len(left_out)} were left out:{reasons}" if reasons else ""
        raise CohortError(
            f"{'; '.join(problems)}. What to do: add such exams or images (at least two patients of each finding).{more}"
        )
    return table


def choose(
    lung_areas: np.ndarray,
    count: int | None,
    overlap: float = 0.0,
    lesion_shares: np.ndarray | None = None,
    label_noise: float = 0.0,
    turn: float = 0.0,
) -> np.ndarray:
    """Which slices of an exam are taken: numbers of slices, ascending (paper B, 4.1: 2 to 54 a scan).

    Choice: a slice shows enough lung with a fifth of what the fullest slice shows. `count` of them lie in the middle of
    `count` equal parts of the lungs' height, so that neighbours, which are all but alike, are not taken.

    Choice: the paper selects its slices and does not say how: where the lesions are known, as a reader would, by a hundredth
    of the slice's lung that is ill. Labels are noisy, it says: a known share of slices without disease is given back.

    Args:
        lung_areas: of each slice, in any unit: (z,).
        count: how many; None: all that may be chosen. Fewer where there are fewer.
        overlap: 0: over the whole height; 1: one beside the other, in its middle.
        lesion_shares: of each slice's lung: (z,). None: not known, or to have no say: a slice of an ill patient may then show
            nothing and still has the finding of its exam.
        label_noise: the share of slices with disease that others take the place of. turn: in [0, 1), what decides whether
            a part of a slice is one more.

    >>> choose(np.array([0, 1, 5, 9, 10, 9, 5, 1, 0]), 2), choose(np.array([0, 1, 5, 9, 10, 9, 5, 1, 0]), None)
    (array([3, 5]), array([2, 3, 4, 5, 6]))
    >>> choose(np.ones(6), 2, overlap=1), choose(np.ones(6), None, lesion_shares=np.array([0, 0, 0.2, 0.3, 0, 0]))
    (array([2, 3]), array([2, 3]))
    """
    enough = np.flatnonzero((lung_areas > 0) & (lung_areas >= ENOUGH * np.max(lung_areas, initial=0)))
    shows = np.zeros(len(enough), bool) if lesion_shares is None else lesion_shares[enough] >= SHOWS
    if not shows.any():
        return _spread(enough, count, overlap)
    ill = _spread(enough[shows], count, overlap)
    others = _spread(enough[~shows], int(label_noise * len(ill) + turn), overlap)
    return np.sort(np.concatenate([_spread(ill, len(ill) - len(others), 0.0), others]))


def _spread(slices: np.ndarray, count: int | None, overlap: float) -> np.ndarray:
    """So many of these slices, each in the middle of its part of them."""
    if count is None or count >= len(slices):
        return slices
    height = max(count, round((1 - overlap) * len(slices)))
    slices = slices[(len(slices) - height) // 2 :][:height]
    return slices[((np.arange(count) + 0.5) * height / max(count, 1)).astype(int)]


def split_patients(table: pd.DataFrame, train_share: float, seed: int) -> pd.DataFrame:
    """The table with `split` filled with train and test: by patient, 7 to 3 (paper B, 4.1).

    Choice: stratified by finding. Choice: a split that the table brings along is kept, and its validation part trains, for
    paper B has none.

    Args:
        table: exams or images, with patient_id, finding and split ("" where there is none).

    Raises:
        CohortError: COVID-19, or all else, has fewer than two patients.

    >>> table = pd.DataFrame({"patient_id": list("abcdef"), "finding": ["covid"] * 3 + ["cap"] * 3, "split": ""})
    >>> split_patients(table, 0.7, 0).groupby("finding")["split"].value_counts().to_dict()
    {('cap', 'train'): 2, ('cap', 'test'): 1, ('covid', 'train'): 2, ('covid', 'test'): 1}
    """
    if (table["split"] != "").all():
        return table.assign(split=table["split"].replace("validation", "train"))
    covid = table["finding"] == "covid"
    for name, rows in (("the finding covid", covid), ("another finding", ~covid)):
        if (patients := table.loc[rows, "patient_id"].nunique()) < 2:
            raise CohortError(
                f"patients with {name}: {patients}; at least two are needed, one to train and one to test. What to do: add "
                "exams or images of another patient."
            )
    order = classes_of(table["finding"])
    sides = allocate(
        table["patient_id"], table["finding"].map(order.index), (train_share, 0.0, 1 - train_share), str(seed)
    )
    return table.assign(split=table["patient_id"].map(sides))


def in_drawn_order(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The rows patient by patient, in an order drawn from the patients' names, which those of others cannot change.

    >>> in_drawn_order(pd.DataFrame({"patient_id": list("abab")}), 0)["patient_id"].tolist()
    ['b', 'b', 'a', 'a']
    """
    drawn = table["patient_id"].map(lambda patient: hashlib.blake2b(f"{seed}/{patient}".encode()).hexdigest())
    return table.loc[drawn.sort_values(kind="stable").index]


def at_most(table: pd.DataFrame, count: int | None, seed: int) -> pd.DataFrame:
    """At most so many rows of each finding, drawn by patient, with the shares of train and test as they are.

    Patients come in the order of `in_drawn_order`. Each side keeps one at least.

    >>> table = pd.DataFrame({"patient_id": list("aabcdef"), "finding": "covid", "split": ["train"] * 5 + ["test"] * 2})
    >>> at_most(table, 3, 0)["split"].value_counts().to_dict()
    {'train': 2, 'test': 1}
    """
    if count is None:
        return table
    ordered = in_drawn_order(table, seed)
    of_finding = table["finding"].value_counts()
    kept = []
    for (finding, _), rows in ordered.groupby(["finding", "split"], sort=True):
        share = len(rows) / of_finding[finding]
        kept += list(rows.index[: max(1, int(min(count, of_finding[finding]) * share + 0.5 - 1e-9))])
    return table.loc[sorted(kept)].reset_index(drop=True)


def counts(table: pd.DataFrame) -> pd.DataFrame:
    """Patients, exams and slices of each finding and split (paper B, Table 2), COVID-19 first.

    >>> table = pd.DataFrame({"finding": ["cap", "covid"], "split": "train", "patient_id": ["a", "b"],
    ...                       "exam_id": ["a", "b"]})
    >>> counts(table).to_dict("records")[0]
    {'finding': 'covid', 'split': 'train', 'patients': 1, 'exams': 1, 'slices': 1}
    """
    grouped = table.groupby(["finding", "split"])
    numbers = grouped.agg(
        patients=("patient_id", "nunique"), exams=("exam_id", "nunique"), slices=("exam_id", "size")
    )
    findings = classes_of(table["finding"])
    order = [(finding, split) for finding in findings for split in SIDES if (finding, split) in numbers.index]
    return numbers.loc[order].reset_index()
