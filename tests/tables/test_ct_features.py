"""Features by a stand-in for the chest-CT encoder: an exam at a time, each once, and a ranking by them."""

import numpy as np
import pytest
import torch

from covid_study.errors import StudyError
from covid_study.networks import ct_encoder
from covid_study.tables import ct_features, volume_steps
from tests.networks.test_ct_encoder import TINY, shards, state_of


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A tiny encoder in shards of its own, found as if it were the real one; small inputs."""
    torch.manual_seed(5)
    sha256 = shards(tmp_path, state_of(ct_encoder.build(*TINY)))
    full, sane = ct_encoder.build, []
    monkeypatch.setattr(ct_encoder, "required", lambda: ct_encoder.find(tmp_path, sha256))
    monkeypatch.setattr(ct_encoder, "build", lambda: full(*TINY))
    monkeypatch.setattr(ct_encoder, "SHAPE", (16, 32, 32))
    check = ct_encoder.sane
    monkeypatch.setattr(ct_encoder, "sane", lambda values: sane.append(values.shape) or check(values))
    return sane


def test_the_archive_is_ranked_by_them(p, v, installed):
    found = volume_steps.ranked(p, v, "ct_encoder")
    assert found.features.shape == (10, 128) and (found.features >= 0).all(axis=None)
    assert installed == [(10, 128)] and found.pretext is None
    assert sorted(found.ranking["joint_rank"]) == list(range(1, 8)) and found.ranking["difficulty"].min() > 0
    volume_steps.ranked(p, v, "ct_encoder")
    assert len(installed) == 1


def test_killed_it_goes_on_with_the_exams_that_are_missing(p, v, installed, monkeypatch):
    exams, once, seen = volume_steps.ids(v, "test"), ct_encoder.features, []

    def dies(model, shown):
        seen.append(shown)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return once(model, shown)

    monkeypatch.setattr(ct_encoder, "features", dies)
    with pytest.raises(KeyboardInterrupt):
        ct_features.computed(p, v, exams)
    table, seconds = ct_features.read(ct_features.computed(p, v, exams))
    assert len(seen) == len(exams) + 1 and sorted(table.index) == sorted(exams) and seconds > 0
    model = ct_encoder.load(ct_encoder.build(), ct_encoder.required())
    np.testing.assert_array_equal(once(model, seen[0]), table.loc[sorted(exams)[0]])


def test_without_it_the_error_says_what_to_install(p, v, monkeypatch):
    monkeypatch.setattr(ct_encoder, "find", lambda folder: None)
    with pytest.raises(StudyError, match="ranking.features: ct_encoder needs .* pip install"):
        volume_steps.ranked(p, v, "ct_encoder")
