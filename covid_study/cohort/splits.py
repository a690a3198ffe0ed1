"""Which patient goes to train, validation or test: stratified by finding, exact to a patient or two."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd

SPLITS = ("train", "validation", "test")
MIN_FOR_VALIDATION = 5


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
            wanting[1] = 0
        for place, patient in enumerate(patients):
            side = reserved[place] if place < len(reserved) else int(np.argmax(wanting))
            wanting[side] -= exams[patient]
            splits[patient] = SPLITS[side]
    return splits
