"""Does what the papers claim hold on the cohort at hand? One engine for both papers, and one of four verdicts.

`claims.yaml` holds the claims (`estimands`). What is compared is compared on the same draws of the same test patients, seed by
seed (`paired`), and averaged over the columns; where a claim is about each of several, the next best decides.

>>> from covid_study.scores import claims
>>> runs = {("resnet50", "all", seed): {"hours": 5.0 + seed} for seed in range(3)}
>>> runs |= {("resnet18", "all", seed): {"hours": 2.5 + seed / 2} for seed in range(3)}
>>> line = claims.decide(claims.Scored(runs, {}, 50), claims.of_table("A.IV")).set_index("key").loc["A14"]
>>> round(float(line["difference"]), 3), line["verdict"]
(2.0, 'holds')
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from covid_study.scores.estimands import Claim, Term, of_table, read
from covid_study.scores.paired import Cell, Scored, estimate, paired_difference, scored

__all__ = ["Cell", "Claim", "Scored", "decide", "lines", "of_table", "paired_difference", "read", "scored"]

HOLDS, FAILS, NO_EFFECT, OPEN = "holds", "fails", "no effect", "open"
MARGIN = 0.02  # a difference inside of it on both sides is no effect: 2 points, or 2 % of a ratio
SEEDS, PATIENTS = 3, 10  # fewer trainings, or fewer test patients in a class, leave every claim open
ALPHA = 0.05
MOST_SEEDS = 100
# Scores at a threshold by which "scores higher" may be judged without one, too
AT_THRESHOLD = ("f1", "acc", "gmean")
BY_AUC = ("auc", "auc_low", "auc_high", "by_auc")  # a difference with its interval, and its verdict
COLUMNS = [
    *("key", "table", "text", "place", "score", "kind", "difference", "low", "high", "seeds", "fewest"),
    *("published", "verdict", "needs", "p", "p_holm", "adjusted", *BY_AUC),
]


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
    a paper. Times need three seeds and no patients; counts need neither. A ratio of times is open where the trainings did not
    share the machine alike (`shared_hours` of `of` for `hours`): what shares it alike is slowed alike.

    Choice: a claim to be ahead of every other holds where it is ahead of the next best: of its differences the one whose
    interval begins lowest stands for all (an intersection of claims, which asks for no correction).

    Choice: of a claim that something scores higher by F1, accuracy or G-mean, `by_auc` says what AUC makes of the same cells,
    beside the verdict and never in its place: AUC has no threshold and varies less from one training to the next.

    Args:
        of: from `scored`, with `hours` and `params` where a claim asks for them. claims: e.g. of `of_table`.
        but_not: rows that stand for nothing (trained for less, say) where a claim speaks of all others; counts take them all.

    Returns:
        key, table, text, place, score, kind, difference, low, high (fractions; of "ratio" and "count" the ratio and count),
        seeds, fewest, published, verdict, needs (what would close an open one), p, p_holm, adjusted; auc, auc_low, auc_high and
        by_auc, which is empty where AUC says nothing about the claim.
    """
    rows = [_decided(of, c, c.lines(of.ran, () if c.kind == "count" else but_not)) for c in claims]
    return adjust(pd.DataFrame(rows, columns=COLUMNS))


def lines(of: Scored, claims: Iterable[Claim], but_not: Iterable[str] = ()) -> pd.DataFrame:
    """What each claim speaks of, a line each, as `decide`; `line` names the cells, e.g. "both 14% - random 14%"."""
    rows = []
    for claim in claims:
        for line in claim.lines(of.ran, but_not):
            name = " ".join(f"{'- ' * (s < 0)}{row} {column}" for s, (row, column), _ in line)
            rows.append({**_decided(of, claim, [line]), "line": name})
    return adjust(pd.DataFrame(rows, columns=[*COLUMNS, "line"]))


def _decided(of: Scored, claim: Claim, lines: list[list[Term]]) -> dict:
    about = {name: getattr(claim, name) for name in ("key", "table", "text", "place", "score", "kind")}
    about |= {
        "published": claim.printed,
        "fewest": of.fewest,
        "seeds": 0,
        "verdict": OPEN,
        "needs": "",
        "by_auc": "",
    }
    if not lines:
        return about | {"needs": "a run of each of its rows"}
    if claim.kind == "count":
        found = [estimate(of, [line])["difference"] for line in lines]
        if not np.isfinite(found).all():
            return about | {"needs": f"the {claim.score} of each of its rows"}
        return about | {"difference": max(found), "verdict": HOLDS if max(found) <= claim.at_most else FAILS}
    found = _estimated(of, claim, lines)
    ends, patients = (found["low"], found["high"]), of.fewest
    if claim.kind == "ratio":
        ends, patients = np.log(ends), np.inf
    said = verdict(*ends, found["seeds"], patients)
    if claim.kind == "ratio" and said != OPEN and not _timed_alike(of, lines, claim.score):
        said = about["verdict"] = OPEN
        about["needs"] = "trainings that share the machine alike"
    elif not found["seeds"]:
        about["needs"] = f"the {claim.score} of each of its rows"
    elif said == OPEN:
        middle = np.log(found["difference"]) if claim.kind == "ratio" else found["difference"]
        about["needs"] = needed(middle, found["sd"], found["patients"], patients)
    told = {k: found[k] for k in ("difference", "low", "high", "seeds", "p")} | {"verdict": said}
    return about | told | _by_auc(of, claim, lines)


def _estimated(of: Scored, claim: Claim, lines: list[list[Term]]) -> dict:
    """The difference that decides a claim, with its interval."""
    if claim.kind == "ratio":
        return _ratio(of, lines)
    if claim.each:  # what has no interval yet comes first
        return min(
            (estimate(of, [line]) for line in lines), key=lambda one: np.nan_to_num(one["low"], nan=-np.inf)
        )
    return estimate(of, lines, 0.5 * (claim.kind == "auc"))


def _by_auc(of: Scored, claim: Claim, lines: list[list[Term]]) -> dict:
    """What AUC says of a claim's cells; nothing of a claim about something else, or about two scores."""
    if claim.score not in AT_THRESHOLD or {score for line in lines for *_, score in line} != {claim.score}:
        return {}
    found = _estimated(of, claim, [[(sign, cell, "auc") for sign, cell, _ in line] for line in lines])
    if not found["seeds"]:
        return {}
    said = verdict(found["low"], found["high"], found["seeds"], of.fewest)
    return dict(zip(BY_AUC, (found["difference"], found["low"], found["high"], said), strict=True))


def _timed_alike(of: Scored, lines: list[list[Term]], score: str) -> bool:
    named = {cell for line in lines for _, cell, _ in line}
    shared = [values.get(f"shared_{score}", 0) for cell, values in of.values.items() if cell[:2] in named]
    return bool(np.isfinite(alike(shared)))


def alike(others: Iterable[float]) -> float:
    """How many others each of some trainings shared the machine with; NaN where not all alike.

    >>> alike([1, 1]), alike([1, 3]), alike([1, float("nan")])
    (1.0, nan, nan)
    """
    first, *rest = others
    return float(first) if all(one == first for one in rest) else np.nan
