"""The way of the data through paper B: which slices a run is trained on, from which weights, and how."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from sklearn.model_selection import train_test_split

from covid_study import paths
from covid_study.cohort.findings import classes_of, numbers
from covid_study.networks import chexnet, weights as pretrained
from covid_study.pretext.contrastive import train_contrastive
from covid_study.runtime.artefacts import artefact
from covid_study.samples.samples import Slices
from covid_study.training import meta_weights
from covid_study.training.loop import training_flops
from covid_study.training.slice_run import SliceRun, network_of


def ids(s: Slices, split: str) -> list[str]:
    """Slice ids of a split, "train" or "test", sorted."""
    return sorted(s.table.index[s.table["split"] == split])


def fewer_positives(s: Slices, share: float, seed: int) -> list[str]:
    """The training slices with this share of the COVID-19 ones, at least one (paper B, 5.3).

    Choice: by patient, as far as patients allow it: patients come in a random order, their slices one after the other, and
    the first slices of that list are kept. A smaller share is part of a larger one of the same seed.

    Args:
        share: in (0, 1]. seed: of the order.
    """
    train = s.table[s.table["split"] == "train"].sort_index()
    positive = train[train["finding"] == "covid"]
    rng = np.random.default_rng(seed)
    turn = dict(zip(rng.permutation(positive["patient_id"].unique()), range(len(positive)), strict=False))
    order = positive.assign(turn=positive["patient_id"].map(turn), within=rng.permutation(len(positive)))
    kept = order.sort_values(["turn", "within"]).index[: max(1, round(share * len(positive)))]
    return sorted([*train.index[train["finding"] != "covid"], *kept])


def at_most(s: Slices, slice_ids: list[str], most: int | None, seed: int) -> list[str]:
    """At most so many of these slices, drawn at random within their classes; None: all of them."""
    if most is None or len(slice_ids) <= most:
        return slice_ids
    findings = s.table.loc[slice_ids, "finding"]
    return sorted(train_test_split(slice_ids, train_size=most, stratify=findings, random_state=seed)[0])


def run(
    p,
    s: Slices,
    seed: int,
    *,
    backbone: str | None = None,
    supervised: bool = False,
    loss: str = "ce",
    training_slices: list[str] | None = None,
) -> SliceRun:
    """A classifier of slices (paper B, 3.4 and 4.3).

    Choice: a backbone other than that of `slice_network` is trained for `comparison.epochs`, on at most `comparison.slices`
    training slices with the same share of each class: a small profile has no time for more.

    Args:
        backbone: None: that of `slice_network`. loss: of Table 5. training_slices: None: all of the training split.
    """
    own = backbone in (None, p.slice_network.backbone)
    backbone = backbone or p.slice_network.backbone
    settings = p.slice_training.model_dump(exclude={"seeds"})
    if not own:
        settings["epochs"] = p.comparison.epochs
        training_slices = at_most(s, training_slices or ids(s, "train"), p.comparison.slices, seed)
    return SliceRun(
        slices=s.key,
        labels=s.labels,
        classes=classes_of(s.table["finding"]),
        training_slices=tuple(training_slices or ids(s, "train")),
        test_slices=tuple(ids(s, "test")),
        backbone=backbone,
        supervised=supervised,
        loss=loss,
        losses=p.slice_losses.model_dump(),
        training=settings,
        precision=p.slice_network.precision,
        seed=seed,
        weights=weights(p, backbone),
    )


def dsn_saal(p, s: Slices, seed: int, training_slices: list[str] | None = None) -> SliceRun:
    """DSN-SAAL: deep supervision and SAAL together (paper B, 3.2 and 3.3)."""
    return run(p, s, seed, supervised=True, loss="saal", training_slices=training_slices)


def self_trans(p, s: Slices, seed: int) -> SliceRun:
    """Self-Trans (He et al. 2020; paper B, Table 3): DenseNet-169 after contrastive pre-training on the training slices."""
    started = run(p, s, seed, backbone="densenet169")
    train = list(started.training_slices)
    settings = {
        "epochs": p.comparison.contrastive_epochs,
        "batch_size": p.slice_training.batch_size,
        "seed": seed,
        "precision": p.slice_network.precision,
    }
    weights = started.weights.sha256 if started.weights else None
    config = {"slices": s.key, "train": train, "weights": weights, "classes": started.classes, **settings}

    def compute(folder: Path) -> None:
        torch.manual_seed(seed)
        network, slices = network_of(started), s.of(train)
        history = train_contrastive(folder, slices, network, **settings)
        seen = 2 * len(slices) * settings["epochs"]  # two views of each
        spent = {
            "seconds": float(history["seconds"].sum()),
            "exams_seen": seen,
            "flops": seen * training_flops(network, slices[:1]),
        }
        (folder / "spent.json").write_text(json.dumps(spent))

    folder = artefact(
        paths.build(p.study.name) / "pretext", "contrastive", config, ["tables.slice_steps"], compute
    )
    spent = json.loads((folder / "spent.json").read_text())
    return replace(
        started,
        encoder=str(folder),
        before=spent["seconds"],
        exams_before=spent["exams_seen"],
        flops_before=spent["flops"],
    )


def transfer_chexnet(p, s: Slices, seed: int) -> SliceRun | None:
    """Transfer-CheXNet (Li et al. 2021; paper B, Table 3): DenseNet-121 from ChestX-ray weights; None without a file."""
    found, _ = chexnet.find(p.comparison.chexnet)
    if found is None:
        return None
    return replace(run(p, s, seed, backbone=chexnet.BACKBONE), weights=found)


def meta_weight_net(p, s: Slices, seed: int) -> SliceRun:
    """Meta-Weight-Net (Shu et al. 2019; paper B, Table 3) on the backbone of `slice_network`."""
    train = np.array(ids(s, "train"))
    labels = numbers(s.table.loc[train, "finding"], classes_of(s.table["finding"]))
    kept, meta = meta_weights.meta_set(
        labels, s.table.loc[train, "patient_id"], p.comparison.meta_share, seed
    )
    weighted = run(p, s, seed, training_slices=list(train[kept]))
    return replace(weighted, meta_slices=tuple(train[meta]), meta_every=p.comparison.meta_every)


def weights(p, backbone: str) -> pretrained.Weights | None:
    """The ImageNet weights that a backbone starts from here; None: it starts from random ones."""
    return pretrained.find(backbone, p.slice_network.weights, p.slice_network.weights_folder)
