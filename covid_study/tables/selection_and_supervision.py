"""Does choosing negatives help a loss that rebalances? Paper A's selection and paper B's loss, each without and with the other.

Neither paper has it. Three sets of negative slices (all, a random part, and as many drawn from the ranking of paper A) times
two losses (cross entropy and SAAL of paper B), at several shares of the COVID-19 slices.
"""

from dataclasses import replace

import numpy as np
import pandas as pd

from covid_study.ranking.sampling import select
from covid_study.samples.samples import Samples
from covid_study.scores import claims
from covid_study.tables import slice_ranking, slice_steps
from covid_study.tables.scoring import SLICES
from covid_study.tables.slice_rows import words
from covid_study.tables.table import Table, column
from covid_study.tables.volume_steps import selection_size
from covid_study.training.run import Spent

LOSSES = ("ce", "saal")
NEGATIVES = {"all": "all negatives", "random": "as many, random", "dual_track": "chosen by the ranking"}


def random_order(negatives: list[str], seed: int) -> list[str]:
    """The negatives in a random order, whose first part is the random selection: a smaller part is part of a larger one.

    Choice: it does not depend on the positives, so that every share of them is compared on the same negatives.

    >>> random_order(["a", "b", "c", "d"], 0)
    ['c', 'a', 'b', 'd']
    """
    return [str(name) for name in np.random.default_rng(seed).permutation(sorted(negatives))]


def with_every(finding: pd.Series, part: list[str], order: list[str]) -> list[str]:
    """`part` with every finding in it: one that lacks comes by its first slice in `order`, for the last one that can be spared.

    >>> finding = pd.Series(["cap", "cap", "cap", "normal"], index=list("abcd"))
    >>> with_every(finding, ["b", "a"], list("cbad"))
    ['b', 'd']
    """
    part = list(part)
    for missing in sorted(set(finding[order]) - set(finding[part])):
        spared = [name for name in part if (finding[part] == finding[name]).sum() > 1]
        if spared:
            part.remove(spared[-1])
        part.append(next(name for name in order if finding[name] == missing))
    return part


def shares(p) -> list[float]:
    """The shares of the COVID-19 slices, from all to the fewest."""
    return sorted(set(p.slice_selection.positives), reverse=True)


def left(s: Samples, share: float, seed: int) -> tuple[list[str], list[str]]:
    """Positive and negative training slices with this share of the positives (`slice_steps.fewer_positives`)."""
    kept = slice_steps.fewer_positives(s, share, seed)
    positive = s.table.loc[kept, "finding"] == "covid"
    return list(positive.index[positive]), list(positive.index[~positive])


def table(p, s: Samples) -> Table:
    """The six classifiers: rows all_ce, random_ce, dual_track_ce, all_saal, ...; columns shares of the COVID-19 slices.

    Choice: the selection is paper A's own, the long tail over the joint rank (IV-E), of `slice_selection.share` of the
    negatives. It is drawn from the training slices alone and anew for each seed, by slice as paper A draws exams.
    Choice: a finding that was not drawn at all is let in by its slice of the best rank (in the random part: its first), in
    place of the last one of a finding that has several: a network has to see each class.
    Choice: every run has the same number of epochs, so that fewer negatives mean fewer steps, as in paper A, whose gain is
    time. The random part takes as many steps as the chosen one.
    Choice: the networks are not deeply supervised: the question is the loss.
    """
    share_of, runs = p.slice_selection.share, {}
    for seed in p.slice_training.seeds:
        for share in shares(p):
            positives, negatives = left(s, share, seed)
            ranking, seconds = slice_ranking.ranked(p, s, positives)
            size, exponent = selection_size(share_of, len(negatives)), p.sampling.long_tail_exponent
            by_rank = list(ranking["joint_rank"].sort_values().index)
            at_random = random_order(negatives, seed)
            chosen = select(ranking, "long_tail", size, seed, exponent=exponent)
            parts = {
                "all": negatives,
                "random": with_every(s.table["finding"], at_random[:size], at_random),
                "dual_track": with_every(s.table["finding"], chosen, by_rank),
            }
            for name, part in parts.items():
                for loss in LOSSES:
                    taken = sorted([*positives, *part])
                    run = slice_steps.run(p, s, seed, loss=loss, training_ids=taken)
                    before = Spent(seconds if name == "dual_track" else 0.0)
                    runs[f"{name}_{loss}", column(share), seed] = replace(run, before=before)
    scoring = replace(SLICES, shown=("gmean", "auc", "sen", "spe"))
    return Table("selection", runs, s, p.study, main="S3", scoring=scoring, words=words(None))


def effects(table: Table) -> pd.DataFrame:
    """What choosing gains at every share of the COVID-19 slices, and on average where there are several.

    Returns:
        key, column, difference, low, high, seeds.
    """
    asked = claims.of_table(table.name)
    lines = claims.lines(table.scored(), asked)
    at = lines["line"].str.split().str[1]
    found = lines.assign(column=at)
    if at.nunique() > 1:
        found = pd.concat([found, table.claims().assign(column="mean")], ignore_index=True)
    return found[["key", "column", "difference", "low", "high", "seeds"]]


def taken(table: Table) -> pd.DataFrame:
    """What each set of negatives is made of, means over the seeds.

    Returns:
        Index (column, negatives), e.g. ("50%", "random"); positives, slices, patients (of the negatives), and one column a
        finding other than COVID-19: its part of the negatives.
    """
    rows = []
    for (row, share, _), run in table.runs.items():
        name, _, loss = row.rpartition("_")
        if loss != LOSSES[0]:  # the other loss is trained on the same slices
            continue
        trained = table.samples.table.loc[list(run.training_ids)]
        others = trained[trained["finding"] != "covid"]
        parts = others["finding"].value_counts(normalize=True)
        parts = {finding: parts.get(finding, 0.0) for finding in run.classes[1:]}
        rows.append(
            {"negatives": name, "column": share, "positives": len(trained) - len(others)}
            | {"slices": len(others), "patients": others["patient_id"].nunique(), **parts}
        )  # fmt: skip
    return pd.DataFrame(rows).groupby(["column", "negatives"], sort=False).mean()


def by_loss(results: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The lines of `Table.results` of one score, with `negatives` and `loss` beside them.

    >>> by_loss(pd.DataFrame({"row": ["dual_track_ce"], "metric": "auc"}), "auc")[["negatives", "loss"]].values.tolist()
    [['dual_track', 'ce']]
    """
    found = results[results["metric"] == metric]
    parts = found["row"].str.rsplit("_", n=1, expand=True)
    return found.assign(negatives=parts[0], loss=parts[1])
