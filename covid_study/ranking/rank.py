"""Difficulty, diversity and joint rank of the negatives (paper A, IV-C and D)."""

from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from covid_study.ranking import chords
from covid_study.ranking.blocks import Blocks
from covid_study.ranking.emd import (
    Mass,
    bad_row,
    is_closed_form,
    mean_emd_to_others,
    pairwise_emd,
)
from covid_study.ranking.some_others import mean_emd_to_some

if TYPE_CHECKING:
    import torch

Distance = Literal["emd", "euclidean", "cosine", "hellinger"]
DIVERSITY_PAIRS = 768_000_000  # a million negatives and 768 others


def soft_labels(
    positives: pd.DataFrame,
    negatives: pd.DataFrame,
    mass: Mass = "partial",
    *,
    distance: Distance = "emd",
    ground: ArrayLike | None = None,
    device: "str | torch.device" = "cpu",
    blocks: Blocks | None = None,
) -> pd.DataFrame:
    """The soft label of every negative: its distances to all N positives (paper A, IV-C, eq. 3).

    Deviation: "euclidean", "cosine" and "hellinger" stand in the place of the paper's earth mover's distance. They know no
    order of the channels, which have none, where |i - j| of `emd` lives from it (notebook 03 compares them).

    Args:
        positives: (N, D) features, not negative, indexed by exam id.
        negatives: (M, D) features of the archive, indexed by exam id.
        distance: "emd", the paper's, or one of `chords`.
        mass, ground: of `emd.pairwise_emd`: "partial" as in eq. 4, or "normalised"; a (D, D) distance between features.
        device, blocks: of `emd.pairwise_emd`.

    Returns:
        float64 (M, N), indexed by negative, one column a positive.

    Raises:
        ValueError: an exam has no feature that is not zero, or one that is negative or not finite; names the exam.

    >>> ids = ["p1"], ["n1", "n2"]
    >>> soft_labels(pd.DataFrame([[1, 0, 0]], ids[0]), pd.DataFrame([[0, 1, 0], [0, 0, 1]], ids[1])).p1.tolist()
    [1.0, 2.0]
    """
    near, far = (frame.to_numpy(dtype=float) for frame in (positives, negatives))
    for frame, values in ((positives, near), (negatives, far)):
        bad = bad_row(values)
        if bad:
            raise ValueError(
                f"exam {frame.index[bad[0]]}: its histogram of features {bad[1]}, so it has no distance to the positives. "
                "Look at its preprocessed volume, or leave it out."
            )
    if distance == "emd":
        distances = pairwise_emd(far, near, mass, ground=ground, device=device, blocks=blocks)
    else:
        distances = chords.pairwise(far, near, distance, device=device, blocks=blocks)
    return pd.DataFrame(distances, index=negatives.index, columns=positives.index)


def rank_negatives(
    soft_labels: pd.DataFrame | ArrayLike,
    alpha: float = 0.5,
    beta: float = 0.5,
    mass: Mass = "partial",
    *,
    distance: Distance = "emd",
    diversity_pairs: int = DIVERSITY_PAIRS,
    seed: int = 0,
    ground: ArrayLike | None = None,
    device: "str | torch.device" = "cpu",
    blocks: Blocks | None = None,
) -> pd.DataFrame:
    """Rank the archive by difficulty, by diversity and by both (paper A, IV-D, eq. 5, 6 and 7).

    Choice: ties are broken by exam id (by position where there are no ids).

    Deviation: the mean of eq. 6 is over all others, M (M - 1) / 2 pairs. Where these are more than `diversity_pairs`, it is
    over `diversity_pairs` / M others, drawn at random, the same for all (`some_others`), and has a standard error. The
    closed forms (normalised masses on a line, cosine) always take all.

    Choice: where eq. 3 gave way to another distance, so does eq. 6: two soft labels are compared as two exams are. Neither
    an order of the positives nor how far they lie in all (which is eq. 5) then counts, only which of them are the nearer ones.
    A soft label of zeros is one that is equally far from all.

    Args:
        soft_labels: (M, N) distances, negatives by positives; a data frame keeps its index of exam ids.
        alpha, beta: weights of the two tracks.
        mass: how the earth mover's distance between two soft labels (eq. 6) treats their totals.
        distance: of `soft_labels`, between soft labels.
        diversity_pairs: most distances of eq. 6. seed: of the draw of others where all are too many.
        ground, device, blocks: of `emd.mean_emd_to_others`; `ground` is an (N, N) distance between positives.

    Returns:
        M rows in the order given: `difficulty` (eq. 5; small is hard), `diversity` (eq. 6; large is diverse),
        `diversity_error` (its standard error; 0 where all others were met),
        `difficulty_rank` and `diversity_rank` (1 is hardest, most diverse), `joint` (eq. 7) and `joint_rank` (1 is best).

    Raises:
        ValueError: an exam is listed twice, or the soft labels are no table of distances.

    >>> rank_negatives([[1.0, 1.0], [3.0, 0.0], [4.0, 4.0]]).joint_rank.tolist()
    [1, 2, 3]
    """
    labels = (
        soft_labels
        if isinstance(soft_labels, pd.DataFrame)
        else pd.DataFrame(np.asarray(soft_labels, dtype=float))
    )
    if labels.index.has_duplicates:
        twice = labels.index[labels.index.duplicated()][0]
        raise ValueError(f"exam {twice} is listed twice in the soft labels")
    distances = labels.to_numpy(dtype=float)
    if labels.empty or not np.isfinite(distances).all() or (distances < 0).any():
        raise ValueError(
            "the soft labels must be a table (negatives, positives) of finite distances, none negative, "
            "with a row and a column"
        )
    result = pd.DataFrame(index=labels.index)
    result["difficulty"] = labels.mean(axis=1)
    distances = with_a_weight(distances)
    result["diversity"] = result["diversity_error"] = 0.0  # an archive of one is compared with nobody
    n = len(labels)
    chord = None if distance == "emd" else distance
    if takes_some(n, diversity_pairs, mass, distance, ground):
        found = mean_emd_to_some(
            distances, diversity_pairs // n, mass, chord=chord, seed=seed, ground=ground, blocks=blocks
        )
        result["diversity"], result["diversity_error"] = found
    elif n > 1 and chord:
        result["diversity"] = chords.mean_to_others(distances, chord, device=device, blocks=blocks)
    elif n > 1:
        result["diversity"] = mean_emd_to_others(distances, mass, ground=ground, device=device, blocks=blocks)
    return with_ranks(result, alpha, beta)


def takes_some(
    n: int, diversity_pairs: int, mass: Mass, distance: Distance = "emd", ground: ArrayLike | None = None
) -> bool:
    """Is eq. 6 of an archive of n over some others alone? Where there are too many pairs, and no closed form.

    >>> takes_some(10**6, DIVERSITY_PAIRS, "partial"), takes_some(10**6, DIVERSITY_PAIRS, "normalised")
    (True, False)
    """
    closed = distance == "cosine" or (distance == "emd" and is_closed_form(mass, ground))
    return not closed and n * (n - 1) // 2 > diversity_pairs


def with_a_weight(distances: np.ndarray) -> np.ndarray:
    """Soft labels (M, N), where one of zeros (the same as every positive), which weighs nothing, has the least weight.

    >>> with_a_weight(np.array([[0.0, 0.0], [1.0, 0.0]]))[1].tolist()
    [1.0, 0.0]
    """
    nothing = ~distances.any(axis=1)
    if nothing.any():
        distances = distances.copy()
        distances[nothing] = np.finfo(float).tiny
    return distances


def with_ranks(ranking: pd.DataFrame, alpha: float, beta: float) -> pd.DataFrame:
    """Difficulty and diversity with their ranks and the joint one (paper A, eq. 5 to 7)."""
    ranking = ranking.assign(
        difficulty_rank=_ranks(ranking["difficulty"]), diversity_rank=_ranks(-ranking["diversity"])
    )
    return jointly(ranking, alpha, beta)


def jointly(ranking: pd.DataFrame, alpha: float, beta: float) -> pd.DataFrame:
    """A ranking with `joint` and `joint_rank` by these weights of its two tracks (paper A, eq. 7).

    >>> tracks = pd.DataFrame({"difficulty_rank": [1, 2, 3], "diversity_rank": [3, 1, 2]})
    >>> [jointly(tracks, a, 1 - a)["joint_rank"].tolist() for a in (1.0, 0.25, 0.0)]
    [[1, 2, 3], [3, 1, 2], [3, 1, 2]]
    """
    joint = alpha * ranking["difficulty_rank"] + beta * ranking["diversity_rank"]
    return ranking.assign(joint=joint, joint_rank=_ranks(joint))


def _ranks(values: pd.Series) -> pd.Series:
    """1 for the smallest; ties in the order of the index."""
    # The last digits hold the order in which a sum was taken, and 0.1 is no binary number: they must not break a tie.
    rounded = (values / (values.abs().max() or 1.0)).round(12)
    return rounded.sort_index().rank(method="first").astype(int).reindex(values.index)
