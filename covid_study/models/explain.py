"""Why an exam or a picture was left out, or read as it was: checks, geometry, HU, lung mask, what a network would see."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from covid_study.cohort.file_kinds import is_picture
from covid_study.ct import to_slice, to_volume
from covid_study.ct.files import read_volume
from covid_study.ct.lungs import lung_mask
from covid_study.ct.pictures import read_image, size_and_mode
from covid_study.ct.volume import HU_RANGE, Volume
from covid_study.errors import ExamError, StudyError
from covid_study.figures.explained import explained
from covid_study.figures.pictures import some
from covid_study.figures.style import OUTLINE
from covid_study.figures.tile import Tile, plane
from covid_study.models.checks import PASSED, REFUSED, outcome
from covid_study.models.model import NOTICE, read
from covid_study.models.prepared import Prepared, Row, found_at, prepare
from covid_study.runtime.artefacts import write_atomically

PAPER_A = {
    "kind": "volume",
    "input": {"shape_xyz": (256, 192, 56), "spacing_mm_xyz": (1.0, 1.0, 5.0)},
    "usual": {},
}
PAPER_B = {"kind": "picture", "input": {"size": 224}}
SHOWN = 5  # pictures of a folder, slices of an exam
BINS = 128
CUT_OFF = 0.005  # of the lungs outside the network's view, from which on it is told
HU_PARTS = {
    "air": -1024,
    "aerated lung": -950,
    "between": -500,
    "soft tissue": -200,
    "bone, metal": 300,
}  # from HU
DPI = 130


@dataclass(frozen=True)
class Explained:
    """What was found of an exam or of pictures: `about` for machines, the picture's file. usable: nothing was refused."""

    about: dict[str, Any]
    file: Path

    @property
    def usable(self) -> bool:
        return self.about["usable"]

    @property
    def text(self) -> str:
        """The same for people."""
        marks = {PASSED: "+", REFUSED: "!"}
        lines = [f"{self.about['name']}: {'can be used' if self.usable else 'cannot be used'}"]
        for one in self.about["checks"]:
            lines += [
                f"  {marks.get(one['state'], '-')} {one['check']}",
                *([f"      {one['said']}"] if one["said"] else []),
            ]
        return "\n".join(
            [*lines, *(f"  {fact}" for fact in self.about["facts"]), f"  picture: {self.file}", NOTICE]
        )


def explain(path: Path | str, file: Path, model: Path | None = None, burnt_in: bool = False) -> Explained:
    """Look at one exam, one picture or a folder of pictures, and draw what was found into `file`, a PNG.

    Args:
        model: a model's folder: what it would see; None: a network of paper A, of pictures one of paper B.

    Raises:
        StudyError: nothing is there, or several exams.
    """
    rows = found_at([path])
    pictures = all(is_picture(Path(row.path)) for row in rows)
    if len(rows) > 1 and not pictures:
        raise StudyError(
            f"{path} holds {len(rows)} exams. What to do: give one of them, such as {rows[0].path}."
        )
    about = read(model).about if model else PAPER_B if pictures else PAPER_A
    if pictures:
        found, figure = _of_pictures(str(path), rows, about)
    else:
        found, figure = _of_exam(rows[0], about, burnt_in)
    write_atomically(file, lambda at: figure.savefig(at, format="png", dpi=DPI, bbox_inches="tight"))
    return Explained(found | {"picture": str(file), "notice": NOTICE}, file)


def _of_exam(row: Row, about: dict, burnt_in: bool) -> tuple[dict, Figure]:
    """An exam, as far as it can be read."""
    volume = mask = ready = error = None
    try:
        volume = read_volume(row.path, row.exam_id, burnt_in)
        mask = lung_mask(volume.hu, volume.spacing_mm, row.exam_id)
        ready = prepare(about, row, lambda _: (volume, None))
    except ExamError as one:
        error = one
    checks = outcome(Path(row.path), error if mask is None else None)
    if mask is not None:
        said = "" if error is None else error.said
        checks.append(
            {"check": "an input for the network", "state": PASSED if ready else REFUSED, "said": said}
        )
    facts = [] if volume is None else _geometry(volume)
    facts += [] if volume is None else [_parts(volume.hu)]
    if mask is not None:
        ml = mask.sum() * np.prod(volume.spacing_mm) / 1000
        facts.append(f"Lungs: {ml:,.0f} ml, mean {volume.hu[mask].mean():.0f} HU.")
    if ready and ready.facts.get("cut_off", 0) > CUT_OFF:
        facts.append(f"Of the lungs {ready.facts['cut_off']:.1%} lie outside what the network sees.")
    facts += [f"Odd: {one}." for one in (ready.odd if ready else [])]
    histogram = None if volume is None else np.histogram(volume.hu, BINS, (-1024, 1500))
    tiles = {} if volume is None else {"as it was read": _planes(volume, mask)}
    if ready:
        tiles["the network's input"] = _seen(about, ready)
    level, width = (
        (to_volume.LEVEL, to_volume.WIDTH) if about["kind"] == "volume" else (to_slice.LEVEL, to_slice.WIDTH)
    )
    title = f"{row.exam_id}: {'can be used' if error is None else 'cannot be used'}"
    window = level - width / 2, level + width / 2
    figure = explained(
        tiles, checks, facts, histogram, None if volume is None else window, title=title, below=NOTICE
    )
    told = {"name": row.exam_id, "usable": error is None, "checks": checks, "facts": facts}
    if volume is not None:
        told |= {
            "spacing_mm_zyx": volume.spacing_mm,
            "shape_zyx": volume.hu.shape,
            "protocol": volume.protocol,
        }
        told["histogram"] = {"counts": histogram[0].tolist(), "edges": histogram[1].tolist()}
    return told | {"measured": ready.facts if ready else {}}, figure


def _geometry(volume: Volume) -> list[str]:
    z, y, x = volume.hu.shape
    dz, dy, dx = volume.spacing_mm
    size = " x ".join(f"{n * mm:.0f}" for n, mm in ((x, dx), (y, dy), (z, dz)))
    said = [
        f"{z} slices of {x} x {y} pixels; a voxel has {dx:.3g} x {dy:.3g} x {dz:.3g} mm (x, y, z), in all {size} mm.",
        "Turned so that the lowest slice is first, the front is up and the patient's right is on the left.",
    ]
    known = {
        "kvp": "kV",
        "slice_thickness_mm": "mm thick slices by the header",
        "passed_over": "files passed over",
    }
    told = [f"{volume.protocol[name]:g} {unit}" for name, unit in known.items() if volume.protocol.get(name)]
    if maker := volume.protocol.get("manufacturer"):
        told.append(str(maker))
    return [*said, f"Header: {', '.join(told) or 'it says nothing of the scanner'}."]


def _parts(hu: np.ndarray) -> str:
    sample = hu[:: max(1, len(hu) // 50), ::2, ::2]
    counts, _ = np.histogram(sample, [*HU_PARTS.values(), HU_RANGE[1]])
    shares = [f"{name} {share:.0%}" for name, share in zip(HU_PARTS, counts / sample.size, strict=True)]
    return f"HU from {hu.min()} to {hu.max()}: {', '.join(shares)}."


def _planes(volume: Volume, mask: np.ndarray | None) -> list[Tile]:
    """Three planes where the mask is fullest, else through the middle, the mask outlined."""
    tiles = []
    for axis, name in enumerate(("axial", "coronal", "sagittal")):
        others = tuple(a for a in range(3) if a != axis)
        at = volume.hu.shape[axis] // 2 if mask is None else int(mask.sum(others).argmax())
        outlines = {} if mask is None else {OUTLINE: mask}
        caption = f"{name}, lungs outlined" if mask is not None else name
        tiles.append(plane(volume.hu, volume.spacing_mm, axis, at, outlines, caption=caption))
    return tiles


def _seen(about: dict, ready: Prepared) -> list[Tile]:
    """What the network sees, in three planes, or three of its slices."""
    if about["kind"] != "volume":
        return [
            Tile(ready.data[n], f"slice {n + 1} of {len(ready.data)}")
            for n in some(range(len(ready.data)), 3)
        ]
    volume = ready.data[0]
    mm = tuple(f / n for f, n in zip(reversed(to_volume.FIELD_OF_VIEW_MM), volume.shape, strict=True))
    captions = f"axial, {' x '.join(map(str, volume.shape[::-1]))} voxels", "coronal", "sagittal"
    return [plane(volume, mm, axis, caption=text) for axis, text in enumerate(captions)]


def _of_pictures(name: str, rows: list[Row], about: dict) -> tuple[dict, Figure]:
    """Pictures: each read, some shown, what was refused told by name."""
    told, tiles, counts, edges = [], {"the picture": [], "the network's input": []}, 0, np.arange(257.0)
    shown = set(some(range(len(rows)), SHOWN))
    for n, row in enumerate(rows):
        line: dict[str, Any] = {"name": row.exam_id, "error": "", "odd": []}
        try:
            grey = read_image(row.path, row.exam_id)
            ready = prepare(about, row, _no_exam)
        except ExamError as error:
            told.append(line | {"error": error.said})
            continue
        line |= dict(zip(("pixels_xy", "mode"), size_and_mode(row.path), strict=True))
        told.append(line | {"grey": [int(grey.min()), int(grey.max())], "odd": ready.odd})
        counts = counts + np.histogram(grey, edges)[0]
        if n in shown:
            tiles["the picture"].append(Tile(grey, Path(row.exam_id).name[:28]))
            tiles["the network's input"].append(
                Tile(ready.data[0], " x ".join(map(str, ready.data.shape[1:])))
            )
    bad = [one for one in told if one["error"]]
    said = " ".join(f"{one['name']}: {one['error']}" for one in bad[:4])
    said += f" And {len(bad) - 4} more." if len(bad) > 4 else ""
    words, state = f"{len(rows) - len(bad)} of {len(rows)} pictures can be read", REFUSED if bad else PASSED
    checks = [{"check": words, "state": state, "said": said}]
    odd: dict[str, list[str]] = {}
    for one in told:
        for sentence in one["odd"]:
            odd.setdefault(sentence, []).append(one["name"])
    modes = sorted({one["mode"] for one in told if "mode" in one})
    facts = [f"Kinds of pixels: {', '.join(modes)}; each becomes one grey channel."] if modes else []
    facts += [
        f"Odd: {sentence} ({names[0]}{f' and {len(names) - 1} more' * (len(names) > 1)})."
        for sentence, names in odd.items()
    ][:6]
    title = os.path.basename(name.rstrip("/")) or name
    tiles = {key: of for key, of in tiles.items() if of}
    figure = explained(tiles, checks, facts, (counts, edges) if tiles else None, title=title, below=NOTICE)
    return {"name": name, "usable": not bad, "checks": checks, "facts": facts, "pictures": told}, figure


def _no_exam(row: Row) -> tuple:
    raise ExamError(
        row.exam_id, "it is a picture, and the model reads whole exams in HU", "give the exam itself"
    )
