"""What an exam or a picture shows, in one vocabulary, and which classes a study tells apart.

Three classes are the paper's future work (its section VI-4). Every table of the paper stays about COVID-19 against the
rest, whatever the number of classes: the probability of COVID-19 is one of the network's outputs in either case.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from covid_study.cohort.finding_names import meanings, mentions_covid
from covid_study.errors import CohortError

FINDINGS = ("covid", "cap", "non_pneumonia", "other")  # other: not COVID-19, and no more is known
POSITIVE = 1  # the network's output for COVID-19


def parse_finding(text: str) -> str | None:
    """The finding of an exam that a person means: one of FINDINGS, or None where `finding_names.unclear` says why.

    >>> [parse_finding(t) for t in ("COVID-19 subjects", "Cap", "Non pneumonia", "COVID-19 negative", "tumour")]
    ['covid', 'cap', 'non_pneumonia', 'other', None]
    """
    found = meanings(text)
    return found.pop() if len(found) == 1 else None


def parse_class(name: str) -> str | None:
    """The class of pictures that a name means: covid, non_covid, or the name as it is, for a data set has classes of its own.

    None where a name speaks of COVID-19 and it is not clear whether for or against.

    >>> [parse_class(n) for n in ("CT_COVID", "CT_NonCOVID", "COVID-19 negative", "covid_positive", "Normal", "COVID/CAP")]
    ['covid', 'non_covid', 'non_covid', 'covid', 'Normal', None]
    """
    if not mentions_covid(name):
        return name.strip()
    found = meanings(name)
    if found == {"covid"}:
        return "covid"
    return "non_covid" if found and "covid" not in found else None


def outputs(classes: Sequence[str]) -> tuple[str, ...]:
    """The classes in the order of the network's outputs.

    Choice: COVID-19 is output 1 of two or three, so that what weighs or reads the positive class (focal loss, the
    probability of COVID-19) is the same for both.

    >>> outputs(["covid", "negative"]), outputs(["covid", "cap", "non_pneumonia"])
    (('negative', 'covid'), ('cap', 'covid', 'non_pneumonia'))
    """
    positive, first, *others = classes
    return (first, positive, *others)


def numbers(findings: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    """The number of the network's output for each finding: int64 (n,).

    With two classes all that is not COVID-19 is 0, whatever the second is called.

    Raises:
        CohortError: a finding has no class of its own among three.

    >>> numbers(["covid", "cap", "non_pneumonia"], ["covid", "negative"])
    array([1, 0, 0])
    >>> numbers(["covid", "cap", "non_pneumonia"], ["covid", "cap", "non_pneumonia"])
    array([1, 0, 2])
    """
    given = np.asarray(findings, dtype=object)
    if len(classes) == 2:
        return (given == classes[0]).astype(np.int64)
    found = pd.Index(outputs(classes)).get_indexer(given)
    if (found < 0).any():
        raise CohortError(
            f"an exam has the finding '{given[found < 0][0]}', which is none of the classes {', '.join(classes)}. "
            "What to do: name it in cohort.classes, or leave the exam out."
        )
    return found.astype(np.int64)


def belongs(findings: pd.Series, classes: Sequence[str]) -> pd.Series:
    """Which exams are part of the study: with "negative" all, else those whose finding is named.

    >>> belongs(pd.Series(["covid", "cap", "non_pneumonia"]), ["covid", "cap"]).tolist()
    [True, True, False]
    """
    return findings.isin(classes) | ("negative" in classes)


def studied(exams: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """The exams that are part of the study.

    Raises:
        CohortError: a finding that is named as a class has no exam.

    >>> exams = pd.DataFrame({"exam_id": ["a", "b", "c"], "finding": ["covid", "cap", "non_pneumonia"]})
    >>> studied(exams, ["covid", "non_pneumonia"])["exam_id"].tolist()
    ['a', 'c']
    """
    absent = [name for name in classes if name != "negative" and not (exams["finding"] == name).any()]
    if absent:
        raise CohortError(
            f"no exam has the finding {' or '.join(absent)}, which cohort.classes names; there are "
            f"{', '.join(dict.fromkeys(exams['finding']))}. What to do: add such exams, or set cohort.classes to "
            "[covid, negative]."
        )
    return exams[belongs(exams["finding"], classes)].reset_index(drop=True)


def classes_of(findings: Sequence[str]) -> tuple[str, ...]:
    """COVID-19 first, the other classes by name.

    >>> classes_of(["non_pneumonia", "covid", "cap", "covid"])
    ('covid', 'cap', 'non_pneumonia')
    """
    return ("covid", *sorted(set(findings) - {"covid"}))
