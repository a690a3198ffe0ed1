"""Which patient goes to train, validation or test: drawn, stratified by finding; or as a data set's authors published it."""

import hashlib
import re
from collections.abc import Collection

import numpy as np
import pandas as pd

SPLITS = ("train", "validation", "test")
SPELT = {"train": "train training", "validation": "validation valid val dev", "test": "test testing"}
MIN_FOR_VALIDATION = 5


def parse_split(text: str) -> str | None:
    """The split that a person means, or None.

    >>> parse_split("Training"), parse_split("val"), parse_split("tset")
    ('train', 'validation', None)
    """
    plain = re.sub(r"[^a-z0-9]", "", text.lower())
    return next((split for split, spelt in SPELT.items() if plain in spelt.split()), None)


def allocate(
    patient_ids: pd.Series, ranks: pd.Series, fractions: tuple[float, float, float], salt: str
) -> dict[str, str]:
    """Patient id -> split, from the patient and the finding's rank (0 positive, above negative) of each exam.

    A patient belongs to the stratum of the lowest rank among the exams. Within a stratum the patients come in
    an order drawn from (salt, patient id), which no order of rows can change, and each goes where most exams
    are still wanting.

    Choice: a stratum of two patients or more has one in train and one in test, of five or more one in
    validation; smaller ones leave validation empty, for train and test need them more.

    Choice: where a negative finding has one patient only, all negatives are one stratum.

    Choice: not scikit-learn's StratifiedGroupKFold. Its 20 folds joined 15:1:4 give the same shares on a
    cohort of the paper's size, but it needs 20 exams of a finding, and its folds depend on the rows' order.

    >>> patients, ranks = pd.Series(["a", "b", "c", "d"]), pd.Series([0, 0, 1, 1])
    >>> sorted(allocate(patients, ranks, (0.75, 0.05, 0.2), "0").values())
    ['test', 'test', 'train', 'train']
    """
    stratum = ranks.groupby(patient_ids).min()
    if (stratum[stratum > 0].value_counts() == 1).any():
        stratum = stratum.clip(upper=1)
    exams = patient_ids.value_counts()
    splits = {}
    for _, group in stratum.groupby(stratum):
        patients = sorted(group.index, key=lambda p: hashlib.blake2b(f"{salt}/{p}".encode()).digest())
        wanting = np.array(fractions) * exams[patients].sum()
        reserved = [0, 2]
        if len(patients) >= MIN_FOR_VALIDATION and fractions[1] > 0:
            reserved.append(1)
        else:
            wanting[1] = -np.inf
        for place, patient in enumerate(patients):
            side = reserved[place] if place < len(reserved) else int(np.argmax(wanting))
            wanting[side] -= exams[patient]
            splits[patient] = SPLITS[side]
    return splits


# ------------------------------------------------------------------------------------------------ published lists


def listed_once(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The table with each picture once, and a note where lists share pictures.

    Choice: a picture that stands in two lists stays where it is tested, so that the test list is whole and nothing tested
    was trained on.

    Args:
        table: slice_id, split.

    >>> listed_once(pd.DataFrame({"slice_id": ["a", "a", "b"], "split": ["train", "test", "train"]}))[0]["split"].tolist()
    ['train', 'test']
    """
    lists = table[["slice_id", "split"]].drop_duplicates()
    shared = lists.loc[lists["slice_id"].duplicated(), "slice_id"].unique()
    order = table["split"].map(SPLITS.index)
    kept = table.loc[order.sort_values(kind="stable").index].drop_duplicates("slice_id", keep="last")
    note = "Images in more than one list: {}. Each stays in the test list, else in that of validation, and leaves the others."
    return kept, [note.format(some(shared))] if len(shared) else []


def against_files(listed: Collection[str], there: Collection[str]) -> list[str]:
    """Notes on pictures that are listed and not there, and on those that are there and in no list.

    Choice: a listed picture that is not there stays in the table; reading it then fails by name, or leaves it out with its
    reason (`cohort.on_bad_exam`). A picture in no list takes no part.

    >>> against_files(["a", "b"], ["b", "c"])
    ['Listed images that are not there: 1 (a).', 'Images in no list, which take no part: 1 (c).']
    """
    missing, spare = sorted(set(listed) - set(there)), sorted(set(there) - set(listed))
    notes = [f"Listed images that are not there: {some(missing)}."] if missing else []
    return notes + ([f"Images in no list, which take no part: {some(spare)}."] if spare else [])


def both_sides(table: pd.DataFrame) -> list[str]:
    """A note on patients whom the authors' own lists put on more than one side.

    Choice: they stay where their authors put them, for scores on a published split are compared with published scores; but
    they are counted, and said wherever the notes of the slices are shown.

    Args:
        table: patient_id ("" where it is not known), split.
    """
    known = table[(table["patient_id"] != "") & (table["split"] != "")]
    sides = known.groupby("patient_id")["split"].nunique()
    patients = sorted(sides.index[sides > 1])
    tested = known["patient_id"].isin(patients) & (known["split"] == "test")
    return [
        f"Patients on more than one side of the authors' split: {some(patients)} of {len(sides):,}, with {tested.sum():,} "
        "images in the test list: scores look better than they are. The split is kept as published."
    ] if patients else []  # fmt: skip


def some(names: Collection[str], shown: int = 3) -> str:
    """How many names, and the first of them.

    >>> some(["a", "b", "c", "d"])
    '4 (a, b, c ...)'
    """
    more = " ..." if len(names) > shown else ""
    return f"{len(names):,} ({', '.join(map(str, list(names)[:shown]))}{more})"
