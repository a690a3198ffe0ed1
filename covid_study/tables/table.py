"""A table of a paper: rows x columns x seeds of runs, what they score beside the paper, and what its claims come to."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from IPython.display import HTML
from pandas.io.formats.style import Styler

from covid_study import paths
from covid_study.params.sections import Study
from covid_study.report import beside_paper, decided, results as tidy
from covid_study.report.words import sharing
from covid_study.runtime.device import device_name, find_device
from covid_study.samples.samples import Samples
from covid_study.scores import claims, multiclass, power, published, slices
from covid_study.scores.claims import Cell
from covid_study.tables.scoring import EXAMS, Scoring, scores_of
from covid_study.training.run import Run, timing
from covid_study.training.sweep import places, sweep
from covid_study.training.time_left import plan_table, planned


def column(share: float) -> str:
    """The column of a share of the archive, as the published tables name it: 0.1378 is what 14 % of paper A comes to.

    >>> column(0.14), column(0.1378), column(0.125), column(1.0)
    ('14%', '14%', '12.5%', '100%')
    """
    counts = published.sizes("A.III")
    exact = (counts / counts["all"]).round(4).drop("all")
    return next((name for name, there in exact.items() if there == share), f"{100 * share:g}%")


def place(column: str) -> float:
    """Where a column stands: shares from small to large, then all others in the order in which they come."""
    return float(column.rstrip("%")) if column.endswith("%") else 100.0


def once(method: Callable) -> Callable:
    """A method that is computed once for each table and arguments."""

    takes = signature(method)

    @wraps(method)
    def kept(self, *arguments, **named):
        given = takes.bind(self, *arguments, **named)
        given.apply_defaults()  # so that `f()` and `f(asked=False)` are one
        key = (method.__name__, *given.args[1:])
        if key not in self.kept:
            self.kept[key] = method(self, *arguments, **named)
        return self.kept[key]

    return kept


@dataclass(frozen=True, eq=False)
class Table:
    """Rows x columns x seeds of runs, the published table of that name, and the claims that rest on it.

    A table of a paper only declares its runs (`a3_ranking.table`, ...); what is done with them is here, for volumes and for
    slices alike. Results are written below `build/P/results` as they are computed.

    >>> exams = pd.DataFrame({"exam_id": list("abcd"), "patient_id": list("abcd"), "split": "test", "label": [1, 1, 0, 0]})
    >>> said = {"random": [0.9, 0.4, 0.6, 0.1], "both": [0.9, 0.8, 0.3, 0.1]}
    >>> planted = {(row, "56%", 0): exams.assign(probability=p) for row, p in said.items()}
    >>> table = Table("A.III", planted=planted)
    >>> shown = table.results().query("metric == 'f1' and column == '56%'").dropna(subset="mean")
    >>> shown[["label", "mean", "published"]].values.tolist()
    [['Random', 0.5, 0.82], ['Difficulty and diversity', 1.0, 0.86]]
    """

    name: str  # what its files are called; the published table, where there is one
    runs: Mapping[Cell, Run] = field(default_factory=dict)
    samples: Samples | None = None
    study: Study | None = None  # None: nothing is trained or written
    main: str = ""  # the claim that the headline is about
    sizes: Mapping[str, int] = field(default_factory=dict)  # column -> negatives trained on
    words: Mapping[str, str] = field(default_factory=dict)  # rows that the published table lacks, in words
    scoring: Scoring = EXAMS
    beside: pd.DataFrame | None = None  # row, column, metric, value: published numbers of other tables
    # more values of cells, for claims, or what makes them of the table once it is trained
    known: Mapping[str, "Mapping[Cell, float] | Callable[[Table], Mapping[Cell, float]]"] = field(
        default_factory=dict
    )
    but_not: tuple[str, ...] = ()  # rows that claims about all others leave out
    planted: Mapping[Cell, pd.DataFrame] | None = None  # predictions, in place of those of runs
    order: tuple[str, ...] | None = None  # of rows, each compared with the one above; None: the paper's
    reduced: str = ""  # what a budget took from its trainings, a sentence
    kept: dict = field(default_factory=dict, repr=False)

    @property
    def published(self) -> str | None:
        """The name of the published table."""
        return self.name if self.name in published.names() else None

    @property
    def labels(self) -> dict[str, str]:
        """The rows in words: the paper's, and ours."""
        known = published.table(self.name).drop_duplicates("row") if self.published else pd.DataFrame()
        return (known.set_index("row")["label"].to_dict() if len(known) else {}) | dict(self.words)

    @property
    def build(self) -> Path | None:
        """Where runs and results lie."""
        return paths.build(self.study.name) if self.study else None

    def plan(self) -> HTML:
        """What is there and what must be computed, with an estimate of the time."""
        study = self.study
        at_once = study.workers or places(find_device(study.device), study.per_gpu)
        return plan_table(planned(self._named(), self.build / "runs"), 1 if study.processes > 1 else at_once)

    @once
    def train(self) -> dict[Cell, Path]:
        """Train what is not there yet; the result folder of every cell."""
        folders = sweep(self._named(), self.samples, self.build / "runs", **self.study.sweeps())
        return dict(zip(self.runs, folders.values(), strict=True))

    def _named(self) -> dict[str, Run]:
        return {f"{row}, {where}, seed {seed}": run for (row, where, seed), run in self.runs.items()}

    @once
    def predictions(self) -> dict[Cell, pd.DataFrame]:
        """What every run said, with today's patients, not those of when it was trained."""
        if self.planted is not None:
            return dict(self.planted)
        found, patients = {}, self.samples.table["patient_id"]
        for cell, folder in self.train().items():
            table = pd.read_parquet(folder / "predictions.parquet")
            found[cell] = table.assign(patient_id=patients.loc[table[self.scoring.case]].to_numpy())
        return found

    @once
    def scores(self) -> pd.DataFrame:
        """Mean over seeds with intervals for every cell, and its training period in hours.

        Intervals come from the draws that decide the claims: `scored`.

        Choice: the training period counts what was needed from preprocessed volumes or slices on: pre-training and ranking
        where a row needs them (paper A counts 0.3 hours), and the classifier.

        Returns:
            Tidy: row, column, metric, mean, sd, low, high, seeds.
        """
        return scores_of(self.scored, self.scoring)

    @once
    def results(self) -> pd.DataFrame:
        """`scores` beside the published values: `tidy.join_published`; columns from small to large."""
        ours = self.scores().sort_values("column", key=lambda c: c.map(place), kind="stable")
        ours["label"] = ours["row"].map(self.labels)
        found = tidy.join_published(ours, self.published, self.name)
        return self._written("", found if self.beside is None else tidy.with_others(found, self.beside))

    @property
    def resamples(self) -> int:
        """Resamples behind each interval."""
        return self.study.bootstrap if self.study else 1000

    def beside_paper(self, metrics: Sequence[str] | None = None, title: str = "", **more) -> Styler:
        """The table with the paper's value below each of ours.

        Args:
            metrics: the paper's unless given. title: said after the number of the table. more: for `beside_paper.side_by_side`.
        """
        number = self.name.partition(".")[2] if self.published else ""
        title = ", ".join(filter(None, [number and f"Table {number}", title]))
        timed = "hours" in (metrics or ()) or (
            not metrics and "training_period" in set(self.results()["row"])
        )
        notes = [self.reduced, *(self.timed() if timed else ())]
        given = {"sizes": self.sizes, "over": self.scoring.over, "notes": [*filter(None, notes)]} | more
        return beside_paper.side_by_side(
            self.results(), self.published, metrics=metrics or self.scoring.shown, title=title, **given
        )

    def timed(self) -> list[str]:
        """What a reader must know of the times, a sentence or none."""
        return sharing(claims.alike(self.shared().values())) if self.runs else []

    def curves(self) -> pd.DataFrame:
        """Loss over the epochs of every run: row, column, seed, epoch, loss."""
        parts = [
            pd.read_csv(folder / "history.csv").assign(row=row, column=where, seed=seed)
            for (row, where, seed), folder in self.train().items()
            if (folder / "history.csv").is_file()  # what is fitted to features has none
        ]
        return pd.concat(parts, ignore_index=True)

    def tested(self, cells: Mapping[str, tuple[str, str]]) -> dict[str, list[pd.DataFrame]]:
        """What some cells said of the test split, one frame a seed. cells: in words -> (row, column)."""
        found: dict[str, list[pd.DataFrame]] = {label: [] for label in cells}
        for (row, where, _), said in self.predictions().items():
            for label, cell in cells.items():
                if cell == (row, where):
                    test = said[said["split"] == "test"]
                    found[label].append(test.sort_values(self.scoring.case, ignore_index=True))
        return {label: frames for label, frames in found.items() if frames}

    def answers(self, cells: Mapping[str, tuple[str, str]]) -> dict[str, tuple]:
        """Of some cells, first seed, for `thresholds.roc`: labels, probabilities, and of slices what is called COVID-19.

        cells: as in `tested`.
        """
        tested, of_exams = self.tested(cells).items(), self.scoring.case == "exam_id"
        if of_exams:
            return {label: (frames[0]["label"], frames[0]["probability"]) for label, frames in tested}
        found = {label: slices.read(frames[0]) for label, frames in tested}
        return {label: (one.y == 0, one.p[:, 0], one.p.argmax(axis=1) == 0) for label, one in found.items()}

    def confusions(self, cells: Mapping[str, tuple[str, str]]) -> dict[str, pd.DataFrame]:
        """What the test cases of each class are called, a mean over seeds (paper B, Fig. 5). cells: as in `tested`."""
        read = {name: map(slices.read, frames) for name, frames in self.tested(cells).items()}
        return {name: multiclass.mean_confusion(one[:3] for one in of) for name, of in read.items()}

    @once
    def scored(self, per_patient: bool = False) -> claims.Scored:
        """Every run on the same resamples of the same test patients, with its `hours` and what else is `known` of it."""
        found = claims.scored(self.predictions(), n=self.resamples, per_patient=per_patient)
        timed = {"hours": self.hours(), "shared_hours": self.shared()} if self.runs else {}
        for name, values in (timed | dict(self.known)).items():
            found = found.beside(name, values(self) if callable(values) else values)
        return found

    @once
    def claims(self, per_patient: bool = False) -> pd.DataFrame:
        """What became of the claims about this table, a line each: `claims.decide`. per_patient: slices joined by patient."""
        found = claims.decide(self.scored(per_patient=per_patient), claims.of_table(self.name), self.but_not)
        return self._written("-claims-by-patient" if per_patient else "-claims", found)

    @once
    def variants(self) -> pd.DataFrame:
        """The same claims by other scores: for exams at the threshold from the validation split and by the AUC."""
        own = claims.of_table(self.name)
        known, asked = {(claim.higher, claim.lower, claim.score) for claim in own}, []
        for claim in own:
            for score in self.scoring.variants(claim.score):
                cells = claim.higher, claim.lower, score
                if claim.kind == "difference" and claim.less is None and cells not in known:
                    known.add(cells)
                    asked.append(claim.model_copy(update={"score": score, "published": None}))
        return claims.decide(self.scored(), asked, self.but_not)

    def headline(self) -> str:
        """What the notebook has found: the verdict on the main claim, with its number."""
        return decided.in_words(self.claims().set_index("key").loc[self.main])

    @once
    def above(self) -> pd.DataFrame:
        """Each row against the row above it in the same column, for F1 and AUC: `power.row_above`, the paper's beside it."""
        results = self.results()
        found = power.row_above(self.scored(), self.order or tuple(dict.fromkeys(results["row"])))
        paper = results.dropna(subset="published").set_index(tidy.KEY)["published"].to_dict()
        places = [zip(found[side], found["column"], found["score"], strict=True) for side in ("row", "above")]
        theirs = [[paper.get(place, np.nan) for place in side] for side in places]
        found["published"] = np.subtract(*theirs) if len(found) else np.nan
        words = results.drop_duplicates("row").set_index("row")["label"]
        found = found.assign(label=found["row"].map(words), above_label=found["above"].map(words))
        return self._written("-above", found)

    @once
    def detectable(self) -> pd.DataFrame:
        """Which differences of F1 a test of this size, or of paper A's, can tell from chance: `power.detectable`."""
        return self._written("-power", power.detectable(self.scored(), sizes=[published.TEST_POSITIVES]))

    @once
    def told(self) -> pd.DataFrame:
        """Could paper A's own test tell its differences from chance? `power.published`."""
        return self._written("-told", power.published(self.scored(), claims.of_table(self.name)))

    def seconds(self, cell: Cell) -> float:
        """What a run took, and what was needed before it."""
        return timing(self.train()[cell])["train_seconds"] + self.runs[cell].before.seconds

    def shared(self) -> dict[Cell, float]:
        """How many others each cell's trainings and pre-trainings shared the machine with, at most: `claims.alike`."""
        return {
            cell: claims.alike([timing(folder)["beside"], *self.runs[cell].before.beside])
            for cell, folder in self.train().items()
        }

    def hours(self) -> dict[Cell, float]:
        """The training period of every cell; of planted predictions none is known."""
        return {cell: self.seconds(cell) / 3600 for cell in self.predictions()} if self.runs else {}

    def _written(self, end: str, found: pd.DataFrame) -> pd.DataFrame:
        if self.study:
            about: dict[str, Any] = {}
            if self.samples is not None:
                about["seeds"] = sorted({seed for _, _, seed in self.runs})
                about["data"] = [self.samples.key, self.samples.labels]
                about["device"] = device_name(self.samples.device)
            if not end:  # the run behind each cell, from whose predictions `study.verify` computes it again
                about["runs"] = [[*cell, at.name] for cell, at in self.train().items()] if self.runs else []
                about |= {"case": self.scoring.case, "resamples": self.resamples}
            tidy.write_results(self.build / "results" / f"{self.name}{end}.parquet", found, about)
        return found
