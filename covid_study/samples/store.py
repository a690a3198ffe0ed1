"""The store of preprocessed volumes: zarr, one chunk an exam, built over all cores and resumed where it stopped."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import zarr
from joblib import Parallel, delayed

from covid_study.cohort.exams import PHANTOM
from covid_study.ct import files, to_volume
from covid_study.ct.volume import Volume
from covid_study.errors import CohortError, ExamError
from covid_study.phantom import background, cohort, real_bodies
from covid_study.runtime.artefacts import write_atomically
from covid_study.runtime.failures import told
from covid_study.runtime.progress import progress

Loaded = tuple[Volume, dict[str, np.ndarray] | None]


def load_exam(row, how: dict) -> Loaded:
    """Read one exam of the table: from its file or folder, or make it where it is the phantom's.

    Args:
        row: of the exam table, with exam_id and path.
        how: seed, matrix and thickness_mm of the phantom; "bodies", where its lesions lie in real exams: the folder of
            the body of each exam id, see `phantom_bodies`.

    Returns:
        The volume, and for the phantom its true masks "lungs" and "lesions".
    """
    if row.path == PHANTOM and how.get("bodies"):
        body = real_bodies.load_body(how["bodies"][row.exam_id])
        exam = background.make_exam(row.exam_id, how["seed"], body)
        return exam.volume, {"lungs": exam.lungs, "lesions": exam.lesions}
    if row.path == PHANTOM:
        exam = cohort.make_exam(row.exam_id, how["seed"], how["matrix"], tuple(how["thickness_mm"]))
        return exam.volume, {"lungs": exam.lungs, "lesions": exam.lesions}
    return files.read_volume(row.path, row.exam_id), None


@dataclass(frozen=True)
class VolumeStore:
    """A finished store; `table` has a row an exam: exam_id, finding, protocol, facts, and its place `position`."""

    folder: Path

    @cached_property
    def table(self) -> pd.DataFrame:
        return pd.read_parquet(self.folder / "exams.parquet")

    @cached_property
    def left_out(self) -> pd.DataFrame:
        """exam_id, problem and remedy of the exams that could not be used."""
        return pd.read_csv(self.folder / "left_out.csv", dtype=str)

    @cached_property
    def histograms(self) -> pd.DataFrame:
        """Shares of lung voxels in bins of HU, a row an exam."""
        return pd.read_parquet(self.folder / "histograms.parquet")

    def load(self, exam_ids: list[str]) -> np.ndarray:
        """The volumes of these exams: uint8 (n, z, y, x)."""
        array = zarr.open_array(self.folder / "volumes.zarr", mode="r")
        position = self.table.set_index("exam_id")["position"]
        result = np.empty((len(exam_ids), *array.shape[1:]), np.uint8)
        for n, exam in enumerate(exam_ids):
            result[n] = array[int(position[exam])]
        return result


def build_store(
    exams: pd.DataFrame,
    folder: Path,
    *,
    shape: tuple[int, int, int],
    working_spacing_mm: tuple[float, float, float],
    load: Callable[..., Loaded],
    on_bad_exam: str = "leave_out",
    workers: int | None = None,
    keys: dict[str, str] | None = None,
) -> None:
    """Preprocess every exam of the table into `folder` (paper A, IV-F2).

    Killed, it goes on with the exams that are missing: an exam's facts are written after its chunk, in one step.

    Args:
        exams: the exam table.
        shape, working_spacing_mm: see `to_volume.preprocess`.
        load: from a row of the table to (Volume, truth); runs in worker processes.
        on_bad_exam: "leave_out" lists an exam that cannot be used and goes on; "stop" raises its error. What was computed
            stays in both cases.
        workers: processes; None for one a core.
        keys: of each exam id, what its volume depends on; an exam that a store beside this one holds under the same key is
            copied from there, so that one mended exam in a thousand computes one, not a thousand.

    Raises:
        ExamError: the first bad exam, where `on_bad_exam` is "stop".
        CohortError: no exam, no positive or no negative could be used.
        StudyError: the disk is full.
    """
    facts_folder = folder / "facts"
    facts_folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "volumes.zarr" / "zarr.json").is_file():
        zarr.create_array(
            folder / "volumes.zarr",
            shape=(len(exams), *reversed(shape)),
            chunks=(1, *reversed(shape)),
            dtype="uint8",
            overwrite=True,
        )
    exams = exams.sort_values("exam_id", ignore_index=True)
    missing = [row for row in exams.itertuples() if not _done(facts_folder / f"{row.Index}.json")]
    keys = keys or {}
    if keys and missing:
        _copy_known(missing, folder, keys)
        missing = [row for row in missing if not _done(facts_folder / f"{row.Index}.json")]
    workers = workers or len(os.sched_getaffinity(0))
    jobs = (
        delayed(_one)(row, folder, shape, working_spacing_mm, load, on_bad_exam, keys.get(row.exam_id))
        for row in missing
    )
    parallel = Parallel(
        n_jobs=min(workers, max(len(missing), 1)), return_as="generator_unordered", batch_size="auto"
    )
    needs = f" needs about {len(exams) * int(np.prod(shape)) / 1e6:.0f} MB"
    with told("preprocessed exams", "the exams", folder, workers, needs):
        for _ in progress(parallel(jobs), "preprocessing exams", len(missing)):
            pass
    _finish(exams, folder)


def _done(facts: Path) -> bool:
    """Whether an exam is in the store. One that was left out is tried again: what kept it out may be gone by now."""
    return facts.is_file() and "problem" not in json.loads(facts.read_text())


def _one(
    row, folder: Path, shape, working_spacing_mm, load, on_bad_exam: str, key: str | None = None
) -> None:
    """One exam, in a worker process."""
    try:
        volume, truth = load(row)
        done = to_volume.preprocess(
            volume.hu, volume.spacing_mm, shape, working_spacing_mm, row.exam_id, truth
        )
        zarr.open_array(folder / "volumes.zarr", mode="r+")[row.Index] = done.image
        protocol = {
            **volume.protocol,
            "spacing_z_mm": volume.spacing_mm[0],
            "spacing_xy_mm": volume.spacing_mm[1],
        }
        record = {**done.facts, "protocol": protocol, "histogram": done.histogram.tolist(), "key": key}
    except ExamError as error:
        if on_bad_exam == "stop":
            raise
        record = {"problem": error.problem, "remedy": error.remedy}
    text = json.dumps(record, default=float)
    _write_facts(folder, row.Index, text)


def _copy_known(missing: list, folder: Path, keys: dict[str, str]) -> None:
    """Take exams over from the stores beside this one, finished or not, where they are there under the same key."""
    known: dict[str, tuple[Path, int]] = {}
    for facts in folder.parent.glob("*/facts/*.json"):  # pathlib's * matches .partial- too
        if facts.parent.parent != folder:
            known[json.loads(facts.read_text()).get("key")] = facts, int(facts.stem)
    target = zarr.open_array(folder / "volumes.zarr", mode="r+")
    for row in missing:
        if keys[row.exam_id] in known:
            facts, place = known[keys[row.exam_id]]
            target[row.Index] = zarr.open_array(facts.parent.parent / "volumes.zarr", mode="r")[place]
            _write_facts(folder, row.Index, facts.read_text())


def _write_facts(folder: Path, place: int, text: str) -> None:
    """Last of all that is written of an exam: with its facts it counts as done."""
    write_atomically(folder / "facts" / f"{place}.json", lambda path: path.write_text(text))


def _finish(exams: pd.DataFrame, folder: Path) -> None:
    """Gather the exams' facts into tables."""
    records = [json.loads((folder / "facts" / f"{i}.json").read_text()) for i in range(len(exams))]
    bad = [i for i, record in enumerate(records) if "problem" in record]
    left_out = pd.DataFrame(
        [{"exam_id": exams.exam_id[i], "path": exams.path[i], **records[i]} for i in bad],
        columns=["exam_id", "path", "problem", "remedy"],
    )
    good = [i for i in range(len(exams)) if i not in set(bad)]
    for wanted, what in ((exams.finding == "covid", "positive"), (exams.finding != "covid", "negative")):
        if not wanted[good].any():
            raise CohortError(
                f"no {what} exam could be used of {int(wanted.sum())}; {len(bad)} exams were left out in all. "
                "What to do: mend them, then call again. "
                + " ".join(f"exam {r.exam_id}: {r.problem}." for r in left_out.head(3).itertuples())
            )
    facts = [
        {k: v for k, v in records[i].items() if k not in ("histogram", "protocol", "key")}
        | records[i]["protocol"]
        for i in good
    ]
    ids = exams.loc[good, "exam_id"].to_numpy()
    table = pd.concat(
        [exams.loc[good, ["exam_id", "finding"]].reset_index(drop=True), pd.DataFrame(facts)], axis=1
    )
    table = table.assign(position=good)
    histograms = pd.DataFrame([records[i]["histogram"] for i in good], index=pd.Index(ids, name="exam_id"))
    left_out.to_csv(folder / "left_out.csv", index=False)
    histograms.rename(columns=str).to_parquet(folder / "histograms.parquet")
    table.to_parquet(folder / "exams.parquet", index=False)
