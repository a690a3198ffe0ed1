"""Earth mover's distances against a linear programme, POT, brute force and the axioms."""

import numpy as np
import ot
import pytest
from emd_oracles import brute_force, by_linear_programme, by_pot, random_pair
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import wasserstein_distance

from covid_study.ranking.emd import emd, mean_emd_to_others, pairwise_emd


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 0.1, 0.9, 1.0, 1.1, 30.0, 1e3, 1e6])
def test_unequal_masses_agree_with_a_linear_programme(scale):
    rng = np.random.default_rng(round(1e6 * scale))
    for zeros in (0, 0.5, 0.6, 0.9) * 3:
        f, g = random_pair(rng, rng.integers(1, 16), zeros, scale)
        for lighter in (f, f.astype(np.float32)):
            assert emd(lighter, g) == pytest.approx(by_linear_programme(lighter.astype(float), g), abs=1e-9)


ADVERSARIAL = {
    "one bin": ([2.0], [5.0]),
    "all at one end each": ([1, 0, 0, 0, 0], [0, 0, 0, 0, 3]),
    "the lighter between two heaps": ([0, 0, 1, 0, 0], [0.3, 0, 0, 0, 0.9]),
    "zeros at both ends": ([0, 0, 2, 1, 0], [0, 4, 0, 0, 0]),
    "equal masses": ([1, 2, 3, 4], [4, 3, 2, 1]),
    "the same": ([0.1, 0.2, 0.3], [0.1, 0.2, 0.3]),
    "one inside the other": ([1, 0, 2, 1], [1, 5, 2, 3]),
    "equal but for rounding": ([0.1] * 10, [0.0] * 9 + [1.0]),
    "ties everywhere": ([1, 0, 1, 0, 1, 0, 1], [0, 1, 0, 1, 0, 1, 0]),
    "one unit short": ([1, 1, 1, 0, 0, 0], [0, 0, 1, 1, 1, 1]),
    "far apart in mass": ([1e-3, 0, 2e-3, 0], [0, 1e3, 0, 1e3]),
    "a millionth": ([1.0, 0, 1.0, 0.5], [0, 1e6, 0, 2e6]),
    "a million times": ([1e6, 0, 0, 5e5], [0, 1, 0, 2]),
    "one crumb in a heap": ([0, 0, 0, 1], [1e6, 0, 1e-6, 0]),
}


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_adversarial_pairs_agree_with_a_linear_programme(name):
    f, g = map(np.array, ADVERSARIAL[name])
    expected = by_linear_programme(f, g)
    assert emd(f, g) == pytest.approx(expected, abs=1e-9)
    assert emd(g, f) == pytest.approx(expected, abs=1e-9)


def test_unequal_masses_agree_with_pot_and_its_dummy_point():
    rng = np.random.default_rng(11)
    for d in (2, 17, 150, 512):
        for scale in (0.5, 3.0):
            f, g = random_pair(rng, d, zeros=0.3, scale=scale)
            assert emd(f, g) == pytest.approx(by_pot(f, g), abs=1e-9)


def test_equal_masses_agree_with_pot_and_scipy_on_a_line():
    rng = np.random.default_rng(5)
    for d in (1, 2, 33, 512):
        f, g = random_pair(rng, d)
        g *= f.sum() / g.sum()
        bins = np.arange(d, dtype=float)
        expected = ot.emd2_1d(bins, bins, f / f.sum(), g / g.sum(), metric="minkowski", p=1.0)
        assert expected == pytest.approx(ot.wasserstein_1d(bins, bins, f / f.sum(), g / g.sum(), p=1))
        assert expected == pytest.approx(wasserstein_distance(bins, bins, f, g), abs=1e-9)
        assert emd(f, g) == pytest.approx(expected, abs=1e-9)
        assert emd(f, 9 * g, mass="normalised") == pytest.approx(expected, abs=1e-9)


def test_huge_d_with_few_masses_agrees_with_the_problem_of_those_masses():
    d, rng = 200_000, np.random.default_rng(2)
    places = np.sort(rng.choice(d, 9, replace=False))
    f, g = np.zeros((2, d))
    f[places[::2]], g[places[1::2]] = [0.5, 1, 2, 0.25, 1], [3, 0.1, 4, 2]
    a, b = f[places[::2]], g[places[1::2]]
    cost = np.abs(np.subtract.outer(places[::2], places[1::2])).astype(float)
    padded = np.vstack([cost, np.zeros(4)])  # the heavier's surplus goes to a dummy
    moved = a.sum()
    expected = ot.emd2(np.append(a, b.sum() - moved) / b.sum(), b / b.sum(), padded) * b.sum() / moved
    assert emd(f, g) == pytest.approx(expected, rel=1e-10)


@settings(max_examples=80, deadline=None)
@given(
    st.integers(1, 6).flatmap(lambda d: st.tuples(*[st.lists(st.integers(0, 2), min_size=d, max_size=d)] * 2))
)
def test_whole_units_agree_with_brute_force(pair):
    f, g = pair
    if min(sum(f), sum(g)) == 0 or max(sum(f), sum(g)) > 7:
        return
    assert emd(f, g) == pytest.approx(brute_force(f, g), abs=1e-12)


masses = arrays(float, 7, elements=st.floats(0, 1e3, allow_subnormal=False)).filter(lambda h: h.sum() > 1e-3)


@settings(max_examples=40, deadline=None)
@given(masses, masses, masses, st.sampled_from(["partial", "normalised"]), st.floats(1e-6, 1e6))
def test_axioms(f, g, h, mass, factor):
    fg = emd(f, g, mass)
    assert emd(f, f, mass) == pytest.approx(0, abs=1e-9)
    assert fg == pytest.approx(emd(g, f, mass), abs=1e-9)
    assert -1e-12 <= fg <= 6 + 1e-9  # nothing travels farther than the line is long
    assert emd(factor * f, factor * g, mass) == pytest.approx(fg, abs=1e-9)
    assert emd(f[::-1], g[::-1], mass) == pytest.approx(fg, abs=1e-9)
    assert emd(np.pad(f, (3, 5)), np.pad(g, (3, 5)), mass) == pytest.approx(fg, abs=1e-9)
    if mass == "normalised":
        assert fg <= emd(f, h, mass) + emd(h, g, mass) + 1e-9
        assert emd(factor * f, g, mass) == pytest.approx(fg, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(masses, masses)
def test_more_to_choose_from_never_costs_more(f, g):
    """The lighter histogram, moving into a heavier one that only grows, finds its way at most as dear."""
    g = g + f.sum() / 7  # f is the lighter from here on
    assert emd(f, g + 1.0) <= emd(f, g) + 1e-9


def test_partial_needs_no_triangle_inequality_and_normalising_changes_it():
    a, everything, b = np.eye(5)[0], np.ones(5), np.eye(5)[4]
    assert emd(a, b) == 4 and emd(a, everything) == emd(everything, b) == 0
    assert emd(a, everything, mass="normalised") == pytest.approx(2)


@pytest.mark.parametrize("mass", ["partial", "normalised"])
@pytest.mark.parametrize("n", [2, 3, 40])
def test_mean_to_others_is_the_matrix_without_its_diagonal(mass, n):
    F = np.random.default_rng(n).gamma(0.7, size=(n, 11))
    F[-1] = F[0]  # a tie in every coordinate
    matrix = pairwise_emd(F, F, mass)
    expected = [np.delete(matrix[i], i).mean() for i in range(n)]
    np.testing.assert_allclose(mean_emd_to_others(F, mass), expected, atol=1e-10)


def test_where_it_falls_all_the_way_every_place_is_passed():
    """The most moves there can be: what is supplied last is wanted first."""
    rng = np.random.default_rng(3)
    f, g = rng.random(150) * (np.arange(150) >= 75), rng.random(150) * (np.arange(150) < 75) * 2
    assert emd(f, g) == pytest.approx(by_pot(f, g), rel=1e-12)
    f, g = np.full(400, 0.01), np.zeros(400)
    g[0] = 7.0
    assert emd(f, g) == pytest.approx(by_pot(f, g), rel=1e-12)


@pytest.mark.parametrize(
    "bad, named",
    [
        ([[1, 1], [0, 0]], "row 1 of F is empty"),
        ([[1, 1], [1, 1], [3, -1]], "row 2 of F holds a negative"),
        ([[np.nan, 1], [1, 1]], "row 0 of F holds a value that is not finite"),
        ([[1, 1], [1, 2, 3]], "row 1 of F has 3 bins, row 0 has 2"),
        ([1, 2], "table of"),
    ],
)
def test_errors_name_the_row(bad, named):
    for refused in (lambda: pairwise_emd(bad, [[1, 1]]), lambda: mean_emd_to_others(bad)):
        with pytest.raises(ValueError, match=named):
            refused()
    with pytest.raises(ValueError, match="row 0 of G is empty"):
        emd([1, 2], [0, 0])
    with pytest.raises(ValueError, match="3 bins, those of G 2"):
        emd([1, 2, 3], [1, 2])
    with pytest.raises(ValueError, match="'normalized'"):
        emd([1], [1], mass="normalized")
    with pytest.raises(ValueError, match="at least 2"):
        mean_emd_to_others([[1, 2]])


def test_a_heap_ten_billion_times_heavier_eats_no_digits():
    light, heap = np.array([0.1, 0.7, 0, 0, 0.2]), np.array([0, 0, 1e10, 0, 0])
    expected = (0.1 * 2 + 0.7 * 1 + 0.2 * 2) / 1.0
    assert emd(light, heap) == pytest.approx(expected, abs=1e-12)
    assert emd(np.append(light, light), np.append(heap, heap)) == pytest.approx(expected, abs=1e-12)
