"""Tables 7, 8 and 9 of paper B on public data sets: which rows, trained and tested on which slices (4.1.2 and 5.5)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from covid_study.errors import CohortError
from covid_study.report import beside_paper
from covid_study.report.results import join_published
from covid_study.rivals import feature_classifiers
from covid_study.samples.samples import Samples
from covid_study.scores import published
from covid_study.tables import slice_steps
from covid_study.tables.scoring import SLICES
from covid_study.tables.slice_rows import COLUMN, OURS, WHOLE, unequal, words
from covid_study.tables.table import Cell, Table, once
from covid_study.training.run import Run
from covid_study.training.slice_classifier import SliceClassifier

ABOUT = {
    "B.7": "Table 7 (COVIDx-CT)",
    "B.8": "Table 8 (COVID19-CT, called COVID-CT by its authors)",
    "B.9": "Table 9 (SARS-CoV-2 CT-scan)",
}
SHOWN = {
    "B.7": ("acc", *(f"{m}_{c}" for m in ("sen", "pre") for c in ("non_pneumonia", "cap", "covid"))),
    "B.8": ("acc", "f1", "auc"),
    "B.9": ("acc", "f1", "auc", "pre", "sen"),
}
MAIN = {"B.7": "B19a", "B.8": "B21a", "B.9": "B22a"}  # the claim that the headline is about
LOSSES = ("class_balanced", "focal", "sce")  # rows of ours in Table 8, on the backbone of slice_network
FEW = "5%"  # column of Table 7: `public.per_class` slices of each class
FOLD = "fold "


def settings(p):
    """The parameters with those of `public` in place of `slices.size`, backbone, `slice_training` and parts of `comparison`.

    Choice: all pictures are taken, or `public.pictures` of a class, whatever `slices.exams` and `slices.per_exam` say: the
    tables are about whole data sets.
    Without `slices.images` nothing is changed, so that the runs of notebooks 09 and 10 are found again.
    """
    if p.slices.images is None:
        return p
    others = p.public.model_dump(include={"backbones", "epochs", "slices", "contrastive_epochs"})
    most = p.public.pictures
    taken = {"size": p.public.size, "exams": most, "per_exam": 1 if most else None}
    changed = {
        "slices": p.slices.model_copy(update=taken),
        "slice_network": p.slice_network.model_copy(update={"backbone": p.public.backbone}),
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


@dataclass(frozen=True, eq=False)
class Folded(Table):
    """A table whose columns are folds: all slices are scored together, each told by a run that has not seen it (Table 9).

    Choice: the answers of all folds are scored together, which one interval needs. Networks of different folds may be sure in
    different degrees; that costs a row some AUC.
    """

    @once
    def predictions(self) -> dict[Cell, pd.DataFrame]:
        """The folds of a row and seed put together, all of them tested."""
        parts: dict[Cell, list[pd.DataFrame]] = {}
        for (row, _, seed), said in super().predictions().items():
            parts.setdefault((row, COLUMN, seed), []).append(said.assign(split="test"))
        return {cell: pd.concat(several, ignore_index=True) for cell, several in parts.items()}

    def seconds(self, cell: Cell) -> float:
        """What the trainings of all folds took."""
        folds = [fold for fold in self.runs if fold[::2] == cell[::2]]  # of this row and seed
        return sum(super(Folded, self).seconds(fold) for fold in folds)


def divisions(p, s: Samples, table: str | None) -> dict[str, tuple[list[str], list[str]]]:
    """Column -> ids of the training slices and of the test slices (paper B, 4.1.2 and 5.5).

    Table 7: "100%", all slices of the training and validation lists, and "5%", `public.per_class` of each class, tested on
    the same slices. Table 9: a column a fold. Else one column, the split of the pictures.
    """
    seed, test = p.cohort.split_seed, slice_steps.ids(s, "test")
    if table == "B.9":
        return folds(s, p.public.folds, seed)
    if table == "B.7":
        few = few_of_each(s, p.public.per_class, seed)
        return {WHOLE: (slice_steps.ids(s, "train"), test), FEW: (few, test)}
    return {COLUMN: (slice_steps.ids(s, "train"), test)}


def table(p, s: Samples) -> Table:
    """The table of the data set that s is of, seed by seed; where it is of none, the rows of Table 8.

    Rows: adaboost, decision_tree, xdnn; the backbone of `slice_network` and the other backbones; self_trans,
    transfer_chexnet and the losses of Table 8; dsn_saal, where pictures are given also with the seeds of `public.more_seeds`.

    Choice: Table 7 compares DSN-SAAL with other papers' methods only. It has no other backbones here: on 10^5 slices
    each would take as long as all of Table 8.

    Args:
        p: of `settings`.
    """
    runs: dict[Cell, Run] = {}
    name = table_of(s.source)
    columns = divisions(p, s, name)
    more = [] if p.slices.images is None else p.public.more_seeds
    seeds = p.slice_training.seeds
    others = slice_steps.other_weights(p, s, seeds) if compares(name) else {}
    for seed in dict.fromkeys([*seeds, *more]):
        for column, (train, test) in columns.items():
            rows = _rows(p, s, seed, name, train, test, others.get(seed, {})) if seed in seeds else {}
            rows[OURS] = slice_steps.dsn_saal(p, s, seed, train)
            runs |= {(row, column, seed): replace(run, test_ids=tuple(test)) for row, run in rows.items()}
    runs, reduced = within(p, s, runs)
    shown = SHOWN.get(name, SHOWN["B.8"])
    scoring = replace(SLICES, metrics=tuple(dict.fromkeys([*SLICES.metrics, *shown])), shown=shown)
    given = {
        "scoring": scoring,
        "words": words(name),
        "but_not": tuple(unequal(runs)),
        "main": MAIN.get(name, ""),
        "reduced": reduced,
    }
    return (Folded if name == "B.9" else Table)(name or "B.public", runs, s, p.study, **given)


def compares(table: str | None) -> bool:
    """Has the table, of `table_of`, Table 8's rows from other weights and with other losses?"""
    return table not in ("B.7", "B.9")


def level(sizes: Iterable[int], budget: float) -> float:
    """The height at which to cut these sizes so that those that are left sum to a budget; infinite where they do anyway.

    >>> level([10, 50, 90], 90), level([10, 50, 90], 120), level([10, 50, 90], 150)
    (40.0, 60.0, inf)
    """
    rest, ordered = float(budget), sorted(sizes)
    if sum(ordered) <= budget:
        return float("inf")
    for taller, size in zip(range(len(ordered), 0, -1), ordered, strict=True):
        if size * taller >= rest:
            break
        rest -= size
    return rest / taller


def within(p, s: Samples, runs: Mapping[Cell, Run]) -> tuple[dict[Cell, Run], str]:
    """The runs cut so that all their networks together see at most `public.slices_seen` slices; and what was cut, in words.

    Choice: the longest are cut first, all to one number of slices seen, so that rows on equal terms stay so: to fewer epochs,
    then to fewer training slices with the same share of each class.
    """
    trained = {cell: run for cell, run in runs.items() if isinstance(run.method, SliceClassifier)}
    whole, most = sum(run.seen for run in trained.values()), p.public.slices_seen
    if p.slices.images is None or most is None or whole <= most:
        return dict(runs), ""
    high, cut = level([run.seen for run in trained.values()], most), dict(runs)
    longer = {cell: run for cell, run in trained.items() if run.seen > high}
    for cell, run in longer.items():
        epochs = ceil(high / len(run.training_ids))
        ids = slice_steps.at_most(s, list(run.training_ids), int(high / epochs), run.seed)
        method = replace(run.method, training=run.method.training | {"epochs": epochs})
        cut[cell] = replace(Run.of(s, ids, run.test_ids, method, run.classes, run.seed), before=run.before)
    return cut, (
        f"Reduced to fit the profile: the {len(trained)} trainings would see {whole:,} slices, public.slices_seen allows "
        f"{most:,}. The {len(longer)} longest see {int(high):,} each, in fewer epochs or on fewer slices; null takes all."
    )


def printed(name: str, title: str) -> Styler:
    """A table of the paper that is not run here, its numbers alone."""
    nothing = pd.DataFrame(columns=["row", "column", "metric", "mean"])
    return beside_paper.side_by_side(join_published(nothing, name), name, title=title, metrics=SHOWN[name])


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


def _rows(
    p, s: Samples, seed: int, table: str | None, train: list[str], test: list[str], others: dict[str, Run]
) -> dict[str, Run]:
    """All rows but DSN-SAAL's, of one seed and column. others: of `other_weights`, where the table has them."""
    rows: dict[str, Run] = {
        method: slice_steps.on_features(p, s, seed, method, train, test)
        for method in feature_classifiers.METHODS
    }
    for name in plain(p, table):
        row = "resnet" if (table, name) == ("B.9", "resnet50") else name  # Table 9 does not say which one
        rows[row] = slice_steps.run(p, s, seed, backbone=name, training_ids=train)
    if not compares(table):
        return rows
    return (
        rows | others | {loss: slice_steps.run(p, s, seed, loss=loss, training_ids=train) for loss in LOSSES}
    )
