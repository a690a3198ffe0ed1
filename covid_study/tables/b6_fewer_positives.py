"""The runs behind Table 6 of paper B: fewer and fewer COVID-19 slices, and what is lost with them."""

from collections.abc import Mapping, Sequence

import pandas as pd

from covid_study.report.show import column_head
from covid_study.samples.samples import Samples
from covid_study.scores import old_claims as claims, published as papers, slice_claims
from covid_study.scores.slice_claims import BASELINE, OURS, WHOLE
from covid_study.tables import slice_ablation, slice_steps
from covid_study.tables.ablation import Cell, column as share_name
from covid_study.training.run import Run

METHODS = (BASELINE, OURS)  # the columns of Table 6
MOVED = "_moved"  # after a column: the same run with its line moved back


def sweep(p, s: Samples) -> dict[Cell, Run]:
    """The runs of Table 6, and those of the other losses, which the paper lacks (paper B, 5.3).

    Rows are shares of the COVID-19 training slices, "100%" first. Columns: baseline (cross entropy), dsn_saal, and each of
    `imbalance.losses` on the plain backbone. At 100 % they are the runs of Tables 3 and 5.

    Choice: the smaller shares are drawn anew for each seed, so that the spread over seeds includes which slices were kept.
    """
    shares = dict.fromkeys(sorted([*p.imbalance.shares, *p.imbalance.loss_shares], reverse=True))
    runs = {}
    for seed in p.slice_training.seeds:
        for share in shares:
            kept = slice_steps.fewer_positives(s, share, seed)
            runs[share_name(share), BASELINE, seed] = slice_steps.run(p, s, seed, training_ids=kept)
            runs[share_name(share), OURS, seed] = slice_steps.dsn_saal(p, s, seed, kept)
            for loss in p.imbalance.losses if share in p.imbalance.loss_shares else ():
                if loss != "ce":  # that is the baseline
                    run = slice_steps.run(p, s, seed, loss=loss, training_ids=kept)
                    runs[share_name(share), loss, seed] = run
    return runs


def kept(runs: Mapping[Cell, Run], s: Samples) -> pd.DataFrame:
    """How many COVID-19 slices, and of how many patients, are left to train on at each share.

    Returns:
        row, seed, slices, patients, others (slices of the other classes), share (of COVID-19 among all of them), published
        (slices in the paper: the share of the 1256 of its Table 2; it speaks of 13 at 1 %).
    """
    images = papers.table("B.2").query("metric == 'images'").set_index(["row", "column"])["value"]
    rows = []
    for (row, method, seed), run in runs.items():
        if method != BASELINE:
            continue
        table = s.table.loc[list(run.training_ids)]
        covid = table[table["finding"] == "covid"]
        counts = len(covid), covid["patient_id"].nunique(), len(table) - len(covid)
        theirs = round(float(row.rstrip("%")) / 100 * images["covid", "train"])
        rows.append((row, seed, *counts, len(covid) / len(table), theirs))
    names = ["row", "seed", "slices", "patients", "others", "share", "published"]
    return pd.DataFrame(rows, columns=names)


def moved_back(predictions: pd.DataFrame, share: float) -> pd.DataFrame:
    """Predictions as they would be had training seen all COVID-19 slices: the odds of COVID-19 divided by the share kept.

    Bayes' rule for a network that has learnt the probabilities of its training slices (Saerens et al. 2002; Menon et al.
    2021 call it logit adjustment). The order of the slices by p_covid stays, so the AUC does too; the line moves.

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


def with_moved(predictions: Mapping[Cell, pd.DataFrame], counts: pd.DataFrame) -> dict[Cell, pd.DataFrame]:
    """The predictions of Table 6's runs, and beside each ("10%", "baseline", 0) a ("10%", "baseline_moved", 0).

    counts: what `kept` returns.
    """
    slices = counts.set_index(["row", "seed"])["slices"]
    found = {cell: table for cell, table in predictions.items() if cell[1] in METHODS}
    for (row, method, seed), table in list(found.items()):
        share = slices[row, seed] / slices[WHOLE, seed]
        found[row, method + MOVED, seed] = moved_back(table, share)
    return found


def changes(resampled: claims.Resampled, metrics: Sequence[str] = ("sen", "spe", "auc")) -> pd.DataFrame:
    """How much each score changes with fewer COVID-19 slices, with paired intervals (paper B, Table 6, in brackets).

    Args:
        resampled: of `slice_claims.resample`. A column with "_moved" behind it is compared with the run with all slices too,
            which has nothing to move.

    Returns:
        row, column, metric, value (mean over seeds), difference (negative is a fall), low, high, seeds, and verdict: whether
        the score falls, in the words of `claims.verdict`. A row a share below 100 %.
    """
    ran = list(dict.fromkeys(cell[:2] for cell in resampled.values))
    rows = []
    for row, method in ran:
        whole = (WHOLE, method.removesuffix(MOVED))
        if row == WHOLE or whole not in ran:
            continue
        for metric in metrics:
            found = claims.paired_difference(resampled, [((row, method), whole)], metric)
            value = pd.Series(
                [v[metric] for cell, v in resampled.values.items() if cell[:2] == (row, method)]
            )
            verdict = claims.verdict(-found["high"], -found["low"], resampled.fewest)
            key = {"row": row, "column": method, "metric": metric, "value": value.mean()}
            rows.append(key | found | {"verdict": verdict})
    names = ["row", "column", "metric", "value", "difference", "low", "high", "seeds", "verdict"]
    return pd.DataFrame(rows, columns=names)


def loss_claims(resampled: claims.Resampled) -> pd.DataFrame:
    """Every other loss against cross entropy at each share, which the paper lacks; returns what `slice_claims.check` does."""
    ran = list(dict.fromkeys(cell[:2] for cell in resampled.values))
    lines = {}
    for loss in dict.fromkeys(column for _, column in ran if column not in METHODS):
        pairs = {row: ((row, loss), (row, BASELINE)) for row, column in ran if column == loss}
        text = f"{column_head(loss)} scores higher than CE"
        claim = slice_claims.Claim(loss, text, "", ("sen", "gmean", "auc"))
        lines[claim] = [slice_claims.Comparison(row, (pair,)) for row, pair in pairs.items()]
    return slice_claims.judged(resampled, "B.6", lines)


def table6(scored: pd.DataFrame, resampled: claims.Resampled) -> pd.DataFrame:
    """Table 6: our scores and the change of sensitivity beside the paper's.

    Args:
        scored: of `slice_ablation.results`, joined to nothing. resampled: of `slice_claims.resample`, per slice.

    Returns:
        What `show.join_published` returns for "B.6".
    """
    tidy = pd.concat([scored, slice_claims.falls(resampled)], ignore_index=True)
    return slice_ablation.joined(tidy[tidy["column"].isin(METHODS)], "B.6")


def by_loss(p, scored: pd.DataFrame) -> pd.DataFrame:
    """Scores of every loss at `imbalance.loss_shares`, which the paper lacks: row (loss), column (share), as `scored`.

    The baseline is the row "ce", DSN-SAAL stands below the losses.
    """
    shares = {share_name(share) for share in p.imbalance.loss_shares}
    part = scored[scored["row"].isin(shares)]
    turned = part.rename(columns={"row": "column", "column": "row"}).replace({"row": {BASELINE: "ce"}})
    ordered = turned.sort_values("row", key=lambda rows: rows == OURS, kind="stable")
    return slice_ablation.joined(ordered, None).assign(table="B.6-losses")


def confusions(predictions: Mapping[Cell, pd.DataFrame], method: str = OURS) -> dict[str, pd.DataFrame]:
    """Confusion matrices of the test slices at each share below 100 %, means over seeds (paper B, Fig. 5).

    Returns:
        Row ("25%") -> slices, true classes in rows, what they are called in columns.
    """
    found: dict[str, list[pd.DataFrame]] = {}
    for (row, of, _), table in predictions.items():
        if of == method and row != WHOLE:
            found.setdefault(row, []).append(table)
    return {row: slice_ablation.mean_confusion(tables) for row, tables in found.items()}
