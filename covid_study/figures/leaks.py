"""Pictures of what gives the class away: the same picture twice, burnt text, and what the file alone says."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from covid_study.analysis.leaks.headers import WORDS, header
from covid_study.analysis.leaks.report import Leaks
from covid_study.figures.charts import COLOURS, CYCLE, bare, styled
from covid_study.figures.slices import OUTLINE, name_of
from covid_study.samples.samples import Samples

WORSE = {
    "split": "on both sides",
    "classes": "two findings",
    "patients": "two patients",
    "patient": "one patient, one side",
}


@styled
def duplicate_pairs(s: Samples, found: Leaks, most: int = 6) -> Figure:
    """Pairs of slices that are one picture, the worst first, as the network gets them: two pairs a line.

    Above each pair what it spoils, how many bits the hashes differ in and how well the details agree (1 is the same).
    """
    shown = found.pairs.head(most)
    if shown.empty:
        return _nothing("No two slices were found to be one picture.")
    lines = -(-len(shown) // 2)
    fig, axes = plt.subplots(lines, 4, figsize=(9.0, 2.75 * lines), squeeze=False)
    fig.get_layout_engine().set(w_pad=0.02, h_pad=0.04, wspace=0.01, hspace=0.02)
    for ax in axes.flat:
        bare(ax)
    for n, pair in enumerate(shown.itertuples()):
        two = axes[n // 2, 2 * (n % 2) : 2 * (n % 2) + 2]
        for ax, name in zip(two, (pair.first, pair.second), strict=True):
            row = s.table.loc[name]
            ax.imshow(s.of([name])[0].cpu().numpy(), cmap="gray", vmin=0, vmax=255)
            colour = COLOURS["covid"] if row["finding"] == "covid" else "#333333"
            ax.set_xlabel(f"{name_of(row['finding'])}, {row['split']}", color=colour, fontsize=8, labelpad=2)
        worse = WORSE[pair.kind] + (", two findings" if pair.classes and pair.kind != "classes" else "")
        title = f"{worse}\n{pair.distance} bits apart, agreement {pair.agreement:.2f}"
        two[0].set_title(title, fontsize=8, fontweight="normal", loc="left", pad=3)
    return fig


@styled
def burnt_in(s: Samples, found: Leaks, most: int = 8) -> Figure:
    """Pictures with marks in colour or text near the edge, what was found framed: as published, four a line."""
    if found.headers.empty:
        return _nothing("The slices have no picture files of their own: nothing was searched for text.")
    marked = found.headers[(found.headers["marks"].map(len) + found.headers["text"].map(len)) > 0]
    if marked.empty:
        return _nothing("No picture was found to have marks or text in it.")
    places = np.unique(np.linspace(0, len(marked) - 1, min(most, len(marked))).round().astype(int))
    columns, lines = 4, -(-len(places) // 4)
    fig, axes = plt.subplots(lines, columns, figsize=(9.0, 2.5 * lines), squeeze=False)
    fig.get_layout_engine().set(w_pad=0.02, h_pad=0.03, wspace=0.01, hspace=0.02)
    for ax in axes.flat:
        bare(ax)
    for ax, (name, row) in zip(axes.flat, marked.iloc[places].iterrows(), strict=False):
        _, colours, _ = header(s.table.loc[name, "path"])
        ax.imshow(colours)
        room = 0.012 * max(colours.shape)
        for boxes, colour in ((row["marks"], CYCLE[5]), (row["text"], OUTLINE)):
            for top, bottom, left, right in boxes:
                size = (right - left + 2 * room, bottom - top + 2 * room)
                frame = Rectangle((left - room, top - room), *size, fill=False, edgecolor=colour, lw=1.2)
                ax.add_patch(frame)
        ax.set_xlabel(name_of(s.table.loc[name, "finding"]), fontsize=8, labelpad=2)
    handles = [Rectangle((0, 0), 1, 1, fill=False, edgecolor=colour, label=label)
               for colour, label in ((CYCLE[5], "in colour"), (OUTLINE, "text or mark near the edge"))]  # fmt: skip
    fig.legend(handles=handles, loc="outside upper left", ncols=2)
    return fig


@styled
def header_facts(found: Leaks) -> Figure:
    """What the file alone says of the class: an AUC for each fact, and for all of them in one small tree.

    Each is of a tree trained on the training split and scored on the test split; 0.5 is chance.
    """
    if found.tree.model is None:
        return _nothing(f"What the file alone tells is not known: {found.tree.auc.note}.")
    facts, auc = found.tree.alone.iloc[::-1], found.tree.auc
    fig, ax = plt.subplots(figsize=(7.0, 0.9 + 0.26 * (len(facts) + 1)))
    places = np.arange(len(facts))
    ax.barh(places, facts["auc"] - 0.5, left=0.5, height=0.7, color=CYCLE[0])
    ax.barh(len(facts), auc.value - 0.5, left=0.5, height=0.7, color=COLOURS["covid"])
    if np.isfinite(auc.low):
        ax.plot([auc.low, auc.high], [len(facts)] * 2, color="#333333", lw=1.4)
    values = [*facts["auc"], auc.value]
    for y, value in enumerate(values):
        edge = max(value, auc.high) if y == len(facts) and np.isfinite(auc.high) else max(value, 0.5)
        ax.text(edge + 0.008, y, f"{value:.2f}", va="center", fontsize=7.5)
    ax.set_yticks(range(len(values)), [*facts["fact"].map(WORDS), "all of them"], fontsize=8)
    ax.axvline(0.5, color="#8A8A8A", lw=1)
    ax.set(xlim=(min(0.4, *values) - 0.03, 1.08), xlabel="AUC of COVID-19, on the test split (0.5: chance)")
    ax.grid(False, axis="y")
    ax.set_title("What the file alone says of the class")
    return fig


def _nothing(text: str) -> Figure:
    fig, ax = plt.subplots(figsize=(7.0, 0.6))
    bare(ax)
    ax.text(0, 0.5, text, va="center", transform=ax.transAxes)
    return fig
