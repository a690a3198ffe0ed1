"""Grids of slices and volumes show what they are given, the right way up."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from covid_study.figures import pictures, tile
from covid_study.samples.samples import Samples

SIZE = 16
RNG = np.random.default_rng(0)
VOLUME = RNG.integers(0, 255, (8, 12, 16)).astype(np.uint8)


def drawn(figure):
    return [ax for ax in figure.axes if ax.images]


@pytest.fixture
def s(tmp_path):
    """Four slices, the second with a lesion of 2 x 2 pixels."""
    table = pd.DataFrame(
        {"finding": ["covid", "covid", "cap", "covid"], "lesion_area_mm2": [0.0, 4.0, 0.0, 0.0]},
        index=pd.Index(list("abcd"), name="slice_id"),
    ).assign(lung_area_mm2=100.0, lesion_share=lambda t: t["lesion_area_mm2"] / 100)
    lesions = np.zeros((4, SIZE, SIZE), bool)
    lesions[1, 4:6, 4:6] = True
    for name, masks in {"lungs": np.ones_like(lesions), "lesions": lesions}.items():
        np.save(tmp_path / f"{name}.npy", np.packbits(masks.reshape(4, -1), axis=1))
    return Samples(table, torch.full((4, SIZE, SIZE), 90, dtype=torch.uint8), "key", tmp_path)


def test_grey_values_are_the_lung_window():
    hu = np.array([-2000, -1350, -600, 150, 3000], np.int16)
    assert tile.to_grey(hu).tolist() == [0, 0, 0.5, 1, 1]
    for kept, expected in (
        (([0, 255], np.uint8), [0, 1]),
        (([False, True], bool), [0, 1]),
        (([0, 0.25],), [0, 0.25]),
    ):
        assert tile.to_grey(np.array(*kept)).tolist() == expected


def test_coronal_slices_stand_with_the_head_up_and_axial_ones_face_up():
    v = np.zeros((4, 3, 5), np.uint8)
    fig, (axial, coronal) = plt.subplots(1, 2)
    tile.show(axial, tile.plane(v, axis=0, index=0))
    tile.show(coronal, tile.plane(v, (5, 1, 1), axis=1, index=2), tall=8)
    assert axial.get_ylim()[0] > axial.get_ylim()[1], "anterior, y = 0, is above"
    assert coronal.get_ylim()[0] < coronal.get_ylim()[1], "cranial, the last z, is above"
    high, wide = np.diff(coronal.get_ylim())[0], np.diff(coronal.get_xlim())[0]
    assert high * 5 / wide == pytest.approx(8), "4 voxels of 5 mm over 5 of 1 mm, black above and below"
    plt.close(fig)


@pytest.mark.filterwarnings("error::UserWarning")
def test_exams_stand_axial_above_coronal_with_their_outlines_and_at_their_slices():
    shown = [(f"exam {n}", VOLUME, (5.0, 1.0, 1.0)) for n in range(5)]
    mask = np.zeros(VOLUME.shape, bool)
    mask[1, 2:5, 3:6] = True
    places = [(n + 1, 2 * n + 2) for n in range(5)]
    outlines = [{"red": mask}, *[{}] * 4]
    figure = pictures.exams(
        shown, columns=3, slices=places, outlines=outlines, findings=["cap"] * 5, keys={"mask": "red"}
    )
    axes = drawn(figure)
    assert len(axes) == 10 and not plt.get_fignums()
    for n, ax in enumerate(axes[:3]):
        np.testing.assert_allclose(ax.images[0].get_array(), VOLUME[n + 1] / 255)
    np.testing.assert_allclose(axes[4].images[0].get_array(), VOLUME[:, 4] / 255)
    assert [len(ax.collections) for ax in axes[:4]] == [1, 0, 0, 1]


def test_cube_labels_lie_on_their_cubes():
    """Cube 4 (counted from 0) is the upper, anterior, right one: first panel, top left."""
    figure = pictures.rubiks_cubes({"original": VOLUME})
    top_left = {t.get_text(): t.get_position() for t in figure.axes[0].texts}
    assert set(top_left) == {"5", "6", "7", "8"}
    assert top_left["5"][0] < 8 <= top_left["6"][0] and top_left["5"][1] < 6 <= top_left["7"][1]


def test_easy_exams_stand_left_of_hard_ones_and_the_positive_before_them():
    of = [(f"{n}", np.full((2, 3, 4), n, np.uint8), (1, 1, 1)) for n in range(6)]
    values = [
        ax.images[0].get_array().max() * 255 for ax in drawn(pictures.easy_to_hard(of[5], of[:3], of[3:5]))
    ]
    assert values == pytest.approx([5, 0, 1, 2, 3, 4])


def test_steps_are_outlined_where_the_outline_fits():
    image, outline = np.full((6, 6), 9, np.uint8), np.zeros((6, 6), bool)
    outline[2:4, 2:4] = True
    axes = drawn(pictures.steps({"image": image, "mask": outline, "small": image[:4, :4]}, outline))
    assert [len(ax.collections) for ax in axes] == [1, 0, 0]
    np.testing.assert_allclose(axes[1].images[0].get_array(), outline)


def test_rows_of_slices_hold_their_slices_and_lesions(s):
    figure = pictures.montage(s, {"covid": ["a", "b"], "cap": ["c"]})
    axes = np.array(figure.axes).reshape(2, 2)
    assert [line[0].get_ylabel() for line in axes] == ["COVID-19", "CAP"]
    assert not axes[1, 1].images and [len(ax.collections) for ax in axes.flat] == [0, 1, 0, 0]
    assert axes[0, 1].get_xlabel() == pictures.lesions_text(0.04)
    own = pictures.montage(s, {"COVID-19, called CAP": ["d"]}, {"COVID-19, called CAP": ["0.90"]})
    assert own.axes[0].get_xlabel() == "0.90"


def test_maps_lie_over_the_slices_each_from_0_to_its_own_maximum(s):
    maps = np.zeros((2, SIZE, SIZE), np.float32)
    maps[1, 2, 3] = 0.02
    figure = pictures.maps(
        s, ["a", "b"], [np.zeros((8, 8), np.uint8)] * 2, {"CE": maps}, {"CE": ["0.10", "0.90"]}
    )
    axes = np.array(figure.axes).reshape(3, 2)
    assert axes[2, 0].get_ylabel() == "CE" and axes[2, 1].get_xlabel() == "0.90"
    blank, map_ = (axes[2, n].images[1].get_array() for n in (0, 1))
    assert blank.max() == 0 and map_.max() == 1 and map_[2, 3] == 1


def test_frames_and_colour_pictures():
    framed = tile.Tile(np.zeros((20, 30, 3), np.uint8), boxes={"red": [(2, 6, 3, 9)]}, frame="blue")
    (ax,) = pictures.grid({"_": [framed]}).axes
    (box,) = ax.patches
    assert box.get_x() < 3 and box.get_x() + box.get_width() > 9 and box.get_y() < 2
    assert ax.spines["left"].get_visible()
