"""Table 5 of paper B: each loss on the backbone alone, deep supervision alone, and DSN-SAAL (5.2); and the parts of SAAL."""

import pandas as pd

from covid_study.samples.samples import Samples
from covid_study.scores import published
from covid_study.tables import slice_steps
from covid_study.tables.scoring import SLICES
from covid_study.tables.slice_rows import COLUMN, OURS, words
from covid_study.tables.table import Cell, Table, column
from covid_study.training.run import Run

LOSSES = ("ce", "focal", "class_balanced", "sce", "saal")
SWEPT = 5  # seeds of a sweep, at most: a sweep has many cells
PARTS = {
    "dsn": ("B.4", "vgg16_bn", "dsn"),
    OURS: ("B.3", OURS, COLUMN),
}  # where the paper prints the other rows


def table(p, s: Samples) -> Table:
    """Table 5, and what its text compares it with, seed by seed.

    Rows: ce, focal, class_balanced, sce, saal (one stage, so one beta) on the backbone of `slice_network`; dsn
    (cross-entropy at six stages) and dsn_saal (both). Those of Tables 3, 4 and 6 with the same settings are the same runs.
    """
    runs = {}
    for seed in seeds(p):
        runs |= {(loss, COLUMN, seed): slice_steps.run(p, s, seed, loss=loss) for loss in LOSSES}
        runs["dsn", COLUMN, seed] = slice_steps.run(p, s, seed, supervised=True)
        runs[OURS, COLUMN, seed] = slice_steps.dsn_saal(p, s, seed)
    given = {"words": words("B.5"), "beside": printed_elsewhere()}
    return Table("B.5", runs, s, p.study, main="B7", scoring=SLICES, **given)


def parts(p, s: Samples) -> Table:
    """What each loss does where training labels are wrong, and what the parts of SAAL are for (paper B, 3.3.2, 3.3.3 and 3.4).

    A table that the paper lacks; without `slice_losses.noise_shares` it has no runs.

    Rows: the losses of Table 5, saal_no_reverse (SAAL with beta = 0) and dsn_saal; with right labels alone inverse_frequency
    (cross-entropy weighted by 1 / k_n) and dsn_saal_one_beta. Columns: shares of the training labels that are wrong, "0%"
    first; test labels are never touched. Those of Table 5 are its runs.
    """
    runs: dict[Cell, Run] = {}
    for seed in swept(p):
        for share in p.slice_losses.noise_shares:
            rows = {loss: {"loss": loss} for loss in (*LOSSES, "saal_no_reverse")}
            rows[OURS] = {"loss": "saal", "supervised": True}
            if share == 0:
                rows["inverse_frequency"] = {"loss": "inverse_frequency"}
                rows["dsn_saal_one_beta"] = {"loss": "saal_one_beta", "supervised": True}
            for row, how in rows.items():
                runs[row, column(share), seed] = slice_steps.run(p, s, seed, wrong_labels=share, **how)
    return Table("B.5-parts", runs, s, p.study, main="B24a", scoring=SLICES, words=words(None))


def printed_elsewhere() -> pd.DataFrame:
    """What the paper prints of DSN and of DSN-SAAL in its Tables 4 and 3: row, column, metric, value."""
    parts = []
    for row, (name, *cell) in PARTS.items():
        theirs = published.table(name).set_index(["row", "column"]).loc[tuple(cell)]
        theirs = theirs[theirs["metric"].isin(SLICES.shown)]
        parts.append(theirs[["metric", "value"]].assign(row=row, column=COLUMN))
    return pd.concat(parts, ignore_index=True)


def seeds(p) -> list[int]:
    """Of Tables 5 and 6: those of every table, and theirs."""
    return list(dict.fromkeys([*p.slice_training.seeds, *p.slice_losses.more_seeds]))


def swept(p) -> list[int]:
    """Of the sweeps that the paper lacks, over wrong labels and over losses: the first five of those."""
    return seeds(p)[:SWEPT]
