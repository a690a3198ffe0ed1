"""Any ground distance: against a linear programme, the line, closed forms; the distance between channels."""

import numpy as np
import pytest
from emd_oracles import by_linear_programme, random_pair
from hypothesis import given, settings, strategies as st
from scipy.spatial.distance import cdist

from covid_study.errors import StudyError
from covid_study.ranking import emd_ground
from covid_study.ranking.emd import emd, mean_emd_to_others, pairwise_emd
from covid_study.ranking.emd_ground import channel_distance

LINE = np.abs(np.subtract.outer(np.arange(9.0), np.arange(9.0)))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("scale", [1e-6, 0.3, 1.0, 4.0, 1e6])
def test_any_table_agrees_with_a_linear_programme(seed, scale):
    rng = np.random.default_rng(seed)
    d = int(rng.integers(1, 13))
    ground = rng.random((d, d))  # neither symmetric nor a metric, its diagonal not zero
    f, g = random_pair(rng, d, zeros=rng.choice([0, 0.5, 0.9]), scale=scale)
    assert emd(f, g, ground=ground) == pytest.approx(by_linear_programme(f, g, ground), abs=1e-9)
    equal = by_linear_programme(f / f.sum(), g / g.sum(), ground)
    assert emd(f, g, mass="normalised", ground=ground) == pytest.approx(equal, abs=1e-9)


@pytest.mark.parametrize("mass", ["partial", "normalised"])
def test_the_line_as_a_table_is_the_line(mass):
    rng = np.random.default_rng(3)
    F, G = rng.gamma(0.5, size=(8, 9)) + 1e-3, 3 * rng.gamma(0.5, size=(5, 9)) + 1e-3
    np.testing.assert_allclose(pairwise_emd(F, G, mass, ground=LINE), pairwise_emd(F, G, mass), atol=1e-9)
    means = mean_emd_to_others(F, mass, ground=LINE)
    np.testing.assert_allclose(means, mean_emd_to_others(F, mass), atol=1e-9)


def test_closed_forms_of_many_bins():
    rng = np.random.default_rng(5)
    # all bins equally far: the share of the lighter that finds no room where it is
    light, heavy = sorted(rng.gamma(0.5, size=(2, 30)) * [[1.0], [1.3]], key=np.sum)
    expected = np.maximum(light - heavy, 0).sum() / light.sum()
    assert emd(heavy, light, ground=1 - np.eye(30)) == pytest.approx(expected, abs=1e-12)
    # a line in disguise: bins at random places, in a random order
    places, (f, g) = rng.random((512, 1)), rng.gamma(1.0, size=(2, 512))
    order = np.argsort(places[:, 0])
    running = np.cumsum(f[order] / f.sum() - g[order] / g.sum())[:-1]
    expected = (np.abs(running) * np.diff(places[order, 0])).sum()
    found = emd(f, g, mass="normalised", ground=cdist(places, places, "cityblock"))
    assert found == pytest.approx(expected, abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_another_order_of_bins_changes_nothing(seed):
    rng = np.random.default_rng(seed)
    F, order = rng.gamma(0.5, size=(5, 8)) + 1e-3, rng.permutation(8)
    G = F[:, order]
    expected = pairwise_emd(F, F, ground=channel_distance(F))
    np.testing.assert_allclose(pairwise_emd(G, G, ground=channel_distance(G)), expected, atol=1e-9)
    assert not np.allclose(pairwise_emd(G, G), pairwise_emd(F, F)) or (order == np.arange(8)).all()


def test_channel_distance_by_its_definition():
    features = np.random.default_rng(0).gamma(1.0, size=(40, 7)) * [1, 100, 1, 1e-3, 1, 1, 0] + 5
    features[:, 4] = 3 * features[:, 0] + 2  # together
    features[:, 5] = -features[:, 2]  # opposite; the last one never changes
    found = channel_distance(features)
    correlation = np.corrcoef(features[:, :6].T)
    np.testing.assert_allclose(found[:6, :6], np.sqrt(np.clip(2 * (1 - correlation), 0, None)), atol=1e-6)
    assert found[0, 4] == pytest.approx(0, abs=1e-6) and found[2, 5] == pytest.approx(2)
    np.testing.assert_allclose(found[6, :6], np.sqrt(2))  # related to none
    np.testing.assert_array_equal(found, found.T)
    assert (np.diag(found) == 0).all()
    one_exam_tells_nothing = np.sqrt(2) * (1 - np.eye(2))
    np.testing.assert_allclose(channel_distance([[1.0, 2.0]]), one_exam_tells_nothing)


@pytest.mark.parametrize("ground", [np.ones((8, 8)), np.ones(9), -LINE, LINE * np.nan])
def test_tables_that_are_no_ground_distance_are_refused(ground):
    with pytest.raises(ValueError, match="9 x 9 finite costs, none negative"):
        pairwise_emd(np.ones((2, 9)), np.ones((2, 9)), ground=ground)


def test_the_mean_needs_a_symmetric_table():
    with pytest.raises(ValueError, match="not symmetric"):
        mean_emd_to_others(np.ones((3, 9)), ground=np.triu(LINE))


def test_a_solver_that_gives_up_is_not_taken_for_an_answer(monkeypatch):
    monkeypatch.setattr(emd_ground, "MOST_STEPS", 1)
    rng = np.random.default_rng(1)
    with pytest.raises(StudyError, match="POT found no"):
        emd(*rng.gamma(1.0, size=(2, 40)), ground=rng.random((40, 40)))
