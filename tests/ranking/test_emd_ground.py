"""Any ground distance: against a linear programme, the line, closed forms; the distance between channels."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.spatial.distance import cdist

from covid_study.errors import StudyError
from covid_study.ranking import emd_ground
from covid_study.ranking.emd import emd, mean_emd_to_others, pairwise_emd
from covid_study.ranking.emd_ground import channel_distance
from tests.ranking.test_emd import by_linear_programme, random_pair

LINE = np.abs(np.subtract.outer(np.arange(9.0), np.arange(9.0)))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("scale", [1e-6, 0.3, 1.0, 4.0, 1e6])
def test_any_table_agrees_with_a_linear_programme(seed, scale):
    rng = np.random.default_rng(seed)
    d = int(rng.integers(1, 13))
    ground = rng.random((d, d))  # neither symmetric nor a metric, its diagonal not zero
    f, g = random_pair(rng, d, zeros=rng.choice([0, 0.5, 0.9]), scale=scale)
    expected = by_linear_programme(f, g, ground)
    assert emd(f, g, ground=ground) == pytest.approx(expected, abs=1e-9)
    equal = by_linear_programme(f / f.sum(), g / g.sum(), ground)
    assert emd(f, g, mass="normalised", ground=ground) == pytest.approx(equal, abs=1e-9)


@pytest.mark.parametrize("mass", ["partial", "normalised"])
def test_the_line_as_a_table_is_the_line(mass):
    rng = np.random.default_rng(3)
    F, G = rng.gamma(0.5, size=(8, 9)) + 1e-3, 3 * rng.gamma(0.5, size=(5, 9)) + 1e-3
    np.testing.assert_allclose(pairwise_emd(F, G, mass, ground=LINE), pairwise_emd(F, G, mass), atol=1e-9)
    np.testing.assert_allclose(
        mean_emd_to_others(F, mass, ground=LINE), mean_emd_to_others(F, mass), atol=1e-9
    )


def test_every_other_bin_equally_far_is_what_does_not_fit():
    """With d = 1 between any two bins, the cost is the share of the lighter that finds no room where it is."""
    rng = np.random.default_rng(5)
    f, g = rng.gamma(0.5, size=(2, 30)) * [[1.0], [1.3]]
    light, heavy = sorted((f, g), key=np.sum)
    expected = np.maximum(light - heavy, 0).sum() / light.sum()
    assert emd(f, g, ground=1 - np.eye(30)) == pytest.approx(expected, abs=1e-12)


def test_512_bins_in_general_position():
    rng = np.random.default_rng(6)
    places = rng.random((512, 1))  # a line in disguise: bins at random places, in a random order
    f, g = rng.gamma(1.0, size=(2, 512))
    order = np.argsort(places[:, 0])
    gaps = np.diff(places[order, 0])
    expected = (np.abs(np.cumsum(f[order] / f.sum() - g[order] / g.sum()))[:-1] * gaps).sum()
    found = emd(f, g, mass="normalised", ground=cdist(places, places, "cityblock"))
    assert found == pytest.approx(expected, abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_another_order_of_bins_changes_nothing(seed):
    rng = np.random.default_rng(seed)
    F = rng.gamma(0.5, size=(5, 8)) + 1e-3
    order = rng.permutation(8)
    here, there = F, F[:, order]
    expected = pairwise_emd(here, here, ground=channel_distance(here))
    found = pairwise_emd(there, there, ground=channel_distance(there))
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert (
        not np.allclose(pairwise_emd(there, there), pairwise_emd(here, here)) or (order == np.arange(8)).all()
    )


def test_channel_distance_by_its_definition():
    rng = np.random.default_rng(0)
    features = rng.gamma(1.0, size=(40, 6)) * [1, 100, 1, 1e-3, 1, 1] + 5
    features[:, 4] = 3 * features[:, 0] + 2  # together
    features[:, 5] = -features[:, 2]  # opposite
    correlation = np.corrcoef(features.T)
    found = channel_distance(features)
    np.testing.assert_allclose(found, np.sqrt(np.clip(2 * (1 - correlation), 0, None)), atol=1e-6)
    assert found[0, 4] == pytest.approx(0, abs=1e-6) and found[2, 5] == pytest.approx(2)
    standard = (features - features.mean(0)) / features.std(0)
    assert found[0, 1] == pytest.approx(np.sqrt(((standard[:, 0] - standard[:, 1]) ** 2).mean()))
    np.testing.assert_array_equal(found, found.T)
    assert (np.diag(found) == 0).all()


def test_a_channel_that_never_changes_is_related_to_none():
    features = np.array([[0.1, 1, 0.1, 0], [0.1, 2, 0.1, 0], [0.1, 4, 0.1, 0.0]])
    found = channel_distance(features)
    off = ~np.eye(4, dtype=bool)
    np.testing.assert_allclose(found[off], np.sqrt(2))
    assert np.isfinite(channel_distance(np.zeros((3, 2)))).all()
    np.testing.assert_allclose(
        channel_distance([[1.0, 2.0]]), np.sqrt(2) * (1 - np.eye(2))
    )  # one exam tells nothing


@pytest.mark.parametrize(
    "ground, problem",
    [
        (np.ones((8, 8)), "9 x 9 finite costs"),
        (np.ones(9), "9 x 9 finite costs"),
        (-LINE, "none negative"),
        (LINE * np.nan, "finite"),
    ],
)
def test_tables_that_are_no_ground_distance_are_refused(ground, problem):
    with pytest.raises(ValueError, match=problem):
        pairwise_emd(np.ones((2, 9)), np.ones((2, 9)), ground=ground)


def test_the_mean_needs_a_symmetric_table():
    ground = LINE.copy()
    ground[0, 1] = 7
    with pytest.raises(ValueError, match="not symmetric"):
        mean_emd_to_others(np.ones((3, 9)), ground=ground)


def test_a_solver_that_gives_up_is_not_taken_for_an_answer(monkeypatch):
    monkeypatch.setattr(emd_ground, "MOST_STEPS", 1)
    rng = np.random.default_rng(1)
    with pytest.raises(StudyError, match="POT found no earth mover's distance"):
        emd(*rng.gamma(1.0, size=(2, 40)), ground=rng.random((40, 40)))
