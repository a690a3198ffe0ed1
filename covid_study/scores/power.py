"""What a referee asks: which differences a test of this size, with these seeds, tells from chance; each row against the last.

Two runs that are compared differ by chance for two reasons: other test patients (whose part falls with their number) and
another training (whose part falls with the seeds). Both are measured on the runs at hand, and scaled to other tests.
"""

from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from covid_study.scores import published as papers
from covid_study.scores.claims import verdict
from covid_study.scores.estimands import Claim
from covid_study.scores.paired import Scored, Z, estimate, paired_difference

POWER = 0.80
SEEDS = (1, 3, 5, 10, np.inf)  # without end: the test patients alone


def errors(of: Scored, score: str = "f1") -> pd.DataFrame:
    """Variances, by their causes, of the difference of two rows of a column, of one training each.

    `patients`: what other test patients change, whichever the training. `own`: what a training makes of single exams, which
    more exams and more seeds average out. `trainings`: what a training changes as a whole. One drawn difference has the first
    two, their mean over seeds has less of the second, and values over seeds have the last two: three equations.

    Choice: means over all pairs of rows, and over all rows.

    Returns:
        column, patients, own, trainings, rows, seeds, fewest. With one seed `patients` has `own` in it, and the other two are
        NaN. Columns with one row, or without draws, are left out.
    """
    found = []
    for column in dict.fromkeys(column for _, column in of.ran):
        drawn = {c: d[score] for c in of.values if c[1] == column and len(d := of.draws.get(c, {}))}
        rows, seeds = ({c[i] for c in drawn} for i in (0, 2))
        pairs = [
            [(drawn[a], drawn[b]) for a, b in combinations(drawn, 2) if a[2] == b[2] == seed]
            for seed in seeds
        ]
        if len(rows) < 2 or not any(pairs):
            continue
        k, single = len(seeds), np.mean([np.nanvar(a - b) for here in pairs for a, b in here])
        mean = {row: np.mean([d for c, d in drawn.items() if c[0] == row], axis=0) for row in rows}
        joint = np.mean([np.nanvar(mean[a] - mean[b]) for a, b in combinations(mean, 2)])
        own = max(0.0, single - joint) * k / (k - 1) if k > 1 else np.nan
        values = pd.Series({c: of.values[c][score] for c in drawn})
        over_seeds = 2 * values.groupby([c[0] for c in drawn]).var(ddof=1).mean()
        patients = single if k == 1 else max(0.0, single - own)
        found.append((column, patients, own, np.maximum(0.0, over_seeds - own), len(rows), k, of.fewest))
    return pd.DataFrame(found, columns=["column", "patients", "own", "trainings", "rows", "seeds", "fewest"])


def detectable(
    of: Scored, score: str = "f1", sizes: Iterable[int] = (), seeds: Iterable[float] = SEEDS
) -> pd.DataFrame:
    """The smallest differences that tests can tell from chance, by their test patients and seeds.

    Args:
        sizes: test patients of the smaller class, beside those at hand, e.g. paper A's. seeds: trainings a row.

    Returns:
        column, patients, seeds, by_chance (how far chance alone carries a difference in 19 of 20 tests), smallest (the true
        difference that 80 % of the tests find).
    """
    found = [
        (r.column, size, k, Z * error, (Z + stats.norm.ppf(POWER)) * error)
        for r in errors(of, score).itertuples()
        for size in dict.fromkeys([of.fewest, *sizes])
        for k in seeds
        for error in [np.sqrt(_variance(r, size, k))]
    ]
    return pd.DataFrame(found, columns=["column", "patients", "seeds", "by_chance", "smallest"])


def _variance(measured, patients: float, seeds: float) -> float:
    """Of a difference on a test of that size, with that many trainings a row. measured: a row of `errors`."""
    of_patients, of_training = measured.patients * measured.fewest / patients, 0.0
    if np.isfinite(seeds):
        of_training = (measured.own * measured.fewest / patients + measured.trainings) / seeds
    return float(of_patients + of_training)


def published(of: Scored, claims: Iterable[Claim]) -> pd.DataFrame:
    """Could the paper's own test tell its differences from chance? Paper A: 50 positives, one training a row.

    Choice: its runs are taken to differ by chance as ours do, estimand by estimand.

    Args:
        claims: about scores.

    Returns:
        key, text, published, by_chance (in 19 of 20 tests), told (None where the spread over seeds is not known).
    """
    size, rows = papers.TEST_POSITIVES, []
    for claim in claims:
        lines = claim.lines(of.ran)
        if claim.kind != "difference" or not lines or np.isnan(claim.printed):
            continue
        found = estimate(of, lines)
        chance = np.sqrt(found["patients"] ** 2 * of.fewest / size + (Z * found["sd"]) ** 2)
        told = None if np.isnan(chance) else bool(abs(claim.printed) > chance)
        rows.append((claim.key, claim.text, claim.printed, chance, told))
    return pd.DataFrame(rows, columns=["key", "text", "published", "by_chance", "told"])


def row_above(
    of: Scored, rows: Sequence[str] | None = None, scores: Sequence[str] = ("f1", "auc")
) -> pd.DataFrame:
    """Each row of a table against the row above it that was run in the same column: paired differences.

    Args:
        rows: their order; that of the runs unless given.

    Returns:
        row, above, column, score, difference, low, high, seeds, verdict (on the row being higher).
    """
    found = []
    for column in dict.fromkeys(column for _, column in of.ran):
        here = [row for row in rows or dict.fromkeys(row for row, _ in of.ran) if (row, column) in of.ran]
        for (above, row), score in ((pair, s) for pair in zip(here, here[1:], strict=False) for s in scores):
            line = paired_difference(of, [((row, column), (above, column))], score)
            said = verdict(line["low"], line["high"], line["seeds"], of.fewest)
            ends = (line[name] for name in ("difference", "low", "high", "seeds"))
            found.append((row, above, column, score, *ends, said))
    names = ["row", "above", "column", "score", "difference", "low", "high", "seeds", "verdict"]
    return pd.DataFrame(found, columns=names)
