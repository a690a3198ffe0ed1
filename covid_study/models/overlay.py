"""Where the networks looked, over what they saw: class activation maps of an exam as one picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from covid_study.analysis.cam import SAME, activation_maps, grad_cam
from covid_study.ct.to_volume import FIELD_OF_VIEW_MM
from covid_study.figures.pictures import grid
from covid_study.figures.style import SMALL
from covid_study.figures.tile import Tile, plane
from covid_study.models.model import NOTICE, Model
from covid_study.models.prepared import Prepared, Row
from covid_study.runtime.artefacts import write_atomically
from covid_study.samples.batch import to_input

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import nn

PLANES = ("axial", "coronal", "sagittal")
SHOWN = 6  # slices of an exam: those that speak most for COVID-19
DPI = 150


def maps(model: Model, networks: dict[int, nn.Module], ready: Prepared) -> np.ndarray:
    """How much each place speaks for COVID-19: Grad-CAM of the last layer (paper B, 5.4), a mean over the networks.

    Choice: each network's map is divided by its own maximum over the exam first: their heights have no common unit.

    Returns:
        float32, the shape of `ready.data`, 0 to 1; 0 everywhere where nothing speaks for COVID-19.
    """
    target, found = model.outputs.index("covid"), []
    for network in networks.values():
        device = next(network.parameters()).device
        data = torch.from_numpy(ready.data).to(device)
        if model.kind == "volume":
            cam = grad_cam(network, "encoder.layer4")
            one = cam(to_input(data).requires_grad_(), class_idx=target)[:, 0].detach().float().cpu().numpy()
        else:
            one = activation_maps(network, data, target)
        found.append(one / (one.max() or 1))
    return np.mean(found, axis=0)


def drawn(model: Model, row: Row, ready: Prepared, heat: np.ndarray, line: dict) -> Figure:
    """What the network saw, and above it the map. heat: of `maps`. line: the row of `predict`."""
    ends = (
        ""
        if np.isnan(line["low"])
        else f" ({line['low']:.2f} to {line['high']:.2f} over {len(model.seeds)} networks)"
    )
    title = f"{row.exam_id}: COVID-19 {line['probability']:.2f}{ends}, called {line['called']}"
    if model.kind == "volume":
        volume, hot = ready.data[0], heat[0]
        mm = tuple(f / n for f, n in zip(reversed(FIELD_OF_VIEW_MM), volume.shape, strict=True))
        # where most of the map lies in the lungs: its own maximum may lie beside them, for it has few places
        inside = (volume > 0) * (hot if hot.any() else 1)
        rows: dict[str, list] = {"the network's input": [], "speaks for COVID-19": []}
        for axis, name in enumerate(PLANES):
            at = int(inside.sum(tuple(a for a in range(3) if a != axis)).argmax())
            rows["the network's input"].append(plane(volume, mm, axis, at, caption=name))
            rows["speaks for COVID-19"].append(
                plane(volume, mm, axis, at, heat=hot.take(at, axis), caption=_said(hot))
            )
    else:
        most = np.argsort(heat.reshape(len(heat), -1).max(1), kind="stable")[::-1][:SHOWN]
        chosen = sorted(most.tolist())
        rows = {
            "the network's input": [
                Tile(ready.data[n], f"slice {n + 1}" if len(heat) > 1 else "") for n in chosen
            ],
            "speaks for COVID-19": [Tile(ready.data[n], _said(heat[n]), heat=heat[n]) for n in chosen],
        }
    figure = grid(rows, side=2.6, title=title)
    figure.text(0.01, -0.01, NOTICE, fontsize=SMALL, va="top")
    return figure


def _said(heat: np.ndarray) -> str:
    """What must be known of a map: of a small input the last layer has one place only, or nothing speaks for the class.

    >>> _said(np.array([0.1, 0.9])), _said(np.zeros(2)), _said(np.ones(2))
    ('', 'nothing speaks for it', 'the same everywhere: it says nothing of where')
    """
    if np.ptp(heat) > SAME:
        return ""
    return "the same everywhere: it says nothing of where" if heat.max() > 0 else "nothing speaks for it"


def write(folder: Path, model: Model, networks: dict, row: Row, ready: Prepared, line: dict) -> Path:
    """Draw an exam into `folder`, where it lies as the exam does in what was asked for; returns the file."""
    file = folder / f"{row.exam_id.strip('/')}.png"
    file.parent.mkdir(parents=True, exist_ok=True)
    figure = drawn(model, row, ready, maps(model, networks, ready), line)
    write_atomically(file, lambda path: figure.savefig(path, format="png", dpi=DPI, bbox_inches="tight"))
    return file
