"""What the sliders draw, by itself: each figure at values by hand, the loss beside that of the trainings."""

import numpy as np
import pandas as pd
import pytest
import torch
from frozen_archive import frozen

from covid_study.analysis import browse, class_weights
from covid_study.analysis.exam_pictures import Masked
from covid_study.ct.volume import Volume
from covid_study.losses.saal import SelfAdaptiveAuxiliaryLoss
from covid_study.ranking.rank import jointly
from covid_study.ranking.sampling import select
from covid_study.samples.samples import Samples
from covid_study.scores.resamples import auc_interval

COUNTS = {"covid": 1256, "cap": 980, "non_pneumonia": 2674}


def image(ax):
    return ax.images[0].get_array()


def test_an_exam_is_seen_through_the_window_that_is_set():
    hu = np.full((3, 4, 5), -700, np.int16)
    hu[1, 2, 2] = 0
    mask, ill = np.ones(hu.shape, bool), np.zeros(hu.shape, bool)
    mask[:, 0], ill[1, 2, 2] = False, True
    of = Masked("e-1", "cap", Volume(hu, (5.0, 1.0, 1.0), {}), mask, {"lungs": mask, "lesions": ill})
    figure = browse.exam(of, 1, -600, 400, True)
    (ax,) = [ax for ax in figure.axes if ax.images]
    assert image(ax).tolist()[0] == pytest.approx([0.25] * 5) and image(ax)[2, 2] == 1
    assert len(ax.collections) == 2
    kept = figure.drawn_from.iloc[0]
    assert (
        kept["of"] == "e-1" and kept["caption"] == "slice 2 of 3, -800 to -400 HU" and kept["outlined"] == 2
    )
    assert not [ax.collections for ax in browse.exam(of, 1, -600, 400, False).axes if ax.collections]


def test_a_map_is_laid_over_its_slice_where_it_is_high_enough(tmp_path):
    table = pd.DataFrame(
        {"finding": "covid", "lesion_share": np.nan}, index=pd.Index(["a", "b"], name="slice_id")
    )
    table = table.assign(lung_area_mm2=np.nan, lesion_area_mm2=np.nan)
    s = Samples(table, torch.full((2, 4, 4), 90, dtype=torch.uint8), "key", tmp_path)
    heat = np.arange(16.0).reshape(1, 4, 4).repeat(2, 0)
    found = {
        "ids": ["a", "b"],
        "maps": {"CE,\nlast": heat},
        "captions": {"CE,\nlast": ["COVID-19: 0.10", "x"]},
    }
    figure = browse.overlay(s, found, 1, "CE,\nlast", 0.6)
    shown = figure.axes[1].images[1].get_array()
    assert (shown > 0).sum() == 7 and shown.max() == 1 and shown[shown > 0].min() == pytest.approx(9 / 15)
    assert figure.axes[1].get_xlabel() == "COVID-19: 0.10; 44% of the picture"
    assert figure.drawn_from["of"].tolist() == ["a", "a"]


@pytest.fixture(scope="module")
def archive():
    of = {mass: frozen(mass=mass) for mass in ("partial", "normalised")}
    about = pd.DataFrame(
        {"finding": ["covid"] * 12 + ["cap"] * 40 + ["covid", "cap"] * 15}, of["partial"].features.index
    )
    return of, about.assign(patient_id=about.index)


LOOK = {"alpha": 0.5, "beta": 0.5, "mass": "partial", "strategy": "top", "tail": 1.0, "share": 0.25, "n": 50}


def changes(figure):
    return figure.drawn_from["change"]


def test_nothing_comes_or_goes_at_the_values_of_the_run(archive):
    of, about = archive
    own = select(of["partial"].ranking, "top", 10)
    figure = browse.ranking(of.get, own, about, **LOOK)
    assert changes(figure).value_counts().to_dict() == {"": 30, "stays": 10}
    assert "0.00 (0.00 to 0.00) above" in figure.axes[0].get_title(loc="left")


@pytest.mark.parametrize(
    "moved", [{"alpha": 1.0, "beta": 0.0}, {"mass": "normalised"}, {"strategy": "long_tail", "tail": 0.5}]
)
def test_what_comes_and_goes_is_what_another_draw_takes(archive, moved):
    of, about = archive
    own = select(of["partial"].ranking, "top", 10)
    asked = LOOK | moved
    figure = browse.ranking(of.get, own, about, **asked)
    ranked = jointly(of[asked["mass"]].ranking, asked["alpha"], asked["beta"])
    chosen = select(ranked, asked["strategy"], 10, exponent=asked["tail"])
    found = changes(figure)
    assert set(found.index[found == "comes"]) == set(chosen) - set(own) != set()
    assert set(found.index[found == "goes"]) == set(own) - set(chosen)
    test = about.iloc[52:]
    auc = auc_interval(
        test["finding"] == "covid", of[asked["mass"]].probabilities(chosen), test["patient_id"], 50
    )
    assert f"AUC {auc.value:.2f} ({auc.low:.2f}" in figure.axes[0].get_title(loc="left")


@pytest.mark.parametrize("raw, beta", [(0.0, 0.5), (8.0, 0.0), (12.0, 0.9)])
def test_the_loss_is_that_of_the_trainings(raw, beta):
    loss = SelfAdaptiveAuxiliaryLoss(list(COUNTS.values()), stages=1).double()
    with torch.no_grad():
        loss.raw_alpha.fill_(raw)
        loss.raw_betas.fill_(np.log(beta / (1 - beta)) if beta else -60)
    weights = class_weights.weights(np.array([class_weights.one_minus(raw)]), list(COUNTS.values()))[0]
    p, drawn = browse.saal_of_one(weights, beta, -4.0)
    for k in range(3):
        for place in (4, 60):
            rest = (1 - p[place]) / 2
            logits = torch.full((1, 3), rest, dtype=torch.float64)
            logits[0, k] = p[place]
            expected = float(loss([logits.log()], torch.tensor([k])).detach())
            assert drawn[place, k] == pytest.approx(expected, rel=1e-5)


def test_losses_draw_a_line_a_class_and_where_alpha_stands():
    figure = browse.losses(nines=4.0, beta=0.0, **COUNTS)
    left, right = figure.axes
    weights = class_weights.relative(np.array([1e-4]), list(COUNTS.values()))[0]
    assert [float(line.get_ydata()[0]) for line in left.lines[1:6:2]] == pytest.approx(list(weights))
    frame = figure.drawn_from
    assert list(frame) == ["probability", *COUNTS, "cross_entropy"]
    assert (frame["cap"] / frame["cross_entropy"]).tolist() == pytest.approx([weights[1]] * 99)
    assert len(right.lines) == 4
