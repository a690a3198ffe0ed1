"""What notebooks 04 and 05 say: true to the numbers, and never broken by scores that are not defined."""

import matplotlib

matplotlib.use("Agg")
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import pytest  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

from covid_study.analysis import periods
from covid_study.figures import ablation
from covid_study.report import show  # noqa: E402
from covid_study.scores.old_claims import FAILS, HOLDS, MEAN, TOO_FEW, UNCLEAR  # noqa: E402
from covid_study.scores.power import APART, CHANCE, UNKNOWN  # noqa: E402
from covid_study.tables import (
    ablation_report as report,  # noqa: E402
    volume_steps,
)

SIZES = {"14%": 10, "56%": 40, "all": 72}


def checked(verdicts=(UNCLEAR, HOLDS, HOLDS), metric="f1", seeds=1, difference=0.042):
    lines = [
        {"table": "A.III", "claim": "both", "text": "Both beat random", "where": "V-D", "metric": metric}
        | {"column": c, "difference": difference, "low": -0.01, "high": 0.1, "seeds": seeds}
        | {"published": 0.03, "verdict": word}
        for c, word in zip(("14%", "56%", MEAN), verdicts, strict=True)
    ]
    return pd.DataFrame(lines)


def undefined():
    return checked((TOO_FEW,) * 3).assign(difference=np.nan, low=np.nan, high=np.nan, seeds=0)


def test_claim_sentence_has_difference_interval_verdict_and_seeds():
    said = report.claim_sentence(checked(), "both", "f1")
    assert said.startswith("“Both beat random” holds on average here: ")
    assert "F1 differs by +4.2 points on average over the sizes (95 % interval −1.0 to +10.0, 1 seed)" in said
    assert "neither borne out nor refuted here" in report.claim_sentence(
        checked((UNCLEAR,) * 3), "both", "f1"
    )
    assert "does not hold" in report.claim_sentence(checked((FAILS, HOLDS, HOLDS)), "both", "f1")
    assert "3 seeds" in report.claim_sentence(checked(seeds=3), "both", "f1")


def test_claim_sentence_of_what_is_not_known():
    assert "not defined" in report.claim_sentence(undefined(), "both", "f1")
    assert "not run" in report.claim_sentence(undefined(), "top", "f1")
    assert "cannot be judged on fewer than 10" in report.claim_sentence(checked((TOO_FEW,) * 3), "both", "f1")


def test_claims_table_shows_ours_the_papers_and_the_verdict():
    html = report.claims_table(checked(), "Claims").data
    assert "+4.2" in html and "+3.0" in html and "holds on average" in html and "One seed" in html
    assert "14 %" in html and "mean over sizes" in html
    assert html.count("<tr") == html.count("</tr>") and html.count("<td") == html.count("</td>")
    assert "3 seeds" in report.claims_table(checked(seeds=3), "Claims").data
    assert "no interval" in report.claims_table(undefined(), "Claims").data
    assert "None of the rows" in report.claims_table(checked()[:0], "Claims").data


def test_the_sign_stands_behind_what_can_be_told_from_chance():
    marked = checked().assign(mark=[APART, CHANCE, None], published_mark=[CHANCE, APART, None])
    html = report.claims_table(marked, "Claims").data
    assert (
        html.count("<b>+4.2†</b>") == 1
        and html.count(">+3.0†</span>") == 1
        and "† a difference of F1" in html
    )
    none = report.claims_table(checked().assign(mark=[CHANCE, CHANCE, None]), "Claims").data
    assert "No difference of F1 at 0.5 here" in none and "†" not in none
    nothing = report.claims_table(checked().assign(mark=[UNKNOWN, UNKNOWN, None]), "Claims").data
    assert "cannot be said from these runs" in nothing and "†" not in nothing
    assert "†" not in report.claims_table(checked(), "Claims").data


def test_rows_that_the_paper_lacks_are_named_and_columns_ordered():
    rows = [("random", "all"), ("random", "56%"), ("random", "14%"), ("hu_histogram", "14%")]
    ours = pd.DataFrame(rows, columns=["row", "column"]).assign(metric="auc", mean=0.7)
    joined = report.joined(ours, "A.III").query("metric == 'auc'")
    assert joined["column"].drop_duplicates().tolist() == ["14%", "56%", "all"]
    assert joined.set_index("row")["label"]["hu_histogram"] == "Both, on HU histograms"
    html = show.side_by_side(joined, "A.III", metrics=["auc"]).to_html()
    assert html.index("14 %") < html.index("ALL") and "not in the paper" in html


def test_sizes_beside_the_papers(monkeypatch):
    """Table V has no column ALL; a share that the paper lacks has a dash."""
    monkeypatch.setattr(report.ablation, "sizes", lambda p, v: {"14%": 10, "30%": 22, "all": 72})
    monkeypatch.setattr(volume_steps, "ids", lambda v, split, positive: ["a"] * 20)
    third, fifth = (report.sizes_table(None, None, name) for name in ("A.III", "A.V"))
    assert third["negatives in the paper"].tolist() == [246, "–", 1785]
    assert fifth.index.tolist() == ["14 %", "30 %"] and fifth["exams an epoch here"].tolist() == [30, 42]


def cost(**seconds):
    """Training periods of "both" at two sizes beside ALL, which takes 100 s."""
    rows = [("random", "all", 0.0, 100.0, 900)]
    rows += [("both", c, 5.0, seconds[f"s{c[:2]}"], n) for c, n in (("14%", 280), ("56%", 580))]
    frame = pd.DataFrame(rows, columns=["row", "column", "before", "classifier", "exams_seen"])
    return frame.assign(seeds=1, seconds=frame["before"] + frame["classifier"])


@pytest.mark.parametrize(
    "seconds, word",
    [
        ({"s14": 9, "s56": 50}, "holds here"),
        ({"s14": 31, "s56": 64}, "holds in part"),
        ({"s14": 31, "s56": 200}, "not every selection"),
        ({"s14": 110, "s56": 200}, "does not hold here"),
    ],
)
def test_proportion_sentence(seconds, word):
    said = periods.proportion_sentence(cost(**seconds), SIZES)
    assert word in said and "14 % and 56 % of the negatives" in said and "31 % and 64 % of the exams" in said


def test_proportion_sentence_without_a_run_on_all():
    assert "nothing to compare" in periods.proportion_sentence(cost(s14=1, s56=1)[1:], SIZES)


def test_periods_table_shows_what_was_spent_before_the_classifier():
    html = periods.periods_table(cost(s14=9, s56=50), "A.III", SIZES).data
    assert "5.0 s before" in html and "nothing before" in html and "280 exams seen" in html
    assert html.count("<td") == html.count("</td>")


def mix(cap=0.5):
    rows = [("archive", "all", 72, 0.4, 0.5, 0.5)]
    rows += [(s, c, 10, cap, 0.3, 0.4) for s in ("random", "top", "long_tail") for c in ("14%", "56%")]
    names = ["strategy", "column", "exams", "cap", "difficulty", "diversity"]
    return pd.DataFrame(rows, columns=names).assign(seeds=1)


@pytest.mark.parametrize(
    "cap, word",
    [(0.8, "more CAP than a random"), (0.5, "about as much CAP as"), (0.0, "less CAP than a random")],
)
def test_composition_sentence(cap, word):
    said = report.composition_sentence(mix(cap))
    assert word in said and "CAP is 40 % of the archive" in said


def test_composition_of_a_known_ranking(monkeypatch):
    """With CAP at the top of the ranking, the top holds nothing else; random follows the archive."""

    class P:
        class study:
            seeds = (0, 1)

        class sampling:
            shares, long_tail_exponent, normal_width = (0.25, 1 / 2), 1.0, 0.3

    ids = [f"n{i:02d}" for i in range(40)]
    rank = np.arange(1, 41)
    ranking = pd.DataFrame({"difficulty_rank": rank, "diversity_rank": rank, "joint_rank": rank}, index=ids)
    monkeypatch.setattr(volume_steps, "ranked", lambda p, v, seed: type("R", (), {"ranking": ranking}))
    finding = pd.DataFrame({"finding": ["cap"] * 10 + ["non_pneumonia"] * 30}, index=ids)
    found = report.composition(P, type("V", (), {"table": finding})).set_index(["strategy", "column"])
    assert found.loc[("top", "25%"), "cap"] == 1 and found.loc[("top", "50%"), "cap"] == 0.5
    assert found.loc[("archive", "all"), ["cap", "difficulty"]].tolist() == [0.25, 0.5]
    assert found.loc[("top", "25%"), "difficulty"] == pytest.approx(0.125)  # the mean of (r - 1/2) / 40
    assert found.loc[("long_tail", "25%"), "cap"] > found.loc[("random", "25%"), "cap"]
    assert (found["seeds"] == 2).all()


def history(epochs=2):
    rows = [
        (row, c, seed, epoch, 1 / epoch)
        for row in ("random", "both")
        for c in ("14%", "all")
        for seed in (0, 1)
        for epoch in range(1, epochs + 1)
    ]
    return pd.DataFrame(rows, columns=["row", "column", "seed", "epoch", "loss"])


FIGURES = {
    "losses": lambda: ablation.losses(history(5), report.labels("A.III")),
    "one epoch": lambda: ablation.losses(history(1), {}),
    "differences": lambda: ablation.differences(checked()),
    "of another score": lambda: ablation.differences(checked(), "auc"),
    "undefined": lambda: ablation.differences(undefined()),
    "composition": lambda: ablation.composition(mix()),
    "no CAP": lambda: ablation.composition(mix(0.0)),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_draw(name):
    assert isinstance(FIGURES[name](), Figure)


def test_the_figure_of_differences_names_claims_and_verdicts():
    figure = ablation.differences(checked())
    texts = [t.get_text() for t in figure.findobj(matplotlib.text.Text)]
    assert "Both beat random (F1): holds on average" in texts and "mean over sizes" in texts
