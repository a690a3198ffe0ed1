"""The pictures of single slices show what they were given."""

import numpy as np
import pandas as pd
import torch

from covid_study.analysis import cam, cam_scores
from covid_study.figures import explanations as figures_explanations
from covid_study.samples.samples import Samples

SIZE = 16


def slices(folder):
    """Four slices, the second with a lesion of 2 x 2 pixels."""
    table = pd.DataFrame(
        {"finding": ["covid", "covid", "cap", "covid"], "lesion_area_mm2": [0.0, 4.0, 0.0, 0.0]},
        index=pd.Index(list("abcd"), name="slice_id"),
    ).assign(lung_area_mm2=100.0)
    lesions = np.zeros((4, SIZE, SIZE), bool)
    lesions[1, 4:6, 4:6] = True
    for name, masks in {"lungs": np.ones_like(lesions), "lesions": lesions}.items():
        np.save(folder / f"{name}.npy", np.packbits(masks.reshape(4, -1), axis=1))
    return Samples(table, torch.full((4, SIZE, SIZE), 90, dtype=torch.uint8), "key", folder)


def test_mistakes_stand_in_rows_of_their_kind(tmp_path):
    found = pd.DataFrame(
        {
            "finding": ["covid", "cap", "covid", "covid"],
            "called": ["cap", "covid", "cap", "cap"],
            "probability": [0.9, 0.8, 0.7, 0.6],
            "truth": [0.05, 0.1, 0.2, 0.3],
            "lesion_share": [0.0, 0.2, 0.004, np.nan],
            "kind": ["early", "mimic", "typical", ""],
        },
        index=list("acbd"),
    )
    figure = figures_explanations.mistaken(slices(tmp_path), found, each=2)
    axes = np.array(figure.axes).reshape(2, 2)
    assert [line[0].get_ylabel() for line in axes] == ["CAP\ncalled COVID-19", "COVID-19\ncalled CAP"]
    assert axes[1, 0].get_xlabel() == "0.90; the truth 0.05\nno lesion, early"
    assert axes[1, 1].get_xlabel() == "0.70; the truth 0.20\nlesions below 1 %, typical"
    assert not axes[0, 1].images  # one such mistake


def test_maps_lie_over_the_slices_each_from_0_to_its_own_maximum(tmp_path):
    s, ids = slices(tmp_path), ["a", "b"]
    maps = np.zeros((2, SIZE, SIZE), np.float32)
    maps[1, 2, 3] = 0.02
    figure = figures_explanations.maps_of_slices(
        s, ids, [np.zeros((8, 8), np.uint8)] * 2, {"CE": maps}, {"CE": ["0.10", "0.90"]}
    )
    axes = np.array(figure.axes).reshape(3, 2)
    assert axes[2, 0].get_ylabel() == "CE" and axes[2, 1].get_xlabel() == "0.90"
    blank, map_ = (axes[2, n].images[1].get_array() for n in (0, 1))
    assert blank.max() == 0 and map_.max() == 1 and map_[2, 3] == 1


def test_a_mark_for_every_network_and_a_line_for_every_reference():
    rows = [*cam_scores.METHODS, *cam.REFERENCES]
    found = pd.DataFrame(
        [
            {"layer": layer, "row": row, "column": "covid", "metric": metric}
            | {"mean": 0.1 * n, "low": 0.0, "high": 0.7, "label": row}
            for layer in cam.LAYERS
            for metric in cam.METRICS
            for n, row in enumerate(rows)
        ]
    )  # fmt: skip
    figure = figures_explanations.where_maps_lie(found)
    for ax in figure.axes:
        points = [float(line.get_xdata()[0]) for line in ax.lines if len(line.get_xdata()) == 1]
        assert np.allclose(sorted(points), [0.0, 0.0, 0.1, 0.1, 0.2, 0.2])
