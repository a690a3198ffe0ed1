"""What masking and the set of permutations change in the pretext task, and what the encoder then knows (paper A, IV-B)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler
from sklearn.metrics import roc_auc_score

from covid_study.analysis.pretext_learnt import VARIANTS as CUBES, tidy_over_seeds
from covid_study.pretext.probes import TARGETS
from covid_study.pretext.rubiks_cube import CUBES as PLACES, distances, permutations
from covid_study.pretext.train import VALIDATION_DRAWS
from covid_study.report import show
from covid_study.report.decided import between, points
from covid_study.samples.samples import Samples
from covid_study.scores.closed_form import proportion_difference
from covid_study.scores.resamples import auc_difference
from covid_study.tables import volume_steps

SETS = {  # kind of rubiks_cube.permutations, in words
    "optimal": "Hamming-optimal",
    "max_min": "greedy, by smallest distance",
    "max_mean": "greedy, by mean distance",
}
PARTS = {
    "permutation": 1,
    "horizontal": PLACES,
    "vertical": PLACES,
}  # questions of each part about one scramble


@dataclass(frozen=True)
class Variant:
    """One way of pre-training on the positives."""

    label: str
    pretext: str  # of pipeline.PRETEXTS
    permutation_set: str = "optimal"


@dataclass(frozen=True)
class Pair:
    """Two pre-trainings that differ in one thing; a positive difference speaks for `one`."""

    label: str
    one: str
    other: str


VARIANTS = {
    "unmasked": Variant("no masking", "rubiks_cube"),
    "masked": Variant("masking", "rubiks_cube_pro"),
    "masked_max_min": Variant("masking, greedy set (smallest)", "rubiks_cube_pro", "max_min"),
    "masked_max_mean": Variant("masking, greedy set (mean)", "rubiks_cube_pro", "max_mean"),
}
CONTRASTS = (
    Pair("masking", "masked", "unmasked"),
    Pair("optimal set,\nnot greedy (smallest)", "masked", "masked_max_min"),
    Pair("optimal set,\nnot greedy (mean)", "masked", "masked_max_mean"),
)
OF_WEIGHTS = (Pair("masking", "rubiks_cube_pro", "rubiks_cube"),)
LABELS = {**CUBES, **{name: variant.label for name, variant in VARIANTS.items()}}


def variants(p, v: Samples) -> dict[tuple[str, int], Path]:
    """The pre-trainings of the ablation, on the positives: (variant, seed) -> folder.

    Choice: each for `pretext_ablation.epochs`, so that they can be compared; the sets of permutations are compared with
    masking, as in Rubik's cube Pro.
    """
    epochs = p.pretext_ablation.epochs
    return {
        (name, seed): volume_steps.pretext(
            p, v, variant.pretext, seed, epochs=epochs, permutation_set=variant.permutation_set
        )
        for seed in p.study.seeds
        for name, variant in VARIANTS.items()
    }


def permutation_sets(k: int) -> dict[str, np.ndarray]:
    """The set of each kind in words: int (k, 8)."""
    return {words: permutations(k, kind=kind) for kind, words in SETS.items()}


def accuracy_changes(
    history: pd.DataFrame, contrasts: Sequence[Pair], exams: int, draws: int = VALIDATION_DRAWS
) -> pd.DataFrame:
    """What each contrast changes in the accuracy of the pretext task after its last epoch, on unseen exams.

    Choice: answers count as independent; those about one exam are not quite, so the intervals are rather too narrow.

    Args:
        history: of `histories`. exams: positives in the validation split; 0: nothing is known. draws: scrambles of each.

    Returns:
        A row a contrast and part: `contrast`, `measure` (permutation, horizontal, vertical), `one`, `other`, `value` (their
        difference), `low`, `high`, `seeds`; fractions.
    """
    last = history[history["epoch"] == history["epoch"].max()].set_index(["name", "seed"])
    rows = []
    for contrast in contrasts:
        for seed in last.loc[contrast.one].index:
            for part, questions in PARTS.items():
                answers, column = exams * draws * questions, f"validation_{part}"
                one, other = (
                    float(last.loc[(name, seed), column]) if answers and column in last else np.nan
                    for name in (contrast.one, contrast.other)
                )
                known = np.isfinite([one, other]).all()
                right = (round(one * answers), round(other * answers)) if known else (0, 0)
                found = proportion_difference(right, (answers, answers) if known else (0, 0))
                rows.append(_row(contrast, part, seed, one, other, found))
    return _joined(rows)


def probe_changes(scores: pd.DataFrame, contrasts: Sequence[Pair], n: int = 1000) -> pd.DataFrame:
    """What each contrast changes in the AUC of a linear probe, paired: the same exams, the same resamples.

    Args:
        scores: of `pretext_learnt.probes`, with the names of the contrasts or their labels in `variant`. n: resamples.

    Returns:
        As `accuracy_changes`; `measure` is the probe's question.
    """
    rows = []
    for target, words in TARGETS.items():
        asked = scores[scores["target"] == target]
        by_encoder = {key: part.set_index("exam_id") for key, part in asked.groupby(["variant", "seed"])}
        for contrast in contrasts:
            names = [
                LABELS[x] if x not in set(asked["variant"]) else x for x in (contrast.one, contrast.other)
            ]
            for seed in dict.fromkeys(asked["seed"]):
                one, other = (by_encoder[name, seed] for name in names)
                truth, patients = one["truth"].astype(int), one["patient_id"]
                pair = one["score"], other.loc[one.index, "score"]
                found = auc_difference(truth, *pair, patients, n=n)[:3]
                both = [_auc(truth, x) for x in pair]
                rows.append(_row(contrast, words, seed, *both, found))
    return _joined(rows)


def _auc(truth: pd.Series, score: pd.Series) -> float:
    known = score.notna().all() and truth.nunique() == 2
    return float(roc_auc_score(truth, score)) if known else np.nan


def _row(contrast: Pair, measure: str, seed: int, one: float, other: float, found: Sequence[float]) -> dict:
    value, low, high = found
    return {"row": contrast.label, "column": measure, "metric": "difference", "seed": seed, "one": one, "other": other,
            "value": value, "low": low, "high": high}  # fmt: skip


def _joined(rows: list[dict]) -> pd.DataFrame:
    """Over seeds: mean difference with its interval, and the mean of either side."""
    sides = pd.DataFrame(rows).groupby(["row", "column"], sort=False)[["one", "other"]].mean()
    bare = [{k: x for k, x in row.items() if k not in ("one", "other")} for row in rows]
    found = tidy_over_seeds(bare).drop(columns="metric").set_index(["row", "column"])
    order = ["one", "other", "value", "low", "high", "seeds"]
    return sides.join(found)[order].rename_axis(["contrast", "measure"]).reset_index()


def sets_table(sets: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """How far the permutations of each set lie apart: smallest and mean Hamming distance, pairs at the smallest."""
    rows = {
        words: (d.min(), d.mean(), (d == d.min()).sum(), len(d))
        for words, d in ((words, distances(table)) for words, table in sets.items())
    }
    names = ["smallest distance", "mean distance", "pairs at the smallest", "pairs"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=names)


def shown(changes: pd.DataFrame, title: str = "") -> Styler:
    """`accuracy_changes` or `probe_changes` for a reader, a line a contrast and measure."""
    made = pd.DataFrame(
        {
            "contrast": changes["contrast"].str.replace("\n", " "),
            "measure": changes["measure"],
            "with it": changes["one"],
            "without it": changes["other"],
            "difference, points": changes["value"].map(points),
            "95 %": list(map(between, changes["low"], changes["high"])),
        }
    )
    return show.table(made, title, index=False, precision=2)
