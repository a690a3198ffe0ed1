"""The charts of what can be told apart show the simulated numbers, and only the paper's test where nothing else is known."""

import matplotlib

matplotlib.use("Agg")
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import pytest  # noqa: E402

from covid_study.figures import power as figures_power
from covid_study.report import verdicts_power as verdicts  # noqa: E402
from covid_study.scores import power, power_marks  # noqa: E402
from tests.scores.test_power import TRAINED  # noqa: E402


@pytest.fixture(scope="module")
def found():
    return power.Measured(*power._simulated(TRAINED, 50))


@pytest.fixture(scope="module")
def unknown():
    return power.Measured(*power._simulated(None, 50))


def lines(ax):
    return {line.get_label(): line.get_xydata() for line in ax.lines if not line.get_label().startswith("_")}


def test_each_case_is_a_line_of_its_power(found):
    figure = figures_power.power_by_difference(found, TRAINED)
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles == [
        "The paper's test: 50 positives, 468 negatives",
        "This run's test: 100 positives, 900 negatives",
    ]
    for test, ax in zip(("paper", "ours"), figure.axes, strict=True):
        drawn = lines(ax)
        assert list(drawn) == list(power.cases(TRAINED))
        for case, xy in drawn.items():
            part = found.curves[(found.curves["test"] == test) & (found.curves["case"] == case)]
            np.testing.assert_allclose(xy, part[["difference", "power"]] * [100, 1])


def test_the_positives_needed_are_drawn_beside_the_paper_s(found):
    gains = verdicts.claimed_gains()
    (ax,) = figures_power.positives_needed(found, gains).axes
    assert ax.get_xscale() == ax.get_yscale() == "log"
    drawn = lines(ax)
    assert list(drawn) == list(power.cases(TRAINED))
    points = [line.get_xydata() for line in ax.lines if line.get_marker() == "."]
    part = found.sizes[found.sizes["case"] == "1 seed"]
    assert any(np.allclose(xy, np.c_[100 * part["smallest"], part["positives"]]) for xy in points)
    texts = [t.get_text() for t in ax.texts]
    assert "the paper's 50" in texts and any("2.8 to 2.9" in t for t in texts)


def test_without_runs_only_the_bound_of_the_paper_s_test_is_drawn(unknown):
    figure = figures_power.power_by_difference(unknown, None)
    assert [list(lines(ax)) for ax in figure.axes] == [[power.UNLIKE]]
    (ax,) = figures_power.positives_needed(unknown, [0.028]).axes
    assert list(lines(ax)) == [power.UNLIKE]


def test_the_table_shows_every_difference_with_its_mark():
    marked = pd.DataFrame(
        [
            ("A.III", "Both", "Random", "14%", 0.8, 0.042, 0.081, 0.102, power.CHANCE),
            ("A.III", "Both", "Random", "56%", 0.8, -0.3, 0.081, 0.102, power.APART),
            ("A.III", "Top", "Both", "56%", 0.8, 0.09, 0.081, 0.102, power.TRAINING),
            ("A.V", "<Top>", "Both", "56%", 0.8, 0.01, np.nan, np.nan, power.UNKNOWN),
        ],
        columns=power_marks.COLUMNS,
    )
    text = figures_power.marks_table(marked, "Title").data
    for said in (
        "Table III",
        "Table V",
        "14 %",
        "+4.2",
        "−30.0",
        "±8.1 · ±10.2",
        "&lt;Top&gt;",
        "against Random",
    ):
        assert said in text
    for kind, mark in (
        ("holds", power.APART),
        ("training", power.TRAINING),
        ("open", power.CHANCE),
        ("open", power.UNKNOWN),
    ):
        assert text.count(f"<span class='mark {kind}'>{mark}</span>") == 1
    assert text.count("±8.1") == 3  # none where nothing is known


def test_the_row_above_stands_with_interval_mark_and_the_paper_s_difference():
    line = {
        "table": "A.III",
        "row": "b",
        "above": "a",
        "label": "<B>",
        "above_label": "A",
        "column": "14%",
        "seeds": 3,
    }
    line |= {"low": -0.01, "high": 0.09, "verdict": "holds", "difference": 0.042}
    marked = {"metric": "f1", "published": -0.02, "of_test": 0.03, "of_all": 0.04}
    found = pd.DataFrame(
        [
            line | marked | {"mark": power.APART, "published_mark": power.CHANCE},
            line | {"metric": "auc", "difference": 0.5, "published": np.nan},
            line | marked | {"column": "56%", "mark": power.UNKNOWN, "published": np.nan, "low": np.nan},
        ]
    )
    text = figures_power.above_table(found, "Title").data
    for said in (
        "+4.2",
        "−1.0 to +9.0",
        "±3.0 · ±4.0",
        "&lt;B&gt;",
        "against A",
        "14 %",
        "AUC",
        "+50.0",
        "3 seeds",
    ):
        assert said in text
    assert text.count("no interval") == 1 and text.count("±3.0 · ±4.0") == 1
    assert f"<span class='paper'>−2.0</span><br><span class='mark paper'>{power.CHANCE}</span>" in text
    assert text.count(f"<br><span class='mark holds'>{power.APART}</span>") == 1
    assert text.count("<td") == text.count("</td>") and text.count("<th") - text.count(
        "<thead"
    ) == text.count("</th>")
    unknown = figures_power.above_table(found.assign(mark=power.UNKNOWN), "Title").data
    assert (
        power.UNKNOWN not in unknown and "Chance" not in unknown and "−2.0" in unknown and "+4.2" in unknown
    )
    assert "No two rows" in figures_power.above_table(found[:0], "Title").data
