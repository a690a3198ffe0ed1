"""The way of the data through paper B: which slices a run is trained on, from which weights, and how."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from sklearn.model_selection import train_test_split

from covid_study.cohort.findings import classes_of, numbers
from covid_study.losses.meta_weight_net import meta_set
from covid_study.networks import chexnet, weights as first_weights
from covid_study.networks.precision import settled
from covid_study.pretext.contrastive import SelfTrans
from covid_study.rivals.feature_classifiers import FeatureClassifier
from covid_study.samples.samples import Samples
from covid_study.training.run import Method, Run, Spent
from covid_study.training.slice_classifier import SliceClassifier
from covid_study.training.sweep import pretrained


def ids(s: Samples, split: str) -> list[str]:
    """Slice ids of a split, "train" or "test", sorted."""
    return sorted(s.table.index[s.table["split"] == split])


def fewer_positives(s: Samples, share: float, seed: int) -> list[str]:
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


def at_most(s: Samples, slice_ids: list[str], most: int | None, seed: int) -> list[str]:
    """At most so many of these slices, drawn at random within their classes; None: all of them."""
    if most is None or len(slice_ids) <= most:
        return slice_ids
    findings = s.table.loc[slice_ids, "finding"]
    most = min(most, len(slice_ids) - findings.nunique())  # one of each class at least is left out
    return sorted(train_test_split(slice_ids, train_size=most, stratify=findings, random_state=seed)[0])


def run(
    p,
    s: Samples,
    seed: int,
    *,
    backbone: str | None = None,
    supervised: bool = False,
    loss: str = "ce",
    training_ids: list[str] | None = None,
    wrong_labels: float = 0.0,
) -> Run:
    """A classifier of slices (paper B, 3.4 and 4.3).

    Choice: a backbone other than that of `slice_network` is trained for `comparison.epochs`, on at most `comparison.slices`
    training slices with the same share of each class: a small profile has no time for more.

    Args:
        backbone: None: that of `slice_network`. loss: of Table 5. training_ids: None: all of the training split.
        wrong_labels: see `SliceClassifier`.
    """
    own = backbone in (None, p.slice_network.backbone)
    backbone = backbone or p.slice_network.backbone
    training_ids = training_ids or ids(s, "train")
    settings = p.slice_training.model_dump(exclude={"seeds"})
    if not own:
        settings["epochs"] = p.comparison.epochs
        training_ids = at_most(s, training_ids, p.comparison.slices, seed)
    method = SliceClassifier(
        backbone,
        supervised,
        loss,
        losses=p.slice_losses.model_dump(exclude={"more_seeds", "noise_shares"}),
        training=settings,
        precision=settled(p.slice_network.precision, backbone, max(s.data.shape[1:]), s.device),
        weights=weights(p, backbone),
        wrong_labels=wrong_labels,
    )
    return _run(s, training_ids, method, seed)


def _run(s: Samples, training_ids: Sequence[str], method: Method, seed: int, test_ids=None) -> Run:
    return Run.of(s, training_ids, test_ids or ids(s, "test"), method, classes_of(s.table["finding"]), seed)


def dsn_saal(p, s: Samples, seed: int, training_ids: list[str] | None = None) -> Run:
    """DSN-SAAL: deep supervision and SAAL together (paper B, 3.2 and 3.3)."""
    return run(p, s, seed, supervised=True, loss="saal", training_ids=training_ids)


def self_trained(p, s: Samples, seeds: Iterable[int]) -> dict[int, Run]:
    """Self-Trans (He et al. 2020; paper B, Table 3): DenseNet-169 after contrastive pre-training on the training slices.

    The pre-trainings that are not there yet are made, side by side.

    Returns:
        Seed -> the run that starts from it.
    """
    settings = p.comparison.contrastive_epochs, p.slice_training.batch_size
    starting = {("Self-Trans", seed): run(p, s, seed, backbone="densenet169") for seed in seeds}
    before = {
        key: replace(started, method=SelfTrans(started.method, *settings), labels="", test_ids=())
        for key, started in starting.items()
    }
    found = {}
    for key, folder in pretrained(p.study, s, before).items():
        method = replace(starting[key].method, encoder=str(folder))
        found[key[1]] = replace(starting[key], method=method, before=Spent.on([folder]))
    return found


def transfer_chexnet(p, s: Samples, seed: int) -> Run | None:
    """Transfer-CheXNet (Li et al. 2021; paper B, Table 3): DenseNet-121 from ChestX-ray weights; None without a file."""
    found, _ = chexnet.find(p.comparison.chexnet)
    if found is None:
        return None
    started = run(p, s, seed, backbone=chexnet.BACKBONE)
    return replace(started, method=replace(started.method, weights=found))


def other_weights(p, s: Samples, seeds: Iterable[int]) -> dict[int, dict[str, Run]]:
    """Rows that start from other weights, by seed: self_trans where it has epochs, transfer_chexnet where its file is there."""
    trained = self_trained(p, s, seeds) if p.comparison.contrastive_epochs else {}
    found = {}
    for seed in seeds:
        rows = {"self_trans": trained.get(seed), "transfer_chexnet": transfer_chexnet(p, s, seed)}
        found[seed] = {name: run for name, run in rows.items() if run}
    return found


def meta_weight_net(p, s: Samples, seed: int) -> Run:
    """Meta-Weight-Net (Shu et al. 2019; paper B, Table 3) on the backbone of `slice_network`."""
    train = np.array(ids(s, "train"))
    labels = numbers(s.table.loc[train, "finding"], classes_of(s.table["finding"]))
    kept, meta = meta_set(labels, s.table.loc[train, "patient_id"], p.comparison.meta_share, seed)
    weighted = run(p, s, seed, training_ids=list(train[kept]))
    every = p.comparison.meta_every
    return replace(weighted, method=replace(weighted.method, meta_ids=tuple(train[meta]), meta_every=every))


def on_features(p, s: Samples, seed: int, name: str, training_ids=None, test_ids=None) -> Run:
    """A row of Table 9 that no gradient trains, see `FeatureClassifier`; xDNN compares features of `slice_network`'s backbone.

    Args:
        name: one of `feature_classifiers.METHODS`. training_ids, test_ids: None: all of the split.
    """
    backbone = p.slice_network.backbone if name == "xdnn" else None
    method = FeatureClassifier(name, backbone, weights(p, backbone) if backbone else None)
    return _run(s, training_ids or ids(s, "train"), method, seed, test_ids)


def weights(p, backbone: str) -> first_weights.Weights | None:
    """The ImageNet weights that a backbone starts from here; None: it starts from random ones."""
    return first_weights.find(backbone, p.slice_network.weights, p.slice_network.weights_folder)
