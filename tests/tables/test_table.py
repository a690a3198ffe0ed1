"""A table of planted predictions against scikit-learn; a table that was trained, read back and scored again."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from covid_study.report import decided
from covid_study.samples import samples
from covid_study.scores import published
from covid_study.tables import a3_ranking, volume_steps
from covid_study.tables.scoring import SLICES
from covid_study.tables.table import Table
from covid_study.training.run import Spent, predictions, timing

KEY = ["row", "column", "metric"]
CELLS = [
    (row, column, seed) for row in ("random", "both", "ours") for column in ("56%", "14%") for seed in (0, 1)
]


def said(cell) -> pd.DataFrame:
    """Forty test exams of thirty patients and twenty to choose a threshold with; better in the row "both"."""
    rng = np.random.default_rng([ord(cell[0][0]), int(cell[1][:-1]), cell[2]])
    label = np.arange(60) % 3 == 0
    p = np.clip(0.35 + (0.3 if cell[0] == "both" else 0.1) * label + rng.normal(0, 0.15, 60), 0, 1)
    frame = pd.DataFrame(
        {"exam_id": [f"e{i:02d}" for i in range(60)], "probability": p, "label": label.astype(int)}
    )
    frame["patient_id"] = [f"p{i % 30}" if i < 40 else f"v{i}" for i in range(60)]
    return frame.assign(split=np.where(np.arange(60) < 40, "test", "validation"), finding="cap")


@pytest.fixture(scope="module")
def planted():
    return Table("A.III", planted={cell: said(cell) for cell in CELLS}, words={"ours": "A row of ours"})


def test_scores_are_scikit_learns_means_over_seeds(planted):
    found = planted.scores().set_index(KEY)
    for row, column in dict.fromkeys(cell[:2] for cell in CELLS):
        tests = [said((row, column, seed)).query("split == 'test'") for seed in (0, 1)]
        scores = {"precision": sk.precision_score, "recall": sk.recall_score, "f1": sk.f1_score}
        for metric, score in scores.items():
            wanted = np.mean([score(t["label"], t["probability"] >= 0.5) for t in tests])
            assert found.loc[(row, column, metric), "mean"] == pytest.approx(wanted)
        wanted = [sk.roc_auc_score(t["label"], t["probability"]) for t in tests]
        line = found.loc[(row, column, "auc")]
        assert line["mean"] == pytest.approx(np.mean(wanted)) and line["seeds"] == 2
        assert line["sd"] == pytest.approx(np.std(wanted, ddof=1))
        assert line["low"] < line["mean"] < line["high"]
    assert "hours" not in found.index.get_level_values("metric")  # nothing was trained
    assert found[["low", "high"]].dropna().stack().between(0, 1).all()


def test_results_stand_beside_the_paper(planted):
    found = planted.results()
    ours = found.dropna(subset="mean")
    assert list(dict.fromkeys(ours["column"])) == ["14%", "56%"]
    cells, paper = found.set_index(KEY), published.table("A.III").set_index(KEY)["value"]
    assert cells.loc[("both", "56%", "f1"), "published"] == paper["both", "56%", "f1"]
    assert cells.loc[("ours", "56%", "f1"), "label"] == "A row of ours"
    assert not cells.loc[("ours", "56%", "f1"), "in_paper"] and cells.loc[("both", "56%", "f1"), "in_paper"]
    assert not found.duplicated(KEY).any()


def test_a_table_that_the_paper_lacks():
    table = Table("ours", planted={("one", "all", 0): said(CELLS[0])})
    assert table.published is None and not table.results()["in_paper"].any()


def test_published_numbers_of_other_tables_stand_beside():
    beside = [("ours", "56%", "f1", 0.5), ("ours", "28%", "f1", 0.4), ("absent", "56%", "f1", 0.3)]
    beside = pd.DataFrame(beside, columns=[*KEY, "value"])
    table = Table("A.III", planted={cell: said(cell) for cell in CELLS}, beside=beside)
    found = table.results().set_index(KEY)
    assert found.loc[("ours", "56%", "f1"), ["published", "in_paper"]].tolist() == [0.5, True]
    assert found.loc[("ours", "28%", "f1"), "published"] == 0.4
    assert np.isnan(found.loc[("ours", "28%", "f1"), "mean"])
    assert "absent" not in found.index.get_level_values("row")


def test_what_some_cells_said(planted):
    found = planted.tested({"A": ("both", "56%"), "absent": ("top", "56%")})
    assert list(found) == ["A"] and [len(frame) for frame in found["A"]] == [40, 40]
    y, p = planted.answers({"A": ("both", "56%")})["A"]
    wanted = said(("both", "56%", 0)).query("split == 'test'")
    assert p.tolist() == wanted["probability"].tolist() and y.tolist() == wanted["label"].tolist()


def test_slices_of_three_classes_are_called_by_the_likeliest():
    """Two seeds: of three COVID-19 slices one and two are called so; COVID-19 against the rest is the first seed's."""
    finding = ["covid"] * 3 + ["cap", "non_pneumonia"]

    def slices_said(hits):
        called = ["covid"] * hits + ["cap"] * (3 - hits) + ["cap", "covid"]
        p = {
            f"p_{c}": [0.8 if c == one else 0.1 for one in called] for c in ("covid", "cap", "non_pneumonia")
        }
        names = [f"s{i}" for i in range(5)]
        return pd.DataFrame({"slice_id": names, "patient_id": names, "split": "test", "finding": finding} | p)

    table = Table("B.3", planted={("ours", "slices", k): slices_said(k + 1) for k in (0, 1)}, scoring=SLICES)
    cells = {"Ours": ("ours", "slices")}
    assert table.confusions(cells)["Ours"].to_numpy().tolist() == [[1.5, 1.5, 0], [0, 1, 0], [1, 0, 0]]
    y, p, called = table.answers(cells)["Ours"]
    assert y.tolist() == [True] * 3 + [False] * 2 and p.tolist() == [0.8, 0.1, 0.1, 0.1, 0.8]
    assert called.tolist() == [True, False, False, False, True]


def test_a_trained_table_is_scored_written_and_costed(p, v, table3):
    table = a3_ranking.table(p, v)
    found = table.results()
    path = table.build / "results" / "A.III.parquet"
    pd.testing.assert_frame_equal(pd.read_parquet(path), found, check_dtype=False)
    cells, folder = found.set_index(KEY), table3[1]["both", "30%", 0]
    test = predictions(folder).query("split == 'test'")
    recall = sk.recall_score(test["label"], test["probability"] >= 0.5)
    assert cells.loc[("both", "30%", "recall"), "mean"] == pytest.approx(recall)
    spent = timing(folder)["train_seconds"] + volume_steps.ranked(p, v).seconds
    assert cells.loc[("both", "30%", "hours"), "mean"] == pytest.approx(spent / 3600)
    assert np.isnan(cells.loc[("both", "30%", "hours"), "low"])
    curves = table.curves()
    assert set(curves["row"]) == {row for row, _, _ in table.runs} and np.isfinite(curves["loss"]).all()


def test_the_last_validation_auc_is_that_of_the_predictions(table3):
    for folder in table3[1].values():
        said = predictions(folder).query("split == 'validation'")
        expected = sk.roc_auc_score(said["label"], said["probability"])
        assert pd.read_csv(folder / "history.csv")["validation_auc"].iloc[-1] == pytest.approx(expected)


def test_the_time_to_the_auc_that_both_reach():
    def curve(row, column, aucs, seconds, seed=0):
        epochs = {"epoch": range(1, 4), "seconds": seconds, "validation_auc": aucs}
        return pd.DataFrame(epochs).assign(row=row, column=column, seed=seed)

    curves = [
        curve("random", "all", [0.5, 0.7, 0.9], 10.0),
        curve("both", "56%", [0.6, 0.8, 0.7], 5.0),
        curve("both", "14%", [0.5, 0.5, 0.5], 2.0),
        curve("both", "56%", [0.6, 0.8, 0.7], 5.0, seed=1),  # whose ALL did not run
    ]
    cells = [("random", "all", 0), ("both", "56%", 0), ("both", "14%", 0), ("both", "56%", 1)]
    table = SimpleNamespace(
        sizes={"14%": 14, "56%": 56, "all": 100},
        curves=lambda: pd.concat(curves),
        runs={cell: SimpleNamespace(before=Spent(7.0 * (cell[0] == "both"))) for cell in cells},
    )
    found = {cell: 3600 * hours for cell, hours in a3_ranking.hours_to_auc(table).items()}
    assert np.isnan(found.pop(("both", "14%", 0)))  # it never gets there
    assert found == pytest.approx({("random", "all", 0): 30.0, ("both", "56%", 0): 17.0})


def test_patients_are_those_of_todays_table(p, v, table3):
    """An interval is drawn over patients: joined in today's table, they are joined in its interval, with no new training."""
    joined = samples.Samples(v.table.assign(patient_id="one and the same"), v.data, v.key)
    table = a3_ranking.table(p, joined)
    assert table.train() == table3[1]
    assert set(table.predictions()["random", "all", 0]["patient_id"]) == {"one and the same"}


def test_the_claims_have_a_line_each_and_one_is_the_headline(p, v):
    table = a3_ranking.table(p, v)
    found = table.claims()
    assert found["key"].is_unique and table.main in set(found["key"])
    assert set(found["verdict"]) == {"open"}  # one seed decides nothing
    hours = found.set_index("key").loc["A12a"]
    assert hours["kind"] == "ratio" and hours["difference"] > 0
    line = found.set_index("key").loc[table.main]
    f1 = table.scores().query("metric == 'f1'").set_index(["row", "column"])["mean"]
    wanted = np.mean([f1["both", c] - f1["random", c] for c in ("30%", "60%")])
    assert line["difference"] == pytest.approx(wanted)
    assert line["text"] in table.headline() and "open" in table.headline()
    assert {"f1_validation", "recall_validation"} <= set(table.variants()["score"])


def test_what_only_a_referee_asks_for(planted):
    """Rows against the rows above them with the paper's differences, and what tests of other sizes could tell."""
    above = planted.above().set_index(["row", "above", "column", "score"])
    assert above.loc[("both", "random", "56%", "f1"), "published"] == pytest.approx(0.86 - 0.82)
    assert above.loc[("ours", "both", "14%", "auc"), "published":].isna()["published"]
    scores = planted.scores().set_index(KEY)["mean"]
    gap = scores["both", "56%", "f1"] - scores["random", "56%", "f1"]
    assert above.loc[("both", "random", "56%", "f1"), "difference"] == pytest.approx(gap)
    smallest = planted.detectable().set_index(["column", "patients", "seeds"])["smallest"]
    assert smallest["56%", 50, 10] < smallest["56%", 50, 1]
    told = planted.told().set_index("key")
    assert told.loc["A2", "published"] == pytest.approx((0.040 + 0.042) / 2, abs=0.01)
    ways = {
        decided.rows_above: planted.above,
        decided.detectable: planted.detectable,
        decided.told: planted.told,
    }
    assert all("<table" in shown(of()).to_html() for shown, of in ways.items())


def test_slices_are_scored_one_by_one_and_by_patient():
    """Thirty patients of two slices each; a patient's probability is the mean of theirs."""

    def said(row, seed):
        rng = np.random.default_rng([ord(row[0]), seed])
        finding = np.where(np.arange(60) % 4 < 2, "covid", "cap")
        p = np.clip(0.5 + 0.3 * np.where(finding == "covid", 1, -1) + rng.normal(0, 0.4, 60), 0, 1)
        frame = pd.DataFrame(
            {"slice_id": [f"s{i:02d}" for i in range(60)], "finding": finding, "p_covid": p, "p_cap": 1 - p}
        )
        return frame.assign(patient_id=[f"p{i // 2}" for i in range(60)], split="test")

    planted = {
        (row, "slices", seed): said(row, seed) for row in ("dsn_saal", "resnet50") for seed in range(3)
    }
    table = Table("B.3", planted=planted, scoring=SLICES, main="B1")
    found = table.results().set_index(KEY)
    tests = [said("dsn_saal", seed) for seed in range(3)]
    called = [np.where(t["p_covid"] >= t["p_cap"], "covid", "cap") for t in tests]
    wanted = np.mean([sk.accuracy_score(t["finding"], c) for t, c in zip(tests, called, strict=True)])
    assert found.loc[("dsn_saal", "slices", "acc"), "mean"] == pytest.approx(wanted)
    means = [t.groupby("patient_id").agg({"p_covid": "mean", "finding": "first"}) for t in tests]
    called = [np.where(m["p_covid"] >= 0.5, "covid", "cap") for m in means]
    wanted = np.mean([sk.accuracy_score(m["finding"], c) for m, c in zip(means, called, strict=True)])
    assert found.loc[("dsn_saal", "slices", "acc_patient"), "mean"] == pytest.approx(wanted)
    assert found.loc[("dsn_saal", "slices", "f1"), "published"] > 0.5
    slices, patients = (table.claims(per_patient=by).set_index("key") for by in (False, True))
    assert slices.loc["B1", "seeds"] == 3
    assert slices.loc["B1", "difference"] != patients.loc["B1", "difference"]
    assert {"acc", "gmean"} <= set(table.variants()["score"]) and table.headline()
