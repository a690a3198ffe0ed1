"""Lines go through their points, curves end where the classifiers call, the front is where none is better."""

import numpy as np
import pandas as pd
import pytest

from covid_study.figures import curves, pareto, style, thresholds

HISTORY = pd.DataFrame(
    {"epoch": [0, 1, 2], "loss": [3, 2, 1.0], "permutation": [0.01, 0.2, 0.4], "variant": "Pro"}
)
SHARES = {"14%": 0.138, "56%": 0.56, "all": 1.0}


def drawn(ax):
    return [pytest.approx(list(line.get_ydata())) for line in ax.lines]


@pytest.mark.filterwarnings("error::UserWarning")
def test_a_line_a_run_a_colour_a_row_a_panel_a_column():
    index = pd.MultiIndex.from_product([list("ab"), ["14%", "all"], [0, 1], [0, 1]])
    frame = index.to_frame(index=False, name=["row", "column", "seed", "epoch"])
    frame = frame.assign(loss=frame["epoch"] + frame["seed"])
    look = {"panel": "column", "colour": "row", "run": "seed", "labels": {"b": "B", "a": "A"}, "title": "T"}
    figure = curves.lines(frame, **look)
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["14 %", "ALL"]
    for ax in figure.axes:
        assert drawn(ax) == [[0, 1], [1, 2]] * 2
        assert len({line.get_color() for line in ax.lines}) == 2
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["B", "A"]


def test_histories_become_lines_and_what_they_lack_is_left_out():
    panels = {"Loss": {"training": "loss", "validation": "not there"}, "Permutation": "permutation"}
    long = curves.melted(HISTORY, panels)
    assert long.groupby(["panel", "line"]).size().to_dict() == {
        ("Loss", "training"): 3,
        ("Permutation", "Pro"): 3,
    }
    two = pd.concat([HISTORY, HISTORY.assign(variant="Cube")])
    assert set(curves.melted(two, panels)["line"]) == {"Pro, training", "Cube, training", "Pro", "Cube"}
    levels = {"Permutation": {"chance": 0.01}}
    loss, part = curves.lines(long, "epoch", "value", "panel", "line", levels=levels, shared=False).axes
    assert drawn(loss) == [[3, 2, 1]] and drawn(part) == [[0.01, 0.2, 0.4], [0.01, 0.01]]
    assert curves.lines(long[:0]).axes[0].texts


def test_bands_places_ticks_and_logarithms():
    ends = {"low": [0.5, np.nan], "high": [1.5, np.nan], "published": [np.nan, 5.0]}
    frame = pd.DataFrame({"x": [1.0, 100.0], "y": [1.0, 2.0]} | ends)
    look = {"places": {"": {"here": 10.0}}, "ticks": {"one": 1.0}, "log": "x", "limits": (0, 9)}
    (ax,) = curves.lines(frame, "x", "y", axes=("x", "y"), **look).axes
    assert ax.get_xscale() == "log" and ax.get_yscale() == "linear" and ax.get_ylim() == (0, 9)
    assert drawn(ax)[:2] == [[1, 2], [5]] and list(ax.lines[2].get_xdata()) == [10, 10]
    assert list(ax.get_xticks()) == [1] and len(ax.collections) == 1


@pytest.mark.filterwarnings("error::UserWarning")
def test_scores_by_size_have_the_reference_and_the_papers_beside_them():
    rows = [(row, column, 0.7, 0.6, 0.8, 0.9 if row == "both" else np.nan, row != "own")
            for row in ("random", "both", "own") for column in SHARES if row == "random" or column != "all"]  # fmt: skip
    found = pd.DataFrame(rows, columns=["row", "column", "mean", "low", "high", "published", "in_paper"])
    found = found.assign(metric="f1", label=found["row"])
    random, both, own = curves.by_size(found, SHARES, axis="F1").axes
    assert drawn(both)[:3] == [[0.7] * 2, [0.9] * 2, [0.7] * 3] and list(both.lines[0].get_xdata()) == [
        0.138,
        0.56,
    ]
    assert drawn(random)[:1] == [[0.7] * 3]
    assert [ax.get_title(loc="left") for ax in (random, own)] == ["random", "own (not in the paper)"]
    assert len(curves.by_size(found.assign(mean=np.nan, low=np.nan, high=np.nan), SHARES).axes) == 1


def test_losses_stand_from_small_to_large_shares_all_in_view():
    frame = pd.DataFrame(
        {"row": "a", "column": ["all", "56%", "14%"], "seed": 0, "epoch": 0, "loss": [1.0, 2, 3]}
    )
    axes = curves.losses(frame).axes
    assert [drawn(ax) for ax in axes] == [[[3]], [[2]], [[1]]]
    assert min(ax.get_ylim()[1] for ax in axes) > 3.0 and {ax.get_ylim()[0] for ax in axes} == {0.0}
    (of_row,) = curves.losses(
        frame, {"a": "A"}, False, panel="row"
    ).axes  # a line a column, never through all of them
    assert sorted(line.get_ydata().tolist() for line in of_row.lines) == [[1], [2], [3]]


def test_periods_are_relative_to_all():
    took = pd.DataFrame(
        {"row": "training_period", "metric": "hours", "column": list(SHARES), "mean": [2.0, 6, 8]}
    )
    assert drawn(curves.periods(took.assign(published=np.nan), SHARES).axes[0]) == [[0.25, 0.75, 1], [0, 1]]


def called_at(ax):
    return [line.get_xydata()[0].tolist() for line in ax.lines if len(line.get_xdata()) == 1]


def test_curves_are_sorted_by_area_and_end_where_the_classifier_calls():
    y = np.array([1, 1, 0, 0])
    runs = {"bad": (y, [0.9, 0.1, 0.8, 0.2]), "good": (y, [0.9, 0.8, 0.3, 0.2], [1, 0, 0, 0])}
    one_class = {"one class": (y * 0, [0.5] * 4)}
    figure = thresholds.roc(runs | one_class, strong="good", precision=True)
    assert [t.get_text().split()[0] for t in figure.legends[0].get_texts()] == ["1.000", "0.500"]
    assert len(figure.axes) == 2 and called_at(figure.axes[0]) == [[0, 0.5], [0.5, 0.5]]
    strong = [
        line for line in figure.axes[0].lines if line.get_color() == style.OURS and len(line.get_xdata()) > 1
    ]
    assert strong[0].get_linewidth() > 2
    assert len(thresholds.roc(one_class).axes) == 1


def test_the_front_is_ringed_and_hours_are_shown_in_a_unit_that_reads_well():
    cells = pd.DataFrame({"table": ["A.III"] * 3 + ["A.IV"], "label": list("abcd"), "column": ["14%", "56%", "all", "all"],
                          "f1": [0.5, 0.4, 0.9, np.nan], "f1_low": 0.3, "f1_high": 1.0, "flops": [1e9, 2e9, 3e9, 1.0],
                          "hours": [0.01, 0.02, 0.03, 9.0]})  # fmt: skip
    flops, hours = pareto.pareto(cells, {"flops": "FLOPs", "hours": "hours of training"}).axes
    rings = [line.get_xydata() for ax in (flops, hours) for line in ax.lines if line.get_markersize() == 10]
    assert rings[0].tolist() == [[1e9, 50], [3e9, 90]] and rings[1][0, 0] == pytest.approx(36)
    assert hours.get_xlabel() == "seconds of training"
    assert len(pareto.pareto(cells[:0], {"flops": "FLOPs"}).axes) == 1
    many = pd.concat([cells[:1].assign(flops=i, f1=i / 20) for i in range(1, 14)])
    listed = pareto.pareto(many, {"flops": "FLOPs"}).axes[0].get_title(loc="left").splitlines()
    assert len(listed) == 1 + 7, "a title holds so many names, the last line says how many more"


def test_reliability_stands_beside_the_line_where_shares_are_as_said():
    bins = pd.DataFrame({"label": ["A", "A", "B"], "bin": [1, 2, 1], "predicted": [0.1, 0.7, 0.4]})
    bins = bins.assign(observed=[0.0, 0.9, 0.5], low=[0.0, 0.8, 0.2], high=[0.1, 1.0, 0.8])
    figure = curves.reliability(bins)
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["A", "B"]
    first, second = figure.axes
    assert drawn(first) == [[0.0, 0.9], [0, 1]] and drawn(second) == [[0.5], [0, 1]]
    assert list(first.lines[0].get_xdata()) == [0.1, 0.7] and first.lines[0].get_marker() == "o"
    bars = first.collections[0].get_segments()
    assert [bar[:, 1].tolist() for bar in bars] == [[0.0, 0.1], [0.8, 1.0]]
    pd.testing.assert_frame_equal(figure.drawn_from, bins)


def test_decision_curves_are_cut_where_nobody_would_follow_them():
    found = pd.DataFrame({"threshold": [0.1, 0.9] * 2, "label": ["A", "A", "everyone", "everyone"]})
    found = found.assign(benefit=[0.3, 0.1, 0.2, -5.0], low=np.nan, high=np.nan)
    figure = curves.decisions(found)
    assert drawn(figure.axes[0]) == [[0.3, 0.1], [0.2, -5.0]]
    low, high = figure.axes[0].get_ylim()
    assert -0.2 < low < 0 and 0.3 < high < 0.4
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["A", "everyone"]
