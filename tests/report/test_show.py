"""Ours beside the paper's: what is joined, what is shown, and what is written."""

import re

import numpy as np
import pandas as pd
import pytest

from covid_study.errors import StudyError
from covid_study.report import show
from covid_study.scores import published


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
    joined = show.join_published(ours, "A.III")
    assert list(joined.columns) == show.COLUMNS
    paper = published.table("A.III")
    assert joined["published"].notna().sum() == len(paper) and joined["published_sd"].isna().all()
    assert joined["row"].drop_duplicates().tolist() == [*paper["row"].drop_duplicates(), "hu_histogram"]
    extra = joined[joined["row"] == "hu_histogram"]
    assert not extra["in_paper"].any() and set(extra["label"]) == {"Hu histogram"}
    assert joined.loc[(joined["row"] == "difficulty"), "mean"].isna().all()
    one = joined.set_index(["row", "column", "metric"]).loc[("random", "14%", "f1")]
    assert one["published"] == pytest.approx(0.739)
    assert one["mean"] == ours.query("row == 'random' and column == '14%' and metric == 'f1'")["mean"].item()


def test_training_period_of_a_column_is_the_mean_over_the_papers_rows():
    joined = show.join_published(results(rows=("random", "both", "hu_histogram")), "A.III")
    period = joined.query("row == 'training_period'").set_index("column")["mean"]
    assert period["14%"] == pytest.approx(0.02) and period["all"] == pytest.approx(0.01)
    assert np.isnan(period["28%"])


def test_a_label_given_with_the_results_is_kept():
    joined = show.join_published(results(rows=("hu_histogram",), label="HU histograms, no network"), "A.III")
    assert "HU histograms, no network" in set(joined["label"])


def test_joined_and_raw_results_look_the_same():
    raw = results()
    assert (
        show.side_by_side(raw, "A.III").data
        == show.side_by_side(show.join_published(raw, "A.III"), "A.III").data
    )


@pytest.mark.parametrize("name", published.names())
def test_every_table_renders_before_anything_was_run(name):
    empty = pd.DataFrame(columns=["row", "column", "metric", "mean"])
    shown = text(show.side_by_side(empty, name))
    assert "Nothing of this table has been run yet" in shown
    paper = published.table(name).query(
        "row != 'negatives' and metric != 'hours' and metric not in ('low', 'high')"
    )
    for printed in paper["printed"]:
        assert printed.replace(",", "") in shown.replace(",", ""), printed


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
    html = show.side_by_side(ours, "A.III", sizes={"14%": 33}, title="Table III", notes=["A <b> note"])
    shown = " ".join(text(html).split())
    assert "70.1 61–80 73.9" in shown
    assert "paper 246 · here 33" in shown and "1 seed)" in shown and "95 % interval over test exams," in shown
    assert "Table III" in shown and "&lt;b&gt; note" in html.data
    assert "2.5 h" in shown and "Training period" in shown


def test_scores_of_paper_b_are_fractions_with_their_deviations():
    """Ours with mean, deviation and interval; the paper's with the decimals that it prints."""
    ours = {"row": "dsn_saal", "column": "slices", "metric": ["acc", "f1", "gmean"], "mean": [0.9, 0.8, 0.85]}
    ours = pd.DataFrame(ours).assign(sd=0.02, low=0.712, high=0.9451, seeds=10)
    joined = show.join_published(ours, "B.3").set_index(["row", "metric"])
    assert joined.loc[("dsn_saal", "acc"), ["published", "published_sd"]].tolist() == [0.920, 0.004]
    assert not joined.index.get_level_values("metric").str.endswith("_sd").any()
    shown = " ".join(text(show.side_by_side(ours, "B.3", over="test patients")).split())
    assert "0.900 ±0.020 0.71–0.95 0.920 ±0.004" in shown and "0.849 ±0.008" in shown
    assert "Scores as fractions" in shown and "interval over test patients and seeds" in shown
    assert "mean ± deviation printed" in shown and "ACC F1 G-mean" in shown
    raw, whole = show.side_by_side(ours, "B.3"), show.side_by_side(joined.reset_index(), "B.3")
    assert raw.data == whole.data


def test_parameters_cases_and_falls_have_their_own_form():
    ours = {"row": "resnet50", "column": "dsn", "metric": ["acc", "params"], "mean": [0.9, 23_591_234]}
    shown = text(show.side_by_side(pd.DataFrame(ours), "B.4"))
    assert "23.59 M" in shown and "134.32 M" in shown and "DSN" in shown
    fall = {"row": "5%", "column": "baseline", "metric": "sen_fall", "mean": -0.2, "low": -0.31, "high": 0.05}
    shown = " ".join(text(show.side_by_side(pd.DataFrame([fall]), "B.6")).split())
    assert "-0.200 -0.31 to 0.05 -0.358" in shown
    cases = {"row": "covid", "column": "train", "metric": ["cases", "images"], "mean": [12, 1240]}
    shown = " ".join(text(show.side_by_side(pd.DataFrame(cases), "B.2")).split())
    assert "12 43 1,240 1,256" in shown and "Scores" not in shown and "seed" not in shown


def test_a_table_of_ours_alone_can_hold_fractions():
    ours = pd.DataFrame({"row": ["a"], "column": "slices", "metric": "acc_patient", "mean": [0.5]})
    assert "0.500" in text(show.side_by_side(ours, None, decimals=3))
    assert "50.0" in text(show.side_by_side(ours, None))


def test_every_row_has_the_same_number_of_columns():
    for name in published.names():
        data = (
            show.side_by_side(results(rows=("random", "extra")), name).data
            if name == "A.III"
            else (show.side_by_side(pd.DataFrame(columns=["row", "column", "metric", "mean"]), name).data)
        )
        widths = set()
        for row in re.findall(r"<tr>(.*?)</tr>", data):
            spans = re.findall(r"<t[hd][^>]*?(?:colspan='(\d+)')?>", row)
            widths.add(sum(int(s or 1) for s in spans))
        assert len(widths) == 1, (name, widths)


def test_seeds_deviation_and_extra_rows_are_said():
    html = show.side_by_side(results(rows=("random", "hu_histogram"), seeds=3, sd=0.02), "A.III")
    shown = text(html)
    assert "3 seeds" in shown and "and seeds" in shown and "±2.0" in shown
    assert shown.count("not in the paper") == 1


def test_scores_that_the_paper_lacks_can_be_shown():
    ours = results(rows=("random",)).replace({"metric": {"f1": "auc"}})
    shown = text(show.side_by_side(ours, "A.III", metrics=["auc", "f1_validation"]))
    assert "AUC" in shown and "F1*" in shown


def test_a_table_without_a_paper():
    shown = text(show.side_by_side(results(), None))
    assert "Both" in shown and "the paper." not in shown


def test_ranges_are_joined():
    ours = pd.DataFrame(
        {"row": "covid", "column": "slices_of_exam", "metric": ["low", "high"], "mean": [40, 1250]}
    )
    shown = text(show.side_by_side(ours, "A.I"))
    assert "40–1,250" in shown and "38–629" in shown and "512" in shown and "512–512" not in shown
    assert "Slices" in shown and "Test slices" not in shown  # of an exam, not of the test split


def test_training_periods_have_no_interval():
    hours = {"row": ["random"], "column": ["14%"], "metric": ["hours"], "mean": [0.5]}
    ours = pd.DataFrame(hours | {"low": [0.1], "high": [0.9], "seeds": [3]})
    shown = text(show.side_by_side(ours, "A.VI", metrics=["hours"]))
    assert "30 min" in shown and "interval" not in shown and "6 min" not in shown and "3 seeds" in shown


def test_what_depends_on_no_seed_names_none():
    counts = pd.DataFrame({"row": ["positive"], "column": ["train"], "metric": ["count"], "mean": [8]})
    assert "seed" not in show.side_by_side(counts, "A.II").data
    score = pd.DataFrame({"row": ["random"], "column": ["14%"], "metric": ["f1"], "mean": [0.5]})
    assert "this run (1 seed)" in show.side_by_side(score, "A.III").data


def test_rows_that_only_the_paper_has_are_marked_where_asked_for():
    score = {"column": ["slices"], "metric": ["auc"], "mean": [0.8512], "low": [0.8], "high": [0.9]}
    ours = pd.DataFrame({"row": ["dsn_saal"]} | score)
    shown = text(show.side_by_side(ours, "B.8", metrics=["auc"], decimals=3, not_run="from the paper only"))
    assert shown.count("from the paper only") == 7 and "–" not in shown.replace("0.80–0.90", "")
    assert "0.851" in shown and "0.91" in shown and "0.910" not in shown  # the paper prints two decimals
    plain = text(show.side_by_side(ours, "B.8", metrics=["auc"], decimals=3))
    assert "from the paper only" not in plain and plain.replace("0.80–0.90", "").count("–") == 7


@pytest.mark.parametrize(
    "frame, word",
    [
        (pd.DataFrame({"row": ["a"], "mean": [1]}), "column"),
        (pd.concat([results(), results()]), "Two results"),
    ],
)
def test_unusable_results_are_refused(frame, word):
    with pytest.raises(StudyError, match=word):
        show.join_published(frame, "A.III")


def test_results_survive_the_disk(tmp_path):
    joined = show.join_published(results(), "A.III")
    path = show.write_results(tmp_path / "results" / "A.III.parquet", joined)
    pd.testing.assert_frame_equal(show.read_results(path), joined)
    assert [p.name for p in path.parent.iterdir()] == ["A.III.parquet"]
    with pytest.raises(StudyError, match="run the notebook"):
        show.read_results(tmp_path / "A.V.parquet")
