"""Which slices a run of paper B is trained on, and that the same run comes out for the same question."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tiny_study import parameters

from covid_study.networks import precision
from covid_study.samples import slice_store
from covid_study.tables import slice_steps


@pytest.fixture(scope="module")
def q(root):
    return parameters(root, slices={"size": 32, "exams": None, "per_exam": 3})


@pytest.fixture(scope="module")
def s(q):
    return slice_store.slices(q)


def findings(s, slice_ids):
    return s.table.loc[list(slice_ids), "finding"]


@pytest.mark.parametrize("share", [1.0, 0.5, 0.25, 0.01])
def test_fewer_positives_keeps_all_others_and_the_share_of_covid(s, share):
    train = slice_steps.ids(s, "train")
    kept = slice_steps.fewer_positives(s, share, seed=0)
    others = findings(s, train)[lambda f: f != "covid"].index
    assert set(others) <= set(kept) <= set(train)
    assert (findings(s, kept) == "covid").sum() == max(
        1, round(share * (findings(s, train) == "covid").sum())
    )


def test_fewer_positives_are_nested_and_go_by_patient(s):
    shares = (1.0, 0.6, 0.3, 0.01)
    parts = [set(slice_steps.fewer_positives(s, share, seed=3)) for share in shares]
    assert all(small <= large for large, small in zip(parts, parts[1:], strict=False))
    for part in parts:
        mine = s.table.loc[sorted(part)].query("finding == 'covid'").groupby("patient_id").size()
        all_of = s.table.query("split == 'train' and finding == 'covid'").groupby("patient_id").size()
        assert (mine < all_of.loc[mine.index]).sum() <= 1  # one patient at most is there in part
    assert len({tuple(slice_steps.fewer_positives(s, 0.4, seed)) for seed in range(6)}) > 1


def test_at_most_keeps_the_share_of_each_class(s):
    train = slice_steps.ids(s, "train")
    some = slice_steps.at_most(s, train, len(train) // 2, seed=0)
    expected = findings(s, train).value_counts() / 2
    assert len(some) == len(train) // 2 and set(some) <= set(train)
    assert (abs(findings(s, some).value_counts() - expected) <= 1).all()
    assert slice_steps.at_most(s, train, None, 0) == slice_steps.at_most(s, train, 10**6, 0) == train


def test_another_question_is_another_run(q, s, tmp_path):
    plain = slice_steps.run(q, s, 0)
    others = [
        slice_steps.dsn_saal(q, s, 0),
        slice_steps.run(q, s, 0, supervised=True),
        slice_steps.run(q, s, 1),
        slice_steps.run(q, s, 0, loss="saal"),
        slice_steps.run(q, s, 0, training_ids=slice_steps.fewer_positives(s, 0.3, 0)),
    ]
    assert len({run.folder(tmp_path) for run in [plain, *others]}) == 6


@pytest.mark.parametrize("units", [True, False])
def test_each_network_has_the_precision_that_is_its_own_on_this_hardware(
    root, s, tmp_path, monkeypatch, units
):
    monkeypatch.setattr(precision, "multiplies_bf16", lambda device: units)
    larger = replace(s, data=s.data.repeat(1, 2, 2))
    auto, plain = (parameters(root, slice_network={"precision": asked}) for asked in ("auto", "float32"))
    for backbone, gains in {"efficientnet_lite0": False, "resnet50": True}.items():
        mine, theirs = (slice_steps.run(asked, larger, 0, backbone=backbone) for asked in (auto, plain))
        assert mine.method.precision == ("bf16" if gains and units else "float32")
        assert (mine.folder(tmp_path) == theirs.folder(tmp_path)) == (not (gains and units))
        assert (
            slice_steps.run(auto, s, 0, backbone=backbone).method.precision == "float32"
        )  # 32 pixels a side


def test_a_corrected_label_is_another_run(q, s, tmp_path):
    table = s.table.copy()
    table.loc[slice_steps.ids(s, "test")[0], "finding"] = "cap"
    table.loc[slice_steps.ids(s, "test")[1], "finding"] = "covid"
    corrected = replace(s, table=table)
    folders = {slice_steps.run(q, one, 0).folder(tmp_path) for one in (s, corrected)}
    assert len(folders) == 2


def test_no_test_slice_is_trained_on(q, s):
    for run in (slice_steps.run(q, s, 0), slice_steps.meta_weight_net(q, s, 0)):
        assert set(run.test_ids) == set(slice_steps.ids(s, "test"))
        patients = [set(s.table.loc[list(part), "patient_id"]) for part in (run.training_ids, run.test_ids)]
        assert not patients[0] & patients[1] and not set(run.method.meta_ids) & set(run.training_ids)


def test_the_meta_set_is_balanced_and_counts_as_training_data(q, s):
    run = slice_steps.meta_weight_net(q, s, 0)
    counts = pd.Series(findings(s, run.method.meta_ids)).value_counts()
    assert counts.nunique() == 1 and len(counts) == 3
    assert sorted(run.training_ids + run.method.meta_ids) == slice_steps.ids(s, "train")


def test_self_trans_pays_for_its_pretraining_and_without_a_file_there_is_no_chexnet(q, s):
    assert slice_steps.transfer_chexnet(q, s, 0) is None
    run = slice_steps.self_trained(q, s, [0])[0]
    assert run.before.exams == 2 * len(run.training_ids) * q.comparison.contrastive_epochs
    assert run.before.seconds > 0 and 0 < run.before.flops < np.inf and run.method.backbone == "densenet169"
