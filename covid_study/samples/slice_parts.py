"""Slices cut out of exams or read from images into a store: images, packed masks, and a table of both (paper B, 3.1)."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from covid_study.cohort.bad_exams import BadExams
from covid_study.cohort.slices import AMOUNTS
from covid_study.ct.pictures import read_image
from covid_study.ct.to_slice import exam_slices, resize
from covid_study.errors import ExamError
from covid_study.samples.store import Part, arrays_of, fill, list_left_out


def of_exam(
    row, load: Callable, per_exam: int | None, size: int, crop: bool, how: Mapping, bad: BadExams
) -> dict:
    """The slices of one exam: images uint8 (n, size, size), packed masks, rows of the table, left_out.

    how: overlap and label_noise, see `exam_slices`.
    """
    try:
        volume, truth = load(row)
        done = exam_slices(volume, truth, row.exam_id, per_exam, size, crop, **how)
    except ExamError as error:
        return {"rows": [], "left_out": [bad.listed(error, row.path)]}
    lesions = np.zeros_like(done.lungs) if done.lesions is None else done.lesions
    rows = done.rows.assign(source=row.exam_id).to_dict("records")
    masks = {"lungs": _packed(done.lungs), "lesions": _packed(lesions)}
    return {"images": done.images, **masks, "rows": rows, "left_out": []}


def of_images(rows: Sequence, size: int, bad: BadExams) -> dict:
    """The same of a batch of images, which have neither masks nor places in a body.

    Choice: grey, cropped to their box where the data set has boxes and `slices.crop` asks for it, and resized; nothing
    else, for published pictures have been windowed, and often cropped, by those who made them.
    """
    images, kept, left_out = [], [], []
    for row in rows:
        try:
            images.append(resize(read_image(row.path, row.slice_id, row.box), size))
        except ExamError as error:
            left_out.append(bad.listed(error, row.path))
            continue
        kept.append({"slice_id": row.slice_id, "source": row.slice_id} | dict.fromkeys(AMOUNTS, np.nan))
    return {"images": np.array(images), "rows": kept, "left_out": left_out}


def _packed(masks: np.ndarray) -> np.ndarray:
    """Eight pixels a byte, a row a mask."""
    return np.packbits(masks.reshape(len(masks), -1), axis=1)


def build_slices(
    parts: Sequence[Part], folder: Path, size: int, workers: int | None = None, threads: bool = False
) -> None:
    """Make every part and gather them: slices.parquet, images.npy, lungs.npy, lesions.npy, left_out.csv.

    Args:
        parts: each makes some slices, see `of_exam`; the order of the slices is theirs.
        folder: to fill. size: pixels a side.
        workers, threads: see `store.fill`, which also says what is raised.
    """
    facts = fill(folder, parts, "cutting slices", workers, threads=threads)
    rows = [row for each in facts for row in each["rows"]]
    columns = ["slice_id", "source", *AMOUNTS]
    pd.DataFrame(rows, columns=columns).to_parquet(folder / "slices.parquet", index=False)
    list_left_out(folder, facts)
    shapes = {"images": (size, size)}
    for name, area in (("lungs", "lung_area_mm2"), ("lesions", "lesion_area_mm2")):
        if any(row[area] == row[area] for row in rows):  # NaN is not itself
            shapes[name] = (-(-size * size // 8),)
    for name, shape in shapes.items():
        file, whole = folder / f"{name}.npy", (len(rows), *shape)
        gathered, place = np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=whole), 0
        for n, each in enumerate(facts):
            if each["rows"]:
                with np.load(arrays_of(folder, n)) as part:
                    gathered[place : (place := place + len(each["rows"]))] = part[name]
        gathered.flush()
    shutil.rmtree(folder / "parts")
