"""Pictures of single slices (paper B, Fig. 6 and 7), and charts of where the networks look."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from covid_study.analysis.cam import LAYERS, METRICS, REFERENCES
from covid_study.analysis.cam_scores import HEADS
from covid_study.figures.charts import CYCLE, REFERENCE, bare, styled
from covid_study.figures.slices import OUTLINE, colour_of, name_of
from covid_study.samples.samples import Samples

MAP = "inferno"
LOOKS = {"baseline": ("o", CYCLE[6]), "dsn": ("s", CYCLE[0]), "dsn_saal": ("D", CYCLE[1])}


@styled
def mistaken(s: Samples, found: pd.DataFrame, each: int, title: str = "") -> Figure:
    """The surest mistakes, a row a true class and what it is called, lesions outlined where they are known (paper B, Fig. 6).

    Args:
        found: of `mistakes.mistakes`, not empty. each: slices of a row, at most.
    """
    rows = {pair: part.head(each) for pair, part in found.groupby(["finding", "called"], sort=True)}
    columns = max(2, *(len(part) for part in rows.values()))
    fig, axes = plt.subplots(
        len(rows), columns, figsize=(0.7 + 1.75 * columns, 2.25 * len(rows) + 0.3), squeeze=False
    )
    fig.get_layout_engine().set(w_pad=0.02, h_pad=0.03, wspace=0.01, hspace=0.01)
    findings = sorted({finding for finding, _ in rows})
    for line, ((finding, called), part) in zip(axes, rows.items(), strict=True):
        ids = list(part.index)
        images, (_, lesions) = s.of(ids).cpu().numpy(), s.masks(ids)
        for n, ax in enumerate(line):
            bare(ax)
            if n >= len(ids):
                continue
            _slice(ax, images[n], None if lesions is None else lesions[n])
            ax.set_xlabel(_said(part.iloc[n]), fontsize=7.5, labelpad=2)
        line[0].set_ylabel(
            f"{name_of(finding)}\ncalled {name_of(called)}",
            color=colour_of(finding, findings),
            fontweight="bold",
            fontsize=8,
        )
    if title:
        fig.suptitle(title, x=0.01, ha="left")
    return fig


def _slice(ax, image: np.ndarray, lesions: np.ndarray | None, colour: str = OUTLINE) -> None:
    ax.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    if lesions is not None and lesions.any():
        ax.contour(lesions, [0.5], colors=colour, linewidths=0.9)


def _said(row: pd.Series) -> str:
    text = f"{row['probability']:.2f}; the truth {row['truth']:.2f}"
    if np.isnan(row["lesion_share"]):
        return text
    share = row["lesion_share"]
    much = f"lesions {100 * share:.0f} %" if share >= 0.01 else "lesions below 1 %" if share else "no lesion"
    return f"{text}\n{much}{', ' + row['kind'] if row['kind'] else ''}"


@styled
def maps_of_slices(
    s: Samples,
    ids: Sequence[str],
    raw: Sequence[np.ndarray],
    maps: Mapping[str, np.ndarray],
    captions: Mapping[str, Sequence[str]],
    title: str = "",
) -> Figure:
    """Raw slice, the network's input, and the class activation maps over it, a column a slice (paper B, Fig. 7).

    Args:
        raw: uint8 (y, x) of each slice, of any size. maps: label of a row -> float (n, size, size), 0 or more, each shown from
            0 to its own maximum. captions: label of a row -> a line below each of its pictures, or none.
    """
    images, (_, lesions) = s.of(ids).cpu().numpy(), s.masks(ids)
    rows, columns = 2 + len(maps), max(2, len(ids))
    fig, axes = plt.subplots(rows, columns, figsize=(0.7 + 1.75 * columns, 1.95 * rows + 0.3), squeeze=False)
    fig.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
    for ax in axes.flat:
        bare(ax)
    labels = ["Raw slice", "The network's input", *maps]
    for line, label in zip(axes, labels, strict=True):
        line[0].set_ylabel(label, fontsize=8.5, fontweight="bold")
        for n, ax in enumerate(line[: len(ids)]):
            truth = None if lesions is None else lesions[n]
            if label == labels[0]:
                ax.imshow(raw[n], cmap="gray", vmin=0, vmax=255)
            elif label == labels[1]:
                _slice(ax, images[n], truth)
            else:
                ax.imshow(images[n], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
                strength = maps[label][n] / (maps[label][n].max() or 1)
                ax.imshow(strength, cmap=MAP, vmin=0, vmax=1, alpha=0.75 * strength)
                if truth is not None and truth.any():
                    ax.contour(truth, [0.5], colors="white", linewidths=0.9)
            if label in captions:
                ax.set_xlabel(captions[label][n], fontsize=7.5, labelpad=2)
    if title:
        fig.suptitle(title, x=0.01, ha="left")
    return fig


@styled
def where_maps_lie(scored: pd.DataFrame, title: str = "") -> Figure:
    """Shares of the maps and hits of the pointing game by method, with intervals; a panel a score, a group a layer and finding.

    scored: of `cam_scores.scores`. Grey lines: REFERENCES.
    """
    groups = list(dict.fromkeys(zip(scored["layer"], scored["column"], strict=True)))
    fig, axes = plt.subplots(1, len(METRICS), figsize=(4.1 * len(METRICS), 0.9 + 0.75 * len(groups)))
    styles = {"even_lungs": "-", "even_slice": ":", "true_lesions": "--"}
    for ax, metric in zip(axes, METRICS, strict=True):
        part = scored[scored["metric"] == metric].set_index(["layer", "column", "row"])
        for y, group in enumerate(groups):
            for row, style in styles.items():
                ax.plot([part.loc[(*group, row), "mean"]] * 2, [y - 0.4, y + 0.4], style, color=REFERENCE, lw=1.2,
                        label=REFERENCES[row] if y == 0 else None)  # fmt: skip
            methods = [row for row in LOOKS if (*group, row) in part.index]
            for n, row in enumerate(methods):
                line, (marker, colour) = part.loc[(*group, row)], LOOKS[row]
                place = y + 0.22 * (n - (len(methods) - 1) / 2)
                ax.plot([line["low"], line["high"]], [place] * 2, color=colour, lw=2.2, alpha=0.45)
                ax.plot(line["mean"], place, marker, color=colour, label=line["label"] if y == 0 else None)
        ax.set_yticks(
            range(len(groups)),
            [f"{name_of(finding)},\n{LAYERS[layer]}" for layer, finding in groups]
            if ax is axes[0]
            else [""] * len(groups),
        )
        ax.set(ylim=(len(groups) - 0.5, -0.5), xlim=(0, None), title=HEADS[metric])
        ax.grid(False, axis="y")
        ax.tick_params(axis="y", length=0)
    handles, names = axes[0].get_legend_handles_labels()
    fig.legend(handles, names, loc="outside lower left", ncols=6)
    if title:
        fig.suptitle(title, x=0.01, ha="left")
    return fig
