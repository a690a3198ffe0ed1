"""Exams of noise, a run on them, and what several tests of trainings share."""

import os
import signal
from dataclasses import replace

import pandas as pd
import pytest
import torch
from torch import nn

from covid_study.networks.precision import multiplies_bf16
from covid_study.networks.resnet3d import Classifier, encoder
from covid_study.samples.samples import Samples
from covid_study.training import loop, volume_classifier
from covid_study.training.run import Run
from covid_study.training.volume_classifier import VolumeClassifier

CPU = torch.device("cpu")
# elsewhere bf16 on a CPU is refused (`precision.settled`)
BF16_IS_RIGHT = pytest.mark.skipif(not multiplies_bf16(CPU), reason="a CPU without AMX: its bf16 is wrong")
BF16 = pytest.param("bf16", marks=BF16_IS_RIGHT)
SHAPE = (16, 24, 32)
NETWORK = {"width": 0.0625, "stem_stride": 2, "depth": 18, "precision": "float32"}
TRAINING = {"epochs": 1, "batch_size": 4, "learning_rate": 1e-3, "intensity": [0.9, 1.1], "flips": True}
PRETEXT = {
    "permutations": 4, "batch_size": 4, "learning_rate": 1e-3, "gap": [2, 1, 1], "heads": "siamese", "probe_every": 2,
}  # fmt: skip


class CountingProbe:
    """A probe that says how often it was asked."""

    def __init__(self):
        self.calls = 0

    def measure(self, backbone) -> dict[str, float]:
        self.calls += 1
        return {"probe_covid": 0.5 + self.calls / 100, "probe_cap": 0.5}


class Killed(Exception):
    """Raised where a test stops a training."""


class Dies(VolumeClassifier):
    """Killed in its third epoch, with checkpoints of the first two; the second time it goes on. Its key is the plain one's."""

    def fit(self, folder, *arguments, **more):
        if not (folder.parent / "died").exists():
            (folder.parent / "died").touch()
            loop.CHECKPOINT_SECONDS, whole = 0, volume_classifier.fit
            volume_classifier.fit = lambda *a, **k: whole(*a, **k | {"after_epoch": _die})
        super().fit(folder, *arguments, **more)


def _die(epoch, model):
    return os.kill(os.getpid(), signal.SIGKILL) if epoch == 3 else {}


def noise() -> Samples:
    """Six exams of each finding: three to train, one to validate, two to test."""
    ids = [f"{finding}-{i}" for finding in ("covid", "cap", "non") for i in range(6)]
    findings = ["covid"] * 6 + ["cap"] * 6 + ["non_pneumonia"] * 6
    split = ["train", "train", "train", "validation", "test", "test"] * 3
    data = torch.randint(0, 256, (18, *SHAPE), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    table = pd.DataFrame(
        {"patient_id": [f"P-{i}" for i in ids], "finding": findings, "split": split},
        index=pd.Index(ids, name="exam_id"),
    )
    return Samples(table, data, "store-1")


def a_run(negatives: tuple[str, ...] = ("cap-0", "non-1", "non-2"), positives: int = 3, **method) -> Run:
    """A run on `noise`; further arguments are its method's."""
    training = (*(f"covid-{i}" for i in range(positives)), *negatives)
    settings = {"network": NETWORK, "training": TRAINING} | method
    tested = ("covid-4", "cap-4", "non-4", "non-5")
    found = Run.of(noise(), training, tested, VolumeClassifier(**settings), ("covid", "negative"), 0)
    return replace(found, validation_ids=("covid-3", "cap-3"))


def with_method(run: Run, **changed) -> Run:
    """The same run with another setting of its method."""
    return replace(run, method=replace(run.method, **changed))


def small_model(seed: int = 0) -> nn.Module:
    """The smallest 3-D network."""
    torch.manual_seed(seed)
    return Classifier(encoder(0.0625), 32)


def problem(n: int = 10, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Exams of noise, the positives brighter in one corner: easy, and separable."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 2
    volumes = torch.randint(0, 100, (n, *SHAPE), generator=generator)
    volumes[labels == 1, :8] += 120
    return volumes.to(torch.uint8), labels
