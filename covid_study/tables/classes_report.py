"""What notebook 04 says about the findings: which of them are taken for COVID-19, and scores of three classes."""

from collections.abc import Mapping
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import HTML

from covid_study.figures.charts import FINDINGS
from covid_study.report import show
from covid_study.samples.samples import Samples
from covid_study.scores import multiclass
from covid_study.scores.resamples import Resamples, over_seeds, patient_means
from covid_study.tables.ablation_report import in_points
from covid_study.training.run import predictions

HOW = (
    "The classifiers of this run tell two classes apart. For three set `classes: [covid, cap, non_pneumonia]` in the section "
    "`cohort` of the profile, or in the parameters cell: the volumes, the pre-training and the ranking stay as they are, and "
    "only the classifiers are trained anew."
)
ONE_OF_TWO = (
    "This study has one finding beside COVID-19: every false positive comes from it, and two classes are all."
)


def on_test_exams(v: Samples, folders: Mapping[tuple, Path], cells: Mapping[str, tuple[str, str]]) -> dict:
    """The predictions for the test exams of some rows of a table: label -> one frame a seed, with today's patients.

    cells: label, as a column of a table is called -> (row, column).
    """
    found: dict[str, list[pd.DataFrame]] = {label: [] for label in cells}
    for label, cell in cells.items():
        for (row, column, _), folder in folders.items():
            if (row, column) == cell:
                test = predictions(folder).query("split == 'test'").sort_values("exam_id", ignore_index=True)
                found[label].append(
                    test.assign(patient_id=v.table["patient_id"].loc[test["exam_id"]].to_numpy())
                )
    return found


def called_covid(
    tested: Mapping[str, list[pd.DataFrame]], n: int = 1000, threshold: float = 0.5
) -> pd.DataFrame:
    """How many exams of each finding are called COVID-19, with an interval over the patients of that finding.

    Args:
        tested: what `on_test_exams` returns. n: resamples. threshold: `probability >= threshold` is called COVID-19.

    Returns:
        label, finding, exams, called (mean over seeds), share, low, high, seeds, and `draws`, the share in each
        resample (None where the finding has fewer than two patients; the interval is NaN).
    """
    rows = []
    for label, frames in tested.items():
        rng = np.random.default_rng(0)  # the same patients for every classifier
        hit = np.mean([frame["probability"] >= threshold for frame in frames], axis=0)
        for finding in FINDINGS:
            of = (frames[0]["finding"] == finding).to_numpy()
            if not of.any():
                continue
            draws = patient_means(hit[of], frames[0].loc[of, "patient_id"], n, rng)
            ends, draws = Resamples.interval(draws), draws if len(draws) else None
            rows.append(
                (label, finding, int(of.sum()), hit[of].sum(), hit[of].mean(), *ends, len(frames), draws)
            )
    names = ["label", "finding", "exams", "called", "share", "low", "high", "seeds", "draws"]
    return pd.DataFrame(rows, columns=names)


def called_table(found: pd.DataFrame) -> HTML:
    """`called_covid` for a reader: called COVID-19 or not, by finding, two lines a classifier."""
    findings = list(dict.fromkeys(found["finding"]))
    head = "".join(
        f"<th>{FINDINGS[f]}<br><span class='small'>{found.loc[found['finding'] == f, 'exams'].iloc[0]} tested</span></th>"
        for f in findings
    )
    body = ""
    for label, part in found.groupby("label", sort=False):
        by, head_of_row = part.set_index("finding"), escape(show.column_head(label))
        yes = "".join(_share(by.loc[f]) for f in findings)
        no = "".join(f"<td>{_count(by.loc[f, 'exams'] - by.loc[f, 'called'])}</td>" for f in findings)
        body += f"<tr><th class='row' rowspan='2'>{head_of_row}</th><td class='key'>COVID-19</td>{yes}</tr>"
        body += f"<tr><td class='key'>negative</td>{no}</tr>"
    seeds = int(found["seeds"].max())
    means = f" Counts are means over {seeds} seeds." if seeds > 1 else ""
    caption = (
        "<b>What the test exams of each finding are called</b><br>Called COVID-19 at a threshold of 0.5; its share of the "
        f"finding in per cent, with a 95 % interval over patients where some are called so and some are not.{means}"
    )
    return show.framed(caption, f"<tr><th></th><th>called</th>{head}</tr>", body)


def _count(x: float) -> str:
    """A count, or a mean of counts over seeds.

    >>> _count(3.0), _count(2.333)
    ('3', '2.3')
    """
    return f"{round(x, 1):g}"


def _share(line: pd.Series) -> str:
    known = f", {100 * line['low']:.0f}–{100 * line['high']:.0f}" if line["low"] < line["high"] else ""
    share = f"<span class='small'>{100 * line['share']:.0f} %{known}</span>"
    return f"<td><b>{_count(line['called'])}</b><br>{share}</td>"


def source_sentence(found: pd.DataFrame) -> str:
    """Where the false positives of each classifier come from, and whether CAP gives more of them than non-pneumonia."""
    said = []
    for label, part in found.groupby("label", sort=False):
        by, name = part.set_index("finding"), show.column_head(label)
        negatives = by.drop(index="covid", errors="ignore")
        wrong = negatives["called"].sum()
        if len(negatives) < 2:
            return ONE_OF_TWO
        if wrong == 0:
            said.append(f"{name}: no negative exam is called COVID-19.")
            continue
        if not {"cap", "non_pneumonia"} <= set(negatives.index):
            said.append(f"{name}: {_count(wrong)} negative exams are called COVID-19.")
            continue
        cap, other = negatives.loc["cap"], negatives.loc["non_pneumonia"]
        text = (
            f"{name}: of {_count(wrong)} false positive{'' if wrong == 1 else 's'} {_count(cap['called'])} "
            f"{'is' if cap['called'] == 1 else 'are'} CAP ({100 * cap['called'] / wrong:.0f} %), which is "
            f"{100 * cap['exams'] / negatives['exams'].sum():.0f} % of the negatives tested"
        )
        said.append(f"{text}; {_compared(cap, other)}.")
    return " ".join(said)


def _compared(cap: pd.Series, other: pd.Series) -> str:
    points = in_points(cap["share"] - other["share"])
    if cap["draws"] is None or other["draws"] is None:
        return f"the shares called COVID-19 differ by {points} points; too few patients for an interval"
    low, high = Resamples.interval(cap["draws"] - other["draws"])
    word = "about as often as" if low <= 0 <= high else "more often than" if low > 0 else "less often than"
    unsure = ", as far as these exams can tell" if low <= 0 <= high else ""
    return (
        f"it is called COVID-19 {word} non-pneumonia{unsure} (difference of the shares {points} points, 95 % interval "
        f"{in_points(low)} to {in_points(high)})"
    )


def _truth(frame: pd.DataFrame, classes: list[str]) -> tuple[np.ndarray, np.ndarray]:
    y = pd.Index(classes).get_indexer(frame["finding"])
    return y, frame[[f"p_{name}" for name in classes]].to_numpy()


def confusions(tested: Mapping[str, list[pd.DataFrame]], classes: list[str]) -> dict[str, pd.DataFrame]:
    """The confusion matrix of each classifier of three classes, a mean over seeds."""
    return {
        label: multiclass.mean_confusion((*_truth(frame, classes), classes) for frame in frames)
        for label, frames in tested.items()
    }


def class_scores(tested: Mapping[str, list[pd.DataFrame]], classes: list[str], n: int = 1000) -> pd.DataFrame:
    """Scores of every class against the rest and over all, mean over seeds with intervals.

    Returns:
        Tidy: row (a class, or "every_class"), label, column (the classifier), metric, mean, sd, low, high, seeds.
    """
    parts = []
    for label, frames in tested.items():
        for seed, frame in enumerate(frames):
            found = multiclass.intervals(*_truth(frame, classes), classes, frame["patient_id"], n)
            parts.append(
                found.replace({"row": {multiclass.OVERALL: "every_class"}}).assign(column=label, seed=seed)
            )
    scores = over_seeds(pd.concat(parts, ignore_index=True))
    scores[["low", "high"]] = scores[["low", "high"]].clip(0, 1)
    return scores.assign(label=scores["row"].map(show.column_head))


def scores_table(scores: pd.DataFrame, metrics: tuple[str, ...], title: str) -> HTML:
    """Some of `class_scores` for a reader: a line a class."""
    return show.side_by_side(scores[scores["metric"].isin(metrics)], None, metrics=metrics, title=title)
