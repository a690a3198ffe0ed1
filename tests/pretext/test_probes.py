"""Probes that say nothing of one patient, and an untrained encoder that leaves the random numbers alone."""

import numpy as np
import torch

from covid_study.pretext.probes import probe_scores, untrained_encoder


def test_no_scores_from_one_patient():
    scores = probe_scores(np.ones((5, 2)), np.arange(5) < 2, np.array([0, 0, 1, 2, 3]))
    assert scores.shape == (5,) and np.isnan(scores).all()


def test_untrained_encoder_leaves_the_random_numbers_alone():
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    a = untrained_encoder({"width": 0.125, "stem_stride": 2, "depth": 18}, seed=1)
    assert torch.equal(torch.rand(3), expected)
    b = untrained_encoder({"width": 0.125, "stem_stride": 2, "depth": 18}, seed=2)
    assert not torch.equal(a.conv1.weight, b.conv1.weight)
