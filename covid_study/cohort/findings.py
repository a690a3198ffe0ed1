"""What an exam or a picture shows, in one vocabulary, and which classes a study tells apart.

Three classes are the paper's future work (its section VI-4). Every table of the paper stays about COVID-19 against the
rest, whatever the number of classes: the probability of COVID-19 is one of the network's outputs in either case.
"""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from covid_study.cohort.csv_files import spelled
from covid_study.errors import CohortError

FINDINGS = ("covid", "cap", "non_pneumonia", "other")  # other: not COVID-19, and no more is known
POSITIVE = 1  # the network's output for COVID-19
SPELLINGS = {
    "covid": "covid covid19 covid19pneumonia covidpneumonia coronavirus sarscov2 ncov",
    "cap": "cap communityacquiredpneumonia pneumonia otherpneumonia",
    "non_pneumonia": "nonpneumonia nopneumonia nonpneumonic normal healthy control controls",
    "other": "other noncovid notcovid nocovid noncovid19 notcovid19 nocovid19 covidnegative covid19negative negative",
}
_COVID = r"(covid|corona|ncov|sars[\W_]*cov|\bncp\b)"


def parse_finding(text: str) -> str | None:
    """The finding of an exam that a person means: one of FINDINGS, or None.

    >>> [parse_finding(t) for t in ("COVID-19 subjects", "Cap", "Non pneumonia", "tumour")]
    ['covid', 'cap', 'non_pneumonia', None]
    """
    plural = r"[\s_-]+(subjects|patients|cases|exams|scans)$"
    return spelled(re.sub(plural, "", str(text).strip(), flags=re.I), SPELLINGS)


def parse_class(name: str) -> str:
    """The class of pictures that a name means: covid, non_covid, or the name as it is, for a data set has classes of its own.

    >>> [parse_class(n) for n in ("CT_COVID", "CT_NonCOVID", "COVID-19 negative", "covid_positive", "Normal")]
    ['covid', 'non_covid', 'non_covid', 'covid', 'Normal']
    """
    plain = name.strip().lower()
    if not re.search(_COVID, plain):
        return name.strip()
    without = re.search(r"(non|not|no|without)[\W_]*" + _COVID, plain) or re.search(r"neg(ative)?\b", plain)
    return "non_covid" if without else "covid"


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
    findings = np.asarray(findings, dtype=object)
    if len(classes) == 2:
        return (findings == classes[0]).astype(np.int64)
    found = pd.Index(outputs(classes)).get_indexer(findings)
    if (found < 0).any():
        raise CohortError(
            f"an exam has the finding '{findings[found < 0][0]}', which is none of the classes {', '.join(classes)}. "
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
