"""A referee with power: the same selections of negatives, judged by a linear classifier on frozen features.

Trainings of networks are few. A logistic regression is fitted in milliseconds, so that every strategy and every rival is judged
at every size over many draws. It says what a selection is worth to a linear classifier on these features, not to a network
(`above_random.agreement`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from covid_study import paths
from covid_study.analysis import ranking_meaning
from covid_study.analysis.above_random import SCORES
from covid_study.ranking.rivals import RIVALS, WITHOUT_CHANCE
from covid_study.runtime.artefacts import artefact
from covid_study.runtime.progress import progress
from covid_study.samples.samples import Samples
from covid_study.scores import binary, claims
from covid_study.scores.resamples import Resamples
from covid_study.tables import volume_steps
from covid_study.tables.table import column

FIXED = ("top", *WITHOUT_CHANCE)  # the same in every draw
Said = dict[tuple[str, str], np.ndarray]  # row and column -> probabilities (draws, test cases)


@dataclass(frozen=True, eq=False)
class Frozen:
    """Features that nothing trains any more, and the ranking of the negatives by them."""

    features: pd.DataFrame  # of every training and test case, by id
    positives: Sequence[str]  # of the training split
    ranking: pd.DataFrame  # of its negatives
    test: Sequence[str]
    centre: pd.Series | None = None

    @cached_property
    def standardised(self) -> np.ndarray:
        """Each feature with mean 0 and deviation 1: (cases, D).

        Choice: over all training cases, so that the penalty means the same for every selection.
        """
        values = self.features.to_numpy(float)
        return StandardScaler().fit(values[self.at([*self.positives, *self.ranking.index])]).transform(values)

    @cached_property
    def _tested(self) -> np.ndarray:
        return self.standardised[self.at(self.test)]

    @cached_property
    def _place(self) -> dict[str, int]:
        return {case: place for place, case in enumerate(self.features.index)}

    def at(self, ids: Iterable[str]) -> list[int]:
        """Where cases stand among the features; a data frame's own search takes as long as the classifier."""
        return [self._place[case] for case in ids]

    @property
    def rows(self) -> tuple[str, ...]:
        """What selects here: the paper's strategies and the rivals; without centres none is stratified by them."""
        return (
            *volume_steps.ROWS,
            *(name for name in RIVALS if name != "stratified" or self.centre is not None),
        )

    def selection(self, row: str, size: int, seed: int, rule: Mapping[str, float]) -> list[str]:
        """Negatives by a strategy of the paper or by a rival; for a seed those that the networks get."""
        given = self.ranking, self.features, self.positives, self.centre
        return volume_steps.selected(row, *given, size, seed, rule)

    def probabilities(self, negatives: Sequence[str]) -> np.ndarray:
        """What a logistic regression on all positives and these negatives says of the test cases: float64 (cases,).

        Choice: scikit-learn's, penalty C = 1; classes are not weighted, as the networks' cross-entropy weighs none.
        """
        trained = self.standardised[self.at([*self.positives, *negatives])]
        fitted = LogisticRegression(max_iter=1000).fit(trained, np.arange(len(trained)) < len(self.positives))
        return fitted.predict_proba(self._tested)[:, 1]


# the arrays are small: several threads of a library would wait for each other longer than they compute
@threadpool_limits.wrap(limits=1)
def judged(
    given: Callable[[int], Frozen],
    sizes: Mapping[str, int],
    seeds: int,
    rule: Mapping[str, float],
    title: str = "",
) -> Said:
    """Every strategy and rival at every size, and "all", over so many draws.

    Args:
        given: the features of a draw. sizes: column -> number of negatives. rule: exponent and width of `sampling.select`.
    """
    said: dict[tuple[str, str], list[np.ndarray]] = {}
    before = None
    for seed in progress(range(seeds), title or "draws"):
        of = given(seed)
        for where, size in sizes.items():
            for row in of.rows:
                found = said.setdefault((row, where), [])
                again = of is before and row in FIXED
                found.append(found[-1] if again else of.probabilities(of.selection(row, size, seed, rule)))
        found = said.setdefault(("random", "all"), [])
        found.append(found[-1] if of is before else of.probabilities(list(of.ranking.index)))
        before = of
    return {cell: np.stack(found) for cell, found in said.items()}


def scored(said: Said, labels: Sequence[int], patients: Sequence, n: int = 1000) -> claims.Scored:
    """F1 at 0.5 and AUC of every cell and draw, with resamples of the test patients.

    Choice: a difference is averaged over draws before its percentiles are taken (`seeds.joined`), so that their mean stands
    for each of them: the intervals are the same, in a hundredth of the memory.
    """
    y, drawn = np.asarray(labels), Resamples(labels, patients, n)
    means = drawn.draws(
        lambda weights: {
            (cell, score): values
            for cell, p in said.items()
            for score, values in binary.weighted_means(y, p, 0.5, weights).items()
        }
    )
    values, draws = {}, {}
    for cell, p in said.items():
        for seed, one in enumerate(p):
            alone = binary.weighted_scores(y, one, 0.5, np.ones((1, len(y))))
            values[(*cell, seed)] = {score: float(alone[score][0]) for score in SCORES}
            draws[(*cell, seed)] = {score: means[cell, score] for score in SCORES} if means else {}
    return claims.Scored(values, draws, drawn.fewest)


def of_exams(p, v: Samples, sources: Iterable[str] | None = None) -> dict[str, claims.Scored]:
    """The referee on the exams, by every source of features (of `volume_steps.ranked`).

    Choice: features are those of the first seed. Intervals are over draws and test patients, given these features; what another
    pre-training would change is not in them.
    """
    test = sorted(volume_steps.ids(v, "test"))
    about = v.table.loc[test]
    labels = (about["finding"] == "covid").astype(int)
    return {
        source: scored(_of_source(p, v, source, test), labels, about["patient_id"], p.study.bootstrap)
        for source in sources or dict(ranking_meaning.sources(p, p.study.seeds[:1]))
    }


def frozen(p, v: Samples, seed: int, source: str | None = None) -> Frozen:
    """The exams as the referee gets them. source: of features, see `volume_steps.ranked`; None: the parameters'."""
    source, test = source or p.ranking.features, sorted(volume_steps.ids(v, "test"))
    ranked = volume_steps.ranked(p, v, source, seed)
    asked = pd.DataFrame(volume_steps.exam_features(p, v, test, source, seed), test)
    features = pd.concat([ranked.features.set_axis(asked.columns, axis=1), asked])
    named = v.table["centre"]  # "" where it is not known
    centre = named if named[ranked.ranking.index].any() else None
    return Frozen(features, list(ranked.soft_labels.columns), ranked.ranking, test, centre)


def _of_source(p, v: Samples, source: str, test: list[str]) -> Said:
    seed = p.study.seeds[0]
    ranked = volume_steps.ranked(p, v, source, seed)

    def prepare() -> Callable[[int], Frozen]:
        same = frozen(p, v, seed, source)
        return lambda _: same

    trained = list(ranked.features.index)
    config = {"source": source, "trained": trained, "test": test, "volumes": v.key}
    config["centre"] = v.table["centre"][trained].tolist()
    config["known"] = [joblib.hash(frame.to_numpy()) for frame in (ranked.features, ranked.ranking)]
    return kept(p, source, config, prepare, sizes(p, len(ranked.ranking)), p.referee.seeds)


def sizes(p, archive: int) -> dict[str, int]:
    """Number of negatives in each column of Table III but ALL."""
    return {column(share): volume_steps.selection_size(share, archive) for share in p.sampling.shares}


def kept(
    p,
    name: str,
    config: dict,
    prepare: Callable[[], Callable[[int], Frozen]],
    sizes: dict[str, int],
    draws: int,
) -> Said:
    """`judged`, found where it was computed before. prepare: makes the `given` of `judged`."""
    rule = volume_steps.shapes(p)

    def compute(folder: Path) -> None:
        said = judged(prepare(), sizes, draws, rule, f"referee, {name}")
        np.savez_compressed(folder / "said.npz", **{" ".join(cell): values for cell, values in said.items()})

    config = config | {"sizes": sizes, "draws": draws, **rule}
    label = name.replace(" ", "_")
    folder = artefact(
        paths.build(p.study.name) / "referee", label, config, ["analysis.linear_referee"], compute
    )
    with np.load(folder / "said.npz") as found:
        return {tuple(cell.split(" ")): values for cell, values in found.items()}
