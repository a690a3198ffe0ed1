"""Charts of the ranking: soft labels, difficulty and diversity, what each strategy selects (paper A, IV-C to E)."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from covid_study.figures.charts import COLOURS, CYCLE, FINDINGS, MARKERS, finding_handles, styled
from covid_study.scores.resamples import Interval


@styled
def soft_labels(
    labels: pd.DataFrame | np.ndarray, captions: Sequence[str], findings: Sequence[str] = ()
) -> Figure:
    """Soft labels as polar histograms (paper A, Fig. 2): 0 degrees is the first positive, then counter-clockwise.

    labels: (n, N) distances of n exams to the N positives. captions: (n,). findings: (n,), for the colour.
    """
    values = np.asarray(labels, dtype=float)
    n = len(values)
    columns = min(n, 5)
    rows = -(-n // columns)
    fig, axes = plt.subplots(rows, columns, figsize=(1.85 * columns, 2.25 * rows), squeeze=False,
                             subplot_kw={"projection": "polar"})  # fmt: skip
    angle = 2 * np.pi * np.arange(values.shape[1]) / values.shape[1]
    top = values.max() * 1.05
    for i, ax in enumerate(axes.flat):
        if i >= n:
            ax.set_visible(False)
            continue
        colour = COLOURS.get(findings[i], CYCLE[0]) if len(findings) else CYCLE[0]
        ax.bar(angle, values[i], width=2 * np.pi / values.shape[1], color=colour, align="edge", lw=0)
        mean = values[i].mean()
        ax.plot(np.linspace(0, 2 * np.pi, 200), np.full(200, mean), color="black", lw=1)
        ax.set(ylim=(0, top), yticklabels=[], xticks=np.deg2rad([0, 90, 180, 270]))
        ax.set_xticklabels(["0°", "90°", "", "270°"], fontsize=7)
        ax.tick_params(pad=-3)
        ax.grid(color="#DDDDDD", lw=0.5)
        ax.set_title(f"{captions[i]}\nmean {mean:.3g}", loc="center", fontsize=8, fontweight="normal", pad=8)
    fig.suptitle(
        "Soft labels: distance to each positive (circle: their mean, the difficulty)", x=0.01, ha="left"
    )
    return fig


@styled
def ranking_scatter(ranking: pd.DataFrame, findings: pd.Series, selection: Sequence = ()) -> Figure:
    """Difficulty against diversity of every negative, by finding; what was selected is ringed.

    ranking: what `rank.rank_negatives` returns. findings: finding of each exam id. selection: exam ids.
    """
    fig, ax = plt.subplots(figsize=(5.6, 4.0))
    finding = findings.reindex(ranking.index)
    for name in FINDINGS:
        part = ranking[finding == name]
        ax.scatter(
            part["difficulty"],
            part["diversity"],
            s=22,
            c=COLOURS[name],
            marker=MARKERS[name],
            alpha=0.65,
            lw=0,
        )
    handles = finding_handles(finding)
    if len(selection):
        chosen = ranking.loc[list(selection)]
        ax.scatter(
            chosen["difficulty"], chosen["diversity"], s=48, facecolors="none", edgecolors="black", lw=0.8
        )
        handles.append(
            Line2D(
                [], [], ls="", marker="o", mfc="none", mec="black", ms=7, label=f"selected ({len(chosen)})"
            )
        )
    ax.invert_xaxis()
    ax.set(xlabel="difficulty: mean distance to the positives  (right: harder)",
           ylabel="diversity: mean distance to other negatives")  # fmt: skip
    ax.set_title(f"The archive, ranked: {len(ranking):,} negatives")
    ax.legend(handles=handles, loc="best", frameon=True, framealpha=0.8, edgecolor="none")
    return fig


@styled
def selections(
    ranking: pd.DataFrame, chosen: Mapping[str, Sequence], findings: pd.Series, bins: int = 20
) -> Figure:
    """What each strategy takes from the joint ranking: exams selected a bin of ranks, by finding.

    ranking: with `joint_rank` (1 = best). chosen: strategy -> exam ids. findings: finding of each exam id.
    """
    columns = len(chosen) if len(chosen) < 3 else 4 if len(chosen) % 4 == 0 else 3
    rows = -(-len(chosen) // columns)
    size = (min(2.9, 10.4 / columns) * columns, 2.1 * rows + 0.4)
    fig, axes = plt.subplots(rows, columns, figsize=size, sharex=True, sharey=True, squeeze=False)
    total = len(ranking)
    negatives = [f for f in FINDINGS if f != "covid" and (findings.reindex(ranking.index) == f).any()]
    bins = max(1, min(bins, total // 2))
    edges = np.linspace(0.5, total + 0.5, bins + 1)
    archive = np.histogram(ranking["joint_rank"], edges)[0]
    for i, ax in enumerate(axes.flat):
        if i >= len(chosen):
            ax.set_visible(False)
            continue
        name, ids = list(chosen.items())[i]
        part = ranking.loc[list(ids), "joint_rank"]
        base = np.zeros(bins)
        for finding in negatives:
            count = np.histogram(part[findings.reindex(part.index) == finding], edges)[0]
            ax.bar(edges[:-1], count, np.diff(edges), bottom=base, align="edge", color=COLOURS[finding], lw=0)
            base += count
        ax.stairs(archive, edges, color="#999999", lw=0.8)
        ax.set_title(f"{str(name).replace('_', ' ')}: {len(ids)} of {total:,}")
        ax.grid(False, axis="x")
        if i % columns == 0:
            ax.set_ylabel("exams")
        if i >= len(chosen) - columns:
            ax.set_xlabel("joint rank (1 = best)")
            ax.tick_params(labelbottom=True)
    ax = axes[0, 0]
    ax.set(xlim=(0.5, total + 0.5), ylim=(0, 1.08 * archive.max()))
    handles = [
        plt.Rectangle((0, 0), 1, 1, color=COLOURS[f], label=f"selected, {FINDINGS[f]}") for f in negatives
    ]
    handles.append(Line2D([], [], color="#999999", lw=0.8, label="in the archive"))
    fig.legend(handles=handles, loc="outside upper right", ncols=3)
    return fig


@styled
def difficulty_by_finding(
    difficulty: pd.Series, findings: pd.Series, auc: Interval | None = None, name: str = ""
) -> Figure:
    """Difficulty of CAP and of non-pneumonia exams: every exam a point, quartiles as a box.

    difficulty: mean distance to the positives by exam id. auc: how well it puts CAP first (`resamples.auc_interval`).
    """
    fig, ax = plt.subplots(figsize=(5.6, 2.4))
    finding = findings.reindex(difficulty.index)
    names = [f for f in FINDINGS if (finding == f).any()]
    jitter = np.random.default_rng(0).uniform(-0.22, 0.22, len(difficulty))
    for i, f in enumerate(names):
        here = (finding == f).to_numpy()
        ax.scatter(difficulty[here], i + jitter[here], s=10, color=COLOURS[f], alpha=0.45, lw=0)
        low, median, high = np.nanquantile(difficulty[here], [0.25, 0.5, 0.75])
        ax.add_patch(plt.Rectangle((low, i - 0.28), high - low, 0.56, fill=False, edgecolor="black", lw=1))
        ax.vlines(median, i - 0.28, i + 0.28, color="black", lw=2.2)
    ax.set_yticks(range(len(names)), [f"{FINDINGS[f]} ({(finding == f).sum():,})" for f in names])
    ax.set(
        ylim=(len(names) - 0.5, -0.5), xlabel="difficulty: mean distance to the positives  (right: harder)"
    )
    ax.invert_xaxis()
    ax.grid(False, axis="y")
    said = f"\nCAP before non-pneumonia: AUC {_said(auc)}" if auc is not None else ""
    ax.set_title(f"{name or 'Difficulty by finding'}{said}")
    return fig


def _said(i: Interval) -> str:
    if np.isnan(i.value):
        return "(undefined)"
    return f"{i.value:.2f}" + ("" if np.isnan(i.low) else f" ({i.low:.2f} to {i.high:.2f})")


@styled
def difficulty_against_load(
    difficulty: pd.Series, load: pd.Series, findings: pd.Series, correlation: Interval | None = None
) -> Figure:
    """Difficulty against the share of the lung that is ill, which the phantom knows.

    difficulty, load (fraction of lung volume), findings: by exam id. correlation: `resamples.spearman_interval`.
    """
    fig, ax = plt.subplots(figsize=(5.2, 3.2))
    finding, load = findings.reindex(difficulty.index), 100 * load.reindex(difficulty.index)
    for f in FINDINGS:
        here = finding == f
        ax.scatter(load[here], difficulty[here], s=16, c=COLOURS[f], marker=MARKERS[f], alpha=0.6, lw=0)
    ax.invert_yaxis()
    ax.set_xscale("symlog", linthresh=1)
    ax.xaxis.set_major_formatter("{x:g}")
    ax.set_xlim(left=-0.1)
    ax.set(xlabel="lesion load (% of the lungs, logarithmic from 1 % on)", ylabel="difficulty  (up: harder)")
    said = f": Spearman {_said(correlation)}" if correlation is not None else ""
    ax.set_title(f"Difficulty against lesion load{said}")
    ax.legend(handles=finding_handles(finding), loc="best", frameon=True, framealpha=0.8, edgecolor="none")
    return fig
