"""What a figure leaves beside its picture: the function, the table, the drawing, the words."""

import io

import numpy as np
import pandas as pd
import pytest

from covid_study.figures import intervals, output, pictures, style, thresholds
from covid_study.report import say

FRAME = pd.DataFrame({"label": ["a", "b"], "mean": [0.5, 0.25], "low": 0.2, "high": 0.9})


def told(figure):
    return output.bundle(figure)[say.FIGURE]


def test_a_figure_names_its_function_and_gives_the_frame_that_was_drawn():
    left = told(intervals.points(FRAME, axis="F1, %", title="Two rows"))
    assert left["by"] == "figures.intervals.points"
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(left["csv"])), FRAME)
    assert left["svg"].startswith("<?xml") and "Two rows" in left["svg"]
    assert all(words in left["alt"] for words in ("Two rows", "F1, %"))


def test_the_same_figure_is_the_same_drawing():
    with style.plt.rc_context(style.RC):
        one, two = (told(intervals.points(FRAME))["svg"] for _ in range(2))
    assert one == two


def test_a_figure_may_bring_a_table_of_its_own():
    runs = {"A": ([0, 1, 1], [0.1, 0.4, 0.9]), "B": ([1, 0, 0], [0.8, 0.2, 0.3])}
    kept = pd.read_csv(io.StringIO(told(thresholds.roc(runs))["csv"]))
    assert kept["of"].tolist() == ["A"] * 3 + ["B"] * 3
    assert kept["p"].tolist() == [0.1, 0.4, 0.9, 0.8, 0.2, 0.3]


def test_pictures_of_exams_have_no_drawing_and_say_what_each_is_of():
    volume, mask = np.zeros((9, 4, 6), np.int16), np.ones((9, 4, 6), bool)
    figure = pictures.exams(
        [("e-1\nCAP", volume, (5, 1, 1))], slices=[(7, 2)], outlines=[{"red": mask, "blue": ~mask}]
    )
    left = told(figure)
    assert set(left) == {"by", "alt", "csv"} and "e-1" in left["alt"]
    kept = pd.read_csv(io.StringIO(left["csv"]))
    assert kept["of"].tolist() == ["e-1", "e-1"]
    assert kept["place"].tolist() == ["axial slice 8 of 9", "coronal slice 3 of 4"]
    assert kept[["row", "column", "outlined"]].values.tolist() == [[1, 1, 1], [2, 1, 1]]
    assert kept["pixels"].tolist() == ["6 x 4", "6 x 9"] and set(kept["greys"]) == {"-1350 to 150 HU"}


@pytest.mark.parametrize("rows, kept", [(10, True), (30_000, False)])
def test_what_is_too_large_for_a_page_is_left_out(rows, kept):
    figure = intervals.points(FRAME)
    figure.drawn_from = pd.DataFrame({"x": np.arange(rows)})
    assert ("csv" in told(figure)) == kept
