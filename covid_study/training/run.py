"""A run: one classifier, trained once for its configuration."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from covid_study.cohort.findings import POSITIVE, numbers, outputs
from covid_study.networks.resnet3d import Classifier, build
from covid_study.runtime.artefacts import artefact, artefact_path, write_atomically
from covid_study.runtime.device import device_name
from covid_study.samples.samples import Volumes
from covid_study.training.loop import classifier_loss, fit, in_batches, oversampled, training_flops
from covid_study.training.processes import spread

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass(frozen=True)
class Run:
    """What one classifier is trained on and how (paper A, IV-F2).

    Its key is made of this and of the source of the code; names of table rows are no part of it, so that tables share runs.
    """

    volumes: str  # key of the store
    positives: tuple[str, ...]
    negatives: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    network: dict
    training: dict
    seed: int
    encoder: str | None = None  # folder with encoder.safetensors; None: from random weights
    online: dict | None = None  # strategy against imbalance, see losses.online_loss; None: none
    classes: tuple[str, ...] = ("covid", "negative")  # COVID-19 first; or the three findings
    # No part of the key: exams trained on, by output (empty: negatives, positives), and what was spent before on
    # pre-training and ranking.
    class_sizes: tuple[int, ...] = ()
    before: float = 0.0  # seconds
    exams_before: int = 0  # seen in pre-training
    flops_before: float = 0.0  # of pre-training

    def config(self) -> dict:
        """What the cache key is made of; the place of the encoder's folder is not, its name, which holds its key, is.

        Two classes are what the positives and negatives are, whatever the second is called: only three are named.
        """
        without = {"before", "exams_before", "flops_before", "class_sizes"}
        without |= {"classes"} if len(self.classes) == 2 else set()
        config = {name: value for name, value in vars(self).items() if name not in without}
        config["encoder"] = Path(self.encoder).name if self.encoder else None
        config["negatives"] = sorted(self.negatives)
        config["positives"] = sorted(self.positives)
        return config

    @property
    def sizes(self) -> tuple[int, ...]:
        """Exams of each class that it is trained on, by output; a class may have none."""
        return self.class_sizes or (len(self.negatives), len(self.positives))

    def folder(self, runs: Path) -> Path:
        """Where its results lie, or will lie."""
        return artefact_path(runs, "run", self.config(), ["training.run"])

    def train(self, volumes: Volumes, runs: Path, title: str = "classifier", processes: int = 1) -> Path:
        """Train the classifier, or find it where it was trained before.

        Args:
            runs: `build/P/runs`.
            processes: that train it together, see `processes`; no part of the key, because the result is the same.

        Returns:
            The folder with config.json, history.csv, predictions.parquet, weights.safetensors, timing.json.
        """

        def compute(folder: Path) -> None:
            if processes == 1:
                _train(folder, self, volumes, title)
                return
            needed = volumes.only([*self.positives, *self.negatives, *self.validation, *self.test])
            device = volumes.data.device
            spread(_train, folder, self, needed, title, processes=processes, device=device)

        return artefact(runs, "run", self.config(), ["training.run"], compute)

    @property
    def seen(self) -> int:
        """Exams that pass through the network while it trains."""
        exams = sum(self.sizes)
        if self.online and self.online["strategy"] == "oversampling":
            exams = max(self.sizes) * sum(size > 0 for size in self.sizes)
        return exams * self.training["epochs"]

    @property
    def kind(self) -> str:
        """What runs have in common that take equally long an exam."""
        return json.dumps([self.volumes, self.network], sort_keys=True)


def _train(folder: Path, run: Run, volumes: Volumes, title: str, fabric: Fabric | None = None) -> None:
    device = fabric.device if fabric else volumes.data.device
    torch.manual_seed(run.seed)
    backbone, features = build(run.network)
    if run.encoder:
        backbone.load_state_dict(load_file(Path(run.encoder) / "encoder.safetensors"))
    model = Classifier(backbone, features, len(run.classes))
    exams = sorted(run.positives) + sorted(run.negatives)
    started = time.perf_counter()
    data = volumes.of(exams).to(device)
    labels = torch.from_numpy(numbers(volumes.table.loc[exams, "finding"], run.classes)).to(device)
    load_seconds = time.perf_counter() - started
    settings = run.training
    n, order_of = len(exams), None
    if run.online and run.online["strategy"] == "oversampling":
        n, order_of = oversampled(labels)
    history = fit(
        model,
        n,
        classifier_loss(data, labels, tuple(settings["intensity"]), settings["flips"], run.online),
        epochs=settings["epochs"],
        batch_size=settings["batch_size"],
        learning_rate=settings["learning_rate"],
        seed=run.seed,
        device=device,
        folder=folder,
        precision=run.network["precision"],
        order_of=order_of,
        title=title,
        fabric=fabric,
    )
    if fabric and not fabric.is_global_zero:
        return
    timing = {
        "kind": run.kind,
        "train_seconds": float(history["seconds"].sum()),
        "load_seconds": load_seconds,
        "exams_seen": n * settings["epochs"],
        "flops": n * settings["epochs"] * training_flops(model, data[:1]),
        "device": device_name(device, fabric.world_size if fabric else 1),
    }
    write_results(folder, history, _predict(model, run, volumes), model, timing)


def write_results(
    folder: Path, history: pd.DataFrame, predictions: pd.DataFrame, network: nn.Module, timing: dict
) -> None:
    """What every run leaves in its folder; with it the training's checkpoint has done its work."""
    history.to_csv(folder / "history.csv", index=False)
    predictions.to_parquet(folder / "predictions.parquet", index=False)
    weights = {name: values.contiguous().cpu() for name, values in network.state_dict().items()}
    save_file(weights, folder / "weights.safetensors")
    write_atomically(folder / "timing.json", lambda path: path.write_text(json.dumps(timing, indent=1)))
    (folder / "checkpoint.pt").unlink(missing_ok=True)


def _predict(model: Classifier, run: Run, volumes: Volumes) -> pd.DataFrame:
    parts = []
    for split, exams in (("validation", run.validation), ("test", run.test)):
        if exams:
            logits = torch.from_numpy(in_batches(model, volumes.of(exams)))
            rows = (
                volumes.table.loc[list(exams), ["patient_id", "finding"]].rename_axis("exam_id").reset_index()
            )
            p = logits.softmax(1).numpy()
            of_each = dict(zip((f"p_{name}" for name in outputs(run.classes)), p.T, strict=True))
            parts.append(rows.assign(split=split, probability=p[:, POSITIVE], **of_each))
    table = pd.concat(parts, ignore_index=True)
    table = table.assign(label=(table["finding"] == "covid").astype(np.int8))
    named = [f"p_{name}" for name in run.classes] if len(run.classes) > 2 else []
    return table[["exam_id", "patient_id", "finding", "split", "probability", "label", *named]]


def predictions(folder: Path) -> pd.DataFrame:
    """exam_id, patient_id, finding, split (validation, test), probability of COVID-19, label.

    With three classes also p_covid (the same as probability), p_cap and p_non_pneumonia.
    """
    return pd.read_parquet(Path(folder) / "predictions.parquet")


def timing(folder: Path) -> dict:
    """kind, train_seconds, load_seconds, exams_seen, flops and device of a run."""
    return json.loads((Path(folder) / "timing.json").read_text())
