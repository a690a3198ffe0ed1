"""The benchmark of training at small sizes: every row is there, both sides do the same work, operations are counted right.

No test looks at how long something took.
"""

import json
import sys

import numpy as np
import pytest
import torch
from torch import nn

from covid_study import paths
from covid_study.networks import precision
from covid_study.networks.resnet3d import Classifier
from covid_study.samples.batch import augment
from covid_study.training.loop import training_flops

FOLDER = paths.root() / "benchmarks"
sys.path.insert(0, str(FOLDER))
import training as benchmark  # noqa: E402
import training_methods as methods  # noqa: E402
import training_paper  # noqa: E402
import training_report as report  # noqa: E402
import training_scores  # noqa: E402
import training_sweep  # noqa: E402

CPU = torch.device("cpu")
SMALL = methods.Setting("small", (24, 16, 12), batch=4, exams=8, epoch=8, width=0.125)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    parts = ["--paper", "--scores", "--sweep"]
    command = ["training.py", "--quick", *parts, "--device", "cpu", "--out", str(folder)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", command)
        assert benchmark.main() == 0
    return folder


@pytest.fixture(scope="module")
def results(out):
    return json.loads(next(out.glob("*.json")).read_text())


def test_two_files_are_written_nothing_else_stays_and_a_quick_run_is_named_so(out):
    names = sorted(p.name for p in out.iterdir())
    assert [n.rsplit(".")[-1] for n in names] == ["json", "md"]
    assert all(n.startswith("training-") and "-quick." in n for n in names)


def test_every_side_was_measured_beside_ours(results):
    rows = {r["method"]: r for r in results["loop"]}
    monai = {f"MONAI, {n} workers{plain}" for n in (0, 2) for plain in ("", ", plain tensors")}
    assert set(rows) >= {"ours", "bare passes"} | monai
    for name, r in rows.items():
        assert r["device"] == "cpu" and r["precision"] == "float32"
        assert 0 < r["exams_a_second_lowest"] <= r["exams_a_second"] <= r["exams_a_second_highest"]
        assert r["flops_an_exam"] == rows["ours"]["flops_an_exam"] > 0
        if name == "ours":
            assert r["once_seconds"] > 0
            assert r["added_to_passes_lowest"] <= r["added_to_passes"] <= r["added_to_passes_highest"]
            assert r["added_to_epoch"] > r["added_to_passes"] > -1
        else:
            assert 0 < r["ratio_lowest"] <= r["ratio"] <= r["ratio_highest"]
            assert r["once_seconds"] == 0
    others = [r["repeats"] for r in rows.values() if r["method"] != "ours"]
    assert rows["ours"]["repeats"] == sum(others)  # one of ours beside each of theirs
    assert rows["bare passes"]["repeats"] == sum(others) / 2


def test_several_trainings_reach_scores_whoever_trains_them(results):
    (found,) = results["sweep"]
    assert set(found["sides"]) == {"ours", "ours, workers there", *training_sweep.MONAI}
    for side in found["sides"].values():
        assert len(side["auc"]) == found["runs"] == 2 and all(0 <= auc <= 1 for auc in side["auc"])
    first, again = (found["sides"][name]["auc"] for name in ("ours", "ours, workers there"))
    assert first == again  # the same bits
    theirs = [found["sides"][name]["seconds"] for name in training_sweep.MONAI]
    assert found["ratio"] == pytest.approx(min(theirs) / found["sides"]["ours"]["seconds"], rel=0.01)
    assert found["low"] <= found["difference"] <= found["high"]


def test_the_paper_s_networks_were_measured_and_their_hours_are_those_of_its_training_sets(results):
    rows = results["paper"]
    cases = {(r["depth"], r["stem_stride"], r["precision"]) for r in rows}
    assert cases == {(d, s, p) for d in (18, 50) for s in (1, 2) for p in ("float32", "bf16")}
    for r in rows:
        assert not r["out_of_memory"] and r["exams_a_second"] > 0 and r["extrapolated"]
        expected = r["epochs"] * (2028 / r["exams_a_second"] + r["once_seconds"]) / 3600
        assert r["hours_all"] == pytest.approx(expected, rel=1e-4)
        assert r["hours_56%"] < r["hours_all"] < r["paper_size_hours_all"]


def test_peaks_versions_and_command_are_recorded(results):
    assert {(p["device"], p["precision"]) for p in results["peaks"]} == {("cpu", "float32"), ("cpu", "bf16")}
    assert len(results["peaks"]) == 2 and all(p["flops_a_second"] > 0 for p in results["peaks"])
    assert results["machine"]["gpu"] is None and set(results["machine"]["packages"]) == set(report.PACKAGES)
    assert results["command"].startswith("python benchmarks/training.py --quick") and results["threads"] >= 1


def test_scores_of_both_sides_and_their_difference(results):
    (scores,) = results["scores"]
    ours, theirs = (np.array(scores["sides"][name]["auc"]) for name in ("ours", "MONAI user"))
    assert len(ours) == len(theirs) == 2
    assert scores["difference"] == pytest.approx((ours - theirs).mean(), abs=1e-5)
    assert scores["low"] <= scores["difference"] <= scores["high"]


def test_the_table_has_every_row_and_says_that_the_size_is_not_the_paper_s(out, results):
    table = next(out.glob("*.md")).read_text()
    for r in results["loop"]:
        assert f"| {r['method']} |" in table
    assert table.count("| ResNet-18 |") == table.count("| ResNet-50 |") == 4
    assert "Not the paper's size" in table and "19.6 and 9.5 hours on a V100" in table
    assert table.count("| ~ ") >= 8 and "nan" not in table


def test_a_result_with_a_gpu_reads_as_such(results):
    gpu = json.loads(json.dumps(results))
    gpu["machine"]["gpu"] = "NVIDIA H100"
    gpu["loop"] += [{**r, "device": "cuda", "setting": "paper"} for r in results["loop"]]
    gpu["peaks"] += [{**p, "device": "cuda"} for p in results["peaks"]]
    for r in gpu["paper"]:
        r |= {"device": "cuda", "shape": [256, 192, 56], "extrapolated": False}
        r["peak_memory_bytes"] = 4321 * 2**30
    failed = {k: v for k, v in gpu["paper"][-1].items() if not k.startswith(("hours", "paper_size", "exams"))}
    gpu["paper"][-1] = {**failed, "out_of_memory": True}
    table = report.table(gpu)
    assert "GPU, paper: the loop adds" in table and "5 times is" in table
    assert "Not the paper's size" not in table and "GPU memory, GiB" in table
    assert table.count("out of memory") == 1 and table.count("| 4321.0 |") == 7


def test_operations_of_known_layers():
    volume = torch.zeros((1, 4, 6, 8), dtype=torch.uint8)
    linear = nn.Sequential(nn.Flatten(), nn.Linear(192, 5), nn.Linear(5, 3))
    # forward of both, gradient of both weights, gradient of the second input: 2 operations a product and sum
    assert training_flops(linear, volume) == 2 * (192 * 5 + 5 * 3) * 2 + 2 * 5 * 3
    convolution = nn.Conv3d(1, 7, 3, padding=1)
    assert training_flops(convolution, volume) == 2 * (192 * 7 * 27) * 2


def test_operations_are_counted_without_computing_any_and_the_same():
    volume = torch.zeros((1, *SMALL.array_shape), dtype=torch.uint8)
    assert methods.flops_an_exam(SMALL) == training_flops(methods.network(SMALL), volume)


def test_the_monai_user_trains_the_same_network_from_the_same_weights():
    model = methods.network(SMALL).eval()
    theirs = methods.monai_network(model, SMALL).eval()
    x = torch.rand(3, 1, *SMALL.array_shape)
    torch.testing.assert_close(theirs(x), model(x), rtol=1e-4, atol=1e-5)
    assert sum(p.numel() for p in theirs.parameters()) == sum(p.numel() for p in model.parameters())


def test_both_sides_augment_alike():
    volume = torch.arange(1, 2 * 3 * 4 + 1, dtype=torch.float32).reshape(1, 2, 3, 4) / 50
    pattern = {tuple(d): volume.flip(list(d)) for d in ((), (3,), (2,), (2, 3))}  # of (1, z, y, x)
    chain = methods.transforms().set_random_state(0)
    theirs = [chain({"image": volume.numpy()})["image"].as_tensor() for _ in range(200)]
    generator = torch.Generator().manual_seed(0)
    ours = augment(volume.expand(200, 1, 2, 3, 4).clone(), methods.INTENSITY, True, generator)
    for found in (theirs, ours):
        seen, factors = set(), []
        for image in found:
            ratios = {flips: image / flipped for flips, flipped in pattern.items()}
            (flips,) = (d for d, r in ratios.items() if r.max() - r.min() < 1e-4)
            seen.add(flips)
            factors.append(float(ratios[flips].mean()))
        assert seen == set(pattern)
        assert 0.9 <= min(factors) < 0.91 and 1.09 < max(factors) <= 1.1


def test_all_sides_take_the_same_steps(tmp_path, monkeypatch):
    steps = []
    step = torch.optim.Adam.step
    monkeypatch.setattr(torch.optim.Adam, "step", lambda self: (steps.append(self.defaults), step(self))[1])
    exams = methods.random_exams(SMALL)
    loop = methods.Loop(methods.network(SMALL), SMALL, *exams, CPU, tmp_path)
    bare = methods.Bare(methods.network(SMALL), SMALL, *exams, CPU)
    user = methods.MonaiUser(methods.network(SMALL), SMALL, *exams, CPU, workers=0, plain=True, epochs=1)
    taken = {}
    for side in (loop, bare, user):
        steps.clear()
        assert side().passes > 0
        taken[side] = list(steps)
    assert [len(found) for found in taken.values()] == 3 * [SMALL.steps] == [2, 2, 2]
    options = [
        {k: v for k, v in taken[side][0].items() if k not in ("lr", "initial_lr")} for side in (loop, bare)
    ]
    assert options[0] == options[1], "set FUSED in training_methods.py as `fit` has it"
    assert not list(tmp_path.iterdir())


def test_turns_alternate_and_the_bare_passes_come_most_often():
    order = []

    def side(name):
        return lambda: order.append(name) or name

    found = benchmark.take_turns(side("A"), {"bare passes": side("B"), "C": side("C"), "D": side("D")}, 2)
    assert "".join(order) == "ABACABAD" * 3  # the first is not counted
    assert {name: len(pairs) for name, pairs in found.items()} == {"bare passes": 4, "C": 2, "D": 2}
    assert found["C"][0] == ("A", "C")


def test_what_is_done_once_an_epoch_is_spread_over_an_epoch_in_use():
    setting = methods.Setting("x", (8, 8, 8), batch=8, exams=64, epoch=2000)
    assert methods.Seconds(6.4, once=2.0).per_exam(setting) == pytest.approx(0.1 + 0.001)


def test_an_epoch_is_charged_its_share_of_a_checkpoint(tmp_path, monkeypatch):
    setting = methods.Setting("x", (24, 16, 12), batch=4, exams=8, epoch=80, width=0.125)
    loop = methods.Loop(methods.network(setting), setting, *methods.random_exams(setting), CPU, tmp_path)
    # an epoch in use is ten of those measured: 10 s of the 30 between two checkpoints; a longer one has its own
    assert [loop.share(passes) for passes in (1.0, 3.0, 60.0)] == pytest.approx([1 / 3, 1, 1])
    monkeypatch.setattr(methods.Loop, "checkpoint_seconds", lambda *_: 1000.0)
    monkeypatch.setattr(methods.Loop, "share", lambda *_: 0.25)
    assert loop().once == 250.0


def test_too_little_memory_is_a_row_not_a_crash(tmp_path, monkeypatch):
    step = Classifier.forward

    def forward(self, volumes):
        if len(self.encoder.layer3) == 6:  # ResNet-50
            raise torch.OutOfMemoryError("CUDA out of memory")
        return step(self, volumes)

    monkeypatch.setattr(Classifier, "forward", forward)
    monkeypatch.setattr(methods, "flops_an_exam", lambda setting: 1e9)
    rows = training_paper.measure(benchmark.QUICK, CPU, tmp_path)
    assert {r["depth"] for r in rows if r["out_of_memory"]} == {50}
    assert [r["out_of_memory"] for r in rows] == [False] * 4 + [True] * 4
    assert all("hours_all" not in r for r in rows[4:])


def test_another_error_is_not_taken_for_one(tmp_path, monkeypatch):
    def forward(self, volumes):
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(Classifier, "forward", forward)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        training_paper.measure(benchmark.QUICK, CPU, tmp_path)


def test_the_problem_of_the_scores_is_fixed_balanced_and_positives_are_brighter():
    volumes, labels = training_scores.exams(40, (12, 16, 24), seed=3)
    again, _ = training_scores.exams(40, (12, 16, 24), seed=3)
    assert (volumes == again).all() and volumes.dtype == torch.uint8 and volumes.shape == (40, 12, 16, 24)
    assert labels.bincount().tolist() == [20, 20]
    brightest = volumes.flatten(1).float().quantile(0.995, dim=1)
    assert brightest[labels == 1].mean() > brightest[labels == 0].mean() + 5


def test_the_higher_of_two_peaks_counts():
    row = {"device": "cpu", "precision": "float32", "n": 8}
    kept = benchmark.best([{**row, "flops_a_second": v} for v in (3.0, 5.0, 4.0)])
    assert kept == [{**row, "flops_a_second": 5.0}]


def test_hours_and_training_sets_are_the_paper_s():
    assert training_paper.paper_exams() == {"all": 243 + 1785, "56%": 243 + 1000}
    assert training_paper.hours(10.0, 6.0, exams=300, epochs=100) == pytest.approx(1.0)
    assert {c: report.printed_hours()[c] for c in ("all", "56%")} == {"all": 19.6, "56%": 9.5}


def test_settings_are_those_of_the_profiles(monkeypatch):
    monkeypatch.setattr(precision, "multiplies_bf16", lambda device: True)
    demo, paper = benchmark.settings(benchmark.FULL, torch.device("cuda"))
    assert (demo.name, demo.shape, demo.batch, demo.precision) == ("demo", (64, 48, 16), 8, "bf16")
    assert demo.exams % demo.batch == 0 and 0 <= demo.exams - demo.epoch < demo.batch
    assert (paper.shape, paper.precision, paper.epoch, paper.exams) == ((256, 192, 56), "float32", 2028, 64)
    assert benchmark.settings(benchmark.FULL, CPU) == [demo]
