"""The scores of every run of a table on the same draws of its test patients, and how much one cell is above another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
from scipy import stats

from covid_study.errors import StudyError
from covid_study.scores import binary, resamples, seeds, slices
from covid_study.scores.estimands import Term

Cell = tuple[str, str, int]  # row and column of a table, seed
Z = float(stats.norm.ppf(0.5 + resamples.LEVEL / 2))


@dataclass(frozen=True)
class Scored:
    """The scores of every run of a table: as they are, and on the same resamples of the test patients."""

    values: Mapping[Cell, Mapping[str, float]]
    draws: Mapping[Cell, Mapping[str, np.ndarray]]  # score -> (n,); no draws where no interval is possible
    fewest: int  # test patients in the smaller of COVID-19 and the rest

    @property
    def ran(self) -> list[tuple[str, str]]:
        """Rows and columns of the cells, without seeds."""
        return list(dict.fromkeys(cell[:2] for cell in self.values))

    def beside(self, name: str, values: Mapping[Cell, float]) -> "Scored":
        """With one more value of each cell, such as `hours` or `params`, which the test patients do not change."""
        more = {cell: {**scores, name: values.get(cell, np.nan)} for cell, scores in self.values.items()}
        return replace(self, values=more)


def scored(
    predictions: Mapping[Cell, pd.DataFrame],
    n: int = 1000,
    seed: int = 0,
    per_patient: bool = False,
) -> Scored:
    """Score every run of a table on the same n resamples of the test patients (paper A, V-B; paper B, 4.2).

    Exams have precision, recall, F1, AUC and average precision at 0.5 and, as `f1_validation` and so on, at the threshold with
    the best F1 on the validation split, which is not chosen anew for each resample, and the gap between precision and recall;
    slices have the seven scores of paper B, and sensitivity and precision of each class against the rest.

    Args:
        predictions: of each cell the table that a run leaves, of exams (`exam_id`) or slices (`slice_id`), with `patient_id`.
        per_patient: score the mean probability over the slices of a patient, not slices.

    Raises:
        StudyError: two runs were tested on different exams or slices, so that nothing can be paired.
    """
    if not predictions:
        return Scored({}, {}, 0)
    name = "exam_id" if "slice_id" not in next(iter(predictions.values())) else "slice_id"
    tables = {c: t.set_index(name, drop=False).rename_axis(None).sort_index() for c, t in predictions.items()}
    tests = {cell: table[table["split"] == "test"] for cell, table in tables.items()}
    if per_patient:
        tests = {cell: slices.by_patient(test) for cell, test in tests.items()}
    kept = ["patient_id", "label" if name == "exam_id" else "finding"]
    first_cell, first = next(iter(tests.items()))
    for cell, test in tests.items():
        if not (test.index.equals(first.index) and test[kept].equals(first[kept])):
            raise StudyError(
                f"{cell} was tested on {len(test)} cases, {first_cell} on others: train both anew."
            )
    of = {
        cell: _of_exams(table) if name == "exam_id" else _of_slices(tests[cell])
        for cell, table in tables.items()
    }
    drawn = of[first_cell][0](n, seed)
    parts: dict[Cell, list[Mapping]] = {cell: [] for cell in of}
    for weights in drawn.weights():  # block by block: many runs on few draws in memory
        for cell, (_, score, _) in of.items():
            parts[cell].append(score(weights))
    draws = {c: {m: np.concatenate([b[m] for b in p]) for m in p[0]} if p else {} for c, p in parts.items()}
    return Scored({cell: values for cell, (_, _, values) in of.items()}, draws, drawn.fewest)


def _of_exams(table: pd.DataFrame):
    """Who draws, the scores of weights, and the scores as they are, of a run's exams."""
    validation, test = (table[table["split"] == split] for split in ("validation", "test"))
    best = binary.best_f1_threshold(validation["label"], validation["probability"]).threshold
    y, p = binary.checked(test["label"], test["probability"])

    def both(score, moved) -> dict:
        fixed = {m: v for m, v in score(y, p, 0.5).items() if m in binary.SCORES}
        at_best = moved(y, p, best)
        fixed[binary.GAP] = np.abs(fixed["precision"] - fixed["recall"])
        return fixed | {f"{m}_validation": at_best[m] for m in binary.AT_THRESHOLD}

    return (
        lambda n, seed: resamples.Resamples(y, test["patient_id"], n, seed),
        lambda weights: both(
            partial(binary.weighted_scores, weights=weights), partial(binary.weighted_at, weights=weights)
        ),
        both(binary.classification_scores, binary.classification_scores),
    )


def _of_slices(test: pd.DataFrame):
    called = slices.read(test)
    once = np.ones((1, len(called.y)))
    return (
        lambda n, seed: slices.drawn(called, n, seed),
        lambda weights: slices.weighted(called.y, called.p, weights) | slices.of_classes(called, weights),
        slices.point_scores(test).to_dict()
        | {m: float(v[0]) for m, v in slices.of_classes(called, once).items()},
    )


def estimate(of: Scored, lines: Sequence[Sequence[Term]], less: float = 0.0) -> dict:
    """The mean of some differences with its interval over patients and seeds.

    Choice: of seeds only those count that have every cell, so that trainings of one seed are compared.

    Args:
        lines: each a sum of signed cells. less: what is taken from each line.

    Returns:
        difference, low, high (NaN where not defined), seeds; patients and trainings (half-widths), sd (over seeds), and p:
        two-sided, of the normal distribution whose 95 % interval ends at `low` or `high`, whichever lies towards zero.
    """
    values, draws = [], []
    for seed in sorted({cell[2] for cell in of.values}):
        cells = [[(sign, (*cell, seed), score) for sign, cell, score in line] for line in lines]
        if not all(c in of.values and m in of.values[c] for line in cells for _, c, m in line):
            continue
        value = np.mean([sum(s * of.values[c][m] for s, c, m in line) for line in cells]) - less
        if np.isfinite(value):
            values.append(value)
            none = np.empty(0)
            draws.append(
                np.mean(
                    [sum(s * of.draws.get(c, {}).get(m, none) for s, c, m in line) for line in cells], axis=0
                )
                - less
            )
    found = dict.fromkeys(("difference", "low", "high", "p", "patients", "trainings", "sd"), np.nan)
    if not values:
        return found | {"seeds": 0}
    mean, below, above, half = seeds.joined(values, draws)
    low, high, most = mean - np.hypot(below, half), mean + np.hypot(above, half), len(lines[0]) / 2
    toward = below if mean > 0 else above
    width = np.hypot(toward, half)
    return {
        "difference": mean,
        "low": float(np.clip(low, -most, most)),  # no two scores differ by more than 1
        "high": float(np.clip(high, -most, most)),
        "seeds": len(values),
        "p": float(2 * stats.norm.sf(Z * abs(mean) / width))
        if width > 0
        else float(mean == 0)
        if width == 0
        else np.nan,
        "patients": toward,
        "trainings": half,
        "sd": float(np.std(values, ddof=1)) if len(values) > 1 else np.nan,
    }


def paired_difference(
    of: Scored, pairs: Sequence[tuple[tuple[str, str], tuple[str, str]]], score: str
) -> dict:
    """How much higher some cells score than others: the mean of ((row, column), (row, column)); see `estimate`."""
    return estimate(of, [[(1, one, score), (-1, other, score)] for one, other in pairs])
