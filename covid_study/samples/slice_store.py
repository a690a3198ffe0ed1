"""The store of slices: cut out of exams or read from images over all cores, resumed where it stopped."""

import json
import os
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from covid_study import paths
from covid_study.cohort.findings import studied
from covid_study.cohort.picture_layouts import find_data_set
from covid_study.cohort.slices import at_most, check_slices, split_patients
from covid_study.ct.pictures import read_image
from covid_study.ct.to_slice import exam_slices, resize
from covid_study.errors import ExamError
from covid_study.runtime.artefacts import artefact, write_atomically
from covid_study.runtime.failures import told
from covid_study.runtime.progress import progress
from covid_study.samples.cohorts import all_exams, files_of, loader, notes_on, sources
from covid_study.samples.samples import Samples

BATCH = 64  # images a part
MEASURED = ("position_mm", "lesion_area_mm2", "lesion_share", "lung_area_mm2")
Part = Callable[[], dict]  # what it returns: see `of_exam`


def slices(p) -> Samples:
    """The slices of the run in memory, on its device: of the user's images, or of the exams of `cohort` (paper B, 4.1).

    Choice: the phantom's exams are split 7 to 3 anew, by patient; paper A's split of them is 54:9:37. An exam table or a
    list of images that brings its own split keeps it, and so does a phantom in real bodies, for they are split with it.

    Choice: `slices.exams` limits the exams of a finding. Images are not limited by exam, for few data sets say which
    exam an image is of: at most exams x per_exam of a class are taken.

    Raises:
        CohortError: the exams or images cannot be used, or a finding has no slice to train on or to test with.
        StudyError: the disk is full, or a process died.
    """
    import torch  # here, because the processes that cut slices import this module

    from covid_study.runtime.device import find_device

    images = p.slices.images is not None
    name, table, notes = _images(p) if images else ("", _exams(p), notes_on(p))
    folder = _build(p, table, images)
    kept = pd.read_parquet(folder / "slices.parquet")
    source = "slice_id" if images else "exam_id"
    facts = table.set_index(source, drop=False).loc[
        kept["source"], ["exam_id", "patient_id", "finding", "split", "path"]
    ]
    joined = pd.concat([kept[["slice_id", *MEASURED]], facts.reset_index(drop=True)], axis=1)
    left_out = pd.read_csv(folder / "left_out.csv", dtype=str)
    reasons = [f"{bad}: {why}" for bad, why in zip(left_out["name"], left_out["problem"], strict=True)]
    checked = check_slices(joined, reasons, published_split=bool(name)).set_index("slice_id")
    data = torch.from_numpy(np.load(folder / "images.npy")).to(find_device(p.study.device))
    return Samples(checked, data, folder.name, folder, tuple(notes), name)


def _exams(p) -> pd.DataFrame:
    """The exams to cut slices from, split into train and test."""
    table = studied(all_exams(p), p.cohort.classes)
    if p.cohort.exams is None and p.cohort.phantom.background is None:
        table = table.assign(split="")
    table = split_patients(
        table.sort_values("exam_id", ignore_index=True), p.slices.train_share, p.cohort.split_seed
    )
    return at_most(table, p.slices.exams, p.cohort.split_seed)


def _images(p) -> tuple[str, pd.DataFrame, list[str]]:
    """The data set's name, the images to read, split into train and test, and what a reader must know about them."""
    path = Path(p.slices.images).expanduser()
    name, table, notes = find_data_set(path if path.is_absolute() else paths.root() / path)
    table = split_patients(table, p.slices.train_share, p.cohort.split_seed)
    limits = (p.slices.exams, p.slices.per_exam)
    taken = at_most(table, None if None in limits else limits[0] * limits[1], p.cohort.split_seed)
    if len(taken) < len(table):
        notes.append(
            f"Of {len(table):,} images {len(taken):,} are taken, at most {limits[0] * limits[1]:,} of a class "
            "(slices.exams x slices.per_exam of the parameters; null takes all)."
        )
    return name, taken, notes


def _build(p, table: pd.DataFrame, images: bool) -> Path:
    """The artefact that holds the slices of these exams or images. Neither finding nor split is part of its key."""
    size, per_exam, crop, bad = p.slices.size, p.slices.per_exam, p.slices.crop, p.cohort.on_bad_exam
    name = "slice_id" if images else "exam_id"
    synthetic = not images and p.cohort.exams is None
    boxes = table["box"].tolist() if images and crop and (table["box"] != "").any() else None
    config = {
        name: table[name].tolist(),
        "files": [files_of(path) for path in table["path"]] if images else sources(p, table),
        "phantom": p.cohort.phantom.model_dump(include={"seed", "matrix", "thickness_mm"})
        if synthetic
        else None,
        "size": size,
        "crop": boxes if images else crop,
        "per_exam": None if images else per_exam,
        "on_bad_exam": bad,
    }
    if images:
        table = table if boxes else table.assign(box="")
        groups = [table.iloc[start : start + BATCH] for start in range(0, len(table), BATCH)]
        parts = [partial(of_images, list(group.itertuples()), size, bad) for group in groups]
    else:
        load = loader(p)
        parts = [partial(of_exam, row, load, per_exam, size, crop, bad) for row in table.itertuples()]
    makers = ["ct.pictures"] if images else ["samples.store"] if synthetic else ["ct.files"]
    return artefact(
        paths.build(p.study.name) / "slices",
        "images" if images else "phantom" if synthetic else "exams",
        config,
        ["ct.to_slice", *makers],
        lambda folder: build_slices(parts, folder, size, p.study.workers, threads=images),
    )


def of_exam(row, load: Callable, per_exam: int | None, size: int, crop: bool, on_bad_exam: str) -> dict:
    """The slices of one exam, in a worker process: images uint8 (n, size, size), rows, left_out, and packed masks."""
    try:
        volume, truth = load(row)
        done = exam_slices(volume, truth, row.exam_id, per_exam, size, crop)
    except ExamError as error:
        return _nothing(error, row.path, size, on_bad_exam)
    lesions = np.zeros_like(done.lungs) if done.lesions is None else done.lesions
    return {
        "images": done.images,
        "lungs": _packed(done.lungs),
        "lesions": _packed(lesions),
        "rows": done.rows.assign(source=row.exam_id).to_dict("records"),
        "left_out": [],
    }


def of_images(rows: Sequence, size: int, on_bad_exam: str) -> dict:
    """The same of a batch of images, which have neither masks nor places in a body.

    Choice: grey, cropped to their box where the data set has boxes and `slices.crop` asks for it, and resized; nothing
    else, for published pictures have been windowed, and often cropped, by those who made them.
    """
    images, kept, left_out = [], [], []
    for row in rows:
        try:
            images.append(resize(read_image(row.path, row.slice_id, row.box), size))
        except ExamError as error:
            left_out += _nothing(error, row.path, size, on_bad_exam)["left_out"]
            continue
        kept.append({"slice_id": row.slice_id, "source": row.slice_id} | dict.fromkeys(MEASURED, np.nan))
    stacked = np.stack(images) if images else np.zeros((0, size, size), np.uint8)
    none = np.zeros((len(kept), 0), np.uint8)
    return {"images": stacked, "lungs": none, "lesions": none, "rows": kept, "left_out": left_out}


def _nothing(error: ExamError, path: str, size: int, on_bad_exam: str) -> dict:
    """The part of an exam or image that cannot be used."""
    if on_bad_exam == "stop":
        raise error
    none = np.zeros((0, -(-size * size // 8)), np.uint8)
    reason = {"name": error.exam_id, "path": path, "problem": error.problem, "remedy": error.remedy}
    images = np.zeros((0, size, size), np.uint8)
    return {"images": images, "lungs": none, "lesions": none, "rows": [], "left_out": [reason]}


def _packed(masks: np.ndarray) -> np.ndarray:
    """Eight pixels a byte, a row a mask."""
    return np.packbits(masks.reshape(len(masks), -1), axis=1)


def build_slices(
    parts: Sequence[Part], folder: Path, size: int, workers: int | None = None, threads: bool = False
) -> None:
    """Make every part and gather them: slices.parquet, images.npy, lungs.npy, lesions.npy, left_out.csv.

    Killed, it goes on with the parts that are missing; one in which something could not be used is made again.

    Args:
        parts: each makes some slices; the order of the slices is theirs.
        folder: to fill. size: pixels a side.
        workers: processes; None for one a core.
        threads: threads instead; enough for images, whose decoding leaves Python free.

    Raises:
        ExamError: of a part that stops at what it cannot use.
        StudyError: the disk is full, or a process died.
    """
    made = folder / "parts"
    made.mkdir(parents=True, exist_ok=True)
    missing = [n for n in range(len(parts)) if not _done(made / f"{n}.json")]
    workers = workers or len(os.sched_getaffinity(0))
    parallel = Parallel(
        n_jobs=min(workers, max(len(missing), 1)),
        return_as="generator_unordered",
        backend="threading" if threads else "loky",
    )
    jobs = (delayed(_make)(parts[n], made, n) for n in missing)
    with told("cut slices", "the slices", folder, workers):
        for _ in progress(parallel(jobs), "cutting slices", len(missing)):
            pass
        _gather(made, folder, len(parts), size)
        shutil.rmtree(made)


def _done(facts: Path) -> bool:
    return facts.is_file() and not json.loads(facts.read_text())["left_out"]


def _make(part: Part, made: Path, number: int) -> None:
    """One part, in a worker process; its facts are written last, and with them it counts as done."""
    result = part()
    facts = json.dumps({name: result.pop(name) for name in ("rows", "left_out")})

    def write(path: Path) -> None:
        with path.open("wb") as file:
            np.savez(file, **result)

    write_atomically(made / f"{number}.npz", write)
    write_atomically(made / f"{number}.json", lambda path: path.write_text(facts))


def _gather(made: Path, folder: Path, parts: int, size: int) -> None:
    """One file of images, one of each kind of mask, and the tables."""
    facts = [json.loads((made / f"{n}.json").read_text()) for n in range(parts)]
    rows = [row for each in facts for row in each["rows"]]
    columns = ["slice_id", "source", *MEASURED]
    pd.DataFrame(rows, columns=columns).to_parquet(folder / "slices.parquet", index=False)
    left_out = [reason for each in facts for reason in each["left_out"]]
    pd.DataFrame(left_out, columns=["name", "path", "problem", "remedy"]).to_csv(
        folder / "left_out.csv", index=False
    )
    shapes = {"images": (size, size)}
    for name, area in (("lungs", "lung_area_mm2"), ("lesions", "lesion_area_mm2")):
        if any(row[area] == row[area] for row in rows):  # NaN is not itself
            shapes[name] = (-(-size * size // 8),)
    for name, shape in shapes.items():
        whole = np.lib.format.open_memmap(
            folder / f"{name}.npy", mode="w+", dtype=np.uint8, shape=(len(rows), *shape)
        )
        place = 0
        for n in range(parts):
            with np.load(made / f"{n}.npz") as part:
                count = len(facts[n]["rows"])
                whole[place : place + count] = part[name]
                place += count
        whole.flush()
