"""The runs behind Tables 3 and 4 of paper B: other networks beside DSN-SAAL, and networks without and with supervision."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from covid_study.networks import chexnet, deep_supervision
from covid_study.samples.samples import Samples
from covid_study.scores.published import table as published
from covid_study.scores.slice_claims import COLUMN
from covid_study.tables import slice_steps
from covid_study.tables.ablation import Cell, learning_curves
from covid_study.tables.slice_ablation import joined, labels
from covid_study.training.run import Run

LOSSES = {False: "cross-entropy", True: "six cross-entropies"}  # by whether a network is supervised


def table_3(p, s: Samples) -> dict[Cell, Run]:
    """The runs of Table 3, seed by seed (paper B, 5.1).

    Rows: plain backbones, that of `slice_network` first, which the paper may lack; self_trans, transfer_chexnet,
    meta_weight_net where the parameters have them (see `not_run`); dsn_saal.
    """
    plain = dict.fromkeys([p.slice_network.backbone, *p.comparison.backbones])
    found = {}
    for seed in p.slice_training.seeds:
        rows = {name: slice_steps.run(p, s, seed, backbone=name) for name in plain}
        if p.comparison.contrastive_epochs:
            rows["self_trans"] = slice_steps.self_trans(p, s, seed)
        if transferred := slice_steps.transfer_chexnet(p, s, seed):
            rows["transfer_chexnet"] = transferred
        if p.comparison.meta_share:
            rows["meta_weight_net"] = slice_steps.meta_weight_net(p, s, seed)
        rows["dsn_saal"] = slice_steps.dsn_saal(p, s, seed)
        found |= {(row, COLUMN, seed): run for row, run in rows.items()}
    return found


def table_4(p, s: Samples) -> dict[Cell, Run]:
    """The runs of Table 4: cross-entropy at the end alone, or at all six stages too (paper B, 5.2, eq. 2).

    Rows: the backbone of `slice_network` and those of `comparison.supervised`; columns: baseline (a row of Table 3), dsn.
    """
    rows = dict.fromkeys([p.slice_network.backbone, *p.comparison.supervised])
    return {
        (row, column, seed): slice_steps.run(p, s, seed, backbone=row, supervised=column == "dsn")
        for seed in p.slice_training.seeds
        for row in rows
        for column in ("baseline", "dsn")
    }


def not_run(p) -> list[str]:
    """Why rows of Table 3 are left out, a sentence each."""
    names, said = labels("B.3"), []
    _, reason = chexnet.find(p.comparison.chexnet)
    if p.comparison.chexnet is None:
        said.append(reason)
    if not p.comparison.contrastive_epochs:
        said.append("Self-Trans is left out: comparison.contrastive_epochs is 0.")
    if not p.comparison.meta_share:
        said.append("Meta-Weight-Net is left out: comparison.meta_share is 0.")
    others = ("self_trans", "transfer_chexnet", "meta_weight_net", "dsn_saal")
    there = {p.slice_network.backbone, *p.comparison.backbones, *others}
    if absent := [names[row] for row in dict.fromkeys(published("B.3")["row"]) if row not in there]:
        said.append(f"Not in comparison.backbones: {', '.join(absent)}.")
    return said


def parameters(p) -> pd.DataFrame:
    """Parameters of the networks of Table 4, plain and supervised, beside the printed ones (paper B, 5.2).

    Counted as the paper does, at three classes and one grey channel; nothing is trained for it.

    Returns:
        What `show.join_published` returns for "B.4"; metric "params".
    """
    rows = dict.fromkeys([*published("B.4")["row"], *p.comparison.supervised, p.slice_network.backbone])
    counted = pd.DataFrame([{"row": row} | deep_supervision.sizes(row) for row in rows])
    return joined(counted.melt("row", var_name="column", value_name="mean").assign(metric="params"), "B.4")


def parameters_sentence(counted: pd.DataFrame) -> str:
    """How much deep supervision adds, and where the counts differ from Table 4. counted: of `parameters`."""
    wide = counted[counted["metric"] == "params"].pivot(index="label", columns="column", values="mean")
    added = (wide["dsn"] - wide["baseline"]).sort_values()
    counts = counted[(counted["metric"] == "params") & counted["in_paper"]].copy()
    counts["off"] = (counts["mean"] - counts["published"]).abs() > 0.00501e6  # Table 4 prints two decimals
    same = int((~counts["off"]).sum())
    text = (
        f"Supervision adds {added.iloc[0] / 1e6:.3f} M ({added.index[0]}) to {added.iloc[-1] / 1e6:.3f} M parameters "
        f"({added.index[-1]}). Of the {len(counts)} numbers of parameters in Table 4, {same} are ours too"
    )
    wrong = [
        f"{r.label} with supervision has {r.mean / 1e6:.2f} M, the table {r.published / 1e6:.2f} M"
        if r.column == "dsn"
        else f"{r.label} has {r.mean / 1e6:.2f} M, the table {r.published / 1e6:.2f} M"
        for r in counts[counts["off"]].itertuples()
    ]
    return f"{text}; {'; '.join(wrong)}." if wrong else f"{text}."


def history(runs: Mapping[Cell, Run], folders: Mapping[Cell, Path]) -> pd.DataFrame:
    """`ablation.learning_curves` of several tables, each run once, a column a kind of loss: sums of six are no means of one."""
    first: dict[Path, Cell] = {}
    for cell, folder in folders.items():
        first.setdefault(folder, cell)
    found = learning_curves({cell: folder for folder, cell in first.items()})
    kinds = {cell: _kind(run) for cell, run in runs.items()}
    cells = zip(found["row"], found["column"], found["seed"], strict=True)
    return found.assign(column=[kinds[cell] for cell in cells])


def _kind(run: Run) -> str:
    if run.method.meta_ids:
        return "weighted cross-entropy"
    return LOSSES[run.method.supervised] if run.method.loss == "ce" else run.method.loss
