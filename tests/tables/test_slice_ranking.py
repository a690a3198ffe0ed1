"""The ranking of slices against one that is computed pair by pair, what it looks at, and whether it means anything."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_study import parameters as tiny

from covid_study import paths
from covid_study.analysis import ranking_meaning as meaning
from covid_study.ranking import emd, order_free
from covid_study.ranking.rank import rank_negatives, soft_labels
from covid_study.samples.samples import Samples
from covid_study.tables import slice_ranking
from covid_study.tables.selection_and_supervision import left

FINDINGS = ("covid", "cap", "non_pneumonia")


def parameters(**changed):
    """Those of the tiny study with a network of random weights; `changed` by section."""
    return tiny(None, slice_network={"backbone": "mobilenet_v2", "weights": "none"}, **changed)


def slices(patients=4, each=2, test=2):
    """Noise, brighter for COVID-19 and, half as much, for CAP."""
    rows = [
        (f"{f}{n}_{k}", f"{f}{n}", f, "test" if n >= patients else "train")
        for f in FINDINGS
        for n in range(patients + test)
        for k in range(each)
    ]
    table = pd.DataFrame(rows, columns=["slice_id", "patient_id", "finding", "split"]).set_index("slice_id")
    bright = table["finding"].map({"covid": 120, "cap": 60, "non_pneumonia": 0}).to_numpy()
    noise = np.random.default_rng(0).integers(0, 100, (len(table), 32, 32))
    data = torch.from_numpy((noise + bright[:, None, None]).astype(np.uint8))
    return Samples(table.assign(exam_id=table["patient_id"]), data, "store", None)


@pytest.fixture(autouse=True)
def build(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "build", lambda name: tmp_path / name)


@pytest.mark.parametrize("source", slice_ranking.SOURCES)
def test_the_ranking_is_that_of_all_pairs_by_hand(source):
    p, s = parameters(), slices()
    given = slice_ranking.labelled(p, s, source)
    positives, negatives = slice_ranking.archive(s)
    assert len(positives) == 8 and len(negatives) == 16
    assert list(given.features.index) == positives + negatives
    kept = positives[:3]
    ranking, seconds = slice_ranking.ranked(p, s, kept, source)
    assert seconds > given.seconds > 0
    near, far = (given.features.loc[ids].to_numpy(float) for ids in (kept, negatives))
    labels = np.array([[emd.emd(n, c) for c in near] for n in far])
    np.testing.assert_allclose(ranking["difficulty"], labels.mean(axis=1))
    apart = np.array([[emd.emd(a, b) if a is not b else 0.0 for b in labels] for a in labels])
    np.testing.assert_allclose(ranking["diversity"], apart.sum(axis=1) / (len(labels) - 1))
    assert ranking["difficulty"].idxmin() == ranking["difficulty_rank"].idxmin()
    expected = 0.5 * ranking["difficulty_rank"] + 0.5 * ranking["diversity_rank"]
    assert ranking["joint"].tolist() == expected.tolist()


def test_histograms_leave_black_out_and_find_what_is_as_bright_as_covid_19():
    p, s = parameters(), slices()
    found = slice_ranking.labelled(p, s).features
    ids = list(found.index)
    levels = s.of(ids[:1]).numpy().ravel()
    counts = np.bincount(levels[levels > 0] // 4, minlength=64)
    np.testing.assert_allclose(found.iloc[0], counts / counts.sum())
    ranking, _ = slice_ranking.ranked(p, s, slice_ranking.archive(s)[0])
    hardest = ranking["difficulty"].nsmallest(8).index  # CAP is brighter, as COVID-19 is
    assert set(s.table.loc[hardest, "finding"]) == {"cap"}


def test_features_of_the_backbone_are_those_that_it_starts_with():
    p, s = parameters(), slices(patients=2)
    given = slice_ranking.labelled(p, s, "backbone")
    assert given.features.shape == (12, 1280) and given.features.to_numpy().min() >= 0
    torch.rand(5)  # whatever was drawn before
    again = slice_ranking.labelled(p, replace(s, key="another store"), "backbone")
    assert again.key != given.key != slice_ranking.labelled(p, s).key
    pd.testing.assert_frame_equal(again.features, given.features)


def test_no_test_slice_takes_part():
    p, s = parameters(), slices()
    first, _ = slice_ranking.ranked(p, s, slice_ranking.archive(s)[0])
    changed = s.data.clone()
    tested = torch.tensor((s.table["split"] == "test").tolist())
    changed[tested] = 255 - changed[tested]
    second, _ = slice_ranking.ranked(p, replace(s, data=changed, key="changed"), slice_ranking.archive(s)[0])
    pd.testing.assert_frame_equal(first, second)
    assert set(s.table.loc[first.index, "split"]) == {"train"}


def test_fewer_positives_are_another_ranking_and_the_same_distances():
    p, s = parameters(), slices()
    positives, _ = slice_ranking.archive(s)
    all_of_them, _ = slice_ranking.ranked(p, s, positives)
    few, _ = slice_ranking.ranked(p, s, positives[:2])
    assert not np.allclose(all_of_them["difficulty"], few["difficulty"])
    labels = slice_ranking.labelled(p, s).soft_labels
    np.testing.assert_allclose(few["difficulty"], labels[positives[:2]].mean(axis=1))


@pytest.mark.parametrize("distance", ["order_free", "cosine"])
def test_with_another_distance_it_is_that_of_paper_a(distance):
    p, s = parameters(ranking={"distance": distance, "mass": "normalised"}), slices(patients=2)
    given = slice_ranking.labelled(p, s)
    positives, negatives = slice_ranking.archive(s)
    near, far = given.features.loc[positives], given.features.loc[negatives]
    expected = order_free.OrderFree(near, far, mass="normalised").without("both")
    if distance == "cosine":
        expected = rank_negatives(soft_labels(near, far, distance=distance), distance=distance)
    found, _ = slice_ranking.ranked(p, s, positives)
    np.testing.assert_allclose(found[["difficulty", "diversity"]], expected[["difficulty", "diversity"]])
    listed = rank_negatives(soft_labels(near, far, "normalised"), mass="normalised")
    assert not np.allclose(found["diversity"], listed["diversity"])


def ranked_by(hardness):
    """A ranking whose difficulty is what is said of each negative: larger is harder."""
    return pd.DataFrame({"difficulty": -hardness, "diversity": hardness}).assign(
        difficulty_rank=lambda t: t["difficulty"].rank(method="first").astype(int),
        diversity_rank=lambda t: (-t["diversity"]).rank(method="first").astype(int),
    )


def test_evidence_is_one_where_difficulty_knows_and_a_half_where_it_does_not():
    s = slices(patients=20)
    positives, negatives = slice_ranking.archive(s)
    ids, rng = positives + negatives, np.random.default_rng(1)
    ill = s.table.loc[ids, "finding"].map({"covid": 2.0, "cap": 1.0, "non_pneumonia": 0.0})
    seen = {"0": ill + rng.uniform(0, 0.1, len(ids)), "1": rng.uniform(size=len(ids))}
    probe = meaning.probed(s, pd.DataFrame(seen, index=ids))
    assert meaning.probe_auc(s, probe, 50).value == 1
    number = s.table.loc[negatives, "patient_id"].str.extract(r"(\d+)$")[0].astype(float)
    asked = {
        ("knows", "100%"): ranked_by(ill.loc[negatives]),
        ("wrong", "100%"): ranked_by(-ill.loc[negatives]),
        ("guesses", "100%"): ranked_by(number),
    }
    found = meaning.evidence(s, probe, asked, n=200).set_index(["source", "question"])
    assert found.loc[("knows", "cap"), "value"] == 1
    assert found.loc[("wrong", "cap"), "value"] == 0
    assert found.loc[("knows", "mistaken"), "value"] == pytest.approx(1)  # the probe sees CAP as nearer, too
    guess = found.loc[("guesses", "cap")]
    assert guess["value"] == pytest.approx(0.5) and guess["low"] < 0.5 < guess["high"]


def test_rankings_are_asked_at_every_share_and_by_the_other_source_at_the_largest():
    p, s = parameters(slice_selection={"positives": [0.5, 1.0]}), slices()
    found = meaning.rankings_of_slices(p, s)
    assert list(found) == [("grey_histogram", "100%"), ("grey_histogram", "50%"), ("backbone", "100%")]
    kept = left(s, 0.5, 0)[0]
    pd.testing.assert_frame_equal(found["grey_histogram", "50%"], slice_ranking.ranked(p, s, kept)[0])


def test_with_two_classes_only_the_probe_is_asked_and_one_patient_gives_no_probe():
    several, one = slices(patients=6), slices(patients=1)
    named = several.table["finding"].replace({"cap": "non_covid", "non_pneumonia": "non_covid"})
    asked = {}
    for name, s in (("two", replace(several, table=several.table.assign(finding=named))), ("one", one)):
        probe = meaning.probed(s, slice_ranking.labelled(parameters(), s, "grey_histogram").features)
        ranking, _ = slice_ranking.ranked(parameters(), s, slice_ranking.archive(s)[0])
        asked[name] = meaning.evidence(s, probe, {("grey_histogram", "100%"): ranking}, n=50)
        assert np.isnan(meaning.probe_auc(s, probe, 50).value) == (name == "one")
    assert asked["two"]["question"].tolist() == ["mistaken"] and asked["one"]["question"].tolist() == ["cap"]
    assert asked["two"]["low"][0] <= asked["two"]["value"][0] <= asked["two"]["high"][0]
    assert np.isnan(asked["one"]["low"][0])


def test_extremes_are_of_different_patients_and_in_their_order():
    s = slices(patients=5)
    _, negatives = slice_ranking.archive(s)
    hardness = pd.Series(np.arange(len(negatives), dtype=float), index=negatives)
    found = meaning.extremes(s, ranked_by(hardness), slice_ranking.archive(s)[0], each=4)
    assert list(found) == ["covid", "hardest", "easiest", "most diverse"]
    assert found["hardest"] == [f"non_pneumonia{n}_1" for n in (4, 3, 2, 1)]
    assert found["easiest"] == [f"cap{n}_0" for n in range(4)]
    for ids in found.values():
        assert s.table.loc[ids, "patient_id"].is_unique
    assert set(s.table.loc[found["covid"], "finding"]) == {"covid"}


def test_killed_in_the_distances_it_goes_on_with_its_features_and_does_not_know_its_seconds(monkeypatch):
    p, s = parameters(), slices(patients=2)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(slice_ranking, "soft_labels", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        slice_ranking.labelled(p, s)
    monkeypatch.setattr(slice_ranking, "grey_histograms", None)  # calling it would raise
    assert np.isnan(slice_ranking.labelled(p, s).seconds)
