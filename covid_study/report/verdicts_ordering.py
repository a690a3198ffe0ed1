"""What the order of channels and positives means for a ranking, in sentences built from the numbers of `order.measured`."""

import numpy as np
import pandas as pd

from covid_study.report.show import duration
from covid_study.report.verdicts import listed, percent, with_interval

FEW_NEGATIVES = 10  # with fewer, the correlation of two rankings says nothing
TRACKS = {"difficulty": "difficulty", "diversity": "diversity", "joint": "the joint rank"}


def order_matters(shuffles: pd.DataFrame, variants: pd.DataFrame, ranking: pd.DataFrame) -> list[str]:
    """What the order of channels and positives does to a ranking, sentence by sentence.

    Args:
        shuffles, variants: of `order.measured`. ranking: as listed, of `rank.rank_negatives`.
    """
    negatives = len(ranking)
    if negatives < FEW_NEGATIVES:
        exams = f"{negatives} negative{'s' * (negatives != 1)}"
        return [f"With {exams} in the archive nothing follows about the order of channels and positives."]
    said = [
        order_dependence(shuffles),
        order_selection(shuffles),
        order_of_which(shuffles),
        order_of_joint(shuffles, ranking),
        order_done_without(variants),
        order_cost(variants),
        order_means(shuffles),
    ]
    return [sentence for sentence in said if sentence]


def order_dependence(shuffles: pd.DataFrame) -> str:
    """By how much a ranking changes with the order of channels and positives. Of `order.random_orders`."""
    said = [f"{with_interval(_over_orders(shuffles, track))} for {text}" for track, text in TRACKS.items()]
    return (
        f"In {shuffles['order'].nunique()} random orders of channels and positives, Spearman's correlation with the "
        f"ranking as listed is {listed(said)} (median, smallest to largest)."
    )


def order_selection(shuffles: pd.DataFrame) -> str:
    """How many of the best negatives stay the best in another order. Of `order.random_orders`."""
    row, first = _over_orders(shuffles, "joint", column="kept"), shuffles.iloc[0]
    chance = percent(first["selected"] / first["negatives"])
    return (
        f"Of the {first['selected']:,} negatives that the listed order puts in the best {chance}, {percent(row['value'])} "
        f"({percent(row['low'])} to {percent(row['high'])}) stay there in another order; of a ranking that had nothing to do "
        f"with it, {chance} would."
    )


def order_of_which(shuffles: pd.DataFrame) -> str:
    """Which order matters more for the joint rank, that of channels or that of positives? Of `order.random_orders`.

    More is said to matter what lowers the correlation more in at least 19 of 20 random orders.
    """
    joint = (
        shuffles[shuffles["track"] == "joint"].pivot(index="order", columns="shuffled", values="rho").dropna()
    )
    if joint.empty:
        return ""
    names = {"channels": "positives", "positives": "channels"}
    more = [one for one, other in names.items() if (joint[one] < joint[other]).mean() >= 0.95]
    words = (
        f"The order of the {more[0]} matters more than that of the {names[more[0]]}"
        if more
        else "Which of the two orders matters more cannot be told"
    )
    numbers = [
        f"{with_interval(_over_orders(shuffles, 'joint', one))} with the {one} shuffled" for one in names
    ]
    return (
        f"{words}: the joint rank correlates {listed(numbers)}. Difficulty, a mean over positives, does not depend on "
        "theirs."
    )


def order_of_joint(shuffles: pd.DataFrame, ranking: pd.DataFrame) -> str:
    """Why the joint rank depends on the order more than its two tracks do, where it does."""
    joint, *tracks = (
        _over_orders(shuffles, track)["value"] for track in ("joint", "difficulty", "diversity")
    )
    against = ranking["difficulty_rank"].corr(ranking["diversity_rank"])
    if not (joint < min(tracks) and against < 0):
        return ""
    return (
        "The joint rank depends on the order more than either track: what is hard is seldom diverse here (Spearman "
        f"{against:.2f} between the two ranks), so in their sum most of what they say cancels, and chance does not."
    )


def order_done_without(variants: pd.DataFrame) -> str:
    """The ranking that knows no order: how near it is to the one as listed, and whether it knows none."""
    rows = variants[variants["variant"] == "both"].set_index("track")
    first, change = rows.iloc[0], rows["change"].max()
    numbers = [
        f"{with_interval({'value': rows.loc[track, 'rho'], 'low': np.nan})} for {text}"
        for track, text in TRACKS.items()
    ]
    moves = (
        "do not change in another order (rounding aside)"
        if change <= 1e-9
        else f"change by up to {change:.2g} in another order"
    )
    return (
        "The ranking without an order, channels by correlation and positives by likeness, correlates with the one as listed "
        f"{listed(numbers)}, on the same {first['negatives']:,} negatives and {first['positives']:,} positives. Its difficulty "
        f"and diversity {moves}."
    )


def order_cost(variants: pd.DataFrame) -> str:
    """What a ranking without an order takes. Of `order.order_free_variants`."""
    rows = variants.drop_duplicates("variant").set_index("variant")
    free, line = rows.loc["both"], rows.loc["listed"]
    start = f"It takes a linear programme a distance, {free['programmes']:,} here"
    if np.isnan(free["seconds"]):
        return f"{start}; how long they took is not known, because the run was interrupted."
    whole = f" (the whole archive, at that pace: about {_took(free['seconds_whole'])})"
    return (
        f"{start}: {_took(free['seconds'])}{whole if free['seconds_whole'] > 1.01 * free['seconds'] else ''}. The ranking as "
        f"listed takes {_took(line['seconds'])}."
    )


def order_means(shuffles: pd.DataFrame) -> str:
    """What follows for the method. Of `order.random_orders`.

    Choice: at a median correlation of the joint rank of 0.95 or more the order hardly matters, below 0.8 it matters much.
    """
    rho = _over_orders(shuffles, "joint")["value"]
    if np.isnan(rho):
        return "What follows for the method is not known."
    if rho >= 0.95:
        return "So the order hardly matters: the ranking as listed can be used as it is."
    extent = "to some extent" if rho >= 0.8 else "to a good part"
    return (
        f"So which negatives are selected is {extent} an accident of how channels and positives are listed, which nothing in "
        "the method decides. Who wants a selection that depends on the exams alone sets `order_free` to `both` in the "
        "parameters; who compares methods on the ranking as listed repeats them over orders as over seeds."
    )


def _over_orders(shuffles: pd.DataFrame, track: str, shuffled: str = "both", column: str = "rho") -> dict:
    """Median, smallest and largest over the random orders; not a number where there are none."""
    here = (shuffles["shuffled"] == shuffled) & (shuffles["track"] == track)
    values = shuffles.loc[here, column].dropna()
    return {"value": values.median(), "low": values.min(), "high": values.max()}


def _took(seconds: float) -> str:
    return duration(seconds / 3600) if seconds >= 0.1 else "less than 0.1 s"
