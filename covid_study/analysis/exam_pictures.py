"""Exams read, masked and captioned for the pictures of notebook 01."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from covid_study.cohort.exam_layouts import find_exams
from covid_study.cohort.exams import COLUMNS
from covid_study.ct.lungs import lung_mask
from covid_study.ct.resampling import resample
from covid_study.ct.to_volume import FIELD_OF_VIEW_MM, crop_to
from covid_study.ct.volume import Volume
from covid_study.errors import ExamError
from covid_study.figures import pictures
from covid_study.figures.tile import plane
from covid_study.phantom import cohort, lesions as phantom_lesions
from covid_study.phantom.background import RealBodied
from covid_study.report.words import FINDINGS

REAL_EXAMS = "COVID_STUDY_TEST_DATA"  # environment variable: a folder with real exams to show
ROOM_MM = (25.0,) * 3  # around the lungs, in pictures of masks
MATRIX = 224  # pixels a side of the phantom in a picture, whatever the profile: as many as a page shows


def fullest_slices(region: np.ndarray, within: np.ndarray | None = None) -> tuple[int, int]:
    """The axial and the coronal slice of a bool volume (z, y, x) with the most of it; the middle where it is empty.

    within: only slices that hold at least half as much of this one as its fullest slice does.

    >>> region = np.zeros((5, 4, 4), bool)
    >>> region[3, 1] = True
    >>> fullest_slices(region), fullest_slices(region & ~region)
    ((3, 1), (2, 2))
    """
    if not region.any():
        return region.shape[0] // 2, region.shape[1] // 2
    place = []
    for others in ((1, 2), (0, 2)):
        amount = region.sum(others)
        if within is not None:
            room = within.sum(others)
            amount = np.where(room >= room.max() / 2, amount, -1)
        place.append(int(amount.argmax()))
    return place[0], place[1]


@dataclass(frozen=True)
class Masked:
    """One exam with its lung mask, and its true masks "lungs" and "lesions" where they are known."""

    exam_id: str
    finding: str
    volume: Volume
    mask: np.ndarray
    truth: dict[str, np.ndarray] | None = None

    @property
    def caption(self) -> str:
        """Its name and finding, and what the mask misses of the truth."""
        text = f"{self.exam_id}\n{FINDINGS[self.finding]}"
        if self.truth is None:
            return text
        lungs, lesions = self.truth["lungs"], self.truth["lesions"]
        dice = 2 * (self.mask & lungs).sum() / (self.mask.sum() + lungs.sum())
        missed = f"missed: lungs {(lungs & ~self.mask).sum() / lungs.sum():.1%}"
        ill = f"lesions {(lesions & ~self.mask).sum() / lesions.sum():.1%}" if lesions.any() else "no lesions"
        return f"{text}, Dice {dice:.3f}\n{missed},\n{ill}"

    def slices(self) -> tuple[int, int]:
        """The axial and the coronal slice to show: with most of the lesions, where they are known, else of the lungs."""
        ill = self.truth is not None and self.truth["lesions"].any()
        return fullest_slices(self.truth["lesions"], self.mask) if ill else fullest_slices(self.mask)


def read_masked(rows: list, load: Callable[..., tuple]) -> list[Masked]:
    """Exams with their lung masks; those that cannot be used are passed over, because the store has listed them.

    Args:
        rows: of the exam table.
        load: from a row to (Volume, truth or None), e.g. `cohorts.loader(p)`.
    """
    found = []
    for row in rows:
        try:
            volume, truth = load(row)
            mask = lung_mask(volume.hu, volume.spacing_mm, row.exam_id)
        except ExamError:
            continue
        found.append(Masked(row.exam_id, row.finding, volume, mask, truth))
    return found


def one_of_each_kind(seed: int) -> dict[str, str]:
    """Kind of case -> the first exam of the phantom that shows it.

    >>> list(one_of_each_kind(0))
    ['typical', 'early', 'lobar', 'mimic', 'clean', 'nodules', 'emphysema']
    """
    found = {}
    for finding, kinds in phantom_lesions.KINDS.items():
        ids = [f"{finding}-{number:04d}-a" for number in range(200)]
        of = [cohort.kind_of(exam, seed) for exam in ids]
        found |= {kind: ids[of.index(kind)] for kind in kinds}
    return found


def phantom_exams(seed: int, matrix: int = MATRIX, thickness_mm=(2.5, 10.0)) -> list[Masked]:
    """One phantom exam of each kind of case, with its true mask, under the name of its kind."""
    found = []
    for kind, exam_id in one_of_each_kind(seed).items():
        made = cohort.make_exam(exam_id, seed, matrix, thickness_mm)
        truth = {"lungs": made.lungs, "lesions": made.lesions}
        found.append(Masked(kind, exam_id.split("-")[0], made.volume, made.lungs, truth))
    return found


def real_exams() -> pd.DataFrame:
    """Real exams to show beside the phantom: the COVID-CT-MD folder below COVID_STUDY_TEST_DATA; no rows without it."""
    folder = Path(os.environ.get(REAL_EXAMS) or os.devnull) / "covid-ct-md"
    return find_exams(folder) if folder.is_dir() else pd.DataFrame(columns=list(COLUMNS))


def overlays(exams: list[Masked]) -> dict:
    """Exams for `pictures.exams`, mask and true lungs outlined where they differ most, else where the mask is fullest."""
    shown, slices, outlines = [], [], []
    for e in exams:
        truth = e.truth and e.truth["lungs"]
        box = crop_to(e.mask if truth is None else e.mask | truth, e.volume.spacing_mm, ROOM_MM)
        mask, truth = e.mask[box], None if truth is None else truth[box]
        slices.append(fullest_slices(mask if truth is None or (truth == mask).all() else truth ^ mask))
        outlines.append(({} if truth is None else {pictures.TRUTH: truth}) | {pictures.MASK: mask})
        shown.append((e.caption, e.volume.hu[box], e.volume.spacing_mm))
    keys = {"mask": pictures.MASK, "truth": pictures.TRUTH}
    return {"exams": shown, "slices": slices, "outlines": outlines, "keys": keys}


def before_and_after(examples: list[tuple[str, str, RealBodied]]) -> tuple[dict, dict]:
    """Real lungs before and after the phantom's lesions were put in, at the slices with most of them.

    Args:
        examples: of `background.examples`.

    Returns:
        Rows for `pictures.grid`, and HU of the lungs' voxels for `cohort.densities_before_and_after`.
    """
    rows: dict[str, list] = {"before": [], "after": [], "the truth": []}
    densities = {}
    for caption, _, exam in examples:
        box = (slice(None), *crop_to(exam.lungs, exam.volume.spacing_mm, ROOM_MM)[1:])
        before, hu, lungs, ill = (v[box] for v in (exam.before, exam.volume.hu, exam.lungs, exam.lesions))
        place, _ = fullest_slices(ill if ill.any() else lungs, lungs)
        for row, volume in (("before", before), ("after", hu), ("the truth", hu)):
            look = {"outlines": {pictures.TRUTH: ill} if row == "the truth" else {}}
            look["caption"] = caption if row == "before" else ""
            rows[row].append(plane(volume, exam.volume.spacing_mm, 0, place, **look))
        densities[caption] = {"before": before[lungs], "after": hu[lungs]}
    return rows, densities


def montage(exams: list[Masked]) -> dict:
    """Exams for `pictures.exams`."""
    return {
        "exams": [(f"{FINDINGS[e.finding]}\n{e.exam_id}", e.volume.hu, e.volume.spacing_mm) for e in exams],
        "slices": [e.slices() for e in exams],
        "findings": [e.finding for e in exams],
    }


def step_by_step(exam: Masked, steps: dict) -> dict:
    """One exam for `pictures.exams`: the same place in every step.

    Args:
        steps: as `to_volume.preprocess` returned them, caption -> (volume, spacing).
    """
    shown = [(caption, *step) for caption, step in steps.items()]
    shown[1] = ("lung mask", exam.mask, exam.volume.spacing_mm)
    places = {"slices": follow(exam, steps), "columns": len(shown), "numbered": True}
    return {"exams": shown, "title": f"Exam {exam.exam_id}"} | places


def follow(exam: Masked, steps: dict) -> list[tuple[int, int]]:
    """The slices (z, y) of each step of the preprocessing that show the place that `exam.slices()` shows."""
    spacing_mm, target = exam.volume.spacing_mm, steps["resampled"][1]
    box = crop_to(resample(exam.mask, spacing_mm, target, is_mask=True), target)
    cropped, framed = steps["cropped to the lungs"][0].shape, steps["centre crop or pad"][0].shape
    slices = []
    for caption, (step, step_mm) in steps.items():
        place = []
        for axis, n in enumerate(exam.slices()):
            mm = (n + 0.5) * spacing_mm[axis]  # from the edge of the first voxel
            if caption not in ("the exam", "lung mask", "resampled"):
                mm -= box[axis].start * target[axis]
            if caption in ("centre crop or pad", "the network's input"):
                mm += (framed[axis] - cropped[axis]) / 2 * target[axis]
            place.append(int(np.clip(mm / step_mm[axis], 0, step.shape[axis] - 1)))
        slices.append(tuple(place))
    return slices


def input_spacing_mm(p) -> tuple[float, float, float]:
    """Voxel size (z, y, x) of what the network sees."""
    return tuple(
        f / n for f, n in zip(reversed(FIELD_OF_VIEW_MM), reversed(p.preprocessing.shape), strict=True)
    )
