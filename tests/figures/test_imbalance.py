"""The charts of notebook 11 show the numbers that they are given."""

import matplotlib

matplotlib.use("Agg")
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import pytest  # noqa: E402

from covid_study.figures import (
    classes,
    imbalance as charts,  # noqa: E402
)
from covid_study.report import show  # noqa: E402
from covid_study.tables import b6_fewer_positives

SLICES = {"100%": "40 slices", "10%": "4 slices"}


def scores(**more):
    rows = [
        (row, column, metric, 0.5 + 0.1 * i, 0.4, 0.8)
        for row in ("100%", "10%")
        for metric in ("sen", "spe", "auc")
        for i, column in enumerate(b6_fewer_positives.METHODS)
    ]
    return pd.DataFrame(rows, columns=["row", "column", "metric", "mean", "low", "high"])


def drawn(ax, marker, face=None):
    """Heights of the marks of one look, from left to right."""
    lines = [line for line in ax.lines if line.get_marker() == marker and len(line.get_xdata())]
    lines = [line for line in lines if (line.get_markerfacecolor() == "white") == (face == "white")]
    return [list(line.get_ydata()) for line in lines]


def test_scores_by_share_has_ours_and_the_papers():
    joined = show.join_published(scores(), "B.6")
    sen, spe = charts.scores_by_share(joined, SLICES).axes
    assert drawn(sen, "o") == [[0.5, 0.5]] and drawn(sen, "s") == [[0.6, 0.6]]
    assert drawn(sen, "s", "white") == [pytest.approx([0.907, 0.810, 0.702, 0.616, 0.232])]
    assert drawn(spe, "o", "white") == [pytest.approx([0.877, 0.918, 0.955, 0.956, 0.983])]
    labels = [t.get_text() for t in sen.get_xticklabels()]
    assert labels == ["100 %\n40 slices", "25 %", "10 %\n4 slices", "5 %", "1 %"]
    ours = next(line for line in sen.lines if line.get_marker() == "s")
    assert np.round(ours.get_xdata()).tolist() == [0, 2]


def test_changes_are_in_points_with_their_intervals():
    columns = ["row", "column", "metric", "difference", "low", "high"]
    rows = [("10%", "baseline", "sen", -0.3, -0.4, -0.2), ("10%", "baseline_moved", "sen", -0.1, -0.2, 0.1),
            ("10%", "baseline", "auc", 0.0, -0.1, 0.1), ("1%", "baseline", "sen", -0.5, -0.6, -0.4)]  # fmt: skip
    baseline, ours = charts.line_or_ranking(pd.DataFrame(rows, columns=columns), SLICES).axes
    assert drawn(baseline, "o")[0] == pytest.approx([-30, -50])
    assert drawn(baseline, "^") == [pytest.approx([-10])] and drawn(baseline, "s") == [[0]]
    ends = [segment[:, 1].tolist() for c in baseline.collections for segment in c.get_segments()]
    assert [-40, -20] in [pytest.approx(end) for end in ends]
    assert drawn(ours, "o") == []


def test_losses_by_share_has_a_line_a_loss():
    turned = scores().rename(columns={"row": "column", "column": "row"}).replace({"row": {"baseline": "ce"}})
    figure = charts.losses_by_share(show.join_published(turned, None), SLICES, metrics=("auc",))
    (ax,) = figure.axes
    assert drawn(ax, "o") == [[0.5, 0.5]] and drawn(ax, "s") == [[0.6, 0.6]]
    assert len(figure.legends[0].get_texts()) == 2


def test_confusion_matrices_may_stand_in_several_lines():
    matrix = pd.DataFrame([[3, 1], [0, 4]], index=["covid", "cap"], columns=["covid", "cap"])
    figure = classes.confusion_matrices(dict.fromkeys(("25%", "10%", "1%"), matrix), columns=2)
    shown = [ax for ax in figure.axes if ax.get_visible()]
    assert [ax.get_title(loc="left") for ax in shown] == ["25 %", "10 %", "1 %"]
    left, below = (ax.get_position() for ax in (shown[0], shown[2]))
    assert below.y1 < left.y0 and below.x0 == pytest.approx(left.x0)
    assert [shown[i].get_yticklabels()[0].get_text() for i in range(3)] == ["COVID-19", "", "COVID-19"]
