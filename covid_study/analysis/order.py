"""How much does a ranking depend on the order in which channels and positives are listed? (paper A, IV-C and D)

With |i - j| as ground distance, eq. 3 moves mass from channel to channel and eq. 6 from positive to positive as if both stood
in a row. Neither does: their order is that of an array. Here it is shuffled, and beside it stand the rankings of `order_free`.
"""

import hashlib
import shutil
from dataclasses import dataclass
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
ORDER_FREE = {  # variant -> in words
    "channels": "channels by correlation",
    "positives": "positives by likeness",
    "both": "both: no order left",
}
KINDS = {f"shuffled {key}": text for key, text in SHUFFLED.items()}
KINDS |= {f"variant {key}": text for key, text in ORDER_FREE.items()}
CHECKED, CHECKS = (
    100,
    3,
)  # linear programmes an equation at most, and other orders, to see that a variant knows none
MOST_NEGATIVES = 2000  # under random orders: eq. 6 takes the square of them three times an order


@dataclass(frozen=True)
class Ordering:
    """What `measured` found.

    shuffles: a row a random order, what was shuffled and a track: `shuffled` ("channels", "positives", "both"), `order`,
        `track` ("difficulty", "diversity", "joint"), `rho` (Spearman's correlation with the ranking as listed), `kept` (the
        share of its first `selected` that stay among the first), `selected`, `negatives`, `positives`.
    variants: a row a variant (the order it does without: "listed", "channels", "positives", "both") and a track: `rho` to
        `positives` as above, on the exams it was computed for; `change`, the most that a value moves in another order;
        `programmes` solved, `seconds`, and `seconds_whole`, for the whole archive at the same pace.
    """

    shuffles: pd.DataFrame
    variants: pd.DataFrame


def measured(p, ranked, selected: int, seed: int = 0) -> Ordering:
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
        shuffles = random_orders(near, tried, orders, size, seed, folder=work / "orders", **rule)
        blocks = Blocks(work / "blocks", p.study.executor)
        variants = order_free_variants(near, far, most, selected, seed, blocks=blocks, **rule)
        shuffles.to_parquet(folder / "shuffles.parquet")
        variants.to_parquet(folder / "variants.parquet")
        shutil.rmtree(work, ignore_errors=True)

    folder = artefact(paths.build(p.study.name) / "ranking", "ordering", config, ["analysis.order"], compute)
    return Ordering(*(pd.read_parquet(folder / f"{name}.parquet") for name in ("shuffles", "variants")))


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
        orders: how many.
        selected, seed: as in `measured`. rule: mass, alpha and beta of `rank.rank_negatives`.
        folder: keeps what each order gave, so that a killed run goes on.

    Returns:
        `Ordering.shuffles`.
    """
    mass = rule.get("mass", "partial")
    labels = soft_labels(positives, negatives, mass)
    listed = rank_negatives(labels, **rule)

    def one(order: int) -> pd.DataFrame:
        channels, places = _orders(positives.shape, seed, order)
        moved = soft_labels(positives.iloc[:, channels], negatives.iloc[:, channels], mass)
        found = {"channels": moved, "positives": labels.iloc[:, places], "both": moved.iloc[:, places]}
        parts = [
            compared(listed, rank_negatives(found[what], **rule), selected).assign(shuffled=what)
            for what in SHUFFLED
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
    seed: int = 0,
    *,
    blocks: Blocks | None = None,
    **rule,
) -> pd.DataFrame:
    """The rankings without an order beside the one as listed, on the same exams, and what they cost.

    Args:
        positives: (N, D) features. negatives: (M, D).
        most: linear programmes of an equation.
        selected, seed: as in `measured`. rule: as in `random_orders`.
        blocks: where finished linear programmes are kept, so that a killed run goes on; its seconds are then unknown.

    Returns:
        `Ordering.variants`.
    """
    features = pd.concat([positives, negatives])
    archive = len(positives), len(negatives)
    changes = largest_changes(positives, negatives, features, min(most, CHECKED), seed, **rule)
    resumed = blocks is not None and blocks.folder.is_dir()
    near, far = (
        f.iloc[rows] for f, rows in zip((positives, negatives), thinned(*archive, most), strict=True)
    )
    rankings = OrderFree(near, far, features, blocks=blocks, **rule)
    size = max(1, round(selected * len(far) / len(negatives)))
    rows = []
    for variant in progress(VARIANTS, "rankings without an order"):
        part = compared(rankings.without("listed"), rankings.without(variant), size)
        seconds = rankings.seconds(variant)
        here, everywhere = pairs(len(near), len(far)), pairs(*archive)
        whole = sum(s * everywhere[step] / max(1, here[step]) for step, s in seconds.items())
        rows.append(
            part.assign(
                variant=variant,
                positives=len(near),
                change=part["track"].map(changes[variant]),
                programmes=programmes(variant, len(near), len(far)),
                seconds=np.nan if resumed else sum(seconds.values()),
                seconds_whole=np.nan if resumed else whole,
            )
        )
    return pd.concat(rows, ignore_index=True)


def largest_changes(
    positives: pd.DataFrame,
    negatives: pd.DataFrame,
    features: pd.DataFrame,
    most: int = CHECKED,
    seed: int = 0,
    checks: int = CHECKS,
    **rule,
) -> dict[str, dict[str, float]]:
    """The most by which a difficulty or a diversity changes when the order that a variant does without is shuffled.

    Args:
        positives: (N, D) features. negatives: (M, D). features: the exams over which channels are compared.
        most: linear programmes of an equation; the exams are thinned evenly.
        checks: how many other orders. rule: mass, alpha and beta of `rank.rank_negatives`.

    Returns:
        {variant: {track: change}}; "listed" has both orders shuffled.
    """
    kept = thinned(len(positives), len(negatives), most, fewest=10)
    near, far = positives.iloc[kept[0]], negatives.iloc[kept[1]]
    result = {}
    for variant, without in VARIANTS.items():
        first = OrderFree(near, far, features, **rule).without(variant)
        moved_channels, moved_positives = without if any(without) else (True, True)
        moves = []
        for order in range(checks):
            channels, places = _orders(near.shape, seed, order)
            channels = channels if moved_channels else slice(None)
            places = places if moved_positives else slice(None)
            frames = near.iloc[places, channels], far.iloc[:, channels], features.iloc[:, channels]
            moves.append((OrderFree(*frames, **rule).without(variant) - first).abs().max())
        worst = pd.DataFrame(moves).max()
        result[variant] = {track: float(worst[track]) for track in ("difficulty", "diversity")}
    return result


def compared(listed: pd.DataFrame, other: pd.DataFrame, selected: int) -> pd.DataFrame:
    """Two rankings of the same negatives: Spearman's correlation, and the share of the first that stay first; a row a track.

    Args:
        listed, other: of `rank.rank_negatives`. selected: how many are first.

    Returns:
        `track`, `rho` (not a number where one of the two has the same value for all), `kept`, `selected`, `negatives`.

    >>> one, two = (rank_negatives([[1.0, 1], [3, 0], [x, x]]) for x in (4, 1.2))
    >>> compared(one, two, 1).loc[0, ["rho", "kept"]].tolist()
    [0.5, 1.0]
    """
    rows = []
    for track, column in RANKED_BY.items():
        first, too = (set(r.index[r[f"{track}_rank"] <= selected]) for r in (listed, other))
        rho = _spearman(listed[column], other[column].loc[listed.index])
        rows.append({"track": track, "rho": rho, "kept": len(first & too) / len(first)})
    return pd.DataFrame(rows).assign(selected=selected, negatives=len(listed))


def _spearman(a: pd.Series, b: pd.Series) -> float:
    # The last digits hold the order in which a sum was taken; they must not part what is equal (see ranking).
    a, b = ((values / (values.abs().max() or 1.0)).round(12) for values in (a, b))
    return float(spearmanr(a, b).statistic) if a.nunique() > 1 and b.nunique() > 1 else np.nan


def _orders(shape: tuple[int, int], seed: int, order: int) -> tuple[np.ndarray, np.ndarray]:
    """A random order of the channels and one of the positives, of a table (N, D)."""
    rng = np.random.default_rng([seed, order])
    return rng.permutation(shape[1]), rng.permutation(shape[0])


def points(found: Ordering) -> pd.DataFrame:
    """A line an order or a variant, and a track, for `ranking.orders`: kind (of KINDS), track, rho, kept."""
    parts = [
        frame.assign(kind=f"{column} " + frame[column])
        for frame, column in ((found.shuffles, "shuffled"), (found.variants, "variant"))
    ]
    points = pd.concat(parts, ignore_index=True)[["kind", "track", "rho", "kept", "selected", "negatives"]]
    return points[points["kind"].isin(KINDS)]


def table(found: Ordering) -> pd.DataFrame:
    """The numbers of the chart, and what stays selected by the joint rank, as text: a row an order or a variant.

    Of random orders: median [smallest, largest].
    """
    lines = points(found)
    shown = lines.groupby(["kind", "track"])["rho"].agg(_range).unstack()[list(TRACKS)].rename(columns=TRACKS)
    joint = lines[lines["track"] == "joint"].groupby("kind")
    shown["stay selected (%)"] = joint["kept"].agg(lambda kept: _range(100 * kept, ".0f"))
    first = joint[["selected", "negatives"]].first()
    shown["selected"] = [f"{some:,} of {all_:,}" for some, all_ in first.itertuples(index=False)]
    return shown.loc[list(KINDS)].rename(KINDS).rename_axis(index=None, columns=None)


def _range(values: pd.Series, form: str = ".2f") -> str:
    known = values.dropna()
    if known.empty:
        return "–"
    middle, low, high = (format(x, form) for x in (known.median(), known.min(), known.max()))
    return middle if len(values) == 1 else f"{middle} [{low}, {high}]"


def costs(found: Ordering) -> pd.DataFrame:
    """What a ranking with and without an order takes, and how much it changes in another order: a row a variant."""
    of = found.variants.groupby("variant")
    heads = {"negatives": "negatives", "positives": "positives", "programmes": "linear programmes", "seconds": "seconds",
             "seconds_whole": "seconds, whole archive", "change": "largest change"}  # fmt: skip
    shown = of.first().assign(change=of["change"].max())[list(heads)].rename(columns=heads)
    names = {"listed": "as listed", **ORDER_FREE}
    return shown.loc[list(names)].rename(names).rename_axis(index=None)
