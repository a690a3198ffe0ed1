"""The runs behind Tables III and V of paper A, and what they scored."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
from IPython.display import HTML

from covid_study import paths
from covid_study.samples.samples import Samples
from covid_study.scores.binary import best_f1_threshold
from covid_study.scores.resamples import bootstrap_intervals, over_seeds
from covid_study.tables import volume_steps
from covid_study.training.run import Run, predictions, timing
from covid_study.training.sweep import plan_table, planned, sweep

Cell = tuple[str, str, int]  # row and column of the table, seed


def column(share: float) -> str:
    """The heading of a share of the archive, as the published tables name it.

    >>> column(0.14)
    '14%'
    """
    return f"{100 * share:g}%"


def sizes(p, v: Samples) -> dict[str, int]:
    """Number of negatives in each column of the tables."""
    archive = len(volume_steps.ids(v, "train", False))
    return {column(s): volume_steps.selection_size(s, archive) for s in p.sampling.shares} | {"all": archive}


def _cells(p, rows: dict[str, Callable[[float, int], Run]]) -> dict[Cell, Run]:
    """One run for every row, share and seed, seed by seed, so that a stopped sweep has whole tables of few seeds."""
    return {
        (row, column(share), seed): run(share, seed)
        for seed in p.study.seeds
        for row, run in rows.items()
        for share in p.sampling.shares
    }


def ranking_ablation(p, v: Samples) -> dict[Cell, Run]:
    """The runs of Table III: what each track adds (paper A, V-D).

    Rows: random, difficulty, diversity, both, both_pretrained, and one that the paper lacks, hu_histogram: both tracks on
    distances between lung HU histograms, for which nothing is trained. ALL has one run a seed, under "random".
    """

    def selected(strategy: str, by: str = "joint", features: str | None = None, pretrained: bool = False):
        def run(share: float, seed: int) -> Run:
            found = volume_steps.ranked(p, v, features, seed)
            chosen = volume_steps.selection(p, found.ranking, strategy, share, seed, by)
            encoder = volume_steps.pretext(p, v, "rubiks_cube_pro", seed) if pretrained else None
            return volume_steps.run(
                p, v, chosen, seed, encoder, ranked=None if strategy == "random" else found
            )

        return run

    rows = {
        "random": selected("random"),
        "difficulty": selected("long_tail", "difficulty"),
        "diversity": selected("long_tail", "diversity"),
        "both": selected("long_tail"),
        "both_pretrained": selected("long_tail", pretrained=True),
        "hu_histogram": selected("long_tail", features="hu_histogram"),
    }
    everything = {
        ("random", "all", seed): volume_steps.run(p, v, volume_steps.ids(v, "train", False), seed)
        for seed in p.study.seeds
    }
    return everything | _cells(p, rows)


def sampling_strategies(p, v: Samples) -> dict[Cell, Run]:
    """The runs of Table V: how a selection is drawn from the joint ranking (paper A, V-E).

    Rows: random, normal, top, long_tail, and long_tail_all_pretrained, which starts from weights pre-trained on all samples.
    """

    def drawn(strategy: str, pretrained: bool = False):
        def run(share: float, seed: int) -> Run:
            found = volume_steps.ranked(p, v, seed=seed)
            chosen = volume_steps.selection(p, found.ranking, strategy, share, seed)
            encoder = volume_steps.pretext(p, v, "rubiks_cube_pro_all", seed) if pretrained else None
            return volume_steps.run(
                p, v, chosen, seed, encoder, ranked=None if strategy == "random" else found
            )

        return run

    rows = {strategy: drawn(strategy) for strategy in ("random", "normal", "top", "long_tail")}
    return _cells(p, rows | {"long_tail_all_pretrained": drawn("long_tail", pretrained=True)})


def _named(runs: dict[Cell, Run]) -> dict[str, Run]:
    return {f"{row}, {where}, seed {seed}": run for (row, where, seed), run in runs.items()}


def plan(p, runs: dict[Cell, Run]) -> HTML:
    """What is there of a table and what must be computed, with an estimate of the time."""
    return plan_table(planned(_named(runs), paths.build(p.study.name) / "runs"))


def train_all(p, v: Samples, runs: dict[Cell, Run]) -> dict[Cell, Path]:
    """Train what is not there yet; returns the result folder of every cell."""
    runs_folder = paths.build(p.study.name) / "runs"
    folders = sweep(_named(runs), v, runs_folder, p.study.executor, p.study.processes)
    return dict(zip(runs, folders.values(), strict=True))


def run_scores(folder: Path, v: Samples, bootstrap: int = 1000) -> pd.DataFrame:
    """Scores of one run on the test split with intervals over patients (paper A, V-B).

    At the paper's threshold 0.5 and, with the suffix `_validation`, at the threshold that has the best F1 on the validation
    split; AUC and average precision need none.

    Returns:
        Index metric; columns value, low, high, note.
    """
    table = predictions(folder)
    validation, test = table[table["split"] == "validation"], table[table["split"] == "test"]
    chosen = best_f1_threshold(validation["label"], validation["probability"])
    patients = v.table["patient_id"].loc[test["exam_id"]]  # today's, not those of when the run was trained
    arguments = test["label"], test["probability"], patients
    fixed = bootstrap_intervals(*arguments, threshold=0.5, n=bootstrap)
    moved = bootstrap_intervals(*arguments, threshold=chosen.threshold, n=bootstrap)
    moved = moved.loc[["precision", "recall", "f1"]].add_suffix("_validation", axis=0)
    if chosen.note:
        moved["note"] = chosen.note
    return pd.concat([fixed, moved]).rename_axis("metric")


def results(p, v: Samples, runs: dict[Cell, Run], folders: dict[Cell, Path]) -> pd.DataFrame:
    """Mean over seeds with intervals for every cell of a table, and its training period in hours.

    Choice: the training period counts what was needed from preprocessed volumes on: pre-training and ranking where a
    selection needs them (the paper counts 0.3 hours), pre-trained weights where they are used, and the classifier.

    Returns:
        Tidy: row, column, metric, mean, sd, low, high, seeds.
    """
    parts = []
    for (row, where, seed), folder in folders.items():
        scores = run_scores(folder, v, p.study.bootstrap)
        seconds = timing(folder)["train_seconds"] + runs[row, where, seed].before.seconds
        scores.loc["hours", ["value", "low", "high"]] = seconds / 3600, float("nan"), float("nan")
        parts.append(scores.reset_index().assign(row=row, column=where, seed=seed))
    return over_seeds(pd.concat(parts, ignore_index=True))


def learning_curves(folders: dict[Cell, Path]) -> pd.DataFrame:
    """Loss over the epochs of every run: row, column, seed, epoch, loss."""
    parts = [
        pd.read_csv(folder / "history.csv").assign(row=row, column=where, seed=seed)
        for (row, where, seed), folder in folders.items()
    ]
    return pd.concat(parts, ignore_index=True)
