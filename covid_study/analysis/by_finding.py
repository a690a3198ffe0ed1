"""What exams of each finding are called, and the scores of three classes (paper A, VI-4, leaves them to future work)."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from covid_study.figures.tallies import counted
from covid_study.report import show
from covid_study.report.words import FINDINGS, column_head
from covid_study.scores import multiclass, slices
from covid_study.scores.resamples import Resamples, patient_means
from covid_study.scores.seeds import over_seeds

Tested = Mapping[str, list[pd.DataFrame]]  # of `Table.tested`: one frame a seed of each classifier


def called_covid(tested: Tested, n: int = 1000) -> pd.DataFrame:
    """How many exams of each finding are called COVID-19, at 0.5, with an interval over the patients of that finding.

    Args:
        n: resamples.

    Returns:
        label, finding, exams, called (mean over seeds), share, low, high (NaN with fewer than two patients), seeds.
    """
    rows = []
    for label, frames in tested.items():
        rng = np.random.default_rng(0)  # the same patients for every classifier, one finding after the other
        hit = np.mean([frame["probability"] >= 0.5 for frame in frames], axis=0)
        for finding in FINDINGS:
            of = (frames[0]["finding"] == finding).to_numpy()
            if of.any():
                draws = patient_means(hit[of], frames[0].loc[of, "patient_id"], n, rng)
                told = int(of.sum()), hit[of].sum(), hit[of].mean(), *Resamples.interval(draws), len(frames)
                rows.append((label, finding, *told))
    names = ["label", "finding", "exams", "called", "share", "low", "high", "seeds"]
    return pd.DataFrame(rows, columns=names)


def shown(found: pd.DataFrame) -> Styler:
    """`called_covid` for a reader: a line a classifier, a column a finding."""
    cells = found.assign(
        text=[
            f"{counted(r.called)} of {r.exams}: {100 * r.share:.0f} %"
            + ("" if np.isnan(r.low) else f" ({100 * r.low:.0f} to {100 * r.high:.0f})")
            for r in found.itertuples()
        ],
        head=found["finding"].map(FINDINGS),
    )
    wide = cells.pivot(index="label", columns="head", values="text")
    wide = wide.loc[list(dict.fromkeys(cells["label"])), list(dict.fromkeys(cells["head"]))]
    title = "Called COVID-19 at a threshold of 0.5, by finding, with 95 % intervals over patients"
    return show.table(wide.rename(column_head).rename_axis(index=None, columns=None), title)


def class_scores(tested: Tested, n: int = 1000) -> pd.DataFrame:
    """Scores of every class against the rest and over all, mean over seeds with intervals.

    Returns:
        Tidy: row (a class, or "every_class"), label, column (the classifier), metric, mean, sd, low, high, seeds.
    """
    parts = []
    for label, frames in tested.items():
        for seed, frame in enumerate(frames):
            found = multiclass.intervals(*slices.read(frame)[:3], frame["patient_id"], n)
            found = found.replace({"row": {multiclass.OVERALL: "every_class"}})
            parts.append(found.assign(column=label, seed=seed))
    scores = over_seeds(pd.concat(parts, ignore_index=True))
    scores[["low", "high"]] = scores[["low", "high"]].clip(0, 1)
    return scores.assign(label=scores["row"].map(column_head))
