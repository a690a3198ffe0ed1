"""What `emd.py` measures: seeded histograms, our distances, and those of POT and SciPy, each as plain functions.

Features are made to resemble the pooled ReLU features of the `demo` profile's encoder (128 channels): a channel's mean
varies with a coefficient of 0.7, an exam's value about it by a gamma of shape 8, 5 % are zero, totals vary by 12 %. Soft
labels resemble the distances that such features give: 0.3 between positives, a gamma of shape 3, totals vary by 25 %.
"""

import os
import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import ot
from scipy.sparse import coo_matrix
from scipy.spatial.distance import cdist
from scipy.stats import spearmanr, wasserstein_distance

from covid_study.ranking.emd import mean_emd_to_others, pairwise_emd
from covid_study.ranking.rank import rank_negatives
from covid_study.ranking.some_others import mean_emd_to_some

BLOCK = 20_000  # rows made at once; an archive's features are never in memory as a whole
OTHERS = 768  # that every soft label meets where all are too many
MOST_STEPS = 10_000_000  # of POT's simplex
BAND = (
    64  # bins: farther than any unit travels between these histograms; the check of the distances would tell
)
BATCH = 256  # pairs in a call of POT's wasserstein_1d: quicker than one by one


def features(n: int, bins: int, seed: int) -> np.ndarray:
    """Histograms like pooled features of `n` exams: float64 (n, bins)."""
    return _histograms(n, bins, seed, between=0.7, shape=8, totals=0.12, zeros=0.05)


def soft_labels(n: int, positives: int, seed: int) -> np.ndarray:
    """Histograms like soft labels of `n` exams: float64 (n, positives)."""
    return _histograms(n, positives, seed, between=0.3, shape=3, totals=0.25, zeros=0.0)


def _histograms(n: int, bins: int, seed: int, between: float, shape: float, totals: float, zeros: float):
    common = np.random.default_rng(0).standard_gamma(between**-2, bins) * between**2
    rng = np.random.default_rng(1 + seed)
    values = rng.standard_gamma(shape, (n, bins))
    values *= common * rng.lognormal(0, totals, (n, 1)) / shape
    if zeros:
        values[rng.random((n, bins), dtype=np.float32) < zeros] = 0
    return values


# ---- a pair: each function takes F (n, D), G (m, D), the mass and a number of threads, and returns (n, m)


def ours(F, G, mass, threads):
    """This study's distances."""
    return pairwise_emd(F, G, mass.split(",")[0], threads=threads)


def pot_simplex(F, G, mass, threads):
    """POT's network simplex; where the masses differ, a dummy point at no distance takes what need not move."""
    return _by_simplex(F, G, mass, threads, _cost(F.shape[1], mass))


def pot_sparse(F, G, mass, threads):
    """POT's network simplex on a sparse table of costs, for who knows that nothing travels farther than BAND bins."""
    cost = _cost(F.shape[1], mass)
    near = np.nonzero(cost <= BAND)
    return _by_simplex(F, G, mass, threads, coo_matrix((cost[near], near), cost.shape))


def pot_warm(F, G, mass, threads):
    """POT's network simplex, started from the dual potentials of the pair before in its thread."""
    return _by_simplex(F, G, mass, threads, _cost(F.shape[1], mass), before=threading.local())


def _by_simplex(F, G, mass, threads, cost, before=None):
    def distance(f, g):
        moved, total = min(f.sum(), g.sum()), max(f.sum(), g.sum())
        if mass == "partial":
            f, g = np.append(f, total - f.sum()), np.append(g, total - g.sum())
        f, g = f / total, g / total
        if before is None:
            return ot.emd2(f, g, cost, numItermax=MOST_STEPS) * total / moved
        start = getattr(before, "potentials", None)
        how = dict(log=True, center_dual=False, potentials_init=start)
        least, log = ot.emd2(f, g, cost, numItermax=MOST_STEPS, **how)
        before.potentials = log["u"], log["v"]
        return least * total / moved

    return _pair_by_pair(distance, F, G, threads)


def pot_partial_1d(F, G, mass, threads):
    """POT's exact partial solver on a line (Chapel and Tavenard 2025), of points: whole masses, a point a unit."""
    x = np.arange(F.shape[1], dtype=float)

    def distance(f, g):
        points = (np.repeat(x, masses.astype(int)) for masses in (f, g))
        return ot.partial.partial_wasserstein_1d(*points)[2].sum() / min(f.sum(), g.sum())

    return _pair_by_pair(distance, F, G, threads)


def pot_partial(F, G, mass, threads):
    """POT's partial solver, which moves the mass of the lighter."""
    line = _line(F.shape[1])

    def distance(f, g):
        moved = min(f.sum(), g.sum())
        return ot.partial.partial_wasserstein2(f, g, line, m=moved, numItermax=MOST_STEPS) / moved

    return _pair_by_pair(distance, F, G, threads)


def scipy_1d(F, G, mass, threads):
    """SciPy's `wasserstein_distance`."""
    x = np.arange(F.shape[1], dtype=float)
    return _pair_by_pair(lambda f, g: wasserstein_distance(x, x, f, g), F, G, threads)


def pot_emd2_1d(F, G, mass, threads):
    """POT's `emd2_1d`."""
    x = np.arange(F.shape[1], dtype=float)
    return _pair_by_pair(lambda f, g: ot.emd2_1d(x, x, f, g, metric="cityblock", dense=False), F, G, threads)


def pot_wasserstein_1d(F, G, mass, threads):
    """POT's `wasserstein_1d`, a batch of pairs a call."""
    x = np.arange(F.shape[1], dtype=float)[:, None]
    result = np.empty(len(F) * len(G))

    def batch(start):
        i, j = np.divmod(np.arange(start, min(start + BATCH, result.size)), len(G))
        result[start : start + BATCH] = ot.wasserstein_1d(x, x, F[i].T.copy(), G[j].T.copy(), p=1)

    _each(batch, range(0, result.size, BATCH), threads)
    return result.reshape(len(F), len(G))


def scipy_cdist(F, G, mass, threads):
    """SciPy's `cdist` of the cumulative sums: the closed form as a user would write it."""
    F, G = _cumulative(F), _cumulative(G)
    result = np.empty((len(F), len(G)))
    edges = [len(F) * k // threads for k in range(threads + 1)]

    def rows(k):
        result[edges[k] : edges[k + 1]] = cdist(F[edges[k] : edges[k + 1]], G, "cityblock")

    _each(rows, range(threads), threads)
    return result


Pairs = Callable[[np.ndarray, np.ndarray, str, int], np.ndarray]
COMPETITORS: dict[str, dict[str, Pairs]] = {
    "partial": {
        "POT simplex": pot_simplex,
        "POT simplex, sparse": pot_sparse,
        "POT simplex, warm start": pot_warm,
        "POT partial solver": pot_partial,
    },
    "partial, whole masses": {"POT partial_wasserstein_1d": pot_partial_1d},
    "normalised": {
        "POT simplex": pot_simplex,
        "POT partial solver": pot_partial,
        "POT emd2_1d": pot_emd2_1d,
        "POT wasserstein_1d": pot_wasserstein_1d,
        "SciPy wasserstein_distance": scipy_1d,
        "SciPy cdist": scipy_cdist,
    },
}


def _cost(bins: int, mass: str) -> np.ndarray:
    return np.pad(_line(bins), (0, 1)) if mass == "partial" else _line(bins)


def _line(bins: int) -> np.ndarray:
    return np.abs(np.subtract.outer(np.arange(bins), np.arange(bins))).astype(float)


def _cumulative(F: np.ndarray) -> np.ndarray:
    return np.cumsum(F / F.sum(1, keepdims=True), axis=1)


def _pair_by_pair(distance, F, G, threads):
    result = np.empty((len(F), len(G)))

    def pair(k):
        i, j = divmod(k, len(G))
        result[i, j] = distance(F[i], G[j])

    _each(pair, range(result.size), threads)
    return result


def _each(do, keys, threads: int) -> None:
    if threads == 1:
        for key in keys:
            do(key)
        return
    with ThreadPoolExecutor(threads) as pool:  # each thread takes the next: pairs differ in cost
        list(pool.map(do, keys))


# ---- whole computations: run in a process of their own by `emd.in_new_process`


def whole(
    equation: str, mass: str, method: str, n: int, positives: int, bins: int, threads: int, device: str
):
    """One computation over an archive of `n` negatives: dict of `seconds`, `mean` (of the result), memory in bytes."""
    if equation == "eq. 3":
        return _eq3(mass, method, n, positives, bins, threads, device)
    labels = np.empty((n, positives))
    for i, start in enumerate(range(0, n, BLOCK)):
        labels[start : start + BLOCK] = soft_labels(min(BLOCK, n - start), positives, seed=i)
    others = {
        "ours": lambda x: mean_emd_to_others(x, mass, threads=threads, device=device),
        "ours, 768 others": lambda x: mean_emd_to_some(x, OTHERS, mass, threads=threads)[0],
        "ours, rank_negatives": lambda x: rank_negatives(x, mass=mass, device=device)["diversity"].to_numpy(),
        "POT simplex": lambda x: _mean_of_pairs(x, pot_simplex, mass, threads),
        "dense matrix (SciPy)": lambda x: (
            cdist(_cumulative(x), _cumulative(x), "cityblock").sum(1) / (len(x) - 1)
        ),
    }[method]
    others(labels[:3])  # compiled, threads started
    baseline = peak_bytes()
    seconds, result = _timed(lambda: others(labels))
    return {
        "seconds": seconds,
        "mean": float(result.mean()),
        "baseline_bytes": baseline,
        "peak_bytes": peak_bytes(),
    }


def _eq3(mass, method, n, positives, bins, threads, device):
    distances = {
        "ours": lambda f, g: pairwise_emd(f, g, mass, threads=threads, device=device),
        "POT simplex": lambda f, g: pot_simplex(f, g, mass, threads),
    }[method]
    known, result = features(positives, bins, seed=0), np.empty((n, positives))
    seconds, baseline = 0.0, 0
    for i, start in enumerate(range(0, n, BLOCK)):
        block = features(min(BLOCK, n - start), bins, seed=1 + i)  # not measured
        if i == 0:
            distances(block[:2], known[:2])
            baseline = peak_bytes()

        def fill(block=block, start=start):
            result[start : start + BLOCK] = distances(block, known)

        seconds += _timed(fill, again=n <= BLOCK)[0]
    return {
        "seconds": seconds,
        "mean": float(result.mean()),
        "baseline_bytes": baseline,
        "peak_bytes": peak_bytes(),
    }


def paper(n: int, positives: int, bins: int, threads: int):
    """The paper's size whole: partial eq. 3, then partial eq. 6 over the soft labels it gave."""
    known, archive = features(positives, bins, seed=0), features(n, bins, seed=1)
    pairwise_emd(archive[:2], known[:2], threads=threads)
    mean_emd_to_others(archive[:2], threads=threads)
    baseline = peak_bytes()
    started = time.perf_counter()
    labels = pairwise_emd(archive, known, threads=threads)
    between = time.perf_counter()
    mean_emd_to_others(labels, threads=threads)
    ended = time.perf_counter()
    return {
        "eq. 3": between - started,
        "eq. 6": ended - between,
        "baseline_bytes": baseline,
        "peak_bytes": peak_bytes(),
    }


def some_others(n: int, positives: int, others: list[int], threads: int) -> list[dict]:
    """Eq. 6 over some others beside that over all: rank correlation, errors and seconds, a row for each number of others."""
    labels = soft_labels(n, positives, seed=0)
    full = mean_emd_to_others(labels, threads=threads)
    rows = []
    for m in others:
        seconds, (mean, error) = _timed(lambda m=m: mean_emd_to_some(labels, m, threads=threads), again=False)
        off = np.sqrt((((mean - full) / error) ** 2).mean())
        rows.append(
            {
                "negatives": n,
                "others": m,
                "seconds": seconds,
                "rank_correlation": spearmanr(mean, full).statistic,
            }
        )
        rows[-1] |= {"median_relative_error": float(np.median(error / mean)), "off_in_errors": float(off)}
    return rows


def _mean_of_pairs(F, pairs, mass, threads):
    """Mean distance to the others, every pair once."""
    n = len(F)
    total = np.zeros(n)
    for i in range(1, n):
        row = pairs(F[i : i + 1], F[:i], mass, threads)[0]
        total[i] += row.sum()
        total[:i] += row
    return total / (n - 1)


def _timed(do, again: bool = True):
    """Seconds of `do()`, and its result; what takes less than half a second is done five times for the median."""
    times = []
    while not times or (again and times[0] < 0.5 and len(times) < 5):
        started = time.perf_counter()
        result = do()
        times.append(time.perf_counter() - started)
    return statistics.median(times), result


def peak_bytes() -> int:
    """The most memory that this process held so far."""
    import resource  # not on Windows

    unit = 1 if os.uname().sysname == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def copy_bandwidth(size: int, threads: int, repeats: int = 5) -> float:
    """Bytes a second, read and written, of a copy in memory by all threads: the best of `repeats`."""
    source, target = np.ones(size // 8), np.zeros(size // 8)
    edges = [len(source) * k // threads for k in range(threads + 1)]
    best = float("inf")
    for _ in range(repeats):
        started = time.perf_counter()
        _each(
            lambda k: np.copyto(target[edges[k] : edges[k + 1]], source[edges[k] : edges[k + 1]]),
            range(threads),
            threads,
        )
        best = min(best, time.perf_counter() - started)
    return 2 * source.nbytes / best
