"""Difficulty, diversity and joint rank of negative slices: the ranking of paper A (IV-C and D) on the slices of paper B.

Neither paper has it. The distances of all negative training slices to all positive ones are computed once; a ranking then
looks at the positives that are left to train on, for with fewer of them other negatives are near.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from covid_study import paths
from covid_study.networks import backbones, weights as pretrained
from covid_study.networks.backbones import Pooled
from covid_study.ranking.blocks import Blocks
from covid_study.ranking.emd_ground import channel_distance
from covid_study.ranking.order_free import positives_apart
from covid_study.ranking.rank import rank_negatives, soft_labels
from covid_study.runtime.artefacts import artefact, write_atomically
from covid_study.samples.samples import Samples
from covid_study.tables.slice_steps import weights
from covid_study.training.loop import in_batches

SOURCES = {"grey_histogram": "grey histogram", "backbone": "backbone features"}
BINS = 64  # of the grey histogram


@dataclass(frozen=True)
class Labelled:
    """Features of all training slices and the soft labels of the negative ones, to all positive ones."""

    features: pd.DataFrame  # (n, D), by slice id
    soft_labels: pd.DataFrame  # (M, N), negatives by positives
    seconds: float
    key: str


def archive(s: Samples) -> tuple[list[str], list[str]]:
    """Positive and negative slices of the training split, each sorted by slice id.

    Choice: all findings but COVID-19 are one archive of negatives, as in paper A, though classifiers tell them apart.
    """
    train = s.table[s.table["split"] == "train"]
    positive = train["finding"] == "covid"
    return sorted(train.index[positive]), sorted(train.index[~positive])


def grey_histograms(slices: torch.Tensor) -> np.ndarray:
    """How often each grey occurs on slices uint8 (n, y, x): float64 (n, 64), each row sums to one.

    Choice: 64 bins of four levels. Black is left out, which is what lies outside the lungs or around a picture.

    >>> grey_histograms(torch.tensor([[[0, 8, 8, 255]]], dtype=torch.uint8))[0, [0, 2, 63]].round(2).tolist()
    [0.0, 0.67, 0.33]
    """
    levels = slices.reshape(len(slices), -1).cpu().numpy()
    counts = np.stack([np.bincount(level, minlength=256) for level in levels]).astype(float)
    counts[:, 0] = 0
    return counts.reshape(len(counts), BINS, -1).sum(2) / np.maximum(counts.sum(1, keepdims=True), 1)


def labelled(p, s: Samples, source: str | None = None) -> Labelled:
    """Features and soft labels of the training slices (paper A, IV-C, eq. 3).

    Choice: paper A's features come from a pre-training without labels, which would cost more here than the classifiers of a
    small profile. Instead there are two kinds for which nothing is trained: the grey histogram, whose bins have an order, so
    that the ground distance |i - j| means something; and the features of the backbone of `slice_network` as its training
    starts, whose channels have none. Both are put to the test before anything is chosen (`slice_ranking_evidence`).

    Args:
        source: a key of SOURCES; None: what `slice_selection.features` says.

    Raises:
        ValueError: a slice has no feature that is not zero (it is black); names it.
    """
    positives, negatives = archive(s)
    source = source or p.slice_selection.features
    backbone = p.slice_network.backbone
    start = weights(p, backbone)
    config = {
        "slices": s.key,
        "source": source,
        "network": [backbone, start.sha256 if start else None] if source == "backbone" else None,
        "positives": positives,
        "negatives": negatives,
        "mass": p.ranking.mass,
        "distance": p.ranking.distance,
    }

    def compute(folder: Path) -> None:
        started, kept = time.perf_counter(), folder / "features.parquet"
        resumed = kept.is_file()
        if not resumed:
            index = pd.Index(positives + negatives, name="slice_id")
            slices = s.of(index)
            values = (
                grey_histograms(slices) if source == "grey_histogram" else pooled(backbone, start, slices)
            )
            frame = pd.DataFrame(values, index=index).rename(columns=str)
            write_atomically(kept, frame.to_parquet)
        features = pd.read_parquet(kept)
        blocks = Blocks(folder / "blocks", p.study.executor)
        how = {"device": s.device, "blocks": blocks}
        if p.ranking.distance == "order_free":
            how["ground"] = channel_distance(features)
        else:
            how["distance"] = p.ranking.distance
        labels = soft_labels(features.loc[positives], features.loc[negatives], p.ranking.mass, **how)
        np.save(folder / "soft_labels.npy", labels.to_numpy())
        _write_seconds(folder, started, resumed)
        blocks.delete()

    step = paths.build(p.study.name) / "slice_ranking"
    folder = artefact(step, "labels", config, ["tables.slice_ranking"], compute)
    labels = pd.DataFrame(np.load(folder / "soft_labels.npy"), index=negatives, columns=positives)
    return Labelled(pd.read_parquet(folder / "features.parquet"), labels, _seconds(folder), folder.name)


def ranked(p, s: Samples, positives: Sequence[str], source: str | None = None) -> tuple[pd.DataFrame, float]:
    """The negative training slices ranked by their distances to these positives (paper A, IV-D, eq. 5 to 7).

    Args:
        positives: COVID-19 training slices, at least one: those that are left to train on.
        source: of the features, see `labelled`.

    Returns:
        What `rank.rank_negatives` returns, by slice id; and the seconds that it took, features and distances included.
    """
    given, kept = labelled(p, s, source), sorted(positives)
    rule = p.ranking.rule()

    def compute(folder: Path) -> None:
        started, how, resumed = time.perf_counter(), dict(rule), (folder / "blocks").is_dir()
        if rule["distance"] == "order_free":
            near, ground = given.features.loc[kept], channel_distance(given.features)
            how |= {"distance": "emd", "ground": positives_apart(near, p.ranking.mass, ground)}
        blocks = Blocks(folder / "blocks", p.study.executor)
        how |= {"device": s.device, "blocks": blocks}
        rank_negatives(given.soft_labels[kept], **how).to_parquet(folder / "ranking.parquet")
        _write_seconds(folder, started, resumed)
        blocks.delete()

    config = {"labels": given.key, "positives": kept, **rule}
    step = paths.build(p.study.name) / "slice_ranking"
    folder = artefact(step, "ranking", config, ["tables.slice_ranking"], compute)
    return pd.read_parquet(folder / "ranking.parquet"), given.seconds + _seconds(folder)


def pooled(backbone: str, start: pretrained.Weights | None, slices: torch.Tensor) -> np.ndarray:
    """Pooled features float32 (n, D) of slices uint8 (n, y, x), none negative: every backbone ends in a ReLU."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = backbones.build(backbone)
    if start:
        pretrained.load(network, start)
    return in_batches(Pooled(network).to(slices.device), slices, most=64)


def _write_seconds(folder: Path, started: float, resumed: bool) -> None:
    """What it took in all is not known, NaN, where a part was done before."""
    seconds = float("nan") if resumed else time.perf_counter() - started
    (folder / "timing.json").write_text(json.dumps({"seconds": seconds}))


def _seconds(folder: Path) -> float:
    return json.loads((folder / "timing.json").read_text())["seconds"]
