"""An archive in a file, ranked some rows at a time: a million exams in bounded memory, resumable (paper A, IV-C and D).

Soft labels lie in a file and not in memory. The numbers are those of `rank.rank_negatives`; killed, the same call goes on.
"""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from covid_study.errors import CohortError
from covid_study.ranking import chords
from covid_study.ranking.blocks import Blocks
from covid_study.ranking.emd import Mass, is_closed_form
from covid_study.ranking.emd_ground import channel_distance
from covid_study.ranking.feature_table import FeatureTable
from covid_study.ranking.order_free import VARIANTS, positives_apart
from covid_study.ranking.rank import (
    DIVERSITY_PAIRS,
    Distance,
    rank_negatives,
    soft_labels,
    takes_some,
    with_a_weight,
    with_ranks,
)
from covid_study.ranking.some_others import draw, mean_emd_to_drawn, totals_and_middles
from covid_study.runtime.artefacts import write_atomically
from covid_study.runtime.executors import dask_client
from covid_study.runtime.progress import progress

SLAB = 32_768  # rows in memory at a time


@dataclass(frozen=True)
class Rule:
    """How an archive is ranked.

    Args:
        distance: of `rank.soft_labels`; "order_free" is "emd" without an order of `without` ("channels", "positives", "both").
        mass, alpha, beta, diversity_pairs, seed: of `rank.rank_negatives`.
    """

    distance: Literal["emd", "order_free", "euclidean", "cosine", "hellinger"] = "emd"
    without: str = "both"
    mass: Mass = "partial"
    alpha: float = 0.5
    beta: float = 0.5
    diversity_pairs: int = DIVERSITY_PAIRS
    seed: int = 0


def rank_file(
    table: FeatureTable,
    positives: list[str],
    rule: Rule,
    folder: Path,
    executor: str = "in_process",
    device: str = "cpu",
) -> pd.DataFrame:
    """All exams of a table but the positives, ranked (paper A, IV-C and D, eq. 3 to 7).

    Choice: exams and positives are taken by exam id, whatever the order of the file.

    Args:
        folder: what is finished lies there until the ranking is safe: features and soft labels, 8 bytes a number. It belongs
            to this table, these positives and this rule.
        executor, device: of `blocks.Blocks` and `emd.pairwise_emd`.

    Returns:
        What `rank.rank_negatives` returns, then what the table knows of each exam, indexed by exam id, sorted.

    Raises:
        CohortError: nobody is left to rank; a row of the table is no histogram.
    """
    about = table.about.drop(index=positives).sort_index()
    if not len(about):
        raise CohortError(f"all rows of {table.known_by} are positives: nobody is left to rank.")
    folder.mkdir(parents=True, exist_ok=True)
    near = table.rows(positives)
    features = _features(table, about.index, folder)
    with dask_client(executor) if executor == "dask" else nullcontext() as client:
        address = client.scheduler.address if client else executor
        found = _Ranking(about.index, near, features, rule, folder, address, device).ranked()
    return found.join(about[[name for name in about if name not in found]])


def _features(table: FeatureTable, exams: pd.Index, folder: Path) -> Path:
    """The features of these exams in this order, as a file; written once."""
    file = folder / "features.npy"

    def write(temporary: Path) -> None:
        place = exams.get_indexer(table.about.index)
        shape = len(exams), len(table.columns)
        for start, values in progress(table.pieces(), "reading features"):
            kept = np.lib.format.open_memmap(
                temporary, mode="r+" if start else "w+", dtype=np.float64, shape=shape
            )
            here = place[start : start + len(values)]
            kept[here[here >= 0]] = values[here >= 0]
            del kept  # no longer mapped, so that it takes no memory

    if not file.is_file():
        write_atomically(file, write)
    return file


class _Ranking:
    """The steps of one ranking; each leaves a file a slab."""

    def __init__(
        self,
        exams: pd.Index,
        near: pd.DataFrame,
        features: Path,
        rule: Rule,
        folder: Path,
        executor: str,
        device: str,
    ):
        self.exams, self.near, self.features, self.rule, self.folder = exams, near, features, rule, folder
        self.distance: Distance = "emd" if rule.distance == "order_free" else rule.distance
        self.chord = None if self.distance == "emd" else self.distance
        channels, places = VARIANTS[rule.without] if rule.distance == "order_free" else (False, False)
        of_channels = (
            channel_distance(np.concatenate([near.to_numpy(), np.load(features)])) if channels else None
        )
        self.of_channels = of_channels
        self.of_positives = positives_apart(near, rule.mass, of_channels) if places else None
        cheap = self.chord is not None or (is_closed_form(rule.mass, of_channels) and not places)
        blocks = None if cheap and executor == "in_process" else Blocks(folder / "blocks", executor)
        self.on: dict[str, Any] = {"blocks": blocks, "device": device}

    def ranked(self) -> pd.DataFrame:
        """The tracks and their ranks, indexed by exam."""
        rule, n = self.rule, len(self.exams)
        labels = self._slabs("labels", "distances to the positives", self._labels)
        closed = None
        if self.chord == "cosine":
            closed = self._cosine
        elif self.chord is None and is_closed_form(rule.mass, self.of_positives):
            closed = self._normalised
        if n <= SLAB or not (
            closed or takes_some(n, rule.diversity_pairs, rule.mass, self.distance, self.of_positives)
        ):
            whole = pd.DataFrame(self._joined(labels), self.exams, self.near.index, copy=False)
            how = {"distance": self.distance, "ground": self.of_positives, **self.on}
            return rank_negatives(
                whole,
                rule.alpha,
                rule.beta,
                rule.mass,
                diversity_pairs=rule.diversity_pairs,
                seed=rule.seed,
                **how,
            )
        found = pd.DataFrame(index=self.exams)
        found["difficulty"] = np.concatenate([np.load(file).mean(1) for file in labels])
        found["diversity"], found["diversity_error"] = (closed or self._of_some)(labels)
        return with_ranks(found, rule.alpha, rule.beta)

    def _slabs(self, name: str, what: str, compute: Callable[[int], np.ndarray]) -> list[Path]:
        """A file a slab; what is there is not computed again."""
        files = {start: self.folder / f"{name}-{start}.npy" for start in range(0, len(self.exams), SLAB)}
        todo = [start for start, file in files.items() if not file.is_file()]
        for start in progress(todo, what):
            write_atomically(files[start], partial(_save, compute(start)))
            if self.on["blocks"]:
                self.on["blocks"].delete()
        return list(files.values())

    def _labels(self, start: int) -> np.ndarray:
        exams = self.exams[start : start + SLAB]
        slab = pd.DataFrame(_rows(self.features, start, SLAB), index=exams)
        how = {"distance": self.distance, "ground": self.of_channels, **self.on}
        return soft_labels(self.near, slab, self.rule.mass, **how).to_numpy()

    def _joined(self, labels: list[Path]) -> np.ndarray:
        """All soft labels (M, N): in memory where they are few, else in a file that is mapped."""
        if len(labels) == 1:
            return np.load(labels[0])
        file, shape = self.folder / "all-labels.npy", (len(self.exams), len(self.near))
        joined = np.lib.format.open_memmap(file, mode="w+", dtype=np.float64, shape=shape)
        for slab, one in enumerate(labels):
            joined[slab * SLAB : (slab + 1) * SLAB] = np.load(one)
        return joined

    def _of_some(self, labels: list[Path]) -> np.ndarray:
        """Eq. 6 over some others: means and standard errors, float64 (2, M)."""
        known = [totals_and_middles(with_a_weight(np.load(file))) for file in labels]
        totals, middles = (np.concatenate(parts) for parts in zip(*known, strict=True))
        others = self.rule.diversity_pairs // len(self.exams)
        sizes, strata, drawn = draw(totals, middles, others, self.rule.seed)
        met = with_a_weight(np.stack([_rows(labels[row // SLAB], row % SLAB, 1)[0] for row in drawn]))

        def mean(start: int) -> np.ndarray:
            rows = with_a_weight(np.load(labels[start // SLAB]))
            how = {"chord": self.chord, "ground": self.of_positives, "blocks": self.on["blocks"]}
            return np.stack(
                mean_emd_to_drawn(rows, met, sizes, strata[start : start + SLAB], self.rule.mass, **how)
            )

        return np.concatenate(
            [np.load(f) for f in self._slabs("diversity", "distances to others", mean)], axis=1
        )

    def _normalised(self, labels: list[Path]) -> np.ndarray:
        """Eq. 6 by sums of columns, over all others (`emd_balanced.mean_by_columns`): float64 (2, M)."""
        from covid_study.ranking import emd_balanced

        totals = [with_a_weight(np.load(file)).sum(1) for file in labels]

        def columns(start: int, stop: int) -> np.ndarray:
            # copies: a part of a slab would keep all of it in memory
            return np.concatenate([with_a_weight(np.load(file))[:, start:stop].copy() for file in labels])

        device = self.on["device"]
        mean = emd_balanced.mean_by_columns(columns, np.concatenate(totals), len(self.near), device)
        return np.stack([mean, np.zeros(len(mean))])

    def _cosine(self, labels: list[Path]) -> np.ndarray:
        """Eq. 6 in cosine, over all others, by the distance from their mean (`chords.mean_to_others`): float64 (2, M)."""
        n = len(self.exams)

        def points() -> Iterator[np.ndarray]:
            return (chords.points(with_a_weight(np.load(file)), "cosine") for file in labels)

        middle = np.sum([rows.sum(0) for rows in points()], axis=0) / n
        from_mean = np.concatenate([chords.squares_from(rows, middle) for rows in points()])
        return np.stack([(n * from_mean + from_mean.sum()) / (2 * (n - 1)), np.zeros(n)])


def _rows(file: Path, start: int, count: int) -> np.ndarray:
    """Some rows of a file, in memory; the file is not mapped any longer."""
    return np.array(np.load(file, mmap_mode="r")[start : start + count])


def _save(values: np.ndarray, path: Path) -> None:
    with open(path, "wb") as file:  # np.save adds an ending to a name
        np.save(file, values)
