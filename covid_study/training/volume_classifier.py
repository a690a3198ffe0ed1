"""The classifier of volumes: a 3-D ResNet, trained on all positives and some negatives (paper A, IV-F2, V and V-F)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from safetensors.torch import load_file
from sklearn.metrics import roc_auc_score
from torch import nn

from covid_study.cohort.findings import POSITIVE
from covid_study.losses.online import online_loss
from covid_study.networks.resnet3d import Classifier, build
from covid_study.runtime.device import device_name
from covid_study.samples.batch import augment, to_input
from covid_study.samples.samples import Chosen, Samples
from covid_study.training.loop import LossOf, OrderOf, fit, in_batches, training_flops
from covid_study.training.run import Run, labelled, predicted, write_results

if TYPE_CHECKING:
    from lightning_fabric import Fabric

CLIP = 5.0  # twice the usual length of a gradient, in `laptop`


@dataclass(frozen=True)
class VolumeClassifier:
    """How a classifier of volumes is trained (paper A, IV-F2).

    Choice: gradients longer than `CLIP` are cut to it, at fewer than a step in ten. Without, one training in a hundred went
    astray on the way, and with it the interval of every claim about its row.

    Args:
        network, training: the sections of the parameters.
        encoder: folder with encoder.safetensors of a pre-training to start from; None: random weights.
        online: strategy against imbalance, see `online.online_loss`; None: none.
    """

    module: ClassVar[str] = "training.volume_classifier"
    label: ClassVar[str] = "run"
    spreads: ClassVar[bool] = True

    network: dict
    training: dict
    encoder: str | None = None
    online: dict | None = None

    def config(self) -> dict:
        """Its part of a run's key; of the encoder's folder the name, which holds its key."""
        return vars(self) | {"encoder": Path(self.encoder).name if self.encoder else None}

    @property
    def oversamples(self) -> bool:
        """Does every class come equally often?"""
        return bool(self.online) and self.online["strategy"] == "oversampling"

    def seen(self, sizes: Sequence[int]) -> int:
        """Exams that pass through the network while it trains."""
        exams = max(sizes) * sum(size > 0 for size in sizes) if self.oversamples else sum(sizes)
        return exams * self.training["epochs"]

    def kind(self) -> list:
        """What takes equally long an exam."""
        return [self.network]

    def fit(self, folder: Path, run: Run, samples: Samples, title: str, fabric: Fabric | None = None) -> None:
        """Train it, alone or as one of several processes, and write all that a run leaves.

        The training exams come COVID-19 first, each side by exam id.
        """
        device = fabric.device if fabric else samples.device
        precision = self.network["precision"]
        torch.manual_seed(run.seed)
        backbone, features = build(self.network)
        if self.encoder:
            backbone.load_state_dict(load_file(Path(self.encoder) / "encoder.safetensors"))
        model = Classifier(backbone, features, len(run.classes))
        findings, settings = samples.table["finding"], self.training
        exams = sorted(run.training_ids, key=lambda exam: (findings[exam] != "covid", exam))
        started = time.perf_counter()
        data, labels = (values.to(device) for values in labelled(samples, exams, run.classes))
        load_seconds = time.perf_counter() - started
        n, order_of = oversampled(labels) if self.oversamples else (len(exams), None)
        history = fit(
            model,
            n,
            classifier_loss(data, labels, tuple(settings["intensity"]), settings["flips"], self.online),
            epochs=settings["epochs"],
            batch_size=settings["batch_size"],
            learning_rate=settings["learning_rate"],
            seed=run.seed,
            device=device,
            folder=folder,
            precision=precision,
            after_epoch=partial(self._validated, run=run, samples=samples),
            order_of=order_of,
            coming=data.coming,
            title=title,
            clip=CLIP,
            fabric=fabric,
        )
        if fabric and not fabric.is_global_zero:
            return
        asked = (samples.chosen(exams) for exams in (run.validation_ids, run.test_ids) if exams)
        logits = np.concatenate([in_batches(model, volumes, precision) for volumes in asked])
        p = torch.from_numpy(logits).softmax(1).numpy()
        write_results(
            folder,
            run,
            predicted(samples, run, p, named=len(run.classes) > 2),
            seconds=float(history["seconds"].sum()),
            load_seconds=load_seconds,
            flops=training_flops(model, data[:1]),
            device=device_name(device, fabric.world_size if fabric else 1),
            history=history,
            network=model,
        )

    def _validated(self, _epoch: int, model: nn.Module, run: Run, samples: Samples) -> dict[str, float]:
        """The AUC of COVID-19 on the validation exams (paper A's faster convergence, V-D1); no choice rests on it."""
        if not run.validation_ids:
            return {}
        logits = in_batches(model, samples.chosen(run.validation_ids), self.network["precision"])
        positive = torch.from_numpy(logits).softmax(1)[:, POSITIVE].numpy()
        truth = (samples.table.loc[list(run.validation_ids), "finding"] == "covid").to_numpy()
        both = 0 < truth.sum() < len(truth)
        return {"validation_auc": float(roc_auc_score(truth, positive)) if both else float("nan")}


def classifier_loss(
    volumes: torch.Tensor | Chosen,
    labels: torch.Tensor,
    intensity: tuple[float, float],
    flips: bool,
    online: dict | None = None,
) -> LossOf:
    """The loss of augmented batches: cross-entropy, or that of an online strategy (paper A, V and V-F).

    Args:
        volumes: uint8 (n, z, y, x) on the device, or some rows of it. labels: int64 (n,).
        online: see `online.online_loss`.
    """

    def loss_of(model: nn.Module, index: torch.Tensor, generator: torch.Generator):
        inputs = augment(to_input(volumes[index]), intensity, flips, generator)
        return online_loss(model(inputs), labels[index], online), {}

    return loss_of


def oversampled(labels: torch.Tensor) -> tuple[int, OrderOf]:
    """Exams of an epoch, drawn so that every class comes equally often (paper A, V-F).

    Choice: an epoch has as many exams of each class as the largest class has exams, drawn with replacement: it is longer,
    as the paper's training period says (34.3 hours instead of 19.6).

    Args:
        labels: int64 (n,).

    Returns:
        How many exams an epoch has, and the order for `fit`.

    >>> n, order_of = oversampled(torch.tensor([0, 0, 0, 1]))
    >>> n, order_of(torch.Generator().manual_seed(0)).shape
    (6, torch.Size([6]))
    """
    counts = torch.bincount(labels)
    counts = counts.where(counts > 0, torch.inf)
    n = int(counts[counts.isfinite()].max()) * int(counts.isfinite().sum())
    weights = (1.0 / counts)[labels]

    def order_of(generator: torch.Generator) -> torch.Tensor:
        return torch.multinomial(weights, n, replacement=True, generator=generator)

    return n, order_of
