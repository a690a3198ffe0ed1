"""The benchmark of under-samplers at a small size: all are measured, nobody loses a positive, what is left out is marked."""

import json
import sys

import numpy as np
import pytest

from covid_study import paths

sys.path.insert(0, str(paths.root() / "benchmarks"))
import selection as benchmark  # noqa: E402

PLAN = benchmark.QUICK | {"archives": [60, 120], "positives": 12}


def test_every_sampler_is_scored_on_as_many_negatives_as_positives():
    for name in benchmark.samplers(0):
        found = benchmark.measured(name, 60, 0, PLAN)
        close = name == "InstanceHardnessThreshold"  # keeps about as many as it is told to
        assert found["kept"] == 12 or (close and 0 < found["kept"] <= 60), name
        assert 0.5 < found["auc"] <= 1 and found["seconds"] > 0
        assert 2**20 < found["baseline_bytes"] <= found["peak_bytes"]


def test_results_are_written_and_what_is_too_long_is_left_out(tmp_path, monkeypatch):
    def took(function, name, n, seed, plan):
        waited = 1.0 if n < 1_000_000 else 9.0  # for other programs
        seconds = 1.0 + (50.0 if name == "NearMiss-2" else 0.0)
        row = dict.fromkeys(("baseline_bytes", "peak_bytes"), 2**20) | {"kept": 200}
        row |= {"seconds": waited * seconds, "cpu_seconds": seconds}
        return row | {"auc": 0.75 + seed / 100, "average_precision": 0.5}

    monkeypatch.setattr(benchmark, "in_new_process", took)
    monkeypatch.setattr(sys, "argv", ["selection.py", "--limit", "200", "--out", str(tmp_path)])
    assert benchmark.main() == 0
    results = json.loads(next(tmp_path.glob("selection-*.json")).read_text())
    left_out = {(r["sampler"], r["negatives"]) for r in results["rows"] if r["left_out"]}
    assert left_out == {
        ("NearMiss-2", 100_000),
        ("NearMiss-2", 1_000_000),
    }  # of the others 100 s are expected
    assert results["command"] == "python benchmarks/selection.py --limit 200"
    assert results["plan"]["archives"] == benchmark.FULL["archives"]
    text = next(tmp_path.glob("*.md")).read_text()
    assert results["whole"] and "Other work" not in text  # most rows had the machine to themselves
    for row in results["rows"]:
        row |= {} if row["left_out"] else {"seconds": [9.0] * 5}
    assert "Other work" in benchmark.table(results | {"whole": False})
    assert (
        text.count("| left out |") == 2
        and "| 10,000 | RandomUnderSampler | 1 | 1 | 0 | 0.770 ± 0.016 |" in text
    )


@pytest.mark.parametrize("seed", [0, 1])
def test_archives_differ_by_seed_and_are_histograms(seed):
    X, y = benchmark.cases(300, 30, 8, seed)
    again, _ = benchmark.cases(300, 30, 8, seed)
    other, _ = benchmark.cases(300, 30, 8, seed + 1)
    assert (again == X).all() and not np.allclose(X, other)
    assert X.min() > 0 and X.max() < 1 and np.bincount(y).tolist() == [300, 30]
