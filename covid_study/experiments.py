"""A run: one classifier, trained once for its configuration."""

import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save_file

from covid_study.cache import artefact, artefact_path, write_atomically
from covid_study.errors import StudyError
from covid_study.networks import Classifier, build
from covid_study.training import classifier_loss, fit, in_batches, oversampled, training_flops


@dataclass(frozen=True)
class Volumes:
    """Preprocessed exams in memory, once for all runs of a sweep.

    `table` is indexed by exam id and has patient_id, finding and split; `data` is uint8 (n, z, y, x) in its order, on the
    device where it is used; `key` names the store it comes from.
    """

    table: pd.DataFrame
    data: torch.Tensor
    key: str

    def rows(self, exam_ids: Sequence[str]) -> torch.Tensor:
        """Where these exams lie in `data`.

        Raises:
            StudyError: names an exam that is not there, e.g. one that was left out.
        """
        places = self.table.index.get_indexer(pd.Index(exam_ids))
        if (places < 0).any():  # -1 would silently be the last exam
            unknown = [exam for exam, place in zip(exam_ids, places, strict=True) if place < 0]
            raise StudyError(f"{len(unknown)} exams are not in the store, the first is '{unknown[0]}'")
        return torch.from_numpy(places).to(self.data.device)

    def of(self, exam_ids: Sequence[str]) -> torch.Tensor:
        """The volumes of these exams."""
        return self.data[self.rows(exam_ids)]


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
    # What was spent before it on pre-training and ranking; no part of the key.
    before: float = 0.0  # seconds
    exams_before: int = 0  # seen in pre-training
    flops_before: float = 0.0  # of pre-training

    def config(self) -> dict:
        """What the cache key is made of; the place of the encoder's folder is not, its name, which holds its key, is."""
        spent = {"before", "exams_before", "flops_before"}
        config = {name: value for name, value in vars(self).items() if name not in spent}
        config["encoder"] = Path(self.encoder).name if self.encoder else None
        config["negatives"] = sorted(self.negatives)
        config["positives"] = sorted(self.positives)
        return config

    def folder(self, runs: Path) -> Path:
        """Where its results lie, or will lie."""
        return artefact_path(runs, "run", self.config(), ["experiments"])


def train(run: Run, volumes: Volumes, runs: Path, title: str = "classifier") -> Path:
    """Train the classifier of a run, or find it where it was trained before.

    Args:
        runs: `build/P/runs`.

    Returns:
        The folder with config.json, history.csv, predictions.parquet, weights.safetensors, timing.json.
    """
    return artefact(
        runs, "run", run.config(), ["experiments"], lambda folder: _train(folder, run, volumes, title)
    )


def _train(folder: Path, run: Run, volumes: Volumes, title: str) -> None:
    device = volumes.data.device
    torch.manual_seed(run.seed)
    backbone, features = build(run.network)
    if run.encoder:
        backbone.load_state_dict(load_file(Path(run.encoder) / "encoder.safetensors"))
    model = Classifier(backbone, features)
    exams = sorted(run.positives) + sorted(run.negatives)
    started = time.perf_counter()
    data, labels = volumes.of(exams), torch.zeros(len(exams), dtype=torch.long, device=device)
    labels[: len(run.positives)] = 1
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
    )
    history.to_csv(folder / "history.csv", index=False)
    _predict(model, run, volumes).to_parquet(folder / "predictions.parquet", index=False)
    save_file(
        {k: v.contiguous().cpu() for k, v in model.state_dict().items()}, folder / "weights.safetensors"
    )
    timing = {
        "train_seconds": float(history["seconds"].sum()),
        "load_seconds": load_seconds,
        "exams_seen": n * settings["epochs"],
        "flops": n * settings["epochs"] * training_flops(model, data[:1]),
        "device": device_name(device),
    }
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
            parts.append(rows.assign(split=split, probability=logits.softmax(1)[:, 1].numpy()))
    table = pd.concat(parts, ignore_index=True)
    return table.assign(label=(table["finding"] == "covid").astype(np.int8))


def device_name(device: torch.device) -> str:
    """The device in words, for reports."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} CPU, {torch.get_num_threads()} of {os.cpu_count()} threads"


def predictions(folder: Path) -> pd.DataFrame:
    """exam_id, patient_id, finding, split (validation, test), probability of COVID-19, label."""
    return pd.read_parquet(Path(folder) / "predictions.parquet")


def timing(folder: Path) -> dict:
    """train_seconds, load_seconds, exams_seen, flops and device of a run."""
    return json.loads((Path(folder) / "timing.json").read_text())
