"""The runs of Tables 7, 8 and 9 of paper B: which rows a public data set has, on which slices they are trained and tested."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from covid_study.errors import CohortError
from covid_study.rivals import feature_classifiers
from covid_study.samples.samples import Samples
from covid_study.scores import multiclass, published, slice_claims, slices
from covid_study.scores.old_claims import MEAN
from covid_study.scores.slice_claims import COLUMN, OURS, WHOLE
from covid_study.tables import slice_ablation, slice_steps as pipeline
from covid_study.tables.ablation import Cell
from covid_study.training.run import Run, timing
from covid_study.training.slice_classifier import SliceClassifier

ABOUT = {
    "B.7": "Table 7 (COVIDx-CT)",
    "B.8": "Table 8 (COVID19-CT, called COVID-CT by its authors)",
    "B.9": "Table 9 (SARS-CoV-2 CT-scan)",
}
LOSSES = ("class_balanced", "focal", "sce")  # rows of ours in Table 8, on the backbone of slice_network
FEW = "5%"  # column of Table 7: `public.per_class` slices of each class
FOLD = "fold "
AHEAD, APART = (
    "ahead",
    "apart",
)  # how the keys begin of the claim that DSN-SAAL is ahead, and of rows that it is not about


def settings(p):
    """The parameters with those of `public` in place of `slices.size`, `slice_training` and parts of `comparison`.

    Choice: all pictures are taken, whatever `slices.exams` and `slices.per_exam` say: the tables are about whole data sets.
    Without `slices.images` nothing is changed, so that the runs of notebooks 09 and 10 are found again.
    """
    if p.slices.images is None:
        return p
    others = p.public.model_dump(include={"backbones", "epochs", "slices", "contrastive_epochs"})
    changed = {
        "slices": p.slices.model_copy(update={"size": p.public.size, "exams": None, "per_exam": None}),
        "slice_training": p.public.training,
        "comparison": p.comparison.model_copy(update=others),
    }
    return p.model_copy(update=changed)


def table_of(source: str) -> str | None:
    """The table of paper B that is about a data set of the catalogue, None where none is.

    >>> [table_of(name) for name in ("covid-ct", "sars-cov-2", "covidx-ct-2a", "")]
    ['B.8', 'B.9', 'B.7', None]
    """
    if source.startswith("covidx-ct"):
        return "B.7"
    return {"covid-ct": "B.8", "sars-cov-2": "B.9"}.get(source)


def patients_known(s: Samples) -> bool:
    """Whether any patient is more than a name for one picture."""
    return bool((s.table["patient_id"] != s.table.index).any())


def folds(s: Samples, count: int, seed: int) -> dict[str, tuple[list[str], list[str]]]:
    """All slices in parts with the same share of each class, each in turn tested on (paper B, 4.1.2: five-fold).

    Choice: by patient where patients are known, else by picture, as the paper does, for its data set does not name them.

    Returns:
        "fold 1" and so on -> ids of the training slices, ids of the test slices.

    Raises:
        CohortError: a class has fewer patients, or pictures, than there are folds.
    """
    table = s.table.sort_index()
    known = patients_known(s)
    fewest = table.groupby("finding")["patient_id"].nunique()
    if fewest.min() < count:
        raise CohortError(
            f"{fewest.idxmin()} has {fewest.min()} {'patients' if known else 'pictures'}, fewer than the {count} folds: set "
            "public.folds to that number or less, or add pictures."
        )
    divide = (StratifiedGroupKFold if known else StratifiedKFold)(count, shuffle=True, random_state=seed)
    parts = divide.split(table, table["finding"], table["patient_id"] if known else None)
    return {
        f"{FOLD}{k}": (list(table.index[train]), list(table.index[test]))
        for k, (train, test) in enumerate(parts, start=1)
    }


def few_of_each(s: Samples, count: int | None, seed: int) -> list[str]:
    """So many training slices of each class, drawn at random; of a class with fewer, all (paper B, 5.5: 1,000).

    Choice: the slices that the paper takes over from another paper are not listed there.
    """
    train = s.table[s.table["split"] == "train"].sort_index()
    rng, kept = np.random.default_rng(seed), []
    for _, rows in train.groupby("finding", sort=True):
        most = len(rows) if count is None else min(count, len(rows))
        kept += list(rng.permutation(rows.index)[:most])
    return sorted(kept)


def divisions(p, s: Samples, table: str | None) -> dict[str, tuple[list[str], list[str]]]:
    """Column -> ids of the training slices and of the test slices (paper B, 4.1.2 and 5.5).

    Table 7: "100%", all slices of the training and validation lists, and "5%", `public.per_class` of each class, tested on
    the same slices. Table 9: a column a fold. Else one column, the split of the pictures.
    """
    seed, test = p.cohort.split_seed, pipeline.ids(s, "test")
    if table == "B.9":
        return folds(s, p.public.folds, seed)
    if table == "B.7":
        few = few_of_each(s, p.public.per_class, seed)
        return {WHOLE: (pipeline.ids(s, "train"), test), FEW: (few, test)}
    return {COLUMN: (pipeline.ids(s, "train"), test)}


def runs(p, s: Samples, table: str | None) -> dict[Cell, Run]:
    """The runs of a data set, seed by seed, those that nothing trains first (paper B, 5.5).

    Rows: adaboost, decision_tree, xdnn; the backbone of `slice_network` and the other backbones; self_trans,
    transfer_chexnet and the losses of Table 8; dsn_saal, where pictures are given also with the seeds of `public.more_seeds`.

    Choice: Table 7 compares DSN-SAAL with other papers' methods only. It has no other backbones here: on 10^5 slices
    each would take as long as all of Table 8.

    Args:
        p: of `settings`. table: of `table_of`; None: the rows of Table 8.
    """
    found: dict[Cell, Run] = {}
    columns = divisions(p, s, table)
    more = [] if p.slices.images is None else p.public.more_seeds
    for seed in dict.fromkeys([*p.slice_training.seeds, *more]):
        for column, (train, test) in columns.items():
            rows = _rows(p, s, seed, table, train, test) if seed in p.slice_training.seeds else {}
            rows[OURS] = pipeline.dsn_saal(p, s, seed, train)
            found |= {(row, column, seed): replace(run, test_ids=tuple(test)) for row, run in rows.items()}
    return found


def plain(p, table: str | None) -> list[str]:
    """The networks that are trained with cross-entropy alone: that of `slice_network`, and the others that belong to a table.

    Choice: of `public.backbones` each table takes those that it prints, and those that neither Table 8 nor Table 9 prints.
    """
    printed = {
        name: {"resnet50" if row == "resnet" else row for row in published.table(name)["row"]}
        for name in ("B.8", "B.9")
    }
    here, any_of_them = printed["B.9" if table == "B.9" else "B.8"], set.union(*printed.values())
    others = [name for name in p.comparison.backbones if name in here or name not in any_of_them]
    return list(dict.fromkeys([p.slice_network.backbone, *(others if table != "B.7" else [])]))


def _rows(p, s: Samples, seed: int, table: str | None, train: list[str], test: list[str]) -> dict[str, Run]:
    """All rows but DSN-SAAL's, of one seed and column."""
    rows: dict[str, Run] = {
        method: pipeline.on_features(p, s, seed, method, train, test)
        for method in feature_classifiers.METHODS
    }
    for name in plain(p, table):
        row = "resnet" if (table, name) == ("B.9", "resnet50") else name  # Table 9 does not say which one
        rows[row] = pipeline.run(p, s, seed, backbone=name, training_ids=train)
    if table in ("B.7", "B.9"):
        return rows
    if p.comparison.contrastive_epochs:
        rows["self_trans"] = pipeline.self_trans(p, s, seed)
    if transferred := pipeline.transfer_chexnet(p, s, seed):
        rows["transfer_chexnet"] = transferred
    return rows | {loss: pipeline.run(p, s, seed, loss=loss, training_ids=train) for loss in LOSSES}


def predictions(s: Samples, folders: Mapping[Cell, Path]) -> dict[Cell, pd.DataFrame]:
    """What every run said of its test slices; the folds of a row together, each slice told once by a run that has not seen it.

    Choice: the answers of all folds are scored together, which one interval needs. Networks of different folds may be sure in
    different degrees; that costs a row some AUC.
    """
    parts: dict[Cell, list[pd.DataFrame]] = {}
    for (row, column, seed), table in slice_ablation.predictions_of(s, folders).items():
        if column.startswith(FOLD):
            column, table = COLUMN, table.assign(split="test")
        parts.setdefault((row, column, seed), []).append(table)
    return {cell: pd.concat(several, ignore_index=True) for cell, several in parts.items()}


def results(
    p,
    said: Mapping[Cell, pd.DataFrame],
    runs: Mapping[Cell, Run],
    folders: Mapping[Cell, Path],
    table: str | None,
) -> pd.DataFrame:
    """Scores of every cell per slice and per patient, mean and deviation over repeats, joined to the paper's.

    Table 7 has sensitivity and precision of each class too. The training period is that of all folds.

    Args:
        said: of `predictions`. table: the paper's, None where it has none of this data set.

    Returns:
        What `show.join_published` returns.
    """
    hours = pd.Series(
        {
            cell: (timing(folders[cell])["train_seconds"] + run.before.seconds) / 3600
            for cell, run in runs.items()
        }
    )
    scored = {}
    for (row, column, seed), told in said.items():
        scores = [slices.run_scores(told, p.study.bootstrap)]
        if table == "B.7":
            scores.append(_of_classes(told, p.study.bootstrap))
        own = [c for c in runs if c[0] == row and c[2] == seed and (c[1] == column or c[1].startswith(FOLD))]
        period = {"metric": "hours", "value": hours[own].sum(), "low": np.nan, "high": np.nan, "note": ""}
        scored[row, column, seed] = pd.concat([*scores, pd.DataFrame([period])], ignore_index=True)
    return slice_ablation.joined(slices.over_repeats(scored), table)


def _of_classes(told: pd.DataFrame, bootstrap: int) -> pd.DataFrame:
    """Sensitivity and precision of each class against the rest: `sen_cap` and the like, as `slices.run_scores`."""
    test = told[told["split"] == "test"]
    called = slices.read(test)
    found = multiclass.intervals(*called, n=bootstrap)
    found = found[found["metric"].isin(["recall", "precision"])]
    short = found["metric"].map({"recall": "sen", "precision": "pre"})
    return found.assign(metric=short + "_" + found["row"])[["metric", "value", "low", "high", "note"]]


def on_equal_terms(runs: Mapping[Cell, Run]) -> set[str]:
    """Rows that saw as many slices for as many epochs as DSN-SAAL, from weights of the same kind, or are not trained in epochs.

    Choice: a small profile trains other backbones for less, and from random weights where no others are at hand. To be
    ahead of those says nothing about the method, so that they are no part of its claim.
    """
    terms: dict[str, set] = {}
    for (row, *_), run in runs.items():
        own = isinstance(run.method, SliceClassifier) and (
            run.method.weights is None,
            run.method.training["epochs"],
            len(run.training_ids),
        )
        terms.setdefault(row, set()).add(own)
    return {row for row, found in terms.items() if found <= terms[OURS] | {False}}


def ahead(
    p,
    said: Mapping[Cell, pd.DataFrame],
    table: str | None,
    equal: set[str],
    patients: bool = False,
) -> pd.DataFrame:
    """DSN-SAAL less each other row, column by column, on the same resamples; what `slice_claims.check` returns.

    Choice: trainings with the same seed are compared. Further seeds of DSN-SAAL have no partner and count only in its own
    interval.

    Args:
        equal: of `on_equal_terms`; the other rows stand apart, under a heading of their own.
    """
    resampled = slice_claims.resample(said, p.study.bootstrap, patients=patients)
    cells = list(dict.fromkeys(cell[:2] for cell in said))
    metrics = ("acc", "f1", "auc") if table == "B.7" else ("auc", "acc", "f1")
    lines = {}
    for column in dict.fromkeys(column for _, column in cells):
        where = {WHOLE: ", trained on all slices", FEW: ", trained on few of each class"}.get(column, "")
        others = [row for row, other in cells if other == column and row != OURS]
        parts = {
            f"{AHEAD} {column}": (f"DSN-SAAL scores higher than each row on equal terms{where}", equal),
            f"{APART} {column}": (
                f"Rows from random weights, or trained for less: no measure of the method{where}",
                set(others) - equal,
            ),
        }
        for key, (text, rows) in parts.items():
            if pairs := [
                slice_claims.Comparison(row, (((OURS, column), (row, column)),))
                for row in others
                if row in rows
            ]:
                lines[slice_claims.Claim(key, text, "5.5", metrics)] = pairs
    checked = slice_claims.judged(resampled, table or "", lines)
    return checked[~(checked["claim"].str.startswith(APART) & (checked["column"] == MEAN))]
