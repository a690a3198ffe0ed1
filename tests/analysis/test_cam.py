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

SQUARES = torch.zeros(2, 64, 64, dtype=torch.uint8)
SQUARES[0, :16, :16] = SQUARES[1, 48:, 32:48] = 255


class Bright(nn.Module):
    """Output 1 is how bright the picture is, on maps of 8 x 8 pixels; output 0 the opposite."""

    def __init__(self):
        super().__init__()
        self.layer4, self.backbone = nn.AvgPool2d(8), "resnet50"
        self.factor = nn.Parameter(torch.tensor([-1.0, 1.0]))

    def forward(self, images):
        return self.layer4(images).mean((2, 3)) * self.factor


def test_a_map_is_bright_where_the_class_is():
    maps = activation_maps(Bright(), SQUARES, target=1)
    assert maps.shape == (2, 64, 64) and maps.dtype == np.float32
    assert maps[0, 4:12, 4:12].min() > 0.9 * maps[0].max()
    assert maps[0, 24:].max() == 0 and maps[1, :40].max() == 0
    y, x = np.unravel_index(maps[1].argmax(), (64, 64))
    assert 48 <= y < 64 and 32 <= x < 48


def test_a_map_lies_in_the_middle_of_what_it_is_drawn_from():
    """Enlarged with its corners at the corners of the picture, as MONAI does, it would lie 3 pixels further out."""
    image = torch.zeros(1, 64, 64, dtype=torch.uint8)
    image[0, 8:16, 8:16] = 255  # one pixel of the map
    found = activation_maps(Bright(), image, target=1)[0].astype(float)
    centre = (found.sum(1) * np.arange(64)).sum() / found.sum()
    assert centre == pytest.approx(11.5)


def test_what_speaks_against_a_class_leaves_its_map_blank():
    maps = activation_maps(Bright(), SQUARES, target=0)
    assert (maps == 0).all()


def test_the_size_of_a_batch_changes_no_map():
    torch.manual_seed(0)
    network = backbones.build("mobilenet_v2").eval()
    images = torch.randint(0, 255, (5, 64, 64), dtype=torch.uint8)
    alone = activation_maps(network, images, 1, batch_size=1)
    assert alone.max() > 0
    np.testing.assert_allclose(activation_maps(network, images, 1, batch_size=3), alone, rtol=1e-3, atol=1e-6)


def test_efficientnets_last_map_is_its_linear_layer_on_each_pixel():
    """Its maps are averaged and classified by one layer: there Grad-CAM is the plain CAM (Zhou et al. 2016)."""
    torch.manual_seed(0)
    network = backbones.build("efficientnet_lite0").eval()
    image = torch.randint(0, 255, (1, 96, 96), dtype=torch.uint8)
    with torch.no_grad():
        maps = network.extract_features(image[:, None] / 255)
        by_hand = torch.einsum("k,nkyx->nyx", network._fc.weight[1], maps).relu()
    side = maps.shape[-1]
    found = activation_maps(network, image, 1)[0]
    middles = ((np.arange(side) + 0.5) * 96 / side).round().astype(int)
    at_middles = nn.functional.interpolate(by_hand[:, None], size=96, mode="bilinear")[0, 0].numpy()
    assert by_hand.max() > 0
    np.testing.assert_allclose(
        found[np.ix_(middles, middles)] * side**2, at_middles[np.ix_(middles, middles)], rtol=1e-3, atol=1e-5
    )


@pytest.mark.parametrize("name", ["efficientnet_lite0", "mobilenet_v2"])
def test_deep_supervision_changes_no_map_of_its_backbone(name):
    torch.manual_seed(0)
    network = backbones.build(name).eval()
    images = torch.randint(0, 255, (2, 96, 96), dtype=torch.uint8)
    for layer in cam.LAYERS:
        plain = activation_maps(network, images, 1, layer)
        supervised = activation_maps(deep_supervision.DeepSupervision(network).eval(), images, 1, layer)
        np.testing.assert_allclose(supervised, plain, rtol=1e-4, atol=1e-7)
    assert map_side(network, 96, "fourth") == 2 * map_side(network, 96, "last") == 6


LUNGS, LESIONS = np.zeros((2, 1, 4, 4), bool)
LUNGS[0, :2], LESIONS[0, 0, :2] = True, True


def test_shares_of_a_map():
    maps = np.zeros((1, 4, 4))
    maps[0, 0, 0], maps[0, 1, 3], maps[0, 3, 3] = 3, 2, 5
    assert on_truth(maps, LUNGS, LESIONS).values.tolist() == [[0.5, 0.3, 0.0, False]]
    maps[0, 0, 0] = 15
    assert on_truth(maps, LUNGS, LESIONS)["pointing"].tolist() == [1.0]


def test_equal_maxima_share_the_hit_and_a_blank_map_is_an_even_one():
    maps = np.zeros((1, 4, 4))
    maps[0, 0, 0] = maps[0, 3, 0] = 1
    assert on_truth(maps, LUNGS, LESIONS)["pointing"].tolist() == [0.5]
    assert on_truth(0 * maps, LUNGS, LESIONS).values.tolist() == [[0.5, 0.125, 0.125, True]]


def test_references():
    for name, expected in {"even_lungs": [1, 0.25, 0.25], "even_slice": [0.5, 0.125, 0.125]}.items():
        assert reference(name, LUNGS, LESIONS, 2).iloc[0, :3].tolist() == expected
    assert reference("true_lesions", LUNGS, LESIONS, 4).iloc[0, :3].tolist() == [1, 1, 1]
    assert reference("true_lesions", LUNGS, LESIONS, 1).iloc[0, :3].tolist() == [0.5, 0.125, 0.125]


@pytest.fixture(scope="module")
def q(root):
    return parameters(root, slices={"size": 48, "exams": None, "per_exam": 3}, slice_training={"seeds": [0]})


@pytest.fixture(scope="module")
def ran(q):
    s = slice_store.slices(q)
    table = cam.explained(q, s)
    return s, table.runs, table.train()


def test_evidence_is_of_all_slices_with_a_lesion(q, ran):
    s, runs, folders = ran
    found = cam.evidence(s, runs, folders)
    test = s.table[(s.table["split"] == "test") & s.table["finding"].isin(["covid", "cap"])]
    assert set(found["slice_id"]) <= set(test.index[test["lesion_share"] > 0])
    assert len(found) == 2 * 6 * found["slice_id"].nunique()  # layers, three methods and three references
    assert found[list(cam.METRICS)].stack().between(0, 1).all()
    even = found[found["row"] == "even_lungs"].drop_duplicates("slice_id").set_index("slice_id")
    np.testing.assert_allclose(even["in_lungs"], 1)
    lungs, lesions = s.masks(even.index)
    expected = (lungs & lesions).sum((1, 2)) / lungs.sum((1, 2))
    np.testing.assert_allclose(even["in_lesions"], expected)
    scored = cam_scores.scores(found, 100)
    best = scored.set_index(["layer", "column", "row", "metric"])["mean"]
    for finding in ("covid", "cap"):
        assert (
            best["fourth", finding, "true_lesions", "in_lesions"]
            > best["fourth", finding, "even_slice", "in_lesions"]
        )


def test_pictures_are_of_covid_slices_with_lesions_of_different_patients(q, ran):
    s, runs, folders = ran
    drawn = cam.pictures(q, s, runs, folders, {"dsn_saal": "DSN-SAAL"})
    shown = s.table.loc[drawn["ids"]]
    assert (shown["finding"] == "covid").all() and (shown["split"] == "test").all()
    assert shown["patient_id"].is_unique and (shown["lesion_share"] > 0).all()
    assert shown["lesion_share"].is_monotonic_increasing
    assert len(drawn["raw"]) == len(drawn["ids"]) and drawn["raw"][0].shape == (64, 64)
    assert list(drawn["maps"]) == ["DSN-SAAL,\nlast layer", "DSN-SAAL,\nfourth stage"]


def made_up(patients=12, seeds=(0, 1), gain=0.2):
    """Two methods on three slices of each patient, one better by `gain` on every slice."""
    rng, parts = np.random.default_rng(0), []
    base = rng.uniform(0, 0.5, 3 * patients)
    for seed in seeds:
        for row, more in {"baseline": 0.0, "dsn_saal": gain}.items():
            table = pd.DataFrame({"slice_id": [f"s{i:03d}" for i in range(len(base))], "blank": False})
            table["patient_id"] = [f"p{i // 3}" for i in range(len(base))]
            table["in_lungs"] = table["in_lesions"] = table["pointing"] = base + more
            parts.append(table.assign(row=row, seed=seed, layer="last", finding="covid"))
    return pd.concat(parts, ignore_index=True), base


def test_scores_are_means_with_intervals_over_patients():
    found, base = made_up()
    scored = cam_scores.scores(found, 500).set_index(["row", "metric"])
    line = scored.loc["baseline", "in_lesions"]
    assert line["mean"] == pytest.approx(base.mean()) and line["seeds"] == 2
    of_patients = base.reshape(-1, 3).mean(1)
    half = 1.96 * of_patients.std() / np.sqrt(len(of_patients))
    assert line["high"] - line["mean"] == pytest.approx(half, rel=0.2)


def test_a_difference_on_the_same_slices_has_no_spread_where_it_is_the_same_on_each():
    found, _ = made_up(seeds=(0, 1, 2))
    found = pd.concat([found, found.assign(layer="fourth")])
    line = cam_scores.differences(found, 200).query("one == 'dsn_saal' and other == 'baseline'").iloc[0]
    assert [line["difference"], line["low"], line["high"]] == pytest.approx([0.2, 0.2, 0.2])
    assert line["patients"] == 12
    shown = cam_scores.differences_shown(cam_scores.differences(found, 200))
    assert set(shown.loc[("DSN-SAAL less Baseline", "Maximum on a lesion")]) == {"+20.0 (+20.0 to +20.0)"}
    for gain, seeds, patients, told in (
        (0.2, 3, 12, claims.HOLDS),
        (-0.2, 3, 12, claims.FAILS),
        (0.0, 3, 12, claims.NO_EFFECT),
        (0.2, 2, 12, claims.OPEN),
        (0.2, 3, 4, claims.OPEN),
    ):
        of = cam_scores.scored(made_up(patients, range(seeds), gain)[0], n=200)
        assert claims.decide(of, claims.of_table("B.maps"))["verdict"].tolist() == [told]


def test_without_truth_nothing_is_measured(tmp_path):
    table = pd.DataFrame(
        {"finding": ["covid", "cap"], "split": "test", "lesion_share": np.nan}, index=["a", "b"]
    )
    unknown = Samples(table, SQUARES, "key", tmp_path)
    assert cam.with_lesions(unknown) == {}
    nothing = cam.evidence(unknown, {}, {})
    assert nothing.empty and cam_scores.scores(nothing).empty and cam_scores.differences(nothing).empty
    assert cam_scores.scored(nothing).values == {}
    assert cam_scores.blank(nothing, {"last": 3}).to_numpy().tolist() == [[3]]
