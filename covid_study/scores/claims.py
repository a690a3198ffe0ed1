"""Does what the papers claim hold on the cohort at hand? One engine for both: paired differences, and one of four verdicts.

`claims.yaml` holds the claims. A claim is an estimand: which cells of a table score higher than which, averaged over the
columns. What is compared is compared on the same draws of the same test patients, seed by seed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field
from scipy import stats

from covid_study.errors import StudyError
from covid_study.scores import binary, published as papers, resamples, slices
from covid_study.training.run import predictions as of_run

HOLDS, FAILS, NO_EFFECT, OPEN = "holds", "fails", "no effect", "open"
MARGIN = 0.02  # a difference inside of it on both sides is no effect: 2 points, or 2 % of a ratio
SEEDS, PATIENTS = 3, 10  # fewer trainings, or fewer test patients in a class, leave every claim open
ALPHA = 0.05
Z = float(stats.norm.ppf(1 - ALPHA / 2))
MOST_SEEDS = 100
COLUMNS = [
    *("key", "table", "text", "place", "score", "kind", "difference", "low", "high", "seeds", "fewest"),
    *("published", "verdict", "needs", "p", "p_holm", "adjusted"),
]
Cell = tuple[str, str, int]  # row and column of a table, seed
Term = tuple[int, tuple[str, str], str]  # +1 or -1, row and column, score


class Cells(BaseModel):
    """Cells of a table: a row and a column, several of them, or one of the words of `_named`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    row: str | tuple[str, ...] = "same"
    column: str | tuple[str, ...] = "same"
    but_not: tuple[str, ...] = ()

    def of(self, ran: Sequence[tuple[str, str]], beside: tuple[str, str] = ("", "")) -> list[tuple[str, str]]:
        """The cells that are meant, of those that ran; `beside` is the cell that they are compared with."""
        names = [[n for n in dict.fromkeys(cell[i] for cell in ran) if n not in self.but_not] for i in (0, 1)]
        rows, columns = (
            _named(word, here, other)
            for word, here, other in zip((self.row, self.column), names, beside, strict=True)
        )
        return list(product(rows, columns))


def _named(word: str | tuple[str, ...], here: Sequence[str], beside: str) -> Sequence[str]:
    """Rows or columns by name: "same" as beside it, "every", "others" (all but that one); of the sizes of a selection,
    named in per cent: "sizes" (below 100), "largest", "smallest", "smaller" (all but the largest)."""
    sizes = sorted((n for n in here if n.endswith("%") and n != "100%"), key=lambda n: float(n[:-1]))
    words = {
        "same": [beside],
        "every": here,
        "others": [n for n in here if n != beside],
        "sizes": sizes,
        "largest": sizes[-1:],
        "smallest": sizes[:1],
        "smaller": sizes[:-1] or sizes,
    }
    return word if isinstance(word, tuple) else words.get(word, [word])


class Contrast(BaseModel):
    """Cells that are said to score higher, and what they are compared with; by another score where one is named."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    higher: Cells = Cells()
    lower: Cells | None = None
    score: str | None = None


class Printed(BaseModel):
    """Two printed cells, (table, row, column), where a claim's own rows are printed elsewhere or under other names."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    higher: tuple[str, str, str]
    lower: tuple[str, str, str]


class Claim(BaseModel):
    """A claim of a paper.

    `score`: the one that the paper judges by. `higher` and `lower`: see `Cells`. `less`: another contrast, whose difference is
    taken from the first. `kind`: "difference" of scores; "ratio", of times; "count", by which the `higher` exceed the `lower`
    by `at_most`; "auc", of one cell, whose difference is that to one half. `published`: "computed" from the published table,
    a number, two printed cells, or none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    key: str = Field(pattern=r"^[ABS]\d+[a-z]?$")
    table: str
    place: str
    text: str
    score: str
    kind: Literal["difference", "ratio", "count", "auc"] = "difference"
    higher: Cells
    lower: Cells | None = None
    less: Contrast | None = None
    at_most: float | None = None
    published: Literal["computed"] | float | Printed | None = "computed"

    def lines(self, ran: Sequence[tuple[str, str]], but_not: Iterable[str] = ()) -> list[list[Term]]:
        """Each difference that the claim averages over, as signed cells, of the cells (row, column) that ran.

        but_not: rows that a word such as "others" does not take.

        >>> read()["A18"].lines([("random", "14%"), ("random", "56%"), ("top", "14%"), ("top", "56%")])
        [[(1, ('random', '14%'), 'f1'), (-1, ('top', '14%'), 'f1')]]
        """
        ran = [cell for cell in ran if cell[0] not in set(but_not)]
        found = [
            [*first, *((-sign, *rest) for sign, *rest in second)]
            for one in self.higher.of(ran, ("", "") if self.lower is None else self._literal)
            for first in _terms(one, self.lower, self.score, ran)
            for second in self._less(one, ran)
        ]
        return [line for line in found if {cell for _, cell, _ in line} <= set(ran)]

    @property
    def _literal(self) -> tuple[str, str]:
        """The row and column of `lower` by name, for "others" on the higher side."""
        return tuple(x if isinstance(x, str) else "" for x in (self.lower.row, self.lower.column))

    def _less(self, one: tuple[str, str], ran: Sequence[tuple[str, str]]) -> list[list[Term]]:
        if self.less is None:
            return [[]]
        others, score = self.less.higher.of(ran, one), self.less.score or self.score
        return [line for other in others for line in _terms(other, self.less.lower, score, ran)]

    def theirs(self) -> list[float]:
        """The published difference (ratio, count) of each line; empty where the paper prints none."""
        if isinstance(self.published, float) or self.published is None:
            return [] if self.published is None else [self.published]
        if isinstance(self.published, Printed):
            one, other = (
                _printed(c[0])[c[1:], self.score] for c in (self.published.higher, self.published.lower)
            )
            return [one / other if self.kind == "ratio" else one - other]
        printed = _printed(self.table)
        ran = list(dict.fromkeys(cell for cell, _ in printed))
        sums = (
            [(sign, printed.get((cell, score), np.nan)) for sign, cell, score in line]
            for line in self.lines(ran)
        )
        found = [
            a[0][1] / a[1][1] if self.kind == "ratio" else sum(sign * value for sign, value in a)
            for a in sums
        ]
        return [x for x in found if np.isfinite(x)]

    @property
    def printed(self) -> float:
        """The published difference, averaged as the claim is: of ratios the geometric mean, of counts the largest."""
        found = self.theirs()
        if not found:
            return np.nan
        joined = {"ratio": lambda x: np.exp(np.mean(np.log(x))), "count": np.max}
        return float(joined.get(self.kind, np.mean)(found))


def _terms(one: tuple[str, str], lower: Cells | None, score: str, ran) -> list[list[Term]]:
    if lower is None:
        return [[(1, one, score)]]
    return [[(1, one, score), (-1, other, score)] for other in lower.of(ran, one)]


@lru_cache
def _printed(name: str) -> dict[tuple[tuple[str, str], str], float]:
    table = papers.table(name)
    cells = zip(table["row"], table["column"], strict=True)
    return dict(zip(zip(cells, table["metric"], strict=True), table["value"], strict=True))


@lru_cache
def read(path: Path | None = None) -> dict[str, Claim]:
    """All claims by key, in the order of the file. path: another file than `claims.yaml`.

    >>> read()["A2"].text
    'Negatives selected by both tracks score higher than as many random ones'
    """
    text = (path or Path(__file__).with_name("claims.yaml")).read_text(encoding="utf-8")
    return {key: Claim(key=key, **entry) for key, entry in yaml.safe_load(text).items()}


def of_table(name: str) -> list[Claim]:
    """The claims about a table, e.g. "A.III" or "B.3".

    >>> [claim.key for claim in of_table("A.IV")]
    ['A13', 'A14']
    """
    return [claim for claim in read().values() if claim.table == name]


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
    predictions: Mapping[Cell, pd.DataFrame | Path],
    patients: pd.Series | None = None,
    n: int = 1000,
    seed: int = 0,
    per_patient: bool = False,
) -> Scored:
    """Score every run of a table on the same n resamples of the test patients (paper A, V-B; paper B, 4.2).

    Exams have precision, recall, F1, AUC and average precision at 0.5 and, as `f1_validation` and so on, at the threshold with
    the best F1 on the validation split, which is not chosen anew for each resample; slices have the seven scores of paper B.

    Args:
        predictions: of each cell the table that a run leaves, of exams (`exam_id`) or slices (`slice_id`), or its folder.
        patients: who each exam or slice is of today, by id; needed for exams.
        per_patient: score the mean probability over the slices of a patient, not slices.

    Raises:
        StudyError: two runs were tested on different exams or slices, so that nothing can be paired.
    """
    tables = {c: t if isinstance(t, pd.DataFrame) else of_run(Path(t)) for c, t in predictions.items()}
    if not tables:
        return Scored({}, {}, 0)
    name = "exam_id" if "slice_id" not in next(iter(tables.values())) else "slice_id"
    tables = {c: t.set_index(name, drop=False).rename_axis(None).sort_index() for c, t in tables.items()}
    if patients is not None:
        tables = {c: t.assign(patient_id=patients.loc[t.index].to_numpy()) for c, t in tables.items()}
    tests = {cell: table[table["split"] == "test"] for cell, table in tables.items()}
    if per_patient:
        tests = {cell: slices.by_patient(test) for cell, test in tests.items()}
    (first_cell, first), kept = next(iter(tests.items())), ["patient_id"] + ["finding"] * per_patient
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

    def both(score) -> dict:
        moved = score(best)
        return {m: v for m, v in score(0.5).items() if m in binary.SCORES} | {
            f"{m}_validation": moved[m] for m in ("precision", "recall", "f1")
        }

    return (
        lambda n, seed: resamples.Resamples(y, test["patient_id"], n, seed),
        lambda weights: both(lambda t: binary.weighted_scores(y, p, t, weights)),
        both(lambda t: binary.classification_scores(y, p, t)),
    )


def _of_slices(test: pd.DataFrame):
    called = slices.read(test)
    return (
        lambda n, seed: slices.drawn(called, n, seed),
        lambda weights: slices.weighted(called.y, called.p, weights),
        slices.point_scores(test).to_dict(),
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
    mean, below, above, half = resamples.joined(values, draws)
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


def _ratio(of: Scored, lines: Sequence[Sequence[Term]]) -> dict:
    """The geometric mean of ratios, with Student's t interval of its logarithm over seeds; patients do not change a time."""
    logs = {c: {m: np.log(v) for m, v in values.items() if v > 0} for c, values in of.values.items()}
    found = estimate(Scored(logs, {}, of.fewest), lines)
    mean, half, k = found["difference"], found["trainings"], found["seeds"]
    low, high = (mean - half, mean + half) if k > 1 else (np.nan, np.nan)
    error = found["sd"] / np.sqrt(k) if k > 1 else np.nan
    p = 2 * stats.t.sf(abs(mean) / error, k - 1) if error > 0 else np.nan
    logs = {"difference": mean, "low": low, "high": high}
    return found | {name: float(np.exp(x)) for name, x in logs.items()} | {"patients": 0.0, "p": float(p)}


def verdict(low: float, high: float, seeds: int, fewest: float, margin: float = MARGIN) -> str:
    """What the interval of a difference says about a claim (of a ratio: the interval of its logarithm).

    Choice: a single training says nothing about the next, and percentiles of fewer than ten patients are not to be believed:
    with fewer than three seeds, or ten test patients of a class, a claim is open, whatever its interval.

    >>> [verdict(*ends, seeds=3, fewest=50) for ends in ((0.01, 0.2), (-0.2, -0.1), (-0.01, 0.015), (-0.1, 0.1))]
    ['holds', 'fails', 'no effect', 'open']
    >>> verdict(0.1, 0.2, seeds=1, fewest=50), verdict(0.1, 0.2, seeds=3, fewest=9)
    ('open', 'open')
    """
    if seeds < SEEDS or fewest < PATIENTS or not np.isfinite([low, high]).all():
        return OPEN
    if low > 0 or high < 0:
        return HOLDS if low > 0 else FAILS
    return NO_EFFECT if -margin <= low and high <= margin else OPEN


def needed(difference: float, sd: float, patients: float, fewest: int) -> str:
    """Seeds, and test patients of the smaller class, that would close an open claim, were the difference the true one.

    The half-width h of the interval is to be no more than |difference|, so that it leaves zero out, or no more than 0.02 less
    |difference|, so that it lies inside 2 points: whichever asks for less. Its square is that of the seeds, t sd / sqrt(k), and
    that of the patients, which falls with one over their number. The fewest seeds k whose part is at most half of h squared are
    taken, then as many patients as what is left of h squared asks for.

    Args:
        sd: over seeds. patients: the half-width over them, of `fewest` in the smaller class.

    >>> needed(0.05, sd=0.02, patients=0.05, fewest=50)
    '4 seeds, 85 patients'
    >>> needed(0.05, sd=float("nan"), patients=0.02, fewest=50)
    '3 seeds at least'
    """
    if not np.isfinite([difference, sd]).all():
        return f"{SEEDS} seeds at least" + (f", {PATIENTS} patients" if fewest < PATIENTS else "")
    target = max(abs(difference), MARGIN - abs(difference))
    for k in range(SEEDS, MOST_SEEDS + 1):
        of_seeds = stats.t.ppf(1 - ALPHA / 2, k - 1) * sd / np.sqrt(k)
        if of_seeds**2 <= target**2 / 2:
            break
    else:
        return f"more than {MOST_SEEDS} seeds"
    if not np.isfinite(patients):
        return f"{k} seeds, {PATIENTS} patients at least"
    if not patients:
        return f"{k} seeds"
    exams = max(PATIENTS, int(np.ceil(fewest * patients**2 / (target**2 - of_seeds**2))))
    return f"{k} seeds, {exams:,} patients"


def holm(p: Sequence[float], claims: int | None = None) -> np.ndarray:
    """P values after Holm's correction (1979); scipy has Benjamini's and Hochberg's only.

    claims: how many there are in all, where p are of some of them: the others count as larger, which is never too bold.

    >>> holm([0.01, 0.04, 0.03, 0.005]).round(3).tolist()
    [0.03, 0.06, 0.06, 0.02]
    """
    p, order = np.asarray(p, float), np.argsort(p)
    steps = np.maximum.accumulate((max(claims or 0, len(p)) - np.arange(len(p))) * p[order]).clip(max=1)
    return steps[np.argsort(order)]


def adjust(decided: pd.DataFrame) -> pd.DataFrame:
    """`p_holm` and `adjusted` over the claims of a paper: of one table, or of all of them put together.

    Returns:
        The same lines; `adjusted` is the verdict, open where a claim held or failed and its corrected p is not below 0.05.
    """
    found = decided.assign(p_holm=np.nan, adjusted=decided["verdict"])
    for paper, lines in found[found["p"].notna()].groupby(found["key"].str[0]):
        of_paper = sum(key[0] == paper and claim.kind != "count" for key, claim in read().items())
        found.loc[lines.index, "p_holm"] = holm(lines["p"], of_paper)
    stays = found["p_holm"].isna() | (found["p_holm"] < ALPHA) | ~found["verdict"].isin([HOLDS, FAILS])
    return found.assign(adjusted=found["verdict"].where(stays, OPEN))


def decide(of: Scored, claims: Iterable[Claim], but_not: Iterable[str] = ()) -> pd.DataFrame:
    """Every claim against the runs, a line each.

    Choice: `verdict` uses the plain 95 % interval that stands beside it, as each claim is read on its own and the claims were
    fixed by the papers before anything was run here; `adjusted` says which of them outlast Holm's correction over the claims of
    a paper. Times need three seeds and no patients; counts need neither.

    Args:
        of: from `scored`, with `hours` and `params` where a claim asks for them. claims: e.g. of `of_table`.
        but_not: rows that stand for nothing (trained for less, say) where a claim speaks of all others.

    Returns:
        key, table, text, place, score, kind, difference, low, high (fractions; of "ratio" and "count" the ratio and count),
        seeds, fewest, published, verdict, needs (what would close an open one), p, p_holm, adjusted.
    """
    rows = [_decided(of, claim, claim.lines(of.ran, but_not)) for claim in claims]
    return adjust(pd.DataFrame(rows, columns=COLUMNS))


def lines(of: Scored, claims: Iterable[Claim], but_not: Iterable[str] = ()) -> pd.DataFrame:
    """What each claim averages over, a line each, as `decide`; `line` names the cells, e.g. "both 14% - random 14%"."""
    rows = []
    for claim in claims:
        for line in claim.lines(of.ran, but_not):
            name = " ".join(f"{'- ' * (s < 0)}{row} {column}" for s, (row, column), _ in line)
            rows.append({**_decided(of, claim, [line]), "line": name})
    return adjust(pd.DataFrame(rows, columns=[*COLUMNS, "line"]))


def _decided(of: Scored, claim: Claim, lines: list[list[Term]]) -> dict:
    about = {name: getattr(claim, name) for name in ("key", "table", "text", "place", "score", "kind")}
    about |= {"published": claim.printed, "fewest": of.fewest, "seeds": 0, "verdict": OPEN, "needs": ""}
    if not lines:
        return about | {"needs": "a run of each of its rows"}
    if claim.kind == "count":
        found = [estimate(of, [line])["difference"] for line in lines]
        if not np.isfinite(found).all():
            return about | {"needs": f"the {claim.score} of each of its rows"}
        return about | {"difference": max(found), "verdict": HOLDS if max(found) <= claim.at_most else FAILS}
    found = _ratio(of, lines) if claim.kind == "ratio" else estimate(of, lines, 0.5 * (claim.kind == "auc"))
    ends, patients = (found["low"], found["high"]), of.fewest
    if claim.kind == "ratio":
        ends, patients = np.log(ends), np.inf
    said = verdict(*ends, found["seeds"], patients)
    if not found["seeds"]:
        about["needs"] = f"the {claim.score} of each of its rows"
    elif said == OPEN:
        middle = np.log(found["difference"]) if claim.kind == "ratio" else found["difference"]
        about["needs"] = needed(middle, found["sd"], found["patients"], of.fewest)
    return about | {k: found[k] for k in ("difference", "low", "high", "seeds", "p")} | {"verdict": said}
