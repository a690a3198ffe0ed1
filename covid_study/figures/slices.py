"""Pictures of slices: how one is prepared, what the classes look like, how many there are."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from covid_study.cohort.slices import SIDES
from covid_study.figures.charts import COLOURS, CYCLE, FINDINGS, bare, styled
from covid_study.samples.samples import Samples
from covid_study.scores import published

OUTLINE = "#E69F00"


def name_of(finding: str) -> str:
    """A finding in words; those of image folders as their folder is called.

    >>> name_of("covid"), name_of("non_covid"), name_of("CP")
    ('COVID-19', 'Not COVID-19', 'CP')
    """
    return FINDINGS.get(finding, "Not COVID-19" if finding == "non_covid" else finding)


def colour_of(finding: str, findings: Sequence[str]) -> str:
    """The colour of a finding among those of a figure."""
    others = [name for name in findings if name not in COLOURS]
    return COLOURS.get(finding) or [CYCLE[2], CYCLE[3], CYCLE[4], CYCLE[5]][others.index(finding) % 4]


@styled
def slice_steps(
    steps: Mapping[str, np.ndarray], outline: np.ndarray | None = None, title: str = ""
) -> Figure:
    """One slice through the steps of paper B, 3.1, four in a line.

    Args:
        steps: caption -> uint8 or bool (y, x), as `to_slice.preprocess_slice` keeps them.
        outline: bool (y, x), e.g. the true lesions, drawn round on the pictures of its own size that are no masks.
    """
    columns = min(4, len(steps))
    lines = -(-len(steps) // columns)
    fig, axes = plt.subplots(lines, columns, figsize=(2.4 * columns, 2.65 * lines), squeeze=False)
    fig.get_layout_engine().set(w_pad=0.03, h_pad=0.03, wspace=0.01, hspace=0.02)
    for ax in axes.flat:
        ax.set_visible(False)
    for n, (ax, (caption, step)) in enumerate(zip(axes.flat, steps.items(), strict=False), start=1):
        ax.set_visible(True)
        _picture(ax, step)
        if outline is not None and outline.any() and step.shape == outline.shape and step.dtype != bool:
            ax.contour(outline, [0.5], colors=OUTLINE, linewidths=1.0)
        ax.set_title(f"{n}  {caption}", fontsize=8.5, fontweight="normal", loc="center", pad=3)
    if title:
        fig.suptitle(title, x=0.01, ha="left")
    return fig


def _picture(ax, image: np.ndarray) -> None:
    top = 1 if image.dtype == bool else 255
    ax.imshow(image, cmap="gray", vmin=0, vmax=top, interpolation="nearest")
    bare(ax)


@styled
def slice_montage(s: Samples, shown: Mapping[str, Sequence[str]], title: str = "") -> Figure:
    """Slices as the network gets them, a row a finding (paper B, Fig. 3), lesions outlined where they are known.

    Args:
        shown: finding -> slice ids, e.g. of `slice_pictures.examples`.
    """
    columns = max(len(ids) for ids in shown.values())
    known = s.table["lesion_share"].notna().any()
    fig, axes = plt.subplots(
        len(shown), columns, figsize=(1.75 * columns, (1.78 + 0.2 * known) * len(shown) + 0.3), squeeze=False
    )
    fig.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
    for line, (finding, ids) in zip(axes, shown.items(), strict=True):
        images, (_, lesions) = s.of(ids).cpu().numpy(), s.masks(ids)
        for n, ax in enumerate(line):
            bare(ax)
            if n >= len(ids):
                continue
            _picture(ax, images[n])
            share = s.table.loc[ids[n], "lesion_share"]
            if lesions is not None and lesions[n].any():
                ax.contour(lesions[n], [0.5], colors=OUTLINE, linewidths=0.9)
            if not np.isnan(share):
                much = f"{share:.0%}" if share >= 0.01 else "below 1%"
                text = f"lesions: {much} of the lung" if share else "no lesion"
                ax.set_xlabel(text, fontsize=7.5, labelpad=2)
        line[0].set_ylabel(
            name_of(finding), color=colour_of(finding, list(shown)), fontweight="bold", labelpad=4
        )
    if title:
        fig.suptitle(title, x=0.01, ha="left")
    return fig


def published_counts() -> pd.DataFrame:
    """What paper B had, its Table 2, as `slices.counts` gives ours: finding, split, patients (its cases), slices.

    >>> published_counts().iloc[0].to_dict()
    {'finding': 'covid', 'split': 'train', 'patients': 43, 'slices': 1256}
    """
    table = published.table("B.2")
    wide = table.pivot(index=["row", "column"], columns="metric", values="value").astype(int)
    order = [(finding, split) for finding in ("covid", "cap", "non_pneumonia") for split in SIDES]
    wide = wide.loc[order].rename(columns={"cases": "patients", "images": "slices"})
    return (
        wide.rename_axis(["finding", "split"])
        .rename_axis(columns=None)
        .reset_index()[["finding", "split", "patients", "slices"]]
    )


@styled
def slice_counts(cohorts: Mapping[str, pd.DataFrame]) -> Figure:
    """Slices of each finding in training and test, with the number of patients (paper B, Table 2), a panel a cohort.

    cohorts: title -> what `slices.counts` or `published_counts` returns.
    """
    tallest = max(len(counts) for counts in cohorts.values())
    fig, axes = plt.subplots(
        1, len(cohorts), figsize=(4.6 * len(cohorts), 0.9 + 0.3 * tallest), squeeze=False
    )
    for ax, (title, counts) in zip(axes[0], cohorts.items(), strict=True):
        findings = list(dict.fromkeys(counts["finding"]))
        longest = counts["slices"].max()
        for y, row in enumerate(counts.itertuples()):
            colour = colour_of(row.finding, findings)
            ax.barh(y, row.slices, height=0.72, color=colour, alpha=1.0 if row.split == "train" else 0.55)
            text = f"{row.slices:,} of {row.patients:,} patient{'s' * (row.patients != 1)}"
            ax.text(row.slices + 0.015 * longest, y, text, va="center", fontsize=7.5)
        ax.set_yticks(range(len(counts)), [f"{name_of(r.finding)}, {r.split}" for r in counts.itertuples()])
        ax.set(ylim=(len(counts) - 0.4, -0.6), xlim=(0, 1.6 * longest), xlabel="slices")
        ax.grid(False, axis="y")
        ax.tick_params(axis="y", length=0)
        ax.set_title(title)
    return fig
