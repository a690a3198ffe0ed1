"""The figures of notebook 10 draw the numbers they are given."""

import numpy as np
import pandas as pd

from covid_study.analysis.class_weights import of_paper, raw, reaches, relative
from covid_study.figures import losses
from tests.analysis.test_saal_factors import history


def test_the_weights_are_drawn_over_alpha_and_the_places_are_marked():
    studies = {"here": {"covid": 8, "cap": 8, "CP": 8}, "paper": of_paper()}
    here, paper = losses.class_weights(studies, 0.9999).axes
    assert [line.get_label() for line in here.lines[:3]][0] == "COVID-19 (8 slices)"
    assert all(np.allclose(line.get_ydata(), 1) for line in here.lines[:3])
    drawn = paper.lines[1]
    np.testing.assert_allclose(
        drawn.get_ydata(), relative(drawn.get_xdata(), list(of_paper().values()))[:, 1]
    )
    marks = [float(np.unique(line.get_xdata())[0]) for line in paper.lines[3:]]
    np.testing.assert_allclose(marks, [1e-4, reaches(0.01, list(of_paper().values()))])
    assert len(here.lines) == 4  # no alpha puts those apart
    assert paper.get_xlim()[0] > paper.get_xlim()[1]


def test_alpha_and_the_betas_are_drawn_from_before_the_training():
    both = [[0.5, 0.4, 0.3], [0.6] * 3]
    found = pd.concat([history([0.0, 0.3, 0.5], both[:1]), history([1.0, 1.1, 1.3], both, "dsn_saal")])
    counts = [1256, 980, 2674]
    alpha, raw_alpha, one, six = losses.factors(found, counts, {"saal": "SAAL"}).axes
    assert [list(line.get_xdata()) for line in alpha.lines] == [[0, 1, 2]] * 2
    np.testing.assert_allclose(raw_alpha.lines[1].get_ydata(), [1.0, 1.1, 1.3])
    levels = [line.get_ydata()[0] for line in raw_alpha.lines[2:]]
    np.testing.assert_allclose(levels, [raw(reaches(share, counts)) for share in (0.01, 0.1)])
    assert (len(one.lines), len(six.lines)) == (1, 2) and one.get_title("left") == "beta, SAAL"


def test_each_loss_has_a_panel_and_an_axis_of_its_own():
    curves = pd.DataFrame({"epoch": [1, 2] * 5, "loss": [4.0, 3.0, 4.0, 2.0] + [0.2, 0.1] * 3})
    curves = curves.assign(
        row=["ce"] * 4 + ["focal"] * 2 + ["sce"] * 2 + ["dsn"] * 2, seed=[0, 0, 1, 1] + [0] * 6
    )
    panels = [ax for ax in losses.loss_curves(curves, {"ce": "CE"}).axes if ax.get_visible()]
    assert [ax.get_title("left") for ax in panels] == ["CE", "focal", "sce", "dsn"]
    assert len(panels[0].lines) == 2 and panels[0].get_ylim()[1] > 3 > panels[1].get_ylim()[1]


def test_scores_stand_beside_the_papers():
    joined = pd.DataFrame(
        {"row": ["ce", "saal"], "label": ["CE", "SAAL"], "metric": "f1", "mean": [0.7, np.nan]}
    )
    joined = joined.assign(
        low=[0.6, np.nan], high=[0.8, np.nan], published=[0.748, 0.832], published_sd=[0.018, 0.014]
    )
    (ax,) = losses.scores_by_loss(joined, ["f1"]).axes
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), [0.7, np.nan])
    np.testing.assert_array_equal(ax.lines[1].get_xdata(), [0.748, 0.832])
    assert [t.get_text() for t in ax.get_yticklabels()] == ["CE", "SAAL"]
    segments = ax.collections[1].get_segments()
    np.testing.assert_allclose([segment[:, 0] for segment in segments], [[0.73, 0.766], [0.818, 0.846]])
