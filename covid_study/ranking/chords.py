"""Euclidean, cosine and Hellinger distances: three that know no order of the channels (beside paper A, IV-C and D).

All are chords between points. Euclidean: between the rows as they are. Cosine and Hellinger: between rows scaled to length
one, 1 - <u, v> = |u - v|^2 / 2 with u = f / |f|, and sqrt(1 - sum sqrt(p q)) = |u - v| / sqrt 2 with u = sqrt(p), where p are
shares, f / sum(f); like the normalised earth mover's distance, these two do not see how much there is in all. A chord keeps
the digits that 1 - <u, v> loses where rows are alike.
"""

from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.distance import cdist

from covid_study.ranking.blocks import Blocks, Distances, matrix, sums
from covid_study.ranking.emd import SIDE, checked

if TYPE_CHECKING:
    import torch

Kind = Literal["euclidean", "cosine", "hellinger"]
KINDS: tuple[Kind, ...] = ("euclidean", "cosine", "hellinger")
ROUNDING = 1e-14  # a shorter chord is what scaling two rows to length one leaves of nothing


def pairwise(
    F: ArrayLike,
    G: ArrayLike,
    kind: Kind,
    *,
    device: "str | torch.device" = "cpu",
    threads: int | None = None,
    blocks: Blocks | None = None,
) -> np.ndarray:
    """Distances between all rows of `F` and all rows of `G`: in eq. 3's place (beside paper A, IV-C).

    Args:
        F: (n, D) features, not negative, none all zero. G: (m, D).
        device, threads, blocks: as in `emd.pairwise_emd`.

    Returns:
        float64 (n, m); cosine and Hellinger 0 to 1.

    Raises:
        ValueError: names the row that is empty, negative or not finite.

    >>> pairwise([[1, 0], [3, 3]], [[5, 0]], "cosine").round(3).ravel().tolist()
    [0.0, 0.293]
    >>> pairwise([[1, 0], [3, 3]], [[5, 0]], "hellinger").round(3).ravel().tolist()
    [0.0, 0.541]
    """
    one, other = points(checked(F, "F"), kind), points(checked(G, "G"), kind)
    return matrix(of_a_block(kind, device), one, other, SIDE, blocks, threads)


def mean_to_others(
    F: ArrayLike,
    kind: Kind,
    *,
    device: "str | torch.device" = "cpu",
    threads: int | None = None,
    blocks: Blocks | None = None,
) -> np.ndarray:
    """Mean distance of each row to all the other rows: in eq. 6's place (beside paper A, IV-D2).

    Cosine needs no pairs: squared chords of a row to all n rows sum to n times its square from their mean, and theirs from it.

    Args:
        F: (n, D), n >= 2. kind, device, threads, blocks: as in `pairwise`.

    Returns:
        float64 (n,).

    Raises:
        ValueError: as `pairwise`; and for fewer than two rows.

    >>> mean_to_others(np.eye(3), "cosine").tolist()
    [1.0, 1.0, 1.0]
    """
    rows = points(checked(F, "F", fewest=2), kind)
    if kind == "cosine":
        from_mean = squares_from(rows, rows.mean(0))
        return (len(rows) * from_mean + from_mean.sum()) / (2 * (len(rows) - 1))
    return sums(of_a_block(kind, device), rows, SIDE, blocks, threads) / (len(rows) - 1)


def squares_from(rows: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """Squared chords of rows (n, D) to a point (D,), float64 (n,); what rounding leaves of nothing is nothing."""
    found = ((rows - middle) ** 2).sum(1)
    found[found < ROUNDING**2] = 0
    return found


def points(F: np.ndarray, kind: Kind) -> np.ndarray:
    """What chords are between: the rows of F (n, D), of length one unless the distance is Euclidean.

    >>> points(np.array([[3.0, 4.0], [1e-200, 0.0]]), "cosine").tolist()
    [[0.6, 0.8], [1.0, 0.0]]
    """
    if kind == "euclidean":
        return F
    F = F / F.max(1, keepdims=True)  # the square of what is very small would be zero
    rows = F if kind == "cosine" else np.sqrt(F)
    return rows / np.sqrt((rows**2).sum(1, keepdims=True))


def of_a_block(kind: Kind, device: "str | torch.device" = "cpu") -> Distances:
    """The function that computes the distances of a block of pairs of points."""
    device = str(device)  # one without float64 (mps) is not used
    return partial(_distances, kind=kind, device=device if device.startswith("cuda") else "cpu")


def _distances(F: np.ndarray, G: np.ndarray, below: bool, kind: Kind, device: str) -> np.ndarray:
    if device == "cpu":
        chord = cdist(F, G)
    else:
        import torch

        one, other = (torch.from_numpy(np.ascontiguousarray(x)).to(device) for x in (F, G))
        chord = torch.cdist(one, other, compute_mode="donot_use_mm_for_euclid_dist").cpu().numpy()
    chord[chord < ROUNDING] = 0
    found = {"euclidean": chord, "cosine": chord**2 / 2, "hellinger": chord / np.sqrt(2)}[kind]
    return np.tril(found, -1) if below else found
