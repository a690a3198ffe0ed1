"""The pictures of slices show what they are given, and the choice of slices to show is a fair one."""

import numpy as np
import pytest
from PIL import Image
from tiny_study import parameters

from covid_study.analysis import slice_pictures
from covid_study.ct.to_slice import preprocess_slice
from covid_study.figures import pictures
from covid_study.figures.tile import to_grey
from covid_study.samples import cohorts, slice_store

SLICES = {"images": None, "size": 32, "per_exam": 3, "exams": None, "train_share": 0.7}


@pytest.fixture(scope="module")
def p(root):
    return parameters(root, slices=SLICES)


@pytest.fixture(scope="module")
def s(p):
    return slice_store.slices(p)


def visible(figure):
    return [ax for ax in figure.axes if ax.get_visible() and ax.images]


def test_examples_are_of_different_patients_with_ever_more_lesions(s):
    shown = slice_pictures.examples(s, 3)
    assert next(iter(shown)) == "covid" and set(shown) == {"covid", "cap", "non_pneumonia"}
    for finding, ids in shown.items():
        rows = s.table.loc[ids]
        assert (rows["finding"] == finding).all() and (rows["split"] == "train").all()
        assert rows["patient_id"].is_unique and rows["lesion_share"].is_monotonic_increasing
        of = s.table[(s.table["split"] == "train") & (s.table["finding"] == finding)]
        assert len(ids) == min(3, of["patient_id"].nunique())


def test_the_typical_slice_has_much_lung_and_many_lesions(s):
    row = s.table.loc[slice_pictures.typical(s)]
    of = s.table[(s.table["finding"] == "covid") & (s.table["split"] == "train")]
    much = of[of["lung_area_mm2"] >= 0.7 * of["lung_area_mm2"].max()]
    assert row.name in much.index and row["lesion_share"] == much["lesion_share"].max()


def test_the_steps_are_those_of_the_slice(p, s):
    name = slice_pictures.typical(s)
    given = slice_pictures.step_by_step(p, s, name)
    exam = s.table.loc[name, "exam_id"]
    volume, truth = cohorts.loader(p)(s.table.loc[name])
    z = int(name.removeprefix(f"{exam}/"))
    expected = preprocess_slice(volume.hu[z], volume.spacing_mm[1:], 32, p.slices.crop, steps=True).steps
    np.testing.assert_array_equal(given["outline"], truth["lesions"][z])
    np.testing.assert_array_equal(given["pictures"]["the network's input"], s.of([name])[0].numpy())
    drawn = visible(pictures.steps(**given))
    assert [ax.get_title(loc="center") for ax in drawn] == [f"{n}  {c}" for n, c in enumerate(expected, 1)]
    for ax, step in zip(drawn, expected.values(), strict=True):
        np.testing.assert_allclose(ax.images[0].get_array(), to_grey(step))


def test_an_image_has_two_steps_and_no_outline(root, tmp_path):
    rng = np.random.default_rng(0)
    for name in ("COVID", "CP"):
        (tmp_path / name).mkdir()
        for k in range(4):
            Image.fromarray(rng.integers(0, 255, (50, 60), dtype=np.uint8)).save(tmp_path / name / f"{k}.png")
    p = parameters(root, slices=SLICES | {"images": str(tmp_path)})
    s = slice_store.slices(p)
    given = slice_pictures.step_by_step(p, s, slice_pictures.typical(s))
    assert [step.shape for step in given["pictures"].values()] == [(50, 60), (32, 32)]
    assert len(visible(pictures.steps(**given))) == 2
    shown = slice_pictures.examples(s)
    assert list(shown) == ["covid", "CP"] and [len(ids) for ids in shown.values()] == [3, 3]
    drawn = visible(pictures.montage(s, shown))
    assert all(not ax.get_xlabel() for ax in drawn)
