"""Self-Trans: contrastive pre-training on the training slices, without their labels (He et al. 2020; paper B, Table 3).

Two views of a slice, cropped, flipped and changed in brightness, are to be more alike than views of different slices. He
et al. start from ImageNet weights, go on like this on the slices, then train the classifier; DenseNet-169 is their network.

Deviation: views are contrasted with the rest of their batch (SimCLR, Chen et al. 2020), He et al. with a queue filled by a
second, slower network (MoCo): the loss is the same, the loop is that of every other training here.
Deviation: He et al. also pre-train on slices of another collection (LUNA) first; here only the training slices serve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pandas as pd
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from covid_study.networks.backbones import classifier_name, features
from covid_study.runtime.device import device_name
from covid_study.samples.batch import to_input, view
from covid_study.samples.samples import Samples
from covid_study.training.loop import fit, training_flops
from covid_study.training.run import Run, write_timing
from covid_study.training.slice_classifier import SliceClassifier, network_of

if TYPE_CHECKING:
    from lightning_fabric import Fabric

PROJECTION = 128  # values that views are compared by (Chen et al. 2020, 2.1)
AREA = (0.2, 1.0)  # of the slice that a crop shows, as in MoCo
CHANGE = 0.4  # of brightness and of contrast, as in MoCo


@dataclass(frozen=True)
class SelfTrans:
    """Contrastive pre-training as the method of a run, which leaves a backbone and no predictions.

    Args:
        classifier: that is to start from it; its own weights are those that this starts from.
    """

    module: ClassVar[str] = "pretext.contrastive"
    label: ClassVar[str] = "contrastive"
    spreads: ClassVar[bool] = False

    classifier: SliceClassifier
    epochs: int
    batch_size: int

    def config(self) -> dict:
        """Its part of a run's key."""
        weights = self.classifier.weights
        of_classifier = {
            "backbone": self.classifier.backbone,
            "precision": self.classifier.precision,
            "weights": weights.sha256 if weights else None,
        }
        return of_classifier | {"epochs": self.epochs, "batch_size": self.batch_size}

    def seen(self, sizes: Sequence[int]) -> int:
        """Views that pass through the network: two of each slice an epoch."""
        return 2 * self.epochs * sum(sizes)

    def kind(self) -> list:
        """What takes equally long a view."""
        return [self.label, self.classifier.backbone, self.classifier.precision]

    def fit(self, folder: Path, run: Run, samples: Samples, title: str, fabric: Fabric | None = None) -> None:
        """Train it and write encoder.safetensors, history.csv and timing.json."""
        torch.manual_seed(run.seed)
        network, slices = (
            network_of(replace(run, method=self.classifier)),
            samples.of(sorted(run.training_ids)),
        )
        settings = {
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "precision": self.classifier.precision,
        }
        history = train_contrastive(folder, slices, network, seed=run.seed, title=title, **settings)
        flops, device = training_flops(network, slices[:1]), device_name(samples.device)
        write_timing(folder, run, seconds=float(history["seconds"].sum()), flops=flops, device=device)


class ContrastiveNet(nn.Module):
    """A backbone and a head that projects its features (Chen et al. 2020, 2.1): (n, 1, y, x) to float (n, 128).

    Choice: the hidden layer of the head has as many values as the backbone has features, at most 2048.

    Args:
        backbone: of `backbones.build`; its last linear layer is not used.
        n_features: how many `backbones.features` gives.
    """

    traces: ClassVar[bool] = False  # by torch.compile: the hook of `backbones.features` stops it

    def __init__(self, backbone: nn.Module, n_features: int):
        super().__init__()
        self.encoder = backbone
        hidden = min(n_features, 2048)
        self.head = nn.Sequential(nn.Linear(n_features, hidden), nn.ReLU(), nn.Linear(hidden, PROJECTION))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(features(self.encoder, images))


def likeness(projections: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """How alike views are, the cosine, of a view with itself -inf; and which view is of the same slice.

    Args:
        projections: float (2 B, D), the first views of all slices, then the second ones.

    Returns:
        float (2 B, 2 B); int64 (2 B,).
    """
    unit = F.normalize(projections, dim=1)
    alike = (unit @ unit.T).fill_diagonal_(-torch.inf)
    return alike, torch.arange(len(unit), device=unit.device).roll(len(unit) // 2)


def nt_xent(projections: torch.Tensor, temperature: float = 0.1) -> torch.Tensor:
    """NT-Xent (Chen et al. 2020, eq. 1): cross-entropy of naming a view's partner among all others, the mean over views.

    MONAI's makes a mask on the host at every step, which a GPU waits for.

    >>> nt_xent(torch.eye(2).repeat(2, 1)).exp()  # its partner at e^10, two others at 1
    tensor(1.0001)
    """
    alike, partner = likeness(projections)
    return F.cross_entropy(alike / temperature, partner)


def found(projections: torch.Tensor) -> torch.Tensor:
    """The share of views whose most similar view, of all others in the batch, is that of the same slice.

    >>> found(torch.tensor([[1.0, 0], [0, 1], [1, 0.1], [1, 0.2]]))  # the last two find each other
    tensor(0.5000)
    """
    alike, partner = likeness(projections)
    return (alike.argmax(1) == partner).float().mean()


def train_contrastive(
    folder: Path,
    slices: torch.Tensor,
    backbone: nn.Module,
    *,
    epochs: int,
    batch_size: int,
    seed: int,
    learning_rate: float = 1e-3,
    precision: str = "float32",
    temperature: float = 0.1,
    title: str = "Self-Trans",
) -> pd.DataFrame:
    """Pre-train `backbone` in place so that it knows two views of a slice from all others (He et al. 2020; paper B, Table 3).

    Writes `encoder.safetensors`, all of the backbone but its last linear layer, and `history.csv`.

    Choice: the loss is SimCLR's NT-Xent with its temperature of 0.1; every other slice of the batch counts as different,
    those of the same patient too.
    Choice: Adam at 1e-3 along a cosine, as pre-training for paper A.

    Args:
        folder: where to write.
        slices: uint8 (n, y, x) on the device. backbone: of `backbones.build`, with the weights to start from.
        temperature: what similarities are divided by.
        others: see `loop.fit`.

    Returns:
        The history, one row an epoch: epoch, loss, found (see `found`), seconds.
    """
    device = slices.device
    torch.manual_seed(seed)
    backbone.to(device).eval()  # outside: what is moved inside could not be trained
    with torch.inference_mode():
        n_features = features(backbone, to_input(slices[:1])).shape[1]
    model = ContrastiveNet(backbone, n_features).to(device)

    def loss_of(model: nn.Module, index: torch.Tensor, generator: torch.Generator):
        images = to_input(slices[index])
        views = [view(images, generator, AREA, CHANGE) for _ in range(2)]
        projections = model(torch.cat(views)).float()
        return nt_xent(projections, temperature), {"found": found(projections.detach())}

    history = fit(
        model,
        len(slices),
        loss_of,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        device=device,
        folder=folder,
        precision=precision,
        title=title,
    )
    unused = classifier_name(backbone)
    weights = {
        k: v.contiguous().cpu() for k, v in backbone.state_dict().items() if not k.startswith(f"{unused}.")
    }
    save_file(weights, Path(folder) / "encoder.safetensors")
    history.to_csv(Path(folder) / "history.csv", index=False)
    return history
