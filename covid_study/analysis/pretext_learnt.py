"""What the pretext task has taught the encoder: the numbers behind notebook 02 (paper A, IV-B)."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from covid_study import paths
from covid_study.pretext.probes import TARGETS, asked, probe_scores
from covid_study.pretext.rubiks_cube import CUBES
from covid_study.pretext.train import VALIDATION_DRAWS
from covid_study.report.words import period
from covid_study.runtime.artefacts import artefact
from covid_study.samples.samples import Samples
from covid_study.scores.resamples import Interval, auc_difference, auc_interval
from covid_study.scores.seeds import over_seeds
from covid_study.tables import volume_steps
from covid_study.training.run import timing

VARIANTS = {"rubiks_cube": "Rubik's cube", "rubiks_cube_pro": "Rubik's cube Pro"}
UNTRAINED = "untrained"
LEVEL = 0.05  # of all tests of a table together
BARELY = 0.1  # of the way from guessing to perfect


def pretrained(p, v: Samples) -> dict[tuple[str, int], object]:
    """Both pre-trainings on the positives: (variant, seed) -> folder.

    Choice: Rubik's cube is compared at the first seed alone; Rubik's cube Pro, which the study goes on with, at all.
    """
    wanted = [("rubiks_cube", p.study.seeds[0]), *(("rubiks_cube_pro", s) for s in p.study.seeds)]
    return volume_steps.pretrained(
        p.study, v, {asked: volume_steps.pretraining(p, v, *asked) for asked in wanted}
    )


def histories(folders: Mapping[tuple[str, int], Path]) -> pd.DataFrame:
    """All learning curves, a row an epoch: `variant` (in words), `seed` and the columns of `history.csv`."""
    parts = [
        pd.read_csv(folder / "history.csv").assign(variant=VARIANTS.get(name, name), seed=seed)
        for (name, seed), folder in folders.items()
    ]
    return pd.concat(parts, ignore_index=True)


def probe_epochs(history: pd.DataFrame) -> pd.DataFrame:
    """The linear probe over the epochs of the first seed of each variant: `target`, `variant`, `epoch`, `value`."""
    first = history[history["seed"] == history["seed"].iloc[0]]
    parts = [
        first[["epoch", "variant"]].assign(value=first[f"probe_{target}"], target=text)
        for target, text in TARGETS.items()
    ]
    return pd.concat(parts, ignore_index=True).dropna(subset="value")


def pretext_tests(
    history: pd.DataFrame, exams: int, permutations: int, draws: int = VALIDATION_DRAWS
) -> pd.DataFrame:
    """Is the pretext task done better than by guessing, on exams it was not trained on? Its three parts told apart.

    A binomial test of the last epoch: every scramble is drawn afresh, so an answer that does not depend on it is right
    with the chance level, whatever the exams. Seeds are counted together.

    Choice: 5 % for all rows of the table together (Bonferroni); what lies above chance by less than a tenth of the way
    to perfect is called "barely".

    Args:
        history: of `histories`. exams: in the validation set. permutations: to choose from. draws: scrambles of each exam.

    Returns:
        A row a variant and part (permutation, horizontal, vertical): `answers`, `accuracy`, `chance`, `p`, and `learnt`:
        "learnt", "barely", "no" or "unknown".

    >>> last = {"variant": "x", "seed": 0, "epoch": 9, "validation_permutation": 0.75,
    ...         "validation_horizontal": 0.5, "validation_vertical": 0.5}
    >>> pretext_tests(pd.DataFrame([last]), exams=3, permutations=100).learnt.tolist()
    ['learnt', 'no', 'no']
    """
    questions = {"permutation": (1 / permutations, 1), "horizontal": (0.5, CUBES), "vertical": (0.5, CUBES)}
    rows = []
    for variant, part in history.groupby("variant", sort=False):
        last = part[part["epoch"] == part["epoch"].max()]
        for name, (chance, each) in questions.items():
            answers = exams * draws * each * len(last)
            accuracy = last.get(f"validation_{name}", pd.Series(dtype=float)).mean()
            p = np.nan
            if np.isfinite(accuracy):
                p = binomtest(round(accuracy * answers), answers, chance, alternative="greater").pvalue
            rows.append((variant, name, answers, accuracy, chance, p))
    table = pd.DataFrame(rows, columns=["variant", "part", "answers", "accuracy", "chance", "p"])
    skill = (table["accuracy"] - table["chance"]) / (1 - table["chance"])
    told = [table["accuracy"].isna(), table["p"] > LEVEL / len(table), skill < BARELY]
    return table.assign(learnt=np.select(told, ["unknown", "no", "barely"], "learnt"))


def probes(p, v: Samples, folders: dict) -> pd.DataFrame:
    """Score of every exam by a linear probe of every encoder, trained and untrained.

    Choice: the probe is asked about exams that no pre-training has seen, the negatives of the training split and all
    of the other splits: an encoder may tell the positives that it was trained on from others because it knows them. The
    test split is measured here; nothing is chosen by it.

    Returns:
        Tidy: `variant`, `seed`, `target`, `exam_id`, `patient_id`, `truth`, `score`.
    """
    seen = set(volume_steps.ids(v, "train", True))
    exams = [e for e in v.table.index if e not in seen]
    table = v.table.loc[exams]

    def scored(variant: str, seed: int) -> pd.DataFrame:
        folder = folders.get((variant, seed))
        config = {
            "volumes": v.key,
            "exams": table[["patient_id", "finding"]].reset_index().to_numpy().tolist(),
            "encoder": folder.name if folder else UNTRAINED,
            "network": volume_steps.network(p, v),
            "seed": seed,
        }

        def compute(to) -> None:
            values = volume_steps.encoded(p, v, exams, folder, seed)
            parts = []
            for target in TARGETS:
                about = asked(table["finding"], target)
                truth, patients = (table["finding"] == target)[about], table.loc[about, "patient_id"]
                score = probe_scores(values[about], truth.to_numpy(), patients.to_numpy())
                known = {"patient_id": patients, "target": target, "truth": truth, "score": score}
                parts.append(pd.DataFrame(known))
            pd.concat(parts).rename_axis("exam_id").reset_index().to_parquet(to / "scores.parquet")

        modules = ["pretext.probes", "pretext.train"]
        made = artefact(paths.build(p.study.name) / "probes", "probe", config, modules, compute)
        told = pd.read_parquet(made / "scores.parquet")
        return told.assign(variant=VARIANTS.get(variant, variant), seed=seed)

    wanted = [*folders, *((UNTRAINED, s) for s in dict.fromkeys(seed for _, seed in folders))]
    return pd.concat([scored(*one) for one in wanted], ignore_index=True)


def probe_aucs(scores: pd.DataFrame, n: int = 1000) -> pd.DataFrame:
    """What the probes reach: `target`, `variant`, `value` (AUC), `low`, `high`, `seeds`; intervals over patients and seeds.

    Args:
        scores: of `probes`. n: resamples behind each interval.
    """
    rows = []
    for (target, variant, seed), part in scores.groupby(["target", "variant", "seed"], sort=False):
        auc = Interval()
        if part["score"].notna().all():
            auc = auc_interval(part["truth"].astype(int), part["score"], part["patient_id"], n=n)
        key = {"variant": variant, "target": TARGETS[target], "metric": "auc", "seed": seed}
        rows.append({**key, **auc._asdict()})
    order = [*TARGETS.values()].index
    return values_over_seeds(rows).sort_values(
        "target", key=lambda t: t.map(order), kind="stable", ignore_index=True
    )


def probe_changes(
    scores: pd.DataFrame, contrasts: Mapping[str, tuple[str, str]] | None = None, n: int = 1000
) -> pd.DataFrame:
    """How the AUC of a linear probe differs between two encoders, paired: the same exams, the same resamples.

    Args:
        scores: of `probes`. contrasts: words -> two variants; None: each with the untrained encoder. n: resamples.

    Returns:
        `contrast`, `measure` (the probe's question), `value` (AUC of the first less that of the second), `low`, `high`,
        `seeds`.
    """
    if contrasts is None:
        contrasts = {v: (v, UNTRAINED) for v in dict.fromkeys(scores["variant"]) if v != UNTRAINED}
    rows = []
    for target, words in TARGETS.items():
        of_target = scores[scores["target"] == target].groupby(["variant", "seed"])
        told = {key: part.set_index("exam_id") for key, part in of_target}
        for contrast, (one, other) in contrasts.items():
            for seed in [s for variant, s in told if variant == one]:
                first, second = told[one, seed], told[other, seed].loc[told[one, seed].index]
                pair = first["truth"], first["score"], second["score"], first["patient_id"]
                key = {"contrast": contrast, "measure": words, "seed": seed}
                rows.append({**key, **auc_difference(*pair, n=n)._asdict()})
    return values_over_seeds(rows)


def values_over_seeds(rows: list[dict] | pd.DataFrame) -> pd.DataFrame:
    """Rows joined over their seeds, see `over_seeds`: what tells them apart, `value`, `low`, `high`, `seeds`."""
    return over_seeds(pd.DataFrame(rows)).rename(columns={"mean": "value"}).drop(columns="sd")


def durations(p, folders: dict, exams: int) -> pd.DataFrame:
    """How long each pre-training took: seconds of training, without what was measured on the way."""
    rows, epochs = [], p.pretext.epochs
    for (variant, seed), folder in folders.items():
        hours = timing(folder)["train_seconds"] / 3600
        rows.append((VARIANTS[variant], seed, exams, epochs, period(hours), period(hours / epochs)))
    return pd.DataFrame(rows, columns=["pre-training", "seed", "exams", "epochs", "training", "an epoch"])
