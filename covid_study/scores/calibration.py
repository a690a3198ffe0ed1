"""Can the probabilities be believed, and acted on? Brier scores, reliability and net benefit, each with its interval.

All three are sums over cases by sums over cases, so that one function puts every interval on them. Read of what
`Table.tested` gives: the predictions of the test split, a frame a training.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from covid_study.scores import binary
from covid_study.scores.resamples import Resamples
from covid_study.scores.seeds import joined

Tested = Mapping[
    str, Sequence[pd.DataFrame]
]  # a classifier in words -> label, probability, patient_id, a frame a seed
Parts = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]  # y, p -> two of (cases, k)
MOST_BINS, CASES_A_BIN = 10, 10
THRESHOLDS = tuple(np.arange(1, 100) / 100)
EVERYONE, NO_ONE = "everyone is called COVID-19", "no one is"


def brier(tested: Tested, n: int = 1000) -> pd.DataFrame:
    """Mean squared distance of probability and truth, 0 is best (Brier 1950), beside what a constant would get.

    Returns:
        A row a classifier: `label`, `brier`, `low`, `high`, `of_the_share` (the Brier score of the share of COVID-19 said of
        every case), `said` (mean probability), `share` (of COVID-19 among the cases), `seeds`.

    >>> one = pd.DataFrame({"label": [1, 0], "probability": [0.8, 0.4], "patient_id": list("ab")})
    >>> brier({"a": [one]})[["brier", "of_the_share", "said", "share"]].round(2).values.tolist()
    [[0.1, 0.25, 0.6, 0.5]]
    """
    found = _ratios(tested, lambda y, p: (np.stack([(p - y) ** 2, p, y], axis=1), np.ones((len(y), 3))), n)
    rows = []
    for label, part in found.groupby("label", sort=False):
        score, said, share = part.to_dict("records")
        about = {"of_the_share": share["value"] * (1 - share["value"]), "said": said["value"]}
        ends = {"low": score["low"], "high": score["high"]}
        rows.append({"label": label, "brier": score["value"], **ends, **about, "share": share["value"]})
    return pd.DataFrame(rows).assign(seeds=[len(frames) for frames in tested.values()])


def reliability(tested: Tested, bins: int | None = None, n: int = 1000) -> pd.DataFrame:
    """How many cases are COVID-19 among those that are called about as probable, in bins of equal counts.

    Choice: bins at the quantiles of the probabilities of each training, ten cases in each and ten bins at most, two at
    least; over several trainings the means of the first bins, of the second bins and so on.

    Args:
        bins: how many; None: by the rule above.

    Returns:
        A row a classifier and bin that holds cases: `label`, `bin`, `predicted` (mean probability), `observed` (share of
        COVID-19), `low`, `high` (of `observed`), `cases` (mean over trainings).

    >>> one = pd.DataFrame({"label": [0, 0, 1, 1], "probability": [0.1, 0.2, 0.6, 0.8], "patient_id": list("abcd")})
    >>> reliability({"a": [one]}, bins=2)[["predicted", "observed", "cases"]].round(2).values.tolist()
    [[0.15, 0.0, 2.0], [0.7, 1.0, 2.0]]
    """

    def parts(y: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        k = bins or int(np.clip(len(p) // CASES_A_BIN, 2, MOST_BINS))
        edges = np.percentile(p, np.linspace(0, 100, k + 1))[1:-1]
        inside = (np.searchsorted(edges, p)[:, None] == np.arange(k)).astype(float)
        whole = np.ones_like(inside)
        return np.hstack([inside * y[:, None], inside * p[:, None], inside]), np.hstack(
            [inside, inside, whole]
        )

    found = _ratios(tested, parts, n)
    tables = []
    for label, part in found.groupby("label", sort=False):
        observed, predicted, inside = np.split(part[["value", "low", "high"]].to_numpy(), 3)
        table = pd.DataFrame(observed, columns=["observed", "low", "high"])
        table.insert(0, "predicted", predicted[:, 0])
        table["cases"] = inside[:, 0] * len(tested[label][0])
        tables.append(table.assign(label=label, bin=range(1, len(table) + 1)).dropna(subset="observed"))
    columns = ["label", "bin", "predicted", "observed", "low", "high", "cases"]
    return pd.concat(tables, ignore_index=True)[columns]


def net_benefit(tested: Tested, thresholds: Sequence[float] = THRESHOLDS, n: int = 1000) -> pd.DataFrame:
    """Decision curves: true positives less false positives at the odds of the threshold, a case (Vickers and Elkin 2006).

    Who calls COVID-19 from a probability t on holds a missed case to be as bad as (1 - t) / t false alarms.

    Choice: COVID-19 is as frequent as among the test cases; a clinic with fewer has less to gain.

    Args:
        thresholds: above 0, below 1; `p >= threshold` is called COVID-19.

    Returns:
        A row a classifier and threshold, then the same for calling everyone and no one: `label`, `threshold`, `benefit`,
        `low`, `high` (NaN for the two).

    >>> one = pd.DataFrame({"label": [1, 0, 0, 1], "probability": [0.9, 0.6, 0.1, 0.2], "patient_id": list("abcd")})
    >>> net_benefit({"a": [one]}, [0.5])["benefit"].tolist()
    [0.0, 0.0, 0.0]
    """
    t = np.asarray(thresholds, float)
    odds = t / (1 - t)

    def parts(y: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        gain = np.where(y[:, None] == 1, 1.0, -odds)
        return (p[:, None] >= t) * gain, np.ones((len(y), len(t)))

    found = _ratios(tested, parts, n).rename(columns={"value": "benefit"})
    found.insert(1, "threshold", np.tile(t, len(tested)))
    share = next(iter(tested.values()))[0]["label"].mean()
    others = {EVERYONE: share - (1 - share) * odds, NO_ONE: np.zeros_like(t)}
    plain = [pd.DataFrame({"label": name, "threshold": t, "benefit": of}) for name, of in others.items()]
    return pd.concat([found, *plain], ignore_index=True)


def _ratios(tested: Tested, parts: Parts, n: int) -> pd.DataFrame:
    """Sums over cases by sums over cases, means over trainings, with intervals over patients and trainings.

    Args:
        parts: y and p (cases,) -> what is added up above and below, (cases, k) each. n: resamples.

    Returns:
        k rows a classifier: `label`, `value`, `low`, `high`; NaN where nothing is below.
    """
    tables = []
    for label, frames in tested.items():
        values, draws = [], []
        for frame in frames:
            y, p = binary.checked(frame["label"], frame["probability"])
            over, under = parts(y, p)
            drawn = Resamples(y, frame["patient_id"], n)
            with np.errstate(invalid="ignore", divide="ignore"):
                values.append(over.sum(axis=0) / under.sum(axis=0))
                found = drawn.draws(lambda w, over=over, under=under: {"": (w @ over) / (w @ under)})
            draws.append(found[""] if found else np.empty((0, over.shape[1])))
        rows = []
        for k in range(values[0].size):
            runs = [s for s, value in enumerate(values) if np.isfinite(value[k])]
            told = (
                joined([values[s][k] for s in runs], [draws[s][:, k] for s in runs]) if runs else [np.nan] * 4
            )
            mean, below, above, half = told
            rows.append((label, mean, mean - np.hypot(below, half), mean + np.hypot(above, half)))
        tables.append(pd.DataFrame(rows, columns=["label", "value", "low", "high"]))
    return pd.concat(tables, ignore_index=True)
