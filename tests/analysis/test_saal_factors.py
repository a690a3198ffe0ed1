"""Alpha and the betas over a training: where it starts, what is measured of it, what is said."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_study import parameters

from covid_study.analysis import saal_factors
from covid_study.analysis.class_weights import apart, of_paper, of_study, one_minus, raw, reaches
from covid_study.losses.saal import SelfAdaptiveAuxiliaryLoss
from covid_study.samples import slice_store
from covid_study.tables import slice_steps
from covid_study.training import sweep
from covid_study.training.optimisers import optimiser_of

COUNTS = [1256, 980, 2674]


@pytest.fixture(scope="module")
def q(root):
    small = {"size": 32, "exams": None, "per_exam": 2}
    return parameters(root, slices=small, slice_network={"weights": "none"}, slice_training={"epochs": 1})


def test_the_start_is_that_of_the_training(q, tmp_path):
    """With next to no learning rate the first epoch ends where the training began."""
    s = slice_store.slices(q)
    cells = {"saal": slice_steps.run(q, s, 3, loss="saal"), "dsn_saal": slice_steps.dsn_saal(q, s, 3)}
    runs = {}
    for row, run in cells.items():
        still = replace(run.method, training=run.method.training | {"learning_rate": 1e-12})
        runs[row, "slices", 3] = replace(run, method=still)
    trained = sweep.sweep({row: run for (row, *_), run in runs.items()}, s, tmp_path)
    folders = dict(zip(runs, trained.values(), strict=True))
    before = torch.random.get_rng_state()
    plain = {("ce", "slices", 3): slice_steps.run(q, s, 3)}
    found = saal_factors.factors(runs | plain, folders, list(of_study(s).values()))
    assert torch.equal(before, torch.random.get_rng_state())
    batches = -(-len(runs["saal", "slices", 3].training_ids) // q.slice_training.batch_size)
    expected = [[row, epoch, epoch * batches] for row in cells for epoch in (0, 1)]
    assert found[["row", "epoch", "steps"]].values.tolist() == expected
    known = ["alpha", "raw_alpha", *(f"beta_{i}" for i in range(1, 7))]
    for _, run in found.groupby("row"):
        np.testing.assert_allclose(*run[known].to_numpy(dtype=float), rtol=1e-5)
    stages = found.groupby("row")[known].nunique().gt(0).sum(axis=1)
    assert stages.to_dict() == {"saal": 3, "dsn_saal": 8}
    assert found.loc[found["row"] == "dsn_saal", known].nunique(axis=1).min() == len(known)


def history(raws, betas, loss=1.0):
    found = pd.DataFrame({"epoch": range(len(raws)), "raw_alpha": raws, "row": "saal", "seed": 0})
    found = found.assign(alpha=1 / (1 + np.exp(-found["raw_alpha"])), steps=10 * found["epoch"])
    return found.assign(loss=[np.nan] + [loss * one_minus(a) for a in raws[1:]], **betas)


def test_a_training_is_summed_up():
    found = history([0.0, 0.5, 1.0], {"beta_1": [0.5, 0.4, 0.3], "beta_2": [0.5, 0.55, 0.6]}, loss=2.5)
    row = saal_factors.summary(found, COUNTS).iloc[0]
    assert row["steps"] == 20 and row["speed"] == pytest.approx(0.05)
    assert row["start"] == 0.5 and row["end"] == pytest.approx(1 / (1 + np.exp(-1)))
    assert (row["fell"], row["stages"]) == (1, 2) and row["betas_end"] == pytest.approx(0.45)
    assert row["more"] == pytest.approx((raw(reaches(0.01, COUNTS)) - 1.0) / 0.05)
    assert row["scale"] == pytest.approx(one_minus(1.0) / 0.5) and row["unweighted"] == pytest.approx(2.5)
    assert row["apart"] < 1e-9


@pytest.mark.parametrize(("raws", "counts", "more"), [
    ([0.0, -0.5], COUNTS, np.inf),  # it moves away
    ([0.0, 7.0], COUNTS, 0.0),  # it is there
    ([0.0, 0.5], [40, 40], np.inf),  # no alpha does it
])  # fmt: skip
def test_steps_that_are_left(raws, counts, more):
    row = saal_factors.summary(history(raws, {"beta_1": 0.5}), counts).iloc[0]
    assert row["more"] == more
    assert row["apart"] == pytest.approx(apart(one_minus(raws[-1]), counts))


def trained(stages, raw_start, steps, rate, confidence):
    """Raw alpha after SGD as the paper's on a network that never learns, and the mean CE + beta RCE of its batches."""
    loss = SelfAdaptiveAuxiliaryLoss(COUNTS, stages).double()
    with torch.no_grad():
        loss.raw_alpha.fill_(raw_start)
    loss.raw_betas.requires_grad_(False).fill_(0.0)
    logits = torch.tensor([[confidence, 0.0, 0.0]], dtype=torch.float64)
    labels = torch.tensor([0])
    holder = torch.nn.Module()
    holder.loss = loss
    stepper, schedule = optimiser_of(holder, "sgd", rate, 5e-4, steps, torch.device("cpu"))
    for _ in range(steps):
        stepper.zero_grad()
        loss([logits] * stages, labels).backward()
        stepper.step()
        schedule.step()
    p = logits.softmax(1)[0, 0]
    return float(loss.raw_alpha.detach()), stages * float(-p.log() + 0.5 * 4 * (1 - p))


@pytest.mark.parametrize(("stages", "start", "confidence"), [(1, 0.0, 0.0), (6, -1.5, 1.0), (2, 1.0, 2.0)])
def test_the_way_of_alpha_is_that_of_sgd_on_the_loss(stages, start, confidence):
    end, mean = trained(stages, start, 600, 2e-3, confidence)
    assert end > start + 0.3
    grown = saal_factors.way(end) - saal_factors.way(start)
    assert grown == pytest.approx(mean * saal_factors.rates(600, 2e-3), rel=0.03)


def test_guessing_is_the_loss_of_equal_probabilities():
    loss = SelfAdaptiveAuxiliaryLoss([10**6] * 3, 1)
    with torch.no_grad():
        loss.raw_alpha.fill_(0.0)
        loss.raw_betas.fill_(0.0)
    of_loss = float(loss([torch.zeros(2, 3)], torch.tensor([0, 1])).detach()) / 0.5
    assert saal_factors.guessing(3, -4.0) == pytest.approx(of_loss, rel=1e-6)


def test_with_what_is_needed_alpha_arrives():
    settings = {"epochs": 30, "batch_size": 16, "learning_rate": 1e-3}
    steps = 30 * -(-sum(COUNTS) // 16)
    total = saal_factors.needed(COUNTS, settings, 0.5) * saal_factors.rates(steps, 1e-3)
    lows = np.linspace(0, 10, 200_001)
    there = lows[np.searchsorted([saal_factors.way(a) for a in lows], saal_factors.way(0.5) + total)]
    assert apart(one_minus(there), COUNTS) == pytest.approx(0.01, rel=0.01)
    assert raw(reaches(0.01, COUNTS)) == pytest.approx(there, abs=1e-3)
    assert np.isnan(saal_factors.needed([50, 50], settings))


def test_what_the_papers_training_needs():
    found = saal_factors.paper_training({"saal": 0.42, "dsn_saal": 5.1})
    assert found.columns.tolist() == ["SAAL, one stage", "DSN-SAAL, 6 stages"]
    assert found.loc["needed, alpha from 0.50"].tolist() == pytest.approx([1.63, 1.63], abs=0.01)
    assert found.loc["a network that guesses"].tolist() == pytest.approx([2.43, 14.59], abs=0.01)
    assert found.loc["the trainings here"].tolist() == [0.42, 5.1]
    assert found.iloc[0, 0] > found.iloc[1, 0] > found.iloc[2, 0]  # the nearer it starts, the less it takes
    assert sum(of_paper().values()) == 4910
