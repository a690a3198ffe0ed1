"""Lines go through their points, curves end where the classifiers call, the front is where none is better."""

import numpy as np
import pandas as pd
import pytest

from covid_study.analysis.cost import front
from covid_study.figures import curves, pareto, style, thresholds
from covid_study.scores.slices import Called

HISTORY = pd.DataFrame(
    {"epoch": [0, 1, 2], "loss": [3, 2, 1.0], "permutation": [0.01, 0.2, 0.4], "variant": "Pro"}
)
SHARES = {"14%": 0.138, "56%": 0.56, "all": 1.0}


def drawn(ax):
    return [pytest.approx(list(line.get_ydata())) for line in ax.lines]


@pytest.mark.filterwarnings("error::UserWarning")
def test_a_line_a_run_a_colour_a_row_a_panel_a_column():
    frame = pd.DataFrame(
        [(r, c, seed, epoch, epoch + seed) for r in "ab" for c in ("14%", "all") for seed in (0, 1) for epoch in (0, 1)],
        columns=["row", "column", "seed", "epoch", "loss"],
    )  # fmt: skip
    figure = curves.lines(
        frame, panel="column", colour="row", run="seed", labels={"b": "B", "a": "A"}, title="T"
    )
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
    figure = curves.lines(
        long, "epoch", "value", "panel", "line", levels={"Permutation": {"chance": 0.01}}, shared=False
    )
    assert drawn(figure.axes[0]) == [[3, 2, 1]] and drawn(figure.axes[1]) == [[0.01, 0.2, 0.4], [0.01, 0.01]]
    assert curves.lines(long[:0]).axes[0].texts


def test_bands_places_ticks_and_logarithms():
    frame = pd.DataFrame(
        {
            "x": [1.0, 100.0],
            "y": [1.0, 2.0],
            "low": [0.5, np.nan],
            "high": [1.5, np.nan],
            "published": [np.nan, 5.0],
        }
    )
    figure = curves.lines(
        frame,
        "x",
        "y",
        axes=("x", "y"),
        places={"": {"here": 10.0}},
        ticks={"one": 1.0},
        log="x",
        limits=(0, 9),
    )
    (ax,) = figure.axes
    assert ax.get_xscale() == "log" and ax.get_yscale() == "linear" and ax.get_ylim() == (0, 9)
    assert drawn(ax)[:2] == [[1, 2], [5]] and list(ax.lines[2].get_xdata()) == [10, 10]
    assert list(ax.get_xticks()) == [1] and len(ax.collections) == 1


def results():
    rows = [(row, column, 0.7, 0.6, 0.8, 0.9 if row == "both" else np.nan, row != "own")
            for row in ("random", "both", "own") for column in SHARES if row == "random" or column != "all"]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["row", "column", "mean", "low", "high", "published", "in_paper"])
    return frame.assign(metric="f1", label=frame["row"])


@pytest.mark.filterwarnings("error::UserWarning")
def test_scores_by_size_have_the_reference_in_grey_and_the_papers_hollow():
    figure = curves.by_size(results(), SHARES, axis="F1")
    random, both, own = figure.axes
    assert drawn(both) == [[0.7] * 3, [0.7] * 2, [0.9] * 2] and list(both.lines[1].get_xdata()) == [
        0.138,
        0.56,
    ]
    assert drawn(random) == [[0.7] * 3, []] and [len(ax.texts) for ax in figure.axes] == [0, 0, 1]
    nothing = curves.by_size(results().assign(mean=np.nan, low=np.nan, high=np.nan), SHARES)
    assert len(nothing.axes) == 1


def test_curves_are_sorted_by_area_and_end_where_the_classifier_calls():
    y = np.array([1, 1, 0, 0])
    runs = {
        "bad": (y, [0.9, 0.1, 0.8, 0.2]),
        "good": (y, [0.9, 0.8, 0.3, 0.2], [1, 0, 0, 0]),
        "one class": (y * 0, [0.5] * 4),
    }
    figure = thresholds.roc(runs, strong="good", precision=True)
    texts = [t.get_text() for t in figure.legends[0].get_texts()]
    assert [t.split()[0] for t in texts] == ["1.000", "0.500"] and len(figure.axes) == 2
    points = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 1]
    assert [(p.get_xdata()[0], p.get_ydata()[0]) for p in points] == [(0, 0.5), (0.5, 0.5)]
    strong = [
        line for line in figure.axes[0].lines if line.get_color() == style.OURS and len(line.get_xdata()) > 1
    ]
    assert strong[0].get_linewidth() > 2
    assert len(thresholds.roc({"one class": runs["one class"]}).axes) == 1


def test_covid_is_told_from_the_rest_where_it_is_the_likeliest_of_three():
    y = np.array([0, 0, 1, 2])
    good = Called(y, np.array([[0.8, 0.1, 0.1], [0.4, 0.5, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]]), [], y)
    runs = thresholds.against_the_rest({"bad": Called(y, good.p[::-1], [], y), "ours": good})
    (ax,) = thresholds.roc(runs, strong="ours").axes
    assert [line.get_xydata()[0].tolist() for line in ax.lines if len(line.get_xdata()) == 1] == [
        [0.0, 0.5],
        [0.5, 0.0],
    ]


@pytest.mark.parametrize("known", [1, 0])
def test_choices_go_out_from_where_nothing_is_chosen(known):
    values = {
        ("none", "recall"): 0.5,
        ("none", "precision"): 0.6,
        ("ohem", "recall"): 0.7,
        ("ohem", "precision"): 0.8,
    }
    frame = pd.DataFrame([("all", *key, v if known else np.nan, np.nan) for key, v in values.items()])
    frame.columns = ["row", "column", "metric", "mean", "published"]
    ax, paper = thresholds.trades(frame, "none").axes
    ways = [line.get_xydata().tolist() for line in ax.lines if line.get_color() == style.BLUE]
    assert ways == ([[[0.5, 0.6]], [[0.5, 0.6], [0.7, 0.8]], [[0.7, 0.8]]] if known else [])
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    assert right - left == pytest.approx(top - bottom)
    assert paper.get_xlim()[1] > 1


def test_a_limit_leaves_every_panel_in_view():
    frame = pd.DataFrame(
        {"row": "a", "seed": 0, "epoch": 1, "column": ["all", "14%", "56%"], "loss": [3.0, 1.0, 2.0]}
    )
    tops = [ax.get_ylim()[1] for ax in curves.losses(frame).axes]
    assert min(tops) > 3.0 and {ax.get_ylim()[0] for ax in curves.losses(frame).axes} == {0.0}


def test_losses_stand_from_small_to_large_shares_and_periods_are_relative_to_all():
    frame = pd.DataFrame(
        {"row": "a", "column": ["all", "56%", "14%"], "seed": 0, "epoch": 0, "loss": [1.0, 2, 3]}
    )
    assert [drawn(ax) for ax in curves.losses(frame).axes] == [[[3]], [[2]], [[1]]]
    assert [drawn(ax) for ax in curves.losses(frame, {"a": "A"}, shared=False, panel="row").axes] == [
        [[1, 2, 3]]
    ]
    took = pd.DataFrame(
        {
            "row": "training_period",
            "metric": "hours",
            "column": list(SHARES),
            "mean": [2.0, 6, 8],
            "published": np.nan,
        }
    )
    assert drawn(curves.periods(took, SHARES).axes[0]) == [[0.25, 0.75, 1], [0, 1]]


def test_the_front_is_ringed_and_hours_are_shown_in_a_unit_that_reads_well():
    cells = pd.DataFrame({"table": ["A.III"] * 3 + ["A.IV"], "label": list("abcd"), "column": ["14%", "56%", "all", "all"],
                          "f1": [0.5, 0.4, 0.9, np.nan], "f1_low": 0.3, "f1_high": 1.0, "flops": [1e9, 2e9, 3e9, 1.0],
                          "hours": [0.01, 0.02, 0.03, 9.0]})  # fmt: skip
    flops, hours = pareto.pareto(cells, {"flops": "FLOPs", "hours": "hours of training"}, front).axes
    rings = [line.get_xydata().tolist() for line in flops.lines if line.get_markersize() == 10]
    assert rings == [[[1e9, 50], [3e9, 90]]]
    assert hours.get_xlabel() == "seconds of training"
    rings = [line.get_xydata()[0, 0] for line in hours.lines if line.get_markersize() == 10]
    assert rings == [pytest.approx(36)]
    assert len(pareto.pareto(cells[:0], {"flops": "FLOPs"}, front).axes) == 1
    many = pd.concat([cells[:1].assign(flops=i, f1=i / 20) for i in range(1, 14)])
    listed = pareto.pareto(many, {"flops": "FLOPs"}, front).axes[0].get_title(loc="left").splitlines()
    assert len(listed) == 1 + 7, "a title holds so many names, the last line says how many more"
