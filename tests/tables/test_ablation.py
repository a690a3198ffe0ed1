"""Tables III and V: their rows, what they share, and what is told of each run."""

import numpy as np
import pytest

from covid_study import paths
from covid_study.samples import samples
from covid_study.tables import ablation, volume_steps
from covid_study.training import run as experiments


def test_rows_of_table_3(p, v, table3):
    runs, _ = table3
    rows = {"random", "difficulty", "diversity", "both", "both_pretrained", "hu_histogram"}
    shares = {(row, column, 0) for row in rows for column in ("30%", "60%")}
    assert set(runs) == shares | {("random", "all", 0)}
    sizes = ablation.sizes(p, v)
    assert sizes == {"30%": 2, "60%": 4, "all": 7}
    for (row, column, _), run in runs.items():
        assert run.sizes[0] == sizes[column]
        assert (run.method.encoder is not None) == (row == "both_pretrained")
    assert runs["both", "30%", 0].training_ids == runs["both_pretrained", "30%", 0].training_ids


def test_tables_3_and_5_share_their_common_rows(p, v, table3):
    runs, folders = table3
    fifth = ablation.sampling_strategies(p, v)
    assert {row for row, _, _ in fifth} == {
        "random",
        "normal",
        "top",
        "long_tail",
        "long_tail_all_pretrained",
    }
    common = {"random": "random", "long_tail": "both"}
    for (row, column, seed), run in fifth.items():
        if row in common:
            assert run == runs[common[row], column, seed]
            assert run.folder(paths.build("tiny") / "runs") == folders[common[row], column, seed]
    encoder = fifth["long_tail_all_pretrained", "30%", 0].method.encoder
    assert "rubiks_cube_pro_all" in encoder and encoder != runs["both_pretrained", "30%", 0].method.encoder
    ranked = volume_steps.ranked(p, v).ranking
    assert list(fifth["top", "60%", 0].training_ids[3:]) == list(ranked["joint_rank"].sort_values().index[:4])


def test_results_of_a_table(p, v, table3):
    runs, folders = table3
    found = ablation.results(p, v, runs, folders)
    assert list(found)[:3] == ["row", "column", "metric"] and {"mean", "low", "high", "seeds"} <= set(found)
    assert not found.duplicated(["row", "column", "metric"]).any()
    cell = found.set_index(["row", "column", "metric"]).loc[("both", "30%")]
    scores = ablation.run_scores(folders["both", "30%", 0], v, 100)
    table = experiments.predictions(folders["both", "30%", 0]).query("split == 'test'")
    hit, said = (table["probability"] >= 0.5) & (table["label"] == 1), (table["probability"] >= 0.5).sum()
    recall = hit.sum() / (table["label"] == 1).sum()
    assert cell.loc["recall", "mean"] == pytest.approx(recall) == scores.loc["recall", "value"]
    assert scores.loc["precision", "value"] == pytest.approx(hit.sum() / said if said else 0)
    pairs = [
        (a > b) + 0.5 * (a == b)
        for a in table.loc[table["label"] == 1, "probability"]
        for b in table.loc[table["label"] == 0, "probability"]
    ]
    assert cell.loc["auc", "mean"] == pytest.approx(np.mean(pairs))
    assert {"f1", "f1_validation", "average_precision", "hours"} <= set(cell.index)
    trained = experiments.timing(folders["both", "30%", 0])["train_seconds"]
    before = volume_steps.ranked(p, v).seconds
    assert cell.loc["hours", "mean"] == pytest.approx((trained + before) / 3600)
    alone = experiments.timing(folders["random", "30%", 0])["train_seconds"]
    hours = found.set_index(["row", "column", "metric"])["mean"]
    assert hours["random", "30%", "hours"] == pytest.approx(alone / 3600)


def test_patients_are_those_of_todays_table(p, v, table3, monkeypatch):
    """An interval is drawn over patients: joined in today's table, they are joined in its interval, with no new training."""
    asked = []
    original = ablation.bootstrap_intervals
    monkeypatch.setattr(
        ablation, "bootstrap_intervals", lambda *a, **k: asked.append(list(a[2])) or original(*a, **k)
    )
    joined = samples.Samples(v.table.assign(patient_id="one and the same"), v.data, v.key)
    ablation.run_scores(table3[1]["random", "all", 0], joined, 100)
    assert set(asked[0]) == {"one and the same"}


def test_learning_curves(table3):
    curves = ablation.learning_curves(table3[1])
    assert set(curves["row"]) == {row for row, _, _ in table3[0]}
    assert np.isfinite(curves["loss"]).all() and (curves["epoch"] == 1).all()
