"""Earth mover's distances of equal masses on a line: the closed form, on CPU or GPU, in bounded memory (paper A, IV-C, D2).

Scaled to a total of one, two histograms lie as far apart as their cumulative sums in L1 (Villani 2003, remark 2.19). The
mean distance to all others (eq. 6) is then a sum over coordinates of mean absolute differences in one dimension, and
sorting a coordinate gives those of all rows at once: no matrix of pairs.
"""

from collections.abc import Callable

import numpy as np
import torch
from scipy.spatial.distance import cdist

from covid_study.ranking.blocks import in_threads
from covid_study.runtime.device import limited_threads

BLOCK = 2**27  # bytes of one array of a block; a few of them are alive at a time


def distances(
    F: np.ndarray, G: np.ndarray, device: str | torch.device = "cpu", threads: int | None = None
) -> np.ndarray:
    """Distances of the rows of F (n, D) to the rows of G (m, D), float64 and checked, each scaled to one: float64 (n, m).

    Args:
        device: "cpu" or a CUDA device; one without float64 (mps) is not used, the CPU is.
        threads: of the CPU; None: all.

    >>> distances(np.eye(3), np.array([[0.0, 0.0, 7.0]])).ravel()
    array([2., 1., 0.])
    """
    device = _with_float64(device)
    result = np.empty((len(F), len(G)))
    step = max(1, BLOCK // (8 * F.shape[1]))
    for g in range(0, len(G), step):
        to = _cumulative(G[g : g + step])
        rows = max(1, min(step, BLOCK // (8 * len(to))))
        for f in range(0, len(F), rows):
            block = _cumulative(F[f : f + rows])
            if device.type == "cuda":
                ours, theirs = (torch.from_numpy(x).to(device) for x in (block, to))
                away = torch.cdist(ours, theirs, p=1.0).cpu().numpy()
            else:  # SciPy's threads are faster than torch's at this (benchmarks/emd.py)
                away = in_threads(_l1, block, to, False, threads)
            result[f : f + rows, g : g + step] = away
    return result


def mean_to_others(
    F: np.ndarray, device: str | torch.device = "cpu", threads: int | None = None
) -> np.ndarray:
    """Mean distance of each row to all the others (paper A, IV-D2, eq. 6), exactly, in O(D n log n): float64 (n,).

    >>> mean_to_others(np.eye(3))
    array([1.5, 1. , 1.5])
    """
    return mean_by_columns(lambda start, stop: F[:, start:stop], F.sum(1), F.shape[1], device, threads)


def mean_by_columns(
    columns: Callable[[int, int], np.ndarray],
    masses: np.ndarray,
    bins: int,
    device: str | torch.device = "cpu",
    threads: int | None = None,
) -> np.ndarray:
    """`mean_to_others` of n rows that need not be in memory, some columns of all of them at a time.

    With c_1 <= ... <= c_n a coordinate of the cumulative sums in order, the one of rank r (from 0) is
    sum_m |c_r - c_m| = c_r (2 r - n) - 2 (c_1 + ... + c_{r-1}) + (c_1 + ... + c_n) away from all others.

    Args:
        columns: masses of bins `start` up to `stop`, float64 (n, stop - start). masses: the total of each row.
        bins: how many there are. device, threads: as in `distances`.
    """
    device, n = _with_float64(device), len(masses)
    mass = torch.from_numpy(masses).to(device)
    running, total = torch.zeros(n, dtype=torch.float64, device=device), torch.zeros_like(mass)
    weight = 2.0 * torch.arange(n, dtype=torch.float64, device=device) - n
    step = max(1, BLOCK // (8 * n))
    with limited_threads(threads):
        for start in range(0, bins, step):
            part = torch.from_numpy(np.array(columns(start, start + step).T, order="C")).to(device)
            coordinates = part.div_(mass).cumsum_(0).add_(running)
            running = coordinates[-1].clone()
            ordered, order = coordinates.sort(dim=1)
            upto = ordered.cumsum(1)
            away = ordered * weight - 2 * (upto - ordered) + upto[:, -1:]
            total += coordinates.scatter_(1, order, away).sum(0)
    return total.cpu().numpy() / (n - 1)


def _cumulative(F: np.ndarray) -> np.ndarray:
    F = np.ascontiguousarray(
        F
    )  # a data frame holds its columns one after another: ten times slower to add up
    return np.cumsum(F / F.sum(1, keepdims=True), axis=1)


def _l1(F: np.ndarray, G: np.ndarray, below: bool) -> np.ndarray:
    return cdist(F, G, "cityblock")


def _with_float64(device: str | torch.device) -> torch.device:
    """Differences of cumulative sums lose four digits in float32: a device without float64 is of no use here."""
    device = torch.device(device)
    return device if device.type == "cuda" else torch.device("cpu")
