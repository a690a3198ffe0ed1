"""Does what paper B says of its Tables 3 to 6 hold on the slices at hand? Paired differences, as `claims` has for paper A.

Two classifiers are compared on the same resamples of the same test patients.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from covid_study.errors import StudyError
from covid_study.scores import old_claims as claims, published, slices

Pair = tuple[tuple[str, str], tuple[str, str]]  # (row, column) that is said to be higher, (row, column)
WHOLE, BASELINE, OURS, COLUMN = "100%", "baseline", "dsn_saal", "slices"
TABLES = ("B.3", "B.4", "B.5", "B.6")
MAIN = ("gmean", "f1", "acc", "auc")  # the paper's main scores (4.2), the first judged by; the AUC is ours
ALL = ("gmean", "f1", "acc", "sen", "spe")  # the "indicators" of Table 6


@dataclass(frozen=True)
class Comparison:
    """One line of a claim: the mean difference of its pairs, times `added`."""

    name: str
    pairs: tuple[Pair, ...]
    added: int = 1  # 2 where a line compares two differences, each with a pair of its own


@dataclass(frozen=True)
class Claim:
    """What is said, where, and by which scores, the first of them the one that it is judged by."""

    key: str
    text: str
    where: str
    metrics: tuple[str, ...]


CLAIMS = {
    "B.3": (Claim("all", "DSN-SAAL scores higher than every other network", "5.1", MAIN),),
    "B.4": (
        Claim("dsn", "Deep supervision raises the scores of a network", "5.2", MAIN),
        Claim("shallow", "The shallow VGG-16 gains more by it than a deeper network", "5.2", MAIN),
    ),
    "B.5": (
        Claim("saal", "SAAL scores higher than every other loss", "5.2", ("f1", "gmean", "acc", "auc")),
        Claim("both", "DSN and SAAL together score higher than either alone", "5.2", MAIN),
    ),
    "B.6": (
        Claim(
            "scores",
            "DSN-SAAL scores higher than the baseline, however few the COVID-19 slices",
            "5.3",
            (*MAIN, "sen", "spe"),
        ),
        Claim(
            "fall",
            "With fewer COVID-19 slices the sensitivity of DSN-SAAL falls less than the baseline's",
            "5.3",
            ("sen",),
        ),
        Claim(
            "spe", "With fewer COVID-19 slices the specificity of DSN-SAAL rises slightly", "5.3", ("spe",)
        ),
        Claim("decline", "With fewer COVID-19 slices all scores of DSN-SAAL decline", "5.3", ALL),
        Claim(
            "decline_baseline", "With fewer COVID-19 slices all scores of the baseline decline", "5.3", ALL
        ),
    ),
}


def resample(
    predictions: Mapping[claims.Cell, pd.DataFrame], n: int = 1000, seed: int = 0, patients: bool = False
) -> claims.Resampled:
    """Score every run on the same n resamples of the test patients, drawn within their class (paper B, eq. 11 to 16).

    Args:
        predictions: table of each run, by (row, column, seed). n: resamples. seed: of the draw. patients: score patients
            (mean probability over their slices) instead of slices.

    Raises:
        StudyError: two runs were tested on different slices, so that nothing can be paired.
    """
    tests = {}
    for cell, table in predictions.items():
        test = table[table["split"] == "test"].sort_values("slice_id")
        tests[cell] = slices.by_patient(test) if patients else test
        key = ["patient_id", "finding"] if patients else ["slice_id", "patient_id", "finding"]
        same = tests[cell][key].reset_index(drop=True)
        if len(tests) == 1:
            first_cell, first = cell, same
        elif not same.equals(first):
            raise StudyError(f"{cell} was tested on other slices than {first_cell}: train both anew.")
    arrays = {cell: slices.read(test) for cell, test in tests.items()}
    drawn = slices.drawn(arrays[first_cell], n, seed)
    parts = {cell: [] for cell in arrays}
    for weights in drawn.weights():
        for cell, called in arrays.items():
            parts[cell].append(slices.weighted(called.y, called.p, weights))
    draws = {
        cell: {m: np.concatenate([b[m] for b in found]) if found else np.empty(0) for m in slices.OF_SLICES}
        for cell, found in parts.items()
    }
    values = {cell: slices.point_scores(test).to_dict() for cell, test in tests.items()}
    return claims.Resampled(values, draws, drawn.fewest)


def comparisons(name: str, claim: str, ran: Sequence[tuple[str, str]]) -> list[Comparison]:
    """The lines of a claim about the cells that were run, in their order, whatever backbones, losses and shares they have.

    >>> ran = [("dsn_saal", "slices"), ("resnet50", "slices")]
    >>> comparisons("B.3", "all", ran)
    [Comparison(name='resnet50', pairs=((('dsn_saal', 'slices'), ('resnet50', 'slices')),), added=1)]
    """
    rows = list(dict.fromkeys(row for row, _ in ran))
    others = [row for row in rows if (row, COLUMN) in ran]

    def against(one: str, than: list[str]) -> list[Comparison]:
        there = (one, COLUMN) in ran
        return [Comparison(row, (((one, COLUMN), (row, COLUMN)),)) for row in than if there and row != one]

    if (name, claim) == ("B.3", "all"):
        return against(OURS, others)
    if (name, claim) == ("B.5", "saal"):
        return against("saal", [row for row in others if row not in ("dsn", OURS)])
    if (name, claim) == ("B.5", "both"):
        return against(OURS, [row for row in ("dsn", "saal") if row in others])
    if claim in ("spe", "decline", "decline_baseline"):
        method = BASELINE if claim == "decline_baseline" else OURS
        fewer = {
            row: ((row, method), (WHOLE, method)) for row in rows if row != WHOLE and (row, method) in ran
        }
        turn = 1 if claim == "spe" else -1  # what declines is higher with all slices
        return [Comparison(row, (pair[::turn],)) for row, pair in fewer.items() if pair[1] in ran]
    both = {"B.4": ("dsn", BASELINE), "B.6": (OURS, BASELINE)}[name]
    pairs = {
        row: tuple((row, column) for column in both) for row in rows if all((row, c) in ran for c in both)
    }
    if claim in ("dsn", "scores"):
        return [Comparison(row, (pair,)) for row, pair in pairs.items()]
    first = "vgg16_bn" if claim == "shallow" else WHOLE
    if first not in pairs:
        return []
    rest = {row: pair for row, pair in pairs.items() if row != first}
    if claim == "shallow":  # what VGG-16 gains less what the other gains
        return [Comparison(row, (pairs[first], pair[::-1]), added=2) for row, pair in rest.items()]
    return [Comparison(row, (pair, pairs[first][::-1]), added=2) for row, pair in rest.items()]


def difference(resampled: claims.Resampled, line: Comparison, metric: str) -> dict:
    """`claims.paired_difference` of a line: difference, low, high, seeds."""
    found = claims.paired_difference(resampled, line.pairs, metric)
    return found | {key: line.added * found[key] for key in ("difference", "low", "high")}


def check(resampled: claims.Resampled, name: str) -> pd.DataFrame:
    """Every claim about a table against the runs.

    Args:
        resampled: from `resample`, of cells named as in the published table; those of Table 5 may also hold ("dsn",
            "slices") and ("dsn_saal", "slices"). name: "B.3", "B.4", "B.5" or "B.6".

    Returns:
        Tidy, as `claims.check`: table, claim, text, where, metric, column (what is compared with: a row of the table, or
        "mean" over them), the two cells, difference, low, high, seeds, published (the paper's difference), verdict. No
        rows where nothing that a claim is about was run.
    """
    ran = list(dict.fromkeys(cell[:2] for cell in resampled.values))
    lines = {claim: comparisons(name, claim.key, ran) for claim in CLAIMS[name]}
    return judged(resampled, name, lines)


def judged(
    resampled: claims.Resampled, name: str, lines: Mapping[Claim, Sequence[Comparison]]
) -> pd.DataFrame:
    """The lines of some claims, each with its verdict, and the mean over them; returns what `check` does.

    name: the paper's table whose differences stand beside ours; any other name has none.
    """
    paper, rows = _published(name), []
    for claim, several in lines.items():
        if len(several) > 1:
            every = tuple(pair for line in several for pair in line.pairs)
            several = [*several, Comparison(claims.MEAN, every, several[0].added)]
        for metric in claim.metrics:
            for line in several:
                found = difference(resampled, line, metric)
                theirs = [
                    paper.get((*a, metric), np.nan) - paper.get((*b, metric), np.nan) for a, b in line.pairs
                ]
                rows.append(
                    {"table": name, "claim": claim.key, "text": claim.text, "where": claim.where}
                    | {"metric": metric, "column": line.name, **claims.cells(line.pairs), **found}
                    | {"published": line.added * np.mean(theirs)}
                    | {"verdict": claims.verdict(found["low"], found["high"], resampled.fewest)}
                )  # fmt: skip
    return pd.DataFrame(rows)


def _published(name: str) -> dict[tuple[str, str, str], float]:
    """Scores by row, column and metric of a table of the paper; none for another name.

    Tables 3 to 6 are one, as their rows stand in each other's claims; "dsn" among the losses is VGG-16 with deep supervision.
    """
    if name not in published.names():
        return {}
    tables = pd.concat(published.table(other) for other in (TABLES if name in TABLES else [name]))
    alone = tables.query("table == 'B.4' and row == 'vgg16_bn' and column == 'dsn'")
    tables = pd.concat([tables, alone.assign(row="dsn", column=COLUMN)])
    return tables.set_index(["row", "column", "metric"])["value"].to_dict()


def falls(resampled: claims.Resampled) -> pd.DataFrame:
    """How much sensitivity is lost with fewer COVID-19 slices: the numbers in brackets of Table 6 (paper B, 5.3).

    Args:
        resampled: of cells (share, method), e.g. ("25%", "baseline"); "100%" is what the others are compared with.

    Returns:
        row (share), column (method), metric "sen_fall", mean, sd, low, high, seeds; negative is a fall. For
        `show.side_by_side`, beside the other scores.
    """
    ran, rows = dict.fromkeys(cell[:2] for cell in resampled.values), []
    for share, method in ran:
        if share == WHOLE or (WHOLE, method) not in ran:
            continue
        pair = ((share, method), (WHOLE, method))
        found = claims.paired_difference(resampled, [pair], "sen")
        of_seeds = [
            resampled.values[share, method, seed]["sen"] - resampled.values[WHOLE, method, seed]["sen"]
            for *cell, seed in resampled.values
            if tuple(cell) == (share, method) and (WHOLE, method, seed) in resampled.values
        ]
        rows.append(
            {"row": share, "column": method, "metric": "sen_fall", "mean": found["difference"]}
            | {"sd": float(np.std(of_seeds, ddof=1)) if len(of_seeds) > 1 else np.nan}
            | {key: found[key] for key in ("low", "high", "seeds")}
        )  # fmt: skip
    return pd.DataFrame(rows, columns=["row", "column", "metric", "mean", "sd", "low", "high", "seeds"])
