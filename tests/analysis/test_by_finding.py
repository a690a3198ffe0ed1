"""What exams of each finding are called: counts by hand, intervals by theory, three classes over seeds."""

import numpy as np
import pandas as pd
import pytest

from covid_study.analysis import by_finding

THREE = ["covid", "cap", "non_pneumonia"]


def predicted(hits: dict, n: int = 20) -> pd.DataFrame:
    """Test exams of each finding of which so many are called COVID-19, the rest what they are."""
    rows = []
    for finding, hit in hits.items():
        for i in range(n):
            wrong = "cap" if finding == "covid" else finding
            p = dict.fromkeys(THREE, 0.1) | {"covid" if i < hit else wrong: 0.8}
            rows.append((f"{finding}-{i:02d}", f"{finding}-{i}", finding, p["covid"], *p.values()))
    return pd.DataFrame(
        rows, columns=["exam_id", "patient_id", "finding", "probability", *(f"p_{c}" for c in THREE)]
    )


def test_what_is_called_covid_by_finding_is_a_mean_over_seeds():
    hits = [{"covid": 15, "cap": 9, "non_pneumonia": 1}, {"covid": 17, "cap": 12, "non_pneumonia": 0}]
    found = by_finding.called_covid({"All": [predicted(h) for h in hits]}, n=500).set_index("finding")
    assert found["called"].tolist() == [16, 10.5, 0.5] and found["seeds"].tolist() == [2, 2, 2]
    assert found["share"].tolist() == pytest.approx([0.8, 0.525, 0.025])
    assert ((found["low"] <= found["share"]) & (found["share"] <= found["high"])).all()
    assert by_finding.shown(found.reset_index()).data.iloc[0, 1].startswith("10.5 of 20: 52 % (")


def test_the_interval_of_a_share_is_that_of_its_patients():
    """A share of one half of 20 patients: 1.96 sqrt(0.25 / 20) = 0.22 either way; none with one patient."""
    found = by_finding.called_covid({"A": [predicted({"covid": 20, "cap": 10})]}, n=4000)
    low, high = found.set_index("finding").loc["cap", ["low", "high"]]
    assert (high - low) / 2 == pytest.approx(0.22, abs=0.03)
    single = by_finding.called_covid({"A": [predicted({"covid": 1, "cap": 1}, n=1)]})
    assert single[["low", "high"]].isna().all(axis=None)
    assert "nan" not in by_finding.shown(single).to_html()


def test_three_classes_over_seeds():
    hits = [{"covid": 15, "cap": 8, "non_pneumonia": 1}, {"covid": 17, "cap": 12, "non_pneumonia": 1}]
    tested = {"All": [predicted(h) for h in hits]}
    scores = by_finding.class_scores(tested, n=200).set_index(["row", "metric"])
    assert scores.loc[("covid", "recall"), "mean"] == pytest.approx(0.8)
    assert scores.loc[("cap", "recall"), "mean"] == pytest.approx(0.5)
    assert scores.loc[("every_class", "accuracy"), "mean"] == pytest.approx(np.mean([46, 44]) / 60)
    assert scores["low"].between(0, 1).all() and (scores["seeds"] == 2).all()
    assert (scores["low"] < scores["high"]).loc[["covid", "cap", "every_class"]].all()
