"""Ours beside the paper's as data: what is joined, what is refused, what survives the disk."""

import numpy as np
import pandas as pd
import pytest

from covid_study.errors import StudyError
from covid_study.report import results
from covid_study.report.results import join_published
from covid_study.scores import published


def made_up(rows=("random", "both"), columns=("14%", "all"), **more):
    rng, found = np.random.default_rng(0), []
    for row, column in ((row, column) for row in rows for column in columns):
        if row == "random" or column != "all":
            means = {metric: rng.uniform(0.5, 0.9) for metric in ("precision", "recall", "f1")}
            found += [(row, column, metric, mean, mean - 0.1, mean + 0.08) for metric, mean in means.items()]
            found.append((row, column, "hours", 0.01 if row == "random" else 0.03, np.nan, np.nan))
    frame = pd.DataFrame(found, columns=["row", "column", "metric", "mean", "low", "high"])
    return frame.assign(seeds=1, **more)


def test_join_keeps_every_row_of_the_paper_and_marks_ours():
    ours = made_up(rows=("random", "hu_histogram"))
    joined = join_published(ours, "A.III")
    assert list(joined.columns) == results.COLUMNS
    paper = published.table("A.III")
    assert joined["published"].notna().sum() == len(paper) and joined["published_sd"].isna().all()
    assert joined["row"].drop_duplicates().tolist() == [*paper["row"].drop_duplicates(), "hu_histogram"]
    assert not joined.loc[joined["row"] == "hu_histogram", "in_paper"].any()
    assert joined.loc[joined["row"] == "difficulty", "mean"].isna().all()
    one = joined.set_index(["row", "column", "metric"]).loc[("random", "14%", "f1")]
    assert one["published"] == pytest.approx(0.739)
    assert one["mean"] == ours.query("row == 'random' and column == '14%' and metric == 'f1'")["mean"].item()


def test_a_deviation_of_the_paper_stands_beside_its_score():
    ours = pd.DataFrame({"row": "dsn_saal", "column": "slices", "metric": ["acc"], "mean": [0.9]})
    joined = join_published(ours, "B.3").set_index(["row", "metric"])
    assert joined.loc[("dsn_saal", "acc"), ["published", "published_sd"]].tolist() == [0.920, 0.004]
    assert not joined.index.get_level_values("metric").str.endswith("_sd").any()


def test_training_period_of_a_column_is_the_mean_over_the_papers_rows():
    joined = join_published(made_up(rows=("random", "both", "hu_histogram")), "A.III")
    period = joined.query("row == 'training_period'").set_index("column")["mean"]
    assert period["14%"] == pytest.approx(0.02) and period["all"] == pytest.approx(0.01)
    assert np.isnan(period["28%"])


def test_a_label_given_with_the_results_is_kept():
    assert "Mine" in set(join_published(made_up(rows=("hu_histogram",), label="Mine"), "A.III")["label"])


@pytest.mark.parametrize("frame, word", [
    (pd.DataFrame({"row": ["a"], "mean": [1]}), "column"),
    (pd.concat([made_up(), made_up()]), "random"),
])  # fmt: skip
def test_unusable_results_are_refused(frame, word):
    with pytest.raises(StudyError, match=word):
        join_published(frame, "A.III")


def test_results_survive_the_disk(tmp_path):
    joined = join_published(made_up(), "A.III")
    path = results.write_results(tmp_path / "results" / "A.III.parquet", joined)
    pd.testing.assert_frame_equal(pd.read_parquet(path), joined)
    assert not list(path.parent.glob("*.tmp"))  # nothing half written is left
