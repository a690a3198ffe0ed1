"""Table IV of paper A: another network trained on what the ranking's network selected, and what its runs say (V-D2)."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from covid_study.errors import StudyError
from covid_study.report.show import KEY, column_head, duration
from covid_study.report.verdicts import listed
from covid_study.samples.samples import Samples
from covid_study.scores import old_claims as claims, published as papers
from covid_study.tables import ablation_report as report, volume_steps
from covid_study.tables.ablation import Cell, column
from covid_study.training.run import Run

TABLE, RANKED_WITH = "A.IV", "resnet18"  # the row beside the paper's one, from its Table III


def at_its_shares(p):
    """The same parameters with the sizes of Table IV (`transfer.shares`) in the place of those of Table III.

    What is computed does not depend on which sizes are asked for, so that both tables share their runs.
    """
    return p.model_copy(
        update={"sampling": p.sampling.model_copy(update={"shares": sorted(p.transfer.shares)})}
    )


def row(depth: int) -> str:
    """The row of a network, as the published table names it.

    >>> row(50)
    'resnet50'
    """
    return f"resnet{depth}"


def name(depth: int) -> str:
    """A network in words.

    >>> name(50)
    '3D ResNet-50'
    """
    return f"3D ResNet-{depth}"


def backbone_transfer(p, v: Samples) -> dict[Cell, Run]:
    """The runs of Table IV: both networks on the same selections, the rows "both" of Table III, and on ALL (paper A, V-D2).

    The selections are drawn from the ranking by the network of `network.depth`; that of `transfer.depth` only trains on them.

    Returns:
        (row, column, seed) -> run; rows as "resnet50", seed by seed, the ranking's network first.

    Raises:
        StudyError: both networks are the same.
    """
    depths = [p.network.depth, p.transfer.depth]
    if depths[0] == depths[1]:
        raise StudyError(
            f"Nothing is transferred: network.depth and transfer.depth are both {depths[0]}. Set transfer.depth to "
            f"{18 if depths[0] == 50 else 50}."
        )
    runs: dict[Cell, Run] = {}
    for seed in p.study.seeds:
        found, everything = volume_steps.ranked(p, v, seed=seed), volume_steps.ids(v, "train", False)
        chosen = {
            column(s): volume_steps.selection(p, found.ranking, "long_tail", s, seed)
            for s in sorted(p.transfer.shares)
        }
        for depth in depths:
            for where, negatives in chosen.items():
                runs[row(depth), where, seed] = volume_steps.run(
                    p, v, negatives, seed, ranked=found, depth=depth
                )
            runs[row(depth), "all", seed] = volume_steps.run(p, v, everything, seed, depth=depth)
    return runs


def published() -> pd.DataFrame:
    """Table IV of paper A and, as the row "resnet18", what its Table III has for the same exams.

    >>> published().set_index(["row", "column", "metric"]).loc[("resnet18", "56%", "f1"), "printed"]
    '86.0'
    """
    third = papers.table("A.III")
    both = third[(third["row"] == "both") & (third["column"] != "all")]
    whole = third[(third["row"] == "random") & (third["column"] == "all")]
    hours = third[third["row"] == "training_period"]
    beside = pd.concat([both, whole, hours]).assign(row=RANKED_WITH, label=report.EXTRA[RANKED_WITH])
    return pd.concat([papers.table(TABLE), beside], ignore_index=True)


def joined(results: pd.DataFrame) -> pd.DataFrame:
    """`ablation_report.joined` of Table IV; the row of ResNet-18 has the paper's values of Table III beside it."""
    frame = report.joined(results, TABLE)
    frame.loc[frame["metric"] == "hours", ["low", "high"]] = (
        np.nan
    )  # a machine's moods are no interval of the method
    beside = published().query("row == @RANKED_WITH").rename(columns={"value": "published"})
    beside = beside.assign(table=TABLE, in_paper=True)
    known = frame.merge(beside[[*KEY, "published"]], on=KEY, how="left", suffixes=("", "_there"))
    frame["in_paper"] |= known["published_there"].notna().to_numpy()
    frame["published"] = frame["published"].fillna(known["published_there"])
    if RANKED_WITH not in set(frame["row"]):
        return frame
    there = pd.MultiIndex.from_frame(frame[KEY])
    lacking = beside[~pd.MultiIndex.from_frame(beside[KEY]).isin(there)]
    return pd.concat([frame, lacking.reindex(columns=frame.columns)], ignore_index=True)


def check(resampled: claims.Resampled, p, columns: Sequence[str]) -> pd.DataFrame:
    """The claim of Section V-D2, that a selection serves another network, and the same for the one that ranked.

    Args:
        columns: the sizes, from small to large, without "all".

    Returns:
        As `claims.check`; the claims are "transfer" and "ranked_with".
    """
    asked = [
        claims.Claim(key, f"The largest selection serves {name(depth)} as well as all negatives", where, row(depth),
                     row(depth), claims.F1S, sizes="largest", against="all")
        for key, depth, where in (
            ("transfer", p.transfer.depth, "V-D2"), ("ranked_with", p.network.depth, "V-D1"),
        )
    ]  # fmt: skip
    found = claims.check(resampled, TABLE, columns, asked)
    theirs = published().set_index(KEY)["value"]
    one_row = {c.key: c.one for c in asked}
    found["published"] = [
        theirs.get((one_row[r.claim], r.column, r.metric), np.nan)
        - theirs.get((one_row[r.claim], "all", r.metric), np.nan)
        for r in found.itertuples()
    ]
    return found


def size_pairs(resampled: claims.Resampled, p, columns: Sequence[str], metric: str = "auc") -> pd.DataFrame:
    """Every pair of sizes in both networks: do they put the same one first?

    Args:
        columns: the sizes, from small to large, "all" among them.

    Returns:
        larger, smaller (columns), for each network `<row>` (difference, larger minus smaller) and `<row>_verdict`
        (`claims.verdict`), `agree` (both differences on the same side of zero).
    """
    lines = []
    for smaller, larger in combinations(columns, 2):
        line = {"larger": larger, "smaller": smaller}
        for depth in (p.network.depth, p.transfer.depth):
            pair = ((row(depth), larger), (row(depth), smaller))
            found = claims.paired_difference(resampled, [pair], metric)
            line[row(depth)] = found["difference"]
            line[f"{row(depth)}_verdict"] = claims.verdict(found["low"], found["high"], resampled.fewest)
        one, other = (line[row(depth)] for depth in (p.network.depth, p.transfer.depth))
        lines.append(line | {"agree": bool(one * other > 0)})
    return pd.DataFrame(lines)


def order_sentence(pairs: pd.DataFrame, p, metric: str = "auc") -> str:
    """Does the rank order of the sizes agree between the networks? Of `size_pairs`; the paper's by F1 beside it."""
    one, other = name(p.network.depth), name(p.transfer.depth)
    columns = [row(p.network.depth), row(p.transfer.depth)]
    score, known = report.NAMES.get(metric, metric).rstrip("*"), pairs.dropna(subset=columns)
    if known.empty:
        return (
            f"Whether {one} and {other} put the sizes in the same order is not known: {score} is not defined."
        )
    n, agree = len(known), int(known["agree"].sum())
    if n == 1:
        larger, smaller = (column_head(known.iloc[0][k]) for k in ("larger", "smaller"))
        line = known.iloc[0]
        said = [f"{a} {_side(line[c], larger, smaller)}" for a, c in zip((one, other), columns, strict=True)]
        text = f"By {score}, {' and '.join(said)}: the order of the two sizes {'agrees' if agree else 'does not agree'}."
    else:
        text = f"Of the {n} pairs of sizes {one} and {other} put {agree} in the same order by {score}."
    verdicts = known[[f"{c}_verdict" for c in columns]]
    shown = verdicts.isin([claims.HOLDS, claims.FAILS]).all(axis=1)
    told = int((shown & known["agree"]).sum())
    clear = int(shown.sum())
    if not clear:
        start = "Not both differences" if n == 1 else "In no pair both differences"
        text += f" {start} can be told from zero: it may be chance."
    elif n == 1:
        text += " Both differences can be told from zero."
    else:
        text += f" In {clear} of them both differences can be told from zero, {told} in the same direction."
    return f"{text} {_order_in_paper(p)}".strip()


def _order_in_paper(p) -> str:
    """Of the sizes that the paper gives for both networks, how many pairs are in the same order."""
    f1 = published().query("metric == 'f1'").pivot(index="column", columns="row", values="value")
    wanted = [row(p.network.depth), row(p.transfer.depth)]
    if set(wanted) - set(f1):
        return ""
    one, other = (f1[c] for c in wanted)
    pairs = list(combinations(f1.dropna(subset=wanted).index, 2))
    same = sum((one[a] - one[b]) * (other[a] - other[b]) > 0 for a, b in pairs)
    return f"In the paper {same} of {len(pairs)} pairs are in the same order by F1."


def _side(difference: float, larger: str, smaller: str) -> str:
    if difference == 0:
        return f"puts {larger} and {smaller} level"
    first, last = (larger, smaller) if difference > 0 else (smaller, larger)
    return f"puts {first} above {last}"


def network_sentence(cost: pd.DataFrame, p) -> str:
    """How much dearer the other network is: FLOPs and seconds an exam seen, and the whole period on all negatives.

    cost: what `cost.costs` returns for Table IV.
    """
    cells = cost.set_index(["row", "column"])
    one, other = (cells.loc[(row(d), "all")] for d in (p.network.depth, p.transfer.depth))
    flops = (other["flops"] / other["exams_seen"]) / (one["flops"] / one["exams_seen"])
    seconds = (other["compute_seconds"] / other["exams_seen"]) / (one["compute_seconds"] / one["exams_seen"])
    hours = published().query("metric == 'hours' and column == 'all'").set_index("row")["value"]
    text = (
        f"{name(p.transfer.depth)} takes {flops:.1f} times the FLOPs of {name(p.network.depth)} an exam seen, and took "
        f"{seconds:.1f} times as long: on all negatives {duration(other['hours'])} against {duration(one['hours'])}, for the "
        f"same {one['exams_seen']:,.0f} exams seen"
    )
    ratio = hours.get(row(p.transfer.depth), np.nan) / hours.get(row(p.network.depth), np.nan)
    return text + ("." if np.isnan(ratio) else f". In the paper it took {ratio:.1f} times as long.")


def paid_once_sentence(cost: pd.DataFrame, p, where: str) -> str:
    """From how many networks on does a ranking pay, which is made once for all of them (paper A, V-D2)?

    cost: what `cost.costs` returns for Table IV. where: the column of the selection.
    """
    cells = cost.set_index(["row", "column"])
    depths = (p.network.depth, p.transfer.depth)
    before = 3600 * cells.loc[(row(depths[0]), where), "before_hours"]
    alone = {d: cells.loc[(row(d), where), "compute_seconds"] for d in depths}
    whole = {d: cells.loc[(row(d), "all"), "compute_seconds"] for d in depths}
    together, all_together = before + sum(alone.values()), sum(whole.values())
    text = (
        f"Pre-training and ranking are paid once: with {duration(before / 3600)} for them, both networks on "
        f"{column_head(where)} took {duration(together / 3600)}, both on all negatives {duration(all_together / 3600)}."
    )
    said = []
    for d in depths:
        saved = whole[d] - alone[d]
        if saved <= 0:
            said.append(f"nothing with {name(d)}")
            continue
        needed = max(1, int(np.ceil(before / saved)))
        trainings = f"{needed} of them" if needed > 1 else "the first"
        said.append(
            f"{duration(saved / 3600)} with {name(d)}, which has paid for the ranking after {trainings}"
        )
    return f"{text} A training on {column_head(where)} instead of all saved {listed(said)}."


def remarks() -> list[str]:
    """What is odd about the numbers that the paper prints in this table."""
    odd = papers.table(TABLE).query("note != '' and row != 'negatives'")
    return [
        f"{r.label} on {column_head(r.column)}, {r.metric} of {r.printed} in the paper: {r.note}."
        for r in odd.itertuples()
    ]


def uncertainty_sentence(depth: int = 50) -> str:
    """How wide the paper's own F1 of Table IV would have been beside the gain that it reports over ALL."""
    f1 = papers.table(TABLE).query("row == @row(@depth) and metric == 'f1'").set_index("column")["value"]
    found = papers.intervals(TABLE).query("metric == 'f1'").set_index(["row", "column"])
    sizes = papers.sizes(TABLE)
    largest = sizes.drop("all").idxmax()
    if f1.empty or (row(depth), largest) not in found.index:
        return f"The paper has no interval for {name(depth)}, and none can be worked out."
    low, high = 100 * found.loc[(row(depth), largest), ["low", "high"]]
    gain = report.in_points(f1[largest] - f1["all"], sign=False)
    return (
        f"The paper's gain of {column_head(largest)} over ALL is {gain} points of F1, from one training each. With its "
        f"{papers.TEST_POSITIVES['A']} positive test exams the F1 of {100 * f1[largest]:.1f} % alone has a 95 % interval of "
        f"{low:.0f} to {high:.0f} %."
    )
