"""Mistakes are what is called wrongly, the surest first, with what their slices show."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tiny_study import parameters

from covid_study.analysis import mistakes
from covid_study.samples.samples import Samples
from covid_study.scores import claims

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
def p():
    return parameters(None, slices={"images": "elsewhere"})  # no phantom: no kind of case


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
    assert first.drop("probability").tolist() == ["covid", "non_pneumonia", 2, 4, 2, 1, 1]
    assert first["probability"] == pytest.approx(0.75)
    assert made["slices"].sum() == len(found)


def test_patients_are_called_by_their_mean_probability(predictions):
    # a 0.35, 0.25, 0.4; b 0.15, 0.3, 0.55; c 0.5, 0.45, 0.05; d right
    assert mistakes.patients_mistaken(predictions) == (3, 4)


def test_sensitivity_by_lesions(predictions):
    cells = {("baseline", "slices", 0): predictions, ("dsn_saal", "slices", 0): predictions}
    found = mistakes.by_lesions(slices(), cells, 100)
    ours = {row: v["sen"] for (row, method, _), v in found.values.items() if method == "dsn_saal"}
    assert ours == {"no lesion": 0, "up to 2 % of it": 0, "2 to 10 % of it": 0, "above 10 % of it": 1}
    assert found.fewest == 1  # a alone has a slice without
    drawn = found.draws["above 10 % of it", "dsn_saal", 0]["sen"]
    assert set(drawn[np.isfinite(drawn)]) == {1.0} and np.isnan(drawn).any()  # patient a is not in every draw
    assert mistakes.slices_by_lesions(slices(), predictions)["no lesion"] == 1
    (claim,) = claims.decide(found, claims.of_table("B.lesions")).to_dict("records")
    assert claim["difference"] == pytest.approx(1 / 3) and claim["verdict"] == claims.OPEN
    unknown = mistakes.by_lesions(slices(known=False), cells, 100)
    assert unknown.values == {} and claims.decide(unknown, claims.of_table("B.lesions"))["needs"].ne("").all()


def test_sensitivity_by_position(predictions):
    """By hand: of each exam the slice with most lung is 1; what has at most half of it is from an end."""
    s = slices()
    area = pd.Series(100.0, index=s.table.index)
    area[s.table.index[s.table.index.str.endswith("/2")]] = 50.0
    s = replace(s, table=s.table.assign(lung_area_mm2=area))
    found = mistakes.by_position(s, {("dsn_saal", "slices", 0): predictions}, 100)
    told = mistakes.called(predictions)
    for finding, score in (("covid", "sen"), ("cap", "sen_cap")):
        of = told[told["finding"] == finding]
        for part, chosen in (("ends", of.index.str.endswith("/2")), ("middle", ~of.index.str.endswith("/2"))):
            assert chosen.any() == (score in found.values.get((part, "dsn_saal", 0), {}))
            if chosen.any():
                assert found.values[part, "dsn_saal", 0][score] == (~of["wrong"])[chosen].mean()
    unknown = replace(s, table=s.table.assign(lung_area_mm2=np.nan))
    unknown = mistakes.by_position(unknown, {("dsn_saal", "slices", 0): predictions}, 100)
    assert unknown.fewest == 0
    assert claims.decide(unknown, claims.of_table("B.position"))["verdict"].eq(claims.OPEN).all()


def test_the_list_has_what_is_known(p, predictions):
    found = mistakes.mistakes(p, slices(), predictions)
    shown = mistakes.listed(found)
    assert shown.loc["b/2", ["is", "called"]].tolist() == ["COVID-19", "Non-pneumonia"]
    assert shown.loc["b/2", ["lesions, cm²", "of the lung"]].tolist() == [5.0, 0.05] and "case" not in shown
    assert "of the lung" not in mistakes.listed(mistakes.mistakes(p, slices(known=False), predictions))
    right = predictions[predictions["slice_id"].isin(["a/1", "c/2", "d/1"])]
    assert mistakes.listed(mistakes.mistakes(p, slices(), right)).empty


def test_the_kind_of_case_is_the_phantoms():
    table = pd.DataFrame({"exam_id": ["cap-0001-a", "covid-0003-a"]}, index=["x", "y"])
    kinds = mistakes.kinds(parameters(None), Samples(table, None, "key", None))
    assert kinds["x"] in ("lobar", "mimic") and kinds["y"] in ("typical", "early")
