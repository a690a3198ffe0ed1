"""Where the networks looked: on the input's own grid, of every kind of model."""

import shutil
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

from covid_study.analysis.cam import activation_maps
from covid_study.models import overlay
from covid_study.models.predict import How, predict
from covid_study.models.prepared import found_at, prepare
from covid_study.samples.cohorts import load_exam


@pytest.mark.parametrize("kind", ["volumes", "slices"])
def test_a_map_lies_on_the_networks_input(travelled, kind):
    model = travelled.models[kind]
    networks = model.networks(torch.device("cpu"))
    row = found_at([travelled.exams])[0]
    ready = prepare(model.about, row, partial(load_exam, how={"burnt_in": False}))
    heat = overlay.maps(model, networks, ready)
    assert heat.shape == ready.data.shape and heat.min() >= 0 and heat.max() <= 1
    if kind == "slices":
        each = [activation_maps(one, torch.from_numpy(ready.data), 1) for one in networks.values()]
        np.testing.assert_allclose(heat, np.mean([one / (one.max() or 1) for one in each], axis=0), atol=1e-6)


def test_a_map_of_a_volume_is_brightest_where_its_class_is_told_from(travelled):
    """A network whose last layer looks at one channel alone: the map is that channel, enlarged."""
    model = travelled.models["volumes"]
    network = model.networks(torch.device("cpu"))[0]
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.weight[1, 3] = 1.0
    row = found_at([travelled.exams])[0]
    ready = prepare(model.about, row, partial(load_exam, how={"burnt_in": False}))
    kept = []
    network.encoder.layer4.register_forward_hook(lambda *of: kept.append(of[2].detach()))
    heat = overlay.maps(model, {0: network}, ready)[0]
    channel = torch.nn.functional.interpolate(
        kept[0][:, 3:4], heat.shape, mode="trilinear", align_corners=False
    )
    wanted = channel[0, 0].relu().numpy()
    np.testing.assert_allclose(heat, wanted / (wanted.max() or 1), atol=1e-5)


@pytest.mark.parametrize("kind", ["volumes", "slices", "pictures"])
def test_a_picture_an_exam(travelled, tmp_path, kind):
    given = (
        sorted((travelled.images / "COVID").iterdir())[:2]
        if kind == "pictures"
        else sorted(travelled.exams.glob("*.mha"))[:1]
    )
    found = predict(travelled.models[kind], given, How(overlay=tmp_path / "maps"), workers=1)
    assert (found["error"] == "").all()
    drawn = sorted((tmp_path / "maps").iterdir())
    assert [file.name for file in drawn] == [f"{path.name}.png" for path in given]
    assert all(min(Image.open(file).size) > 300 for file in drawn)


def test_no_two_exams_share_a_picture(travelled, tmp_path):
    exam = sorted(travelled.exams.glob("*.mha"))[0]
    names = ("a b", "a_b", "å")  # of a folder each; their exams have the same name
    for name in names:
        (tmp_path / "all" / name).mkdir(parents=True)
        shutil.copyfile(exam, tmp_path / "all" / name / "1.mha")
    found = predict(
        travelled.models["volumes"], [tmp_path / "all"], How(overlay=tmp_path / "maps"), workers=1
    )
    assert (found["error"] == "").all() and len(found) == 3
    drawn = {file.relative_to(tmp_path / "maps").as_posix() for file in (tmp_path / "maps").rglob("*.png")}
    assert drawn == {f"{name}.png" for name in found["exam"]}
