"""Which exams a run studies, and their preprocessed volumes; light to import, nothing here needs torch."""

from functools import partial
from pathlib import Path

import pandas as pd

from covid_study import paths, phantom
from covid_study.cache import artefact, fingerprint, source_key
from covid_study.classes import belongs, studied
from covid_study.datasets import find_exams
from covid_study.exams import check_exams, split_exams
from covid_study.store import VolumeStore, build_store, load_exam


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
    """The phantom's exams with their splits, or the user's, checked and not yet split."""
    if p.cohort.exams is None:
        counts = p.cohort.phantom
        return phantom.cohort(
            counts.seed, {s: getattr(counts, s).model_dump() for s in ("train", "validation", "test")}
        )
    path = Path(p.cohort.exams)
    return check_exams(find_exams(path if path.is_absolute() else paths.root() / path))


def loader(p):
    """The function that reads one exam of the cohort: (Volume, truth)."""
    settings = p.cohort.phantom
    how = {"seed": settings.seed, "matrix": settings.matrix, "thickness_mm": tuple(settings.thickness_mm)}
    return partial(load_exam, how=how)


def files_of(exam: str) -> str:
    """Fingerprint of the files behind an exam: names, sizes and times."""
    path = Path(exam)
    files = [f for f in (sorted(path.rglob("*")) if path.is_dir() else [path]) if f.is_file()]
    return fingerprint([(str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in files])


def store(p) -> VolumeStore:
    """The preprocessed volumes of the cohort (paper A, IV-F2)."""
    table = cohort(p)
    synthetic = p.cohort.exams is None
    settings = p.preprocessing
    # Neither the split nor the classes are part of the key: another split, or three classes, needs no volume anew.
    config = {
        "exams": table[["exam_id", "path", "finding"]].sort_values("exam_id").to_numpy().tolist(),
        "files": None
        if synthetic
        else dict(zip(table["exam_id"], map(files_of, table["path"]), strict=True)),
        "phantom": p.cohort.phantom.model_dump(include={"seed", "matrix", "thickness_mm"})
        if synthetic
        else None,
        "preprocessing": settings.model_dump(),
        "on_bad_exam": p.cohort.on_bad_exam,
    }

    modules = ["store"] if synthetic else ["preprocess", "readers"]
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
