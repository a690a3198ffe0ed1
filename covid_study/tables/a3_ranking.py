"""Table III of paper A: what difficulty, diversity and both add to a selection of the negatives (V-D)."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from covid_study.ranking.rank import jointly
from covid_study.report.words import column_head
from covid_study.samples.samples import Samples
from covid_study.scores import published
from covid_study.tables import volume_steps
from covid_study.tables.table import Cell, Table, column
from covid_study.training.run import Run

NAME = "A.III"
WORDS = {  # rows of ours
    "best_pair": "Both, by the ranking that means most",
    "stratified": "Random, stratified by centre",
    "near_miss": "NearMiss-1",
    "k_center": "K-center greedy",
    "cluster_balanced": "As many of each cluster",
    "moderate": "Moderate coreset",
    "ccs": "Coverage-centric (CCS)",
    "d2": "D2 pruning",
}


def table(p, v: Samples) -> Table:
    """Table III.

    Rows: random, difficulty, diversity, both, both_pretrained, and one that the paper lacks, best_pair: both tracks by
    `sampling.best_features` and `best_distance`; then the rules of `sampling.rivals`, with the seeds of every table alone, for
    no claim is about them. Columns: `sampling.shares`, and ALL, which has one run a seed, under "random".

    Choice: the best pair of the profiles is lung HU histograms by Hellinger. Among the training exams of another phantom
    (`demo`, seed 2021, three seeds of pre-training) it put CAP before non-pneumonia with an AUC of 0.64 [0.56, 0.73], the
    highest of the pairs that every negative was asked by; the paper's own had 0.45 [0.37, 0.55].
    """
    # side by side, before each row asks for its own
    volume_steps.pretexts(p, v, ["rubiks_cube_pro"], seeds(p))
    best = {"features": p.sampling.best_features, "distance": p.sampling.best_distance}
    rows = {
        **{name: selected(p, v, name) for name in ("random", "difficulty", "diversity", "both")},
        "both_pretrained": selected(p, v, "both", encoder="rubiks_cube_pro"),
        "best_pair": selected(p, v, "both", **best),
    }
    rivals = {name: selected(p, v, name) for name in p.sampling.rivals}
    archive = volume_steps.ids(v, "train", False)
    everything = {("random", "all", s): volume_steps.run(p, v, archive, s) for s in seeds(p)}
    runs = everything | cells(p, rows, seeds(p)) | cells(p, rivals, p.study.seeds)
    known = {"hours_to_auc": hours_to_auc, "shared_hours_to_auc": Table.shared}
    return Table(NAME, runs, v, p.study, main="A2", sizes=sizes(p, v), words=WORDS, known=known)


def hours_to_auc(table: Table) -> dict[Cell, float]:
    """Hours until a training reaches the validation AUC that ALL and the largest selection by both tracks both reach (V-D1).

    Choice: the paper says that selections converge faster, not to what. Seed by seed it is the lower of the two best AUC on
    the validation exams, after whichever epoch. What was needed before the training is counted in; NaN where it is not reached.
    """
    largest = max(table.sizes, key=lambda name: table.sizes[name] if name != "all" else 0)
    compared = ("random", "all"), ("both", largest)
    curves, found = table.curves(), {}
    for seed, of_seed in curves.groupby("seed"):
        cells = {cell: one for cell, one in of_seed.groupby(["row", "column"]) if "validation_auc" in one}
        if not set(compared) <= set(cells):
            continue
        target = min(cells[cell]["validation_auc"].max() for cell in compared)
        for cell, one in cells.items():
            there = np.flatnonzero(one["validation_auc"].to_numpy() >= target)
            spent = one["seconds"].to_numpy()[: there[0] + 1].sum() if len(there) else np.nan
            found[(*cell, seed)] = (table.runs[(*cell, seed)].before.seconds + spent) / 3600
    return found


def alphas(p, v: Samples) -> Table:
    """A table that the paper lacks: selections by the joint rank with other weights of difficulty (VI-1, eq. 7).

    Rows: each of `sampling.alphas` as "25%", the weight of difficulty; diversity weighs the rest. Columns: `sampling.shares`.
    Without alphas it has no runs.
    """

    def of_weight(alpha: float) -> Callable[[float, int], Run]:
        def run(share: float, seed: int) -> Run:
            found = volume_steps.ranked(p, v, seed=seed)
            ranking = jointly(found.ranking, alpha, 1 - alpha)
            chosen = volume_steps.selection(p, ranking, "long_tail", share, seed)
            return volume_steps.run(p, v, chosen, seed, ranked=found)

        return run

    runs = cells(p, {column(alpha): of_weight(alpha) for alpha in p.sampling.alphas}, seeds(p))
    words = {column(alpha): f"{100 * alpha:g} % difficulty" for alpha in p.sampling.alphas}
    return Table("A.III-alpha", runs, v, p.study, main="A10a", sizes=sizes(p, v), words=words)


def selected(
    p,
    v: Samples,
    row: str,
    features: str | None = None,
    distance: str | None = None,
    encoder: str | None = None,
) -> Callable[[float, int], Run]:
    """A row: the run of a share and a seed on what a strategy or a rival selects.

    Choice: before the runs of a rival the whole ranking is counted, though most rules need its features alone: what takes time
    is the pre-training. A random part, by centre or not, needs nothing.

    Args:
        row: of `volume_steps.selected`. features, distance: of the ranking; None: the parameters'. encoder: the pre-training
            whose weights the classifier starts from; None: random weights.
    """

    def run(share: float, seed: int) -> Run:
        found = volume_steps.ranked(p, v, features, seed, distance)
        near, size = found.soft_labels.columns, volume_steps.selection_size(share, len(found.ranking))
        given = found.ranking, found.features, near, v.table["centre"], size, seed
        chosen = volume_steps.selected(row, *given, volume_steps.shapes(p))
        start = volume_steps.pretext(p, v, encoder, seed) if encoder else None
        ranked = None if row in ("random", "stratified") else found
        return volume_steps.run(p, v, chosen, seed, start, ranked=ranked)

    return run


def cells(p, rows: dict[str, Callable[[float, int], Run]], asked: list[int]) -> dict[Cell, Run]:
    """One run for every row, share and seed, seed by seed, so that a stopped sweep has whole tables of few seeds."""
    return {
        (row, column(share), seed): run(share, seed)
        for seed in asked
        for row, run in rows.items()
        for share in p.sampling.shares
    }


def seeds(p) -> list[int]:
    """Of Tables III, IV, V and VII: those of every table, and theirs."""
    return list(dict.fromkeys([*p.study.seeds, *p.sampling.more_seeds]))


def sizes(p, v: Samples, shares: list[float] | None = None) -> dict[str, int]:
    """Number of negatives in each column, from small to large. shares: `sampling.shares` unless given."""
    archive = len(volume_steps.ids(v, "train", False))
    chosen = shares or p.sampling.shares
    return {column(s): volume_steps.selection_size(s, archive) for s in chosen} | {"all": archive}


def exams(table: Table) -> pd.DataFrame:
    """What the classifiers of each column are trained on, and the number of negatives in the paper."""
    theirs = published.sizes(table.name)
    positives = len(volume_steps.ids(table.samples, "train", True))
    columns = [c for c in table.sizes if c != "all" or c in theirs]
    found = pd.DataFrame({"negatives here": table.sizes, "negatives in the paper": theirs}, dtype="Int64")
    found = found.reindex(columns).assign(**{"positives here": positives})
    found["exams an epoch here"] = found["negatives here"] + positives
    found["negatives a positive here"] = (found["negatives here"] / positives).astype(float).round(2)
    return found.rename(column_head).rename_axis(columns="share of the negatives")
