"""Mistakes are what is called wrongly, the surest first, with what their slices show."""

import numpy as np
import pandas as pd
import pytest

from covid_study.analysis import mistakes
from covid_study.params.profiles import Profile, check, load_profile
from covid_study.paths import root
from covid_study.samples.samples import Samples

ROWS = [  # slice, patient, finding, p_covid, p_cap, p_non_pneumonia, share of the lung that is ill
    ("a/1", "a", "covid", 0.6, 0.3, 0.1, 0.30),
    ("a/2", "a", "covid", 0.1, 0.2, 0.7, 0.00),
    ("b/1", "b", "covid", 0.2, 0.5, 0.3, 0.01),
    ("b/2", "b", "covid", 0.1, 0.1, 0.8, 0.05),
    ("c/1", "c", "cap", 0.9, 0.1, 0.0, 0.20),
    ("c/2", "c", "cap", 0.1, 0.8, 0.1, 0.00),
    ("d/1", "d", "non_pneumonia", 0.2, 0.1, 0.7, 0.00),
]
NAMES = ["slice_id", "patient_id", "finding", "p_covid", "p_cap", "p_non_pneumonia", "share"]


@pytest.fixture
def predictions():
    return pd.DataFrame(ROWS, columns=NAMES).drop(columns="share").assign(split="test")


def slices(known=True):
    table = pd.DataFrame(ROWS, columns=NAMES)
    share = table["share"] if known else np.nan
    table = table.assign(lesion_share=share, lesion_area_mm2=share * 10_000, lung_area_mm2=10_000.0)
    table = table.assign(exam_id=table["patient_id"], split="test").set_index("slice_id")
    return Samples(table, None, "key", None)


@pytest.fixture
def p(monkeypatch):
    values = load_profile(root() / "params" / "smoke.yaml")
    values["slices"]["images"] = "elsewhere"  # no phantom: no kind of case
    return check(Profile, values, "test")


def test_mistakes_come_the_surest_first(p, predictions):
    found = mistakes.mistakes(p, slices(), predictions)
    assert list(found.index) == ["c/1", "b/2", "a/2", "b/1"]
    assert found["called"].tolist() == ["covid", "non_pneumonia", "non_pneumonia", "cap"]
    assert found["probability"].tolist() == [0.9, 0.8, 0.7, 0.5]
    assert found["truth"].tolist() == [0.1, 0.1, 0.1, 0.2]
    assert found.loc["b/2", "lesion_area_mm2"] == 500


def test_counts(p, predictions):
    other = predictions.copy()
    other.loc[other["slice_id"] == "a/2", ["p_covid", "p_non_pneumonia"]] = [0.7, 0.1]
    found = mistakes.mistakes(p, slices(), predictions)
    made = mistakes.counts(mistakes.called(predictions), mistakes.called(other), found)
    first = made.iloc[0]
    assert first[["finding", "called", "slices", "of", "patients"]].tolist() == [
        "covid",
        "non_pneumonia",
        2,
        4,
        2,
    ]
    assert first["probability"] == pytest.approx(0.75)
    assert first["no_lesion"] == 1 and first["also"] == 1
    assert made["slices"].sum() == len(found)
    assert "2 of 4" in mistakes.counts_table(made).data


def test_the_sentence_counts_slices_patients_and_what_shows_nothing(p, predictions):
    found = mistakes.mistakes(p, slices(), predictions)
    said = mistakes.counts_sentence(predictions, found, slices())
    # mean probabilities: a 0.35, 0.25, 0.4; b 0.15, 0.3, 0.55; c 0.5, 0.45, 0.05; d right
    assert said.startswith("4 of 7 test slices") and "3 of 4 patients" in said
    assert "1 of the 3 mistaken COVID-19 slices" in said and said.endswith("it is 1.")
    blind = mistakes.counts_sentence(predictions, found, slices(known=False))
    assert blind.endswith("is not known.")


def test_sensitivity_by_lesions(predictions):
    cells = {("baseline", "slices", 0): predictions, ("dsn_saal", "slices", 0): predictions}
    found = mistakes.by_lesions(slices(), cells, 100)
    ours = found[found["column"] == "dsn_saal"].set_index("row")
    assert ours["mean"].to_dict() == {"no lesion": 0, "up to 2 %": 0, "2 to 10 %": 0, "above 10 %": 1}
    assert ours["label"].tolist()[0] == "no lesion (1 slice)"
    assert ours[["low", "high"]].isna().all(axis=None)  # one patient in each
    assert mistakes.by_lesions(slices(known=False), cells, 100).empty
    assert "not known" in mistakes.lesions_table(pd.DataFrame()).data


def test_no_mistakes_are_said(p, predictions):
    right = predictions[predictions["slice_id"].isin(["a/1", "c/2", "d/1"])]
    found = mistakes.mistakes(p, slices(), right)
    assert found.empty
    assert mistakes.mistakes_table(found).data.startswith("<p>No test slice")
    told = mistakes.called(right)
    assert mistakes.counts_table(mistakes.counts(told, told, found)).data.startswith("<p>No test slice")


def test_the_list_is_cut_and_says_so(p, predictions):
    found = mistakes.mistakes(p, slices(), predictions)
    said = mistakes.mistakes_table(found, most=2).data
    assert "The 2 surest of 4." in said and "c/1" in said and "a/2" not in said


def test_the_kind_of_case_is_the_phantoms():
    values = load_profile(root() / "params" / "smoke.yaml")
    q = check(Profile, values, "test")
    table = pd.DataFrame({"exam_id": ["cap-0001-a", "covid-0003-a"]}, index=["x", "y"])
    kinds = mistakes.kinds(q, Samples(table, None, "key", None))
    assert kinds["x"] in ("lobar", "mimic") and kinds["y"] in ("typical", "early")
