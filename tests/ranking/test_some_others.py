"""The mean over some others against the mean over all: exactly, over every draw there can be; and at a moderate size."""

from itertools import combinations, product

import numpy as np
import pytest
from scipy.stats import spearmanr

from covid_study.ranking import some_others
from covid_study.ranking.emd import mean_emd_to_others
from covid_study.ranking.some_others import draw, mean_emd_to_some


@pytest.mark.parametrize("mass", ["partial", "normalised"])
def test_mean_and_squared_error_are_unbiased_over_every_draw_there_is(monkeypatch, mass):
    """Three of four lighter and three of five heavier rows, 40 draws: of a row's over those that hold it, and the rest."""
    F = np.random.default_rng(8).gamma(0.7, size=(9, 5))
    monkeypatch.setattr(some_others, "OF_A_STRATUM", 3)
    order = np.argsort(F.sum(1))
    known = np.zeros((9, 2), int)
    known[order[4:], 0] = 1
    exact, means, errors, holds = mean_emd_to_others(F, mass), [], [], []
    for lighter, heavier in product(combinations(order[:4], 3), combinations(order[4:], 3)):
        drawn = np.array([*lighter, *heavier])
        known[:, 1] = np.isin(np.arange(9), drawn)
        monkeypatch.setattr(some_others, "draw", lambda *_, d=drawn: (np.array([4, 5]), known, d))
        for kept, found in zip((means, errors), mean_emd_to_some(F, 6, mass), strict=True):
            kept.append(found)
        holds.append(known[:, 1] == 1)
    means, errors, holds = np.array(means), np.array(errors), np.array(holds)
    for row in range(9):
        for kind in (holds[:, row], ~holds[:, row]):
            assert means[kind, row].mean() == pytest.approx(exact[row], abs=1e-12)
            assert (errors[kind, row] ** 2).mean() == pytest.approx(means[kind, row].var(), abs=1e-12)


@pytest.mark.parametrize("n", [3, 4, 8, 40])
def test_all_drawn_is_the_mean_over_all(n):
    F = np.random.default_rng(n).gamma(0.7, size=(n, 6))
    mean, error = mean_emd_to_some(F, n)
    np.testing.assert_allclose(mean, mean_emd_to_others(F), atol=1e-12)
    np.testing.assert_allclose(error, 0, atol=1e-7)


def test_strata_are_equal_parts_of_bands_of_totals_by_mean_bin_and_each_is_drawn_from_alike():
    """Five strata in three bands: two, two and the last, so that mean bins part the first from the second, and so on."""
    totals, middles = np.random.default_rng(5).random((2, 103))
    times = np.zeros(103)
    for seed in range(400):
        sizes, known, drawn = draw(totals, middles, 22, seed)
        times[drawn] += 1
        assert known[drawn, 0].tolist() == np.repeat(np.arange(5), 4).tolist()
        assert len(set(drawn)) == known[:, 1].sum() == 20 and known[drawn, 1].all()
    assert sizes.tolist() == [21, 21, 21, 20, 20] == np.bincount(known[:, 0]).tolist()
    band = known[:, 0] // 2
    assert (np.diff(band[np.argsort(totals)]) >= 0).all()
    assert (np.diff(known[np.lexsort((middles, band)), 0]) >= 0).all()
    assert abs(times / 400 - 4 / sizes[known[:, 0]]).max() < 0.1  # five deviations


def test_ranks_are_nearly_those_of_the_mean_over_all_and_errors_are_true():
    rng = np.random.default_rng(12)
    F = rng.gamma(3.0, size=(900, 60)) * rng.gamma(11.0, size=60) * rng.lognormal(0, 0.25, (900, 1))
    full, (some, error) = mean_emd_to_others(F), mean_emd_to_some(F, 256)
    assert spearmanr(some, full).statistic > 0.997  # 0.982 where strata are not heeded
    off = (some - full) / error
    assert 0.6 < np.sqrt((off**2).mean()) < 1.7  # of one draw, whose errors rows share
    with pytest.raises(ValueError, match="at least 3"):
        mean_emd_to_some(F[:2], 2)
