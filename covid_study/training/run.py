"""A run: one training of one method on some samples, found where it was done before."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np
import pandas as pd
from joblib import cpu_count

from covid_study.cohort.findings import POSITIVE, numbers, outputs
from covid_study.runtime.artefacts import artefact, artefact_path, write_atomically
from covid_study.runtime.workers import CORES, core
from covid_study.samples.samples import Chosen, Samples

if TYPE_CHECKING:
    import torch
    from lightning_fabric import Fabric
    from torch import nn


class Method(Protocol):
    """How a run learns: a frozen dataclass of settings that fits, predicts where it can, and writes.

    `module` names the module of its code, which with all that it imports is part of a run's key: what a method does not
    import can change without training it anew. `label` begins the names of its folders; `spreads` says whether several
    processes can train it together.
    """

    module: ClassVar[str]
    label: ClassVar[str]
    spreads: ClassVar[bool]

    def config(self) -> dict:
        """Its part of the key: of files their content or their key, not their place."""

    def seen(self, sizes: Sequence[int]) -> int:
        """Samples that pass through it while it trains on so many of each class."""

    def kind(self) -> list:
        """What methods have in common that take equally long a sample."""

    def fit(self, folder: Path, run: Run, samples: Samples, title: str, fabric: Fabric | None = None) -> None:
        """Train it and write all that a run leaves into `folder` (see `write_results`); killed and called again, go on."""


@dataclass(frozen=True)
class Spent:
    """What was spent before a run: seconds, samples seen and floating-point operations of pre-training and ranking."""

    seconds: float = 0.0
    exams: int = 0
    flops: float = 0.0
    beside: tuple[int, ...] = ()  # of each pre-training, as `beside` says

    @classmethod
    def on(cls, pretrained: Sequence[Path]) -> Spent:
        """What pre-trainings took, by their folders."""
        took = [timing(folder) for folder in pretrained]
        sums = (sum(one[name] for one in took) for name in ("train_seconds", "exams_seen", "flops"))
        return cls(*sums, tuple(one["beside"] for one in took))


@dataclass(frozen=True)
class Run:
    """What one network is trained on and how; `Run.of` takes what it can from the samples.

    Its key is made of this and of the source of its method; names of table rows are no part of it, so that tables share runs.
    Nor are `sizes`, the training samples of each class by output, and `before`.

    >>> from covid_study.training.volume_classifier import VolumeClassifier
    >>> method = VolumeClassifier({"width": 1.0}, {"epochs": 3})
    >>> run = Run("store-1", "labels-1", ("a", "b"), ("c",), method, classes=("covid", "negative"), sizes=(1, 1))
    >>> run.seen, run.folder(Path("runs")) == run.folder(Path("runs"))
    (6, True)
    """

    samples: str  # key of the samples
    labels: str  # fingerprint of their findings
    training_ids: tuple[str, ...]
    test_ids: tuple[str, ...]
    method: Method
    classes: tuple[str, ...]  # COVID-19 first
    seed: int = 0
    validation_ids: tuple[str, ...] = ()
    sizes: tuple[int, ...] = ()
    before: Spent = Spent()

    @classmethod
    def of(
        cls,
        samples: Samples,
        training_ids: Sequence[str],
        test_ids: Sequence[str],
        method: Method,
        classes: Sequence[str],
        seed: int,
        validation_ids: Sequence[str] = (),
        before: Spent = Spent(),
    ) -> Run:
        """A run on some of these samples."""
        findings = samples.table.loc[list(training_ids), "finding"]
        sizes = np.bincount(numbers(findings, classes), minlength=len(classes)).tolist()
        ids = tuple(training_ids), tuple(test_ids)
        given = {"validation_ids": tuple(validation_ids), "sizes": tuple(sizes), "before": before}
        return cls(samples.key, samples.labels, *ids, method, tuple(classes), seed, **given)

    def config(self) -> dict:
        """What the cache key is made of.

        Two classes are COVID-19 and the rest, whatever the second is called: only three are named.
        """
        config = {name: value for name, value in vars(self).items() if name not in ("sizes", "before")}
        if len(self.classes) == 2:
            del config["classes"]
        return config | {"training_ids": sorted(self.training_ids), "method": self.method.config()}

    def folder(self, runs: Path) -> Path:
        """Where its results lie, or will lie."""
        return artefact_path(runs, self.method.label, self.config(), ["training.run", self.method.module])

    def train(
        self, samples: Samples, runs: Path, title: str = "classifier", processes: int = 1, beside: int = 0
    ) -> Path:
        """Train it, or find it where it was trained before.

        Args:
            runs: `build/P/runs` or `build/P/pretext`.
            processes: that train it together, see `processes`; no part of the key, because the result is the same.
            beside: how many others are trained on the same machine meanwhile, at most: its seconds are marked so.

        Returns:
            The folder with config.json, timing.json and what its method leaves.
        """

        def compute(folder: Path) -> None:
            mark_beside(folder, beside)
            if processes == 1 or not self.method.spreads:
                with core():
                    self.method.fit(folder, self, samples, title)
            else:
                from covid_study.training.processes import spread  # imports torch, see write_results

                needed = samples.only([*self.training_ids, *self.asked_ids])
                device = samples.device
                spread(self.method.fit, folder, self, needed, title, processes=processes, device=device)

        modules = ["training.run", self.method.module]
        return artefact(runs, self.method.label, self.config(), modules, compute)

    @property
    def asked_ids(self) -> tuple[str, ...]:
        """What it is asked about once trained: validation, then test."""
        return self.validation_ids + self.test_ids

    @property
    def seen(self) -> int:
        """Samples that pass through the network while it trains."""
        return self.method.seen(self.sizes)

    @property
    def kind(self) -> str:
        """What runs have in common that take equally long a sample."""
        return json.dumps([self.samples, *self.method.kind()], sort_keys=True)


def labelled(samples: Samples, ids: Sequence[str], classes: Sequence[str]) -> tuple[Chosen, torch.Tensor]:
    """Some samples where they lie, and the numbers of their classes int64 (n,), on the samples' device."""
    import torch

    data = samples.chosen(ids)
    found = numbers(samples.table.loc[list(ids), "finding"], classes)
    return data, torch.from_numpy(found).to(samples.device)


def predicted(samples: Samples, run: Run, p: np.ndarray, named: bool) -> pd.DataFrame:
    """What a run says of its validation and test samples, as predictions.parquet holds it.

    Args:
        p: float (n, classes), validation first, in the order of `findings.outputs`.
        named: with a column p_<class> for each class.
    """
    known = [name for name in ("exam_id", "patient_id", "finding") if name in samples.table]
    table = samples.table.loc[list(run.asked_ids), known].reset_index()
    splits = ["validation"] * len(run.validation_ids) + ["test"] * len(run.test_ids)
    label = (table["finding"] == "covid").astype(np.int8)
    table = table.assign(split=splits, probability=p[:, POSITIVE], label=label)
    of_each = dict(zip(outputs(run.classes), p.T, strict=True))
    return table.assign(**{f"p_{name}": of_each[name] for name in run.classes}) if named else table


def write_results(
    folder: Path,
    run: Run,
    predictions: pd.DataFrame,
    *,
    seconds: float,
    load_seconds: float,
    flops: float,
    device: str,
    history: pd.DataFrame | None = None,
    network: nn.Module | None = None,
) -> None:
    """What a run leaves in its folder; with it the training's checkpoint has done its work.

    Args:
        seconds: of training. load_seconds: until its data were there.
        flops: floating-point operations a sample seen.
        history, network: None: of a method that has neither epochs nor weights.
    """
    if history is not None:
        history.to_csv(folder / "history.csv", index=False)
    predictions.to_parquet(folder / "predictions.parquet", index=False)
    if network is not None:
        from safetensors.torch import save_file  # imports torch, which who only reads results does not need

        weights = {name: values.contiguous().cpu() for name, values in network.state_dict().items()}
        save_file(weights, folder / "weights.safetensors")
    write_timing(folder, run, seconds=seconds, load_seconds=load_seconds, flops=flops, device=device)


def write_timing(
    folder: Path, run: Run, *, seconds: float, load_seconds: float = 0.0, flops: float, device: str
) -> None:
    """What a run took; see `write_results`."""
    took = {
        "kind": run.kind,
        "train_seconds": seconds,
        "load_seconds": load_seconds,
        "exams_seen": run.seen,
        "flops": run.seen * flops,
        "device": device,
    }
    write_atomically(folder / "timing.json", lambda path: path.write_text(json.dumps(took, indent=1)))
    (folder / "checkpoint.pt").unlink(missing_ok=True)


def predictions(folder: Path) -> pd.DataFrame:
    """exam_id or slice_id, patient_id, finding, split, probability of COVID-19, label, in the order asked.

    With three classes, and of slices, also p_<class> for each class, p_covid the same as probability.
    """
    return pd.read_parquet(Path(folder) / "predictions.parquet")


def timing(folder: Path) -> dict:
    """kind, train_seconds, load_seconds, exams_seen, flops, device of a run, and what was trained `beside` it."""
    return json.loads((Path(folder) / "timing.json").read_text()) | {"beside": beside(folder)}


def mark_beside(folder: Path, others: int) -> None:
    """Note how many trainings share the machine with this one, at most, in the session that was killed and in this one.

    others: of the same sweep; beside another notebook every other core may have one, see `workers.core`.
    """
    others, mark = cpu_count() - 1 if CORES in os.environ else others, folder / "beside.json"
    most = max(others, beside(folder) if mark.is_file() else 0)
    write_atomically(mark, lambda path: path.write_text(json.dumps(most)))


def beside(folder: Path) -> int:
    """How many others a training or pre-training shared the machine with, at most; its seconds are to be read so."""
    return json.loads((Path(folder) / "beside.json").read_text())
