"""Tables of paper B: their rows and columns, runs that they share, and what makes a row no measure of DSN-SAAL."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import metrics as sk
from tiny_study import parameters

from covid_study import paths
from covid_study.analysis import line_or_ranking
from covid_study.errors import CohortError
from covid_study.networks.weights import Weights
from covid_study.params import profiles
from covid_study.samples.samples import Samples
from covid_study.scores import published
from covid_study.tables import (
    b3_b4_networks,
    b5_losses,
    b6_fewer_positives,
    b7_b9_public,
    selection_and_supervision as choosing,
    slice_rows,
    slice_steps,
)
from covid_study.tables.scoring import SLICES
from covid_study.tables.table import Table

FINDINGS = ("covid", "cap", "non_pneumonia")


@pytest.fixture(scope="module")
def p():
    values = profiles.load_profile(paths.root() / "params" / "smoke.yaml")
    values["slice_network"] |= {"backbone": "mobilenet_v2", "weights": "none"}
    values["slice_training"]["seeds"] = [0, 1]
    values["comparison"] |= {"backbones": ["resnet50"], "contrastive_epochs": 0, "meta_share": 0, "epochs": 7}
    values["imbalance"] = {"shares": [1.0, 0.5, 0.1], "losses": ["ce", "focal"], "loss_shares": [1.0, 0.1]}
    return profiles.check(profiles.Profile, values, "test")


@pytest.fixture(scope="module")
def s():
    rows = [
        (f"{f}{n}_{k}", f"{f}{n}", f, "test" if n >= 10 else "train")
        for f in FINDINGS
        for n in range(12)
        for k in range(4)
    ]
    table = pd.DataFrame(rows, columns=["slice_id", "patient_id", "finding", "split"]).set_index("slice_id")
    table = table.assign(exam_id=table["patient_id"])
    return Samples(table, torch.zeros(len(table), 32, 32), "store", Path())


def said(seed: int, n: int = 36) -> pd.DataFrame:
    """Planted predictions of n test slices, three of a patient."""
    p = np.random.default_rng(seed).dirichlet(np.ones(3), n)
    finding = np.repeat(np.resize(FINDINGS, n // 3), 3)
    ids = {"slice_id": [f"s{i:02}" for i in range(n)], "patient_id": [f"p{i // 3}" for i in range(n)]}
    table = pd.DataFrame(
        ids | {"finding": finding, "split": "test", "label": (finding == "covid").astype(int)}
    )
    return table.assign(probability=p[:, 0], **{f"p_{name}": p[:, i] for i, name in enumerate(FINDINGS)})


def cells(table: Table) -> set[tuple[str, str]]:
    return {cell[:2] for cell in table.runs}


def test_rows_and_columns(p, s):
    third, fourth = b3_b4_networks.table_3(p, s), b3_b4_networks.table_4(p, s)
    assert cells(third) == {(row, "slices") for row in ("mobilenet_v2", "resnet50", "dsn_saal")}
    assert {column for _, column in cells(fourth)} == {"baseline", "dsn"}
    fifth, printed = b5_losses.table(p, s), published.table("B.5")
    assert set(printed["row"]) <= {row for row, _ in cells(fifth)}
    sixth, methods = b6_fewer_positives.table(p, s), b6_fewer_positives.METHODS
    assert cells(sixth) == {(row, m) for row in ("100%", "50%", "10%") for m in methods}
    assert not slice_rows.unequal(sixth.runs)  # DSN-SAAL is a column there
    assert {row for row, _ in cells(b6_fewer_positives.losses(p, s))} == {"ce", "focal", "dsn_saal"}


def test_parts_of_saal_are_asked_with_right_and_with_wrong_labels(p, s):
    runs, fifth = b5_losses.parts(p, s).runs, b5_losses.table(p, s).runs
    assert {run.method.wrong_labels for (_, column, _), run in runs.items() if column == "40%"} == {0.4}
    for row in (*b5_losses.LOSSES, "dsn_saal"):
        assert runs[row, "0%", 1] == fifth[row, "slices", 1]
    both = {row for row, column, _ in runs if column == "40%"}
    assert both == {*b5_losses.LOSSES, "saal_no_reverse", "dsn_saal"}
    assert {row for row, *_ in runs} - both == {"inverse_frequency", "dsn_saal_one_beta"}


def test_a_sweep_has_five_seeds_at_most_and_its_tables_all(p, s):
    losses = p.slice_losses.model_copy(update={"more_seeds": [2, 3, 4, 5, 6]})
    more = p.model_copy(update={"slice_losses": losses})
    for made, seeds in (
        (b5_losses.table, 7), (b6_fewer_positives.table, 7), (b5_losses.parts, 5), (b6_fewer_positives.losses, 5)
    ):  # fmt: skip
        assert {seed for *_, seed in made(more, s).runs} == set(range(seeds))


def test_imagenet_weights_against_random_ones_and_nothing_else(p, s, monkeypatch):
    found = {"efficientnet_lite0": Weights("efficientnet_lite0", Path("w.pth"), "0", "")}
    monkeypatch.setattr(slice_steps, "weights", lambda p, backbone: found.get(backbone))
    runs = b3_b4_networks.of_weights(p, s).runs
    assert {seed for *_, seed in runs} == set(p.slice_training.seeds)
    for seed in p.slice_training.seeds:
        given, random = (runs[row, "slices", seed] for row in ("imagenet", "random_weights"))
        assert given.method.backbone == "efficientnet_lite0" and random.method.weights is None
        assert replace(given, method=replace(given.method, weights=None)) == random
    own = p.slice_network.backbone
    found[own] = Weights(own, Path("w.pth"), "0", "")
    runs, third = b3_b4_networks.of_weights(p, s).runs, b3_b4_networks.table_3(p, s).runs
    assert runs["imagenet", "slices", 1] == third[own, "slices", 1]
    found.clear()
    assert not b3_b4_networks.of_weights(p, s).runs


def test_a_table_without_runs_is_empty(p, s):
    losses = p.slice_losses.model_copy(update={"noise_shares": []})
    table = replace(b5_losses.parts(p.model_copy(update={"slice_losses": losses}), s), study=None)
    assert not table.runs
    empty = replace(table, planted={})
    assert empty.results().empty and empty.claims()["verdict"].eq("open").all()


def test_tables_share_their_runs(p, s):
    third, fourth = b3_b4_networks.table_3(p, s).runs, b3_b4_networks.table_4(p, s).runs
    fifth, sixth = b5_losses.table(p, s).runs, b6_fewer_positives.table(p, s).runs
    own = p.slice_network.backbone
    same = fourth[own, "baseline", 0], fifth["ce", "slices", 0], sixth["100%", "baseline", 0]
    assert all(run == third[own, "slices", 0] for run in same)
    assert third["dsn_saal", "slices", 1] == fifth["dsn_saal", "slices", 1] == sixth["100%", "dsn_saal", 1]
    assert fourth[own, "dsn", 0] == fifth["dsn", "slices", 0]
    losses = b6_fewer_positives.losses(p, s).runs
    assert losses["ce", "10%", 0] == sixth["10%", "baseline", 0]


def test_a_table_whose_baseline_has_learnt_too_little_means_nothing():
    whole, few = ("100%", "baseline"), ("25%", "baseline")
    good = said(0).assign(
        **{f"p_{name}": lambda t, name=name: (t["finding"] == name) * 0.8 + 0.1 for name in FINDINGS}
    )
    blind = good.assign(p_covid=0.0, probability=0.0)
    for of_whole, of_few, passed in (
        (good, blind, [True, True, False]),
        (said(1), good, [False, False, False]),
    ):
        found = Table("B.6", planted={(*whole, 0): of_whole, (*few, 0): of_few}, scoring=SLICES)
        assert slice_rows.gates(found, whole, few)["passed"].tolist() == passed
        assert len(slice_rows.gates(found, whole)) == 2 and slice_rows.gates(found, few, whole)[
            "score"
        ].tolist() == ["acc", "auc", "sen"]


def test_a_row_that_was_trained_for_less_is_no_measure(p, s):
    third = b3_b4_networks.table_3(p, s)
    assert slice_rows.unequal(third.runs) == {"resnet50"} == set(third.but_not)
    method = third.runs["mobilenet_v2", "slices", 0].method
    assert not slice_rows.unequal({cell: replace(run, method=method) for cell, run in third.runs.items()})


def test_rows_that_are_not_run_have_their_reason(p):
    why = b3_b4_networks.not_run(p)["reason"]
    assert {"self_trans", "transfer_chexnet", "meta_weight_net", "densenet169"} <= set(why.index)
    assert "contrastive_epochs" in why["self_trans"] and "resnet50" not in why


def test_printed_parameters_and_ours_agree_where_the_text_allows():
    counted = b3_b4_networks.parameters([]).set_index(["row", "column"])["mean"]
    printed = published.table("B.4").query("metric == 'params'").set_index(["row", "column"])["value"]
    off = {cell for cell in printed.index if abs(counted[cell] - printed[cell]) > 0.00501e6}
    assert off == {("vgg16_bn", "dsn")}  # no reading of the text gives the printed 134.32 M


def test_the_shares_are_counted(p, s):
    kept = b6_fewer_positives.kept(b6_fewer_positives.table(p, s)).set_index(["row", "seed"])
    expected = {"100%": 40, "50%": 20, "10%": 4}
    assert kept["slices"].to_dict() == {(row, k): n for row, n in expected.items() for k in (0, 1)}
    assert kept.loc[("10%", 0), ["patients", "others", "published"]].tolist() == [1, 80, 126]


def test_a_moved_line_keeps_the_order_and_undoes_the_share():
    told, share = said(0), 0.1
    moved = line_or_ranking.moved_back(told, share)
    odds = (moved["p_covid"] / (1 - moved["p_covid"])) / (told["p_covid"] / (1 - told["p_covid"]))
    assert np.allclose(odds, 1 / share)
    before, after = (sk.roc_auc_score(told["label"], t["p_covid"]) for t in (told, moved))
    assert before == after


def test_changes_are_differences_to_the_run_with_all_slices():
    cells = [("100%", "baseline", 0), ("10%", "baseline", 0)]
    table = Table("B.6", scoring=SLICES, planted={cell: said(i) for i, cell in enumerate(cells)})
    changed = line_or_ranking.changes(table).set_index("metric")["difference"]
    auc = [sk.roc_auc_score(said(i)["label"], said(i)["p_covid"]) for i in (0, 1)]
    assert changed["auc"] == pytest.approx(auc[1] - auc[0])
    scores = table.results().dropna(subset="mean").set_index(["row", "metric"])["mean"]
    assert changed["sen"] == pytest.approx(scores["10%", "sen"] - scores["100%", "sen"])


def test_folds_test_every_slice_once_and_part_no_patient(s):
    folds = b7_b9_public.folds(s, 4, 0)
    tested = [name for _, test in folds.values() for name in test]
    assert sorted(tested) == sorted(s.table.index)
    for train, test in folds.values():
        assert not set(train) & set(test)
        assert not set(s.table.loc[train, "patient_id"]) & set(s.table.loc[test, "patient_id"])
    with pytest.raises(CohortError, match="public.folds"):
        b7_b9_public.folds(s, 13, 0)


def test_few_of_each_class_are_drawn_from_the_training_slices(s):
    few = s.table.loc[b7_b9_public.few_of_each(s, 5, 0)]
    assert (few["split"] == "train").all() and (few["finding"].value_counts() == 5).all()


def test_trainings_see_no_more_slices_than_the_profile_allows(root, s):
    q = parameters(root, slices={"images": "x"}, public={"slices_seen": 300})
    train, test = b7_b9_public.folds(s, 4, 0)["fold 1"]
    runs = {("dsn_saal", "fold 1", seed): slice_steps.dsn_saal(q, s, seed, train) for seed in range(2)}
    training = runs["dsn_saal", "fold 1", 0].method.training | {"epochs": 9}
    runs = {
        c: replace(r, method=replace(r.method, training=training), test_ids=tuple(test))
        for c, r in runs.items()
    }
    runs |= {("xdnn", "fold 1", 0): slice_steps.on_features(q, s, 0, "xdnn", train, test)}
    short = slice_steps.run(q, s, 0, training_ids=train[:20])
    runs |= {
        ("ce", "fold 1", 0): replace(short, method=replace(short.method, training=training | {"epochs": 1}))
    }
    cut, said = b7_b9_public.within(q, s, runs)
    cells = [cell for cell in runs if cell[0] == "dsn_saal"]
    assert all(cut[cell] == runs[cell] for cell in runs if cell not in cells)
    seen = [cut[cell].seen for cell in cells]
    assert len(set(seen)) == 1 and 280 - 2 * 9 <= sum(seen) <= 280 and "300" in said
    for cell in cells:
        assert set(cut[cell].training_ids) <= set(train) and cut[cell].test_ids == tuple(test)
        assert cut[cell].seen == len(cut[cell].training_ids) * cut[cell].method.training["epochs"]
    assert b7_b9_public.within(parameters(root, slices={"images": "x"}), s, runs) == (runs, "")


def test_the_folds_of_a_row_are_one_answer():
    half = said(0).query("finding != 'other'")
    parts = {("ce", "fold 1", 0): half.iloc[:18], ("ce", "fold 2", 0): half.iloc[18:]}
    table = b7_b9_public.Folded("B.9", scoring=SLICES, planted=parts)
    ((cell, whole),) = table.predictions().items()
    assert cell == ("ce", "slices", 0) and len(whole) == 36 and (whole["split"] == "test").all()


def test_a_data_set_has_its_table_and_its_networks(p):
    tables = {"covid-ct": "B.8", "sars-cov-2": "B.9", "covidx-ct-2a": "B.7", "": None}
    assert {name: b7_b9_public.table_of(name) for name in tables} == tables
    assert b7_b9_public.plain(p, "B.7") == ["mobilenet_v2"]
    assert "resnet50" in b7_b9_public.plain(p, "B.9")


def test_every_finding_is_in_a_selection_and_a_smaller_part_is_part_of_a_larger():
    finding = pd.Series(["cap"] * 5 + ["normal"], index=list("abcdef"))
    order = choosing.random_order(list("abcdef"), 1)
    assert set(order[:2]) <= set(order[:4])
    part = choosing.with_every(finding, ["a", "b"], list("abcdef"))
    assert len(part) == 2 and set(finding[part]) == {"cap", "normal"}


def test_what_choosing_gains_at_each_share_averages_to_the_claim():
    rows = [f"{name}_{loss}" for name in choosing.NEGATIVES for loss in choosing.LOSSES]
    cells = [(row, share, 0) for row in rows for share in ("100%", "50%")]
    table = Table("selection", scoring=SLICES, planted={cell: said(i) for i, cell in enumerate(cells)})
    gains = choosing.effects(table).set_index(["key", "column"])["difference"]
    scores = table.results().query("metric == 'gmean'").set_index(["row", "column"])["mean"]
    gain = scores["dual_track_saal", "50%"] - scores["random_saal", "50%"]
    assert gains["S1", "50%"] == pytest.approx(gain)
    assert gains["S3", "mean"] == pytest.approx(gains[[("S3", "100%"), ("S3", "50%")]].mean())
    alone = Table(
        "selection", scoring=SLICES, planted={cell: said(i) for i, cell in enumerate(cells) if "50%" in cell}
    )
    assert set(choosing.effects(alone)["column"]) == {"50%"}  # and no mean of one
