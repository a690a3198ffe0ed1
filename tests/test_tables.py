"""Ours beside the paper's: what is joined, what is shown, and what is written."""

import re

import numpy as np
import pandas as pd
import pytest

from covid_study import published, tables
from covid_study.errors import StudyError


def results(rows=("random", "both"), columns=("14%", "all"), seeds=1, **more):
    rng = np.random.default_rng(0)
    found = []
    for row in rows:
        for column in columns:
            if row != "random" and column == "all":
                continue
            for metric in ("precision", "recall", "f1"):
                mean = rng.uniform(0.5, 0.9)
                found.append((row, column, metric, mean, mean - 0.1, mean + 0.08, seeds))
            found.append((row, column, "hours", 0.01 if row == "random" else 0.03, np.nan, np.nan, seeds))
    frame = pd.DataFrame(found, columns=["row", "column", "metric", "mean", "low", "high", "seeds"])
    return frame.assign(**more)


def text(html):
    return re.sub(r"<[^>]+>", " ", html.data.split("</style>")[1])


def test_join_keeps_every_row_of_the_paper_and_marks_ours():
    ours = results(rows=("random", "hu_histogram"))
    joined = tables.join_published(ours, "A.III")
    assert list(joined.columns) == tables.COLUMNS
    paper = published.table("A.III")
    assert joined["published"].notna().sum() == len(paper)
    assert joined["row"].drop_duplicates().tolist() == [*paper["row"].drop_duplicates(), "hu_histogram"]
    extra = joined[joined["row"] == "hu_histogram"]
    assert not extra["in_paper"].any() and set(extra["label"]) == {"Hu histogram"}
    assert joined.loc[(joined["row"] == "difficulty"), "mean"].isna().all()
    one = joined.set_index(["row", "column", "metric"]).loc[("random", "14%", "f1")]
    assert one["published"] == pytest.approx(0.739)
    assert one["mean"] == ours.query("row == 'random' and column == '14%' and metric == 'f1'")["mean"].item()


def test_training_period_of_a_column_is_the_mean_over_the_papers_rows():
    joined = tables.join_published(results(rows=("random", "both", "hu_histogram")), "A.III")
    period = joined.query("row == 'training_period'").set_index("column")["mean"]
    assert period["14%"] == pytest.approx(0.02) and period["all"] == pytest.approx(0.01)
    assert np.isnan(period["28%"])


def test_a_label_given_with_the_results_is_kept():
    joined = tables.join_published(
        results(rows=("hu_histogram",), label="HU histograms, no network"), "A.III"
    )
    assert "HU histograms, no network" in set(joined["label"])


def test_joined_and_raw_results_look_the_same():
    raw = results()
    assert (
        tables.side_by_side(raw, "A.III").data
        == tables.side_by_side(tables.join_published(raw, "A.III"), "A.III").data
    )


@pytest.mark.parametrize("name", published.names())
def test_every_table_renders_before_anything_was_run(name):
    empty = pd.DataFrame(columns=["row", "column", "metric", "mean"])
    shown = text(tables.side_by_side(empty, name))
    assert "Nothing of this table has been run yet" in shown
    paper = published.table(name).query(
        "row != 'negatives' and metric != 'hours' and metric not in ('low', 'high')"
    )
    for printed in paper["printed"]:
        assert printed in shown, printed


def test_cells_hold_ours_the_interval_and_the_papers():
    ours = pd.DataFrame(
        {
            "row": ["random"],
            "column": ["14%"],
            "metric": ["f1"],
            "mean": [0.701],
            "low": [0.6123],
            "high": [0.80],
            "seeds": [1],
        }
    )
    html = tables.side_by_side(ours, "A.III", sizes={"14%": 33}, title="Table III", notes=["A <b> note"])
    shown = " ".join(text(html).split())
    assert "70.1 61–80 73.9" in shown
    assert "paper 246 · here 33" in shown and "1 seed)" in shown and "95 % interval over test exams," in shown
    assert "Table III" in shown and "&lt;b&gt; note" in html.data
    assert "2.5 h" in shown and "Training period" in shown


def test_every_row_has_the_same_number_of_columns():
    for name in ("A.III", "A.IV", "A.V", "A.VI", "A.VII", "A.I", "A.II"):
        data = (
            tables.side_by_side(results(rows=("random", "extra")), name).data
            if name == "A.III"
            else (tables.side_by_side(pd.DataFrame(columns=["row", "column", "metric", "mean"]), name).data)
        )
        widths = set()
        for row in re.findall(r"<tr>(.*?)</tr>", data):
            spans = re.findall(r"<t[hd][^>]*?(?:colspan='(\d+)')?>", row)
            widths.add(sum(int(s or 1) for s in spans))
        assert len(widths) == 1, (name, widths)


def test_seeds_deviation_and_extra_rows_are_said():
    html = tables.side_by_side(results(rows=("random", "hu_histogram"), seeds=3, sd=0.02), "A.III")
    shown = text(html)
    assert "3 seeds" in shown and "and seeds" in shown and "±2.0" in shown
    assert shown.count("not in the paper") == 1


def test_scores_that_the_paper_lacks_can_be_shown():
    ours = results(rows=("random",)).replace({"metric": {"f1": "auc"}})
    shown = text(tables.side_by_side(ours, "A.III", metrics=["auc", "f1_validation"]))
    assert "AUC" in shown and "F1*" in shown


def test_a_table_without_a_paper():
    shown = text(tables.side_by_side(results(), None))
    assert "Both" in shown and "the paper." not in shown


def test_ranges_are_joined():
    ours = pd.DataFrame({"row": "covid", "column": "slices", "metric": ["low", "high"], "mean": [40, 1250]})
    shown = text(tables.side_by_side(ours, "A.I"))
    assert "40–1,250" in shown and "38–629" in shown and "512" in shown and "512–512" not in shown


@pytest.mark.parametrize(
    "frame, word",
    [
        (pd.DataFrame({"row": ["a"], "mean": [1]}), "column"),
        (pd.concat([results(), results()]), "Two results"),
    ],
)
def test_unusable_results_are_refused(frame, word):
    with pytest.raises(StudyError, match=word):
        tables.join_published(frame, "A.III")


def test_results_survive_the_disk(tmp_path):
    joined = tables.join_published(results(), "A.III")
    path = tables.write_results(tmp_path / "results" / "A.III.parquet", joined)
    pd.testing.assert_frame_equal(tables.read_results(path), joined)
    assert [p.name for p in path.parent.iterdir()] == ["A.III.parquet"]
    with pytest.raises(StudyError, match="run the notebook"):
        tables.read_results(tmp_path / "A.V.parquet")
