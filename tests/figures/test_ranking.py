"""The figures of the ranking draw the numbers they are given."""

import numpy as np
import pandas as pd
import pytest

from covid_study.figures import ranking as figures

RNG = np.random.default_rng(0)
IDS = [f"n{i}" for i in range(40)]
FINDINGS = pd.Series(["cap"] * 15 + ["non_pneumonia"] * 25, index=IDS)
RANKING = pd.DataFrame({"difficulty": RNG.random(40), "diversity": RNG.random(40)}, index=IDS)
RANKING["joint_rank"] = np.arange(1, 41)


def test_soft_labels_start_at_zero_degrees():
    figure = figures.soft_labels(np.array([[1.0, 2, 3, 4], [4, 3, 2, 1]]), ["a", "b"])
    first = figure.axes[0].patches[0]
    assert first.get_x() == pytest.approx(0) and first.get_height() == 1
    assert [ax.lines[0].get_ydata()[0] for ax in figure.axes] == [2.5, 2.5]  # the mean as a circle


def test_selected_exams_are_ringed_among_all_and_harder_ones_stand_right():
    (ax,) = figures.difficulty_and_diversity(RANKING, FINDINGS, IDS[:5]).axes
    sizes = [len(marks.get_offsets()) for marks in ax.collections]
    assert sizes == [0, 15, 25, 0, 5]
    np.testing.assert_allclose(
        ax.collections[-1].get_offsets(), RANKING.loc[IDS[:5], ["difficulty", "diversity"]]
    )
    assert ax.get_xlim()[0] > ax.get_xlim()[1]


@pytest.mark.parametrize("second", ["non_pneumonia", "other"])
def test_selected_exams_are_counted_by_finding(second):
    findings = FINDINGS.replace("non_pneumonia", second)
    figure = figures.selections(RANKING, {"top": IDS[:20], "long_tail": IDS[3:9]}, findings, bins=4)
    tops = [[bar.get_height() for bar in bars] for bars in figure.axes[0].containers]
    assert [sum(heights) for heights in tops] == [15, 5]
    assert len(figure.axes) == 2 and len(figure.legends[0].get_texts()) == 3


def test_four_exams_are_enough_to_draw():
    assert figures.selections(RANKING[:4], {"top": IDS[:1]}, FINDINGS).axes


def test_every_exam_is_a_point_of_its_finding_and_the_median_is_in_the_box():
    (ax,) = figures.by_finding(RANKING["difficulty"], FINDINGS, title="AUC 0.5").axes
    points = [marks.get_offsets()[:, 0] for marks in ax.collections]
    for drawn, finding in zip(points, ("cap", "non_pneumonia"), strict=True):
        np.testing.assert_allclose(np.sort(drawn), np.sort(RANKING["difficulty"][finding == FINDINGS]))
    medians = [
        line.get_xdata()[0]
        for line in ax.lines
        if np.ptp(line.get_xdata()) == 0 and np.ptp(line.get_ydata()) > 0.3
    ]
    assert any(np.isclose(m, RANKING["difficulty"][FINDINGS == "cap"].median()) for m in medians)


def test_load_is_in_per_cent():
    load = pd.Series(np.linspace(0, 0.5, 40), index=IDS)
    (ax,) = figures.against_load(RANKING["difficulty"], load, FINDINGS).axes
    assert max(x for marks in ax.collections for x, _ in marks.get_offsets()) == 50


def test_every_order_is_a_point_and_the_median_a_bar():
    found = pd.DataFrame(
        [(kind, track, rho) for kind in ("a", "b") for track in figures.TRACKS for rho in (0.5, 0.7, -0.6)]
    )
    found.columns = ["kind", "track", "rho"]
    found.loc[(found["kind"] == "b") & (found["track"] == "difficulty"), "rho"] = np.nan
    figure = figures.orders(found, {"a": "one", "b": "other"})
    joint = figure.axes[2]
    points = [
        marks.get_offsets()[:, 0].tolist() for marks in joint.collections if len(marks.get_offsets()) == 3
    ]
    assert [sorted(p) for p in points] == [[-0.6, 0.5, 0.7]] * 2
    bars = [
        c.get_segments()[0][0, 0]
        for c in joint.collections
        if hasattr(c, "get_segments") and len(c.get_segments())
    ]
    assert bars == [0.5, 0.5] and joint.get_xlim()[0] < -0.6


def test_the_archive_is_the_line_and_the_strategies_are_bars_in_per_cent():
    rows = [
        ("archive", "all", 0.4, 0.5, 0.5),
        ("top", "14%", 1.0, 0.1, 0.2),
        ("random", "14%", 0.5, 0.5, 0.4),
    ]
    frame = pd.DataFrame(rows, columns=["strategy", "column", "cap", "difficulty", "diversity"])
    cap, difficulty, _ = figures.composition(frame).axes
    assert [bar.get_height() for bar in cap.patches] == [100, 50] and list(cap.lines[0].get_ydata()) == [
        40,
        40,
    ]
    assert [bar.get_height() for bar in difficulty.patches] == [10, 50]
