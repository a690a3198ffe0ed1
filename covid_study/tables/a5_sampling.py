"""Table V of paper A: how a selection is drawn from the joint ranking, and weights pre-trained on all samples (V-E)."""

from pathlib import Path

import pandas as pd

from covid_study.ranking.sampling import STRATEGIES
from covid_study.samples.samples import Samples
from covid_study.tables import a3_ranking, volume_steps
from covid_study.tables.table import Table, column
from covid_study.training.run import beside

NAME = "A.V"
SINGLE_TRACKS = ("difficulty", "diversity")
# compared in time
PRETEXTS = {"long_tail": "rubiks_cube_pro", "long_tail_all_pretrained": "rubiks_cube_pro_all"}


def table(p, v: Samples) -> Table:
    """Table V.

    Rows: random and long_tail, which are runs of Table III, normal, top, and long_tail_all_pretrained, whose classifier starts
    from weights pre-trained on all samples. Columns: `sampling.shares`.
    """
    made = volume_steps.pretexts(p, v, PRETEXTS.values(), a3_ranking.seeds(p))
    rows = {name: a3_ranking.selected(p, v, name) for name in ("random", "normal", "top")}
    rows["long_tail"] = a3_ranking.selected(p, v, "both")
    rows["long_tail_all_pretrained"] = a3_ranking.selected(p, v, "both", encoder="rubiks_cube_pro_all")
    runs = a3_ranking.cells(p, rows, a3_ranking.seeds(p))
    pretexts = {c: made[PRETEXTS[c[0]], c[2]] for c in runs if c[0] in PRETEXTS}
    took = {cell: hours(folder, p.pretext.epochs) for cell, folder in pretexts.items()}
    shared = {cell: float(beside(folder)) for cell, folder in pretexts.items()}
    drawn = compositions(p, v).set_index(["strategy", "column", "seed"])
    ranks = {f"{track}_rank": drawn[track].to_dict() for track in SINGLE_TRACKS}
    known = {"pretext_hours": took, "shared_pretext_hours": shared} | ranks
    return Table(NAME, runs, v, p.study, main="A16", sizes=a3_ranking.sizes(p, v), known=known)


def hours(pretext: Path, epochs: int) -> float:
    """What a pre-training takes for so many epochs.

    Choice: `pretext.all_samples_epochs` may be fewer for want of time; times are compared at as many epochs, at their pace.
    """
    return pd.read_csv(pretext / "history.csv")["seconds"].mean() * epochs / 3600


def compositions(p, v: Samples) -> pd.DataFrame:
    """What each strategy takes from the joint ranking, a line a seed; the archive itself is the strategy "archive".

    Returns:
        strategy, column, exams, cap (fraction that is CAP), difficulty and diversity (mean rank as a fraction of the
        archive, 0 = hardest, most diverse), seed.
    """
    rows = []
    for seed in a3_ranking.seeds(p):
        ranking = volume_steps.ranked(p, v, seed=seed).ranking
        chosen = {
            (s, column(share)): volume_steps.selection(p, ranking, s, share, seed)
            for s in STRATEGIES
            for share in p.sampling.shares
        }
        for (strategy, where), ids in {("archive", "all"): list(ranking.index), **chosen}.items():
            part = ranking.loc[ids]
            cap = (v.table["finding"].loc[ids] == "cap").mean()
            ranks = [((part[f"{t}_rank"] - 0.5) / len(ranking)).mean() for t in SINGLE_TRACKS]
            rows.append((strategy, where, len(ids), cap, *ranks, seed))
    return pd.DataFrame(rows, columns=["strategy", "column", "exams", "cap", *SINGLE_TRACKS, "seed"])


def composition(p, v: Samples) -> pd.DataFrame:
    """The means of `compositions` over seeds, and how many seeds."""
    frame = compositions(p, v)
    means = frame.groupby(["strategy", "column"], sort=False)[["exams", "cap", *SINGLE_TRACKS]].mean()
    return means.assign(exams=means["exams"].astype(int), seeds=frame["seed"].nunique()).reset_index()
