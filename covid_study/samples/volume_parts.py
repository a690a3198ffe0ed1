"""Exams preprocessed into a store of volumes: a file an exam, and the facts of each (paper A, IV-F2)."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import pandas as pd

from covid_study.cohort.bad_exams import LISTED, BadExams
from covid_study.ct import to_volume
from covid_study.ct.volume import Volume
from covid_study.errors import ExamError
from covid_study.runtime.artefacts import write_atomically
from covid_study.samples.store import arrays_of, fill, is_done, list_left_out, write_facts

Loaded = tuple[Volume, dict[str, np.ndarray] | None]


@dataclass(frozen=True)
class VolumeStore:
    """A finished store; `table` has a row an exam: exam_id, finding, protocol, facts, and its place `position`."""

    folder: Path

    @cached_property
    def table(self) -> pd.DataFrame:
        return pd.read_parquet(self.folder / "exams.parquet")

    @cached_property
    def left_out(self) -> pd.DataFrame:
        """Name, problem and remedy of the exams that could not be used."""
        return pd.read_csv(self.folder / "left_out.csv", dtype=str)

    @cached_property
    def histograms(self) -> pd.DataFrame:
        """Shares of lung voxels in bins of HU, a row an exam."""
        return pd.read_parquet(self.folder / "histograms.parquet")

    @property
    def notes(self) -> list[str]:
        """What a reader of the cohort must know of its files."""
        passed = (
            self.table["passed_over"].fillna(0) if "passed_over" in self.table else pd.Series(dtype=float)
        )
        said = f"{passed.sum():.0f} files of {(passed > 0).sum()} exams are no CT slices (scouts, reports): passed over."
        return [said] if passed.sum() else []

    def load(self, exam_ids: list[str]) -> np.ndarray:
        """The volumes of these exams: uint8 (n, z, y, x).

        Choice: 256 steps of the lung window, 5.9 HU each: a quarter of the memory of the floats in [0, 1] that the paper names.
        """
        result = None
        for n, place in enumerate(self.table.set_index("exam_id")["position"].loc[exam_ids]):
            with np.load(arrays_of(self.folder, place)) as kept:
                image = kept["image"]
            result = np.empty((len(exam_ids), *image.shape), np.uint8) if result is None else result
            result[n] = image
        return result


def build_volumes(
    exams: pd.DataFrame,
    folder: Path,
    *,
    shape: tuple[int, int, int],
    working_spacing_mm: tuple[float, float, float],
    load: Callable[..., Loaded],
    bad: BadExams = LISTED,
    workers: int | None = None,
    keys: dict[str, str] | None = None,
) -> None:
    """Preprocess every exam of the table into `folder` (paper A, IV-F2); killed, it goes on with those that are missing.

    Args:
        exams: the exam table.
        shape, working_spacing_mm: see `to_volume.preprocess`.
        load: from a row of the table to (Volume, truth); runs in worker processes.
        bad: what happens to an exam that cannot be used.
        workers: processes; None for one a core.
        keys: of each exam id, what its volume depends on; an exam that a store beside this one holds under the same key is
            copied from there, so that one mended exam in a thousand computes one, not a thousand.

    Raises:
        ExamError: the first bad exam, where `bad` stops at it.
        StudyError: the disk is full, or a process died.
    """
    exams, keys = exams.sort_values("exam_id", ignore_index=True), keys or {}
    _copy_known(exams, folder, keys)
    how = (shape, working_spacing_mm, load, bad)
    parts = [partial(of_exam, row, *how, keys.get(row.exam_id)) for row in exams.itertuples()]
    needs = f" needs about {len(exams) * int(np.prod(shape)) / 1e6:.0f} MB"
    facts = fill(folder, parts, "preprocessing exams", workers, needs=needs)
    _write_tables(exams, folder, facts)


def of_exam(row, shape, working_spacing_mm, load, bad: BadExams, key: str | None = None) -> dict:
    """Preprocess one exam: its volume, and its facts."""
    try:
        volume, truth = load(row)
        done = to_volume.preprocess(
            volume.hu, volume.spacing_mm, shape, working_spacing_mm, row.exam_id, truth
        )
    except ExamError as error:
        return {"left_out": [bad.listed(error, row.path)]}
    spacing = {"spacing_z_mm": volume.spacing_mm[0], "spacing_xy_mm": volume.spacing_mm[1]}
    measured = {**done.facts, **volume.protocol, **spacing}
    facts = {"measured": measured, "histogram": done.histogram.tolist(), "key": key, "left_out": []}
    return {"image": done.image} | facts


def _copy_known(exams: pd.DataFrame, folder: Path, keys: dict[str, str]) -> None:
    """Take exams over from the stores beside this one, finished or not, where they are there under the same key."""
    missing = [row for row in exams.itertuples() if row.exam_id in keys and not is_done(folder, row.Index)]
    known: dict[str, tuple[dict, Path]] = {}
    for file in folder.parent.glob("*/parts/*.json") if missing else ():  # pathlib's * matches .partial- too
        volume = file.with_suffix(".npz")
        if file.parent.parent != folder and volume.is_file():
            facts = json.loads(file.read_text())
            known[facts.get("key")] = facts, volume
    for row in missing:
        if keys[row.exam_id] in known:
            facts, volume = known[keys[row.exam_id]]
            write_atomically(arrays_of(folder, row.Index), partial(shutil.copyfile, volume))
            write_facts(folder, row.Index, facts)


def _write_tables(exams: pd.DataFrame, folder: Path, facts: list[dict]) -> None:
    """exams.parquet, histograms.parquet and left_out.csv from the facts of all exams."""
    list_left_out(folder, facts)
    good = [i for i, each in enumerate(facts) if not each["left_out"]]
    kept = exams.loc[good, ["exam_id", "finding"]].reset_index(drop=True)
    table = pd.concat([kept, pd.DataFrame([facts[i]["measured"] for i in good])], axis=1)
    histograms = pd.DataFrame([facts[i]["histogram"] for i in good], index=pd.Index(kept["exam_id"]))
    histograms.rename(columns=str).to_parquet(folder / "histograms.parquet")
    table.assign(position=good).to_parquet(folder / "exams.parquet", index=False)
