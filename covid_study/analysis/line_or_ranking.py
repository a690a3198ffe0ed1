"""With fewer positives, is it the line between the classes that is lost, or the ranking? (paper B, 5.3)

Let a network have learnt the probabilities of its training slices exactly, and let a share f of the COVID-19 slices be kept:
by Bayes' rule its odds of COVID-19 are f times those with all of them. Dividing by f moves the line back and leaves the order.
"""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from covid_study.report import words
from covid_study.report.results import join_published
from covid_study.scores import claims
from covid_study.tables.b6_fewer_positives import METHODS, kept
from covid_study.tables.slice_rows import WHOLE
from covid_study.tables.table import Table

MOVED = "_moved"  # after a column: the same run with its line moved back


def moved_back(predictions: pd.DataFrame, share: float) -> pd.DataFrame:
    """Predictions as they would be had training seen all COVID-19 slices: the odds of COVID-19 divided by the share kept.

    Saerens et al. 2002; Menon et al. 2021 call it logit adjustment. The order of the slices by p_covid stays, so the AUC does.

    Args:
        predictions: with `probability` and `p_<class>`. share: of the COVID-19 slices that was kept, in (0, 1].

    >>> t = pd.DataFrame({"probability": [0.2], "p_covid": [0.2], "p_cap": [0.6], "p_non_pneumonia": [0.2]})
    >>> moved_back(t, 0.1)[["p_covid", "p_cap"]].round(3).to_numpy().tolist()
    [[0.714, 0.214]]
    """
    names = [name for name in predictions if name.startswith("p_")]
    p = predictions[names].astype(float)
    p["p_covid"] = p["p_covid"] / share
    p = p.div(p.sum(axis=1), axis=0)
    return predictions.assign(**p, probability=p["p_covid"])


def with_moved(table: Table) -> Table:
    """Table 6 with a column beside each method that has the line moved back: "baseline_moved" and so on."""
    slices = kept(table).set_index(["row", "seed"])["slices"]
    found = dict(table.predictions())
    for (row, method, seed), said in table.predictions().items():
        found[row, method + MOVED, seed] = moved_back(said, slices[row, seed] / slices[WHOLE, seed])
    return replace(table, name="B.6-moved", runs={}, planted=found, kept={})


def changes(moved: Table, metrics: Sequence[str] = ("sen", "spe", "auc")) -> pd.DataFrame:
    """How much each score changes with fewer COVID-19 slices, with paired intervals (paper B, Table 6, in brackets).

    Args:
        moved: of `with_moved`. What is moved is compared with the run with all slices too, which has nothing to move.

    Returns:
        row, column, metric, value (mean over seeds), difference (negative is a fall), low, high, seeds; a row a share below
        100 %.
    """
    scored, rows = moved.scored(), []
    for row, method in scored.ran:
        whole = (WHOLE, method.removesuffix(MOVED))
        if row == WHOLE or whole not in scored.ran:
            continue
        for metric in metrics:
            found = claims.paired_difference(scored, [((row, method), whole)], metric)
            value = pd.Series([v[metric] for cell, v in scored.values.items() if cell[:2] == (row, method)])
            kept_of = {key: found[key] for key in ("difference", "low", "high", "seeds")}
            rows.append({"row": row, "column": method, "metric": metric, "value": value.mean()} | kept_of)
    names = ["row", "column", "metric", "value", "difference", "low", "high", "seeds"]
    return pd.DataFrame(rows, columns=names)


def falls(changed: pd.DataFrame) -> pd.DataFrame:
    """How much sensitivity is lost with fewer COVID-19 slices beside the numbers in brackets of Table 6: metric "sen_fall"."""
    own = changed[(changed["metric"] == "sen") & changed["column"].isin(METHODS)]
    own = own.drop(columns="value").rename(columns={"difference": "mean"})
    return join_published(own.assign(metric="sen_fall"), "B.6", "B.6-falls")


def by_method(changed: pd.DataFrame) -> pd.DataFrame:
    """`changes` with the `method` of each line, and `what` changed: a score, as called or with the line moved back.

    >>> by_method(pd.DataFrame({"column": ["ce_moved", "ce"], "metric": "sen"}))[["method", "what"]].values.tolist()
    [['ce', 'sen_moved'], ['ce', 'sen']]
    """
    moved = changed["column"].str.endswith(MOVED).map({True: MOVED, False: ""})
    return changed.assign(method=changed["column"].str.removesuffix(MOVED), what=changed["metric"] + moved)


def shown(changed: pd.DataFrame) -> pd.DataFrame:
    """`changes` for a reader: a line a method and share, as called and with the line moved back, in points."""
    heads = {"sen": "SEN", "sen_moved": "SEN, line moved back", "auc": "AUC"}
    heads |= {"spe": "SPE", "spe_moved": "SPE, line moved back"}
    table = by_method(changed).pivot(index=["method", "row"], columns="what", values="difference")
    order = [(method, row) for method in METHODS for row in dict.fromkeys(changed["row"])]
    table = table.loc[[line for line in order if line in table.index], list(heads)].rename(columns=heads)
    return (100 * table.rename(words.column_head).rename_axis(index=[None, None], columns=None)).round(1)
