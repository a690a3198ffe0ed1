"""How much does a ranking depend on the order in which channels and positives are listed? (paper A, IV-C and D)

With |i - j| as ground distance, eq. 3 moves mass from channel to channel and eq. 6 from positive to positive as if both stood
in a row. Neither does: their order is that of an array. Here it is shuffled, and beside it stand the rankings of `order_free`.
"""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from covid_study import paths
from covid_study.figures.ranking import TRACKS
from covid_study.ranking.blocks import Blocks
from covid_study.ranking.order_free import VARIANTS, OrderFree, evenly, pairs, programmes, thinned
from covid_study.ranking.rank import rank_negatives, soft_labels
from covid_study.runtime.artefacts import artefact, write_atomically
from covid_study.runtime.progress import progress

RANKED_BY = {
    "difficulty": "difficulty",
    "diversity": "diversity",
    "joint": "joint_rank",
}  # column of a ranking
SHUFFLED = {"channels": "channels shuffled", "positives": "positives shuffled", "both": "both shuffled"}
VARIANT = {  # the order that a variant does without -> in words
    "listed": "as listed",
    "channels": "channels by correlation",
    "positives": "positives by likeness",
    "both": "both: no order left",
}
KINDS = (*SHUFFLED.values(), *VARIANT.values())
MOST_NEGATIVES = 2000  # under random orders: eq. 6 takes the square of them three times an order


def measured(p, ranked, selected: int, seed: int = 0) -> pd.DataFrame:
    """How much a ranking depends on the order of channels and positives, computed once (paper A, eq. 3, 5, 6 and 7).

    Choice: without an order each distance is a linear programme, so these variants are computed for negatives, and if need be
    positives, that were thinned evenly until no equation takes more than `ranking.ground_pairs` programmes. They are compared
    with the ranking as listed of the same exams. Channels are compared over all training exams. Random orders are tried on all
    negatives, of more than 2,000 on 2,000.

    Args:
        p: parameters; `ranking.orders` random orders are tried.
        ranked: what `volume_steps.ranked` returns.
        selected: how many of the best negatives are followed.
        seed: of the random orders.

    Returns:
        The lines of `random_orders` and of `order_free_variants`.
    """
    positives, negatives = list(ranked.soft_labels.columns), list(ranked.ranking.index)
    near, far = ranked.features.loc[positives], ranked.features.loc[negatives]
    rule = p.ranking.model_dump(include={"mass", "alpha", "beta"})
    orders, most = p.ranking.orders, p.ranking.ground_pairs
    values = pd.concat([near, far]).to_numpy(dtype=np.float64)
    config = {
        "features": hashlib.sha256(values.tobytes()).hexdigest(),
        "positives": positives,
        "negatives": negatives,
    }
    config |= {**rule, "orders": orders, "ground_pairs": most, "selected": selected, "seed": seed}

    def compute(folder: Path) -> None:
        work = folder / "work"
        tried = far.iloc[evenly(len(far), MOST_NEGATIVES)]
        size = max(1, round(selected * len(tried) / len(far)))
        shuffled = random_orders(near, tried, orders, size, seed, folder=work / "orders", **rule)
        blocks = Blocks(work / "blocks", p.study.executor)
        variants = order_free_variants(near, far, most, selected, blocks=blocks, **rule)
        pd.concat([shuffled, variants], ignore_index=True).to_parquet(folder / "ordering.parquet")
        shutil.rmtree(work, ignore_errors=True)

    folder = artefact(paths.build(p.study.name) / "ranking", "ordering", config, ["analysis.order"], compute)
    return pd.read_parquet(folder / "ordering.parquet")


def random_orders(
    positives: pd.DataFrame,
    negatives: pd.DataFrame,
    orders: int,
    selected: int,
    seed: int = 0,
    *,
    folder: Path | None = None,
    **rule,
) -> pd.DataFrame:
    """The ranking under random orders of the channels, of the positives, and of both (paper A, eq. 3, 5, 6 and 7).

    Args:
        positives: (N, D) features as listed. negatives: (M, D).
        orders: how many. selected, seed: as in `measured`. rule: mass, alpha and beta of `rank.rank_negatives`.
        folder: keeps what each order gave, so that a killed run goes on.

    Returns:
        A row an order, what was shuffled (`kind`, of SHUFFLED) and a track: what `compared` says, `order`, `positives`.
    """
    mass = rule.get("mass", "partial")
    labels = soft_labels(positives, negatives, mass)
    listed = rank_negatives(labels, **rule)

    def one(order: int) -> pd.DataFrame:
        channels, places = drawn_orders(positives.shape, seed, order)
        moved = soft_labels(positives.iloc[:, channels], negatives.iloc[:, channels], mass)
        found = {"channels": moved, "positives": labels.iloc[:, places], "both": moved.iloc[:, places]}
        parts = [
            compared(listed, rank_negatives(found[what], **rule), selected).assign(kind=kind)
            for what, kind in SHUFFLED.items()
        ]
        return pd.concat(parts).assign(order=order, positives=len(positives))

    parts = []
    for order in progress(range(orders), "random orders of channels and positives"):
        file = folder / f"{order}.parquet" if folder else None
        if file and file.is_file():
            parts.append(pd.read_parquet(file))
            continue
        parts.append(one(order))
        if file:
            write_atomically(file, parts[-1].to_parquet)
    return pd.concat(parts, ignore_index=True)


def order_free_variants(
    positives: pd.DataFrame,
    negatives: pd.DataFrame,
    most: int,
    selected: int,
    *,
    blocks: Blocks | None = None,
    **rule,
) -> pd.DataFrame:
    """The rankings without an order beside the one as listed, on the same exams, and what they cost.

    Args:
        positives: (N, D) features. negatives: (M, D).
        most: linear programmes of an equation. selected: as in `measured`. rule: as in `random_orders`.
        blocks: where finished linear programmes are kept, so that a killed run goes on; its seconds are then unknown.

    Returns:
        A row a variant (`kind`, of VARIANT) and a track: what `compared` says on the exams it was computed for, `positives`,
        `programmes` solved, `seconds`, and `seconds_whole`, for the whole archive at the same pace.
    """
    archive = len(positives), len(negatives)
    resumed = blocks is not None and blocks.folder.is_dir()
    kept = thinned(*archive, most)
    near, far = positives.iloc[kept[0]], negatives.iloc[kept[1]]
    rankings = OrderFree(near, far, pd.concat([positives, negatives]), blocks=blocks, **rule)
    size = max(1, round(selected * len(far) / len(negatives)))
    here, everywhere, parts = pairs(len(near), len(far)), pairs(*archive), []
    for variant in progress(VARIANTS, "rankings without an order"):
        part = compared(rankings.without("listed"), rankings.without(variant), size)
        part = part.assign(kind=VARIANT[variant], positives=len(near))
        part["programmes"] = programmes(variant, len(near), len(far))
        seconds = pd.Series(rankings.seconds(variant), dtype=float)
        whole = seconds * [everywhere[step] / max(1, here[step]) for step in seconds.index]
        part["seconds"], part["seconds_whole"] = (np.nan, np.nan) if resumed else (seconds.sum(), whole.sum())
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def compared(listed: pd.DataFrame, other: pd.DataFrame, selected: int) -> pd.DataFrame:
    """Two rankings of the same negatives: Spearman's correlation, and the share of the first that stay first; a row a track.

    Args:
        listed, other: of `rank.rank_negatives`. selected: how many are first.

    Returns:
        `track` (of RANKED_BY), `rho` (NaN where one of the two has the same value for all), `kept`, `selected`, `negatives`.

    >>> one, two = (rank_negatives([[1.0, 1], [3, 0], [x, x]]) for x in (4, 1.2))
    >>> compared(one, two, 1).loc[0, ["rho", "kept"]].tolist()
    [0.5, 1.0]
    """
    rows = []
    for track, column in RANKED_BY.items():
        first, too = (set(r.index[r[f"{track}_rank"] <= selected]) for r in (listed, other))
        rho = spearman(listed[column], other[column].loc[listed.index])
        rows.append({"track": track, "rho": rho, "kept": len(first & too) / len(first)})
    return pd.DataFrame(rows).assign(selected=selected, negatives=len(listed))


def spearman(a: pd.Series, b: pd.Series) -> float:
    """Spearman's correlation of two difficulties or ranks of the same exams; NaN where one is the same for all."""
    # The last digits hold the order in which a sum was taken; they must not part what is equal (see ranking).
    a, b = ((values / (values.abs().max() or 1.0)).round(12) for values in (a, b))
    return float(spearmanr(a, b).statistic) if a.nunique() > 1 and b.nunique() > 1 else np.nan


def drawn_orders(shape: tuple[int, int], seed: int, order: int) -> tuple[np.ndarray, np.ndarray]:
    """A random order of the channels and one of the positives, of a table (N, D)."""
    rng = np.random.default_rng([seed, order])
    return rng.permutation(shape[1]), rng.permutation(shape[0])


def table(found: pd.DataFrame) -> pd.DataFrame:
    """`measured` for a reader: median [smallest, largest] of the correlations, and what stays selected by the joint rank."""
    by = found.groupby(["kind", "track"])
    shown = by["rho"].agg(_range).unstack()[list(TRACKS)].rename(columns=TRACKS)
    joint = found[found["track"] == "joint"].groupby("kind")
    shown["stay selected (%)"] = joint["kept"].agg(lambda kept: _range(100 * kept, ".0f"))
    shown["of"] = joint["selected"].first()
    costs = ["negatives", "positives", "programmes", "seconds", "seconds_whole"]
    heads = {"programmes": "linear programmes", "seconds_whole": "seconds, whole archive"}
    shown = shown.join(joint[costs].first().rename(columns=heads))
    return shown.loc[list(KINDS)].rename_axis(index=None, columns=None)


def _range(values: pd.Series, form: str = ".2f") -> str:
    known = values.dropna()
    if known.empty:
        return "–"
    middle, low, high = (format(x, form) for x in (known.median(), known.min(), known.max()))
    return middle if len(values) == 1 else f"{middle} [{low}, {high}]"
