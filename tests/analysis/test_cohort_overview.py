"""Counts and ranges of notebook 01, on tables small enough to count by hand."""

import numpy as np
import pandas as pd

from covid_study.analysis import cohort_overview
from covid_study.phantom import lesions
from covid_study.report import beside_paper
from covid_study.scores import published

EXAMS = {"finding": ["covid", "covid", "cap", "cap", "non_pneumonia"]}
EXAMS = pd.DataFrame(EXAMS | {"split": ["train", "test", "train", "train", "validation"]})
EXAMS = EXAMS.assign(exam_id=[f"e{i}" for i in range(5)], patient_id=list("aabbc"))


def test_split_counts_stand_beside_table_two():
    counts = cohort_overview.split_counts(EXAMS)
    wide = counts.pivot(index="row", columns="column", values="mean")[["train", "validation", "test"]]
    assert wide.loc[["positive", "negative"]].to_numpy().tolist() == [[1, 0, 1], [2, 1, 0]]
    shown = beside_paper.side_by_side(counts, "A.II").data
    assert "1,785" in shown.to_numpy() and not any("paper)" in row for row in shown.index.get_level_values(0))


def test_protocol_ranges_know_only_what_the_exams_say():
    facts = {"finding": ["cap", "cap", "covid"], "n_slices": [50, 30, 40], "kvp": [np.nan, 120, np.nan]}
    ranges = cohort_overview.protocol_ranges(pd.DataFrame(facts))
    wide = ranges.pivot(index=["row", "column"], columns="metric", values="mean")[["low", "high"]]
    expected = {
        ("cap", "slices_of_exam"): [30, 50],
        ("cap", "tube_voltage"): [120, 120],
        ("covid", "slices_of_exam"): [40, 40],
    }
    assert {key: list(ends) for key, *ends in wide.itertuples()} == expected
    assert cohort_overview.protocol_ranges(pd.DataFrame({"finding": ["cap"]})).empty


def test_every_item_of_table_one_can_be_shown():
    facts = dict.fromkeys(cohort_overview.PROTOCOL.values(), [1.5, 2.0])
    ranges = cohort_overview.protocol_ranges(pd.DataFrame({"finding": ["cap", "cap"]} | facts))
    assert set(ranges["column"]) == set(published.table("A.I").query("row == 'cap'")["column"])
    assert ranges.groupby("metric")["mean"].agg(set).to_dict() == {"low": {1.5}, "high": {2.0}}


def test_choices_of_exams_to_show():
    assert cohort_overview.in_turn(EXAMS, 10) == ["e0", "e1", "e2", "e3", "e4"]
    assert cohort_overview.in_turn(EXAMS, 3) == ["e0", "e2", "e4"]
    assert cohort_overview.first_positive(EXAMS) == "e0"
    assert cohort_overview.first_positive(EXAMS[EXAMS["finding"] != "covid"]) == "e2"
    facts = pd.DataFrame({"exam_id": list("abcdefghi"), "dice": np.arange(9) / 10})
    assert cohort_overview.worst_and_typical(facts, 2) == ["a", "b", "d", "e"]
    assert cohort_overview.worst_and_typical(facts.head(2), 3) == ["a", "b"]
    assert [row.exam_id for row in cohort_overview.rows_of(EXAMS, ["e3", "e0"])] == ["e3", "e0"]


def test_every_kind_of_case_is_described():
    assert {kind for kinds in lesions.KINDS.values() for kind in kinds} == set(cohort_overview.SHOWS)
    table = cohort_overview.kind_shares(pd.DataFrame({"kind": ["lobar", "lobar", "clean"]}))
    assert table["exams here"].sum() == 3 and table.loc[("CAP", "lobar"), "exams here"] == 2
    assert "exams here" not in cohort_overview.kind_shares()
