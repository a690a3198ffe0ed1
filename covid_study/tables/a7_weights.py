"""Table VII of paper A: pre-trained weights for the classifier on the whole training set (VI-3)."""

from dataclasses import replace
from pathlib import Path

from covid_study.samples.samples import Samples
from covid_study.tables import a3_ranking, volume_steps
from covid_study.tables.table import Table

NAME = "A.VII"
WEIGHTS = {  # row -> the pre-training whose weights it starts from
    "scratch": None,
    "rubiks_cube": "rubiks_cube_all",
    "rubiks_cube_pro": "rubiks_cube_pro_all",
}


def pretrained(p, v: Samples) -> dict[tuple[str, int], Path]:
    """The pre-trainings, on all training exams: (row, seed) -> folder."""
    of = {name: row for row, name in WEIGHTS.items() if name}
    found = volume_steps.pretexts(p, v, of, a3_ranking.seeds(p))
    return {(of[name], seed): folder for (name, seed), folder in found.items()}


def table(p, v: Samples) -> Table:
    """Table VII: the classifier on all negatives, from three kinds of weights; "scratch" is ALL of Table III, the same run."""
    negatives, folders = volume_steps.ids(v, "train", False), pretrained(p, v)
    runs = {
        (row, "all", seed): volume_steps.run(p, v, negatives, seed, folders.get((row, seed)))
        for seed in a3_ranking.seeds(p)
        for row in WEIGHTS
    }
    return Table(NAME, runs, v, p.study, main="A27a", sizes={"all": len(negatives)})


def unseen(v: Samples) -> Samples:
    """The exams that no training split holds: what an encoder that was pre-trained on all of it is asked about."""
    table = v.table[v.table["split"] != "train"]
    return replace(v, table=table, data=v.of(list(table.index)))
