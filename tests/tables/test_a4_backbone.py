"""Table IV: its runs are those of Table III where they are the same, and its sentences follow the numbers."""

import numpy as np
import pandas as pd
import pytest
from tiny_study import parameters

from covid_study import paths
from covid_study.analysis import cost
from covid_study.errors import StudyError
from covid_study.report import show
from covid_study.scores import old_claims as claims, published as papers
from covid_study.scores.old_claims import HOLDS, UNCLEAR
from covid_study.tables import a4_backbone, ablation
from covid_study.training import run as experiments
from covid_study.training.volume_classifier import VolumeClassifier


@pytest.fixture(scope="module")
def p4(root):
    return parameters(root, transfer={"shares": [0.6, 0.3]})


@pytest.fixture(scope="module")
def table4(p4, v):
    runs = a4_backbone.backbone_transfer(p4, v)
    return runs, ablation.train_all(p4, v, runs)


@pytest.fixture(scope="module")
def results(p4, v, table4):
    return ablation.results(p4, v, *table4)


def test_rows_and_sizes(p4, v, table4):
    runs, _ = table4
    columns = ["30%", "60%", "all"]
    assert list(runs) == [(row, c, 0) for row in ("resnet18", "resnet50") for c in columns]
    at = a4_backbone.at_its_shares(p4)
    assert list(ablation.sizes(at, v)) == columns and p4.transfer.shares == [0.6, 0.3]
    for (row, column, _), run in runs.items():
        assert run.sizes[0] == ablation.sizes(at, v)[column]
        assert run.method.network["depth"] == int(row.removeprefix("resnet")) and run.method.encoder is None
        assert run.method.network | {"depth": 18} == p4.network.model_dump()


def test_resnet18_is_table_3_and_is_not_trained_again(p4, v, table3, table4, monkeypatch):
    third, (runs, folders) = table3[0], table4
    for column in ("30%", "60%"):
        assert runs["resnet18", column, 0] == third["both", column, 0]  # `before` included
        assert folders["resnet18", column, 0] == table3[1]["both", column, 0]
    assert runs["resnet18", "all", 0] == third["random", "all", 0]
    monkeypatch.setattr(VolumeClassifier, "fit", lambda *_: pytest.fail("trained again"))
    assert ablation.train_all(p4, v, runs) == folders
    third_alone = {cell: run for cell, run in runs.items() if cell[0] == "resnet18"}
    assert set(ablation.train_all(p4, v, third_alone).values()) <= set(table3[1].values())


def test_resnet50_sees_the_exams_that_resnet18_selected(p4, table4):
    runs, folders = table4
    for column in ("30%", "60%", "all"):
        small, large = runs["resnet18", column, 0], runs["resnet50", column, 0]
        assert small.training_ids == large.training_ids and small.before.seconds == large.before.seconds
        assert (small.before.seconds > 0) == (column != "all")
        own = paths.build("tiny") / "runs"
        assert large.folder(own) == folders["resnet50", column, 0] != small.folder(own)
        took = [experiments.timing(folders[row, column, 0]) for row in ("resnet18", "resnet50")]
        assert took[0]["exams_seen"] == took[1]["exams_seen"] and took[0]["flops"] < took[1]["flops"]


def test_two_equal_networks_are_refused(root, v):
    with pytest.raises(StudyError, match="Set transfer.depth to 50"):
        a4_backbone.backbone_transfer(parameters(root, transfer={"depth": 18}), v)


def test_published_row_of_resnet18_is_table_3s():
    ours = a4_backbone.published().set_index(["row", "column", "metric"])["value"]
    third = papers.table("A.III").set_index(["row", "column", "metric"])["value"]
    for column in ("14%", "28%", "56%"):
        for metric in ("precision", "recall", "f1"):
            assert ours["resnet18", column, metric] == third["both", column, metric]
    assert ours["resnet18", "all", "f1"] == third["random", "all", "f1"]
    assert ours["resnet18", "all", "hours"] == third["training_period", "all", "hours"]
    assert not a4_backbone.published().duplicated(show.KEY).any()


def test_both_networks_stand_beside_the_paper():
    cells = [("resnet18", "56%"), ("resnet18", "all"), ("resnet50", "56%"), ("resnet50", "all")]
    ours = pd.DataFrame(cells, columns=["row", "column"]).assign(metric="f1", mean=[0.1, 0.2, 0.3, 0.4])
    joined = a4_backbone.joined(ours)
    found = joined.set_index(show.KEY)
    theirs = a4_backbone.published().set_index(show.KEY)["value"]
    assert not joined.duplicated(show.KEY).any() and list(joined) == show.COLUMNS
    for row, column in cells:
        assert found.loc[(row, column, "f1"), "published"] == theirs[row, column, "f1"]
    assert found.loc[("resnet50", "56%", "f1"), "mean"] == 0.3
    assert found.loc[("resnet18", "14%", "f1"), "published"] == theirs["resnet18", "14%", "f1"]
    html = show.side_by_side(joined, "A.IV").to_html()
    assert "3D ResNet-18" in html and "not in the paper" not in html
    for printed in ("85.4", "86.0", "84.6", "11.3 h", "9.5 h", "10.0", "30.0"):
        assert f">{printed}<" in html


def test_periods_have_no_interval():
    ours = pd.DataFrame({"row": "resnet50", "column": "56%", "metric": ["hours", "f1"], "mean": 0.5})
    found = a4_backbone.joined(ours.assign(low=-0.1, high=0.9)).dropna(subset="mean").set_index("metric")
    assert found.loc["hours", ["low", "high"]].isna().all() and found.loc["f1", "low"] == -0.1


def test_a_ranking_by_resnet50_has_no_row_of_table_3():
    ours = pd.DataFrame({"row": ["resnet50"], "column": ["56%"], "metric": ["f1"], "mean": [0.5]})
    assert "resnet18" not in set(a4_backbone.joined(ours)["row"])


def test_real_results_join_and_are_judged(p4, v, table4, results):
    joined = a4_backbone.joined(results)
    assert {"resnet18", "resnet50"} <= set(joined.dropna(subset="mean")["row"])
    resampled = claims.resample(v, table4[1], 100)
    checked = a4_backbone.check(resampled, p4, ["30%", "60%"])
    assert set(checked["claim"]) == {"transfer", "ranked_with"} and set(checked["column"]) == {"60%"}
    line = checked.query("claim == 'transfer' and metric == 'auc'").iloc[0]
    auc = results.query("metric == 'auc'").set_index(["row", "column"])["mean"]
    assert line["difference"] == pytest.approx(auc["resnet50", "60%"] - auc["resnet50", "all"])
    spent = cost.costs("A.IV", *table4, results)
    said = a4_backbone.network_sentence(spent, p4)
    assert "3D ResNet-50 takes" in said and "In the paper it took 1.2 times as long" in said
    assert "paid once" in a4_backbone.paid_once_sentence(spent, p4, "60%")


def resampled(low, high):
    """Scores of both networks at three sizes, (14, 56, all) each, with draws close about them."""
    values, draws, noise = {}, {}, np.random.default_rng(0).normal(0, 0.001, 200)
    for row, scores in (("resnet18", low), ("resnet50", high)):
        for column, score in zip(("14%", "56%", "all"), scores, strict=True):
            values[row, column, 0] = dict.fromkeys(claims.SCORES, score)
            draws[row, column, 0] = dict.fromkeys(claims.SCORES, score + noise * (column == "all"))
    return claims.Resampled(values, draws, 50)


def test_published_difference_of_the_claims(p4):
    checked = a4_backbone.check(resampled((0.5, 0.7, 0.6), (0.5, 0.8, 0.6)), p4, ["14%", "56%"])
    f1 = checked.query("metric == 'f1'").set_index("claim")
    assert f1.loc["transfer", "published"] == pytest.approx(0.854 - 0.848)
    assert f1.loc["ranked_with", "published"] == pytest.approx(0.860 - 0.846)
    assert f1.loc["transfer", "difference"] == pytest.approx(0.2) and (f1["verdict"] == HOLDS).all()
    assert checked.query("metric == 'auc'")["published"].isna().all()


def test_order_of_the_sizes(p4):
    columns = ["14%", "56%", "all"]
    same = a4_backbone.size_pairs(resampled((0.5, 0.7, 0.6), (0.1, 0.3, 0.2)), p4, columns)
    assert same["agree"].all() and len(same) == 3
    assert same.set_index(["larger", "smaller"])["resnet50"].to_dict() == pytest.approx(
        {("56%", "14%"): 0.2, ("all", "14%"): 0.1, ("all", "56%"): -0.1}
    )
    said = a4_backbone.order_sentence(same, p4)
    assert "put 3 in the same order by AUC. In 3 of them both differences can be told from zero, 3 in" in said
    assert said.endswith("In the paper 6 of 6 pairs are in the same order by F1.")
    mixed = a4_backbone.size_pairs(resampled((0.5, 0.7, 0.6), (0.1, 0.2, 0.3)), p4, columns)
    assert mixed["agree"].tolist() == [True, True, False]
    assert "put 2 in the same order" in a4_backbone.order_sentence(mixed, p4)
    two = a4_backbone.size_pairs(resampled((0.5, 0.7, 0.6), (0.1, 0.2, 0.3)), p4, columns[1:])
    said = a4_backbone.order_sentence(two, p4)
    assert "3D ResNet-18 puts 56 % above ALL and 3D ResNet-50 puts ALL above 56 %" in said
    assert "does not agree" in said
    unclear = same.assign(resnet18_verdict=UNCLEAR)
    assert "In no pair both differences can be told from zero" in a4_backbone.order_sentence(unclear, p4)
    assert "Both differences can be told from zero." in a4_backbone.order_sentence(two, p4)
    assert "Not both differences can" in a4_backbone.order_sentence(two.assign(resnet50_verdict=UNCLEAR), p4)
    unknown = same.assign(resnet18=np.nan)
    assert "is not known: AUC is not defined" in a4_backbone.order_sentence(unknown, p4)


def spent(before, selection, whole):
    """Seconds of (ResNet-18, ResNet-50) on 56 % and on ALL."""
    rows = [
        {"row": f"resnet{d}", "column": c, "before_hours": before / 3600 * (c != "all"), "compute_seconds": s}
        for c, seconds in (("56%", selection), ("all", whole))
        for d, s in zip((18, 50), seconds, strict=True)
    ]
    frame = pd.DataFrame(rows).assign(exams_seen=100.0)
    frame["hours"] = frame["before_hours"] + frame["compute_seconds"] / 3600
    return frame.assign(flops=np.where(frame["row"] == "resnet50", 3e9, 2e9))


def test_from_how_many_networks_on_a_ranking_pays(p4):
    said = a4_backbone.paid_once_sentence(spent(100, (50, 60), (90, 180)), p4, "56%")
    assert "with 100 s for them, both networks on 56 % took 3.5 min, both on all negatives 4.5 min" in said
    assert "saved 40 s with 3D ResNet-18, which has paid for the ranking after 3 of them" in said
    assert "120 s with 3D ResNet-50" in said.replace("2.0 min", "120 s") and "after the first" in said
    assert "nothing with 3D ResNet-18" in a4_backbone.paid_once_sentence(
        spent(9, (90, 9), (80, 99)), p4, "56%"
    )


def test_how_much_dearer_the_other_network_is(p4):
    said = a4_backbone.network_sentence(spent(100, (50, 60), (90, 180)), p4)
    assert "takes 1.5 times the FLOPs of 3D ResNet-18 an exam seen, and took 2.0 times as long" in said


def test_what_the_papers_own_gain_is_worth():
    said = a4_backbone.uncertainty_sentence()
    assert "gain of 56 % over ALL is 0.6 points" in said and "85.4 %" in said
    assert "none can be worked out" in a4_backbone.uncertainty_sentence(101)
    assert any("84.8" in r and "recall" in r for r in a4_backbone.remarks())
