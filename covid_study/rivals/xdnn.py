"""xDNN: a slice is what the most similar prototype is, a training slice (Angelov and Soares 2020; paper B, Table 9).

P. Angelov, E. Soares, Towards explainable deep neural networks (xDNN), Neural Networks 130, 2020, arXiv:1912.02523. Nothing
is trained by gradient: one pass over the features of each class finds its prototypes, the peaks of their density.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.special import softmax
from torch import nn

from covid_study.networks.backbones import Pooled
from covid_study.training.loop import in_batches

ALIKE = 2 - 2 * np.cos(np.pi / 6)  # squared distance of two unit vectors that lie 30 degrees apart


@dataclass(frozen=True)
class Clouds:
    """The clouds of one class: what has gathered around each of its prototypes."""

    centres: np.ndarray  # float64 (m, D): mean of the members
    prototypes: np.ndarray  # int64 (m,): the row that opened the cloud
    support: np.ndarray  # int64 (m,): members


@dataclass(frozen=True)
class Decision:
    """What was decided of n slices with C classes, and by which prototypes."""

    p: np.ndarray  # float64 (n, C)
    similarity: np.ndarray  # float64 (n, C): to the most similar prototype of each class
    prototypes: np.ndarray  # int64 (n, C): the training row of that prototype


def network_features(network: nn.Module, images: torch.Tensor) -> np.ndarray:
    """What the last linear layer of a network gets, scaled to unit length: float64 (n, D).

    Choice: unit length, which makes the authors' radius of 30 degrees an angle.

    Args:
        network: of `backbones.build`, on the device of the images. images: uint8 (n, y, x).

    >>> from covid_study.networks.backbones import build
    >>> network = build("mobilenet_v2")
    >>> np.linalg.norm(network_features(network, torch.full((2, 64, 64), 9, dtype=torch.uint8)), axis=1).round(6).tolist()
    [1.0, 1.0]
    """
    found = in_batches(Pooled(network), images, most=64).astype(np.float64)
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)


def density(x: np.ndarray, mean: np.ndarray, power: float) -> np.ndarray:
    """The density at x of all that has been seen, from two numbers that one pass keeps (Angelov and Soares 2020, eq. of D).

    With mean the mean of the k slices seen and power the mean of their squared lengths it is
    1 / (1 + |x - mean|^2 + power - |mean|^2), which is 1 / (1 + the mean of |x - x_j|^2 over them).

    Args:
        x: float (..., D). mean: float (D,).

    >>> seen = np.array([[0.0, 0.0], [2.0, 0.0]])
    >>> float(density(np.array([1.0, 0.0]), seen.mean(axis=0), (seen**2).sum(axis=1).mean()))
    0.5
    """
    return 1 / (1 + ((x - mean) ** 2).sum(axis=-1) + power - (mean**2).sum())


def clouds(features: np.ndarray) -> Clouds:
    """The prototypes of one class, in one pass over its slices (Angelov and Soares 2020, their learning algorithm).

    A slice opens a cloud where the density is at least that at every prototype, or at most that at each of them; else it joins
    the nearest, whose centre becomes the mean of its members.

    Choice: as in the authors' program a slice also opens a cloud where it is further from the nearest centre than that
    cloud's radius: 30 degrees at first, later r^2 = (r^2 + 1 - |centre|^2) / 2. Their program measures the furthest
    centre there; we take the nearest, as their text has it.

    Args:
        features: float (n, D), of unit length, in the order in which they are seen; n at least 1.

    >>> clouds(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])).support.tolist()
    [2, 1]
    """
    centres, prototypes, support, radii = features[:1].copy(), [0], [1], [ALIKE]
    mean, power = features[0].copy(), float((features[0] ** 2).sum())
    for k, x in enumerate(features[1:], start=1):
        mean += (x - mean) / (k + 1)
        power += ((x**2).sum() - power) / (k + 1)
        there, here = density(centres, mean, power), density(x, mean, power)
        away = ((centres - x) ** 2).sum(axis=1)
        near = int(away.argmin())
        peak = (here >= there.max() or here <= there.min()) and away[near] > 0  # a copy is no new prototype
        if peak or away[near] > radii[near]:
            centres = np.vstack([centres, x])
            prototypes.append(k)
            support.append(1)
            radii.append(ALIKE)
            continue
        support[near] += 1
        centres[near] += (x - centres[near]) / support[near]
        radii[near] = (radii[near] + 1 - (centres[near] ** 2).sum()) / 2
    return Clouds(centres, np.array(prototypes), np.array(support))


def fit(features: np.ndarray, labels: np.ndarray, classes: int, seed: int) -> list[Clouds]:
    """The clouds of each class; the prototypes are rows of `features`.

    Choice: the slices come in a random order. The first of a class is always a prototype, and which others are depends on
    the order; repeats of a run differ in nothing else.

    Args:
        features: float (n, D). labels: int (n,), 0 to classes - 1, each at least once.
    """
    order, found = np.random.default_rng(seed).permutation(len(labels)), []
    for k in range(classes):
        rows = order[labels[order] == k]
        own = clouds(features[rows])
        found.append(replace(own, prototypes=rows[own.prototypes]))
    return found


def decide(features: np.ndarray, of_classes: Sequence[Clouds]) -> Decision:
    """Each slice is of the class of the most similar prototype: the winner takes all (Angelov and Soares 2020).

    The degree of similarity to a cloud is 1 / (1 + |x - centre|^2).

    Choice: the probabilities are the softmax of the similarities; they lie close together, but their order is that of the
    decision, and the AUC needs no more.

    >>> two = [clouds(np.array([[1.0, 0.0]])), clouds(np.array([[0.0, 1.0]]))]
    >>> found = decide(np.array([[0.8, 0.6]]), two)
    >>> found.similarity.round(3).tolist(), found.p.argmax(axis=1).tolist()
    ([[0.714, 0.556]], [0])
    """
    similarity = np.empty((len(features), len(of_classes)))
    prototypes = np.empty(similarity.shape, dtype=np.int64)
    for k, own in enumerate(of_classes):
        # |x - c|^2 from products: no array (n, m, D) is needed
        away = (
            (features**2).sum(axis=1)[:, None] - 2 * features @ own.centres.T + (own.centres**2).sum(axis=1)
        )
        best = away.argmin(axis=1)
        similarity[:, k] = 1 / (1 + np.maximum(away[np.arange(len(features)), best], 0))
        prototypes[:, k] = own.prototypes[best]
    return Decision(softmax(similarity, axis=1), similarity, prototypes)
