"""Real exams without pneumonia as bodies for the phantom's lesions: found, read once, masked, and shared out by patient."""

import hashlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import cpu_count

from covid_study.cohort.bad_exams import LISTED, BadExams
from covid_study.cohort.exam_layouts import find_exams
from covid_study.cohort.findings import FINDINGS
from covid_study.cohort.identity import Names
from covid_study.cohort.splits import SPLITS, allocate
from covid_study.ct import files
from covid_study.ct.lungs import lung_mask
from covid_study.ct.to_volume import average_to
from covid_study.ct.volume import Volume
from covid_study.errors import CohortError, ExamError
from covid_study.runtime.artefacts import artefact, artefact_path, is_there
from covid_study.runtime.executors import told
from covid_study.runtime.progress import progress
from covid_study.runtime.workers import side_by_side

KEY = "cohort.phantom.background"
HOW = (
    f"To put the phantom's lesions into real lungs, set {KEY} of the profile to exams without pneumonia, of two patients at "
    "least: a CSV table or a folder, in any layout that EXAMS may have."
)
MODULES = ["phantom.real_bodies"]


@dataclass(frozen=True)
class Body:
    """A real exam on the phantom's grid, its lungs as `lungs.lung_mask` finds them: bool (z, y, x)."""

    volume: Volume
    lungs: np.ndarray


@dataclass(frozen=True)
class Bodies:
    """The bodies of a cohort.

    table: a row a real exam: exam_id, patient_id, path, split, folder (of its artefact). left_out: exam_id, problem
    and remedy of those that could not be used. shared: whether validation has no patients of its own and takes train's.
    """

    table: pd.DataFrame
    left_out: pd.DataFrame
    shared: bool

    def of(self, exam_id: str, split: str):
        """The row of `table` that is the body of a synthetic exam.

        Choice: the patients of a finding take the bodies of their split in turn, so that a body tells nothing of the
        finding; the exams of a patient have one body.
        """
        side = "train" if self.shared and split == "validation" else split
        there = list(self.table[self.table["split"] == side].itertuples(index=False))
        finding, number = re.match(r"(.+)-(\d+)-", exam_id).groups()
        return there[(int(number) + FINDINGS.index(finding)) % len(there)]

    def sentence(self) -> str:
        """What the reader of a page must know of them."""
        patients = self.table.groupby("split")["patient_id"].nunique()
        sides = ", ".join(f"{split} {patients[split]}" for split in SPLITS if split in patients)
        names = ", ".join(self.table["exam_id"].head(8)) + " ..." * (len(self.table) > 8)
        text = (
            f"The lesions are synthetic, the bodies are real: exams without pneumonia: {len(self.table)}, of patients: "
            f"{self.table['patient_id'].nunique()} ({sides}): {names}. All exams made from one patient lie on one side "
            "of the split. Intervals resample the synthetic patients, as if each had a body of its own: where the "
            "real ones are few, take them for too narrow."
        )
        if self.shared:
            text += (
                " **Fewer than five patients: validation has none of its own and takes those of train**, so that a threshold "
                "chosen there has seen the bodies that were trained on."
            )
        reasons = [f"{row.exam_id}: {row.problem}" for row in self.left_out.itertuples()]
        return f"{text} Left out as bodies: {'; '.join(reasons)}." if reasons else text


def find_bodies(path: Path, wanted: int) -> pd.DataFrame:
    """The exams without pneumonia at a path, of as many patients as `wanted` exams can use.

    Choice: non-pneumonia only. The lesions of a real COVID-19 or CAP exam would be disease that no mask shows.

    Choice: patients are drawn by a hash of their names, which no other patient's coming or going changes.

    Raises:
        CohortError: no such path, no layout that is known, or fewer than two patients without pneumonia.
    """
    try:
        table = find_exams(path, both=False)
    except CohortError as error:
        again = CohortError(error.whole.replace("EXAMS=", f"{KEY}: "))
        again.table = error.table  # by which the names in it are known
        raise again from None
    clean = table[table["finding"] == "non_pneumonia"]
    _enough(clean, f"{path} has {len(clean)} of {len(table)} exams with it.")
    drawn = clean["patient_id"].map(lambda name: hashlib.blake2b(name.encode()).hexdigest())
    clean = clean.assign(drawn=drawn).sort_values(["drawn", "exam_id"]).drop(columns="drawn")
    patients = clean["patient_id"].unique()[: max(wanted, 2)]
    return clean[clean["patient_id"].isin(patients)].reset_index(drop=True)


def _enough(table: pd.DataFrame, said: str) -> None:
    """Refuse fewer than two patients."""
    patients = table["patient_id"].nunique()
    if patients < 2:
        raise CohortError(
            f"{KEY}: {patients} patient{'s' * (patients != 1)} with the finding non_pneumonia can be used; at least two are "
            f"needed, one to train and one to test, because no patient may lie on both sides. {said} What to do: add exams "
            f"of patients without pneumonia, or set {KEY} to null."
        )


def prepare(
    found: pd.DataFrame,
    folder: Path,
    *,
    keys: Sequence[str],
    exams: dict[str, int],
    matrix: int,
    thickness_mm: tuple[float, float],
    seed: int,
    bad: BadExams = LISTED,
    burnt_in: bool = False,
    workers: int | None = None,
) -> Bodies:
    """Read and mask every exam once, and give each patient a side of the split.

    Choice: patients are split in proportion to the cohort's exams; with fewer than five, validation takes train's.

    Args:
        found: of `find_bodies`. folder: where they are kept. keys: fingerprints of the files of each.
        exams: how many exams the cohort has in each split.
        matrix, thickness_mm: of the phantom; see `read_body`.
        bad: what happens to an exam that cannot be used; where it is left out, the others take its place.
        burnt_in: see `read_volume`.

    Raises:
        ExamError: the first bad exam, where `bad` stops at it.
        CohortError: fewer than two patients are left.
        StudyError: the disk is full, or a process died.
    """
    workers = workers or cpu_count()
    said = dict(zip(found["exam_id"], found["exam_id"], strict=True)) if bad.named else Names(found).aliases
    path_of = {said[row.exam_id]: row.path for row in found.itertuples()}
    how = {"matrix": matrix, "least_mm": float(thickness_mm[0])} | ({"burnt_in": True} if burnt_in else {})
    wanted = [
        {"exam_id": said[row.exam_id], "files": key} | how
        for row, key in zip(found.itertuples(), keys, strict=True)
    ]
    made = {config["exam_id"]: artefact_path(folder, _label(config), config, MODULES) for config in wanted}
    missing = [config for config in wanted if not is_there(made[config["exam_id"]])]
    if missing:
        jobs = [(config, path_of[config["exam_id"]]) for config in missing]
        with told("read bodies", "the bodies", folder, workers):
            read = side_by_side(partial(_prepare, folder, bad), jobs, min(workers, len(missing)))
            made |= dict(progress(read, "reading bodies", len(missing)))
    folders = [made[said[exam]] for exam in found["exam_id"]]
    problems = [json.loads((place / "facts.json").read_text()).get("problem") for place in folders]
    unusable = [problem is not None for problem in problems]
    left_out = found.loc[unusable, ["exam_id"]].replace({"exam_id": said}).reset_index(drop=True)
    left_out[["problem", "remedy"]] = [problem for problem in problems if problem] or None
    if bad.stop and len(left_out):
        raise ExamError(*left_out[["exam_id", "problem", "remedy"]].iloc[0])
    table = found.assign(exam_id=found["exam_id"].map(said), folder=[str(place) for place in folders])
    table = table[~np.array(unusable)].reset_index(drop=True)
    reasons = "; ".join(f"{row.exam_id}: {row.problem}" for row in left_out.head(3).itertuples())
    _enough(table, f"Of {len(found)} exams {len(left_out)} were left out ({reasons}).")
    shares = [exams[split] / sum(exams.values()) for split in SPLITS]
    ranks = pd.Series(0, table.index)
    table["split"] = table["patient_id"].map(allocate(table["patient_id"], ranks, tuple(shares), str(seed)))
    return Bodies(table, left_out, "validation" not in set(table["split"]))


def _label(config: dict) -> str:
    return re.sub(r"[^\w.-]", "_", config["exam_id"])


def _prepare(folder: Path, bad: BadExams, job: tuple[dict, str]) -> tuple[str, Path]:
    """The exam and its artefact, in a worker process; of one that cannot be used it holds the reason."""
    config, path = job

    def compute(made: Path) -> None:
        try:
            body = read_body(
                path, config["exam_id"], config["matrix"], config["least_mm"], config.get("burnt_in", False)
            )
        except ExamError as error:
            error = bad.told(error, path)
            facts = {"problem": [error.problem, error.remedy]}
        else:
            np.savez_compressed(made / "body.npz", hu=body.volume.hu, lungs=np.packbits(body.lungs))
            facts = {"spacing_mm": body.volume.spacing_mm, "protocol": body.volume.protocol}
        (made / "facts.json").write_text(json.dumps(facts, default=float))

    return config["exam_id"], artefact(folder, _label(config), config, MODULES, compute)


def read_body(
    path: str | os.PathLike, exam_id: str, matrix: int, least_mm: float, burnt_in: bool = False
) -> Body:
    """A real exam and its lungs, averaged to at most `matrix` pixels a side and slices of at least `least_mm`.

    Choice: never finer than the exam itself; the phantom's greatest thickness does not bind a real exam.

    Raises:
        ExamError: it cannot be read, or has no lungs.
    """
    volume = files.read_volume(path, exam_id, burnt_in)
    lungs = lung_mask(volume.hu, volume.spacing_mm, exam_id)
    nz, ny, nx = volume.hu.shape
    across = min(1.0, matrix / max(ny, nx))
    slices = nz if volume.spacing_mm[0] >= least_mm else max(1, int(nz * volume.spacing_mm[0] / least_mm))
    shape = (slices, max(1, round(ny * across)), max(1, round(nx * across)))
    spacing = tuple(
        s * have / want for s, have, want in zip(volume.spacing_mm, (nz, ny, nx), shape, strict=True)
    )
    hu = np.rint(average_to(volume.hu, shape)).astype(np.int16)
    sizes = {"n_slices": slices, "matrix": shape[1], "pixel_spacing_mm": spacing[1]}
    if slices < nz:
        sizes["slice_thickness_mm"] = spacing[0]
    return Body(Volume(hu, spacing, volume.protocol | sizes), average_to(lungs, shape) >= 0.5)


@lru_cache(maxsize=4)
def load_body(folder: str) -> Body:
    """A body from its artefact; the last few stay in memory."""
    facts = json.loads((Path(folder) / "facts.json").read_text())
    with np.load(Path(folder) / "body.npz") as kept:
        hu, packed = kept["hu"], kept["lungs"]
    lungs = np.unpackbits(packed, count=hu.size).astype(bool).reshape(hu.shape)
    return Body(Volume(hu, tuple(facts["spacing_mm"]), facts["protocol"]), lungs)
