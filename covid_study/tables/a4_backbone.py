"""Table IV of paper A: another network trained on what the ranking's network selected (V-D2)."""

from itertools import combinations

import numpy as np
import pandas as pd

from covid_study.errors import StudyError
from covid_study.samples.samples import Samples
from covid_study.scores import published
from covid_study.tables import a3_ranking, volume_steps
from covid_study.tables.table import Table, column

NAME, RANKED_WITH = "A.IV", "resnet18"  # the row beside the paper's one, from its Table III


def row(depth: int) -> str:
    """The row of a network, as the published table names it.

    >>> row(50)
    'resnet50'
    """
    return f"resnet{depth}"


def table(p, v: Samples) -> Table:
    """Table IV: both networks on the same selections, the row "both" of Table III, and on ALL.

    The selections are drawn from the ranking by the network of `network.depth`; that of `transfer.depth` only trains on them.
    Rows as "resnet50", the ranking's network first; columns: `transfer.shares`, and ALL.

    Raises:
        StudyError: both networks are the same.
    """
    depths, shares = (p.network.depth, p.transfer.depth), sorted(p.transfer.shares)
    if depths[0] == depths[1]:
        raise StudyError(
            f"Nothing is transferred: network.depth and transfer.depth are both {depths[0]}. Set transfer.depth to "
            f"{18 if depths[0] == 50 else 50}."
        )
    runs = {}
    for seed in a3_ranking.seeds(p):
        found, archive = volume_steps.ranked(p, v, seed=seed), volume_steps.ids(v, "train", False)
        chosen = {column(s): volume_steps.selection(p, found.ranking, "long_tail", s, seed) for s in shares}
        for depth in depths:
            for where, negatives in chosen.items():
                run = volume_steps.run(p, v, negatives, seed, ranked=found, depth=depth)
                runs[row(depth), where, seed] = run
            runs[row(depth), "all", seed] = volume_steps.run(p, v, archive, seed, depth=depth)
    given = {
        "sizes": a3_ranking.sizes(p, v, shares),
        "beside": of_table_3(),
        "order": tuple(map(row, depths)),
    }
    given["words"] = {row(depth): f"3D ResNet-{depth}" for depth in depths}
    return Table(NAME, runs, v, p.study, main="A13", **given)


def of_table_3() -> pd.DataFrame:
    """What Table III of the paper has for the same exams, as the row "resnet18".

    >>> of_table_3().set_index(["column", "metric"]).loc[("56%", "f1"), "printed"]
    '86.0'
    """
    third = published.table("A.III")
    both = third[(third["row"] == "both") & (third["column"] != "all")]
    whole = third[(third["row"] == "random") & (third["column"] == "all")]
    hours = third[third["row"] == "training_period"]
    return pd.concat([both, whole, hours]).assign(row=RANKED_WITH, label="3D ResNet-18")


def size_pairs(table: Table, metric: str = "auc") -> pd.DataFrame:
    """Every pair of sizes in both networks: do they put the same one first?

    Returns:
        larger, smaller (columns), the difference in each network (larger minus smaller), `agree`.
    """
    found = table.scores().query("metric == @metric").pivot(index="column", columns="row", values="mean")
    pairs = list(combinations([c for c in table.sizes if c in found.index], 2))
    differences = [found.loc[larger] - found.loc[smaller] for smaller, larger in pairs]
    frame = pd.DataFrame(differences, columns=list(table.order)).reset_index(drop=True)
    frame.insert(0, "larger", [larger for _, larger in pairs])
    frame.insert(1, "smaller", [smaller for smaller, _ in pairs])
    return frame.assign(agree=np.sign(frame[table.order[0]]) * np.sign(frame[table.order[1]]) > 0)


def paid_once(spent: pd.DataFrame, where: str) -> pd.DataFrame:
    """From how many trainings on does a ranking pay, which is made once for all networks (V-D2)?

    Args:
        spent: of `cost.of_table`. where: the column of the selection.

    Returns:
        By network: before (pre-training and ranking), selection, everything (the classifier on either), saved: hours; and
        trainings, after how many the ranking is paid for (infinite where nothing is saved).
    """
    cells = spent.set_index(["column", "label"])
    alone, whole = cells.loc[where], cells.loc["all"]
    found = pd.DataFrame({"before": alone["before_hours"], "selection": alone["compute_seconds"] / 3600})
    found["everything"] = whole["compute_seconds"] / 3600
    found["saved"] = found["everything"] - found["selection"]
    needed = np.ceil(found["before"] / found["saved"]).clip(lower=1)
    return found.assign(trainings=needed.where(found["saved"] > 0, np.inf))


def remarks() -> list[str]:
    """What is odd about the numbers that the paper prints in this table."""
    odd = published.table(NAME).query("note != '' and row != 'negatives'")
    return [
        f"{r.label}, {r.column}, {r.metric} of {r.printed} in the paper: {r.note}." for r in odd.itertuples()
    ]
