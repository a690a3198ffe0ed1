"""What a cell costs, the Pareto front against a naive search, and what is said of it."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from covid_study.analysis import cost
from covid_study.figures import pareto
from covid_study.tables import a3_ranking
from covid_study.training import run


def test_costs_are_means_over_seeds_and_load_is_apart(tmp_path):
    cells = [("both", "56%", 0, 10, 1, 100, 1e9), ("random", "all", 0, 20, 2, 200, 2e9),
             ("both", "56%", 1, 14, 3, 100, 1e9), ("random", "all", 1, 24, 2, 200, 2e9)]  # fmt: skip
    runs, folders, spent = {}, {}, {"both": run.Spent(3600.0, 30, 5e8)}
    for *cell, train, load, seen, flops in cells:
        folders[tuple(cell)] = folder = tmp_path / f"run-{'abcd'[len(folders)]}"
        folder.mkdir()
        took = {
            "train_seconds": train,
            "load_seconds": load,
            "exams_seen": seen,
            "flops": flops,
            "device": "x",
        }
        (folder / "timing.json").write_text(json.dumps(took))
        (folder / "beside.json").write_text("0")
        runs[tuple(cell)] = SimpleNamespace(before=spent.get(cell[0], run.Spent()))
    results = [("both", "56%", "f1", 0.8, 0.7, 0.9), ("random", "all", "f1", 0.7, 0.6, 0.8)]
    results = pd.DataFrame(results, columns=["row", "column", "metric", "mean", "low", "high"])
    of = {"train": lambda: folders, "scores": lambda: results, "labels": {"both": "Both"}}
    of["shared"] = lambda: {cell: cell[2] if cell[0] == "both" else 1 for cell in folders}
    found = cost.of_table(SimpleNamespace(name="A.III", runs=runs, **of))
    assert list(found) == cost.COLUMNS and found["seeds"].tolist() == [2, 2]
    both, whole = found.to_dict("records")
    assert (both["row"], both["column"], both["label"], whole["label"]) == ("both", "56%", "Both", "Random")
    assert (both["before_hours"], both["compute_seconds"], both["load_seconds"]) == (1.0, 12.0, 2.0)
    assert both["hours"] == pytest.approx(1 + 12 / 3600) and whole["hours"] == pytest.approx(22 / 3600)
    assert (both["exams_seen"], whole["flops"]) == (100, 2e9)
    assert (both["exams_in_all"], both["flops_in_all"], whole["flops_in_all"]) == (130, 1.5e9, 2e9)
    assert [both[k] for k in ("f1", "f1_low", "f1_high")] == [0.8, 0.7, 0.9]
    assert np.isnan(both["beside"]) and whole["beside"] == 1
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
    assert (found["flops"] / found["exams_seen"]).nunique() == 1
    assert (found.set_index("row")["before_hours"].drop("random") > 0).all()
    assert len(cost.shown(found).data) == len(found)


def cells(points, **columns):
    """A table of cells from (cost, f1) pairs."""
    frame = pd.DataFrame(points, columns=["flops", "f1"], dtype=float)
    frame = frame.assign(row=[f"r{i}" for i in range(len(points))], runs=lambda t: t["row"], before_hours=0.0)
    return frame.assign(hours=frame["flops"], exams_seen=1, compute_seconds=1.0, table="A.III").assign(
        **columns
    )


def test_costs_relative_to_another_row_of_the_same_column_or_to_another_column():
    named = {"column": ["14%", "all"] * 2, "row": ["a", "a", "b", "b"]}
    frame = cells([(1, 0.5), (2, 0.6), (4, 0.7), (8, 0.8)], **named)
    found = cost.relative(frame, row="a")
    assert found["flops"].tolist() == [1, 1, 4, 4] and found["column"].tolist() == named["column"]
    assert cost.relative(frame, column="all")["flops"].tolist() == [0.5, 1, 0.5, 1]


def test_a_run_of_two_tables_stands_once():
    third = cells([(1, 0.5), (2, 0.6)])
    fourth = cells([(2, 0.6), (4, 0.7)], table="A.IV", runs=["r1", "r2"])
    found = cost.together(third, fourth)
    assert found["runs"].tolist() == ["r0", "r1", "r2"]
    assert found["table"].tolist() == ["A.III", "A.III", "A.IV"]
    with_more_seeds = fourth.assign(runs=["r1 r9", "r2"])
    assert cost.together(third, with_more_seeds)["runs"].tolist() == ["r0", "r1 r9", "r2"]
    dearer = third.assign(before_hours=1.0)  # the same exams by chance, but ranked first
    assert len(cost.together(third, dearer)) == 4


@pytest.mark.parametrize("seed", range(5))
def test_front_is_that_of_a_naive_search(seed):
    """Whole numbers, so that ties occur; one has no score."""
    frame = cells(np.random.default_rng(seed).integers(1, 7, (25, 2)))
    frame.loc[0, ["flops", "f1"]] = 0.1, np.nan
    points = list(zip(frame["flops"], frame["f1"], strict=True))
    wanted = {
        i
        for i, (x, y) in enumerate(points)
        if i and not any(a <= x and b >= y and (a, b) != (x, y) for a, b in points)
    }
    found = pareto.front(frame)
    assert set(found.index) == wanted
    assert found["flops"].is_monotonic_increasing and found["f1"].is_monotonic_increasing
    assert pareto.front(frame.assign(f1=np.nan)).empty
