"""What masking and the set of permutations change in the pretext task, and what the encoder then knows (paper A, IV-B).

What the encoder knows is `pretext_learnt.probe_changes` of the same contrasts.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from covid_study.analysis import pretext_learnt
from covid_study.pretext.rubiks_cube import CUBES, distances, permutations
from covid_study.pretext.train import VALIDATION_DRAWS
from covid_study.report import show
from covid_study.report.decided import between, points
from covid_study.samples.samples import Samples
from covid_study.scores.closed_form import proportion_difference
from covid_study.tables import volume_steps

SETS = {  # kind of rubiks_cube.permutations, in words
    "optimal": "Hamming-optimal",
    "max_min": "greedy, by smallest distance",
    "max_mean": "greedy, by mean distance",
}
PARTS = {
    "permutation": 1,
    "horizontal": CUBES,
    "vertical": CUBES,
}  # questions of each part about one scramble
VARIANTS = {  # in words -> pre-training on the positives (of volume_steps.PRETEXTS), kind of its set of permutations
    "no masking": ("rubiks_cube", "optimal"),
    "masking": ("rubiks_cube_pro", "optimal"),
    "masking, greedy set (smallest)": ("rubiks_cube_pro", "max_min"),
    "masking, greedy set (mean)": ("rubiks_cube_pro", "max_mean"),
}
CONTRASTS = {  # two that differ in one thing; a positive difference speaks for the first
    "masking": ("masking", "no masking"),
    "optimal set,\nnot greedy (smallest)": ("masking", "masking, greedy set (smallest)"),
    "optimal set,\nnot greedy (mean)": ("masking", "masking, greedy set (mean)"),
}
OF_WEIGHTS = {"masking": ("Rubik's cube Pro", "Rubik's cube")}  # the same of the weights of Table VII


def variants(p, v: Samples) -> dict[tuple[str, int], Path]:
    """The pre-trainings of the ablation, on the positives: (variant, seed) -> folder.

    Choice: each for `pretext_ablation.epochs`, so that they can be compared; the sets of permutations are compared with
    masking, as in Rubik's cube Pro.
    """
    epochs = p.pretext_ablation.epochs
    asked = {
        (words, seed): volume_steps.pretraining(p, v, name, seed, epochs=epochs, permutation_set=kind)
        for seed in p.study.seeds
        for words, (name, kind) in VARIANTS.items()
    }
    return volume_steps.pretrained(p.study, v, asked)


def permutation_sets(k: int) -> dict[str, np.ndarray]:
    """The set of each kind in words: int (k, 8)."""
    return {words: permutations(k, kind=kind) for kind, words in SETS.items()}


def accuracy_changes(
    history: pd.DataFrame,
    contrasts: Mapping[str, tuple[str, str]],
    exams: int,
    draws: int = VALIDATION_DRAWS,
) -> pd.DataFrame:
    """What each contrast changes in the accuracy of the pretext task after its last epoch, on unseen exams.

    Choice: answers count as independent; those about one exam are not quite, so the intervals are rather too narrow.

    Args:
        history: of `histories`. exams: positives in the validation split; 0: nothing is known. draws: scrambles of each.

    Returns:
        A row a contrast and part: `contrast`, `measure` (permutation, horizontal, vertical), `value` (the difference),
        `low`, `high`, `seeds`; fractions.
    """
    last = history[history["epoch"] == history["epoch"].max()].set_index(["variant", "seed"])
    rows = []
    for contrast, pair in contrasts.items():
        for seed in last.loc[pair[0]].index:
            for part, questions in PARTS.items():
                answers, column = exams * draws * questions, f"validation_{part}"
                known = answers if column in last else 0
                right = [round(known * last.loc[(name, seed), column]) if known else 0 for name in pair]
                rows.append((contrast, part, seed, *proportion_difference(right, (known, known))))
    names = ["contrast", "measure", "seed", "value", "low", "high"]
    return pretext_learnt.values_over_seeds(pd.DataFrame(rows, columns=names))


def sets_table(sets: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """How far the permutations of each set lie apart: smallest and mean Hamming distance, pairs at the smallest."""
    apart = {words: distances(table) for words, table in sets.items()}
    rows = {words: (d.min(), d.mean(), (d == d.min()).sum(), len(d)) for words, d in apart.items()}
    names = ["smallest distance", "mean distance", "pairs at the smallest", "pairs"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=names)


def shown(changes: pd.DataFrame, title: str = "") -> Styler:
    """`accuracy_changes` or `pretext_learnt.probe_changes` for a reader, a line a contrast and measure."""
    ends = list(map(between, changes["low"], changes["high"]))
    told = {"difference, points": changes["value"].map(points), "95 %": ends, "seeds": changes["seeds"]}
    made = changes[["contrast", "measure"]].replace("\n", " ", regex=True).assign(**told)
    return show.table(made, title, index=False)
