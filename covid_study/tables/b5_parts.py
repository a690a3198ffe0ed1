"""What each loss does where training labels are wrong, and what the parts of SAAL are for (paper B, 3.3.2, 3.3.3 and 3.4)."""

from covid_study.samples.samples import Samples
from covid_study.tables import slice_steps
from covid_study.tables.b5_losses import LOSSES, seeds
from covid_study.tables.scoring import SLICES
from covid_study.tables.slice_rows import OURS, words
from covid_study.tables.table import Cell, Table, column
from covid_study.training.run import Run

NAME = "B.5-parts"


def table(p, s: Samples) -> Table:
    """A table that the paper lacks; without `slice_losses.noise_shares` it has no runs.

    Rows: the losses of Table 5, saal_no_reverse (SAAL with beta = 0) and dsn_saal; with right labels alone inverse_frequency
    (cross-entropy weighted by 1 / k_n) and dsn_saal_one_beta. Columns: shares of the training labels that are wrong, "0%"
    first; test labels are never touched. Those of Table 5 are its runs.
    """
    runs: dict[Cell, Run] = {}
    for seed in seeds(p):
        for share in p.slice_losses.noise_shares:
            rows = {loss: {"loss": loss} for loss in (*LOSSES, "saal_no_reverse")}
            rows[OURS] = {"loss": "saal", "supervised": True}
            if share == 0:
                rows["inverse_frequency"] = {"loss": "inverse_frequency"}
                rows["dsn_saal_one_beta"] = {"loss": "saal_one_beta", "supervised": True}
            for row, how in rows.items():
                runs[row, column(share), seed] = slice_steps.run(p, s, seed, wrong_labels=share, **how)
    return Table(NAME, runs, s, p.study, main="B24a", scoring=SLICES, words=words(None))
