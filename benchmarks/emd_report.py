"""What `emd.py` leaves: the numbers as JSON, a table for people and a figure."""

import json
from pathlib import Path

import numpy as np
from machine import described, digits, short, slug
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.pyplot import subplots

from covid_study.figures.style import CYCLE, REFERENCE, styled

PACKAGES = ("numpy", "scipy", "numba", "torch", "POT", "pandas")
COLOURS = {
    "ours": CYCLE[0],
    "ours, rank_negatives": CYCLE[5],
    "ours, 768 others": CYCLE[4],
    "POT simplex": CYCLE[1],
    "dense matrix (SciPy)": CYCLE[3],
}
COLOURS |= {"ours, GPU": CYCLE[2], "ours, rank_negatives, GPU": CYCLE[6]}
DURATIONS = {"a second": 1, "a minute": 60, "an hour": 3600, "a day": 86_400, "a year": 31_557_600}
MARKERS = {"partial": "o", "normalised": "s"}
TITLES = {"eq. 3": "Soft labels (eq. 3)", "eq. 6": "Diversity (eq. 6)"}


def write(results: dict, folder: Path) -> list[Path]:
    """The three files; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / f"emd-{slug(results['machine'])}{'-quick' if results['quick'] else ''}"
    paths = [stem.with_name(stem.name + ending) for ending in (".json", ".md", ".png")]
    paths[0].write_text(json.dumps(short(results), indent=1) + "\n", encoding="utf-8")
    paths[1].write_text(table(results, paths[2].name), encoding="utf-8")
    figure(results).savefig(paths[2], dpi=130)
    return paths


def table(results: dict, picture: str) -> str:
    """All results as Markdown."""
    lines = [
        "# Earth mover's distances: what they cost",
        "",
        f"{described(results['machine'])} Measured {results['machine']['date']} in {results['seconds']:.0f} s by "
        f"`{results['command']}`. Memory is copied at {results['bandwidth_bytes_a_second'] / 1e9:.1f} GB/s, read and written.",
        "",
        "*~ extrapolated, not measured: it would take longer than the limit of "
        f"{results['limit_seconds']:g} s or more than {results['memory_gib']:g} GiB.* Histograms are synthetic "
        "(benchmarks/emd_methods.py says how they are drawn).",
        "",
        *headline(results),
        "",
        f"![cost against the size of the archive]({picture})",
        "",
        "## A pair",
        "",
        "Median of the repeats, lowest to highest. The ratio is to ours with as many threads, repeat by repeat.",
        "",
        "| bins | mass | method | threads | microseconds | lowest to highest | ratio to ours | difference |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for r in sorted(results["pairs"], key=lambda r: (-r["bins"], r["mass"] != "partial", r["threads"])):
        us, low, high = (digits(1e6 * r[k]) for k in ("seconds_a_pair", "lowest", "highest"))
        lines.append(
            f"| {r['bins']} | {r['mass']} | {r['method']} | {r['threads']} | {us} | {low} to {high} "
            f"| {_ratio(r)} | {r['largest_relative_difference']:.0e} |"
        )
    lines += ["", "## The paper's size, partial, all threads", ""]
    lines += ["| | negatives x positives | pairs | method | seconds |", "| --- | --- | --- | --- | --- |"]
    for r in results["paper"]:
        lines.append(
            f"| {r['equation']} | {r['negatives']:,} x {r['positives']} | {r['pairs']:,} | {r['method']} | {_seconds(r)} |"
        )
    ours = [r for r in results["paper"] if r["method"] == "ours"]
    lines += [
        "",
        f"Both by ours: {sum(r['seconds'] for r in ours):.3g} s, peak memory {_gib(ours[0], 'peak_bytes')} GiB "
        f"({_gib(ours[0], 'baseline_bytes')} before it began, its input in memory).",
        "",
        "## Archives, all threads",
        "",
        "`ours, rank_negatives`: difficulty, diversity and all ranks. The dense matrix is SciPy's `cdist` in one thread, as a "
        "user would write it.",
        "",
        "| | mass | method | negatives | seconds | peak GiB | before it began |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for r in results["archive"]:
        lines.append(
            f"| {r['equation']} | {r['mass']} | {r['method']} | {r['negatives']:,} | {_seconds(r)} "
            f"| {_gib(r, 'peak_bytes')} | {_gib(r, 'baseline_bytes')} |"
        )
    lines += [
        "",
        "## Diversity over some others, partial, all threads",
        "",
        f"Of {results['some_others'][0]['negatives']:,} negatives; the mean over all others is what it is compared with.",
        "",
        "| others | seconds | rank correlation | median relative error | true error, in errors (root mean square) |",
        "| --- | --- | --- | --- | --- |",
        *(
            f"| {r['others']} | {digits(r['seconds'])} | {r['rank_correlation']:.5f} | {r['median_relative_error']:.2%} "
            f"| {r['off_in_errors']:.2f} |"
            for r in results["some_others"]
        ),
    ]
    return "\n".join(lines) + "\n"


def headline(results: dict) -> list[str]:
    """What is asked first, a sentence each: how much slower POT's simplex is a pair, and the paper's size."""
    bins, threads = max(r["bins"] for r in results["pairs"]), results["threads"]
    simplex = next(
        r
        for r in results["pairs"]
        if (r["bins"], r["mass"], r["method"], r["threads"]) == (bins, "partial", "POT simplex", threads)
    )
    ours, theirs = (
        sum(r["seconds"] for r in results["paper"] if r["method"] == method)
        for method in ("ours", "POT simplex")
    )
    size = f"{results['paper'][0]['negatives']:,} x {results['paper'][0]['positives']}"
    return [
        f"- A pair of {bins} bins, partial, {threads} threads each: POT's simplex takes {simplex['ratio']:,.0f} times as long "
        f"as ours ({simplex['ratio_lowest']:,.0f} to {simplex['ratio_highest']:,.0f} over {simplex['repeats']} repeats).",
        f"- The paper's size, {size}, partial, both equations: {ours:.3g} s; POT's simplex ~ {theirs / 3600:.3g} hours.",
    ]


@styled
def figure(results: dict) -> Figure:
    """Seconds against the size of the archive, log-log: one panel an equation, slopes in the legend."""
    fig, axes = subplots(1, 2, figsize=(11.5, 5.6), sharey=True)
    positives, bins = results["paper"][0]["positives"], max(r["bins"] for r in results["pairs"])
    for ax, equation in zip(axes, TITLES, strict=True):
        rows = [r for r in results["archive"] if r["equation"] == equation]
        handles = []
        for method, mass in dict.fromkeys((r["method"], r["mass"]) for r in rows):
            line = [r for r in rows if (r["method"], r["mass"]) == (method, mass)]
            handles.append(_line(ax, line, method, mass))
        for r in results["paper"]:
            if r["equation"] == equation:
                ax.plot(r["negatives"], r["seconds"], "*", ms=12, color=COLOURS[r["method"]],
                        mfc="white" if r["extrapolated"] else None, zorder=4)  # fmt: skip
        sizes = np.array(sorted({r["negatives"] for r in rows}))
        entries = bins + positives if equation == "eq. 3" else positives + 1
        limit = 8 * entries * sizes / results["bandwidth_bytes_a_second"]
        handles += ax.plot(sizes, limit, color=REFERENCE, ls="--", lw=1.2,
                           label="memory bandwidth: input read, output written once")  # fmt: skip
        handles.append(Line2D([], [], ls="", marker="*", color="#444444", ms=10, label="the paper's size"))
        handles.append(
            Line2D([], [], ls="", marker="o", mfc="white", color="#444444", label="hollow: extrapolated")
        )
        ax.set(xscale="log", yscale="log", xlabel="negatives in the archive", title=TITLES[equation])
        ax.yaxis.set_tick_params(labelleft=True)
        ax.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=1)
    for ax in axes:  # after both are drawn: they share the scale of seconds
        for name, seconds in DURATIONS.items():
            if ax.get_ylim()[0] < seconds < ax.get_ylim()[1]:
                ax.axhline(seconds, color="#BBBBBB", lw=0.7, ls=":", zorder=1)
                ax.annotate(name, (1, seconds), xycoords=("axes fraction", "data"), xytext=(3, 0),
                            textcoords="offset points", va="center", fontsize=7.5, color="#666666")  # fmt: skip
    axes[0].set_ylabel(f"seconds, {results['threads']} threads")
    m = results["machine"]
    fig.suptitle(
        f"Cost of ranking an archive by {positives} positives: {m['cpu']}, {m['cores']} cores"
        + (f", {m['gpu']}" if m["gpu"] else ""),
        x=0.01,
        ha="left",
    )
    return fig


def _line(ax, rows: list[dict], method: str, mass: str) -> Line2D:
    colour, marker = COLOURS[method], MARKERS[mass]
    style = "-" if mass == "partial" else (0, (5, 1.5))
    x, y = ([r[k] for r in rows] for k in ("negatives", "seconds"))
    ax.plot(x, y, color=colour, ls=style, lw=1.4)
    for r in rows:
        ax.plot(
            r["negatives"], r["seconds"], marker, color=colour, mfc="white" if r["extrapolated"] else colour
        )
    slope = fitted_slope(rows)
    growth = {"pairs": "by the number of pairs", "n": "by n", "n log n": "by n log n"}[rows[0]["growth"]]
    text = f"slope {slope:.2f}" if slope is not None else f"extrapolated {growth}"
    inside = "white" if all(r["extrapolated"] for r in rows) else colour
    return Line2D(
        [], [], color=colour, ls=style, marker=marker, mfc=inside, label=f"{method}, {mass} ({text})"
    )


def fitted_slope(rows: list[dict]) -> float | None:
    """Exponent of the power law through the measured points; None where fewer than two were measured.

    >>> at = [{"negatives": n, "seconds": n**2 / 1e6, "extrapolated": n > 100} for n in (10, 100, 1000)]
    >>> round(fitted_slope(at), 6), fitted_slope(at[1:])
    (2.0, None)
    """
    kept = [r for r in rows if not r["extrapolated"]]
    if len(kept) < 2:
        return None
    return float(np.polyfit(*(np.log([r[k] for r in kept]) for k in ("negatives", "seconds")), 1)[0])


def _ratio(r: dict) -> str:
    if r["method"] == "ours":
        return "1"
    return f"{digits(r['ratio'])} ({digits(r['ratio_lowest'])} to {digits(r['ratio_highest'])})"


def _seconds(r: dict) -> str:
    return f"~ {digits(r['seconds'])}" if r["extrapolated"] else digits(r["seconds"])


def _gib(r: dict, key: str) -> str:
    return f"{r[key] / 2**30:.2f}" if key in r else "–"
