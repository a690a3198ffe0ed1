"""Table 6: which slices are left, which runs are shared, and what a moved line does to the scores."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from covid_study import paths
from covid_study.params import profiles
from covid_study.samples.samples import Samples
from covid_study.scores import old_claims as claims, slice_claims, slices as slice_metrics
from covid_study.tables import b6_fewer_positives, slice_ablation, slice_steps
from tests.scores.test_slice_claims import predictions

FINDINGS = ("covid", "cap", "non_pneumonia")


def parameters(**changed):
    values = profiles.load_profile(paths.root() / "params" / "smoke.yaml")
    values["slice_network"] |= {"backbone": "mobilenet_v2", "weights": "none"}
    values["slice_training"]["seeds"] = [0, 1]
    values["imbalance"] = {
        "shares": [1.0, 0.5, 0.1],
        "losses": ["ce", "focal"],
        "loss_shares": [1.0, 0.1],
    } | changed
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
    return Samples(
        table.assign(exam_id=table["patient_id"]), torch.zeros(len(table), 32, 32), "store", Path()
    )


@pytest.fixture(scope="module")
def runs(s):
    return b6_fewer_positives.sweep(parameters(), s)


def test_every_share_and_method_is_a_run(runs):
    cells = {cell[:2] for cell in runs}
    assert cells == {(row, m) for row in ("100%", "50%", "10%") for m in b6_fewer_positives.METHODS} | {
        ("100%", "focal"),
        ("10%", "focal"),
    }
    assert len(runs) == 2 * len(cells)
    assert list(dict.fromkeys(row for row, _, _ in runs)) == ["100%", "50%", "10%"]


def test_with_all_slices_they_are_the_runs_of_the_other_tables(s, runs):
    p, folder = parameters(), Path("runs")
    for seed in (0, 1):
        same = {
            "baseline": slice_steps.run(p, s, seed),
            "dsn_saal": slice_steps.dsn_saal(p, s, seed),
            "focal": slice_steps.run(p, s, seed, loss="focal"),
        }
        for method, run in same.items():
            assert runs["100%", method, seed].folder(folder) == run.folder(folder)
            assert runs["10%", method, seed].folder(folder) != run.folder(folder)


def test_what_is_left_is_nested_and_goes_by_patient(s, runs):
    covid = set(s.table.index[(s.table["finding"] == "covid") & (s.table["split"] == "train")])
    others = set(s.table.index[(s.table["finding"] != "covid") & (s.table["split"] == "train")])
    for seed in (0, 1):
        left = {row: set(runs[row, "baseline", seed].training_ids) for row in ("100%", "50%", "10%")}
        assert left["10%"] < left["50%"] < left["100%"] == covid | others
        assert all(others < slices for slices in left.values())
        for row, (patients, slices) in {"50%": (5, 20), "10%": (1, 4)}.items():
            table = s.table.loc[sorted(left[row] & covid)]
            assert (table["patient_id"].nunique(), len(table)) == (patients, slices)
        assert runs["50%", "dsn_saal", seed].training_ids == runs["50%", "baseline", seed].training_ids
    assert runs["10%", "baseline", 0].training_ids != runs["10%", "baseline", 1].training_ids


def test_the_counts_of_what_is_left(s, runs):
    counts = b6_fewer_positives.kept(runs, s).set_index(["row", "seed"])
    assert counts.loc[("10%", 1), ["slices", "patients", "others"]].tolist() == [4, 1, 80]
    assert counts.loc[("50%", 0), "share"] == pytest.approx(0.2)
    assert counts.loc[("100%", 0), "published"] == 1256 and counts.loc[("10%", 0), "published"] == 126


def test_the_line_moves_and_the_ranking_stays():
    table = predictions(1.0)
    moved = b6_fewer_positives.moved_back(table, 0.1)
    before, after = slice_metrics.point_scores(table), slice_metrics.point_scores(moved)
    assert after["sen"] > before["sen"] and after["spe"] < before["spe"]
    assert after["auc"] == pytest.approx(before["auc"])
    names = [f"p_{f}" for f in FINDINGS]
    np.testing.assert_allclose(moved[names].sum(axis=1), 1)
    odds = [t["p_covid"] / (1 - t["p_covid"]) for t in (moved, table)]
    np.testing.assert_allclose(odds[0], 10 * odds[1])
    np.testing.assert_allclose(
        moved["p_cap"] / moved["p_non_pneumonia"], table["p_cap"] / table["p_non_pneumonia"]
    )


def test_moving_back_undoes_a_prior_that_was_learnt_exactly():
    """A network whose odds are a tenth of those with all slices calls the same again."""
    whole = predictions(1.0)
    fewer = b6_fewer_positives.moved_back(whole, 10.0)  # the odds times a tenth
    counts = pd.DataFrame({"row": ["100%", "10%"], "seed": 0, "slices": [120, 12]})
    cells = {("100%", "baseline", 0): whole, ("10%", "baseline", 0): fewer, ("10%", "focal", 0): fewer}
    moved = b6_fewer_positives.with_moved(cells, counts)
    assert set(moved) == {(r, m, 0) for r in ("100%", "10%") for m in ("baseline", "baseline_moved")}
    changed = b6_fewer_positives.changes(slice_claims.resample(moved, n=200)).set_index(["column", "metric"])
    assert changed.loc[("baseline", "sen"), "difference"] < -0.1
    assert changed.loc[("baseline", "sen"), "verdict"] == claims.HOLDS  # that it falls
    assert changed.loc[("baseline", "spe"), "verdict"] == claims.FAILS
    for metric in ("sen", "spe", "auc"):
        assert changed.loc[("baseline_moved", metric), "difference"] == pytest.approx(0, abs=1e-12)
    assert changed.loc[("baseline", "auc"), "difference"] == pytest.approx(0, abs=1e-12)
    value = slice_metrics.point_scores(fewer)["sen"]
    assert changed.loc[("baseline", "sen"), "value"] == pytest.approx(value)


def test_without_all_slices_there_is_no_change():
    cells = {("25%", "baseline", 0): predictions(1.0)}
    assert b6_fewer_positives.changes(slice_claims.resample(cells, n=50)).empty


@pytest.fixture(scope="module")
def cells():
    skill = {"100%": 2.5, "10%": 0.5}
    found = {
        (row, m, 0): predictions(k, seed=i)
        for row, k in skill.items()
        for i, m in enumerate(b6_fewer_positives.METHODS)
    }
    return found | {(row, "focal", 0): predictions(k + 1, seed=5) for row, k in skill.items()}


@pytest.fixture(scope="module")
def scored(cells):
    scores = {cell: slice_metrics.run_scores(table, 100) for cell, table in cells.items()}
    return slice_ablation.joined(slice_metrics.over_repeats(scores), None)


def test_table_6_has_the_fall_of_sensitivity_and_the_papers_values(cells, scored):
    joined = b6_fewer_positives.table6(scored, slice_claims.resample(cells, n=100)).set_index(
        ["row", "column", "metric"]
    )
    sen = [joined.loc[(row, "dsn_saal", "sen"), "mean"] for row in ("100%", "10%")]
    assert joined.loc[("10%", "dsn_saal", "sen_fall"), "mean"] == pytest.approx(sen[1] - sen[0])
    assert joined.loc[("10%", "dsn_saal", "sen_fall"), "published"] == pytest.approx(-0.205)
    assert set(joined.index.unique("column")) == set(b6_fewer_positives.METHODS)
    assert joined.loc[("5%", "baseline", "acc"), ["mean", "published"]].isna().tolist() == [True, False]


def test_losses_are_rows_and_the_baseline_is_ce(scored):
    found = b6_fewer_positives.by_loss(parameters(loss_shares=[1.0, 0.1]), scored)
    assert list(dict.fromkeys(found["row"])) == ["ce", "focal", "dsn_saal"]
    assert found.drop_duplicates("row")["label"].tolist() == ["CE", "Focal loss", "DSN-SAAL"]
    of = scored.set_index(["row", "column", "metric"])["mean"]
    ours = found.set_index(["row", "column", "metric"])["mean"]
    assert ours["ce", "10%", "auc"] == of["10%", "baseline", "auc"]
    only = b6_fewer_positives.by_loss(parameters(loss_shares=[0.1]), scored)
    assert set(only["column"]) == {"10%"} and set(found["table"]) == {"B.6-losses"}


def test_other_losses_are_compared_with_cross_entropy_at_the_same_share(cells):
    resampled = slice_claims.resample(cells, n=200)
    found = b6_fewer_positives.loss_claims(resampled)
    assert set(found["claim"]) == {"focal"}
    assert found.loc[found["metric"] == "sen", "column"].tolist() == ["100%", "10%", "mean"]
    line = found.set_index(["metric", "column"]).loc[("auc", "10%")]
    values = resampled.values
    assert line["difference"] == pytest.approx(
        values["10%", "focal", 0]["auc"] - values["10%", "baseline", 0]["auc"]
    )
    assert line["verdict"] == claims.HOLDS and np.isnan(line["published"])


def test_confusions_are_means_over_seeds_without_the_whole():
    tables = {("10%", "dsn_saal", seed): predictions(1.0, seed=seed) for seed in (0, 1)}
    tables["100%", "dsn_saal", 0] = tables["10%", "baseline", 0] = predictions(3.0)
    trained_on = predictions(9.0).assign(split="train")
    found = b6_fewer_positives.confusions(
        {cell: pd.concat([table, trained_on]) for cell, table in tables.items()}
    )
    assert list(found) == ["10%"]
    sen = [slice_metrics.point_scores(tables["10%", "dsn_saal", seed])["sen"] for seed in (0, 1)]
    matrix = found["10%"]
    assert matrix.loc["covid", "covid"] / matrix.loc["covid"].sum() == pytest.approx(np.mean(sen))
    assert matrix.to_numpy().sum() == len(tables["10%", "dsn_saal", 0])


def test_a_run_keeps_its_own_seed(runs):
    assert {cell[2] == run.seed for cell, run in runs.items()} == {True}
    assert replace(runs["10%", "baseline", 0], seed=1) != runs["10%", "baseline", 1]  # its slices differ too
