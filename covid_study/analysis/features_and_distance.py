"""Which features, compared by which distance, make a difficulty that means something? (beside paper A, IV-C and D)

The paper has one pair: features of the pretext task, and the earth mover's distance. Here every source of features meets every
distance. Only eq. 3 and 5 are asked: a difficulty without a meaning needs no diversity.
"""

import hashlib
import json
import time
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from covid_study import paths
from covid_study.analysis.order import drawn_orders, spearman
from covid_study.analysis.ranking_meaning import SOURCES, RankingsBySeed, follows_load, scored, sources
from covid_study.ranking.emd_ground import channel_distance
from covid_study.ranking.order_free import pairs, thinned
from covid_study.ranking.rank import soft_labels
from covid_study.report.results import from_scored
from covid_study.report.words import with_interval
from covid_study.runtime.artefacts import artefact
from covid_study.runtime.progress import progress
from covid_study.samples.samples import Samples
from covid_study.scores import claims
from covid_study.tables import volume_steps

DISTANCES = {
    "partial": "EMD, partial",
    "normalised": "EMD, normalised",
    "order_free": "EMD without an order",
    "euclidean": "Euclidean",
    "cosine": "cosine",
    "hellinger": "Hellinger",
}
MEASURES = {
    "auc": "CAP before non-pneumonia",
    "load": "with the lesion load",
    "seeds": "between seeds",
    "orders": "between orders of channels",
}
AXES = dict(zip(MEASURES.values(), ("AUC", "Spearman", "Spearman", "Spearman"), strict=True))
REFERENCES = dict(zip(MEASURES.values(), (0.5, 0.0, 1.0, 1.0), strict=True))
MOST_CHANNELS = 512  # of an order-free distance; a linear programme of more takes seconds
COLUMNS = ["source", "distance", "measure", "value", "low", "high", "seeds", "exams"]


def measured(p, v: Samples, load: pd.Series | None, n: int = 1000) -> pd.DataFrame:
    """Every pair of features and distance, put to the same questions.

    Choice: where a distance is a linear programme, exams are thinned to `ranking.ground_pairs` of them, one random order of the
    channels is tried in place of `ranking.orders`, and seconds are those of the whole archive at the same pace; beyond 512
    channels it is left out. Bins of a histogram have an order, which is not shuffled.

    Args:
        p: parameters. v: the volumes. load: share of the lungs that is ill, by exam id; None: not known. n: resamples.

    Returns:
        source, distance, measure, value, low, high, seeds, exams (negatives asked). Measures: "auc" (CAP before non-pneumonia,
        interval over patients and seeds), "load" (Spearman's correlation with the lesion load, the same), "seeds" (between the
        difficulties of two seeds: median, smallest and largest), "orders" (with the channels as listed: the same over random
        orders) and "seconds" (features and distances, the mean over seeds).
    """
    found, told = _difficulties(p, v, sources(p, p.study.seeds))
    auc = from_scored(scored(found, v.table, n)).rename(columns={"row": "source", "mean": "value"})
    parts = [auc.assign(measure="auc"), _between_seeds(found)]
    if load is not None:
        loads = follows_load(found, load, v.table)
        parts.append(loads[loads["among"] == "all negatives"].assign(measure="load"))
    asked = pd.concat(parts, ignore_index=True)
    asked[["source", "distance"]] = asked["source"].str.split(" ", expand=True)
    by = told.groupby(["source", "distance"], sort=False)
    orders = by[["value", "low", "high"]].mean().assign(measure="orders").reset_index()
    seconds = by["seconds"].mean().rename("value").reset_index().assign(measure="seconds")
    every = pd.concat([asked, orders, seconds], ignore_index=True)
    return every.merge(by["exams"].first().reset_index()).reindex(columns=COLUMNS)


def of_the_papers_features(p, v: Samples, n: int = 1000) -> claims.Scored:
    """How well difficulty by each distance puts CAP before non-pneumonia, from the features of the pretext task (A, II-C).

    Returns:
        Cells (distance, "cap", seed) with `auc`, see `ranking_meaning.scored`.
    """
    found, _ = _difficulties(p, v, [asked for asked in sources(p, p.study.seeds) if asked[0] == "pretext"])
    asked = {(pair.split()[1], seed): ranking for (pair, seed), ranking in found.items()}
    return scored(asked, v.table, n)


def _difficulties(p, v: Samples, asked: list[tuple[str, int]]) -> tuple[RankingsBySeed, pd.DataFrame]:
    """The difficulty by every pair of features and distance ("pretext cosine", seed), and the facts of `compared`.

    asked: of `ranking_meaning.sources`.
    """
    found, told = {}, []
    for source, seed in asked:
        difficulty, facts = _of_source(p, v, source, seed)
        for distance in difficulty:
            found[f"{source} {distance}", seed] = (
                difficulty[[distance]].dropna().set_axis(["difficulty"], axis=1)
            )
        told.append(facts.assign(source=source, seed=seed))
    return found, pd.concat(told, ignore_index=True)


def _of_source(p, v: Samples, source: str, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Difficulty by each distance (M, distances), and of each distance seconds, exams and agreement over orders; kept."""
    ranked = volume_steps.ranked(p, v, source, seed)
    near = ranked.features.loc[ranked.soft_labels.columns]
    far = ranked.features.loc[ranked.ranking.index]
    values = ranked.features.to_numpy(dtype=np.float64)
    orders = 0 if source == "hu_histogram" else p.ranking.orders
    config = {
        "features": hashlib.sha256(values.tobytes()).hexdigest(),
        "positives": list(near.index),
        "negatives": list(far.index),
        "orders": orders,
        "most": p.ranking.ground_pairs,
    }

    def compute(folder: Path) -> None:
        parts = [compared(near, far, d, orders, p.ranking.ground_pairs) for d in progress(DISTANCES, source)]
        difficulties = {d: part[0] for d, part in zip(DISTANCES, parts, strict=True)}
        pd.DataFrame(difficulties, index=far.index).to_parquet(folder / "difficulty.parquet")
        (folder / "facts.json").write_text(json.dumps([part[1] for part in parts]))

    modules = ["analysis.features_and_distance"]
    folder = artefact(paths.build(p.study.name) / "ranking", "distances", config, modules, compute)
    facts = pd.DataFrame(json.loads((folder / "facts.json").read_text())).astype({"exams": int})
    facts["seconds"] += ranked.source_seconds
    return pd.read_parquet(folder / "difficulty.parquet"), facts


def compared(
    near: pd.DataFrame, far: pd.DataFrame, distance: str, orders: int, most: int, seed: int = 0
) -> tuple[pd.Series, dict]:
    """Difficulty of negatives by a distance (eq. 3 and 5), and how much the order of the channels has to do with it.

    Args:
        near: (N, D) features of the positives. far: (M, D). distance: of DISTANCES.
        orders: random orders of the channels to try. most: linear programmes of a difficulty. seed: of the orders.

    Returns:
        float64 (M,) by exam, NaN where it was left out; and `distance`, `seconds`, `exams`, and median, smallest and largest
        Spearman correlation with the difficulty of another order: `value`, `low`, `high`, NaN where none was tried.

    >>> near, far = pd.DataFrame([[3.0, 1, 0], [0, 2, 1]]), pd.DataFrame([[1.0, 0, 1], [2, 2, 0], [0, 0, 3]])
    >>> difficulty, facts = compared(near, far, "cosine", orders=3, most=9)
    >>> difficulty.round(2).tolist(), facts["value"], facts["exams"]
    ([0.51, 0.24, 0.78], 1.0, 3)
    """
    whole, pace, programmes = far, 1.0, distance == "order_free"
    nothing = {"distance": distance, "value": np.nan, "low": np.nan, "high": np.nan, "seconds": np.nan}
    if programmes and near.shape[1] > MOST_CHANNELS:
        return pd.Series(np.nan, far.index), nothing | {"exams": 0}
    if programmes:
        archive, kept = pairs(len(near), len(far))["labels"], thinned(len(near), len(far), most)
        near, far, orders = near.iloc[kept[0]], far.iloc[kept[1]], min(orders, 1)
        pace = archive / pairs(len(near), len(far))["labels"]
    started = time.perf_counter()
    listed = _difficulty(near, far, distance)
    seconds = pace * (time.perf_counter() - started)
    again = []
    for order in range(orders):
        channels = drawn_orders(near.shape, seed, order)[0]
        again.append(spearman(listed, _difficulty(near.iloc[:, channels], far.iloc[:, channels], distance)))
    told = dict(zip(("value", "low", "high"), _spread(again), strict=True))
    return listed.reindex(whole.index), nothing | told | {"seconds": seconds, "exams": len(far)}


def _difficulty(near: pd.DataFrame, far: pd.DataFrame, distance: str) -> pd.Series:
    how: dict = {"distance": distance}
    if distance in ("partial", "normalised"):
        how = {"mass": distance}
    elif distance == "order_free":
        how = {"ground": channel_distance(pd.concat([near, far]))}
    return soft_labels(near, far, **how).mean(axis=1)


def _between_seeds(found: dict[tuple[str, int], pd.DataFrame]) -> pd.DataFrame:
    """Spearman's correlation of the difficulties of every two seeds of a pair of features and distance."""
    rows = []
    for pair in dict.fromkeys(pair for pair, _ in found):
        seeds = [ranking["difficulty"] for (of, _), ranking in found.items() if of == pair]
        rhos = [spearman(one, other.loc[one.index]) for one, other in combinations(seeds, 2)]
        rows.append((pair, "seeds", *_spread(rhos), len(seeds)))
    return pd.DataFrame(rows, columns=["source", "measure", "value", "low", "high", "seeds"])


def _spread(values: list[float]) -> tuple[float, float, float]:
    known = [x for x in values if np.isfinite(x)] or [np.nan]
    return float(np.median(known)), min(known), max(known)


def drawn(found: pd.DataFrame) -> pd.DataFrame:
    """`measured` for `figures.intervals.points`: in words, without the seconds."""
    shown = found[found["measure"].isin(list(MEASURES)) & found["value"].notna()]
    named = {"label": shown["source"].map(SOURCES), "panel": shown["measure"].map(MEASURES)}
    return shown.assign(**named, distance=shown["distance"].map(DISTANCES))


def table(found: pd.DataFrame) -> pd.DataFrame:
    """`measured` for a reader: a row a pair, a column a question."""
    said = found.assign(said=found.apply(with_interval, axis=1).where(found["value"].notna()))
    wide = said.pivot(index=["source", "distance"], columns="measure", values="said")
    wide = wide.reindex(columns=list(MEASURES)).rename(columns=MEASURES)
    seconds = found[found["measure"] == "seconds"].set_index(["source", "distance"])
    wide = wide.join(seconds[["exams", "value"]].rename(columns={"exams": "negatives", "value": "seconds"}))
    order = [(s, d) for s in SOURCES for d in DISTANCES if (s, d) in wide.index]
    wide = wide.loc[order].reset_index().rename(columns={"source": "features"})
    return wide.assign(features=wide["features"].map(SOURCES), distance=wide["distance"].map(DISTANCES))
