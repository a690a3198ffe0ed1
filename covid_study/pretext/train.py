"""Pre-training with the pretext task, the features it gives, and a linear probe of what they know (paper A, IV-B and C)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save_file
from sklearn.metrics import roc_auc_score
from torch import nn

from covid_study.networks.resnet3d import build
from covid_study.pretext import rubiks_cube
from covid_study.pretext.probes import asked, probe_scores
from covid_study.runtime.artefacts import write_atomically
from covid_study.runtime.device import device_name
from covid_study.samples.batch import to_input
from covid_study.samples.samples import Chosen, Samples
from covid_study.training.loop import cast, counted_flops, fit, fitting, in_batches
from covid_study.training.run import Run, write_timing

if TYPE_CHECKING:
    from lightning_fabric import Fabric

VALIDATION_DRAWS = 4  # scrambles of each validation exam


@dataclass(frozen=True)
class RubiksCube:
    """Pre-training as the method of a run, which leaves an encoder and no predictions (paper A, IV-B).

    The accuracy is measured on the run's validation exams, the linear probe on its test exams.

    Args:
        label: what its folder's name begins with, no part of its key.
        masking, epochs, permutation_set, network, pretext: see `train_pretext`.
    """

    module: ClassVar[str] = "pretext.train"
    spreads: ClassVar[bool] = True

    label: str
    masking: bool
    epochs: int
    permutation_set: str
    network: dict
    pretext: dict

    def config(self) -> dict:
        """Its part of a run's key."""
        return {name: value for name, value in vars(self).items() if name != "label"}

    def seen(self, sizes: Sequence[int]) -> int:
        """Exams that pass through the network while it trains."""
        return self.epochs * sum(sizes)

    def kind(self) -> list:
        """What takes equally long an exam."""
        return ["rubiks_cube", self.network, self.pretext]

    def fit(self, folder: Path, run: Run, samples: Samples, title: str, fabric: Fabric | None = None) -> None:
        """Train it, alone or as one of several processes, and write encoder.safetensors, history.csv and timing.json."""
        probed, device = samples.table.loc[list(run.test_ids)], fabric.device if fabric else samples.device
        known = (probed[name].to_numpy() for name in ("finding", "patient_id"))
        history = train_pretext(
            folder,
            samples.chosen(sorted(run.training_ids)),
            samples.of(sorted(run.validation_ids)),
            probe=Probe(samples.chosen(run.test_ids), *known, precision=self.network["precision"]),
            **self.config(),
            seed=run.seed,
            device=device,
            title=title,
            fabric=fabric,
        )
        if fabric and not fabric.is_global_zero:
            return
        device = device_name(device, fabric.world_size if fabric else 1)
        flops = history["flops"].sum() / run.seen
        write_timing(folder, run, seconds=float(history["seconds"].sum()), flops=flops, device=device)


def train_pretext(
    folder: Path,
    volumes: torch.Tensor | Chosen,
    validation: torch.Tensor,
    *,
    masking: bool,
    network: dict,
    pretext: dict,
    epochs: int,
    seed: int,
    probe: Probe,
    device: torch.device,
    permutation_set: str = "optimal",
    title: str = "pretext",
    fabric: Fabric | None = None,
) -> pd.DataFrame:
    """Pre-train an encoder on Rubik's cube (`masking=False`) or Rubik's cube Pro (paper A, IV-B and IV-F1).

    Writes `encoder.safetensors` and `history.csv`: losses, accuracies on training and validation exams, probe, and what each
    epoch took (seconds, flops).

    Args:
        folder: where to write.
        volumes, validation: uint8 (n, z, y, x), the exams to train on, which may be some of a tensor, and to measure
            accuracy on.
        network, pretext: the sections of the parameters.
        probe: measured before the first epoch (epoch 0) and every `probe_every` epochs.
        device: to train on.
        permutation_set: see `rubiks_cube.permutations`, `kind`.
        fabric: see `loop.fit`; the first process alone measures and writes.

    Returns:
        The history, one row an epoch; epoch 0 is the untrained network.
    """
    first = fabric is None or fabric.is_global_zero
    torch.manual_seed(seed)
    table = rubiks_cube.permutations(pretext["permutations"], kind=permutation_set)
    table = torch.from_numpy(table).to(device)
    gap = tuple(reversed(pretext["gap"]))  # x, y, z in the parameters, z, y, x in arrays
    model = rubiks_cube.RubiksCubeNet(*build(network), pretext["permutations"], pretext["heads"]).to(device)
    volumes = volumes.to(device)

    def loss_of(model: nn.Module, index: torch.Tensor, generator: torch.Generator):
        batch = rubiks_cube.scramble(to_input(volumes[index]), table, gap, masking, generator)
        outputs = model(batch.cubes)
        return rubiks_cube.pretext_loss(outputs, batch), rubiks_cube.pretext_accuracy(outputs, batch)

    def measure(epoch: int, model: nn.Module) -> dict[str, float]:
        row = {
            f"validation_{k}": v
            for k, v in _validate(
                model, validation, table, gap, masking, seed, network["precision"], device
            ).items()
        }
        if epoch % pretext["probe_every"] == 0 or epoch == epochs:
            row |= probe.measure(model.encoder)
        return row

    before = Path(folder) / "epoch0.csv"
    if first and not before.is_file():
        untrained = pd.DataFrame([{"epoch": 0, **measure(0, model)}])
        write_atomically(before, lambda path: untrained.to_csv(path, index=False))
    history = fit(
        model,
        len(volumes),
        loss_of,
        epochs=epochs,
        batch_size=pretext["batch_size"],
        learning_rate=pretext["learning_rate"],
        seed=seed,
        device=device,
        folder=folder,
        precision=network["precision"],
        after_epoch=measure,
        coming=volumes.coming if isinstance(volumes, Chosen) else iter,
        title=title,
        fabric=fabric,
    )
    if not first:
        return history
    one = torch.zeros(1, dtype=torch.long, device=device)
    flops = counted_flops(model, lambda: loss_of(model, one, torch.Generator(device).manual_seed(0))[0])
    history = history.assign(flops=flops * len(volumes))
    history = pd.concat([pd.read_csv(before).assign(flops=0.0), history], ignore_index=True)
    save_file(
        {k: v.contiguous().cpu() for k, v in model.encoder.state_dict().items()},
        folder / "encoder.safetensors",
    )
    history.to_csv(folder / "history.csv", index=False)
    before.unlink(missing_ok=True)
    return history


@torch.inference_mode()
def _validate(model, volumes, table, gap, masking, seed, precision, device) -> dict[str, float]:
    """Pretext accuracy on unseen exams, each scrambled the same few ways at every epoch."""
    if len(volumes) == 0:
        return {}
    model.eval()
    generator = torch.Generator(device).manual_seed(seed + 77)
    rows = []
    for part in volumes.repeat(VALIDATION_DRAWS, 1, 1, 1).split(fitting(volumes.shape[1:], 16)):
        batch = rubiks_cube.scramble(to_input(part.to(device)), table, gap, masking, generator)
        with cast(precision, device):
            rows.append((len(part), rubiks_cube.pretext_accuracy(model(batch.cubes), batch)))
    total = sum(n for n, _ in rows)
    return {name: float(sum(n * row[name] for n, row in rows) / total) for name in rows[0][1]}


def load_encoder(file: Path, network: dict) -> nn.Module:
    """A pre-trained encoder from its safetensors file."""
    model, _ = build(network)
    model.load_state_dict(load_file(file))
    return model


def features(model: nn.Module, volumes: torch.Tensor | Chosen, precision: str = "float32") -> np.ndarray:
    """Features of the last convolutional layer, averaged over space (paper A, IV-C): float32 (n, 512 * width), not negative.

    Choice: of the whole volume at once, by an encoder that was trained on cubes; the paper says neither this nor how it pools.

    precision: that the encoder was trained in.
    """
    return in_batches(model, volumes, precision)


class Probe:
    """A linear probe: can a logistic regression read the finding off the features? Cross-validated by patient.

    The labels serve this measurement alone; neither pre-training nor ranking sees them.

    Args:
        volumes: uint8 (n, z, y, x).
        findings: (n,) covid, cap, non_pneumonia or other. patients: (n,). precision: of the encoder's training.
    """

    def __init__(
        self,
        volumes: torch.Tensor | Chosen,
        findings: np.ndarray,
        patients: np.ndarray,
        folds: int = 5,
        precision: str = "float32",
    ):
        self.volumes, self.findings, self.patients = volumes, np.asarray(findings), np.asarray(patients)
        self.folds, self.precision = folds, precision

    def measure(self, backbone: nn.Module) -> dict[str, float]:
        """AUC of COVID-19 against all negatives and of CAP against non-pneumonia."""
        values, known = features(backbone, self.volumes, self.precision), asked(self.findings, "cap")
        return {
            "probe_covid": probe_auc(values, self.findings == "covid", self.patients, self.folds),
            "probe_cap": probe_auc(
                values[known], self.findings[known] == "cap", self.patients[known], self.folds
            ),
        }


def probe_auc(values: np.ndarray, target: np.ndarray, patients: np.ndarray, folds: int = 5) -> float:
    """Cross-validated AUC of a logistic regression on features; NaN where a class has fewer patients than two folds need.

    Args:
        values: (n, D). target: bool (n,). patients: (n,) groups that stay together.
    """
    scores = probe_scores(values, target, patients, folds)
    return float("nan") if np.isnan(scores).all() else float(roc_auc_score(target, scores))
