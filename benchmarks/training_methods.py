"""What `training.py` compares: our loop, the bare passes, what a MONAI user would write; and the peak of the hardware.

Each side trains the same network on the same exams with Adam, batch by batch, and returns the seconds of an epoch:

- `Loop`: `covid_study.training.fit` on uint8 volumes that lie on the device, augmented there for the whole batch at once.
- `Bare`: forward pass, loss, backward pass and optimiser step on batches that lie ready: the least that training can cost.
- `MonaiUser`: the volumes as float32 in a CacheDataset, RandScaleIntensityd and RandFlipd on each exam, a DataLoader, and
  MONAI's `resnet18` in the memory format it comes in. Width and stem stride are set as ours, so that both do the same
  number of operations; the learning rate falls along the same cosine.
"""

import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from monai.data import CacheDataset, DataLoader
from monai.networks.nets import resnet18
from monai.transforms import Compose, RandFlipd, RandScaleIntensityd
from torch import nn
from torch.nn import functional as F

from covid_study.networks.resnet3d import Classifier, encoder, n_features
from covid_study.runtime.artefacts import write_atomically
from covid_study.runtime.progress import silent
from covid_study.samples.batch import augment, to_input
from covid_study.training.loop import CHECKPOINT_SECONDS, fit, training_flops
from covid_study.training.volume_classifier import classifier_loss

CLASSES = 2
LEARNING_RATE = 1e-3
FUSED = True  # the variant of Adam that `fit` takes: the bare passes take the same (a test compares them)
INTENSITY = (0.9, 1.1)  # RandScaleIntensity(factors=0.1)


@dataclass(frozen=True)
class Setting:
    """A network, its input and how it is trained."""

    name: str
    shape: tuple[int, int, int]  # x, y, z
    batch: int
    exams: int  # of an epoch that is measured
    epoch: int  # of an epoch in use: what is done once an epoch is spread over so many
    width: float = 1.0
    stem_stride: int = 2
    depth: int = 18
    precision: str = "float32"

    @property
    def array_shape(self) -> tuple[int, int, int]:
        """z, y, x."""
        return self.shape[::-1]

    @property
    def steps(self) -> int:
        """Optimiser steps of an epoch that is measured."""
        return -(-self.exams // self.batch)


@dataclass(frozen=True)
class Seconds:
    """What an epoch took: its passes (batches, steps), and what is done once: starting, its share of a checkpoint."""

    passes: float
    once: float = 0.0

    def per_exam(self, setting: Setting) -> float:
        """Seconds an exam in an epoch of the size in use."""
        return self.passes / setting.exams + self.once / setting.epoch


def network(setting: Setting) -> Classifier:
    """The study's classifier."""
    backbone = encoder(setting.width, setting.stem_stride, setting.depth)
    return Classifier(backbone, n_features(setting.width, setting.depth), CLASSES)


def random_exams(setting: Setting, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Volumes uint8 (n, z, y, x) and labels: their values do not matter for the speed."""
    generator = torch.Generator().manual_seed(seed)
    volumes = torch.randint(
        0, 256, (setting.exams, *setting.array_shape), generator=generator, dtype=torch.uint8
    )
    return volumes, torch.arange(setting.exams) % CLASSES


class Loop:
    """Our loop.

    `fit` writes a checkpoint after the last epoch and at most every `CHECKPOINT_SECONDS` before: here after the one epoch. It
    is written once more to time it, and an epoch of the size in use is charged its share.
    """

    def __init__(self, model: nn.Module, setting: Setting, volumes, labels, device: torch.device, out: Path):
        self.model, self.setting, self.device, self.out = model.to(device), setting, device, out
        self.loss = classifier_loss(volumes.to(device), labels.to(device), INTENSITY, True)

    def __call__(self, epochs: int = 1, seed: int = 0) -> Seconds:
        """Train so many epochs, from the weights of the last call."""
        with tempfile.TemporaryDirectory(dir=self.out) as folder, silent():
            synchronise(self.device)
            started = time.perf_counter()
            history = fit(
                self.model, self.setting.exams, self.loss, epochs=epochs, batch_size=self.setting.batch,
                learning_rate=LEARNING_RATE, seed=seed, device=self.device, folder=Path(folder),
                precision=self.setting.precision,
            )  # fmt: skip
            synchronise(self.device)
            whole = time.perf_counter() - started
            checkpoint = self.checkpoint_seconds(Path(folder))
        passes = float(history["seconds"].sum())
        once = max(0.0, whole - passes - checkpoint) / epochs
        return Seconds(passes / epochs, once + checkpoint * self.share(passes / epochs))

    def checkpoint_seconds(self, folder: Path) -> float:
        """What it takes to write the checkpoint that lies in `folder`."""
        state = torch.load(folder / "checkpoint.pt", map_location=self.device, weights_only=True)
        started = time.perf_counter()
        write_atomically(folder / "again.pt", lambda path: torch.save(state, path))
        return time.perf_counter() - started

    def share(self, passes: float) -> float:
        """Checkpoints an epoch in use, where the passes of one that is measured take so many seconds."""
        return min(1.0, passes / self.setting.exams * self.setting.epoch / CHECKPOINT_SECONDS)


class Bare:
    """Forward pass, loss, backward pass and step on batches that lie ready on the device."""

    def __init__(self, model: nn.Module, setting: Setting, volumes, labels, device: torch.device):
        self.model = model.to(device, memory_format=torch.channels_last_3d).train()
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=LEARNING_RATE, fused=FUSED)
        self.setting, self.device = setting, device
        generator = torch.Generator(device).manual_seed(0)
        self.batches = [
            (augment(to_input(v.to(device)), INTENSITY, True, generator), y.to(device))
            for v, y in zip(volumes.split(setting.batch), labels.split(setting.batch), strict=True)
        ]

    def __call__(self) -> Seconds:
        """An epoch."""
        bf16 = self.setting.precision == "bf16"
        synchronise(self.device)
        started = time.perf_counter()
        for inputs, labels in self.batches:
            with torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
                loss = F.cross_entropy(self.model(inputs), labels)
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            self.optimiser.step()
        synchronise(self.device)
        return Seconds(time.perf_counter() - started)


class MonaiUser:
    """What a MONAI user would write, float32.

    `plain` takes the tensor out of MONAI's MetaTensor, whose every operation goes through Python; MONAI does not do it.
    """

    def __init__(
        self,
        model: nn.Module,
        setting: Setting,
        volumes,
        labels,
        device: torch.device,
        workers: int,
        plain: bool,
        epochs: int,
    ):
        images = (volumes.numpy()[:, None] / np.float32(255)).astype(np.float32)
        exams = [{"image": image, "label": int(y)} for image, y in zip(images, labels, strict=True)]
        on_gpu = device.type == "cuda"
        self.loader = DataLoader(
            CacheDataset(exams, transforms(), progress=False),
            batch_size=setting.batch, shuffle=True, num_workers=workers, persistent_workers=workers > 0,
            pin_memory=on_gpu,
        )  # fmt: skip
        self.model, self.device, self.plain = monai_network(model, setting).to(device), device, plain
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=LEARNING_RATE)
        steps = epochs * len(self.loader)
        self.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimiser, T_max=steps)

    def __call__(self) -> Seconds:
        """An epoch."""
        synchronise(self.device)
        started = time.perf_counter()
        self.model.train()
        for batch in self.loader:
            inputs = batch["image"].to(self.device, non_blocking=True)
            labels = batch["label"].to(self.device, non_blocking=True)
            if self.plain:
                inputs = inputs.as_tensor()
            self.optimiser.zero_grad()
            loss = F.cross_entropy(self.model(inputs), labels)
            loss.backward()
            self.optimiser.step()
            self.scheduler.step()
        synchronise(self.device)
        return Seconds(time.perf_counter() - started)


def transforms() -> Compose:
    """The paper's augmentation as MONAI has it: intensity by 0.9 to 1.1, flips left-right and front-back."""
    return Compose(
        [
            RandScaleIntensityd("image", factors=0.1, prob=1.0),
            RandFlipd("image", prob=0.5, spatial_axis=2),
            RandFlipd("image", prob=0.5, spatial_axis=1),
        ]
    )


def monai_network(model: Classifier, setting: Setting) -> nn.Module:
    """MONAI's network of the same width and stem stride, with the weights of `model`."""
    if setting.depth != 18:
        raise ValueError("compared at depth 18 only")
    net = resnet18(
        spatial_dims=3, n_input_channels=1, num_classes=CLASSES,
        widen_factor=setting.width, conv1_t_stride=setting.stem_stride,
    )  # fmt: skip
    weights = model.state_dict()
    net.load_state_dict({k.replace("encoder.", "").replace("head.", "fc."): v for k, v in weights.items()})
    return net


@lru_cache
def flops_an_exam(setting: Setting) -> float:
    """Operations of one exam's training step, counted without computing any (a product and a sum are two)."""
    with torch.device("meta"):
        return training_flops(network(setting), torch.empty((1, *setting.array_shape), dtype=torch.uint8))


def matmul_peak(precision: str, device: torch.device, n: int, repeats: int) -> float:
    """Operations a second of a product of two n x n matrices: the best of `repeats`, the peak that can be measured.

    On a GPU, float32 products may use TF32 where convolutions may: else training could exceed its own peak.
    """
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    before = torch.get_float32_matmul_precision()
    if device.type == "cuda" and torch.backends.cudnn.allow_tf32:
        torch.set_float32_matmul_precision("high")
    try:
        a, b = (torch.randn(n, n, device=device).to(dtype) for _ in range(2))
        best = float("inf")
        for _ in range(repeats + 1):
            synchronise(device)
            started = time.perf_counter()
            a @ b
            synchronise(device)
            best = min(best, time.perf_counter() - started)
    finally:
        torch.set_float32_matmul_precision(before)
    return 2 * n**3 / best


def synchronise(device: torch.device) -> None:
    """Wait for what was asked of the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def spread(name: str, values: list[float]) -> dict[str, float]:
    """Median, lowest and highest."""
    return {name: statistics.median(values), f"{name}_lowest": min(values), f"{name}_highest": max(values)}


def say(what: str) -> None:
    """What is measured now."""
    print(f"{time.strftime('%H:%M:%S')}  {what}", file=sys.stderr, flush=True)
