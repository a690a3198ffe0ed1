"""Many distances, a block of pairs at a time: in threads, on a cluster, and so that a killed run keeps what it had finished."""

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from joblib import cpu_count

from covid_study.runtime.artefacts import fingerprint, source_key, write_atomically
from covid_study.runtime.executors import completed
from covid_study.runtime.progress import progress

Distances = Callable[
    [np.ndarray, np.ndarray, bool], np.ndarray
]  # (F, G, below) -> (n, m), see emd_partial.distances
Key = tuple[int, int]
Block = tuple[np.ndarray, ...]  # what is kept of a block


@dataclass(frozen=True)
class Blocks:
    """How a long computation is cut up.

    Args:
        folder: finished blocks go there, in a folder named by what they are distances of; asked again, they are read.
        executor: "in_process", "dask" (a local cluster) or the address of a Dask scheduler, see `executors.completed`.
    """

    folder: Path
    executor: str = "in_process"

    def delete(self) -> None:
        """Remove the finished blocks, once what was made of them is safe."""
        shutil.rmtree(self.folder, ignore_errors=True)


def matrix(
    distances: Distances,
    F: np.ndarray,
    G: np.ndarray,
    side: int,
    blocks: Blocks | None = None,
    threads: int | None = None,
) -> np.ndarray:
    """Distances of all rows of F (n, D) to all rows of G (m, D): float64 (n, m).

    Args:
        distances: of one block, in one thread, without the interpreter's lock; can be pickled.
        side: rows of F and of G in a block.
        threads: in this process; None: one a core.

    >>> absolute = lambda f, g, below: abs(f - g.T)
    >>> matrix(absolute, np.array([[1.0], [2.0]]), np.array([[0.0], [5.0]]), side=1, threads=1)
    array([[1., 4.],
           [2., 3.]])
    """
    result = np.empty((len(F), len(G)))
    keys = [(i, j) for i in range(0, len(F), side) for j in range(0, len(G), side)]
    rows = {f"F{i}": F[i : i + side] for i, _ in keys} | {f"G{j}": G[j : j + side] for _, j in keys}
    tasks = [(key, (f"F{key[0]}", f"G{key[1]}")) for key in keys]
    for (i, j), (block,) in _done(partial(_matrix, distances), rows, tasks, blocks, threads):
        result[i : i + side, j : j + side] = block
    return result


def sums(
    distances: Distances, F: np.ndarray, side: int, blocks: Blocks | None = None, threads: int | None = None
) -> np.ndarray:
    """Sum of the distances of each row of F (n, D) to all the others, of symmetric distances: float64 (n,).

    Every pair is computed once, and only sums leave a block: memory does not grow with the square of n.

    Args: see `matrix`.
    """
    result = np.zeros(len(F))
    starts = range(0, len(F), side)
    rows = {f"F{i}": F[i : i + side] for i in starts}
    tasks = [((i, j), (f"F{i}", f"F{j}")) for i in starts for j in starts if j <= i]
    # Added in one order, whichever block ends first: the last digit is the same in every run.
    found = dict(_done(partial(_sums, distances), rows, tasks, blocks, threads))
    for i, j in sorted(found):
        of_rows, of_columns = found[i, j]
        result[i : i + side] += of_rows
        result[j : j + side] += of_columns
    return result


def by_rows(
    distances: Distances,
    reduce: Callable[[np.ndarray, np.ndarray], np.ndarray],
    F: np.ndarray,
    G: np.ndarray,
    along: np.ndarray,
    side: int,
    blocks: Blocks | None = None,
    threads: int | None = None,
) -> np.ndarray:
    """What `reduce` makes of the distances of each row of F (n, D) to all rows of G (m, D): float64 (c, n).

    Args:
        reduce: (distances of r rows (r, m), what is known along them) -> (c, r); can be pickled.
        along: (n, ...), what is known of each row.
        side: as large as a block of side x side is, so many rows of F and all of G are taken.
        distances, blocks, threads: see `matrix`.
    """
    step = max(1, side * side // len(G))
    starts = range(0, len(F), step)
    rows = (
        {"G": G} | {f"F{i}": F[i : i + step] for i in starts} | {f"A{i}": along[i : i + step] for i in starts}
    )
    tasks = [((i, 0), (f"F{i}", "G", f"A{i}")) for i in starts]
    found = dict(_done(partial(_by_rows, distances, reduce), rows, tasks, blocks, threads))
    return np.concatenate([found[i, 0][0] for i in starts], axis=1)


def _matrix(distances: Distances, threads: int | None, key: Key, F: np.ndarray, G: np.ndarray) -> Block:
    return (in_threads(distances, F, G, False, threads),)


def _sums(distances: Distances, threads: int | None, key: Key, F: np.ndarray, G: np.ndarray) -> Block:
    block = in_threads(distances, F, G, key[0] == key[1], threads)
    return block.sum(1), block.sum(0)


def _by_rows(
    distances: Distances,
    reduce: Callable[..., Any],
    threads: int | None,
    key: Key,
    F: np.ndarray,
    G: np.ndarray,
    A: np.ndarray,
) -> Block:
    return (reduce(in_threads(distances, F, G, False, threads), A),)


def in_threads(
    distances: Distances, F: np.ndarray, G: np.ndarray, below: bool, threads: int | None = None
) -> np.ndarray:
    """One block, its rows shared out among threads (None: one a core)."""
    threads = threads or cpu_count()
    if threads == 1:
        return distances(F, G, below)
    result = np.zeros((len(F), len(G)))
    pieces = min(len(F), 8 * threads)
    edges = [len(F) * k // pieces for k in range(pieces + 1)]

    def piece(k: int) -> None:
        first, last = edges[k], edges[k + 1]
        if below:  # all of the columns left of the piece, then the triangle in it
            result[first:last, :first] = distances(F[first:last], G[:first], False)
            result[first:last, first:last] = distances(F[first:last], G[first:last], True)
        else:
            result[first:last] = distances(F[first:last], G, False)

    pool = ThreadPoolExecutor(threads)
    try:  # the longest first
        list(pool.map(piece, reversed(range(pieces))))
    finally:  # interrupted, what has not begun never does
        pool.shutdown(cancel_futures=True)
    return result


def _done(
    function: partial[Block],
    rows: dict[str, np.ndarray],
    tasks: Sequence[tuple[Key, tuple[str, ...]]],
    blocks: Blocks | None,
    threads: int | None,
) -> Iterator[tuple[Key, Block]]:
    """Every block: those that were finished before, then the others as they end."""
    if blocks is None:
        yield from completed(partial(function, threads), rows, tasks)
        return
    folder = Path(blocks.folder) / _name(function, rows)
    missing = []
    for key, names in tasks:
        file = _file(folder, key)
        if file.is_file():
            with np.load(file) as kept:
                yield key, tuple(kept.values())
        else:
            missing.append((key, names))
    if len(missing) < len(tasks):
        print(
            f"{len(tasks) - len(missing)} of {len(tasks)} blocks of distances were finished before",
            flush=True,
        )
    # A worker of a cluster has its own share of the cores, one thread a task.
    function = partial(function, threads if blocks.executor == "in_process" else 1)
    ending: Iterable[tuple[Key, Block]] = completed(function, rows, missing, blocks.executor)
    if len(tasks) > 1:
        ending = progress(ending, "blocks of distances", len(missing))
    for key, block in ending:
        write_atomically(_file(folder, key), partial(_save, block))
        yield key, block


def _file(folder: Path, key: Key) -> Path:
    return folder / f"{key[0]}-{key[1]}.npz"


def _save(block: Block, path: Path) -> None:
    with open(path, "wb") as file:  # np.savez adds an ending to a name
        np.savez(file, *block)


def _name(function: partial[Block], rows: dict[str, np.ndarray]) -> str:
    """What these blocks are of: the histograms, what is computed of them and with which constants, the code."""
    digest, parts = hashlib.sha256(), [function.func.__name__]
    constants: dict[str, np.ndarray] = {}
    for part in function.args:
        inner = part.func if isinstance(part, partial) else part
        constants |= part.keywords if isinstance(part, partial) else {}
        ours = inner.__module__.startswith("covid_study.")
        parts += [inner.__name__, source_key([inner.__module__]) if ours else inner.__module__]
    for name, values in (rows | constants).items():
        array = np.ascontiguousarray(values)
        digest.update(f"{name}{array.shape}{array.dtype}".encode())
        digest.update(array.tobytes())
    return fingerprint([*parts, digest.hexdigest()])
