"""A synthetic cohort of chest CT exams in HU with known lungs and lesions: what the study runs on without data of one's own.

An exam depends on (seed, exam id) only: its patient's anatomy on (seed, patient), everything else on (seed, exam id).
"""

import hashlib
import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from covid_study.cohort.exams import COLUMNS, PHANTOM
from covid_study.ct.volume import Volume
from covid_study.errors import StudyError
from covid_study.phantom import lesions as phantom_lesions, patient as phantom_anatomy, scanner

VISITS = {  # chance of a second, and of a third exam: paper A, III-A, 305/251, 872/869 and 1498/1475 exams a patient
    "covid": (0.165, 0.025),
    "cap": (0.0034, 0.0),
    "non_pneumonia": (0.0156, 0.0),
}
GOLDEN = (5**0.5 - 1) / 2
_ID = re.compile(r"(covid|cap|non_pneumonia)-(\d{4,})-([abc])")


@dataclass(frozen=True)
class PhantomExam:
    """A synthetic exam and its truth; lungs and lesions are bool arrays (z, y, x) on the volume's grid."""

    volume: Volume
    lungs: np.ndarray
    lesions: np.ndarray
    kind: str


def generator(seed: int, *words: str) -> np.random.Generator:
    """A generator for these words, the same in every process (Python's own hash is not)."""
    digest = hashlib.sha256("/".join(words).encode()).digest()
    return np.random.default_rng(np.random.SeedSequence([int(seed), int.from_bytes(digest[:8], "little")]))


def _parse(exam_id: str) -> tuple[str, str]:
    match = _ID.fullmatch(str(exam_id))
    if not match:
        raise StudyError(
            f"phantom exam {exam_id!r}: not an id of the synthetic cohort; expected FINDING-NUMBER-VISIT such as "
            f"'covid-0007-a' with a finding of {', '.join(phantom_lesions.KINDS)}. Use the ids of phantom.cohort()."
        )
    return match[1], f"{match[1]}-{match[2]}"


def _centre(seed: int, patient_id: str) -> scanner.Centre:
    """The patient's hospital, drawn without looking at the finding (the patient number alone would do)."""
    return scanner.CENTRES[int(generator(seed, "centre", patient_id).integers(len(scanner.CENTRES)))]


def kind_of(exam_id: str, seed: int) -> str:
    """Kind of case of an exam ("typical", "early", "lobar", "mimic", "clean", "nodules", "emphysema"), without making it.

    Choice: the kinds follow the golden ratio over the patients' numbers, so that any run of patients, and with it every
    split, has the same mix; drawn one by one, a quarter of a test split's 40 positives came out early instead of a tenth.

    >>> kind_of("cap-0001-a", 0) in ("lobar", "mimic")
    True
    """
    finding, patient = _parse(exam_id)
    step = int(patient.rsplit("-", 1)[1]) + 0.5 * "abc".index(exam_id[-1])
    return phantom_lesions.kind_of(finding, (generator(seed, "kind", finding).random() + step * GOLDEN) % 1.0)


def cohort(seed: int, counts: dict[str, dict[str, int]]) -> pd.DataFrame:
    """The exam table of a synthetic cohort; see `exams` for its columns.

    Paper A, III-A: some patients have several exams, about 1.2 each for COVID-19; a patient stays in one split.
    counts: exams per split and finding.
    Choice: the centre is drawn independently of the finding, so that it is no shortcut.

    >>> table = cohort(0, {"train": {"covid": 3, "cap": 2}, "test": {"covid": 1}})
    >>> table.groupby(["split", "finding"]).size().tolist()
    [1, 2, 3]
    """
    rows, numbers = [], dict.fromkeys(phantom_lesions.KINDS, 0)
    for split, wanted in counts.items():
        for finding, count in wanted.items():
            made = 0
            while made < count:
                patient = f"{finding}-{numbers[finding]:04d}"
                numbers[finding] += 1
                second, third = VISITS[finding]
                chance = generator(seed, "visits", patient).random()
                visits = 3 if chance < third else 2 if chance < second + third else 1
                for visit in "abc"[: min(visits, count - made)]:
                    centre = _centre(seed, patient).name
                    rows.append((f"{patient}-{visit}", patient, PHANTOM, finding, centre, split))
                    made += 1
    return pd.DataFrame(rows, columns=list(COLUMNS))


def make_exam(
    exam_id: str, seed: int, matrix: int = 512, thickness_mm: tuple[float, float] = (0.5, 10.0)
) -> PhantomExam:
    """Render one synthetic exam with its masks.

    Paper A, Table I gives the range of protocols. matrix: pixels a side; the field of view and the patient stay the same.
    thickness_mm: least and greatest slice thickness, which clip the centre's own. Lungs: as a radiologist outlines them, with
    vessels and lesions, without mediastinum, trachea and main bronchi. Raises StudyError for an id that is not one.
    Choice: slices are contiguous.

    >>> exam = make_exam("covid-0007-a", seed=0, matrix=64, thickness_mm=(10, 10))
    >>> exam.volume.hu.dtype, bool(exam.lungs[exam.lesions].all())
    (dtype('int16'), True)
    """
    _, patient_id = _parse(exam_id)
    low, high = (float(t) for t in thickness_mm)
    if not 0 < low <= high:
        raise StudyError(
            f"phantom exam {exam_id}: thickness_mm {tuple(thickness_mm)}; expected (least, greatest) in mm, above 0."
        )
    centre = _centre(seed, patient_id)
    anatomy = phantom_anatomy.build(generator(seed, "anatomy", patient_id))
    kind = kind_of(exam_id, seed)
    lesions = phantom_lesions.draw_lesions(anatomy, kind, generator(seed, "lesions", exam_id))
    grid, protocol = scanner.place(
        anatomy, centre, generator(seed, "place", exam_id), int(matrix), (low, high)
    )
    hu, lungs, ill = scanner.scan(
        anatomy, lesions, centre, grid, generator(seed, "scan", exam_id), protocol["kvp"]
    )
    return PhantomExam(Volume(hu, grid.spacing, protocol), lungs, ill, kind)
