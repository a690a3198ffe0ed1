"""Tables 3 and 4 of paper B: other networks beside DSN-SAAL, and networks without and with deep supervision (5.1 and 5.2)."""

from dataclasses import replace

import pandas as pd
import torch

from covid_study.networks import backbones, chexnet, deep_supervision
from covid_study.report.words import column_head
from covid_study.samples.samples import Samples
from covid_study.scores import published
from covid_study.tables import slice_steps
from covid_study.tables.scoring import SLICES
from covid_study.tables.slice_rows import COLUMN, OURS, terms, unequal, words
from covid_study.tables.table import Table


def table_3(p, s: Samples) -> Table:
    """Table 3, seed by seed.

    Rows: plain backbones, that of `slice_network` first, which the paper may lack; self_trans, transfer_chexnet,
    meta_weight_net where the parameters have them (see `not_run`); dsn_saal. Its claim is about the rows on equal terms.
    """
    plain = dict.fromkeys([p.slice_network.backbone, *p.comparison.backbones])
    runs, others = {}, slice_steps.other_weights(p, s, p.slice_training.seeds)
    for seed in p.slice_training.seeds:
        rows = {name: slice_steps.run(p, s, seed, backbone=name) for name in plain} | others[seed]
        if p.comparison.meta_share:
            rows["meta_weight_net"] = slice_steps.meta_weight_net(p, s, seed)
        rows[OURS] = slice_steps.dsn_saal(p, s, seed)
        runs |= {(row, COLUMN, seed): run for row, run in rows.items()}
    left = {"words": words("B.3"), "but_not": tuple(unequal(runs))}
    return Table("B.3", runs, s, p.study, main="B1", scoring=SLICES, **left)


def table_4(p, s: Samples) -> Table:
    """Table 4: cross-entropy at the end alone, or at all six stages too (eq. 2); and the parameters of each network.

    Rows: the backbone of `slice_network` and those of `comparison.supervised`; columns: baseline (a row of Table 3), dsn.
    """
    rows = dict.fromkeys([p.slice_network.backbone, *p.comparison.supervised])
    runs = {
        (row, column, seed): slice_steps.run(p, s, seed, backbone=row, supervised=column == "dsn")
        for seed in p.slice_training.seeds
        for row in rows
        for column in ("baseline", "dsn")
    }
    counted = parameters(rows).set_index(["row", "column"])["mean"]
    known = {"params": {cell: float(counted[cell[:2]]) for cell in runs}}
    own = {terms(run) for (row, *_), run in runs.items() if row == p.slice_network.backbone}
    less = tuple(
        {row for (row, *_), run in runs.items() if terms(run) not in own}
    )  # trained for less: no gain to speak of
    return Table(
        "B.4", runs, s, p.study, main="B4", scoring=SLICES, words=words("B.4"), known=known, but_not=less
    )


def of_weights(p, s: Samples) -> Table:
    """A table that the paper lacks: a plain network from its ImageNet weights and from random ones (paper B, 4.3).

    The backbone of `slice_network` where its weights are at hand, else EfficientNet-Lite0, whose come with the environment;
    trained as in Table 3. Without weights it has no runs.
    """
    names = p.slice_network.backbone, "efficientnet_lite0"
    backbone = next((name for name in names if slice_steps.weights(p, name)), None)
    runs = {}
    for seed in p.slice_training.seeds if backbone else ():
        given = slice_steps.run(p, s, seed, backbone=backbone)
        runs["imagenet", COLUMN, seed] = given
        runs["random_weights", COLUMN, seed] = replace(given, method=replace(given.method, weights=None))
    return Table("B.weights", runs, s, p.study, main="B26", scoring=SLICES, words=words(None))


def parameters(rows) -> pd.DataFrame:
    """Parameters of the printed networks and of others, plain and supervised, at three classes and one grey channel.

    Returns:
        row, column (baseline, dsn), metric ("params"), mean; nothing is trained for it.

    >>> int(parameters([]).set_index(["row", "column"])["mean"].loc[("resnet50", "baseline")])
    23507907
    """
    rows = dict.fromkeys([*published.table("B.4")["row"], *rows])
    counted = pd.DataFrame([{"row": row} | deep_supervision.sizes(row) for row in rows])
    return counted.melt("row", var_name="column", value_name="mean").assign(metric="params")


def stages(name: str, pixels: int, classes: int = 3) -> pd.DataFrame:
    """The stages of a supervised backbone at slices of so many pixels (paper B, Fig. 2); nothing is allocated for it.

    Returns:
        A row a stage, from shallow to deep: layers (watched), channels and pixels (a side) of the last of them, and parameters
        (of the stage's classifier).

    >>> stages("vgg16_bn", 224)["pixels"].tolist()
    [224, 112, 56, 28, 14]
    """
    rows = []
    with torch.device("meta"):
        model = deep_supervision.DeepSupervision(backbones.build(name, classes)).eval()
        for head in model.auxiliaries:
            head.register_forward_pre_hook(lambda head, given: rows.append((head, given[0])))
        model(torch.zeros(1, 1, pixels, pixels))
    found = [(len(m), m[-1].shape[1], m[-1].shape[-1], deep_supervision.n_parameters(h)) for h, m in rows]
    return pd.DataFrame(found, columns=["layers", "channels", "pixels", "parameters"])


def not_run(p) -> pd.DataFrame:
    """Rows of Table 3 that are left out, and why: by key, row in words, reason."""
    _, reason = chexnet.find(p.comparison.chexnet)
    lacking = {
        "transfer_chexnet": reason if p.comparison.chexnet is None else "",
        "self_trans": "" if p.comparison.contrastive_epochs else "comparison.contrastive_epochs is 0",
        "meta_weight_net": "" if p.comparison.meta_share else "comparison.meta_share is 0",
    }
    there = {p.slice_network.backbone, *p.comparison.backbones, *lacking, OURS}
    lacking |= {
        row: "not in comparison.backbones" for row in published.table("B.3")["row"] if row not in there
    }
    named = [(row, column_head(row), why) for row, why in lacking.items() if why]
    return pd.DataFrame(named, columns=["key", "row", "reason"]).set_index("key")
