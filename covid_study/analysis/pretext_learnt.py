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
from covid_study.scores.resamples import auc_difference, auc_interval
from covid_study.scores.seeds import over_seeds
from covid_study.tables import volume_steps

VARIANTS = {"rubiks_cube": "Rubik's cube", "rubiks_cube_pro": "Rubik's cube Pro"}
UNTRAINED = "untrained"
LEVEL = 0.05  # of all tests of a table together
BARELY = 0.1  # of the way from guessing to perfect


def pretrained(p, v: Samples) -> dict[tuple[str, int], object]:
    """Both pre-trainings on the positives: (variant, seed) -> folder.

    Choice: Rubik's cube is compared at the first seed alone; Rubik's cube Pro, which the study goes on with, at all.
    """
    wanted = [("rubiks_cube", p.study.seeds[0]), *(("rubiks_cube_pro", s) for s in p.study.seeds)]
    return {(variant, seed): volume_steps.pretext(p, v, variant, seed) for variant, seed in wanted}


def histories(folders: Mapping[tuple[str, int], Path], labels: Mapping[str, str] = VARIANTS) -> pd.DataFrame:
    """All learning curves, a row an epoch: `name`, `variant` (in words), `seed` and the columns of `history.csv`."""
    parts = [
        pd.read_csv(folder / "history.csv").assign(name=name, variant=labels[name], seed=seed)
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
    variants, rows = list(dict.fromkeys(history["variant"])), []
    for variant in variants:
        part = history[history["variant"] == variant]
        last = part[part["epoch"] == part["epoch"].max()]
        for name, chance, questions in (
            ("permutation", 1 / permutations, 1),
            ("horizontal", 0.5, CUBES),
            ("vertical", 0.5, CUBES),
        ):
            answers = exams * draws * questions * len(last)
            known = f"validation_{name}" in last and answers > 0
            accuracy = float(last[f"validation_{name}"].mean()) if known else np.nan
            row = {"variant": variant, "part": name, "answers": answers, "accuracy": accuracy}
            known = np.isfinite(accuracy)
            right = round(accuracy * answers) if known else 0
            p = binomtest(right, answers, chance, alternative="greater").pvalue if known else np.nan
            rows.append({**row, "chance": chance, "p": p})
    table = pd.DataFrame(rows)
    skill = (table["accuracy"] - table["chance"]) / (1 - table["chance"])
    above = table["p"] <= LEVEL / len(table)
    table["learnt"] = np.select(
        [table["accuracy"].isna(), ~above, skill < BARELY], ["unknown", "no", "barely"], "learnt"
    )
    return table


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
            "network": p.network.model_dump(),
            "seed": seed,
        }

        def compute(to) -> None:
            values = volume_steps.encoded(p, v, exams, folder, seed)
            parts = []
            for target in TARGETS:
                about = asked(table["finding"], target)
                part = table.loc[about, ["patient_id"]].assign(
                    target=target, truth=(table["finding"] == target)[about]
                )
                arguments = part["truth"].to_numpy(), part["patient_id"].to_numpy()
                parts.append(part.assign(score=probe_scores(values[about], *arguments)))
            pd.concat(parts).rename_axis("exam_id").reset_index().to_parquet(to / "scores.parquet")

        made = artefact(
            paths.build(p.study.name) / "probes",
            variant,
            config,
            ["pretext.probes", "pretext.train"],
            compute,
        )
        return pd.read_parquet(made / "scores.parquet").assign(
            variant=VARIANTS.get(variant, variant), seed=seed
        )

    wanted = [*folders, *((UNTRAINED, s) for s in p.study.seeds)]
    return pd.concat([scored(*one) for one in wanted], ignore_index=True)


def probe_table(scores: pd.DataFrame, n: int = 1000) -> pd.DataFrame:
    """What the probes reach, and how much more than those of the untrained encoder of the same seed.

    Args:
        scores: of `probes`. n: resamples behind each interval.

    Returns:
        A row a target and variant: `target`, `variant`, `metric` ("auc", or "gain": AUC above the untrained encoder's),
        `value`, `low`, `high`, `seeds`; intervals over patients and seeds.
    """
    rows = []
    for target in TARGETS:
        answers = scores[scores["target"] == target]
        by_encoder = {key: part.set_index("exam_id") for key, part in answers.groupby(["variant", "seed"])}
        for (variant, seed), part in by_encoder.items():
            known = part["score"].notna().all()
            arguments = part["truth"].astype(int), part["patient_id"]
            key = {"row": variant, "column": TARGETS[target], "seed": seed}
            found = auc_interval(arguments[0], part["score"].fillna(0), arguments[1], n=n)._asdict()
            if not known:
                found |= dict.fromkeys(("value", "low", "high"), np.nan)
            rows.append({**key, "metric": "auc", **found})
            if variant != UNTRAINED:
                other = by_encoder[UNTRAINED, seed].loc[part.index, "score"]
                gain = auc_difference(arguments[0], part["score"], other, arguments[1], n=n)
                rows.append({**key, "metric": "gain", **gain._asdict()})
    return tidy_over_seeds(rows).rename(columns={"row": "variant", "column": "target"})


def tidy_over_seeds(rows: list[dict]) -> pd.DataFrame:
    """Rows with row, column, metric, seed, value, low, high joined over seeds: `value`, `low`, `high`, `seeds`."""
    frame = pd.DataFrame(rows).drop(columns="note", errors="ignore")
    return over_seeds(frame).rename(columns={"mean": "value"}).drop(columns="sd")


def durations(p, folders: dict, exams: int) -> pd.DataFrame:
    """How long each pre-training took: seconds of training, without what was measured on the way."""
    rows = []
    for (variant, seed), folder in folders.items():
        seconds = volume_steps.pretext_seconds(folder)
        epochs = p.pretext.epochs
        rows.append(
            {
                "pre-training": VARIANTS[variant],
                "seed": seed,
                "exams": exams,
                "epochs": epochs,
                "training": period(seconds / 3600),
                "an epoch": period(seconds / 3600 / epochs),
            }
        )
    return pd.DataFrame(rows)
