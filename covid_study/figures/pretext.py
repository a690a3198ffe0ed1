"""Charts of the pretext task: how far its permutations lie apart, and the linear probe with its intervals."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from covid_study.figures.charts import CYCLE, REFERENCE, bare, chance_line, styled


def hamming_distances(permutations: np.ndarray) -> np.ndarray:
    """Hamming distances of all pairs of permutations (k, cubes): int (k (k - 1) / 2,).

    >>> hamming_distances(np.array([[0, 1, 2], [1, 0, 2], [1, 2, 0]])).tolist()
    [2, 3, 2]
    """
    first, second = np.triu_indices(len(permutations), 1)
    return (permutations[first] != permutations[second]).sum(1)


@styled
def permutation_distances(permutations: np.ndarray) -> Figure:
    """How many pairs of permutations lie how far apart (paper A, IV-B1). permutations: int (k, cubes)."""
    distances = hamming_distances(permutations)
    k, cubes = permutations.shape
    counts = np.bincount(distances, minlength=cubes + 1)
    fig, ax = plt.subplots(figsize=(5.2, 2.5))
    ax.bar(range(cubes + 1), counts, width=0.7, color=CYCLE[0])
    for distance, count in enumerate(counts):
        if count:
            ax.text(distance, count, f"{count:,}", ha="center", va="bottom", fontsize=8)
    ax.set(xlabel="cubes that lie at different places", ylabel="pairs", xlim=(-0.5, cubes + 0.5))
    ax.set_xticks(range(cubes + 1))
    ax.grid(False, axis="x")
    ax.set_title(
        f"{k} permutations of {cubes} cubes: smallest distance {distances.min()}, mean {distances.mean():.2f}"
    )
    return fig


@styled
def probe_epochs(probe: pd.DataFrame) -> Figure:
    """AUC of a linear probe over the epochs of the pretext task, a panel a question; epoch 0 is the untrained network.

    probe: `target`, `variant`, `epoch`, `value`.
    """
    targets, variants = list(dict.fromkeys(probe["target"])), list(dict.fromkeys(probe["variant"]))
    fig, axes = plt.subplots(
        1, max(1, len(targets)), figsize=(4.2 * max(1, len(targets)), 2.8), sharey=True, squeeze=False
    )
    for ax, target in zip(axes[0], targets, strict=False):
        for i, variant in enumerate(variants):
            part = probe[(probe["target"] == target) & (probe["variant"] == variant)].sort_values("epoch")
            ax.plot(
                part["epoch"], part["value"], marker="os^D"[i % 4], color=CYCLE[i % len(CYCLE)], label=variant
            )
            ax.plot(part["epoch"].iloc[:1], part["value"].iloc[:1], marker="o", ms=9, mfc="none", mec=REFERENCE, ls="",
                    label="untrained" if i == len(variants) - 1 else None)  # fmt: skip
        chance_line(ax, 0.5)
        ax.set_title(target)
        ax.set(xlabel="epoch of the pretext task", ylim=(min(0.35, probe["value"].min() - 0.03), 1.02))
        ax.xaxis.get_major_locator().set_params(integer=True)
    axes[0, 0].set_ylabel("AUC of a linear probe")
    if targets:
        axes[0, 0].legend(loc="upper left")
    else:
        bare(axes[0, 0])
        fig.set_size_inches(4.2, 0.8)
        axes[0, 0].text(0.5, 0.5, "too few patients for a probe", ha="center", transform=axes[0, 0].transAxes)
    return fig


@styled
def forests(
    frame: pd.DataFrame, panel: str, label: str, references: Mapping[str, float], xlabels: Mapping[str, str]
) -> Figure:
    """Values with 95 % intervals in panels that share their lines; a line whose value is not known says so.

    Args:
        frame: `value`, `low`, `high`, and the columns named by `panel` and `label`.
        references: panel -> where its dashed line stands. xlabels: panel -> what is on its axis.
    """
    labels = list(dict.fromkeys(frame[label]))
    size = (1.4 + 3.3 * len(references), 0.95 + 0.42 * len(labels))
    fig, axes = plt.subplots(1, len(references), figsize=size, sharey=True, squeeze=False)
    for ax, (name, reference) in zip(axes[0], references.items(), strict=True):
        part = frame[frame[panel] == name].set_index(label)
        for y, line in enumerate(labels):
            if line not in part.index:
                continue
            row, colour = part.loc[line], CYCLE[y % len(CYCLE)]
            if np.isnan(row["value"]):
                ax.text(reference, y, " too few exams", va="center", fontsize=7.5, color="#666666")
                continue
            ax.plot([row["low"], row["high"]], [y, y], color=colour, lw=2, solid_capstyle="butt")
            ax.plot(row["value"], y, "o", color=colour, ms=6)
            ax.annotate(f"{row['value']:.2f}", (row["value"], y), xytext=(0, 6), textcoords="offset points", ha="center",
                        fontsize=7.5)  # fmt: skip
        ax.axvline(reference, color=REFERENCE, lw=1, ls=(0, (4, 3)), zorder=1)
        ax.set(ylim=(len(labels) - 0.5, -0.8), xlabel=xlabels.get(name, name))
        ax.margins(x=0.12)
        ax.locator_params(axis="x", nbins=6)  # more would run into each other
        ax.grid(False, axis="y")
        ax.set_title(name)
    axes[0, 0].set_yticks(range(len(labels)), labels)
    return fig
