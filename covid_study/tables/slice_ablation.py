"""What the tables of paper B have in common: runs scored and put beside the paper, the same test patients compared."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from covid_study.report import show
from covid_study.samples.samples import Samples
from covid_study.scores import multiclass, published as papers, slice_claims, slices
from covid_study.scores.old_claims import Resampled
from covid_study.tables.ablation import Cell
from covid_study.training.run import Run, timing

METRICS = ("acc", "f1", "gmean")  # what the paper's tables show


def labels(name: str) -> dict[str, str]:
    """The rows of a published table in words, and those that may be added to it.

    >>> labels("B.3")["vgg16_bn"], labels("B.3")["efficientnet_lite0"]
    ('VGG-16', 'EfficientNet-Lite0')
    """
    known = papers.table(name).drop_duplicates("row").set_index("row")["label"]
    return show.COLUMN_HEADS | known.to_dict()


def predictions_of(s: Samples, folders: Mapping[Cell, Path]) -> dict[Cell, pd.DataFrame]:
    """What every run said of its test slices, with today's patients, not those of when it was trained."""
    found = {}
    for cell, folder in folders.items():
        table = pd.read_parquet(Path(folder) / "predictions.parquet")
        found[cell] = table.assign(patient_id=s.table.loc[table["slice_id"], "patient_id"].to_numpy())
    return found


def results(
    p, s: Samples, runs: Mapping[Cell, Run], folders: Mapping[Cell, Path], published: str | None = None
) -> pd.DataFrame:
    """Scores of every cell of a table, per slice and per patient, and its training period in hours, joined to the paper's.

    Choice: the training period counts contrastive pre-training where a row needs it, and the classifier.

    Args:
        runs, folders: (row, column, seed) -> run, its result folder. published: the paper's table, e.g. "B.3".

    Returns:
        What `show.join_published` returns; metrics of patients have the ending `_patient`.
    """
    scored = {}
    for cell, predictions in predictions_of(s, folders).items():
        scores = slices.run_scores(predictions, p.study.bootstrap)
        hours = (timing(folders[cell])["train_seconds"] + runs[cell].before.seconds) / 3600
        period = {"metric": "hours", "value": hours, "low": np.nan, "high": np.nan, "note": ""}
        scored[cell] = pd.concat([scores, pd.DataFrame([period])], ignore_index=True)
    return joined(slices.over_repeats(scored), published)


def joined(tidy: pd.DataFrame, published: str | None) -> pd.DataFrame:
    """`show.join_published`, rows that the paper lacks under their names."""
    names = labels(published) if published else show.COLUMN_HEADS
    return show.join_published(tidy.assign(label=tidy["row"].map(names)), published)


def resampled(p, s: Samples, folders: Mapping[Cell, Path], patients: bool = False) -> Resampled:
    """Every run on the same resamples of the test patients: for `slice_claims.check`, which see."""
    return slice_claims.resample(predictions_of(s, folders), p.study.bootstrap, patients=patients)


def mean_confusion(predictions: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """What the test slices of each class (rows) are called (columns): the mean over the runs of a cell.

    predictions: of `predictions_of`, one a seed.
    """
    called = (slices.read(table[table["split"] == "test"]) for table in predictions)
    return multiclass.mean_confusion(one[:3] for one in called)


def shown(joined: pd.DataFrame, name: str | None, title: str, patients: bool = False, **more):
    """A table of ours beside the paper's: its three scores per slice, or ours per patient, which the paper lacks.

    joined: of `results`. more: for `show.side_by_side`; `metrics` without the ending of patients.
    """
    end = slices.PATIENT if patients else ""
    metrics = [metric + end for metric in more.pop("metrics", METRICS)]
    return show.side_by_side(
        joined, name, title=title, metrics=metrics, decimals=3, over="test patients", **more
    )
