"""Is what was selected worth more than as many random negatives? Each row against the random one, by its score, in a table.

Of networks and of the linear referee alike; `agreement` says how far the two go together where both spoke.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler
from scipy.stats import rankdata

from covid_study.ranking.rivals import RIVALS
from covid_study.report import decided, show
from covid_study.scores import claims, published
from covid_study.scores.resamples import Interval, Resamples
from covid_study.tables import a3_ranking, volume_steps

SCORES = ("f1", "auc")
IN_WORDS = {claims.HOLDS: "better", claims.FAILS: "worse", claims.NO_EFFECT: "no effect", claims.OPEN: "open"}


def against_random(of: claims.Scored) -> pd.DataFrame:
    """What each row scores, and how much above as many random negatives, at each size and on average; "all": all negatives.

    Choice: the interval over patients and draws decides by the rule of the claims; nothing is corrected for the number of rows.

    Returns:
        row, column ("mean": over the sizes), score, value, difference, low, high, seeds, verdict ("better", "worse", "no
        effect", "open").
    """
    lines, columns = [], list(dict.fromkeys(where for _, where in of.ran if where != "all"))
    for row in dict.fromkeys(["random", "all", *(row for row, _ in of.ran)]):
        pairs = {
            where: [(("random", "all") if row == "all" else (row, where), ("random", where))]
            for where in columns
        }
        pairs["mean"] = [pair for (pair,) in pairs.values()]
        for where, asked in pairs.items():
            cells = {cell for cell, _ in asked}
            for score in SCORES:
                alone = [values[score] for cell, values in of.values.items() if cell[:2] in cells]
                found = claims.paired_difference(of, asked, score)
                said = claims.verdict(found["low"], found["high"], found["seeds"], of.fewest)
                lines.append(
                    {
                        "row": row,
                        "column": where,
                        "score": score,
                        "value": np.mean(alone) if alone else np.nan,
                    }
                    | {name: found[name] for name in ("difference", "low", "high", "seeds")}
                    | {"verdict": "" if row == "random" else IN_WORDS[said]}
                )
    return pd.DataFrame(lines)


def compared(of: Mapping[str, claims.Scored]) -> pd.DataFrame:
    """`against_random` for several sources or tasks: `given` names them, `label` the row; rows without a label are left out."""
    parts = [against_random(one).assign(given=name) for name, one in of.items()]
    found = pd.concat(parts, ignore_index=True)
    found = found[found["row"].isin(labels()) & found["value"].notna()]
    return found.assign(label=found["row"].map(labels()))


def labels() -> dict[str, str]:
    """The rows in words, in their order."""
    known = pd.concat([published.table(name) for name in ("A.III", "A.V")])
    known = known.drop_duplicates("row").set_index("row")["label"].to_dict() | a3_ranking.WORDS
    return {"random": known["random"], "all": "All negatives"} | {
        row: known[row] for row in (*volume_steps.ROWS, *RIVALS) if row != "random"
    }


def shown(found: pd.DataFrame, score: str = "auc", title: str = "") -> Styler:
    """A line a row, a column a source or task: the score, points above random with their 95 % interval, and the verdict.

    found: of `compared`.
    """
    lines = found[(found["score"] == score) & (found["column"] == "mean")]
    text = [
        f"{100 * line.value:.1f}"
        + (f", {decided.points(line.difference)} ({decided.between(line.low, line.high)}), {line.verdict}")
        * bool(line.verdict)
        for line in lines.itertuples()
    ]
    table = lines.assign(text=text).pivot(index="label", columns="given", values="text")
    order = [label for label in labels().values() if label in table.index]
    return show.table(table.loc[order, lines["given"].unique()].rename_axis(None), title)


def together(*tables: claims.Scored) -> claims.Scored:
    """The networks of several tables of the same test exams, e.g. of Tables III and V: `Table.scored`."""
    values = {cell: scores for table in tables for cell, scores in table.values.items()}
    draws = {cell: drawn for table in tables for cell, drawn in table.draws.items()}
    return claims.Scored(values, draws, tables[0].fewest)


def agreement(of: claims.Scored, networks: claims.Scored) -> Interval:
    """Do the referee and the networks agree on what is better than random? Spearman's correlation of their gains of AUC.

    Over all rows and columns that both have, each averaged over its draws or seeds, on the same resamples of the test patients.

    networks: of `together`.
    """
    cells = [c for c in of.ran if c in networks.ran and c[0] != "random" and ("random", c[1]) in networks.ran]
    if len(cells) < 3:
        return Interval(note="fewer than three selections in common")
    both = [np.stack([_gain(one, cell) for cell in cells]) for one in (of, networks)]
    ranks = [rankdata(side, axis=0) for side in both]  # (cells, 1 + resamples)
    ranks = [side - side.mean(axis=0) for side in ranks]
    with np.errstate(invalid="ignore"):
        found = (ranks[0] * ranks[1]).sum(axis=0) / np.sqrt(
            (ranks[0] ** 2).sum(axis=0) * (ranks[1] ** 2).sum(axis=0)
        )
    return Interval(float(found[0]), *Resamples.interval(found[1:]))


def _gain(of: claims.Scored, cell: tuple[str, str]) -> np.ndarray:
    """The difference of AUC to random, as it is and in every resample, means over draws or seeds: (1 + resamples,)."""

    def mean(at: tuple[str, str]) -> np.ndarray:
        of_cell = [c for c in of.values if c[:2] == at]
        return np.mean([np.r_[of.values[c]["auc"], of.draws[c].get("auc", [])] for c in of_cell], axis=0)

    return mean(cell) - mean(("random", cell[1]))
