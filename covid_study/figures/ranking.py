"""The ranking: soft labels, difficulty and diversity, what is selected, how much the order matters (paper A, IV-C to E)."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from covid_study.figures import style
from covid_study.figures.style import COLOURS, MARKERS
from covid_study.figures.tallies import bars
from covid_study.report.words import FINDINGS, column_head

HARDER = "difficulty: mean distance to the positives  (right: harder)"
BOXED = {"frameon": True, "framealpha": 0.8, "edgecolor": "none", "loc": "best"}
TRACKS = {"difficulty": "Difficulty", "diversity": "Diversity", "joint": "Joint rank"}


@style.styled
def soft_labels(
    labels: pd.DataFrame | np.ndarray, captions: Sequence[str], findings: Sequence[str] = ()
) -> Figure:
    """Soft labels as polar histograms (paper A, Fig. 2): 0 degrees is the first positive, then counter-clockwise.

    labels: (n, N) distances of n exams to the N positives. captions: (n,). findings: (n,), for the colour.
    """
    values = np.asarray(labels, dtype=float)
    fig, axes = style.panels(len(values), 1.85, 2.25, most=5, subplot_kw={"projection": "polar"})
    width = 2 * np.pi / values.shape[1]
    for i, (ax, distances) in enumerate(zip(axes, values, strict=True)):
        colour = COLOURS.get(findings[i], style.BLUE) if len(findings) else style.BLUE
        ax.bar(width * np.arange(len(distances)), distances, width, color=colour, align="edge", lw=0)
        ax.plot(np.linspace(0, 2 * np.pi, 200), np.full(200, distances.mean()), color="black", lw=1)
        ax.set(ylim=(0, 1.05 * values.max()), yticklabels=[])
        ax.set_xticks(np.deg2rad([0, 90, 180, 270]), ["0°", "90°", "", "270°"], fontsize=7)
        ax.tick_params(pad=-3)
        text = f"{captions[i]}\nmean {distances.mean():.3g}"
        ax.set_title(text, loc="center", fontsize=8, fontweight="normal", pad=8)
    fig.suptitle(
        "Soft labels: distance to each positive (circle: their mean, the difficulty)", x=0.01, ha="left"
    )
    return fig


def _scatter(ax, x: pd.Series, y: pd.Series, findings: pd.Series, **look) -> None:
    """A mark an exam, by finding."""
    for name in FINDINGS:
        here = findings == name
        ax.scatter(x[here], y[here], c=COLOURS[name], marker=MARKERS[name], alpha=0.65, lw=0, **look)


@style.styled
def difficulty_and_diversity(ranking: pd.DataFrame, findings: pd.Series, selection: Sequence = ()) -> Figure:
    """Difficulty against diversity of every negative, by finding; what was selected is ringed.

    ranking: what `rank.rank_negatives` returns. findings: finding of each exam id. selection: exam ids.
    """
    fig, ax = plt.subplots(figsize=(5.6, 4.0))
    finding = findings.reindex(ranking.index)
    _scatter(ax, ranking["difficulty"], ranking["diversity"], finding, s=22)
    handles = style.finding_keys(finding)
    if len(selection):
        chosen = ranking.loc[list(selection)]
        ring = {"s": 48, "facecolors": "none", "edgecolors": "black", "lw": 0.8}
        ax.scatter(chosen["difficulty"], chosen["diversity"], **ring)
        handles.append(style.key(f"selected ({len(chosen)})", "black", "o", "", hollow=True))
    ax.invert_xaxis()
    ax.set(xlabel=HARDER, ylabel="diversity: mean distance to other negatives")
    ax.set_title(f"The archive, ranked: {len(ranking):,} negatives")
    ax.legend(handles=handles, **BOXED)
    return fig


@style.styled
def selections(
    ranking: pd.DataFrame, chosen: Mapping[str, Sequence], findings: pd.Series, bins: int = 20
) -> Figure:
    """What each strategy takes from the joint ranking: exams selected a bin of ranks, by finding.

    ranking: with `joint_rank` (1 = best). chosen: strategy -> exam ids. findings: finding of each exam id.
    """
    total, finding = len(ranking), findings.reindex(ranking.index)
    present = [f for f in FINDINGS if f != "covid" and (finding == f).any()]
    edges = np.linspace(0.5, total + 0.5, max(1, min(bins, total // 2)) + 1)
    archive = np.histogram(ranking["joint_rank"], edges)[0]
    fig, axes = style.panels(len(chosen), 2.6, 2.2, most=4, sharex=True, sharey=True)
    for ax, (name, ids) in zip(axes, chosen.items(), strict=True):
        ranks = [ranking.loc[[i for i in ids if finding[i] == f], "joint_rank"] for f in present]
        ax.hist(ranks, edges, stacked=True, color=[COLOURS[f] for f in present], lw=0)
        ax.stairs(archive, edges, color="#999999", lw=0.8)
        ax.set_title(f"{name.replace('_', ' ')}: {len(ids)} of {total:,}")
        ax.set(xlabel="joint rank (1 = best)", ylabel="exams" if ax.get_subplotspec().is_first_col() else "")
        ax.grid(False, axis="x")
    axes[0].set(xlim=(0.5, total + 0.5), ylim=(0, 1.08 * archive.max()))
    handles = [
        plt.Rectangle((0, 0), 1, 1, color=COLOURS[f], label=f"selected, {FINDINGS[f]}") for f in present
    ]
    style.legend(fig, [*handles, style.key("in the archive", "#999999")])
    return fig


@style.styled
def by_finding(difficulty: pd.Series, findings: pd.Series, title: str = "") -> Figure:
    """Difficulty of the exams of each finding: every exam a point, quartiles as a box.

    difficulty: mean distance to the positives by exam id.
    """
    frame = pd.DataFrame({"difficulty": difficulty, "finding": findings.reindex(difficulty.index)})
    names = [f for f in FINDINGS if (frame["finding"] == f).any()]
    look = {"data": frame, "x": "difficulty", "y": "finding", "order": names}
    fig, ax = plt.subplots(figsize=(5.6, 1.0 + 0.5 * len(names)))
    box = {"fill": False, "color": "black", "width": 0.56, "fliersize": 0, "whis": 0, "showcaps": False}
    sns.stripplot(**look, hue="finding", palette=COLOURS, ax=ax, **style.STRIP)
    sns.boxplot(**look, **box, linewidth=1, ax=ax)
    counts = frame["finding"].value_counts()
    ax.set_yticks(range(len(names)), [f"{FINDINGS[f]} ({counts[f]:,})" for f in names])
    ax.set(xlabel=HARDER, ylabel="")
    ax.invert_xaxis()
    ax.grid(False, axis="y")
    return fig


@style.styled
def against_load(difficulty: pd.Series, load: pd.Series, findings: pd.Series, title: str = "") -> Figure:
    """Difficulty against the share of the lung that is ill, which the phantom knows.

    difficulty, load (fraction of lung volume), findings: by exam id.
    """
    fig, ax = plt.subplots(figsize=(5.2, 3.2))
    finding = findings.reindex(difficulty.index)
    _scatter(ax, 100 * load.reindex(difficulty.index), difficulty, finding, s=16)
    ax.invert_yaxis()
    ax.set_xscale("symlog", linthresh=1)
    ax.xaxis.set_major_formatter("{x:g}")
    ax.set(xlabel="lesion load (% of the lungs, logarithmic from 1 % on)", ylabel="difficulty  (up: harder)")
    ax.set_xlim(left=-0.1)
    ax.legend(handles=style.finding_keys(finding), **BOXED)
    return fig


@style.styled
def orders(found: pd.DataFrame, kinds: Sequence[str], title: str = "") -> Figure:
    """Spearman's correlation with the ranking as listed, a panel a track: every order a point, their median a bar.

    found: a line an order: `kind`, `track`, `rho` (NaN where all values are equal). kinds: what is drawn, in its order.
    """
    fig, axes = style.panels(len(TRACKS), 3.4, 0.9 + 0.32 * len(kinds), sharex=True, sharey=True)
    for ax, (track, text) in zip(axes, TRACKS.items(), strict=True):
        part = found[(found["track"] == track) & found["rho"].notna()]
        sns.stripplot(part, x="rho", y="kind", order=kinds, color=style.BLUE, ax=ax, **style.STRIP)
        for y, rho in enumerate(part.groupby("kind")["rho"].median().reindex(kinds)):
            ax.vlines(rho, y - 0.32, y + 0.32, color=style.OURS, lw=2)
        ax.set(title=text, xlabel="Spearman's rho with the ranking as listed", ylabel="")
        ax.grid(False, axis="y")
    lowest = np.nanmin([0.9, *found["rho"]])
    axes[0].set(xlim=(max(-1.05, np.floor(10 * lowest) / 10 - 0.05), 1.03))
    return fig


def composition(frame: pd.DataFrame) -> Figure:
    """Share of CAP in what each strategy selects, and how high in the two tracks the selected exams stand.

    frame: `strategy`, `column`, and the fractions `cap`, `difficulty`, `diversity` (mean rank over the archive's size);
    the strategy "archive" is the dashed line.
    """
    titles = {
        "cap": "CAP, % of the selected",
        "difficulty": "Difficulty, mean rank in %",
        "diversity": "Diversity, mean rank in %",
    }
    long = frame.melt(["strategy", "column"], list(titles), "what", "share")
    long["share"] *= 100
    archive = long[long["strategy"] == "archive"].set_index("what")["share"].to_dict()
    drawn = long[long["strategy"] != "archive"]
    drawn = drawn.assign(column=drawn["column"].map(column_head))
    names = ("share of the negatives selected", "%")
    return bars(drawn, "column", "share", "what", "strategy", panels=titles, references=archive, axes=names)
