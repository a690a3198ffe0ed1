"""Classifiers on features that nothing here has trained: AdaBoost, a decision tree, xDNN (paper B, 5.5 and Table 9)."""

import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.special import softmax
from skimage.feature import graycomatrix, graycoprops, hog, local_binary_pattern
from skimage.transform import resize
from sklearn.ensemble import AdaBoostClassifier
from sklearn.tree import DecisionTreeClassifier

from covid_study.cohort.findings import classes_of, numbers, outputs
from covid_study.networks import backbones, weights as pretrained
from covid_study.networks.weights import Weights
from covid_study.rivals import xdnn
from covid_study.runtime.artefacts import artefact, artefact_path, write_atomically
from covid_study.runtime.progress import progress
from covid_study.samples.samples import Slices
from covid_study.tables import slice_steps
from covid_study.training.slice_run import predicted

METHODS = ("adaboost", "decision_tree", "xdnn")
LEVELS = 32  # of grey, in the histogram and the co-occurrence
DISTANCES = (1, 3)  # pixels, of the co-occurrence
ANGLES = tuple(np.arange(4) * np.pi / 4)
PROPERTIES = ("contrast", "dissimilarity", "homogeneity", "energy", "correlation")
PATTERNS = ((8, 1), (16, 2))  # points on a circle and its radius, of the local binary patterns
OUTLINE = 64  # pixels a side of the picture whose gradients are counted
BOOSTED = 100  # stumps
LEAF = 5  # fewest slices in a leaf of the tree


def image_features(image: np.ndarray) -> np.ndarray:
    """Grey levels, texture and outline of a picture in 358 numbers: float32 (358,).

    Choice: Table 9 has AdaBoost and the decision tree from Soares et al. (2020), and does not say what they were given. Ours
    get a histogram of 32 grey levels; five properties of the grey-level co-occurrence at 1 and 3 pixels, means over four
    directions (Haralick et al. 1973); uniform local binary patterns (Ojala et al. 2002); and a histogram of oriented
    gradients at 64 x 64 pixels (Dalal and Triggs 2005).

    Args:
        image: uint8 (y, x).

    >>> found = image_features(np.full((64, 64), 200, np.uint8))
    >>> found.shape, float(found[25]), float(found[:32].sum())
    ((358,), 1.0, 1.0)
    """
    coarse = image // (256 // LEVELS)
    levels = np.bincount(coarse.ravel(), minlength=LEVELS) / image.size
    pairs = graycomatrix(coarse, DISTANCES, ANGLES, levels=LEVELS, symmetric=True, normed=True)
    texture = [graycoprops(pairs, name).mean(axis=1) for name in PROPERTIES]
    patterns = []
    for points, radius in PATTERNS:
        found = local_binary_pattern(image, points, radius, method="uniform").astype(int)
        patterns.append(np.bincount(found.ravel(), minlength=points + 2) / image.size)
    small = resize(image, (OUTLINE, OUTLINE), preserve_range=True)
    outline = hog(small, orientations=8, pixels_per_cell=(16, 16), cells_per_block=(2, 2))
    return np.concatenate([levels, *texture, *patterns, outline]).astype(np.float32)


@dataclass(frozen=True)
class FeatureRun:
    """A classifier on fixed features. Its key is made of this and of the source of the code; a sweep takes it for a run."""

    slices: str  # key of the slice store
    labels: str  # fingerprint of the finding of each slice, which that key does not hold
    classes: tuple[str, ...]  # COVID-19 first
    training_slices: tuple[str, ...]
    test_slices: tuple[str, ...]
    method: str  # one of METHODS
    seed: int
    backbone: str | None = None  # whose features xDNN compares; None: features of the image
    weights: Weights | None = None  # of that backbone; None: random ones
    before: float = 0.0  # seconds spent before it; no part of the key

    def config(self) -> dict:
        """What the cache key is made of; of a file its content, not its place."""
        config = {name: value for name, value in vars(self).items() if name != "before"}
        config["weights"] = self.weights.sha256 if self.weights else None
        return config | {"training_slices": sorted(self.training_slices)}

    def folder(self, runs: Path) -> Path:
        """Where its results lie, or will lie."""
        return artefact_path(runs, "features", self.config(), ["rivals.feature_classifiers"])

    def train(self, slices: Slices, runs: Path, title: str = "classifier", processes: int = 1) -> Path:
        """Fit it, or find it where it was fitted before.

        Returns:
            The folder with config.json, predictions.parquet, timing.json; of xDNN also explained.parquet.
        """
        return artefact(
            runs,
            "features",
            self.config(),
            ["rivals.feature_classifiers"],
            lambda folder: _fit(folder, self, slices, runs),
        )

    @property
    def seen(self) -> int:
        """Slices that it is fitted to, each once."""
        return len(self.training_slices)

    @property
    def kind(self) -> str:
        """What runs have in common that take equally long a slice."""
        return json.dumps([self.slices, self.method, self.backbone])


def run(
    p, s: Slices, seed: int, method: str, training_slices: list[str] | None = None, test_slices=None
) -> FeatureRun:
    """A row of Table 9 that no gradient trains.

    Choice: xDNN compares features of the backbone of `slice_network` with ImageNet weights, not trained further, as its
    authors take those of VGG-16. Where no weights are found they are those of a random network.

    Args:
        method: one of METHODS. training_slices, test_slices: None: all of the split.
    """
    network = method == "xdnn"
    return FeatureRun(
        slices=s.key,
        labels=s.labels,
        classes=classes_of(s.table["finding"]),
        training_slices=tuple(training_slices or slice_steps.ids(s, "train")),
        test_slices=tuple(test_slices or slice_steps.ids(s, "test")),
        method=method,
        seed=seed,
        backbone=p.slice_network.backbone if network else None,
        weights=slice_steps.weights(p, p.slice_network.backbone) if network else None,
    )


def explained(folder: Path) -> pd.DataFrame:
    """What xDNN compared each test slice with: slice_id, finding, prototype (a training slice), similarity."""
    return pd.read_parquet(Path(folder) / "explained.parquet")


def _fit(folder: Path, run: FeatureRun, slices: Slices, runs: Path) -> None:
    found = _features(run, slices, runs)
    started = time.perf_counter()
    training = sorted(run.training_slices)
    labels = numbers(slices.table.loc[training, "finding"], run.classes)
    x, test = (found[slices.rows(ids).cpu().numpy()] for ids in (training, run.test_slices))
    if run.method == "xdnn":
        decision = xdnn.decide(test, xdnn.fit(x, labels, len(run.classes), run.seed))
        p, names = decision.p, np.array(training)
        compared = [
            pd.DataFrame({"slice_id": run.test_slices, "finding": finding})
            .assign(prototype=names[decision.prototypes[:, k]], similarity=decision.similarity[:, k])
            for k, finding in enumerate(outputs(run.classes))
        ]  # fmt: skip
        pd.concat(compared, ignore_index=True).to_parquet(folder / "explained.parquet", index=False)
    else:
        p = _scikit(run.method, run.seed, x, labels, test)
    seconds = time.perf_counter() - started
    predicted(slices, run.test_slices, run.classes, p).to_parquet(folder / "predictions.parquet", index=False)
    timing = {
        "kind": run.kind,
        "train_seconds": seconds,
        "exams_seen": run.seen,
        "flops": 0.0,
        "device": "cpu",
    }
    write_atomically(folder / "timing.json", lambda path: path.write_text(json.dumps(timing)))


def _scikit(method: str, seed: int, x: np.ndarray, labels: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Probabilities float64 (n, classes) of scikit-learn's classifiers.

    Choice: 100 stumps boosted; a tree with at least five slices in a leaf, whose shares are its probabilities.
    """
    if method == "decision_tree":
        tree = DecisionTreeClassifier(min_samples_leaf=LEAF, random_state=seed)
        return tree.fit(x, labels).predict_proba(test)
    boosted = AdaBoostClassifier(n_estimators=BOOSTED, random_state=seed).fit(x, labels)
    score = boosted.decision_function(test)
    return softmax(np.stack([-score, score], axis=1) if score.ndim == 1 else score, axis=1)


def _features(run: FeatureRun, slices: Slices, runs: Path) -> np.ndarray:
    """Features of all slices of the store, a row each in its order, found where they were computed before."""
    config = {"slices": slices.key, "backbone": run.backbone}
    if run.backbone:
        config["weights"] = run.weights.sha256 if run.weights else f"random, seed {run.seed}"

    def compute(folder: Path) -> None:
        if run.backbone is None:
            images = progress(slices.data.cpu().numpy(), "image features", len(slices.data))
            found = np.stack([image_features(image) for image in images])
        else:
            torch.manual_seed(run.seed)
            network = backbones.build(run.backbone, len(run.classes))
            if run.weights:
                pretrained.load(network, run.weights)
            found = xdnn.network_features(network.to(slices.data.device), slices.data)
        np.save(folder / "features.npy", found)

    place = artefact(runs.parent / "features", "slices", config, ["rivals.feature_classifiers"], compute)
    return np.load(place / "features.npy")
