"""Pictures of a cohort: how good its lung masks are, where they lie, and how dense its lungs are."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from covid_study.analysis.exam_pictures import fullest_slices
from covid_study.figures.charts import COLOURS, FINDINGS, MARKERS, finding_handles, styled
from covid_study.figures.ct import show_slice

MASK, TRUTH, ROOM_MM = "#E69F00", "#56B4E9", 25.0
FLOOR = 0.005  # per cent of the lung in 10 HU: less is not shown
Overlay = tuple[str, np.ndarray, tuple[float, float, float], np.ndarray, np.ndarray | None]


@styled
def dice_by_kind(facts: pd.DataFrame, low: float = 0.95) -> Figure:
    """Dice of each lung mask against the phantom's truth, by kind of case, with the lowest and the median.

    facts: `finding`, `kind`, `dice`. low: where a line is drawn.
    """
    kinds = facts.drop_duplicates("kind").set_index("kind")["finding"]
    kinds = kinds.loc[sorted(kinds.index, key=lambda k: (list(FINDINGS).index(kinds[k]), k))]
    fig, ax = plt.subplots(figsize=(7.4, 0.9 + 0.38 * len(kinds)))
    rng = np.random.default_rng(0)
    floor = min(0.9, facts["dice"].min() - 0.01)
    for y, (kind, finding) in enumerate(kinds.items()):
        dice = facts.loc[facts["kind"] == kind, "dice"]
        jitter = rng.uniform(-0.18, 0.18, len(dice))
        ax.plot(
            dice, y + jitter, ls="", marker=MARKERS[finding], ms=4, alpha=0.45, color=COLOURS[finding], mew=0
        )
        ax.plot([dice.median()] * 2, [y - 0.34, y + 0.34], color=COLOURS[finding], lw=2.2)
        text = f"median {dice.median():.3f}, lowest {dice.min():.3f}"
        ax.annotate(text, (1.003, y), va="center", fontsize=7.5)
    ax.axvline(low, color="#8A8A8A", lw=1, ls=(0, (4, 3)), zorder=1)
    labels = [f"{k} ({(facts['kind'] == k).sum()})" for k in kinds.index]
    ax.set_yticks(range(len(kinds)), labels)
    width = 1.0 - floor
    ax.set(
        xlim=(floor, 1.0 + 0.42 * width),
        ylim=(len(kinds) - 0.5, -0.5),
        xlabel="Dice, lung mask against truth",
    )
    ax.set_xticks([t for t in ax.get_xticks() if floor <= t <= 1.0 + 1e-9])
    ax.set_title("Lung masks by kind of case (exams)")
    ax.grid(False, axis="y")
    fig.legend(handles=finding_handles(kinds), loc="outside upper right", ncols=3)
    return fig


@styled
def mask_overlays(exams: Sequence[Overlay], title: str = "") -> Figure:
    """Lung masks as outlines on the exams, axial above coronal, where mask and truth differ most, else the fullest.

    exams: (caption, HU (z, y, x), spacing_mm (z, y, x), mask bool, true lungs bool or None).
    """
    n = len(exams)
    side = min(2.4, 11 / n)
    fig, axes = plt.subplots(2, n, figsize=(side * n, 1.7 * side + 0.5), squeeze=False)
    fig.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
    for column, (caption, hu, spacing, mask, truth) in enumerate(exams):
        box = _around(mask if truth is None else mask | truth, spacing)
        hu, mask = hu[box], mask[box]
        truth = None if truth is None else truth[box]
        place = fullest_slices(mask if truth is None or (truth == mask).all() else truth ^ mask)
        for axis, ax in enumerate(axes[:, column]):
            show_slice(ax, hu, spacing, axis, place[axis])
            for outline, colour in ((truth, TRUTH), (mask, MASK)):
                if outline is not None and (plane := outline.take(place[axis], axis)).any():
                    ax.contour(plane, [0.5], colors=colour, linewidths=1.1)
        axes[0, column].set_title(caption, fontsize=8, fontweight="normal", loc="center", pad=3)
    if any(exam[4] is not None for exam in exams):
        handles = [Line2D([], [], color=c, label=t) for c, t in ((MASK, "mask"), (TRUTH, "truth"))]
        fig.legend(handles=handles, loc="outside lower center", ncols=2)
    if title:
        fig.suptitle(title, x=0.01, ha="left")
    return fig


def _around(mask: np.ndarray, spacing_mm) -> tuple[slice, ...]:
    """The box around a mask with some room; all of an axis where the mask is empty."""
    box = []
    for axis in range(3):
        along = np.flatnonzero(mask.any(tuple(a for a in range(3) if a != axis)))
        room = int(ROOM_MM / spacing_mm[axis])
        box.append(slice(max(along[0] - room, 0), along[-1] + room + 1) if len(along) else slice(None))
    return tuple(box)


@styled
def before_and_after(exams: Sequence[tuple]) -> Figure:
    """Real lungs before and after the phantom's lesions were put in, and how dense they are before and after.

    exams: (caption, finding, `background.RealBodied`); the slices with most of the lesions.
    """
    boxes = [(slice(None), *_around(exam.lungs, exam.volume.spacing_mm)[1:]) for _, _, exam in exams]
    sizes = [
        np.multiply(e.lungs[box].shape, e.volume.spacing_mm)
        for (_, _, e), box in zip(exams, boxes, strict=True)
    ]
    side, tall = min(2.4, 11 / len(exams)), max(y / x for _, y, x in sizes)
    fig, axes = plt.subplots(4, len(exams), figsize=(side * len(exams), side * (3 * tall + 0.75) + 0.9), squeeze=False,
                             height_ratios=[tall, tall, tall, 0.75])  # fmt: skip
    fig.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
    edges = np.arange(-1000, 101, 20)
    for n, (caption, finding, exam) in enumerate(exams):
        before, hu, lungs, ill = (
            v[boxes[n]] for v in (exam.before, exam.volume.hu, exam.lungs, exam.lesions)
        )
        place, _ = fullest_slices(ill if ill.any() else lungs, lungs)
        for ax, picture in zip(axes[:, n], (before, hu, hu), strict=False):
            show_slice(ax, picture, exam.volume.spacing_mm, 0, place)
        if ill[place].any():
            axes[2, n].contour(ill[place], [0.5], colors=TRUTH, linewidths=1.1)
        axes[0, n].set_title(caption, fontsize=8, fontweight="normal", loc="center", pad=3)
        below = axes[3, n]
        for values, colour in ((before, "black"), (hu, COLOURS[finding])):
            shares = 100 * np.histogram(values[lungs], edges)[0] / lungs.sum()
            below.stairs(np.maximum(shares, FLOOR), edges, color=colour, lw=1.3)
        below.set(yscale="log", ylim=(FLOOR, 60), xlim=(-1000, 100), xticks=(-900, -500, -100), xlabel="HU")
        below.tick_params(labelsize=7, labelleft=n == 0)
    names = ("before", "after", "the truth", "% of the lung's\nvoxels per 20 HU")
    for ax, name in zip(axes[:, 0], names, strict=True):
        ax.set_ylabel(name, fontsize=8)
    handles = [Line2D([], [], color="black", label="before"), *finding_handles([f for _, f, _ in exams])]
    fig.legend(handles=handles, loc="outside lower center", ncols=4)
    return fig


@styled
def lung_densities(histograms: pd.DataFrame, findings: pd.Series, hu_range: tuple[float, float]) -> Figure:
    """HU inside the lungs by finding: the median exam, and the middle half of the exams as a band.

    Args:
        histograms: exams in rows, shares of lung voxels in equal bins over `hu_range`.
        findings: of each exam, by the same index.
    """
    fig, ax = plt.subplots(figsize=(7.0, 3.0))
    edges = np.linspace(*hu_range, histograms.shape[1] + 1)
    centres, per = (edges[:-1] + edges[1:]) / 2, 1000 / (edges[1] - edges[0])
    for finding in [f for f in FINDINGS if (findings == f).any()]:
        shares = per * histograms[findings.reindex(histograms.index) == finding].to_numpy()
        low, middle, high = np.percentile(shares, [25, 50, 75], axis=0)
        ax.fill_between(centres, low, high, color=COLOURS[finding], alpha=0.18, lw=0)
        ax.plot(centres, middle, color=COLOURS[finding], label=f"{FINDINGS[finding]} ({len(shares)})")
    ax.set(
        xlim=hu_range,
        yscale="log",
        ylim=(FLOOR, None),
        xlabel="HU",
        ylabel="% of the lung's voxels\nper 10 HU",
    )
    ax.set_title("How dense the lungs are")
    ax.legend(title="median exam, middle half of the exams", loc="upper right")
    return fig
