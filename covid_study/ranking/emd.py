"""Earth mover's distances of histograms (paper A, IV-C, eq. 3 and 4), and their means (eq. 6): one door to four ways.

masses      ground distance   module          a pair of D bins
partial     |i - j|           emd_partial     compiled; about O(D), O(D^2) at worst
normalised  |i - j|           emd_balanced    O(D), CPU or GPU; the mean over n others costs O(D log n) a row
either      any table         emd_ground      a linear programme

torch and POT are imported where they are used: the workers of a cluster start without them.
"""

from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from covid_study.ranking import emd_partial
from covid_study.ranking.blocks import Blocks, Distances, matrix, sums

if TYPE_CHECKING:
    import torch

Mass = Literal["partial", "normalised"]
SIDE = 2048  # rows and columns of a block: a quarter of a minute on two cores
SIDE_OF_PROGRAMMES = 128  # the same where each pair is a linear programme


def emd(f: ArrayLike, g: ArrayLike, mass: Mass = "partial", *, ground: ArrayLike | None = None) -> float:
    """Earth mover's distance of two histograms (paper A, IV-C, eq. 3 and 4).

    Choice: the ground distance, not given in the paper, is |i - j|.

    Args:
        f, g: D masses each, not negative, not all zero; the totals may differ.
        mass: "partial" moves all of the lighter histogram, as eq. 4 has it; "normalised" scales both to one first.
        ground: (D, D) cost of moving a unit from bin i of f to bin j of g; None: |i - j|.

    Returns:
        Least mean distance, in bins (or in the unit of `ground`), that the moved mass travels.

    Raises:
        ValueError: a histogram is empty, negative, not finite, or of another length.

    >>> emd([1, 0, 0], [0, 0, 2])
    2.0
    >>> emd([1, 0, 1], [0, 5, 0], mass="normalised")
    1.0
    """
    return float(pairwise_emd(np.atleast_2d(f), np.atleast_2d(g), mass, ground=ground)[0, 0])


def pairwise_emd(
    F: ArrayLike,
    G: ArrayLike,
    mass: Mass = "partial",
    *,
    ground: ArrayLike | None = None,
    device: "str | torch.device" = "cpu",
    threads: int | None = None,
    blocks: Blocks | None = None,
) -> np.ndarray:
    """Earth mover's distances between all rows of `F` and all rows of `G` (paper A, IV-C, eq. 3 and 4).

    Args:
        F: (n, D) masses. G: (m, D) masses.
        mass, ground: as in `emd`.
        device: a CUDA device for the closed form (normalised masses on a line); the others use the CPU.
        threads: of the CPU; None: one a core.
        blocks: keep finished blocks of pairs, show progress, or use a Dask cluster; the closed form needs none of it.

    Returns:
        float64 (n, m).

    Raises:
        ValueError: names the row that is empty, negative, not finite or of another length.

    >>> pairwise_emd(np.eye(3), np.ones((1, 3))).ravel()  # one unit finds its place at no cost
    array([0., 0., 0.])
    """
    F, G = checked(F, "F"), checked(G, "G")
    if F.shape[1] != G.shape[1]:
        raise ValueError(f"histograms of F have {F.shape[1]} bins, those of G {G.shape[1]}: they must agree")
    if is_closed_form(mass, ground):
        from covid_study.ranking import emd_balanced

        return emd_balanced.distances(F, G, device, threads)
    distances, side = of_a_block(ground, F.shape[1])
    return matrix(distances, moved(F, mass), moved(G, mass), side, blocks, threads)


def mean_emd_to_others(
    F: ArrayLike,
    mass: Mass = "partial",
    *,
    ground: ArrayLike | None = None,
    device: "str | torch.device" = "cpu",
    threads: int | None = None,
    blocks: Blocks | None = None,
) -> np.ndarray:
    """Mean distance of each row to all the other rows (paper A, IV-D2, eq. 6).

    Normalised masses on a line need no pairs: O(n D log n). The others need all n (n - 1) / 2, but never the matrix of them.

    Args:
        F: (n, D) masses, n >= 2.
        mass, ground, device, threads, blocks: as in `pairwise_emd`; `ground` must be symmetric.

    Returns:
        float64 (n,).

    Raises:
        ValueError: as `pairwise_emd`; and for fewer than two rows.

    >>> mean_emd_to_others(np.eye(3), mass="normalised")
    array([1.5, 1. , 1.5])
    """
    F = checked(F, "F", fewest=2)
    if is_closed_form(mass, ground):
        from covid_study.ranking import emd_balanced

        return emd_balanced.mean_to_others(F, device, threads)
    distances, side = of_a_block(ground, F.shape[1], symmetric=True)
    return sums(distances, moved(F, mass), side, blocks, threads) / (len(F) - 1)


def of_a_block(ground: ArrayLike | None, bins: int, symmetric: bool = False) -> tuple[Distances, int]:
    """The function that computes a block of pairs, and how many rows a block has."""
    if ground is None:
        return partial_on_a_line, SIDE
    ground = np.ascontiguousarray(ground, dtype=np.float64)
    if ground.shape != (bins, bins) or not np.isfinite(ground).all() or (ground < 0).any():
        raise ValueError(
            f"the ground distance must be a table of {bins} x {bins} finite costs, none negative, as there are {bins} bins; "
            f"got shape {ground.shape}"
        )
    if symmetric and not np.allclose(ground, ground.T, rtol=1e-9, atol=0):
        raise ValueError(
            "the ground distance is not symmetric, so the distance of two rows depends on which comes first"
        )
    from covid_study.ranking import emd_ground

    return partial(emd_ground.distances, ground=ground), SIDE_OF_PROGRAMMES


def partial_on_a_line(F: np.ndarray, G: np.ndarray, below: bool) -> np.ndarray:
    """`emd_partial.distances` by a name that can be sent to a cluster, whose workers compile it or find it compiled."""
    return emd_partial.distances(np.ascontiguousarray(F), np.ascontiguousarray(G), below)


def is_closed_form(mass: str, ground: ArrayLike | None) -> bool:
    """Are distances differences of cumulative sums, so that no mean needs pairs? Of normalised masses on a line."""
    if mass not in ("partial", "normalised"):
        raise ValueError(f"mass must be 'partial' or 'normalised', got {mass!r}")
    return mass == "normalised" and ground is None


def moved(F: np.ndarray, mass: Mass) -> np.ndarray:
    """The rows of F as they are, or each scaled to a total of one."""
    return F / F.sum(1, keepdims=True) if mass == "normalised" else F


def bad_row(F: np.ndarray) -> tuple[int, str] | None:
    """The first row of F (n, D) that is no histogram, and what is wrong with it; None: all are histograms.

    >>> bad_row(np.array([[1.0, 2.0], [0.0, -1.0]]))
    (1, 'holds a negative mass')
    """
    step = max(1, 2**24 // F.shape[1])  # in blocks: the tests of a million rows would hold a gigabyte
    for start in range(0, len(F), step):
        block = F[start : start + step]
        for problem, bad in (
            ("holds a value that is not finite", ~np.isfinite(block).all(1)),
            ("holds a negative mass", (block < 0).any(1)),
            ("is empty: all its masses are zero", block.sum(1) <= 0),
        ):
            if bad.any():
                return start + int(np.flatnonzero(bad)[0]), problem
    return None


def checked(histograms: ArrayLike, name: str, fewest: int = 1) -> np.ndarray:
    """Histograms as a float64 (n, D); raises the ValueError that `pairwise_emd` tells of, or that rows are too few."""
    try:
        array = np.asarray(histograms, dtype=np.float64)
    except ValueError:
        raise ValueError(_ragged(histograms, name)) from None
    if array.ndim != 2 or array.shape[0] == 0 or array.shape[1] == 0:
        raise ValueError(f"{name} must be a table of (histograms, bins), got shape {array.shape}")
    if len(array) < fewest:
        raise ValueError(
            f"the mean distance to the others needs at least {fewest} histograms, got {len(array)}"
        )
    bad = bad_row(array)
    if bad:
        raise ValueError(f"row {bad[0]} of {name} {bad[1]}")
    return array


def _ragged(histograms: Any, name: str) -> str:
    lengths = [np.size(row) for row in histograms]
    other = next((i for i, length in enumerate(lengths) if length != lengths[0]), None)
    if other is None:
        return f"{name} holds something that is no number"
    return f"row {other} of {name} has {lengths[other]} bins, row 0 has {lengths[0]}: they have different lengths"
