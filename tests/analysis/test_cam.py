"""Class activation maps of known networks, and how much of a map lies where: by hand, and end to end on a tiny study."""

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_study import parameters
from torch import nn

from covid_study.analysis import cam, cam_scores
from covid_study.analysis.cam import activation_maps, map_side, on_truth, reference
from covid_study.networks import backbones, deep_supervision
from covid_study.samples import slice_store
from covid_study.samples.samples import Samples
from covid_study.scores import claims

SQUARE = torch.zeros(1, 64, 64, dtype=torch.uint8)
SQUARE[0, 8:16, 8:16] = 255  # one pixel of the map


class Bright(nn.Module):
    """Output 1 is how bright the picture is, on maps of 8 x 8 pixels; output 0 the opposite."""

    def __init__(self):
        super().__init__()
        self.layer4, self.backbone = nn.AvgPool2d(8), "resnet50"
        self.factor = nn.Parameter(torch.tensor([-1.0, 1.0]))

    def forward(self, images):
        return self.layer4(images).mean((2, 3)) * self.factor


def test_a_map_lies_on_what_speaks_for_the_class_and_nowhere_where_that_speaks_against_it():
    """Enlarged with its corners at the corners of the picture, as MONAI does, it would lie 3 pixels further out."""
    found = activation_maps(Bright(), SQUARE, target=1)
    assert found.shape == (1, 64, 64) and found.dtype == np.float32 and found[0, 24:].max() == 0
    assert (found[0].sum(1, dtype=float) * np.arange(64)).sum() / found.sum() == pytest.approx(11.5)
    assert (activation_maps(Bright(), SQUARE, target=0) == 0).all()


def test_efficientnets_last_map_is_its_linear_layer_on_each_pixel():
    """Its maps are averaged and classified by one layer: there Grad-CAM is the plain CAM (Zhou et al. 2016)."""
    torch.manual_seed(0)
    network = backbones.build("efficientnet_lite0").eval()
    image = torch.randint(0, 255, (1, 96, 96), dtype=torch.uint8)
    with torch.no_grad():
        maps = network.extract_features(image[:, None] / 255)
        by_hand = torch.einsum("k,nkyx->nyx", network._fc.weight[1], maps).relu()
    side = maps.shape[-1]
    middles = np.ix_(*[((np.arange(side) + 0.5) * 96 / side).round().astype(int)] * 2)
    expected = nn.functional.interpolate(by_hand[:, None], size=96, mode="bilinear")[0, 0].numpy()[middles]
    found = activation_maps(network, image, 1)[0][middles] * side**2
    assert by_hand.max() > 0
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", ["efficientnet_lite0", "mobilenet_v2"])
def test_neither_deep_supervision_nor_the_size_of_a_batch_changes_a_map(name):
    torch.manual_seed(0)
    network = backbones.build(name).eval()
    images = torch.randint(0, 255, (3, 96, 96), dtype=torch.uint8)
    for layer in cam.LAYERS:
        plain = activation_maps(network, images, 1, layer)
        supervised = deep_supervision.DeepSupervision(network).eval()
        found = activation_maps(supervised, images, 1, layer, batch_size=2)
        np.testing.assert_allclose(found, plain, rtol=1e-3, atol=1e-6)
    assert map_side(network, 96, "fourth") == 2 * map_side(network, 96, "last") == 6


LUNGS, LESIONS = np.zeros((2, 1, 4, 4), bool)
LUNGS[0, :2], LESIONS[0, 0, :2] = True, True


@pytest.mark.parametrize(
    ("bright", "expected"),
    [
        ({(0, 0): 3, (1, 3): 2, (3, 3): 5}, [0.5, 0.3, 0.0, False]),
        ({(0, 0): 15, (3, 3): 5}, [0.75, 0.75, 1.0, False]),
        ({(0, 0): 1, (3, 0): 1}, [0.5, 0.5, 0.5, False]),  # equal maxima share the hit
        ({}, [0.5, 0.125, 0.125, True]),  # a blank map is an even one
    ],
)
def test_shares_of_a_map(bright, expected):
    maps = np.zeros((1, 4, 4))
    for place, value in bright.items():
        maps[0][place] = value
    assert on_truth(maps, LUNGS, LESIONS).values.tolist() == [expected]


def test_references():
    expected = {("even_lungs", 2): [1, 0.25, 0.25], ("even_slice", 2): [0.5, 0.125, 0.125],
                ("true_lesions", 4): [1, 1, 1], ("true_lesions", 1): [0.5, 0.125, 0.125]}  # fmt: skip
    found = {key: reference(key[0], LUNGS, LESIONS, key[1]).iloc[0, :3].tolist() for key in expected}
    assert found == expected


@pytest.fixture(scope="module")
def ran(root):
    small = {"size": 48, "exams": None, "per_exam": 2}
    q = parameters(root, slices=small, slice_training={"seeds": [0], "batch_size": 32, "epochs": 1})
    s = slice_store.slices(q)
    table = cam.explained(q, s)
    return q, s, table.runs, table.train()


def test_evidence_is_of_all_slices_with_a_lesion(ran):
    _, s, runs, folders = ran
    found = cam.evidence(s, runs, folders)
    test = s.table[(s.table["split"] == "test") & s.table["finding"].isin(["covid", "cap"])]
    lungs, lesions = s.masks(list(test.index))
    assert set(found["slice_id"]) == set(test.index[lungs.any((1, 2)) & lesions.any((1, 2))])
    assert len(found) == 2 * 6 * found["slice_id"].nunique()  # layers, three methods and three references
    assert found[list(cam.METRICS)].stack().between(0, 1 + 1e-9).all()
    even = found[found["row"] == "even_lungs"].drop_duplicates("slice_id").set_index("slice_id")
    lungs, lesions = s.masks(even.index)
    np.testing.assert_allclose(even["in_lungs"], 1)
    np.testing.assert_allclose(even["in_lesions"], (lungs & lesions).sum((1, 2)) / lungs.sum((1, 2)))
    mean = cam_scores.scores(found, 100).set_index(["layer", "column", "metric", "row"])["mean"].sort_index()
    for finding in cam.FINDINGS:
        of = mean["fourth", finding, "in_lesions"]
        assert of["true_lesions"] > of["even_slice"]


def test_pictures_are_of_covid_slices_with_lesions_of_different_patients(ran):
    q, s, runs, folders = ran
    drawn = cam.pictures(q, s, runs, folders, {"dsn_saal": "DSN-SAAL"})
    shown = s.table.loc[drawn["ids"]]
    assert (shown[["finding", "split"]] == ("covid", "test")).all(axis=None)
    assert shown["patient_id"].is_unique and (shown["lesion_share"] > 0).all()
    assert shown["lesion_share"].is_monotonic_increasing
    assert [raw.shape for raw in drawn["raw"]] == [(64, 64)] * len(shown)
    assert list(drawn["maps"]) == ["DSN-SAAL,\nlast layer", "DSN-SAAL,\nfourth stage"]


def made_up(patients=12, seeds=3, gain=0.2):
    """Two methods on three slices of each patient, one better by `gain` on every slice."""
    base = np.random.default_rng(0).uniform(0, 0.5, 3 * patients)
    table = pd.DataFrame({"slice_id": [f"s{i:03d}" for i in range(len(base))], "blank": False})
    table = table.assign(patient_id=[f"p{i // 3}" for i in range(len(base))], layer="last", finding="covid")
    parts = [
        table.assign(row=row, seed=seed, **dict.fromkeys(cam.METRICS, base + more))
        for seed in range(seeds)
        for row, more in {"baseline": 0.0, "dsn_saal": gain}.items()
    ]
    return pd.concat(parts, ignore_index=True), base


def test_scores_are_means_with_intervals_over_patients():
    found, base = made_up()
    line = cam_scores.scores(found, 500).set_index(["row", "metric"]).loc["baseline", "in_lesions"]
    of_patients = base.reshape(-1, 3).mean(1)
    assert line["mean"] == pytest.approx(base.mean()) and line["seeds"] == 3
    half = 1.96 * of_patients.std() / np.sqrt(len(of_patients))
    assert line["high"] - line["mean"] == pytest.approx(half, rel=0.2)


def test_a_difference_on_the_same_slices_has_no_spread_where_it_is_the_same_on_each():
    found, _ = made_up()
    made = cam_scores.differences(pd.concat([found, found.assign(layer="fourth")]), 200)
    line = made.query("one == 'dsn_saal' and other == 'baseline'").iloc[0]
    assert line[["difference", "low", "high", "patients"]].tolist() == pytest.approx([0.2, 0.2, 0.2, 12])
    shown = cam_scores.differences_shown(made)
    assert set(shown.loc[("DSN-SAAL less Baseline", "Maximum on a lesion")]) == {"+20.0 (+20.0 to +20.0)"}
    for made, told in (({}, claims.HOLDS), ({"gain": -0.2}, claims.FAILS), ({"patients": 4}, claims.OPEN)):
        of = cam_scores.scored(made_up(**made)[0], n=200)
        assert claims.decide(of, claims.of_table("B.maps"))["verdict"].tolist() == [told]


def test_without_truth_nothing_is_measured(tmp_path):
    table = pd.DataFrame({"finding": ["covid", "cap"], "split": "test", "lesion_share": np.nan}, list("ab"))
    nothing = cam.evidence(Samples(table, SQUARE, "key", tmp_path), {}, {})
    assert nothing.empty and cam_scores.scores(nothing).empty and cam_scores.differences(nothing).empty
    assert cam_scores.scored(nothing).values == {}
    assert cam_scores.blank(nothing, {"last": 3}).to_numpy().tolist() == [[3]]
