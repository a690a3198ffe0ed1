"""What is said about the findings is true to the predictions."""

import matplotlib

matplotlib.use("Agg")
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import pytest  # noqa: E402

from covid_study.figures import classes  # noqa: E402
from covid_study.samples.samples import Samples  # noqa: E402
from covid_study.tables import classes_report

THREE = ["covid", "cap", "non_pneumonia"]
CELLS = {"All negatives": ("random", "all"), "Both, 56%": ("both", "56%")}


def predicted(hits: dict, n: int = 20) -> pd.DataFrame:
    """Test exams of each finding of which so many are called COVID-19, the rest what they are."""
    rows = []
    for finding, hit in hits.items():
        for i in range(n):
            p = dict.fromkeys(THREE, 0.1) | {"covid" if i < hit else finding: 0.8}
            if finding == "covid" and i >= hit:
                p = {"covid": 0.1, "cap": 0.8, "non_pneumonia": 0.1}
            rows.append(
                (
                    f"{finding}-{i:02d}",
                    f"old-{i}",
                    finding,
                    "test",
                    p["covid"],
                    int(finding == "covid"),
                    *p.values(),
                )
            )
    names = ["exam_id", "patient_id", "finding", "split", "probability", "label", *(f"p_{c}" for c in THREE)]
    return pd.DataFrame(rows, columns=names)


def by_label(*hits: dict, n: int = 20) -> dict:
    return {"All negatives": [predicted(h, n) for h in hits]}


def test_every_seed_of_the_rows_shown_is_read_with_todays_patients(tmp_path):
    folders = {}
    for row, column in CELLS.values():
        for seed in (0, 1):
            folder = folders[row, column, seed] = tmp_path / f"{row}-{seed}"
            folder.mkdir()
            frame = predicted({"covid": 15, "cap": 3 + seed, "non_pneumonia": 1})
            rest = frame.assign(split="validation", exam_id="v-" + frame["exam_id"])
            pd.concat([rest, frame[::-1]]).to_parquet(folder / "predictions.parquet")
    exams = predicted({"covid": 0, "cap": 0, "non_pneumonia": 0})["exam_id"]
    today = pd.DataFrame({"patient_id": "new-" + exams}).set_index(exams)
    found = classes_report.on_test_exams(Samples(today, None, "store"), folders, CELLS)
    assert [len(frames) for frames in found.values()] == [2, 2]
    for frame in found["Both, 56%"]:
        assert (frame["split"] == "test").all() and len(frame) == 60
        assert (frame["patient_id"] == "new-" + frame["exam_id"]).all()


def test_what_is_called_covid_by_finding_is_a_mean_over_seeds():
    hits = [{"covid": 15, "cap": 9, "non_pneumonia": 1}, {"covid": 17, "cap": 12, "non_pneumonia": 0}]
    found = classes_report.called_covid(by_label(*hits), n=500).set_index("finding")
    assert found["called"].tolist() == [16, 10.5, 0.5]
    assert found["share"].tolist() == pytest.approx([0.8, 0.525, 0.025])
    assert ((found["low"] <= found["share"]) & (found["share"] <= found["high"])).all()
    assert found["seeds"].tolist() == [2, 2, 2]
    html = classes_report.called_table(found.reset_index()).data
    assert "10.5" in html and "9.5" in html and "means over 2 seeds" in html and "20 tested" in html
    assert html.count("<td") == html.count("</td>") and html.count("<tr") == html.count("</tr>")


def test_the_interval_of_a_share_is_that_of_its_patients():
    """A share of one half of 20 patients: 1.96 sqrt(0.25 / 20) = 0.22 either way."""
    found = classes_report.called_covid(by_label({"covid": 20, "cap": 10, "non_pneumonia": 0}), n=4000)
    low, high = found.set_index("finding").loc["cap", ["low", "high"]]
    assert (high - low) / 2 == pytest.approx(0.22, abs=0.03)


@pytest.mark.parametrize(
    "cap, other, text",
    [
        (14, 1, "of 15 false positives 14 are CAP (93 %), which is 50 % of the negatives tested; it is called COVID-19 more"),
        (1, 14, "of 15 false positives 1 is CAP (7 %), which is 50 % of the negatives tested; it is called COVID-19 less"),
        (5, 4, "about as often as non-pneumonia, as far as these exams can tell (difference of the shares +5.0 points"),
        (0, 0, "no negative exam is called COVID-19"),
    ],
)  # fmt: skip
def test_source_sentence(cap, other, text):
    found = classes_report.called_covid(by_label({"covid": 15, "cap": cap, "non_pneumonia": other}))
    assert text in classes_report.source_sentence(found)


def test_what_cannot_be_compared_is_said():
    alone = classes_report.called_covid(by_label({"covid": 15, "cap": 3}))
    assert classes_report.source_sentence(alone) == classes_report.ONE_OF_TWO
    tested = predicted({"covid": 15, "cap": 3, "non_pneumonia": 2}).replace("non_pneumonia", "other")
    unknown = classes_report.called_covid({"All negatives": [tested]})
    assert "5 negative exams are called COVID-19." in classes_report.source_sentence(unknown)
    single = classes_report.called_covid(by_label({"covid": 1, "cap": 1, "non_pneumonia": 0}, n=1))
    assert "too few patients for an interval" in classes_report.source_sentence(single)
    assert "nan" not in classes_report.called_table(single).data


def test_confusion_matrices_are_means_over_seeds_and_drawn():
    hits = [{"covid": 15, "cap": 8, "non_pneumonia": 1}, {"covid": 16, "cap": 12, "non_pneumonia": 0}]
    found = classes_report.confusions(by_label(*hits), THREE)
    expected = [[15.5, 4.5, 0], [10, 10, 0], [0.5, 0, 19.5]]
    assert found["All negatives"].to_numpy().tolist() == expected
    figure = classes.confusion_matrices(found | {"again": found["All negatives"]}, "What exams are called")
    first = figure.axes[0]
    assert [text.get_text() for text in first.texts][:4] == ["15.5\n78 %", "4.5\n22 %", "0\n0 %", "10\n50 %"]
    assert [tick.get_text() for tick in first.get_xticklabels()] == ["COVID-19", "CAP", "Non-pneumonia"]
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["All negatives", "again".capitalize()]


def test_a_finding_without_exams_is_drawn_without_a_share():
    counts = pd.DataFrame([[2, 0], [0, 0]], index=["covid", "cap"], columns=["covid", "cap"])
    figure = classes.confusion_matrices({"one": counts})
    assert [text.get_text() for text in figure.axes[0].texts] == ["2\n100 %", "0\n0 %", "0", "0"]


def test_scores_of_each_class_over_seeds_with_intervals():
    hits = [{"covid": 15, "cap": 8, "non_pneumonia": 1}, {"covid": 17, "cap": 12, "non_pneumonia": 1}]
    scores = classes_report.class_scores(by_label(*hits), THREE, n=200).set_index(["row", "metric"])
    assert scores.loc[("covid", "recall"), "mean"] == pytest.approx(0.8)
    assert scores.loc[("cap", "recall"), "mean"] == pytest.approx(0.5)
    assert scores.loc[("every_class", "accuracy"), "mean"] == pytest.approx(np.mean([46, 44]) / 60)
    assert scores["low"].between(0, 1).all() and scores["high"].between(0, 1).all()
    assert (scores["low"] < scores["high"]).loc[["covid", "cap", "every_class"]].all() and (
        scores["seeds"] == 2
    ).all()
    html = classes_report.scores_table(scores.reset_index(), ("recall",), "Each class").data
    assert "Non-pneumonia" in html and "80.0" in html and "All negatives" in html
