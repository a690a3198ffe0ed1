"""A run of paper B: one classifier of slices, trained once for its configuration (paper B, 3.4 and 4.3)."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file
from scipy.special import softmax
from torch import nn

from covid_study.cohort.findings import POSITIVE, numbers, outputs
from covid_study.losses.imbalance import SelfAdaptiveAuxiliaryLoss, slice_loss
from covid_study.networks import backbones, chexnet, weights as pretrained
from covid_study.networks.deep_supervision import DeepSupervision
from covid_study.networks.weights import Weights
from covid_study.pretext import contrastive
from covid_study.pretext.contrastive import view
from covid_study.runtime.artefacts import artefact, artefact_path
from covid_study.runtime.device import device_name
from covid_study.samples.samples import Slices
from covid_study.training.loop import LossOf, counted_flops, fit, in_batches, to_input
from covid_study.training.meta_weights import MetaWeighted, meta_weighted_loss
from covid_study.training.run import write_results

STAGES = 6  # losses of a deeply supervised network: five auxiliary ones and the final one
AREA = (0.7, 1.0)  # of the slice that a crop shows
CHANGE = 0.1  # of brightness and of contrast, at most


@dataclass(frozen=True)
class SliceRun:
    """What one classifier of slices is trained on and how. Its key is made of this and of the source of the code."""

    slices: str  # key of the slice store
    labels: str  # fingerprint of the finding of each slice, which that key does not hold
    classes: tuple[str, ...]  # COVID-19 first
    training_slices: tuple[str, ...]
    test_slices: tuple[str, ...]
    backbone: str
    supervised: bool
    loss: str  # ce, focal, class_balanced, sce, saal
    losses: dict  # section slice_losses of the parameters
    training: dict  # section slice_training, without its seeds
    precision: str
    seed: int
    weights: Weights | None = None  # that it starts from; None: random ones
    encoder: str | None = None  # folder with encoder.safetensors of a contrastive pre-training; None: none
    meta_slices: tuple[str, ...] = ()  # balanced, that Meta-Weight-Net weighs the others by
    meta_every: int = 1  # steps of the classifier to one of the network that weighs
    # What was spent before it on pre-training; no part of the key.
    before: float = 0.0  # seconds
    exams_before: int = 0  # slices seen
    flops_before: float = 0.0

    def config(self) -> dict:
        """What the cache key is made of; of files their content or key, not their place."""
        spent = {"before", "exams_before", "flops_before"}
        config = {name: value for name, value in vars(self).items() if name not in spent}
        config["weights"] = self.weights.sha256 if self.weights else None
        config["encoder"] = Path(self.encoder).name if self.encoder else None
        return config | {"training_slices": sorted(self.training_slices)}

    def folder(self, runs: Path) -> Path:
        """Where its results lie, or will lie."""
        return artefact_path(runs, "slices", self.config(), ["training.slice_run"])

    def train(self, slices: Slices, runs: Path, title: str = "classifier", processes: int = 1) -> Path:
        """Train it, or find it where it was trained before.

        Choice: in one process, whatever `processes` says: a network for slices keeps one GPU busy, and the parameters of
        SAAL belong to no process's part of a batch.

        Returns:
            The folder with config.json, history.csv, predictions.parquet, weights.safetensors, timing.json.
        """
        return artefact(
            runs,
            "slices",
            self.config(),
            ["training.slice_run"],
            lambda folder: _train(folder, self, slices, title),
        )

    @property
    def seen(self) -> int:
        """Slices that pass through the network while it trains."""
        return len(self.training_slices) * self.training["epochs"]

    @property
    def kind(self) -> str:
        """What runs have in common that take equally long a slice."""
        return json.dumps(
            [self.slices, self.backbone, self.supervised, self.precision, bool(self.meta_slices)]
        )


class SliceClassifier(nn.Module):
    """A network and its loss, whose own parameters are trained with it (paper B, Algorithm 1).

    (B, 1, y, x) to a list of logits (B, classes), one a stage, the final ones last.
    """

    def __init__(self, network: nn.Module, loss: nn.Module):
        super().__init__()
        self.network, self.loss = network, loss

    def forward(self, inputs: torch.Tensor) -> list[torch.Tensor]:
        logits = self.network(inputs)
        return logits if isinstance(logits, list) else [logits]


class Final(nn.Module):
    """The final logits alone (B, classes): what a trained network says."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        logits = self.network(inputs)
        return logits[-1] if isinstance(logits, list) else logits


def network_of(run: SliceRun) -> nn.Module:
    """The network of a run as its training starts: a backbone, or `DeepSupervision` around one.

    What is random is drawn from torch's own random numbers.
    """
    network = backbones.build(run.backbone, len(run.classes))
    if run.weights:
        (chexnet.load if run.weights.origin == "chexnet" else pretrained.load)(network, run.weights)
    if run.encoder:
        contrastive.load_encoder(network, Path(run.encoder))
    return DeepSupervision(network) if run.supervised else network


def load(run: SliceRun, folder: Path) -> nn.Module:
    """The trained network of a run, on the CPU, in evaluation mode."""
    network = backbones.build(run.backbone, len(run.classes))
    network = DeepSupervision(network) if run.supervised else network
    network.load_state_dict(load_file(Path(folder) / "weights.safetensors"))
    return network.eval()


def _train(folder: Path, run: SliceRun, slices: Slices, title: str) -> None:
    device, settings = slices.data.device, run.training
    torch.manual_seed(run.seed)
    network = network_of(run)
    started = time.perf_counter()
    data, labels = _of(slices, sorted(run.training_slices), run.classes)
    load_seconds = time.perf_counter() - started
    if run.meta_slices:
        meta = _of(slices, sorted(run.meta_slices), run.classes)
        model = MetaWeighted(network)
        loss_of = meta_weighted_loss(
            data,
            labels,
            *meta,
            step=settings["learning_rate"],
            every=run.meta_every,
            prepare=augmented if settings["augment"] else None,
        )
    else:
        counts = torch.bincount(labels, minlength=len(run.classes)).tolist()
        model = SliceClassifier(
            network, slice_loss(run.loss, run.losses, counts, STAGES if run.supervised else 1)
        )
        loss_of = slices_loss(data, labels, settings["augment"])
    history = fit(
        model,
        len(data),
        loss_of,
        epochs=settings["epochs"],
        batch_size=settings["batch_size"],
        learning_rate=settings["learning_rate"],
        optimiser=settings["optimiser"],
        weight_decay=settings["weight_decay"],
        seed=run.seed,
        device=device,
        folder=folder,
        precision=run.precision,
        after_epoch=_factors,
        title=title,
    )
    two, generator = torch.arange(2, device=device), torch.Generator(device).manual_seed(0)
    turns = range(run.meta_every)  # one of which is a step of the network that weighs
    flops = counted_flops(model, lambda: sum(loss_of(model, two, generator)[0] for _ in turns))
    timing = {
        "kind": run.kind,
        "train_seconds": float(history["seconds"].sum()),
        "load_seconds": load_seconds,
        "exams_seen": run.seen,
        "flops": run.seen * flops / len(two) / len(turns),
        "device": device_name(device),
    }
    write_results(folder, history, _predict(network, run, slices), network, timing)


def _of(slices: Slices, slice_ids: list[str], classes: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Slices uint8 (n, y, x) and the numbers of their classes int64 (n,)."""
    data = slices.of(slice_ids)
    return data, torch.from_numpy(numbers(slices.table.loc[slice_ids, "finding"], classes)).to(data.device)


def augmented(slices: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Slices uint8 (B, y, x) as the network's input (B, 1, y, x), cropped, flipped, brighter or darker at random.

    Deviation: the paper augments nothing (its section 7). On a few hundred pictures from many sources a pre-trained network
    learns them by heart within some epochs; a profile may therefore ask for it (`augment`). A network that learnt so is
    asked about each test slice and its mirror image: its answer is the mean of both probabilities.
    """
    return view(to_input(slices), generator, AREA, CHANGE)


def slices_loss(data: torch.Tensor, labels: torch.Tensor, augment: bool = False) -> LossOf:
    """The loss of a batch, summed over stages (paper B, eq. 2).

    Args:
        data: uint8 (n, y, x) on the device. labels: int64 (n,). augment: see `augmented`.
    """

    def loss_of(model: SliceClassifier, index: torch.Tensor, generator: torch.Generator):
        inputs = augmented(data[index], generator) if augment else to_input(data[index])
        return model.loss(model(inputs), labels[index]), {}

    return loss_of


def _factors(epoch: int, model: nn.Module) -> dict[str, float]:
    """What alpha and the betas of SAAL are after an epoch; nothing for other losses."""
    loss = getattr(model, "loss", None)
    if not isinstance(loss, SelfAdaptiveAuxiliaryLoss):
        return {}
    betas = {f"beta_{i}": beta for i, beta in enumerate(loss.betas.tolist(), start=1)}
    return {"alpha": loss.alpha.item(), "raw_alpha": loss.raw_alpha.item(), **betas}


def _predict(network: nn.Module, run: SliceRun, slices: Slices) -> pd.DataFrame:
    asked = slices.of(run.test_slices)
    views = [asked, asked.flip(2)] if run.training["augment"] else [asked]
    p = [softmax(in_batches(Final(network), view, 64), axis=1) for view in views]
    return predicted(slices, run.test_slices, run.classes, np.mean(p, axis=0))


def predicted(
    slices: Slices, slice_ids: Sequence[str], classes: Sequence[str], probabilities: np.ndarray
) -> pd.DataFrame:
    """What a run says of some slices, as predictions.parquet holds it.

    probabilities: float (n, classes), in the order of `findings.outputs`.
    """
    p = dict(zip(outputs(classes), probabilities.T, strict=True))
    known = ["exam_id", "patient_id", "finding", "split"]
    table = slices.table.loc[list(slice_ids), known].rename_axis("slice_id").reset_index()
    table = table.assign(probability=p[outputs(classes)[POSITIVE]])
    table = table.assign(**{f"p_{name}": p[name] for name in classes})
    return table.assign(label=(table["finding"] == "covid").astype(np.int8))
