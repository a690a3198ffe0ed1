"""Results as data: ours beside the paper's, tidy, what `build/P/results/<table>.parquet` holds."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from covid_study.errors import StudyError
from covid_study.report.words import column_head
from covid_study.runtime.artefacts import write_listed
from covid_study.runtime.provenance import made_with
from covid_study.scores import published as papers
from covid_study.scores.claims import Scored
from covid_study.scores.seeds import joined

KEY = ["row", "column", "metric"]
COLUMNS = [*("table", "row", "label", "column", "metric"), *("mean", "sd", "low", "high", "seeds"),
           *("published", "published_sd", "in_paper")]  # fmt: skip


def join_published(results: pd.DataFrame, name: str | None, table: str | None = None) -> pd.DataFrame:
    """Our results beside the published values, tidy: what `build/P/results/<table>.parquet` holds.

    Args:
        results: `row`, `column`, `metric`, `mean` (or `value`; scores as fractions), and where known `sd`,
            `low`, `high`, `seeds`, `label`.
        name: published table, e.g. "A.III"; None where the paper has no such table.
        table: what to call ours; `name` unless given.

    Returns:
        Rows in the paper's order, then ours that the paper lacks (`in_paper` False). What we did not run has NaN
        in `mean`. Where the paper gives one training period a column and `results` one a row, ours is the
        mean over the rows that the paper has.

    Raises:
        StudyError: a column is missing, or a value is given twice.

    >>> ours = pd.DataFrame({"row": ["random"], "column": ["14%"], "metric": ["f1"], "mean": [0.7]})
    >>> joined = join_published(ours, "A.III").dropna(subset="mean")
    >>> print(joined[["label", "mean", "published", "in_paper"]].to_string(index=False, header=False))
    Random   0.7      0.739     True
    """
    ours = _checked(results)
    if name is None:
        joined = ours.assign(published=np.nan, published_sd=np.nan, in_paper=False)
    else:
        paper = _with_deviations(papers.table(name).rename(columns={"value": "published"}))
        ours = pd.concat([ours, _training_periods(ours, paper)], ignore_index=True)
        paper = paper[[*KEY, "label", "published", "published_sd"]].assign(in_paper=True)
        joined = paper.merge(ours, on=KEY, how="outer", suffixes=("", "_ours"))
        joined["label"] = joined["label"].fillna(joined["label_ours"])
        joined["in_paper"] = joined["in_paper"].eq(True)
        order = pd.concat([paper[KEY], ours[KEY]], ignore_index=True).drop_duplicates()
        joined = order.merge(joined, on=KEY)
    labels = joined["row"].map(column_head)
    first = joined.dropna(subset="label").drop_duplicates("row").set_index("row")["label"]
    joined["label"] = [first.get(row, label) for row, label in zip(joined["row"], labels, strict=True)]
    return joined.assign(table=table or name or "")[COLUMNS]


def with_others(found: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """With published numbers of other tables, for rows of ours that stand there.

    Args:
        found: of `join_published`. others: row, column, metric, value, label; rows that `found` lacks are left aside.
    """
    others = others[others["row"].isin(found["row"])].rename(columns={"value": "published"})
    others = others.assign(table=found["table"].iloc[0], in_paper=True)
    known = found.merge(others[[*KEY, "published"]], on=KEY, how="left", suffixes=("", "_there"))
    found = found.assign(published=found["published"].fillna(known["published_there"]))
    found["in_paper"] |= known["published_there"].notna().to_numpy()
    there = pd.MultiIndex.from_frame(found[KEY])
    lacking = others[~pd.MultiIndex.from_frame(others[KEY]).isin(there)]
    return pd.concat([found, lacking.reindex(columns=found.columns)], ignore_index=True)


def _with_deviations(paper: pd.DataFrame) -> pd.DataFrame:
    """The deviation of a score, a row of its own in the published table, beside the score it belongs to."""
    deviation = paper["metric"].str.endswith("_sd")
    of = paper[deviation].assign(metric=paper["metric"].str.removesuffix("_sd"))
    of = of.rename(columns={"published": "published_sd"})[[*KEY, "published_sd"]]
    return paper[~deviation].merge(of, on=KEY, how="left")


def _checked(results: pd.DataFrame) -> pd.DataFrame:
    ours = results.rename(columns={"value": "mean"}) if "mean" not in results else results.copy()
    if missing := sorted({*KEY, "mean"} - set(ours)):
        raise StudyError(f"Results lack the columns {missing}; they need row, column, metric and mean.")
    twice = ours.duplicated(KEY)
    if twice.any():
        raise StudyError(
            f"Two results for {ours.loc[twice, KEY].iloc[0].to_dict()}: put seeds together first."
        )
    for column, default in (("sd", np.nan), ("low", np.nan), ("high", np.nan), ("seeds", 1), ("label", None)):
        if column not in ours:
            ours[column] = default
    return ours[[*KEY, "mean", "sd", "low", "high", "seeds", "label"]]


def _training_periods(ours: pd.DataFrame, paper: pd.DataFrame) -> pd.DataFrame:
    """One training period a column, where the paper has such a row and the results have one a run."""
    wanted = "training_period" in set(paper["row"]) and "training_period" not in set(ours["row"])
    hours = ours[(ours["metric"] == "hours") & ours["row"].isin(paper["row"])]
    if not wanted or hours.empty:
        return ours.iloc[:0]
    mean = (
        hours.groupby("column", sort=False).agg(mean=("mean", "mean"), seeds=("seeds", "max")).reset_index()
    )
    return mean.assign(row="training_period", metric="hours").reindex(columns=ours.columns)


def from_scored(of: Scored, metrics: Collection[str] | None = None) -> pd.DataFrame:
    """Means over seeds with their intervals over patients and seeds, a row a cell and score, as the claims have them.

    metrics: the scores that are wanted, all unless given.

    >>> cell = ("a", "b", 0)
    >>> of = Scored({cell: {"sen": 0.5}}, {cell: {"sen": np.array([0.4, 0.6])}}, fewest=12)
    >>> print(*from_scored(of).iloc[0, :4])
    a b sen 0.5
    """
    rows = []
    for row, column in of.ran:
        cells = [cell for cell in of.values if cell[:2] == (row, column)]
        for metric in (m for m in of.values[cells[0]] if metrics is None or m in metrics):
            runs = [cell for cell in cells if np.isfinite(of.values[cell][metric])]
            values = [of.values[cell][metric] for cell in runs]
            draws = [of.draws.get(cell, {}).get(metric, np.empty(0)) for cell in runs]
            mean, below, above, half = joined(values, draws) if runs else [np.nan] * 4
            ends = np.clip([mean - np.hypot(below, half), mean + np.hypot(above, half)], 0, 1)
            sd = np.std(values, ddof=1) if len(runs) > 1 else np.nan
            rows.append((row, column, metric, mean, sd, *ends, len(runs)))
    return pd.DataFrame(rows, columns=[*KEY, "mean", "sd", "low", "high", "seeds"])


def write_results(path: str | Path, frame: pd.DataFrame, about: Mapping[str, Any] | None = None) -> Path:
    """Write a tidy result table (what `join_published` returns) as parquet, whole or not at all.

    With what it was made stands in its `attrs`: commit, versions, machine, and what `about` says of seeds, data and device.
    """
    path, frame = Path(path), frame.copy(deep=False)
    frame.attrs = {"made_with": made_with(), **(about or {})}
    write_listed(path, lambda temporary: frame.to_parquet(temporary, index=False))
    return path
