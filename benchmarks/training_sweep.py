"""How long do several trainings take? Ours side by side, and a MONAI user's one after the other; their scores beside them.

What the study buys is many trainings: rows, sizes, seeds. All sides train the same network from the weights of the same
seeds on the exams of `training_scores.py`, with the same batches and steps, and are asked about the same test exams; what is
timed is all of that, with CacheDataset's filling on the one side, starting the workers on the other.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from monai.utils import set_determinism
from sklearn.metrics import roc_auc_score
from training_methods import INTENSITY, LEARNING_RATE, MonaiUser, Setting, network, say
from training_scores import auc, exams, paired

from covid_study.runtime.progress import silent
from covid_study.samples.samples import Samples
from covid_study.training.run import Run, predictions
from covid_study.training.sweep import places, sweep
from covid_study.training.volume_classifier import VolumeClassifier

CLASSES = ("covid", "negative")
MONAI = {
    "MONAI, one after the other": False,
    "MONAI, plain tensors": True,
}  # whether tensors are taken out first


def measure(setting: Setting, plan: dict, device: torch.device, out: Path) -> dict:
    """Seconds and AUC of every side: the first call of ours starts its workers, the second finds them."""
    sides = (
        exams(setting.exams, setting.array_shape, seed=1),
        exams(plan["score_test"], setting.array_shape, seed=2),
    )
    calls: dict[str, Callable] = {"ours": ours, "ours, workers there": ours}
    found = {}
    for name, call in [*calls.items(), *((name, theirs) for name in MONAI)]:
        say(f"{plan['sweep_runs']} trainings, {name}, {device.type}")
        started = time.perf_counter()
        scores = call(setting, plan, sides, device, out, MONAI.get(name, False))
        found[name] = {"seconds": time.perf_counter() - started, "auc": scores}
    quickest = min(MONAI, key=lambda name: found[name]["seconds"])
    return {
        "setting": setting.name, "device": device.type, "runs": plan["sweep_runs"], "epochs": plan["sweep_epochs"],
        "exams": setting.exams, "at_once": min(places(device), plan["sweep_runs"]), "precision": setting.precision,
        "sides": found, "quickest": quickest, "ratio": found[quickest]["seconds"] / found["ours"]["seconds"],
        "ratio_there": found[quickest]["seconds"] / found["ours, workers there"]["seconds"],
        **paired(found["ours"]["auc"], found[quickest]["auc"]),
    }  # fmt: skip


def ours(setting: Setting, plan: dict, sides, device: torch.device, out: Path, _: bool) -> list[float]:
    """`covid_study.training.sweep`; the AUC of each seed."""
    samples, ids = cohort(sides, device)
    given = {
        "width": setting.width,
        "stem_stride": setting.stem_stride,
        "depth": setting.depth,
        "precision": setting.precision,
    }
    training = {
        "epochs": plan["sweep_epochs"], "batch_size": setting.batch, "learning_rate": LEARNING_RATE,
        "intensity": list(INTENSITY), "flips": True,
    }  # fmt: skip
    run = Run.of(samples, *ids, VolumeClassifier(given, training), CLASSES, 0)
    runs = {f"seed {seed}": replace(run, seed=seed) for seed in range(plan["sweep_runs"])}
    with tempfile.TemporaryDirectory(dir=out) as folder, silent():
        folders = sweep(runs, samples, Path(folder)).values()
        said = [predictions(folder) for folder in folders]
    return [float(roc_auc_score(table["label"], table["probability"])) for table in said]


def theirs(setting: Setting, plan: dict, sides, device: torch.device, out: Path, plain: bool) -> list[float]:
    """A MONAI user's loop over the seeds, all threads, data loaded in the process itself; the AUC of each seed."""
    found = []
    for seed in range(plan["sweep_runs"]):
        set_determinism(seed)
        user = MonaiUser(network(setting), setting, *sides[0], device, 0, plain, plan["sweep_epochs"])
        for _ in range(plan["sweep_epochs"]):
            user()
        found.append(auc(user.model, *sides[1]))
    set_determinism(None)
    return found


def cohort(sides, device: torch.device) -> tuple[Samples, list[list[str]]]:
    """The exams as samples of the study, and the ids of both sides."""
    volumes, labels = (torch.cat(parts) for parts in zip(*sides, strict=True))
    ids = [f"exam-{n:04}" for n in range(len(labels))]
    findings = np.where(labels.numpy() == 1, "covid", "cap")
    table = pd.DataFrame({"patient_id": ids, "finding": findings}, index=pd.Index(ids, name="exam_id"))
    first = len(sides[0][1])
    return Samples(table, volumes.to(device), "made up"), [ids[:first], ids[first:]]
