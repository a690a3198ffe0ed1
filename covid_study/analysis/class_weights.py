"""How much a loss that knows the effective number of samples weighs each class, by its factor (paper B, eq. 5 to 7).

SAAL learns the factor alpha, the class-balanced loss is given it as beta; the weights are the same function of either. It
is written here in 1 - alpha, for all that matters happens close to alpha = 1.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from scipy.optimize import brentq

from covid_study.cohort.findings import classes_of
from covid_study.losses.class_balanced import effective_number
from covid_study.report.words import finding_name
from covid_study.samples.samples import Samples
from covid_study.scores import published

NEAR_ONE = 1e-12  # 1 - alpha where the weights are those of inverse counts, for counts of any study
START = (-1.96, 1.96)  # of raw alpha: 95 in 100 standard normal variates, what SAAL starts from


def of_study(s: Samples) -> dict[str, int]:
    """Training slices of each class here, COVID-19 first."""
    found = s.table.loc[s.table["split"] == "train", "finding"].value_counts()
    return {name: int(found[name]) for name in classes_of(found.index)}


def of_paper() -> dict[str, int]:
    """Training slices of each class of COVID19-Diag (paper B, Table 2).

    >>> of_paper()
    {'covid': 1256, 'cap': 980, 'non_pneumonia': 2674}
    """
    images = (
        published.table("B.2").query("column == 'train' and metric == 'images'").set_index("row")["value"]
    )
    return {name: int(images[name]) for name in ("covid", "cap", "non_pneumonia")}


def weights(one_minus_alpha: np.ndarray, counts: Sequence[int]) -> np.ndarray:
    """Weight of each class, (1 - alpha) / (1 - alpha^k), k its count (paper B, eq. 7).

    Args:
        one_minus_alpha: float64 (n,), in (0, 1). counts: (classes,).

    Returns:
        float64 (n, classes).

    >>> weights(np.array([0.5]), [1, 2]).round(4).tolist()
    [[1.0, 0.6667]]
    """
    log_alpha = torch.log1p(-torch.as_tensor(one_minus_alpha, dtype=torch.float64))
    return (1 / effective_number(log_alpha[:, None], torch.as_tensor(counts, dtype=torch.float64))).numpy()


def relative(one_minus_alpha: np.ndarray, counts: Sequence[int]) -> np.ndarray:
    """The same as a share of their mean: what the loss says of one class against another. float64 (n, classes)."""
    found = weights(one_minus_alpha, counts)
    return found / found.mean(axis=1, keepdims=True)


def apart(one_minus_alpha: float, counts: Sequence[int]) -> float:
    """How much more the largest weight is than the smallest, as a share of the smallest: 0 where all are equal.

    >>> apart(0.5, [980, 2674]), round(apart(1e-12, [980, 2674]), 3)  # at 1 - alpha = 0 as much as the counts
    (0.0, 1.729)
    """
    found = weights(np.array([one_minus_alpha]), counts)[0]
    return float(found.max() / found.min() - 1)


def reaches(share: float, counts: Sequence[int]) -> float:
    """1 - alpha at which the weights first are `share` apart; NaN where the counts are too alike for any alpha to do it.

    >>> f"{reaches(0.01, [1256, 980, 2674]):.4f}"  # alpha must be above 0.9953
    '0.0047'
    >>> reaches(0.01, [100, 100])
    nan
    """
    if apart(NEAR_ONE, counts) < share:
        return float("nan")
    exponent = brentq(lambda x: apart(10**x, counts) - share, np.log10(NEAR_ONE), np.log10(0.999))
    return float(10**exponent)


def raw(one_minus_alpha: float) -> float:
    """The number whose sigmoid is alpha: what gradient descent moves.

    >>> round(raw(0.5), 3), round(raw(0.0047), 2)
    (0.0, 5.36)
    """
    return float(np.log1p(-one_minus_alpha) - np.log(one_minus_alpha))


def one_minus(raw_alpha: float) -> float:
    """1 - alpha of a raw alpha, with all its digits.

    >>> one_minus(0.0), f"{one_minus(20.0):.3g}"
    (0.5, '2.06e-09')
    """
    return float(1 / (1 + np.exp(raw_alpha)))


def limits(studies: Mapping[str, Mapping[str, int]], beta: float) -> pd.DataFrame:
    """From which alpha on the weights of the classes differ, and by how much at most.

    Returns:
        A row a study: slices (of the smallest and the largest class), the alpha from which weights are 1 % and 10 % apart (none
        where no alpha does it), and the largest weight by the smallest at beta and at alpha = 1.

    >>> limits({"paper": {"covid": 1256, "cap": 980, "non_pneumonia": 2674}}, beta=0.99).iloc[0, 1:].tolist()
    ['0.9953', '0.9976', '1.00', '2.73']
    """
    rows = {}
    for study, found in studies.items():
        counts = list(found.values())
        rows[study] = {"slices of a class": f"{min(counts):,} to {max(counts):,}"}
        for share in (0.01, 0.1):
            limit = reaches(share, counts)
            rows[study][f"{share:.0%} apart from alpha ="] = "none" if np.isnan(limit) else alpha_text(limit)
        for factor, x in ((f"{beta:g}", 1 - beta), ("1", NEAR_ONE)):
            rows[study][f"largest by smallest at {factor}"] = f"{1 + apart(x, counts):.2f}"
    return pd.DataFrame.from_dict(rows, orient="index")


def alpha_text(one_minus_alpha: float) -> str:
    """An alpha with as many digits as tell it from 1.

    >>> alpha_text(0.58), alpha_text(0.0047), alpha_text(1e-5)
    ('0.42', '0.9953', '0.999990')
    """
    digits = max(2, int(np.ceil(-np.log10(one_minus_alpha))) + (one_minus_alpha < 0.01))
    return f"{1 - one_minus_alpha:.{digits}f}"


def drawn(studies: Mapping[str, Mapping[str, int]], ends: tuple[float, float] = (1e-6, 0.95)) -> pd.DataFrame:
    """The relative weight of each class over alpha, for `curves.lines`: study, class, one_minus_alpha, weight."""
    x, parts = np.geomspace(*ends, 200), []
    for study, counts in studies.items():
        shown = relative(x, list(counts.values()))
        for i, (finding, count) in enumerate(counts.items()):
            name = f"{finding_name(finding)} ({count:,} slices, {study})"
            parts.append(
                pd.DataFrame({"study": study, "class": name, "one_minus_alpha": x, "weight": shown[:, i]})
            )
    return pd.concat(parts, ignore_index=True)


def places(studies: Mapping[str, Mapping[str, int]], beta: float) -> dict[str, dict[str, float]]:
    """What stands where on the axis of 1 - alpha: between which alphas SAAL starts, beta, and from where weights differ."""
    found = {}
    for study, counts in studies.items():
        limit = reaches(0.01, list(counts.values()))
        found[study] = {"alpha starts from here": one_minus(START[0]), "to here": one_minus(START[1])}
        found[study] |= {"class-balanced": 1 - beta}
        found[study] |= {f"1 % apart from {alpha_text(limit)}": limit} if np.isfinite(limit) else {}
    return found
