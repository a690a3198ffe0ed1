"""Do our loop and a MONAI user's reach the same scores? A small problem that can be learnt, several seeds of each.

An exam is smooth noise with round lesions; those of a positive are slightly brighter. Both start from the same weights and
take the same number of steps; order, augmentation and, on a GPU, precision are their own.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from monai.utils import set_determinism
from scipy import ndimage, stats
from sklearn.metrics import roc_auc_score
from training_methods import Loop, MonaiUser, Setting, network

from covid_study.training.loop import in_batches

CONTRAST = {0: 0.14, 1: 0.28}  # of a lesion, by label; the noise has a deviation of 0.1


def exams(n: int, shape: tuple[int, int, int], seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Volumes uint8 (n, z, y, x), half of them positive, and their labels.

    Args:
        shape: z, y, x.
    """
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    z, y, x = np.ogrid[tuple(slice(0, s) for s in shape)]
    volumes = np.empty((n, *shape), dtype=np.uint8)
    for k, label in enumerate(labels):
        noise = ndimage.gaussian_filter(rng.standard_normal(shape), 1.0)
        image = 0.4 + 0.1 * noise / noise.std()
        for _ in range(rng.integers(2, 7)):
            centre = [rng.uniform(0, s) for s in shape]
            radius = rng.uniform(0.04, 0.08) * max(shape)
            inside = (z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2 < radius**2
            image = image + CONTRAST[int(label)] * inside
        volumes[k] = (255 * image).clip(0, 255).astype(np.uint8)
    return torch.from_numpy(volumes), torch.from_numpy(labels)


def scores(setting: Setting, plan: dict, device: torch.device, out: Path) -> dict:
    """AUC on the same test exams after the same number of steps: both sides, every seed, and their difference."""
    train = exams(setting.exams, setting.array_shape, seed=1)
    test = exams(plan["score_test"], setting.array_shape, seed=2)
    found: dict[str, list[float]] = {"ours": [], "MONAI user": []}
    for seed in range(plan["score_seeds"]):
        set_determinism(seed)
        model = network(setting)
        user = MonaiUser(model, setting, *train, device, workers=0, plain=False, epochs=plan["score_epochs"])
        loop = Loop(model, setting, *train, device, out)
        loop(epochs=plan["score_epochs"], seed=seed)
        for _ in range(plan["score_epochs"]):
            user()
        found["ours"].append(auc(loop.model, *test))
        found["MONAI user"].append(auc(user.model, *test))
    set_determinism(None)
    return {
        "device": device.type,
        "exams": setting.exams,
        "test_exams": plan["score_test"],
        "epochs": plan["score_epochs"],
        "precision": setting.precision,
        "sides": {
            name: {"auc": values, "mean": float(np.mean(values)), "sd": float(np.std(values, ddof=1))}
            for name, values in found.items()
        },
        **paired(found["ours"], found["MONAI user"]),
    }


def paired(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    """The mean difference of pairs, one a seed, and the ends of its 95 % interval (Student's t).

    >>> paired([0.5, 0.75], [0.25, 0.5])
    {'difference': 0.25, 'low': 0.25, 'high': 0.25}
    """
    difference = np.subtract(ours, theirs)
    half = stats.t.ppf(0.975, len(difference) - 1) * difference.std(ddof=1) / len(difference) ** 0.5
    mean = float(difference.mean())
    return {"difference": mean, "low": mean - float(half), "high": mean + float(half)}


def auc(model: torch.nn.Module, volumes: torch.Tensor, labels: torch.Tensor) -> float:
    """Area under the ROC curve of the second output above the first."""
    outputs = in_batches(model, volumes)
    return float(roc_auc_score(labels.numpy(), outputs[:, 1] - outputs[:, 0]))
