"""Table 6 of paper B: fewer and fewer COVID-19 slices, and what is lost with them (5.3)."""

import pandas as pd

from covid_study.report.words import column_head
from covid_study.samples.samples import Samples
from covid_study.scores import published
from covid_study.tables import b5_losses, slice_steps
from covid_study.tables.scoring import SLICES
from covid_study.tables.slice_rows import BASELINE, OURS, words
from covid_study.tables.table import Cell, Table, column, place
from covid_study.training.run import Run

METHODS = (BASELINE, OURS)  # the columns of Table 6


def table(p, s: Samples) -> Table:
    """Table 6. Rows are shares of the COVID-19 training slices, "100%" first; columns baseline (cross-entropy) and dsn_saal.

    Choice: the smaller shares are drawn anew for each seed, so that the spread over seeds includes which slices were kept.
    """
    runs: dict[Cell, Run] = {}
    for seed in b5_losses.seeds(p):
        for share in shares(p):
            kept = slice_steps.fewer_positives(s, share, seed)
            runs[column(share), BASELINE, seed] = slice_steps.run(p, s, seed, training_ids=kept)
            runs[column(share), OURS, seed] = slice_steps.dsn_saal(p, s, seed, kept)
    return Table("B.6", runs, s, p.study, main="B12", scoring=SLICES)


def losses(p, s: Samples) -> Table:
    """The same sweep for each of `imbalance.losses` on the plain backbone, which the paper lacks.

    Rows: ce (the baseline of Table 6), the losses, dsn_saal; columns: `imbalance.loss_shares`.
    """
    runs: dict[Cell, Run] = {}
    for seed in b5_losses.swept(p):
        for share in sorted(p.imbalance.loss_shares, reverse=True):
            kept = slice_steps.fewer_positives(s, share, seed)
            for loss in dict.fromkeys(["ce", *p.imbalance.losses]):
                runs[loss, column(share), seed] = slice_steps.run(p, s, seed, loss=loss, training_ids=kept)
            runs[OURS, column(share), seed] = slice_steps.dsn_saal(p, s, seed, kept)
    return Table("B.6-losses", runs, s, p.study, main="S6", scoring=SLICES, words=words(None))


def shares(p) -> list[float]:
    """The shares of the COVID-19 slices, from all to the fewest."""
    return sorted({*p.imbalance.shares, *p.imbalance.loss_shares}, reverse=True)


def kept(table: Table) -> pd.DataFrame:
    """How many COVID-19 slices, and of how many patients, are left to train on at each share.

    Returns:
        row, seed, slices, patients, others (slices of the other classes), share (of COVID-19 among all of them), published
        (slices in the paper: the share of the 1256 of its Table 2; it speaks of 13 at 1 %).
    """
    images = published.table("B.2").query("metric == 'images'").set_index(["row", "column"])["value"]
    rows = []
    for (row, method, seed), run in table.runs.items():
        if method != BASELINE:
            continue
        trained = table.samples.table.loc[list(run.training_ids)]
        covid = trained[trained["finding"] == "covid"]
        counts = len(covid), covid["patient_id"].nunique(), len(trained) - len(covid)
        theirs = round(float(row.rstrip("%")) / 100 * images["covid", "train"])
        rows.append((row, seed, *counts, len(covid) / len(trained), theirs))
    names = ["row", "seed", "slices", "patients", "others", "share", "published"]
    return pd.DataFrame(rows, columns=names)


def heads(counts: pd.DataFrame) -> dict[str, str]:
    """Each share in words with the slices that it keeps, the most of any seed. counts: of `kept`.

    >>> heads(pd.DataFrame({"row": ["10%", "10%"], "slices": [1250, 1249]}))
    {'10%': '10 %\\n1,250 slices'}
    """
    left = counts.groupby("row", sort=False)["slices"].max()
    return {row: f"{column_head(row)}\n{n:,} slices" for row, n in left.items()}


def from_most(results: pd.DataFrame) -> pd.DataFrame:
    """The lines of `Table.results` from all COVID-19 slices to the fewest.

    >>> from_most(pd.DataFrame({"row": ["5%", "100%", "25%"]}))["row"].tolist()
    ['100%', '25%', '5%']
    """
    return results.sort_values("row", key=lambda rows: -rows.map(place), kind="stable", ignore_index=True)
