"""The classifier of slices: a 2-D network, deeply supervised or not, and its loss (paper B, 3.4 and 4.3)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from safetensors.torch import load_file
from scipy.special import softmax
from torch import nn

from covid_study.losses.by_stage import slice_loss
from covid_study.losses.meta_weight_net import MetaWeighted, meta_weighted_loss
from covid_study.losses.saal import SelfAdaptiveAuxiliaryLoss
from covid_study.networks import backbones, chexnet, weights as pretrained
from covid_study.networks.deep_supervision import DeepSupervision
from covid_study.networks.weights import Weights
from covid_study.runtime.device import device_name
from covid_study.samples.batch import to_input, view
from covid_study.samples.samples import Chosen, Samples
from covid_study.training.loop import LossOf, counted_flops, fit, in_batches
from covid_study.training.run import Run, labelled, predicted, write_results

if TYPE_CHECKING:
    from lightning_fabric import Fabric

STAGES = 6  # losses of a deeply supervised network: five auxiliary ones and the final one
AREA = (0.7, 1.0)  # of the slice that a crop shows
CHANGE = 0.1  # of brightness and of contrast, at most


@dataclass(frozen=True)
class SliceClassifier:
    """How a classifier of slices is trained (paper B, Algorithm 1).

    Choice: in one process, however many there are: a network for slices keeps one GPU busy, and the parameters of SAAL
    belong to no process's part of a batch.

    Args:
        loss: see `by_stage.slice_loss`. losses, training: sections slice_losses and slice_training.
        weights: that it starts from; None: random ones.
        encoder: folder with encoder.safetensors of a contrastive pre-training; None: none.
        meta_ids: balanced slices that Meta-Weight-Net weighs the others by. meta_every: steps of the classifier to one of
            the network that weighs.
        wrong_labels: share of the training slices whose label is made wrong.
    """

    module: ClassVar[str] = "training.slice_classifier"
    label: ClassVar[str] = "slices"
    spreads: ClassVar[bool] = False

    backbone: str
    supervised: bool
    loss: str
    losses: dict
    training: dict
    precision: str
    weights: Weights | None = None
    encoder: str | None = None
    meta_ids: tuple[str, ...] = ()
    meta_every: int = 1
    wrong_labels: float = 0.0

    def config(self) -> dict:
        """Its part of a run's key; of files their content or key, not their place."""
        weights = self.weights.sha256 if self.weights else None
        return vars(self) | {"weights": weights, "encoder": Path(self.encoder).name if self.encoder else None}

    def seen(self, sizes: Sequence[int]) -> int:
        """Slices that pass through the network while it trains."""
        return sum(sizes) * self.training["epochs"]

    def kind(self) -> list:
        """What takes equally long a slice."""
        return [self.backbone, self.supervised, self.precision, bool(self.meta_ids)]

    def fit(self, folder: Path, run: Run, samples: Samples, title: str, fabric: Fabric | None = None) -> None:
        """Train it and write all that a run leaves; of SAAL the history also has alpha and the betas."""
        device, settings = samples.device, self.training
        torch.manual_seed(run.seed)
        network = network_of(run)
        started = time.perf_counter()
        data, labels = labelled(samples, sorted(run.training_ids), run.classes)
        labels = mislabelled(labels, self.wrong_labels, len(run.classes), run.seed)
        load_seconds = time.perf_counter() - started
        if self.meta_ids:
            meta = labelled(samples, sorted(self.meta_ids), run.classes)
            model = MetaWeighted(network)
            loss_of = meta_weighted_loss(
                data,
                labels,
                *meta,
                step=settings["learning_rate"],
                every=self.meta_every,
                prepare=augmented if settings["augment"] else None,
            )
        else:
            counts = torch.bincount(labels, minlength=len(run.classes)).tolist()
            stages = STAGES if self.supervised else 1
            model = WithLoss(network, slice_loss(self.loss, self.losses, counts, stages))
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
            precision=self.precision,
            after_epoch=_factors,
            title=title,
        )
        two, generator = torch.arange(2, device=device), torch.Generator(device).manual_seed(0)
        turns = range(self.meta_every)  # one of which is a step of the network that weighs
        flops = counted_flops(model, lambda: sum(loss_of(model, two, generator)[0] for _ in turns))
        mirrored, precision = run.method.training["augment"], run.method.precision
        said = probabilities(network, samples.of(run.asked_ids), mirrored, precision)
        write_results(
            folder,
            run,
            predicted(samples, run, said, named=True),
            seconds=float(history["seconds"].sum()),
            load_seconds=load_seconds,
            flops=flops / len(two) / len(turns),
            device=device_name(device),
            history=history,
            network=network,
        )


class WithLoss(nn.Module):
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
    """The final logits alone (B, classes): what a trained network says, without its auxiliary classifiers."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network.backbone if isinstance(network, DeepSupervision) else network

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.network(inputs)


def network_of(run: Run) -> nn.Module:
    """The network of a run as its training starts: a backbone, or `DeepSupervision` around one.

    What is random is drawn from torch's own random numbers.
    """
    method = run.method
    network = backbones.build(method.backbone, len(run.classes))
    if method.weights:
        (chexnet.load if method.weights.origin == "chexnet" else pretrained.load)(network, method.weights)
    if method.encoder:
        pretrained.load_body(network, Path(method.encoder))
    return DeepSupervision(network) if method.supervised else network


def load(run: Run, folder: Path) -> nn.Module:
    """The trained network of a run, on the CPU, in evaluation mode."""
    network = backbones.build(run.method.backbone, len(run.classes))
    network = DeepSupervision(network) if run.method.supervised else network
    network.load_state_dict(load_file(Path(folder) / "weights.safetensors"))
    return network.eval()


def mislabelled(labels: torch.Tensor, share: float, classes: int, seed: int) -> torch.Tensor:
    """Labels int64 (n,) of which this share is wrong, each of the other classes as likely as the next (paper B, 3.3.3).

    Choice: at random over all classes, where a reader confuses some more than others. With the same seed the wrong ones of a
    smaller share are wrong in a larger one too, and every loss gets the same.

    >>> mislabelled(torch.zeros(4, dtype=torch.int64), 0.5, 3, seed=0).count_nonzero()
    tensor(2)
    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(labels), generator=generator)
    steps = torch.randint(1, classes, (len(labels),), generator=generator)
    wrong = order[: round(share * len(labels))]
    changed = labels.cpu().clone()
    changed[wrong] = (changed[wrong] + steps[wrong]) % classes
    return changed.to(labels.device)


def augmented(slices: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Slices uint8 (B, y, x) as the network's input (B, 1, y, x), cropped, flipped, brighter or darker at random.

    Deviation: the paper augments nothing (its section 7). On a few hundred pictures from many sources a pre-trained network
    learns them by heart within some epochs; a profile may therefore ask for it (`augment`). A network that learnt so is
    asked about each test slice and its mirror image: its answer is the mean of both probabilities.
    """
    return view(to_input(slices), generator, AREA, CHANGE)


def slices_loss(data: torch.Tensor | Chosen, labels: torch.Tensor, augment: bool = False) -> LossOf:
    """The loss of a batch, summed over stages (paper B, eq. 2).

    Args:
        data: uint8 (n, y, x) on the device, or some rows of it. labels: int64 (n,). augment: see `augmented`.
    """

    def loss_of(model: WithLoss, index: torch.Tensor, generator: torch.Generator):
        inputs = augmented(data[index], generator) if augment else to_input(data[index])
        return model.loss(model(inputs), labels[index]), {}

    return loss_of


def probabilities(
    network: nn.Module, asked: torch.Tensor | Chosen, mirrored: bool, precision: str
) -> np.ndarray:
    """What a trained network says of slices, uint8 (n, y, x): float32 (n, classes).

    Args:
        mirrored: it has learnt from mirrored slices: asked about both, and the mean taken. precision: that it was trained in.
    """
    views = [asked, asked.flip(2)] if mirrored else [asked]
    logits = [in_batches(Final(network), view, precision, most=64) for view in views]
    return np.mean([softmax(view, axis=1) for view in logits], axis=0)


def _factors(epoch: int, model: nn.Module) -> dict[str, float]:
    """What alpha and the betas of SAAL are after an epoch; nothing for other losses."""
    loss = getattr(model, "loss", None)
    if not isinstance(loss, SelfAdaptiveAuxiliaryLoss):
        return {}
    betas = {f"beta_{i}": beta for i, beta in enumerate(loss.betas.tolist(), start=1)}
    return {"alpha": loss.alpha.item(), "raw_alpha": loss.raw_alpha.item(), **betas}
