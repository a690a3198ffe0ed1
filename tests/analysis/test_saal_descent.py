"""How far gradient descent takes alpha, against gradient descent on the loss itself."""

import numpy as np
import pytest
import torch

from covid_study.analysis import saal_descent as descent
from covid_study.analysis.class_weights import apart, of_paper, one_minus, raw, reaches
from covid_study.losses.saal import SelfAdaptiveAuxiliaryLoss
from covid_study.training.optimisers import optimiser_of

COUNTS = [1256, 980, 2674]


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
    grown = descent.way(end) - descent.way(start)
    assert grown == pytest.approx(mean * descent.rates(600, 2e-3), rel=0.03)


def test_guessing_is_the_loss_of_equal_probabilities():
    loss = SelfAdaptiveAuxiliaryLoss([10**6] * 3, 1)
    with torch.no_grad():
        loss.raw_alpha.fill_(0.0)
        loss.raw_betas.fill_(0.0)
    of_loss = float(loss([torch.zeros(2, 3)], torch.tensor([0, 1])).detach()) / 0.5
    assert descent.guessing(3, -4.0) == pytest.approx(of_loss, rel=1e-6)


def test_with_what_is_needed_alpha_arrives():
    settings = {"epochs": 30, "batch_size": 16, "learning_rate": 1e-3}
    steps = 30 * -(-sum(COUNTS) // 16)
    total = descent.needed(COUNTS, settings, 0.5) * descent.rates(steps, 1e-3)
    lows = np.linspace(0, 10, 200_001)
    there = lows[np.searchsorted([descent.way(a) for a in lows], descent.way(0.5) + total)]
    assert apart(one_minus(there), COUNTS) == pytest.approx(0.01, rel=0.01)
    assert raw(reaches(0.01, COUNTS)) == pytest.approx(there, abs=1e-3)
    assert np.isnan(descent.needed([50, 50], settings))


def test_what_is_said_of_the_paper():
    first, second = descent.sentences({"SAAL": 0.42, "DSN-SAAL": 5.1})
    assert "alpha comes from 0.5 to 0.9953 if" in first and "is 1.6 on average" in first
    assert "67 % of that, DSN-SAAL with its 6 stages at 11 %" in second
    assert second.endswith("had 0.4 (SAAL) and 5.1 (DSN-SAAL).")
    assert sum(of_paper().values()) == 4910
