"""What a cell costs, the Pareto front against a naive search, and what is said and drawn of it."""

import json
from types import SimpleNamespace

import matplotlib

matplotlib.use("Agg")
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import pytest  # noqa: E402

from covid_study.analysis import cost
from covid_study.tables import a3_ranking
from covid_study.training import run


def folder(path, train, load, seen, flops):
    path.mkdir()
    took = {"train_seconds": train, "load_seconds": load, "exams_seen": seen, "flops": flops, "device": "x"}
    (path / "timing.json").write_text(json.dumps(took))
    return path


def results(**f1):
    rows = [("f1", v, v - 0.1, v + 0.1) for v in f1.values()]
    frame = pd.DataFrame(rows, columns=["metric", "mean", "low", "high"])
    return frame.assign(
        row=[k.split("__")[0] for k in f1], column=[k.split("__")[1].replace("_", "%") for k in f1], seeds=2
    )


@pytest.fixture
def made(tmp_path):
    """Two cells of two seeds each."""
    folders = {
        ("both", "56%", 0): folder(tmp_path / "run-a", 10, 1, 100, 1e9),
        ("random", "all", 0): folder(tmp_path / "run-b", 20, 2, 200, 2e9),
        ("both", "56%", 1): folder(tmp_path / "run-c", 14, 3, 100, 1e9),
        ("random", "all", 1): folder(tmp_path / "run-d", 24, 2, 200, 2e9),
    }
    spent = {"both": run.Spent(3600.0, 30, 5e8)}
    runs = {cell: SimpleNamespace(before=spent.get(cell[0], run.Spent())) for cell in folders}
    return runs, folders


def cells(points, **columns):
    """A table of cells from (cost, f1) pairs."""
    x, y = np.array(points, float).T
    frame = pd.DataFrame(
        {"flops": x, "flops_in_all": x, "hours": x / 1000, "exams_seen": x, "f1": y, "auc": y}
    )
    frame = frame.assign(f1_low=y - 0.05, f1_high=y + 0.05, table="A.III", seeds=1)
    frame = frame.assign(
        row=[f"r{i}" for i in range(len(x))], column="56%", before_hours=0.0, load_seconds=1.0
    )
    return frame.assign(label="Row " + frame["row"], compute_seconds=1.0, runs=frame["row"]).assign(**columns)


def test_costs_are_means_over_seeds_and_load_is_apart(made):
    found = cost.costs("A.III", *made, results(both__56_=0.8, random__all=0.7), {"both": "Both"})
    assert list(found) == cost.COLUMNS and found["seeds"].tolist() == [2, 2]
    both, whole = found.to_dict("records")
    assert (both["row"], both["column"], both["label"], whole["label"]) == ("both", "56%", "Both", "Random")
    assert (both["before_hours"], both["compute_seconds"], both["load_seconds"]) == (1.0, 12.0, 2.0)
    assert both["hours"] == pytest.approx(1 + 12 / 3600) and whole["hours"] == pytest.approx(22 / 3600)
    assert (both["exams_seen"], whole["flops"]) == (100, 2e9)
    assert (both["exams_in_all"], both["flops_in_all"], whole["flops_in_all"]) == (130, 1.5e9, 2e9)
    assert [both[k] for k in ("f1", "f1_low", "f1_high")] == pytest.approx([0.8, 0.7, 0.9])
    assert np.isnan(both["auc"]) and both["runs"] == "run-a run-c"


def test_costs_of_real_runs_agree_with_the_table(p, v, table3):
    """The hours are those of Table III's results; FLOPs are exams seen times those of one exam, the same for all rows."""
    table = a3_ranking.table(p, v)
    found = cost.of_table(table)
    hours = table.scores().query("metric == 'hours'").set_index(["row", "column"])["mean"]
    assert len(found) == len(table3[1]) and found["flops"].min() > 0
    for r in found.itertuples():
        took = run.timing(table3[1][r.row, r.column, 0])
        assert r.hours == pytest.approx(hours[r.row, r.column])
        assert r.load_seconds == took["load_seconds"] and r.exams_seen == took["exams_seen"]
    each = found["flops"] / found["exams_seen"]
    assert each.nunique() == 1
    assert (found.set_index("row")["before_hours"].drop("random") > 0).all()
    assert len(cost.shown(found).data) == len(found)


def test_costs_relative_to_another_row_of_the_same_column():
    frame = cells([(1, 0.5), (2, 0.6), (4, 0.7), (8, 0.8)], column=["14%", "all", "14%", "all"])
    frame["row"] = ["a", "a", "b", "b"]
    found = cost.relative(frame, row="a")
    assert found["flops"].tolist() == [1, 1, 4, 4] and found["column"].tolist() == ["14%", "all"] * 2
    assert cost.relative(frame, column="all")["flops"].tolist() == [0.5, 1, 0.5, 1]


def test_a_run_of_two_tables_stands_once():
    third = cells([(1, 0.5), (2, 0.6)])
    fourth = cells([(1, 0.5), (2, 0.6), (4, 0.7)], table="A.IV").iloc[1:].assign(runs=["r1", "r2"])
    found = cost.together(third, fourth)
    assert found["runs"].tolist() == ["r0", "r1", "r2"] and found["table"].tolist() == [
        "A.III",
        "A.III",
        "A.IV",
    ]
    dearer = third.assign(before_hours=1.0)  # the same exams by chance, but ranked first
    assert len(cost.together(third, dearer)) == 4


@pytest.mark.parametrize("seed", range(5))
def test_front_is_that_of_a_naive_search(seed):
    """Whole numbers, so that ties occur."""
    frame = cells(np.random.default_rng(seed).integers(1, 7, (25, 2)))
    points = list(zip(frame["flops"], frame["f1"], strict=True))
    wanted = {
        i
        for i, (x, y) in enumerate(points)
        if not any(a <= x and b >= y and (a, b) != (x, y) for a, b in points)
    }
    found = cost.front(frame)
    assert set(found.index) == wanted
    assert found["flops"].is_monotonic_increasing and found["f1"].is_monotonic_increasing


def test_front_leaves_out_what_has_no_score():
    frame = cells([(1, np.nan), (2, 0.5), (3, 0.4)])
    assert cost.front(frame)["flops"].tolist() == [2]
    assert cost.front(frame.assign(f1=np.nan)).empty


def test_amounts_have_three_digits_and_a_prefix():
    assert [cost.amount(x) for x in (999, 1000, 999_999, 5.3e9, 2.04e12)] == [
        "999", "1.00 k", "1.00 M", "5.30 G", "2.04 T",
    ]  # fmt: skip
    assert cost.amount(1e15, "FLOP") == "1.00 PFLOP"
    assert cost.amount(float("nan")) == "–"
