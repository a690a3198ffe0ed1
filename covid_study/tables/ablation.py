"""What paper B's notebooks still ask of a sweep; `table.Table` has taken the rest over."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from IPython.display import HTML

from covid_study import paths
from covid_study.tables.table import Cell, column  # noqa: F401
from covid_study.training.run import Run, timing  # noqa: F401
from covid_study.training.sweep import plan_table, planned, sweep


def _named(runs: Mapping[Cell, Run]) -> dict[str, Run]:
    return {f"{row}, {where}, seed {seed}": run for (row, where, seed), run in runs.items()}


def plan(p, runs: Mapping[Cell, Run]) -> HTML:
    """What is there of a table and what must be computed, with an estimate of the time."""
    return plan_table(planned(_named(runs), paths.build(p.study.name) / "runs"))


def train_all(p, v, runs: Mapping[Cell, Run]) -> dict[Cell, Path]:
    """Train what is not there yet; returns the result folder of every cell."""
    runs_folder = paths.build(p.study.name) / "runs"
    folders = sweep(_named(runs), v, runs_folder, p.study.executor, p.study.processes)
    return dict(zip(runs, folders.values(), strict=True))


def learning_curves(folders: Mapping[Cell, Path]) -> pd.DataFrame:
    """Loss over the epochs of every run: row, column, seed, epoch, loss."""
    parts = [
        pd.read_csv(folder / "history.csv").assign(row=row, column=where, seed=seed)
        for (row, where, seed), folder in folders.items()
    ]
    return pd.concat(parts, ignore_index=True)
