"""Where a network looks: class activation maps, and how much of them lies on the lungs and the lesions (paper B, 5.4)."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from covid_study.analysis.slice_pictures import examples, step_by_step
from covid_study.cohort.findings import POSITIVE, numbers
from covid_study.figures.pictures import some
from covid_study.networks import backbones
from covid_study.samples.batch import to_input
from covid_study.samples.samples import Samples
from covid_study.tables.scoring import SLICES
from covid_study.tables.slice_steps import dsn_saal, run
from covid_study.tables.table import Cell, Table
from covid_study.training.loop import in_batches
from covid_study.training.run import Run
from covid_study.training.slice_classifier import Final, load

LAYERS = {"last": "last layer", "fourth": "fourth stage"}
METRICS = ("in_lungs", "in_lesions", "pointing")
REFERENCES = {  # maps to compare with: two that know nothing, and one that knows all
    "even_lungs": "Evenly over the lungs",
    "even_slice": "Evenly over the slice",
    "true_lesions": "The true lesions, as coarse as the maps",
}
SAME = 1e-6  # maxima that differ by less are equal
FINDINGS = ("covid", "cap")  # those that have lesions


def explained(p, s: Samples) -> Table:
    """The networks that are looked into: the backbone with CE, with deep supervision, and DSN-SAAL; runs of Tables 4 to 6."""
    runs = {
        (row, "slices", seed): made
        for seed in p.slice_training.seeds
        for row, made in {
            "baseline": run(p, s, seed),
            "dsn": run(p, s, seed, supervised=True),
            "dsn_saal": dsn_saal(p, s, seed),
        }.items()
    }
    return Table("B.explained", runs, s, p.study, scoring=SLICES)


def layer_name(network: nn.Module, layer: str) -> str:
    """The name of a layer of a trained network within `slice_classifier.Final`.

    Args:
        layer: "last", what paper B draws from, or "fourth", the end of the fourth of five stages, with twice as many
            pixels a side.

    >>> layer_name(backbones.build("resnet50"), "fourth")
    'network.layer3'
    """
    model = Final(network).network
    name = backbones.last_convolution(model) if layer == "last" else backbones.stages(model)[3][-1]
    name = name.partition(".denselayer")[0]  # of a dense block the whole, not what its last layer adds
    return f"network.{name}"


def activation_maps(
    network: nn.Module, images: torch.Tensor, target: int, layer: str = "last", batch_size: int = 64
) -> np.ndarray:
    """Class activation maps, through MONAI (paper B, 5.4, Fig. 7; Selvaraju et al. 2017, eq. 1 and 2).

    Grad-CAM, which the paper cites for them. The plain CAM of Zhou et al. (2016) would need a network whose maps are
    averaged and then classified by one linear layer; VGG-16 has three.

    Choice: the maps are enlarged with each of their pixels at the middle of the patch that it stands for. MONAI's own way
    moves the outermost pixels to the edges of the picture, which matters where a map has 3 x 3 of them.

    Args:
        network: a trained one, of `slice_classifier.load`. images: uint8 (n, y, x). target: the network's output.
        layer: "last" or "fourth", see `layer_name`.

    Returns:
        float32 (n, y, x), 0 or more, in no unit; 0 everywhere where nothing speaks for the class.
    """
    cam, device = grad_cam(Final(network), layer_name(network, layer)), next(network.parameters()).device
    found = [np.empty((0, *images.shape[1:]), np.float32)]
    for part in images.split(batch_size):
        if len(part):
            maps = cam(to_input(part.to(device)).requires_grad_(), class_idx=target)
            found.append(maps[:, 0].detach().float().cpu().numpy())
    return np.concatenate(found)


def grad_cam(model: nn.Module, layer: str):
    """MONAI's Grad-CAM of a classifier of slices or of volumes, enlarged as `activation_maps` says. layer: its name."""
    from monai.visualize import GradCAM  # takes seconds to import

    return GradCAM(
        model.eval(),
        layer,
        upsampler=lambda size: lambda maps: _enlarged(maps, size),
        postprocessing=lambda maps: maps,
    )


def _enlarged(maps: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Maps (n, 1, y, x) or (n, 1, z, y, x) at another size, each pixel at the middle of its patch."""
    mode = "bilinear" if maps.ndim == 4 else "trilinear"
    return nn.functional.interpolate(maps, size=tuple(size), mode=mode, align_corners=False)


def map_side(network: nn.Module, size: int, layer: str = "last") -> int:
    """Pixels a side of the maps of a layer for pictures of `size` pixels a side, before they are enlarged.

    >>> map_side(backbones.build("resnet50").eval(), 96), map_side(backbones.build("resnet50").eval(), 96, "fourth")
    (3, 6)
    """
    image = torch.zeros(1, 1, size, size, device=next(network.parameters()).device, requires_grad=True)
    cam = grad_cam(Final(network), layer_name(network, layer))
    return int(cam.compute_map(image, class_idx=0).shape[-1])


def on_truth(maps: np.ndarray, lungs: np.ndarray, lesions: np.ndarray) -> pd.DataFrame:
    """How much of each map lies on the lungs and on the lesions, and whether its maximum does (Zhang et al. 2018).

    Choice: a maximum is a hit only on a lesion, not near one; of several equal ones it is the share of them on lesions.
    Choice: a map that is 0 everywhere says nothing, and counts as one that is even over the picture.

    Args:
        maps: float (n, y, x), 0 or more. lungs, lesions: bool (n, y, x).

    Returns:
        A row a map: in_lungs, in_lesions (shares of the map's sum), pointing (0 to 1), blank (0 everywhere).

    >>> maps = np.array([[[0.0, 3.0], [1.0, 0.0]]])
    >>> lungs, lesions = np.array([[[True, True], [False, False]]]), np.array([[[False, True], [False, False]]])
    >>> on_truth(maps, lungs, lesions).values.tolist()
    [[0.75, 0.75, 1.0, False]]
    """
    flat = np.asarray(maps, np.float64).reshape(len(maps), -1)
    inside, ill = lungs.reshape(len(maps), -1), lesions.reshape(len(maps), -1)
    blank = flat.max(1, initial=0) == 0
    flat = np.where(blank[:, None], 1.0, flat)
    shares = flat / flat.sum(1, keepdims=True)
    highest = flat >= (1 - SAME) * flat.max(1, keepdims=True)
    return pd.DataFrame(
        {
            "in_lungs": (shares * inside).sum(1),
            "in_lesions": (shares * ill).sum(1),
            "pointing": (highest & ill).sum(1) / highest.sum(1),
            "blank": blank,
        }
    )


def reference(name: str, lungs: np.ndarray, lesions: np.ndarray, side: int) -> pd.DataFrame:
    """The same as `on_truth` for a map of REFERENCES.

    Args:
        lungs, lesions: bool (n, y, x). side: pixels a side that a map has before it is enlarged.

    >>> lungs, lesions = np.ones((1, 4, 4), bool), np.zeros((1, 4, 4), bool)
    >>> lesions[0, :2, :2] = True
    >>> reference("even_lungs", lungs, lesions, 2)["pointing"].item()
    0.25
    >>> reference("true_lesions", lungs, lesions, 4)["in_lesions"].item()
    1.0
    """
    if name == "true_lesions":
        truth = torch.from_numpy(lesions.astype(np.float32))[:, None]
        maps = _enlarged(nn.functional.adaptive_avg_pool2d(truth, side), lesions.shape[1:])[:, 0].numpy()
        return on_truth(maps, lungs, lesions)
    return on_truth(lungs if name == "even_lungs" else np.ones(lungs.shape), lungs, lesions)


def with_lesions(s: Samples) -> dict[str, list[str]]:
    """Finding -> test slices of it with a lesion of a pixel or more on the network's input; empty where no truth is known."""
    found = {}
    for finding in FINDINGS:
        of = s.table[(s.table["split"] == "test") & (s.table["finding"] == finding)].sort_index()
        if not (ids := list(of.index[of["lesion_share"] > 0])):
            continue
        lungs, lesions = s.masks(ids)
        seen = lesions.any((1, 2)) & lungs.any((1, 2))
        found[finding] = [name for name, there in zip(ids, seen, strict=True) if there]
    return {finding: ids for finding, ids in found.items() if ids}


def evidence(s: Samples, runs: Mapping[Cell, Run], folders: Mapping[Cell, Path]) -> pd.DataFrame:
    """`on_truth` of every network on the test slices with a lesion: the map of a slice's true class.

    Returns:
        Tidy: row (method), seed, layer, finding, slice_id, patient_id, in_lungs, in_lesions, pointing, blank. Among the
        rows are REFERENCES. No rows where no truth is known.
    """
    truth, parts = with_lesions(s), []
    if not truth:
        return pd.DataFrame()
    masks = {finding: s.masks(ids) for finding, ids in truth.items()}
    for (row, _, seed), run_ in runs.items():
        network = load(run_, folders[row, "slices", seed]).to(s.device)
        for layer in LAYERS:
            side = map_side(network, s.data.shape[-1], layer)
            for finding, ids in truth.items():
                known = {"finding": finding, "slice_id": ids, "seed": seed, "layer": layer}
                known["patient_id"] = s.table.loc[ids, "patient_id"].to_numpy()
                target = int(numbers([finding], run_.classes)[0])
                maps = activation_maps(network, s.of(ids), target, layer)
                parts.append(on_truth(maps, *masks[finding]).assign(row=row, **known))
                if row == "baseline":  # once a seed
                    parts += [
                        reference(name, *masks[finding], side).assign(row=name, **known)
                        for name in REFERENCES
                    ]
    return pd.concat(parts, ignore_index=True)


def map_sides(runs: Mapping[Cell, Run], folders: Mapping[Cell, Path], size: int) -> dict[str, int]:
    """Layer -> pixels a side of its maps, of the backbone that the runs share."""
    cell, run_ = next(iter(runs.items()))
    network = load(run_, folders[cell])
    return {layer: map_side(network, size, layer) for layer in LAYERS}


def to_explain(s: Samples, each: int) -> list[str]:
    """COVID-19 test slices for Fig. 7, each of another patient; where lesions are known with one, from small to large."""
    ids = examples(s, len(s.table), "test")["covid"]
    ill = [name for name in ids if s.table.loc[name, "lesion_share"] != 0]
    return some(ill, each) if ill else ids[:each]


def pictures(
    p, s: Samples, runs: Mapping[Cell, Run], folders: Mapping[Cell, Path], labels: Mapping[str, str]
) -> dict:
    """Fig. 7: slices of COVID-19, raw and as the network gets them, and the maps of COVID-19 of two networks, first seed.

    Args:
        labels: method -> its name; the maps of these are drawn.

    Returns:
        For `pictures.maps`.
    """
    ids, seed = to_explain(s, p.explanations.slices), p.slice_training.seeds[0]
    raw = [next(iter(step_by_step(p, s, name)["pictures"].values())) for name in ids]
    cells = {method: (method, "slices", seed) for method in labels}
    networks = {m: load(runs[cell], folders[cell]).to(s.device) for m, cell in cells.items()}
    precision = {method: runs[cell].method.precision for method, cell in cells.items()}
    logits = {
        m: torch.from_numpy(in_batches(Final(one), s.of(ids), precision[m])) for m, one in networks.items()
    }
    maps, captions = {}, {}
    for layer, where in LAYERS.items():
        for method, name in labels.items():
            drawn = activation_maps(networks[method], s.of(ids), POSITIVE, layer)
            label, said = f"{name},\n{where}", logits[method].softmax(1)[:, POSITIVE].tolist()
            maps[label] = drawn
            captions[label] = [
                f"COVID-19: {chance:.2f}" + ("" if one.any() else ", map 0 everywhere")
                for chance, one in zip(said, drawn, strict=True)
            ]
    return {"ids": ids, "raw": raw, "maps": maps, "captions": captions}
