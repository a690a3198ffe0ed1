"""Which exams a run studies, and how one is read; nothing here needs torch."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from covid_study import paths
from covid_study.cohort.bad_exams import BadExams
from covid_study.cohort.exam_layouts import find_exams, notes_on_exams
from covid_study.cohort.exams import PHANTOM, SPLITS, split_exams
from covid_study.cohort.findings import belongs, studied
from covid_study.cohort.folders import states
from covid_study.cohort.identity import Names, unnamed
from covid_study.ct import files
from covid_study.ct.volume import Volume
from covid_study.phantom import background, cohort as phantom, real_bodies
from covid_study.runtime.artefacts import fingerprint


def cohort(p) -> pd.DataFrame:
    """The exam table of the run, split by patient: the user's exams, or the phantom's (paper A, III-A and V-A).

    Deviation: the phantom's test split is larger than a fifth, because it costs nothing and intervals need it.

    Choice: exams of a finding that is none of the classes are left out before the split, so that both sides keep every class.

    Raises:
        CohortError: the exam table cannot be used, or a class has no exams.
    """
    table = studied(all_exams(p), p.cohort.classes)
    if p.cohort.exams is None:
        return table
    with unnamed(_absolute(p.cohort.exams), are_named(p)):
        split = split_exams(table, tuple(p.cohort.split), seed=p.cohort.split_seed)
    return hidden(p, split)


def outside(p) -> pd.DataFrame:
    """The exams that are no part of the study, because their finding is none of its classes."""
    table = all_exams(p)
    return hidden(p, table[~belongs(table["finding"], p.cohort.classes)].reset_index(drop=True))


def hidden(p, table: pd.DataFrame) -> pd.DataFrame:
    """The table with aliases for the ids of real exams and their patients, see `cohort.identity`; splits are made before."""
    return table if are_named(p) else Names(table).hidden(table)


def are_named(p) -> bool:
    """Whether ids are shown as they are: the phantom's, or where `study.show_patient_ids` says so."""
    return p.cohort.exams is None or p.study.show_patient_ids


def bad_exams(p, public: bool = False) -> BadExams:
    """What becomes of exams and images that cannot be used. public: their names are nobody's, such as published ones."""
    return BadExams(p.cohort.on_bad_exam == "stop", public or p.study.show_patient_ids)


def all_exams(p) -> pd.DataFrame:
    """The phantom's exams with their splits, or the user's, checked and not yet split.

    Where the phantom's lesions lie in real exams, its own centres mean nothing and are left empty.
    """
    if p.cohort.exams is None:
        counts = p.cohort.phantom
        table = phantom.cohort(counts.seed, {s: getattr(counts, s).model_dump() for s in SPLITS})
        return table if counts.background is None else table.assign(centre="")
    path = _absolute(p.cohort.exams)
    with unnamed(path, p.study.show_patient_ids):
        return find_exams(path)


def _absolute(path: str) -> Path:
    return paths.root() / Path(path).expanduser()  # an absolute path stays itself


def bodies(p) -> real_bodies.Bodies | None:
    """The real exams that the phantom's lesions lie in, read and shared out; None where its bodies are synthetic.

    Raises:
        CohortError: the background cannot be used, or has fewer than two patients without pneumonia.
        ExamError: one of its exams cannot be used, and `on_bad_exam` is "stop".
    """
    settings = p.cohort.phantom
    if settings.background is None:
        return None
    exams = {s: sum(getattr(settings, s).model_dump().values()) for s in SPLITS}
    background_at = _absolute(settings.background)
    with unnamed(background_at, p.study.show_patient_ids):
        found = real_bodies.find_bodies(background_at, sum(exams.values()))
    return real_bodies.prepare(
        found,
        paths.build(p.study.name) / "bodies",
        keys=[files_of(path) for path in found["path"]],
        bad=bad_exams(p),
        burnt_in=p.cohort.burnt_in,
        exams=exams,
        matrix=settings.matrix,
        thickness_mm=tuple(settings.thickness_mm),
        seed=settings.seed,
        workers=p.study.workers,
    )


def notes_on(p) -> list[str]:
    """Sentences that a reader of the cohort's scores must know: which real exams the phantom's lesions lie in, what of
    the user's exams takes no part or stands there twice."""
    if p.cohort.exams is not None:
        return notes_on_exams(_absolute(p.cohort.exams), hidden(p, all_exams(p)), are_named(p))
    real = bodies(p)
    return [] if real is None else [real.sentence()]


def load_exam(row, how: dict) -> tuple[Volume, dict[str, np.ndarray] | None]:
    """Read one exam of the table: from its file or folder, or make it where it is the phantom's.

    Args:
        row: of the exam table, with exam_id and path.
        how: seed, matrix and thickness_mm of the phantom; burnt_in, see `read_volume`; "bodies", where its lesions lie in
            real exams: the folder of the body of each exam id, see `real_bodies`.

    Returns:
        The volume, and for the phantom its true masks "lungs" and "lesions".
    """
    if row.path == PHANTOM and how.get("bodies"):
        body = real_bodies.load_body(how["bodies"][row.exam_id])
        exam = background.make_exam(row.exam_id, how["seed"], body)
        return exam.volume, {"lungs": exam.lungs, "lesions": exam.lesions}
    if row.path == PHANTOM:
        exam = phantom.make_exam(row.exam_id, how["seed"], how["matrix"], tuple(how["thickness_mm"]))
        return exam.volume, {"lungs": exam.lungs, "lesions": exam.lesions}
    return files.read_volume(row.path, row.exam_id, how["burnt_in"]), None


def loader(p):
    """The function that reads one exam of the cohort: (Volume, truth)."""
    how = (made_as(p) or {}) | {"burnt_in": p.cohort.burnt_in}
    real = bodies(p) if p.cohort.exams is None else None
    if real is not None:
        exams = all_exams(p)
        how["bodies"] = {row.exam_id: real.of(row.exam_id, row.split).folder for row in exams.itertuples()}
    return partial(load_exam, how=how)


def made_as(p) -> dict | None:
    """What the phantom's exams depend on; None where the exams are the user's."""
    if p.cohort.exams is not None:
        return None
    return p.cohort.phantom.model_dump(include={"seed", "matrix", "thickness_mm"})


def files_of(exam: str) -> str:
    """Fingerprint of the files behind an exam: names, sizes and times."""
    return fingerprint([(str(file), state.st_size, state.st_mtime_ns) for file, state in states(Path(exam))])


def sources(p, table: pd.DataFrame) -> list[str] | None:
    """What each exam of the table is made from: a fingerprint of its files, or of its real body; None for the pure phantom."""
    if p.cohort.exams is not None:
        return [files_of(path) + "+burnt_in" * p.cohort.burnt_in for path in table["path"]]
    real = bodies(p)
    if real is None:
        return None
    side = all_exams(p).set_index("exam_id")["split"]
    return [Path(real.of(exam, side[exam]).folder).name for exam in table["exam_id"]]
