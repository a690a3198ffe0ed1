"""Text that was written on a slice is found where it lies; a slice without any is passed."""

import numpy as np
import pytest
from chest_pictures import chest
from PIL import Image, ImageDraw, ImageFont

from covid_study.analysis.leaks.burnt_text import by_class, colour_boxes, text_boxes


def written(text, place, points, fill=255, seed=0, size=400):
    picture = Image.fromarray(chest(seed, size))
    font = ImageFont.load_default(points)
    ImageDraw.Draw(picture).text(place, text, fill=fill, font=font)
    return np.asarray(picture), ImageDraw.Draw(picture).textbbox(place, text, font=font)


@pytest.mark.parametrize("place", [(6, 6), (330, 8), (8, 370), (8, 40)])
@pytest.mark.parametrize("points, fill", [(16, 255), (24, 200)])
def test_text_near_the_edge(place, points, fill):
    picture, (left, top, right, bottom) = written("No. 2", place, points, fill)
    found = text_boxes(picture)
    assert len(found) >= 1
    assert (found[:, 0] >= top - 1).all() and (found[:, 1] <= bottom + 1).all()
    assert (found[:, 2] >= left - 1).all() and (found[:, 3] <= right + 1).all()


def test_black_on_white_too():
    picture = 255 - written("No. 2", (6, 6), 20)[0]
    assert len(text_boxes(picture)) >= 1


def test_nothing_where_nothing_was_written():
    assert sum(len(text_boxes(chest(n, 400))) for n in range(5)) == 0


def test_in_the_middle_nothing_is_looked_for():
    assert len(text_boxes(written("A", (195, 150), 24)[0])) == 0


def test_marks_in_colour_are_found_and_grey_is_passed():
    grey = np.repeat(chest(0)[..., None], 3, axis=2)
    assert len(colour_boxes(grey)) == 0
    grey[100:110, 20:40] = (250, 30, 30)
    grey[5, 5] = (0, 255, 0)  # one pixel is no mark
    assert colour_boxes(grey).tolist() == [[100, 110, 20, 40]]


def test_share_by_class_is_of_patients():
    marked = [True, True, True] + [False] * 5 + [False] * 8
    patients = ["a"] * 3 + list("bcdef") + list("ghijklmn")
    with_, without, p = by_class(marked, [True] * 8 + [False] * 8, patients)
    assert (with_, without) == (1 / 6, 0.0) and p == pytest.approx(
        6 / 14, abs=1e-5
    )  # one marked patient of 14
    assert np.isnan(by_class([True], [True], ["a"])[1])
