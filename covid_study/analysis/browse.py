"""An exam, a map, a ranking and a loss at values that a reader sets: one figure each, for `report.interactive`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from covid_study.analysis import class_weights
from covid_study.analysis.exam_pictures import Masked
from covid_study.analysis.linear_referee import Frozen, frozen
from covid_study.ct.to_volume import window
from covid_study.figures import pictures, style
from covid_study.figures.tile import Tile, plane
from covid_study.losses.symmetric import reverse_of_each
from covid_study.ranking.rank import jointly
from covid_study.ranking.sampling import select
from covid_study.report import words
from covid_study.samples.samples import Samples
from covid_study.scores.resamples import auc_difference, auc_interval
from covid_study.tables.volume_steps import selection_size

CHANGES = {"stays": style.GREY, "comes": style.GREEN, "goes": style.RED}
MOST_NAMES = 6  # of exams in a title


def exam(exam: Masked, place: int, level: int, width: int, mask: bool) -> Figure:
    """An axial slice of an exam through a window, its lung mask and, where they are known, its lesions outlined.

    Args:
        place: the slice, from 0. level, width: of the window, in HU.
    """
    lines = {pictures.MASK: exam.mask} | ({pictures.TRUTH: exam.truth["lesions"]} if exam.truth else {})
    drawn = {colour: lines[colour] for colour in lines if mask}
    tile = plane(exam.volume.hu, exam.volume.spacing_mm, 0, place, drawn, of=exam.exam_id)
    text = f"slice {place + 1} of {len(exam.mask)}, {level - width / 2:g} to {level + width / 2:g} HU"
    tile = replace(tile, image=window(tile.image, level, width), caption=text)
    keys = {"lung mask": pictures.MASK, "true lesions": pictures.TRUTH}
    keys = dict(list(keys.items())[: len(drawn)])
    title = f"{exam.exam_id}, {words.FINDINGS[exam.finding]}"
    return pictures.grid({"_": [tile]}, side=4.5, keys=keys, title=title)


def overlay(s: Samples, found: Mapping, number: int, of: str, least: float) -> Figure:
    """A slice as the network gets it, and the same under a class activation map, where that is at least so high.

    Args:
        found: of `cam.pictures`. number: which of its slices, from 1. of: which of its maps. least: share of the map's maximum.
    """
    name, heat = found["ids"][number - 1], found["maps"][of][number - 1]
    (tile,) = pictures.tiles(s, [name])
    share = heat / (heat.max() or 1)
    under = Tile(
        tile.image,
        f"{found['captions'][of][number - 1]}; {(share >= max(least, 1e-9)).mean():.0%} of the picture",
        heat=np.where(share >= least, share, 0),
        outlines=dict(zip(["white"], tile.outlines.values(), strict=False)),
        of=name,
    )
    return pictures.grid({"_": [tile, under]}, side=3.2, title=" ".join(of.split()))


def rankings(p, v: Samples, seed: int = 0) -> Callable[[str], Frozen]:
    """The archive ranked with partial or normalised masses, each made once, or found where it was made before."""

    @cache
    def by(mass: str) -> Frozen:
        return frozen(p.model_copy(update={"ranking": p.ranking.model_copy(update={"mass": mass})}), v, seed)

    return by


@style.styled
def ranking(
    by: Callable[[str], Frozen],
    own: Sequence[str],
    about: pd.DataFrame,
    *,
    alpha: float,
    beta: float,
    mass: str,
    strategy: str,
    tail: float,
    share: float,
    width: float = 0.3,
    seed: int = 0,
    n: int = 1000,
) -> Figure:
    """What would be selected, which exams come and go against the run's own selection, and what the referee says of it.

    Args:
        by: of `rankings`. own: the run's selection. about: finding and patient_id of every exam.
        alpha, beta: of the joint rank. strategy, tail, width, share: of the draw; `tail` is the long tail's exponent.
        n: resamples of the referee's intervals.
    """
    of = by(mass)
    ranked = jointly(of.ranking, alpha, beta)
    rule = {"exponent": tail, "width": width}
    chosen = select(ranked, strategy, selection_size(share, len(ranked)), seed, **rule)
    table = ranked[["difficulty_rank", "diversity_rank", "joint_rank"]].join(about["finding"])
    here, before = table.index.isin(chosen), table.index.isin(own)
    table["change"] = np.select([here & before, here, before], list(CHANGES), "")
    test = about.loc[list(of.test)]
    truth, patients = test["finding"] == "covid", test["patient_id"]
    new, old = (of.probabilities(list(ids)) for ids in (chosen, own))
    gain = auc_difference(truth, new, old, patients, n)
    said = f"A linear classifier trained on it: AUC {words.with_interval(auc_interval(truth, new, patients, n)._asdict())}"
    said += f", {words.with_interval(gain._asdict())} above the run's own selection"
    return _archive(table, f"{len(chosen)} of {len(table)} negatives, {words.column_head(strategy)}\n{said}")


def _archive(table: pd.DataFrame, title: str) -> Figure:
    """Every negative at its two ranks, what is selected coloured by what has changed.

    table: by exam id: difficulty_rank, diversity_rank, joint_rank, finding, change.
    """
    fig, (ax,) = style.panels(1, 6.4, 4.4)
    x, y = table["difficulty_rank"], table["diversity_rank"]
    rest = table["change"] == ""
    ax.scatter(x[rest], y[rest], s=10, color="#C8C8C8", lw=0)
    keys = [style.key(f"not selected ({rest.sum()})", "#C8C8C8", "o", "")]
    for (change, colour), marker in zip(CHANGES.items(), "oPX", strict=True):
        of = table["change"] == change
        ax.scatter(x[of], y[of], s=34, color=colour, marker=marker, lw=0)
        names = list(table.index[of])[:MOST_NAMES] if change != "stays" else []
        more = ", ..." * int(of.sum() > MOST_NAMES)
        text = f"{change} ({of.sum()})" + (f": {', '.join(map(str, names))}{more}" if names else "")
        keys.append(style.key(text, colour, marker, ""))
    ax.set(xlabel="rank by difficulty (1 = hardest)", ylabel="rank by diversity (1 = most diverse)")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    ax.set_title(title, fontsize=8.5, fontweight="normal")
    style.legend(fig, keys, columns=1)
    fig.drawn_from = table
    return fig


@style.styled
def losses(nines: float, beta: float, log_zero: float = -4.0, **counts: int) -> Figure:
    """What SAAL makes of the effective number of samples: the weight of each class, and the loss of one of its slices.

    Args:
        nines: alpha is 1 - 10 to the power of minus this. beta: weight of the reverse cross-entropy. log_zero: A.
        counts: finding -> training slices.
    """
    rest, sizes = 10.0**-nines, list(counts.values())
    fig, (left, right) = style.panels(2, 4.2, 3.1)
    x = np.geomspace(1e-8, 0.95, 200)
    over = class_weights.relative(x, sizes)
    here = class_weights.relative(np.array([rest]), sizes)[0]
    probable, loss = saal_of_one(here, beta, log_zero)
    for k, finding in enumerate(counts):
        colour = style.colour_of(finding, list(counts))
        left.plot(x, over[:, k], color=colour)
        left.plot(rest, here[k], "o", color=colour)
        right.plot(probable, loss[:, k], color=colour)
    plain = -np.log(probable)
    right.plot(probable, plain, color=style.REFERENCE, ls=(0, (4, 3)))
    left.set(xscale="log", xlabel="1 − alpha", ylabel="weight / mean weight", title="Weights of the classes")
    left.xaxis.set_major_locator(LogLocator(numticks=5))
    left.xaxis.set_major_formatter("{x:g}")
    left.xaxis.set_minor_formatter(NullFormatter())
    style.reference(left, rest, f"alpha = {class_weights.alpha_text(rest)}", upright=True)
    right.set(xlabel="probability of the true class", ylabel="loss / mean weight", ylim=(0, 6))
    right.set_title(f"Loss of one slice, beta = {beta:g}")
    keys = [
        style.key(f"{words.finding_name(name)} ({size:,} slices)", style.colour_of(name, list(counts)))
        for name, size in counts.items()
    ]
    style.legend(fig, [*keys, style.key("cross-entropy", style.REFERENCE, line="--")])
    frame = pd.DataFrame(loss, columns=list(counts)).assign(cross_entropy=plain)
    frame.insert(0, "probability", probable)
    fig.drawn_from = frame
    return fig


def saal_of_one(weights: np.ndarray, beta: float, log_zero: float) -> tuple[np.ndarray, np.ndarray]:
    """SAAL of one slice of each class by how probable its class is called (paper B, eq. 10).

    Args:
        weights: of the classes, float64 (classes,), on any scale. The false classes share what is left of the probability
            evenly; eq. 9 weighs each by its own weight.

    Returns:
        Probabilities (99,) and losses (99, classes).
    """
    p, classes = torch.arange(1, 100, dtype=torch.float64) / 100, len(weights)
    losses = []
    for k in range(classes):
        said = ((1 - p) / (classes - 1))[:, None].repeat(1, classes)
        said[:, k] = p
        reverse = reverse_of_each(said.log(), torch.full((len(p),), k), log_zero) @ torch.as_tensor(weights)
        losses.append((-p.log() * weights[k] + beta * reverse).numpy())
    return p.numpy(), np.stack(losses, axis=1)
