"""Table 5: the runs it shares with other tables, the paper's numbers beside it, what is said of it."""

from dataclasses import replace

import pandas as pd
import pytest

from covid_study.scores import published, slice_claims, slices
from covid_study.tables import b3_b4_networks, b5_losses, b6_fewer_positives
from covid_study.tables.slice_ablation import joined
from tests.scores.test_slice_claims import predictions
from tests.tables.test_b6_fewer_positives import parameters, s  # noqa: F401 (a fixture)


@pytest.fixture(scope="module")
def runs(s):  # noqa: F811
    return b5_losses.runs(parameters(), s)


def test_every_row_differs_from_the_first_in_what_its_name_says(runs):
    assert [cell[0] for cell in runs][:7] == [*b5_losses.LOSSES, "dsn", "dsn_saal"]
    assert {cell[2] for cell in runs} == {0, 1}
    plain = runs["ce", "slices", 1]
    for row in b5_losses.LOSSES:
        assert runs[row, "slices", 1] == replace(plain, loss=row)
    assert runs["dsn", "slices", 1] == replace(plain, supervised=True)
    assert runs["dsn_saal", "slices", 1] == replace(plain, supervised=True, loss="saal")


def test_what_other_tables_train_too_is_the_same_run(runs, s):  # noqa: F811
    p = parameters()
    neither = {"contrastive_epochs": 0, "meta_share": 0.0}  # rows that take a training to be planned
    p = p.model_copy(update={"comparison": p.comparison.model_copy(update=neither)})
    backbone = p.slice_network.backbone
    table_3, table_4, table_6 = (
        b3_b4_networks.table_3(p, s),
        b3_b4_networks.table_4(p, s),
        b6_fewer_positives.sweep(p, s),
    )
    for seed in (0, 1):
        ce, both = runs["ce", "slices", seed], runs["dsn_saal", "slices", seed]
        assert (
            ce.config()
            == table_3[backbone, "slices", seed].config()
            == table_6["100%", "baseline", seed].config()
        )
        assert both.config() == table_3["dsn_saal", "slices", seed].config()
        assert both.config() == table_6["100%", "dsn_saal", seed].config()
        assert runs["dsn", "slices", seed].config() == table_4[backbone, "dsn", seed].config()
        assert runs["focal", "slices", seed].config() == table_6["100%", "focal", seed].config()


@pytest.fixture(scope="module")
def tables():
    """Every row with a skill of its own, SAAL the best of the losses."""
    skill = {
        "ce": 0.5,
        "focal": 0.2,
        "class_balanced": 0.6,
        "sce": 0.9,
        "saal": 3.0,
        "dsn": 1.0,
        "dsn_saal": 2.9,
    }
    return {(row, "slices", 0): predictions(value, seed=i) for i, (row, value) in enumerate(skill.items())}


@pytest.fixture(scope="module")
def results(tables):
    scored = {cell: slices.run_scores(table, 100) for cell, table in tables.items()}
    return b5_losses.with_parts(joined(slices.over_repeats(scored), "B.5"))


def test_deep_supervision_has_the_papers_numbers_of_tables_3_and_4(results):
    found = results.set_index(["row", "metric"])
    whole = published.table("B.3").set_index(["row", "metric"])["value"]
    alone = published.table("B.4").query("row == 'vgg16_bn' and column == 'dsn'").set_index("metric")["value"]
    for metric in ("acc", "f1", "gmean"):
        assert found.loc[("dsn_saal", metric), "published"] == whole["dsn_saal", metric]
        assert found.loc[("dsn_saal", metric), "published_sd"] == whole["dsn_saal", f"{metric}_sd"]
        assert found.loc[("dsn", metric), "published"] == alone[metric]
        assert found.loc[("dsn", metric), "in_paper"]
    assert pd.isna(found.loc[("dsn", "auc"), "published"]) and not found.loc[("dsn", "auc"), "in_paper"]
    assert list(results["row"].drop_duplicates()) == [*b5_losses.LOSSES, "dsn", "dsn_saal"]


def test_the_best_loss_is_named_beside_the_papers(results):
    found = results.set_index(["row", "metric"])["mean"]
    text = b5_losses.best(results)
    assert f"by ACC SAAL ({found['saal', 'acc']:.3f}; in the paper SAAL, 0.875)" in text
    swapped = results.assign(row=results["row"].replace({"saal": "sce", "sce": "saal"}))
    assert "by F1 SCE" in b5_losses.best(swapped)


def test_the_headline_counts_what_can_be_told_apart(tables):
    checked = slice_claims.check(slice_claims.resample(tables, 200), "B.5")
    assert b5_losses.headline(checked, "And so on.") == (
        "By F1 per slice SAAL is ahead of 4 of the 4 other losses, behind 0, and cannot be told from 0. And so on."
    )
    other = checked.assign(verdict="does not hold")
    assert "ahead of 0 of the 4 other losses, behind 4" in b5_losses.headline(other, "")
    few = {cell: table[table["patient_id"] < "p15"] for cell, table in tables.items()}
    few = slice_claims.check(slice_claims.resample(few, 200), "B.5")
    assert b5_losses.headline(few, "").startswith("There are too few test patients")
    (_, losses, _), (_, parts, _) = b5_losses.claims(checked)
    assert set(losses["column"]) == {"ce", "focal", "class_balanced", "sce", "mean"}
    assert set(parts["column"]) == {"dsn", "saal", "mean"}


def test_confusion_matrices_count_every_test_slice(tables):
    found = b5_losses.confusions(tables, ("ce", "saal", "never run"))
    assert list(found) == ["ce", "saal"]
    for row, matrix in found.items():
        assert matrix.to_numpy().sum() == len(tables[row, "slices", 0])
    assert found["saal"].to_numpy().trace() > found["ce"].to_numpy().trace()
