"""What must not move: the phantom's exams, their lung masks, what the networks see; numbers in `frozen.json`.

`python tests/test_frozen.py` writes the numbers anew: only where a change of them is meant.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from covid_study.ct.lungs import lung_mask
from covid_study.ct.to_slice import exam_slices
from covid_study.ct.to_volume import preprocess
from covid_study.phantom import background, cohort
from covid_study.phantom.real_bodies import Body

FILE = Path(__file__).with_name("frozen.json")
SEED, SIZE = 2020, dict(matrix=96, thickness_mm=(6.0, 10.0))
KINDS = ("typical", "early", "lobar", "mimic", "clean", "nodules", "emphysema")


def exam_of(kind: str) -> str:
    """The first exam of the cohort that is of this kind."""
    ids = (f"{f}-{n:04d}-a" for n in range(60) for f in ("covid", "cap", "non_pneumonia"))
    return next(exam for exam in ids if cohort.kind_of(exam, SEED) == kind)


def hu(values: np.ndarray) -> dict:
    """Numbers that fix an image."""
    of = values.astype(float)
    quantiles = np.quantile(of, (0.05, 0.25, 0.5, 0.75, 0.95)).tolist()
    return {
        "mean": of.mean(),
        "sd": of.std(),
        "quantiles": quantiles,
        "some": values.ravel()[::40_009].tolist(),
    }


def numbers(case: str) -> dict:
    """All that is frozen of one exam."""
    if case == "real body":
        volume = cohort.make_exam("non_pneumonia-0002-a", SEED, **SIZE).volume
        body = Body(volume, lung_mask(volume.hu, volume.spacing_mm))
        exam = background.make_exam(exam_of("typical"), SEED, body)
    else:
        exam = cohort.make_exam(exam_of(case), SEED, **SIZE)
    volume, truth = exam.volume, {"lungs": exam.lungs, "lesions": exam.lesions}
    mask = lung_mask(volume.hu, volume.spacing_mm)
    seen = preprocess(volume.hu, volume.spacing_mm, (64, 48, 14), (4, 4, 5), case, truth)
    cut = exam_slices(volume, truth, case, 2, 64, crop=True)
    return {
        "hu": hu(volume.hu),
        "spacing_mm": list(volume.spacing_mm),
        "voxels": [int(exam.lungs.sum()), int(exam.lesions.sum())],
        "mask": mask.sum((1, 2)).tolist(),
        "volume": hu(seen.image) | {"histogram": seen.histogram[::8].tolist()} | seen.facts,
        "slices": [hu(image) for image in cut.images] + cut.rows["lesion_area_mm2"].tolist(),
    }


def same(now, then, where: str) -> None:
    """Whole numbers are the same, others to a millionth."""
    if isinstance(then, dict | list):
        assert len(now) == len(then), where
        for key, value in then.items() if isinstance(then, dict) else enumerate(then):
            same(now[key], value, f"{where}/{key}")
    else:
        assert now == (then if isinstance(then, int) else pytest.approx(then, rel=1e-6, abs=1e-9)), where


@pytest.mark.parametrize("case", [*KINDS, "real body"])
def test_nothing_has_moved(case):
    same(numbers(case), json.loads(FILE.read_text())[case], case)


if __name__ == "__main__":
    FILE.write_text(json.dumps({case: numbers(case) for case in (*KINDS, "real body")}) + "\n")
