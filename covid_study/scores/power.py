"""What can be told apart: which differences of F1 a test of some size tells from chance (paper A, V-B, eq. 8 and 9).

Tests are simulated. Two classifiers read the same exams, each exam is hard or easy for both alike, and each training of
a classifier comes out a little different. How alike and how different is measured on runs.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import brentq, nnls
from scipy.special import ndtr, ndtri

from covid_study import paths
from covid_study.errors import StudyError
from covid_study.runtime.artefacts import artefact
from covid_study.scores import published as papers
from covid_study.scores.power_spread import STEPS, STRANGERS, Rates, Spread, calling

APART, TRAINING, CHANCE = "told apart", "may be the training", "may be the test exams"
UNKNOWN = "nothing can be said"
LEVEL, POWER = 0.95, 0.80
SEEDS = (1, 3, 5, 10)
UNLIKE, EXAMS = "test exams alone, no shared mistakes", "test exams alone"  # one training, always the same
DIFFERENCES = np.arange(0.0, 0.201, 0.02)
POSITIVES = np.array([25, 50, 100, 200, 400, 1600, 6400, 25600])  # of simulated tests
BLOCK = 2**21  # calls drawn at once


def simulate(
    one: Rates,
    other: Rates,
    spread: Spread,
    positives: int,
    negatives: int,
    seeds: int = 1,
    n: int = 1000,
    seed: int = 0,
    training: bool = True,
) -> np.ndarray:
    """Differences of F1 (`one` minus `other`, means over seeds) in n tests of new exams and new trainings, (n,) float64.

    Exam i of a class is called positive by a run where level + sqrt(r) u_i + sqrt(1 - r) e > 0: u_i belongs to the exam
    and is the same for all runs, e is the run's own, r the latent correlation. The level is the probit of the rate,
    shifted for each run by a draw with the covariance `spread.training`.

    Choice: all pairs of runs correlate alike, those of one row too; exams are drawn one by one, not by patient.

    Args:
        one, other: of the middle training. positives, negatives: exams of the test. seeds: runs of each row.
        training: False: every training gives the same classifier, only the exams differ.
    """
    rng = np.random.default_rng(seed)
    values, vectors = np.linalg.eigh(np.array(spread.training))
    shift = vectors @ np.diag(np.sqrt(values.clip(0))) if training else np.zeros((2, 2))
    parts = []
    for start in range(0, n, step := max(1, BLOCK // (2 * seeds * STEPS))):
        k = min(step, n - start)
        shifts, called = rng.standard_normal((k, 2, seeds, 2)) @ shift.T, []
        for c, exams in enumerate((positives, negatives)):
            level = ndtri(np.clip([one[c], other[c]], 0.5 / (exams + 1), 1 - 0.5 / (exams + 1)))
            level = level[:, None] + shifts[..., c]
            kinds = rng.multinomial(exams, np.full(STEPS, 1 / STEPS), size=k)
            called.append(
                rng.binomial(kinds[:, None, None], calling(level, spread.correlation[c])).sum(axis=-1)
            )
        f1 = (2 * called[0] / (called[0] + called[1] + positives)).mean(axis=-1)
        parts.append(f1[:, 0] - f1[:, 1])
    return np.concatenate(parts)


def by_chance(one: Rates, other: Rates, spread: Spread, positives: int, negatives: int, **options) -> float:
    """How far the difference strays from its mean in 19 of 20 simulated tests; `options` as for `simulate`."""
    found = simulate(one, other, spread, positives, negatives, **options)
    return float(np.quantile(np.abs(found - found.mean()), LEVEL))


def distinguishable(difference: float, of_test: float, of_all: float) -> str:
    """The mark of a difference: can it be told from chance?

    Args:
        difference: of two F1 (or of two means over seeds). of_test: what chance does with the test exams alone
            (`by_chance(..., training=False)`). of_all: with the trainings too.

    >>> distinguishable(0.04, 0.1, 0.12), distinguishable(-0.11, 0.1, 0.12), distinguishable(0.2, 0.1, 0.12)
    ('may be the test exams', 'may be the training', 'told apart')
    >>> distinguishable(0.04, np.nan, np.nan)
    'nothing can be said'
    """
    if np.isnan([difference, of_test, of_all]).any():
        return UNKNOWN
    if abs(difference) > max(of_test, of_all):
        return APART
    return TRAINING if abs(difference) > of_test else CHANCE


def apart(middle: Rates, difference: float, positives: int, negatives: int) -> tuple[Rates, Rates]:
    """Two classifiers around `middle` whose F1 on a large test differ by `difference`: levels moved apart in both classes.

    >>> one, other = apart(Rates(0.8, 0.05), 0.1, 50, 468)
    >>> round(one.f1(50, 468) - other.f1(50, 468), 6)
    0.1
    """
    level = ndtri(middle)

    def pair(x: float) -> tuple[Rates, Rates]:
        return Rates(*ndtr(level + [x, -x]).tolist()), Rates(*ndtr(level - [x, -x]).tolist())

    def gap(x: float) -> float:
        one, other = pair(x)
        return one.f1(positives, negatives) - other.f1(positives, negatives) - difference

    if gap(4.0) < 0:
        raise StudyError(f"no two classifiers around {middle} differ by {difference:.2f} in F1")
    return pair(brentq(gap, 0.0, 4.0)) if difference else (middle, middle)


def power_curve(middle: Rates, spread: Spread, positives: int, negatives: int, **options) -> pd.DataFrame:
    """Share of tests that find a difference of F1: more than chance does with no difference, as simulated (two-sided, 5 %).

    Returns:
        `difference`, `power`; differences that no two classifiers around `middle` have are left out.
    """
    chance, rows = by_chance(middle, middle, spread, positives, negatives, **options), []
    options = options | {"seed": options.get("seed", 0) + 1}  # other tests than those that set the limit
    for difference in DIFFERENCES:
        try:
            pair = apart(middle, difference, positives, negatives)
        except StudyError:
            break
        found = simulate(*pair, spread, positives, negatives, **options)
        rows.append((float(difference), float((np.abs(found) > chance).mean())))
    return pd.DataFrame(rows, columns=["difference", "power"])


def smallest(middle: Rates, spread: Spread, positives: int, negatives: int, **options) -> float:
    """The smallest true difference of F1 that 80 % of the tests find.

    Choice: chance strays as far around a small difference as around none, so that one simulation is enough.
    """
    found = simulate(middle, middle, spread, positives, negatives, **options)
    found = (found - found.mean()) * np.array([[1], [-1]])  # both ways alike
    return float(np.quantile(np.abs(found), LEVEL) - np.quantile(found, 1 - POWER))


def fit(lines: pd.DataFrame) -> tuple[float, float]:
    """The smallest difference d found with n test positives as d^2 = a / n + b; b is what trainings do in any test.

    Args:
        lines: `positives` and `smallest`, of one case.

    >>> [round(x, 6) for x in fit(pd.DataFrame({"positives": [50, 200], "smallest": [0.1, 0.05]}))]
    [0.5, 0.0]
    """
    squares = lines["smallest"].to_numpy(float) ** 2
    parts = np.column_stack(
        [1 / (lines["positives"].to_numpy(float) * squares), 1 / squares]
    )  # relative errors
    a, b = nnls(parts, np.ones(len(parts)))[0]
    return float(a), float(b)


def needed(lines: pd.DataFrame, difference: float) -> float:
    """Test positives needed to find a difference in 80 % of the tests; inf where no number of them is enough.

    >>> lines = pd.DataFrame({"positives": [50, 200], "smallest": [0.1, 0.05]})
    >>> round(needed(lines, 0.025))
    800
    >>> needed(lines.assign(smallest=0.05), 0.025)
    inf
    """
    a, b = fit(lines)
    return a / (difference**2 - b) if difference**2 > b else np.inf


def rates_of(precision: float, recall: float, positives: int, negatives: int) -> Rates:
    """The rates behind a precision and a recall.

    >>> print(*rates_of(0.8, 0.8, 50, 500))
    0.8 0.02
    """
    if not precision > 0:  # no exam called positive, or only false ones: their number is not known
        return Rates(np.nan, np.nan)
    return Rates(recall, round(min(recall * positives * (1 / precision - 1) / negatives, 1.0), 12))


def paper_test() -> tuple[int, int]:
    """Positives and negatives of the paper's test split (Table II)."""
    return papers.TEST_POSITIVES["A"], papers.TEST_NEGATIVES["A"]


def paper_rates(column: str = "56%") -> Rates:
    """The middle of the random and the joint selection in Table III of paper A."""
    cells = papers.table("A.III").set_index(["row", "column", "metric"])["value"]
    rates = [
        rates_of(*(cells[row, column, m] for m in ("precision", "recall")), *paper_test())
        for row in ("random", "both")
    ]
    return Rates(*ndtr(ndtri(rates).mean(axis=0)).tolist())


@dataclass(frozen=True)
class Measured:
    """What was simulated: `case` says which exams and runs.

    `curves`: test ("paper", "ours"), case, difference, power. `sizes`: the paper's classifiers and class ratio in tests of
    many sizes: case, positives, smallest.
    """

    curves: pd.DataFrame
    sizes: pd.DataFrame


def measured(p, spread: Spread | None) -> Measured:
    """Simulate the paper's test and ours, and tests of many sizes; an artefact of `build/P/power`.

    Args:
        p: of the notebook; `study.bootstrap` simulated tests each. spread: at the largest selection; where it is None,
            only what needs no runs of ours is simulated.
    """

    def compute(folder: Path) -> None:
        for name, frame in zip(("curves", "sizes"), _simulated(spread, p.study.bootstrap), strict=True):
            frame.to_parquet(folder / f"{name}.parquet", index=False)

    config = {"spread": spread and asdict(spread), "n": p.study.bootstrap, "paper": list(paper_rates())}
    folder = artefact(paths.build(p.study.name) / "power", "power", config, ["scores.power"], compute)
    return Measured(*(pd.read_parquet(folder / f"{name}.parquet") for name in ("curves", "sizes")))


def cases(spread: Spread | None) -> dict[str, tuple[Spread, dict]]:
    """What is simulated: name -> (how runs differ, further arguments of `simulate`).

    >>> list(cases(None))
    ['test exams alone, no shared mistakes']
    """
    found = {UNLIKE: (replace(STRANGERS, rates=paper_rates()), {})}
    if spread is not None:
        found[EXAMS] = spread, {"training": False}
        found |= {f"{k} seed{'s' * (k > 1)}": (spread, {"seeds": k}) for k in SEEDS}
    return found


def _simulated(spread: Spread | None, n: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    tests = {"paper": (paper_rates(), *paper_test())}
    if spread is not None:
        tests["ours"] = spread.rates, spread.positives, spread.negatives
    curves = [
        power_curve(rates, how, *exams, n=n, **options).assign(test=test, case=case)
        for test, (rates, *exams) in tests.items()
        for case, (how, options) in cases(spread).items()
    ]
    rates, positives, negatives = tests["paper"]
    sizes = [
        (case, int(k), smallest(rates, how, int(k), round(k * negatives / positives), n=n, **options))
        for case, (how, options) in cases(spread).items()
        for k in POSITIVES
    ]
    return pd.concat(curves, ignore_index=True), pd.DataFrame(
        sizes, columns=["case", "positives", "smallest"]
    )
