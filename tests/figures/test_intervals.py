"""Points, bars and differences stand where their values are."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from covid_study.figures import intervals, style, tallies


def results():
    """Two rows, two columns, two scores; the paper has one value."""
    index = pd.MultiIndex.from_product([["baseline", "dsn_saal"], ["100%", "10%"], ["sen", "spe"]])
    frame = index.to_frame(index=False, name=["row", "column", "metric"])
    means = {"mean": [0.5, 0.5, 0.7, 0.7, 0.6, 0.6, 0.8, 0.8], "low": 0.4, "high": 0.8}
    return frame.assign(label=frame["row"], published=[0.9] + [np.nan] * 7, published_sd=0.05, **means)


def marks(ax, hollow=False, of="x"):
    """Where the filled or the hollow marks stand."""
    lines = [line for line in ax.lines if line.get_marker() not in ("", "None") and len(line.get_xdata())]
    lines = [line for line in lines if (line.get_markerfacecolor() == "white") == hollow]
    return [pytest.approx(list(getattr(line, f"get_{of}data")())) for line in lines]


def ticks(ax):
    return [t.get_text() for t in ax.get_yticklabels()]


@pytest.mark.filterwarnings("error::UserWarning")
def test_points_stand_at_their_values_with_their_intervals_and_the_papers_hollow_beside_them():
    one, panels = results()[lambda t: t["column"] == "100%"], {"spe": "Specificity", "sen": "Sensitivity"}
    spe, sen = intervals.points(one, panel="metric", panels=panels, scale=100, title="T").axes
    assert not plt.get_fignums(), "an open figure would be shown a second time in a notebook"
    assert spe.get_title(loc="left") == "Specificity"
    assert marks(sen) == [[50, 60]] and marks(sen, hollow=True) == [[90]] and marks(spe, hollow=True) == []
    segments = [
        s[:, 0] for c in sen.collections for s in c.get_segments() if s.ndim == 2 and np.isfinite(s).all()
    ]
    assert sorted(tuple(s.round(6)) for s in segments) == [(40, 80), (40, 80), (85, 95)]
    assert sen.get_ylim()[0] > sen.get_ylim()[1], "the first row is above"


def test_groups_stand_beside_each_other_upright_and_are_joined():
    look = {"at": "column", "panel": "metric", "group": "row", "upright": True, "joined": True}
    figure = intervals.points(results(), **look)
    assert marks(figure.axes[0], of="y") == [[0.5, 0.7], [0.6, 0.8]]
    assert marks(figure.axes[0], hollow=True, of="y") == [[0.9]] and len(figure.legends[0].get_texts()) == 3
    sen, _ = intervals.points(results(), **look, groups={"dsn_saal": "Ours"}).axes
    assert marks(sen, of="y") == [[0.6, 0.8]], "what is not named is not drawn"


def test_what_has_no_interval_is_hollow_and_what_is_not_known_is_not_drawn():
    known = {"value": [0.6, 0.7, np.nan], "low": [0.5, np.nan, np.nan], "high": [0.7, np.nan, np.nan]}
    frame = pd.DataFrame({"label": list("abc")} | known)
    (ax,) = intervals.points(frame, value="value", reference=0.5).axes
    assert marks(ax) == [[0.6]] and marks(ax, hollow=True) == [[0.7]] and ticks(ax) == list("abc")
    assert intervals.points(frame[:0]).axes[0].texts


def test_the_best_stand_first_each_panel_in_its_own_order():
    scores = results().assign(mean=[1, 2, 3, 4, 5, 6, 7, 0])[lambda t: t["metric"] == "spe"]
    first, second = intervals.points(scores, "row", "column", best_first=True).axes
    assert ticks(first) == ["DSN-SAAL", "Baseline"] == ticks(second)[::-1]


def test_differences_are_in_points_and_right_of_zero_speaks_for_the_claim():
    decided = pd.DataFrame({"text": ["a", "b"], "difference": [0.02, -0.1], "low": [0.01, -0.2], "high": [0.05, np.nan],
                            "published": [0.04, np.nan], "verdict": ["holds", "open"]})  # fmt: skip
    (ax,) = intervals.differences(decided).axes
    assert marks(ax) == [[2], [-10]] and marks(ax, hollow=True)[0] == [4]
    assert [t.get_text() for t in ax.texts] == ["a", "holds", "b", "open"]
    assert -ax.get_xlim()[0] == ax.get_xlim()[1] > 10
    several = pd.concat([decided.assign(column="14%"), decided.assign(column="mean")])
    assert ticks(intervals.differences(several).axes[0]) == ["14 %", "Mean"] * 2


def test_bars_are_as_high_as_the_values():
    rows = [("14%", "top", 10.0), ("56%", "top", 20), ("14%", "random", 30), ("56%", "random", 40)]
    frame = pd.DataFrame(rows, columns=["column", "strategy", "share"]).assign(what="cap")
    look = {"panels": {"cap": "CAP"}, "references": {"cap": 25.0}}
    (ax,) = tallies.bars(frame, "column", "share", "what", "strategy", **look).axes
    assert sorted(bar.get_height() for bar in ax.patches) == [10, 20, 30, 40]
    assert [list(line.get_ydata()) for line in ax.lines] == [[25, 25]]
    (ax,) = tallies.permutations({"three": np.array([[0, 1, 2], [1, 0, 2], [1, 2, 0]])}).axes
    assert [bar.get_height() for bar in ax.patches] == [0, 0, 2, 1], "pairs, by their distance"


def test_confusion_matrices_show_exams_and_their_share_of_the_true_class():
    matrix = pd.DataFrame([[3, 1], [0, 0]], index=["covid", "cap"], columns=["covid", "cap"])
    first, _, third = tallies.confusions(dict.fromkeys(("25%", "10%", "1%"), matrix), most=2).axes
    np.testing.assert_allclose(first.collections[0].get_array(), [[0.75, 0.25], [0, 0]])
    assert [t.get_text() for t in first.texts] == ["3\n75 %", "1\n25 %", "0", "0"]
    left, below = first.get_position(), third.get_position()
    assert below.y1 < left.y0 and below.x0 == pytest.approx(left.x0)


def test_drawing_leaves_the_callers_style_alone():
    before = plt.rcParams["axes.spines.top"]
    style.nothing("nothing")
    assert plt.rcParams["axes.spines.top"] == before
