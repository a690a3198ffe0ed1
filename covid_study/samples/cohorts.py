"""Which exams a run studies, and their preprocessed volumes; light to import, nothing here needs torch."""

from functools import partial
from pathlib import Path

import pandas as pd

from covid_study import paths
from covid_study.cohort.exam_layouts import find_exams
from covid_study.cohort.exams import SPLITS, check_exams, split_exams
from covid_study.cohort.findings import belongs, studied
from covid_study.phantom import cohort as phantom, real_bodies
from covid_study.runtime.artefacts import artefact, fingerprint, source_key
from covid_study.samples.store import VolumeStore, build_store, load_exam


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
    return split_exams(table, tuple(p.cohort.split), seed=p.cohort.split_seed)


def outside(p) -> pd.DataFrame:
    """The exams that are no part of the study, because their finding is none of its classes."""
    table = all_exams(p)
    return table[~belongs(table["finding"], p.cohort.classes)].reset_index(drop=True)


def all_exams(p) -> pd.DataFrame:
    """The phantom's exams with their splits, or the user's, checked and not yet split.

    Where the phantom's lesions lie in real exams, its own centres mean nothing and are left empty.
    """
    if p.cohort.exams is None:
        counts = p.cohort.phantom
        table = phantom.cohort(counts.seed, {s: getattr(counts, s).model_dump() for s in SPLITS})
        return table if counts.background is None else table.assign(centre="")
    return check_exams(find_exams(_absolute(p.cohort.exams)))


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
    found = real_bodies.find_bodies(_absolute(settings.background), sum(exams.values()))
    return real_bodies.prepare(
        found,
        paths.build(p.study.name) / "bodies",
        keys=[files_of(path) for path in found["path"]],
        exams=exams,
        matrix=settings.matrix,
        thickness_mm=tuple(settings.thickness_mm),
        seed=settings.seed,
        on_bad_exam=p.cohort.on_bad_exam,
        workers=p.study.workers,
    )


def notes_on(p) -> list[str]:
    """Sentences that a reader of the cohort's scores must know: which real exams the phantom's lesions lie in."""
    real = bodies(p) if p.cohort.exams is None else None
    return [] if real is None else [real.sentence()]


def loader(p):
    """The function that reads one exam of the cohort: (Volume, truth)."""
    settings = p.cohort.phantom
    how = {"seed": settings.seed, "matrix": settings.matrix, "thickness_mm": tuple(settings.thickness_mm)}
    real = bodies(p) if p.cohort.exams is None else None
    if real is not None:
        exams = all_exams(p)
        how["bodies"] = {row.exam_id: real.of(row.exam_id, row.split).folder for row in exams.itertuples()}
    return partial(load_exam, how=how)


def files_of(exam: str) -> str:
    """Fingerprint of the files behind an exam: names, sizes and times."""
    path = Path(exam)
    files = [f for f in (sorted(path.rglob("*")) if path.is_dir() else [path]) if f.is_file()]
    return fingerprint([(str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in files])


def sources(p, table: pd.DataFrame) -> list[str] | None:
    """What each exam of the table is made from: a fingerprint of its files, or of its real body; None for the pure phantom."""
    if p.cohort.exams is not None:
        return [files_of(path) for path in table["path"]]
    real = bodies(p)
    if real is None:
        return None
    side = all_exams(p).set_index("exam_id")["split"]
    return [Path(real.of(exam, side[exam]).folder).name for exam in table["exam_id"]]


def store(p) -> VolumeStore:
    """The preprocessed volumes of the cohort (paper A, IV-F2)."""
    table = cohort(p)
    made_from = sources(p, table)
    synthetic = p.cohort.exams is None
    settings = p.preprocessing
    # Neither the split nor the classes are part of the key: another split, or three classes, needs no volume anew.
    config = {
        "exams": table[["exam_id", "path", "finding"]].sort_values("exam_id").to_numpy().tolist(),
        "files": made_from and dict(zip(table["exam_id"], made_from, strict=True)),
        "phantom": p.cohort.phantom.model_dump(include={"seed", "matrix", "thickness_mm"})
        if synthetic
        else None,
        "preprocessing": settings.model_dump(),
        "on_bad_exam": p.cohort.on_bad_exam,
    }

    modules = ["samples.store"] if synthetic else ["ct.to_volume", "ct.files"]
    of_all = [config["preprocessing"], config["phantom"], source_key(modules)]

    def key(row) -> str:
        return fingerprint([row.exam_id, row.path, (config["files"] or {}).get(row.exam_id), *of_all])

    def compute(folder: Path) -> None:
        build_store(
            table,
            folder,
            shape=tuple(settings.shape),
            working_spacing_mm=tuple(settings.working_spacing_mm),
            load=loader(p),
            on_bad_exam=p.cohort.on_bad_exam,
            workers=p.study.workers,
            keys={row.exam_id: key(row) for row in table.itertuples()},
        )

    folder = artefact(
        paths.build(p.study.name) / "volumes", "phantom" if synthetic else "exams", config, modules, compute
    )
    return VolumeStore(folder)
