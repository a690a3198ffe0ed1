"""A cohort: how many exams and slices there are, how good its lung masks are, how dense its lungs are."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from covid_study.figures import style
from covid_study.figures.style import COLOURS
from covid_study.report.words import FINDINGS, counted, finding_name

GOOD = 0.95  # Dice of a mask that needs no second look
FLOOR = 0.005  # per cent of the lung in 10 HU: less is not shown


def exams(table: pd.DataFrame) -> Figure:
    """Exams of each split and finding, with the number of patients (paper A, Table II).

    table: the exam table, with `split`, `finding`, `exam_id`, `patient_id`.
    """
    counts = table.groupby(["split", "finding"])["patient_id"].agg(exams="size", patients="nunique")
    order = [(s, f) for s in ("train", "validation", "test", "") for f in FINDINGS if (s, f) in counts.index]
    counts = counts.loc[order].rename({"": "no split"}, level="split").reset_index()
    title = f"The cohort: {len(table):,} exams of {table['patient_id'].nunique():,} patients"
    return slices({title: counts}, "exams")


@style.styled
def slices(cohorts: Mapping[str, pd.DataFrame], what: str = "slices") -> Figure:
    """Slices of each finding in training and test, with the number of patients (paper B, Table 2), a panel a cohort.

    cohorts: title -> `finding`, `split`, `patients`, and `what`, as `slices.counts` gives them.
    """
    tallest = max(len(counts) for counts in cohorts.values())
    fig, axes = style.panels(len(cohorts), 5.5, 0.9 + 0.27 * tallest)
    for ax, (title, counts) in zip(axes, cohorts.items(), strict=True):
        colours = [style.colour_of(f, list(dict.fromkeys(counts["finding"]))) for f in counts["finding"]]
        bars = ax.barh(range(len(counts)), counts[what], height=0.75, color=colours)
        of = zip(counts[what], counts["patients"], strict=True)
        ax.bar_label(
            bars, [f"{n:,} of {counted(p, 'patient')}" for n, p in of], padding=3, fontsize=style.SMALL
        )
        names = [f"{finding_name(row.finding)}, {row.split}" for row in counts.itertuples()]
        ax.set_yticks(range(len(counts)), names)
        ax.set(ylim=(len(counts) - 0.4, -0.6), xlim=(0, 1.6 * counts[what].max()), xlabel=what, title=title)
        ax.grid(False, axis="y")
        ax.tick_params(axis="y", length=0)
    return fig


@style.styled
def dice(facts: pd.DataFrame) -> Figure:
    """Dice of each lung mask against the phantom's truth, by kind of case, with the median and the lowest.

    facts: `finding`, `kind`, `dice`.
    """
    kinds = facts.drop_duplicates("kind").set_index("kind")["finding"]
    kinds = kinds.loc[sorted(kinds.index, key=lambda k: (list(FINDINGS).index(kinds[k]), k))]
    fig, ax = plt.subplots(figsize=(7.4, 1.2 + 0.38 * len(kinds)))
    look = {"x": "dice", "y": "kind", "order": list(kinds.index), "ax": ax}
    sns.stripplot(facts, hue="finding", palette=COLOURS, **look, **style.STRIP)
    for y, kind in enumerate(kinds.index):
        found = facts.loc[facts["kind"] == kind, "dice"]
        ax.vlines(found.median(), y - 0.34, y + 0.34, color=COLOURS[kinds[kind]], lw=2.2)
        text = f"median {found.median():.3f}, lowest {found.min():.3f}"
        ax.annotate(text, (1.01, y), xycoords=("axes fraction", "data"), va="center", fontsize=style.SMALL)
    style.reference(ax, GOOD, f"{GOOD:g}", upright=True)
    ax.set_yticks(range(len(kinds)), [f"{kind} ({(facts['kind'] == kind).sum()})" for kind in kinds.index])
    ax.set(
        xlim=(min(0.9, facts["dice"].min() - 0.01), 1.0), xlabel="Dice, lung mask against truth", ylabel=""
    )
    ax.set_title("Lung masks by kind of case (exams)")
    ax.grid(False, axis="y")
    style.legend(fig, style.finding_keys(kinds))
    return fig


def by_bin(histograms: np.ndarray, hu_range: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Middles of the bins in HU, and the shares of the lung's voxels as per cent of 10 HU.

    histograms: float (..., bins), shares in equal bins over `hu_range`.

    >>> middles, shares = by_bin(np.array([0.5, 0.5]), (-1000, 0)); middles.tolist(), shares.tolist()
    ([-750.0, -250.0], [1.0, 1.0])
    """
    edges = np.linspace(*hu_range, np.shape(histograms)[-1] + 1)
    return (edges[:-1] + edges[1:]) / 2, np.asarray(histograms) * 1000 / (edges[1] - edges[0])


def _densities(ax, hu_range: tuple[float, float]) -> None:
    ax.set(xlim=hu_range, yscale="log", ylim=(FLOOR, None), xlabel="HU")
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter(LogFormatter())
    if ax.get_subplotspec().is_first_col():
        ax.set_ylabel("% of the lung's voxels\nper 10 HU")


@style.styled
def lung_densities(histograms: pd.DataFrame, findings: pd.Series, hu_range: tuple[float, float]) -> Figure:
    """HU inside the lungs by finding: the median exam, and the middle half of the exams as a band.

    Args:
        histograms: exams in rows, shares of lung voxels in equal bins over `hu_range`.
        findings: of each exam, by the same index.
    """
    fig, ax = plt.subplots(figsize=(7.0, 3.0))
    for finding in [f for f in FINDINGS if (findings == f).any()]:
        of = findings.reindex(histograms.index) == finding
        middles, shares = by_bin(histograms[of].to_numpy(), hu_range)
        low, middle, high = np.percentile(shares, [25, 50, 75], axis=0)
        ax.fill_between(middles, low, high, color=COLOURS[finding], alpha=0.18, lw=0)
        ax.plot(middles, middle, color=COLOURS[finding], label=f"{FINDINGS[finding]} ({len(shares)})")
    _densities(ax, hu_range)
    ax.set_title("How dense the lungs are")
    place = {"loc": "center left", "bbox_to_anchor": (1, 0.5), "alignment": "left"}
    ax.legend(title="median exam, middle half of the exams", **place)
    return fig


@style.styled
def densities_before_and_after(exams: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """How dense the lungs of some exams are before and after something was done to them, a panel an exam.

    exams: caption -> {"before": HU of the lung's voxels (n,), "after": the same}.
    """
    hu_range, bins = (-1000.0, 100.0), 55
    fig, axes = style.panels(len(exams), 2.4, 2.3, most=6, sharey=True)
    for ax, (caption, found) in zip(axes, exams.items(), strict=True):
        for (name, hu), colour in zip(found.items(), ("black", style.OURS), strict=True):
            middles, shares = by_bin(np.histogram(hu, bins, hu_range)[0] / len(hu), hu_range)
            ax.step(middles, np.maximum(shares, FLOOR), where="mid", color=colour, lw=1.2, label=name)
        _densities(ax, hu_range)
        ax.set_title(caption, fontsize=8, fontweight="normal")
    style.legend(fig, [style.key("before", "black"), style.key("after", style.OURS)])
    return fig
