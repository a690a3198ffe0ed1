"""Earth mover's distances for any ground distance, by linear programmes, and one that needs no order (paper A, IV-C, eq. 3).

|i - j| needs bins that lie on a line. Channels of a network do not, nor do the positives of a soft label; here the cost of
moving a unit from i to j is any table. Each pair is a linear programme of POT's: about a thousand times dearer than the line.
"""

import numpy as np
from numpy.typing import ArrayLike

from covid_study.errors import StudyError

MOST_STEPS = 10_000_000  # of the network simplex; POT's 100,000 are too few from about 1,000 bins on


def distances(F: np.ndarray, G: np.ndarray, below: bool, ground: np.ndarray) -> np.ndarray:
    """Partial distances (eq. 3 and 4) of the rows of F (n, D) to those of G (m, D), float64 and checked: float64 (n, m).

    Args:
        below: only the pairs j < i are computed, the others are left at zero (F and G are the same rows).
        ground: float64 (D, D), cost of moving a unit from a bin of F to a bin of G.

    Raises:
        StudyError: the solver gave up on a pair.

    >>> far_or_here = 1.0 - np.eye(3)  # every other bin is equally far
    >>> distances(np.eye(3)[:1], np.array([[0.0, 0.0, 1.0]]), False, far_or_here)
    array([[1.]])
    """
    result = np.zeros((len(F), len(G)))
    for i in range(len(F)):
        for j in range(i if below else len(G)):
            result[i, j] = _distance(F[i], G[j], ground)
    return result


def _distance(f: np.ndarray, g: np.ndarray, ground: np.ndarray) -> float:
    """One pair: a dummy bin, at no distance from any, takes what the heavier keeps."""
    import ot  # a second to import, and hardly any ranking asks for another ground

    moved = min(f.sum(), g.sum())
    f, g = (
        np.minimum(f / moved, 1.0),
        np.minimum(g / moved, 1.0),
    )  # no bin gives or takes more than what moves
    from_bins, to_bins = np.flatnonzero(f), np.flatnonzero(g)
    supply, demand = np.append(f[from_bins], 0.0), np.append(g[to_bins], 0.0)
    total = max(supply.sum(), demand.sum())
    supply[-1], demand[-1] = total - supply.sum(), total - demand.sum()
    cost = np.zeros((len(supply), len(demand)))
    cost[:-1, :-1] = ground[np.ix_(from_bins, to_bins)]
    least, log = ot.emd2(
        supply / total, demand / total, cost, numItermax=MOST_STEPS, log=True, center_dual=False
    )
    if log["warning"]:
        raise StudyError(f"POT found no earth mover's distance of two histograms: {log['warning']}")
    return float(least) * total


def channel_distance(features: ArrayLike) -> np.ndarray:
    """How far feature channels lie apart, by their correlation over exams: float64 (D, D), symmetric, 0 to 2.

    Choice: sqrt(2 (1 - r)), the distance of two standardised channels a exam (root mean square): 0 for channels that rise
    and fall together, 1.4 for unrelated ones, 2 for opposite ones. A channel that never changes is related to none. It does
    not depend on the order in which the channels are listed.

    Args:
        features: (n, D), one row an exam.

    >>> channel_distance([[0, 0, 1], [1, 2, 0], [2, 4, -1.0]]).round(1)
    array([[0., 0., 2.],
           [0., 0., 2.],
           [2., 2., 0.]])
    """
    values = np.asarray(features, dtype=np.float64)
    values = values - values.mean(0)
    size = np.sqrt((values**2).sum(0))
    varies = size > 1e-12 * max(np.abs(np.asarray(features)).max(), np.finfo(float).tiny) * np.sqrt(
        len(values)
    )
    values = np.where(varies, values / np.where(varies, size, 1.0), 0.0)
    correlation = np.clip(values.T @ values, -1.0, 1.0)
    np.fill_diagonal(correlation, 1.0)
    return np.sqrt(2.0 * (1.0 - correlation))
