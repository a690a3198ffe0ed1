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


def test_pictures_of_exams_have_neither_drawing_nor_table():
    left = told(pictures.grid({"exam": [pictures.Tile(np.zeros((4, 4)), "lung")]}))
    assert set(left) == {"by", "alt"} and "lung" in left["alt"]


@pytest.mark.parametrize("rows, kept", [(10, True), (30_000, False)])
def test_what_is_too_large_for_a_page_is_left_out(rows, kept):
    figure = intervals.points(FRAME)
    figure.drawn_from = pd.DataFrame({"x": np.arange(rows)})
    assert ("csv" in told(figure)) == kept
