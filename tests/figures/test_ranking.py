"""The figures of the ranking draw the numbers they are given."""

import numpy as np
import pandas as pd
import pytest

from covid_study.figures import ranking as figures

IDS = [f"n{i}" for i in range(40)]
FINDINGS = pd.Series(["cap"] * 15 + ["non_pneumonia"] * 25, index=IDS)
RANKING = pd.DataFrame(np.random.default_rng(0).random((40, 2)), IDS, ["difficulty", "diversity"])
RANKING["joint_rank"] = np.arange(1, 41)


def points(ax, fewest=2):
    """Where the marks stand along x, a list a colour."""
    found = [np.asarray(marks.get_offsets())[:, 0] for marks in ax.collections]
    return [np.sort(x).tolist() for x in found if len(x) >= fewest]


def test_soft_labels_start_at_zero_degrees():
    figure = figures.soft_labels(np.array([[1.0, 2, 3, 4], [4, 3, 2, 1]]), ["a", "b"])
    first = figure.axes[0].patches[0]
    assert first.get_x() == pytest.approx(0) and first.get_height() == 1
    assert [ax.lines[0].get_ydata()[0] for ax in figure.axes] == [2.5, 2.5]  # the mean as a circle


def test_selected_exams_are_ringed_among_all_and_harder_ones_stand_right():
    (ax,) = figures.difficulty_and_diversity(RANKING, FINDINGS, IDS[:5]).axes
    assert list(map(len, points(ax))) == [15, 25, 5] and ax.get_xlim()[0] > ax.get_xlim()[1]
    np.testing.assert_allclose(ax.collections[-1].get_offsets(), RANKING.iloc[:5, :2])


@pytest.mark.parametrize("second", ["non_pneumonia", "other"])
def test_selected_exams_are_counted_by_finding(second):
    findings = FINDINGS.replace("non_pneumonia", second)
    figure = figures.selections(RANKING, {"top": IDS[:20], "long_tail": IDS[3:9]}, findings, bins=4)
    assert [sum(bar.get_height() for bar in bars) for bars in figure.axes[0].containers] == [15, 5]
    assert len(figure.axes) == 2 and len(figure.legends[0].get_texts()) == 3
    assert figures.selections(RANKING[:4], {"top": IDS[:1]}, FINDINGS).axes  # four are enough to draw


def test_every_exam_is_a_point_of_its_finding_and_the_median_is_in_the_box():
    (ax,) = figures.by_finding(RANKING["difficulty"], FINDINGS, title="AUC 0.5").axes
    of = [RANKING["difficulty"][finding == FINDINGS] for finding in ("cap", "non_pneumonia")]
    assert points(ax) == [pytest.approx(sorted(values)) for values in of]
    upright = [
        x for line in ax.lines if np.ptp(x := line.get_xdata()) == 0 and np.ptp(line.get_ydata()) > 0.3
    ]
    assert any(np.isclose(x[0], of[0].median()) for x in upright)


def test_load_is_in_per_cent():
    load = pd.Series(np.linspace(0, 0.5, 40), index=IDS)
    (ax,) = figures.against_load(RANKING["difficulty"], load, FINDINGS).axes
    assert max(map(max, points(ax))) == 50


def test_every_order_is_a_point_and_the_median_a_bar():
    index = pd.MultiIndex.from_product([["a", "b"], figures.TRACKS, [0.5, 0.7, -0.6]])
    found = index.to_frame(index=False, name=["kind", "track", "rho"])
    found.loc[(found["kind"] == "b") & (found["track"] == "difficulty"), "rho"] = np.nan
    joint = figures.orders(found, ("a", "b")).axes[2]
    assert points(joint, 3) == [[-0.6, 0.5, 0.7]] * 2 and joint.get_xlim()[0] < -0.6
    bars = [c.get_segments()[0][0, 0] for c in joint.collections if len(getattr(c, "get_segments", list)())]
    assert bars == [0.5, 0.5]


def test_the_archive_is_the_line_and_the_strategies_are_bars_in_per_cent():
    rows = [
        ("archive", "all", 0.4, 0.5, 0.5),
        ("top", "14%", 1.0, 0.1, 0.2),
        ("random", "14%", 0.5, 0.5, 0.4),
    ]
    frame = pd.DataFrame(rows, columns=["strategy", "column", "cap", "difficulty", "diversity"])
    cap, difficulty, _ = figures.composition(frame).axes
    assert [[bar.get_height() for bar in ax.patches] for ax in (cap, difficulty)] == [[100, 50], [10, 50]]
    assert list(cap.lines[0].get_ydata()) == [40, 40]
