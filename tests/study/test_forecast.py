"""The forecast: operations and bytes by closed form, the runs of paper B's tables, what does not fit, and when it is made."""

from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from travelling import pictures_on_disk

from covid_study import paths
from covid_study.errors import StudyError
from covid_study.networks import precision
from covid_study.params import profiles
from covid_study.params.sections import Profile
from covid_study.study import forecast, needs, reproduce
from covid_study.study.forecast import refuse, said
from covid_study.study.needs import Needs, counted, of_slices, slices_to_be
from covid_study.tables import b3_b4_networks, b5_losses, b6_fewer_positives, b7_b9_public
from covid_study.training.slice_classifier import SliceClassifier

CPU = torch.device("cpu")
GIB = 2**30


@pytest.fixture
def p(monkeypatch):
    monkeypatch.setattr(precision, "multiplies_bf16", lambda device: True)
    values = profiles.load_profile(paths.root() / "params" / "smoke.yaml")
    values["slice_network"] |= {"backbone": "thin_resnet", "weights": "none", "precision": "bf16"}
    values["slice_training"] |= {"seeds": [0, 1], "epochs": 3, "batch_size": 4}
    values["slice_losses"]["more_seeds"] = [5]
    values["slices"] |= {"exams": 6, "per_exam": 2, "size": 64}
    values["slice_selection"] |= {"share": 0.5, "positives": [1.0, 0.5]}
    values["comparison"] |= {
        "backbones": ["alexnet"],
        "supervised": [],
        "slices": 5,
        "epochs": 2,
        "meta_share": 0,
    }
    values["comparison"]["contrastive_epochs"] = 0
    return profiles.check(Profile, values, "test")


def test_a_network_by_closed_form():
    """A convolution of 27 weights to 5 channels on 4 x 6 x 8 voxels without padding, then 5 x 2 x 4 x 6 values to 3."""
    one = counted(
        lambda: nn.Sequential(nn.Conv3d(1, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(240, 3)), (1, 1, 4, 6, 8)
    )
    # forward and the weight's gradient; of the linear layer that of its inputs too
    assert one.flops == 2 * (2 * 27 * 240) + 3 * (2 * 240 * 3)
    assert one.kept == 4 * (4 * 6 * 8 + 240)  # what the convolution got, and what the ReLU gave
    assert one.weights == 4 * (27 * 5 + 5 + 240 * 3 + 3)
    assert one.step(8, "float32") == 8 * one.kept + 4 * one.weights
    assert one.step(8, "bf16") == 4 * one.kept + 4 * one.weights


def test_slices_to_be_are_bounded_by_exams_and_slices(p):
    """Smoke has 16 exams or more of a finding; each side keeps one."""
    s = slices_to_be(p)
    assert (
        s.table.index.is_unique
        and set(s.table["split"]) == {"train", "test"}
        and s.data.device.type == "meta"
    )
    assert s.table.groupby("exam_id").size().eq(2).all() and s.data.shape == (len(s.table), 64, 64)
    assert s.table.drop_duplicates("exam_id")["finding"].value_counts().le(6).all()
    free = p.model_copy(update={"slices": p.slices.model_copy(update={"exams": None, "per_exam": None})})
    every = slices_to_be(free).table
    assert every.groupby("exam_id").size().eq(needs.SLICES).all()
    assert every.drop_duplicates("exam_id")["finding"].value_counts().ge(16).all()


def test_paper_b_is_counted_by_the_runs_of_its_tables(p):
    s, found = slices_to_be(p), of_slices(p, CPU)
    made = (
        b3_b4_networks.table_3, b3_b4_networks.table_4, b5_losses.table, b5_losses.parts,
        b6_fewer_positives.table, b6_fewer_positives.losses
    )  # fmt: skip
    runs = {run.folder(Path()): run for table in made for run in table(p, s).runs.values()}
    train = s.table[s.table["split"] == "train"]
    covid = (train["finding"] == "covid").sum()
    selected = 2 * 2 * 2 * sum(round(share * covid + 0.5 * (len(train) - covid)) for share in (1.0, 0.5)) * 3
    assert found.trainings == len(runs) + 2 * 2 * 2 * 2  # both selections, losses, shares and seeds
    expected = selected * counted(lambda: needs._slice_network("thin_resnet", False), (1, 1, 64, 64)).flops
    each = {}
    for run in runs.values():
        of = run.method.backbone, run.method.supervised
        each[of] = each.get(of) or counted(lambda of=of: needs._slice_network(*of), (1, 1, 64, 64)).flops
        expected += run.seen * each[of]
    assert found.flops.total() == pytest.approx(expected, rel=1e-12) and set(found.flops) == {"bf16"}
    assert found.data == len(s.table) * 64 * 64


def test_self_trans_and_meta_weights_add_what_they_take(p):
    plain = of_slices(p, CPU)
    more = p.comparison.model_copy(update={"contrastive_epochs": 3, "meta_share": 0.5, "meta_every": 2})
    found = of_slices(p.model_copy(update={"comparison": more}), CPU)
    assert (
        found.trainings == plain.trainings + 2 * 2 + 2
    )  # two seeds: pre-training and classifier; meta weights
    dense = counted(lambda: needs._slice_network("densenet169", False), (1, 1, 64, 64)).flops
    assert found.flops.total() - plain.flops.total() > 2 * 5 * (2 * 3 + 2) * dense


@pytest.mark.parametrize("seen", [None, 700])
def test_pictures_have_trainings_of_their_own(p, tmp_path, seen):
    """12 pictures, 8 of them to train on; notebook 13's table as its runs say, and both selections with both losses."""
    root = pictures_on_disk(tmp_path, each=6)
    given = {
        "slices": p.slices.model_copy(update={"images": str(root), "exams": None, "per_exam": None}),
        "public": p.public.model_copy(update={"slices_seen": seen, "size": 48, "contrastive_epochs": 1}),
    }
    p = p.model_copy(update=given)
    public = b7_b9_public.settings(p)
    s = slices_to_be(public)
    assert len(s.table) == 12 and s.data.shape[1:] == (48, 48) and public.slice_network.weights == "none"
    without = public.model_copy(
        update={"comparison": public.comparison.model_copy(update={"contrastive_epochs": 0})}
    )
    runs = [
        run for run in b7_b9_public.table(without, s).runs.values() if isinstance(run.method, SliceClassifier)
    ]
    assert seen is None or sum(run.seen for run in runs) <= seen
    found = list(needs._of_pictures(public, s))
    self_trans = [8 * 2 * 1, 8 * p.public.epochs]  # two views of every picture, then the classifier
    assert [taken for *_, taken, _ in found] == [*(run.seen for run in runs), *self_trans]
    both = of_slices(p, CPU)
    assert both.trainings > len(found) and both.data == 12 * 64 * 64  # those of notebooks 09 to 12 are larger


NEEDS = {
    "A": Needs(3, {}, 3 * GIB, {"training.batch_size": 5 * GIB, "pretext.batch_size": 4 * GIB}),
    "B": Needs(2, {}, 1 * GIB, {"slice_training.batch_size": 6 * GIB}),
}


@pytest.mark.parametrize(
    "free, at_once, named",
    [
        (8, 1, ("paper A", "training.batch_size", "preprocessing.shape")),
        (17, 2, ("paper A", "training.batch_size", "study.per_gpu")),
    ],
)
def test_what_does_not_fit_is_refused_with_what_to_set(free, at_once, named):
    with pytest.raises(StudyError) as refused:
        refuse(NEEDS, free * GIB, at_once, "a GPU")
    assert all(part in str(refused.value) for part in named)


def test_what_fits_is_not_refused():
    refuse(NEEDS, 9 * GIB, 1, "a GPU")  # data, the larger of its steps, and what is set apart
    with pytest.raises(StudyError, match=r"paper B.*slices\.exams, slices\.per_exam"):
        refuse({"B": NEEDS["B"]}, 8 * GIB - 1, 1, "a GPU")


def test_volumes_that_stay_on_the_host_need_none_of_the_device():
    on_host = Needs(3, Counter({"bf16": 1e15}), 30 * GIB, {"training.batch_size": 5 * GIB}, on_host=True)
    refuse({"A": on_host}, 6 * GIB, 1, "a GPU")
    with pytest.raises(StudyError, match="data 0.0 GiB"):
        refuse({"A": on_host}, 6 * GIB - 1, 1, "a GPU")
    words = said({"A": on_host}, {"bf16": 1e15}, 1, "a GPU")
    assert "6.0 GiB of its memory" in words and "30.0 GiB" in words


def test_hours_are_operations_by_the_rate_that_a_step_reaches():
    flops = Counter({"bf16": 3600e15, "float32": 900e15})
    found = {"A": Needs(7, flops, 0, {"training.batch_size": GIB})}
    rates = {name: 1e15 / share for name, share in forecast.SHARE.items()}
    assert "7 trainings, 4,500.0 PFLOP, about 1:15:00; 2.0 GiB" in said(found, rates, 1, "a GPU")
    assert "2 x a GPU" in said(found, rates, 2, "a GPU") and "about 37:30" in said(found, rates, 2, "a GPU")


@pytest.fixture
def run(tmp_path):
    return SimpleNamespace(
        profile={"study": {"device": "cuda", "executor": "in_process"}}, kernel=None, root=tmp_path
    )


def answers(code, out="", error=""):
    return lambda *_, **__: SimpleNamespace(returncode=code, stdout=out, stderr=error)


@pytest.mark.parametrize("device", ["cpu", "auto", "mps"])
def test_without_a_gpu_no_process_is_started(run, device, monkeypatch):
    monkeypatch.setattr(reproduce.shutil, "which", lambda _: None)
    monkeypatch.setattr(reproduce.subprocess, "run", lambda *_, **__: pytest.fail("started"))
    run.profile["study"]["device"] = device
    reproduce._forecast(run, "profile.yaml")


def test_a_forecast_is_shown_refuses_or_is_done_without(run, monkeypatch, capsys):
    monkeypatch.setattr(reproduce.subprocess, "run", answers(0, "three hours\n"))
    reproduce._forecast(run, "profile.yaml")
    assert capsys.readouterr().out == "three hours\n"
    monkeypatch.setattr(reproduce.subprocess, "run", answers(1, error="Traceback"))
    reproduce._forecast(run, "profile.yaml")
    monkeypatch.setattr(reproduce.subprocess, "run", answers(reproduce.REFUSED, error="it is too large\n"))
    with pytest.raises(StudyError, match="too large$"):
        reproduce._forecast(run, "profile.yaml")


def test_its_process_says_nothing_on_a_cpu_and_refuses_with_the_runners_code(tmp_path, monkeypatch, capsys):
    file = tmp_path / "profile.yaml"
    file.write_text((paths.root() / "params" / "smoke.yaml").read_text())
    monkeypatch.setattr(forecast, "find_device", lambda _: CPU)
    assert forecast.main(str(file)) == 0 and capsys.readouterr().out == ""
    monkeypatch.setattr(forecast, "find_device", lambda _: torch.device("cuda"))
    monkeypatch.setattr(forecast, "device_name", lambda _: "a GPU")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (8 * GIB, 80 * GIB))
    monkeypatch.setattr(forecast, "places", lambda _: 1)
    monkeypatch.setattr(forecast, "rate", lambda *_: 1e15)
    monkeypatch.setattr(forecast, "forecast", lambda *_: NEEDS)
    assert forecast.main(str(file)) == reproduce.REFUSED and "paper A" in capsys.readouterr().err
    fits = {"A": Needs(3, Counter(bf16=1e15), GIB, {"training.batch_size": GIB})}
    monkeypatch.setattr(forecast, "forecast", lambda *_: fits)
    assert forecast.main(str(file)) == 0 and "3 trainings, 1.0 PFLOP" in capsys.readouterr().out
