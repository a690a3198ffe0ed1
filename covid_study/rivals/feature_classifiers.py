"""Classifiers on features that nothing here has trained: AdaBoost, a decision tree, xDNN (paper B, 5.5 and Table 9)."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import torch
from scipy.special import softmax
from skimage.feature import graycomatrix, graycoprops, hog, local_binary_pattern
from skimage.transform import resize
from sklearn.ensemble import AdaBoostClassifier
from sklearn.tree import DecisionTreeClassifier

from covid_study.cohort.findings import numbers, outputs
from covid_study.networks import backbones, weights as pretrained
from covid_study.networks.weights import Weights
from covid_study.rivals import xdnn
from covid_study.runtime.artefacts import artefact
from covid_study.runtime.progress import progress
from covid_study.samples.samples import Samples
from covid_study.training.run import Run, predicted, write_results

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
class FeatureClassifier:
    """A classifier on fixed features, a row of Table 9 that no gradient trains.

    Choice: xDNN compares features of a backbone with ImageNet weights, not trained further, as its authors take those of
    VGG-16. Where no weights are found they are those of a random network.

    Args:
        name: one of METHODS.
        backbone: whose features xDNN compares; None: features of the image. weights: of that backbone; None: random ones.
    """

    module: ClassVar[str] = "rivals.feature_classifiers"
    label: ClassVar[str] = "features"
    spreads: ClassVar[bool] = False

    name: str
    backbone: str | None = None
    weights: Weights | None = None

    def config(self) -> dict:
        """Its part of a run's key; of a file its content, not its place."""
        return vars(self) | {"weights": self.weights.sha256 if self.weights else None}

    def seen(self, sizes: Sequence[int]) -> int:
        """Slices that it is fitted to, each once."""
        return sum(sizes)

    def kind(self) -> list:
        """What takes equally long a slice."""
        return [self.name, self.backbone]

    def fit(self, folder: Path, run: Run, samples: Samples, title: str, fabric: object = None) -> None:
        """Fit it and write predictions.parquet and timing.json; of xDNN also explained.parquet."""
        started = time.perf_counter()
        found = self._features(folder.parent.parent / "features", run, samples)
        load_seconds, started = time.perf_counter() - started, time.perf_counter()
        training = sorted(run.training_ids)
        labels = numbers(samples.table.loc[training, "finding"], run.classes)
        x, asked = (found[samples.rows(ids).cpu().numpy()] for ids in (training, run.asked_ids))
        if self.name == "xdnn":
            decision = xdnn.decide(asked, xdnn.fit(x, labels, len(run.classes), run.seed))
            p, names = decision.p, np.array(training)
            compared = [
                pd.DataFrame({"slice_id": run.asked_ids, "finding": finding})
                .assign(prototype=names[decision.prototypes[:, k]], similarity=decision.similarity[:, k])
                for k, finding in enumerate(outputs(run.classes))
            ]  # fmt: skip
            pd.concat(compared, ignore_index=True).to_parquet(folder / "explained.parquet", index=False)
        else:
            p = _scikit(self.name, run.seed, x, labels, asked)
        said, seconds = predicted(samples, run, p, named=True), time.perf_counter() - started
        write_results(folder, run, said, seconds=seconds, load_seconds=load_seconds, flops=0.0, device="cpu")

    def _features(self, place: Path, run: Run, samples: Samples) -> np.ndarray:
        """Features of all samples, a row each in their order, found where they were computed before."""
        config = {"slices": samples.key, "backbone": self.backbone}
        if self.backbone:
            config["weights"] = self.weights.sha256 if self.weights else f"random, seed {run.seed}"

        def compute(folder: Path) -> None:
            if self.backbone is None:
                images = progress(samples.data.cpu().numpy(), "image features", len(samples.data))
                found = np.stack([image_features(image) for image in images])
            else:
                torch.manual_seed(run.seed)
                network = backbones.build(self.backbone, len(run.classes))
                if self.weights:
                    pretrained.load(network, self.weights)
                found = xdnn.network_features(network.to(samples.device), samples.data)
            np.save(folder / "features.npy", found)

        return np.load(artefact(place, "slices", config, [self.module], compute) / "features.npy")


def explained(folder: Path) -> pd.DataFrame:
    """What xDNN compared each test slice with: slice_id, finding, prototype (a training slice), similarity."""
    return pd.read_parquet(Path(folder) / "explained.parquet")


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
