"""xDNN: its density, its prototypes, its decisions."""

import numpy as np
import pytest

from covid_study.rivals import xdnn


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def blobs(n=40, spread=0.05, seed=0):
    rng = np.random.default_rng(seed)
    at = np.eye(6)[[0, 1, 2]]
    labels = np.repeat([0, 1, 2], n)
    return unit(at[labels] + spread * rng.normal(size=(3 * n, 6))), labels


def test_the_recursive_density_is_that_of_all_distances():
    rng = np.random.default_rng(1)
    seen, x = rng.normal(size=(30, 5)), rng.normal(size=(4, 5))
    mean, power = np.zeros(5), 0.0
    for k, one in enumerate(seen, start=1):
        mean, power = mean + (one - mean) / k, power + ((one**2).sum() - power) / k
    direct = 1 / (1 + ((x[:, None] - seen) ** 2).sum(axis=2).mean(axis=1))
    assert xdnn.density(x, mean, power) == pytest.approx(direct, rel=1e-12)


def test_clouds_hold_every_slice_once_and_their_centre_is_the_mean_of_their_members():
    features, _ = blobs()
    found = xdnn.clouds(features)
    assert found.support.sum() == len(features) and found.prototypes[0] == 0
    assert len(found.centres) == len(found.prototypes) == len(found.support) < len(features)
    weighted = (found.centres * found.support[:, None]).sum(axis=0) / found.support.sum()
    assert weighted == pytest.approx(features.mean(axis=0), abs=1e-12)


def test_a_direction_further_than_thirty_degrees_is_a_prototype():
    def prototypes(*degrees):
        at = np.radians(degrees)
        return xdnn.clouds(np.stack([np.cos(at), np.sin(at)], axis=1)).prototypes.tolist()

    # 0, 140 and 70 are peaks of the density; the fourth is none, and lies 29 or 31 degrees from 70
    assert prototypes(0, 140, 70, 99) == [0, 1, 2] and prototypes(0, 140, 70, 101) == [0, 1, 2, 3]
    same = np.tile([[0.6, 0.8]], (5, 1))
    assert xdnn.clouds(same).support.tolist() == [5]


def test_separable_blobs_are_told_apart_by_slices_of_their_own_class():
    features, labels = blobs()
    others, truth = blobs(seed=5)
    fitted = xdnn.fit(features, labels, 3, seed=0)
    found = xdnn.decide(others, fitted)
    assert (found.p.argmax(axis=1) == truth).all()
    assert found.p.sum(axis=1) == pytest.approx(1) and (found.similarity <= 1).all()
    for k in range(3):
        assert (labels[found.prototypes[:, k]] == k).all()


def test_the_similarity_is_that_to_the_nearest_centre():
    features, labels = blobs(n=12, spread=0.4)
    fitted = xdnn.fit(features, labels, 3, seed=2)
    found = xdnn.decide(features, fitted)
    for k, own in enumerate(fitted):
        away = ((features[:, None] - own.centres) ** 2).sum(axis=2)
        assert found.similarity[:, k] == pytest.approx(1 / (1 + away.min(axis=1)))
        assert (found.prototypes[:, k] == own.prototypes[away.argmin(axis=1)]).all()


def test_the_order_is_drawn_from_the_seed():
    features, labels = blobs(spread=0.6)
    same, again, other = (xdnn.fit(features, labels, 3, seed) for seed in (0, 0, 1))
    assert all((a.prototypes == b.prototypes).all() for a, b in zip(same, again, strict=True))
    assert any(a.prototypes.tolist() != b.prototypes.tolist() for a, b in zip(same, other, strict=True))
