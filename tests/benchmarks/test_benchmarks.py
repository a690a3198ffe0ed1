"""The benchmark at small sizes: every method is measured, agrees with ours, and what was not measured is marked as such.

No test looks at how long something took.
"""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from covid_study import paths
from covid_study.ranking.emd import mean_emd_to_others, pairwise_emd

FOLDER = paths.root() / "benchmarks"
sys.path.insert(0, str(FOLDER))
import emd as benchmark  # noqa: E402
import emd_methods  # noqa: E402
import emd_report  # noqa: E402

ARCHIVE = {
    ("eq. 3", "partial", "ours"),
    ("eq. 3", "normalised", "ours"),
    ("eq. 3", "partial", "POT simplex"),
    ("eq. 6", "partial", "ours"),
    ("eq. 6", "partial", "ours, 768 others"),
    ("eq. 6", "normalised", "ours"),
    ("eq. 6", "normalised", "ours, rank_negatives"),
    ("eq. 6", "normalised", "dense matrix (SciPy)"),
    ("eq. 6", "partial", "POT simplex"),
}


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    command = ["emd.py", "--quick", "--device", "cpu", "--out", str(folder)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", command)
        assert benchmark.main() == 0
    return folder


@pytest.fixture(scope="module")
def results(out):
    return json.loads(next(out.glob("*.json")).read_text())


def test_three_files_are_written_and_a_quick_run_is_named_so(out):
    names = sorted(p.name for p in out.iterdir())
    assert [n.rsplit(".")[-1] for n in names] == ["json", "md", "png"]
    assert all(n.startswith("emd-") and "-quick." in n for n in names)
    assert (out / names[2]).read_bytes().startswith(b"\x89PNG")


def test_every_competitor_was_timed_on_the_distances_that_ours_found(results):
    pairs = results["pairs"]
    for equation in ("eq. 3", "eq. 6"):
        for mass, competitors in emd_methods.COMPETITORS.items():
            for threads in {1, results["threads"]}:
                rows = [
                    r for r in pairs if (r["equation"], r["mass"], r["threads"]) == (equation, mass, threads)
                ]
                assert {r["method"] for r in rows} == {"ours", *competitors}
                assert len(rows) == 1 + len(competitors)
    for r in pairs:
        assert 0 < r["lowest"] <= r["seconds_a_pair"] <= r["highest"]
        assert 0 < r["ratio_lowest"] <= r["ratio"] <= r["ratio_highest"]
        assert r["largest_relative_difference"] <= 1e-9
        assert r["repeats"] >= 2 and r["pairs"] >= 4
    assert any(r["largest_relative_difference"] > 0 for r in pairs)  # other algorithms, other last digits


def test_what_was_not_measured_is_marked_everywhere(out, results):
    rows = results["archive"]
    assert {(r["equation"], r["mass"], r["method"]) for r in rows} == ARCHIVE
    extrapolated = [r for r in rows if r["extrapolated"]]
    assert {r["method"] for r in extrapolated} >= {"POT simplex"}
    for r in rows:
        assert r["seconds"] > 0
        assert r["extrapolated"] == (r["why"] in ("time", "memory")) == ("peak_bytes" not in r)
        if r["why"] == "time":
            assert r["seconds"] > results["limit_seconds"]
    for r in (*rows, *results["paper"]):
        if "peak_bytes" in r:
            assert 2**20 < r["baseline_bytes"] <= r["peak_bytes"]
    assert [r["extrapolated"] for r in results["paper"]] == [False, True, False, True]
    table = next(out.glob("*.md")).read_text()
    assert table.count("| ~ ") == len(extrapolated) + 2


def test_methods_that_were_given_the_same_archive_found_the_same(results):
    means = {}
    for r in results["archive"]:
        if "mean" in r and "others" not in r["method"]:
            means.setdefault((r["equation"], r["mass"], r["negatives"]), []).append(r["mean"])
    several = [v for v in means.values() if len(v) > 1]
    assert len(several) >= 4
    assert all(v == pytest.approx([v[0]] * len(v), rel=1e-9) for v in several)


def test_some_others_are_compared_with_all(results):
    few, many = results["some_others"]
    assert few["others"] < many["others"] and few["median_relative_error"] > many["median_relative_error"] > 0
    assert 0.8 < few["rank_correlation"] < many["rank_correlation"] < 1


def test_machine_versions_and_command_are_recorded(results):
    machine = results["machine"]
    assert machine["cpu"] and machine["cores"] >= 1 and machine["gpu"] is None
    assert set(machine["packages"]) == set(emd_report.PACKAGES)
    assert results["command"].startswith("python benchmarks/emd.py --quick")
    assert results["bandwidth_bytes_a_second"] > 0


@pytest.mark.parametrize("factor, said", [(1 + 1e-5, "1.0e-05"), (np.nan, "nan")])
def test_a_method_that_computes_something_else_stops_the_run(monkeypatch, factor, said):
    wrong = {"wrong": lambda F, G, mass, threads: pairwise_emd(F, G, mass) * factor}
    monkeypatch.setitem(emd_methods.COMPETITORS, "partial", wrong)
    F = emd_methods.features(40, 16, seed=0)
    with pytest.raises(SystemExit, match=f"wrong computes something else: {said}"):
        benchmark.measure_threads(F, F[::-1], "partial", 1, {**benchmark.QUICK, "rows": 40}, None)


def test_whole_computations_are_those_of_the_equations():
    known, archive = emd_methods.features(5, 12, seed=0), emd_methods.features(9, 12, seed=1)
    labels = emd_methods.soft_labels(9, 5, seed=0)
    expected = {
        "eq. 3": {m: pairwise_emd(archive, known, m).mean() for m in ("partial", "normalised")},
        "eq. 6": {m: mean_emd_to_others(labels, m).mean() for m in ("partial", "normalised")},
    }
    for equation, mass, method in (
        a for a in ARCHIVE if "others" not in a[2]
    ):  # of which are drawn, not all met
        found = emd_methods.whole(equation, mass, method, 9, 5, 12, 1, "cpu")
        assert found["mean"] == pytest.approx(expected[equation][mass], rel=1e-9), (equation, mass, method)


def test_histograms_resemble_what_they_stand_for():
    features, labels = emd_methods.features(400, 512, seed=3), emd_methods.soft_labels(400, 243, seed=3)
    assert (features == emd_methods.features(400, 512, seed=3)).all()
    assert (features >= 0).all() and np.mean(features == 0) == pytest.approx(0.05, abs=0.01)
    assert (labels > 0).all()
    for values, spread in ((features, 0.12), (labels, 0.25)):
        totals = values.sum(1)
        assert totals.std() / totals.mean() == pytest.approx(spread, abs=0.04)


def test_too_long_and_too_large_are_told_before_they_begin(monkeypatch):
    asked = []

    def measured(function, equation, mass, method, n, *rest):
        asked.append((equation, mass, method, n))
        seconds = n / 1e3 if method == "ours, rank_negatives" else n / 1e6
        return {"seconds": seconds, "mean": 1.0, "baseline_bytes": 1, "peak_bytes": 2}

    monkeypatch.setattr(benchmark, "in_new_process", measured)
    pairs = [
        {"equation": e, "mass": "partial", "method": m, "threads": 1, "seconds_a_pair": s}
        for e in ("eq. 3", "eq. 6")
        for m, s in (("ours", 1e-5), ("POT simplex", 1e-2))
    ]
    rows = benchmark.measure_archives(benchmark.FULL, pairs, limit=120, memory=8 * 2**30, device=None)
    why = {(r["equation"], r["mass"], r["method"], r["negatives"]): r["why"] for r in rows}
    assert why["eq. 6", "normalised", "dense matrix (SciPy)", 100_000] == "memory"  # 80 GB in 1e5 squared
    assert why["eq. 3", "partial", "POT simplex", 1000] == "time"  # 243,000 pairs of 10 ms
    assert (
        why["eq. 6", "normalised", "ours, rank_negatives", 1_000_000] == "time"
    )  # from 1e5: 100 s, by n log n
    assert all((key in asked) == (reason == "") for key, reason in why.items())
    simplex = {
        r["negatives"]: r["seconds"]
        for r in rows
        if r["method"] == "POT simplex" and r["equation"] == "eq. 6"
    }
    assert simplex[1000] == pytest.approx(499_500 * 1e-2)
    assert simplex[10_000] == pytest.approx(49_995_000 * 1e-2)


def test_make_bench_runs_all_benchmarks_or_the_one_asked_for():
    def make(*arguments):
        command = ["make", "-n", *arguments]
        environ = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent"}
        return subprocess.run(command, cwd=paths.root(), env=environ, capture_output=True, text=True).stdout

    both = make("bench", "PROFILE=smoke")
    what = ("benchmarks/emd.py", "benchmarks/training.py", "covid_study reproduce --profile 'smoke'  ")
    places = [both.index(word) for word in what]
    assert places == sorted(places)
    assert "build/'bench-smoke'" in both
    only = make("bench", "BENCH=emd", "DEVICE=cuda:1")
    assert "benchmarks/emd.py --device 'cuda:1'" in only and "covid_study reproduce" not in only
    assert "benchmarks/emd.py" not in make("bench", "BENCH=study")
    training = make("bench", "BENCH=training", "DEVICE=cpu")
    assert "benchmarks/training.py --paper --scores --device 'cpu'" in training
    assert "benchmarks/emd.py" not in training and "covid_study reproduce" not in training


@pytest.mark.parametrize(
    "cpu, cores, gpu, expected",
    [
        ("Intel(R) Xeon(R) Gold 6248 CPU @ 2.50GHz", 16, None, "intel-xeon-gold-6248-16-cores"),
        ("AMD EPYC 7763", 4, "NVIDIA A100", "amd-epyc-7763-4-cores-nvidia-a100"),
    ],
)
def test_files_are_named_by_the_machine(cpu, cores, gpu, expected):
    assert emd_report.slug({"cpu": cpu, "cores": cores, "gpu": gpu}) == expected


def test_a_slope_needs_two_measured_points():
    rows = [{"negatives": n, "seconds": 3.0 * n**1.5, "extrapolated": False} for n in (10, 100, 1000)]
    assert emd_report.fitted_slope(rows) == pytest.approx(1.5)
    rows[2] |= {"extrapolated": True, "seconds": 1e9}
    assert emd_report.fitted_slope(rows) == pytest.approx(1.5)
    assert emd_report.fitted_slope(rows[1:]) is None


def test_an_exam_table_is_ranked_reported_and_measured(tmp_path):
    command = [sys.executable, "exam_table.py", "--exams", "300", "--out", str(tmp_path)]
    environ = {**os.environ, "PYTHONPATH": str(paths.root())}
    subprocess.run(command, cwd=FOLDER, env=environ, check=True, capture_output=True)
    (written,) = tmp_path.glob("exam-table-*.md")
    steps = [line for line in written.read_text().splitlines() if line.startswith("| ")][2:]
    assert len(steps) == 11 and "exam_table.py --exams 300" in written.read_text()
