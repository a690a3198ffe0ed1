"""Table VI: its runs, what they share with Table III, what is expected of each strategy and what is said of it."""

import matplotlib

matplotlib.use("Agg")
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import pytest  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from tiny_study import parameters  # noqa: E402

from covid_study import paths  # noqa: E402
from covid_study.analysis import cost
from covid_study.figures import online as figures_online
from covid_study.scores import published as papers  # noqa: E402
from covid_study.scores.old_claims import FAILS, HOLDS, MEAN, TOO_FEW, UNCLEAR, Resampled  # noqa: E402
from covid_study.tables import (
    a6_online,
    ablation,
    ablation_report as report,  # noqa: E402
    online_claims,
    online_report as said,  # noqa: E402
)
from covid_study.training import run as experiments
from covid_study.training.sweep import planned  # noqa: E402

CELLS = [(row, strategy) for row in ("all", "60%") for strategy in a6_online.STRATEGIES]


@pytest.fixture(scope="module")
def q(root):
    """The tiny study with a selection that is a column of its Table III."""
    return parameters(root, online={"share": 0.6})


@pytest.fixture(scope="module")
def table6(q, v, table3):
    runs = a6_online.online_strategies(q, v)
    return runs, ablation.train_all(q, v, runs)


def test_rows_and_columns_of_table_6(table6, v):
    runs, _ = table6
    assert list(runs) == [(*cell, 0) for cell in CELLS]
    for (row, strategy, _), run in runs.items():
        assert run.method.encoder is None and run.sizes[1] == 3
        assert run.sizes[0] == (7 if row == "all" else 4)
        assert run.training_ids == runs[row, "none", 0].training_ids
        assert (run.online or {"strategy": "none"})["strategy"] == strategy
        assert (run.before.seconds > 0) == (row == "60%")  # ranked and pre-trained before


def test_runs_without_a_strategy_are_those_of_table_3(q, v, table3, table6):
    (third, folders3), (runs, folders) = table3, table6
    for cell, known in ((("all", "none", 0), ("random", "all", 0)), (("60%", "none", 0), ("both", "60%", 0))):
        assert runs[cell] == third[known]
        assert folders[cell] == folders3[known]
    names = {" ".join(cell[:2]): run for cell, run in runs.items()}
    plan = planned(names, paths.build("tiny") / "runs")
    assert (plan["state"] == "there").all()
    assert len(set(folders.values())) == 8


def test_no_run_depends_on_the_settings_of_another_strategy(root, q, v, table6):
    runs, folder = table6[0], paths.build("tiny") / "runs"
    other = parameters(root, online={"share": 0.6, "focal_gamma": 1.0, "focal_alpha": 0.5})
    for cell, run in a6_online.online_strategies(other, v).items():
        assert (run.folder(folder) == runs[cell].folder(folder)) == (cell[1] != "focal")
    other = parameters(root, online={"share": 0.6, "ohem_share": 0.25})
    for cell, run in a6_online.online_strategies(other, v).items():
        assert (run.folder(folder) == runs[cell].folder(folder)) == (cell[1] != "ohem")
    assert a6_online.settings(q, "none") is None
    assert a6_online.settings(q, "oversampling") == {"strategy": "oversampling"}
    assert a6_online.settings(q, "ohem") == {"strategy": "ohem", "ohem_share": 0.5}
    assert a6_online.settings(q, "focal") == {"strategy": "focal", "focal_gamma": 2.0, "focal_alpha": 0.25}


def test_strategies_train_different_networks(table6):
    _, folders = table6
    told = [experiments.predictions(folders[(*cell, 0)])["probability"].round(6).tolist() for cell in CELLS]
    assert len({tuple(p) for p in told}) == 8


def test_what_each_strategy_trains_on_is_what_it_saw(q, v, table6):
    exposure = a6_online.exposure(q, v).set_index(["row", "column"])
    assert list(exposure.index) == CELLS
    assert exposure["exams"].tolist() == [10, 14, 10, 10, 7, 8, 7, 7]
    assert exposure.loc[("all", "oversampling"), "longer"] == pytest.approx(1.4)
    assert exposure.loc[("60%", "ohem"), "positive"] == pytest.approx(3 / 7)
    assert (exposure["positive"].xs("oversampling", level=1) == 0.5).all()
    for cell in CELLS:
        seen = experiments.timing(table6[1][(*cell, 0)])["exams_seen"]
        assert seen == exposure.loc[cell, "exams"] * q.training.epochs
    table = said.exposure_table(a6_online.exposure(q, v))
    theirs = table["times as long in the paper"]
    assert theirs.tolist()[:4] == ["1.00", f"{2 * 1785 / 2028:.2f}", "1.00", "1.00"]
    assert theirs.tolist()[4:] == ["–"] * 4  # the paper has no selection of 60 %
    assert table["says COVID-19 above"].tolist()[:4] == ["50 %", "30 %", "none of its own", "75 %"]
    assert said.counts_note(a6_online.exposure(q, v)) == (
        "Here ALL is 7 negatives and 60 % is 4 negatives, beside 3 positives."
    )


def test_the_line_of_oversampling_is_where_the_reweighted_odds_are_even():
    positives, negatives = 30, 170
    line = a6_online.decision_line("oversampling", positives, negatives)
    p_if_drawn_equally = line / positives / (line / positives + (1 - line) / negatives)
    assert p_if_drawn_equally == pytest.approx(0.5)
    assert (
        a6_online.decision_line("none", 1, 9) == 0.5 == a6_online.decision_line("ohem", 1, 9, ohem_share=1.0)
    )
    assert a6_online.decision_line("focal", 1, 9, alpha=0.9) == pytest.approx(0.1)
    assert np.isnan(a6_online.decision_line("ohem", 1, 9))


def test_results_stand_beside_the_papers(q, v, table6):
    joined = report.joined(ablation.results(q, v, *table6), "A.VI")
    paper = papers.table("A.VI").set_index(["row", "column", "metric"])["value"]
    cells = joined.set_index(["row", "column", "metric"])
    for strategy in a6_online.STRATEGIES:
        line = cells.loc[("all", strategy, "f1")]
        assert line["published"] == paper["all", strategy, "f1"] and line["seeds"] == 1
        assert cells.loc[("60%", strategy, "hours"), "mean"] > 0
        assert not cells.loc[("60%", strategy, "f1"), "in_paper"]
    columns = joined.loc[joined["mean"].notna(), "column"]
    assert list(dict.fromkeys(columns)) == list(a6_online.STRATEGIES)


def test_what_each_strategy_costs(q, v, table6):
    runs, folders = table6
    spent = cost.costs("A.VI", runs, folders, ablation.results(q, v, runs, folders))
    times = said.relative(spent).set_index(["row", "column"])
    assert times["exams"].tolist() == pytest.approx([1, 1.4, 1, 1, 1, 8 / 7, 1, 1])
    flops = spent.set_index(["row", "column"])["flops"]
    assert flops["all", "oversampling"] / flops["all", "none"] == pytest.approx(1.4)
    assert (times["seconds"].xs("none", level=1) == 1).all()
    assert times.loc[("all", "oversampling"), "hours"] == pytest.approx(34.3 / 19.6)
    assert times["hours"].loc["60%"].isna().all()
    table = said.relative_table(times.reset_index())
    assert table["exams seen"].tolist()[:2] == ["1.00", "1.40"] and table.iloc[4, -1] == "–"
    assert set(said.apart(spent)["table"]) == {"A.VI, ALL", "A.VI, 60 %"}


def times(oversampling=1.5):
    rows = [(row, s, 1.0, 1.0, 1.0) for row in ("all", "56%") for s in a6_online.STRATEGIES]
    frame = pd.DataFrame(rows, columns=["row", "column", "seconds", "exams", "hours"])
    frame.loc[frame["column"] == "oversampling", "exams"] = oversampling
    return frame


def test_costs_sentence():
    told = said.costs_sentence(times())
    assert told.startswith("Oversampling sees more exams than the other strategies, as in the paper.")
    assert "oversampling 1.50 times the exams in 1.00 times the time" in told
    assert "In the paper: oversampling 1.00 times" in told
    assert "does not see more exams everywhere" in said.costs_sentence(times(1.0))
    assert "In the paper:" not in said.costs_sentence(times().assign(hours=np.nan))


def test_what_the_paper_can_be_sure_of():
    told = said.paper_uncertainty()
    assert "50 positive test exams" in told and "1.0 to 3.1 points" in told


def resampled(scores, fewest=40, spread=0.01):
    """Runs of one seed with these scores, each resample off by the same noise of its own; 0.6 where nothing is said."""
    rng, values, draws = np.random.default_rng(0), {}, {}
    metrics = ("precision", "recall", *online_claims.F1S)
    for row in ("all", "56%"):
        for strategy in a6_online.STRATEGIES:
            value = scores.get((row, strategy), 0.6)
            values[row, strategy, 0] = dict.fromkeys(metrics, value)
            draws[row, strategy, 0] = {m: value + spread * rng.standard_normal(500) for m in metrics}
    return Resampled(values, draws, fewest)


def test_gains_over_no_strategy():
    runs = resampled({("all", "ohem"): 0.7, ("56%", "ohem"): 0.65, ("all", "focal"): 0.5})
    found = online_claims.gains(runs, ("56%", "all"))
    lines = found.query("metric == 'f1'").set_index(["claim", "column"])
    assert lines.loc[("ohem", "all"), "difference"] == pytest.approx(0.1)
    cells = ["one", "one_column", "other", "other_column"]
    assert lines.loc[("ohem", "56%"), cells].tolist() == ["56%", "ohem", "56%", "none"]
    assert lines.loc[("ohem", MEAN), "difference"] == pytest.approx(0.075)
    assert lines.loc[("ohem", "all"), "published"] == pytest.approx(0.875 - 0.846)
    assert lines.loc[("ohem", MEAN), "published"] == pytest.approx((0.875 - 0.846 + 0.891 - 0.860) / 2)
    assert lines.loc["ohem", "verdict"].tolist() == [HOLDS] * 3
    assert lines.loc["oversampling", "verdict"].tolist() == [UNCLEAR] * 3
    assert lines.loc[("focal", "all"), "verdict"] == FAILS
    assert lines.loc[("ohem_focal", "all"), "difference"] == pytest.approx(0.2)
    told = report.claim_sentence(found, "ohem", "f1", over="ALL and the selection")
    assert told.startswith("“OHEM scores higher than no strategy” holds here: F1 differs by +7.5 points")
    assert "on average over ALL and the selection" in told


def test_the_selection_against_all_negatives():
    runs = resampled({("56%", s): 0.6 + 0.1 * (s == "focal") for s in a6_online.STRATEGIES})
    lines = online_claims.selection(runs, "56%").query("metric == 'f1'").set_index("column")
    assert list(lines.index) == [*a6_online.STRATEGIES, MEAN]
    assert lines.loc["focal", "difference"] == pytest.approx(0.1) and lines.loc["focal", "verdict"] == HOLDS
    assert lines.loc["none", "verdict"] == UNCLEAR
    assert lines.loc["none", "published"] == pytest.approx(0.860 - 0.846)
    few = online_claims.selection(resampled({}, fewest=5), "56%")
    assert set(few["verdict"]) == {TOO_FEW}


def lines_of(positives=30, negatives=(170, 95), alpha=0.25):
    rows = [
        (row, s, a6_online.decision_line(s, positives, n, alpha))
        for row, n in zip(("all", "56%"), negatives, strict=True)
        for s in a6_online.STRATEGIES
    ]
    return pd.DataFrame(rows, columns=["row", "column", "line"])


def test_precision_and_recall_are_expected_to_move_with_the_line():
    found = online_claims.moves(resampled({("all", "oversampling"): 0.7, ("all", "focal"): 0.5}), lines_of())
    assert found["text"].drop_duplicates().tolist() == [
        "Oversampling raises recall",
        "Oversampling lowers precision",
        "Focal loss lowers recall",
        "Focal loss raises precision",
    ]
    assert list(dict.fromkeys(found["column"])) == ["56%", "all", MEAN]
    lines = found.set_index(["claim", "column"])
    assert lines.loc[("oversampling_recall", "all"), "difference"] == pytest.approx(0.1)
    assert lines.loc[("oversampling_precision", "all"), "verdict"] == FAILS
    assert lines.loc[("focal_recall", "all"), "difference"] == pytest.approx(0.1)
    assert lines.loc[("focal_recall", "all"), "published"] == pytest.approx(0.88 - 0.86)
    html = report.claims_table(found, "Moves", over="both").data
    assert "Section" not in html and "mean over both" in html


@pytest.mark.parametrize(
    "exposure, texts",
    [
        (lines_of(alpha=0.75), {"Oversampling raises recall", "Focal loss raises recall"}),
        (lines_of(alpha=0.5), {"Oversampling raises recall"}),  # no line but that of no strategy
        (lines_of(negatives=(20, 10)), {"Oversampling lowers recall", "Focal loss lowers recall"}),
        (
            lines_of(negatives=(40, 20), alpha=0.5),
            set(),
        ),  # up on ALL, down on the selection: nothing in common
    ],
)
def test_what_is_expected_depends_on_the_lines(exposure, texts):
    found = online_claims.moves(resampled({}), exposure)
    assert set(found.query("metric == 'recall'")["text"] if len(found) else []) == texts
    assert ("nothing is expected" in said.moves_table(found).data) == (not texts)


def test_the_papers_numbers_bear_out_its_claims():
    paper = papers.table("A.VI").set_index(["row", "column", "metric"])["value"]
    for row in ("all", "56%"):
        for claim in online_claims.GAINS:
            assert paper[row, claim.one, "f1"] > paper[row, claim.other, "f1"], (row, claim.key)
    for strategy in a6_online.STRATEGIES:
        assert paper["56%", strategy, "f1"] > paper["all", strategy, "f1"]


def scores(undefined=(), row="56%"):
    rows = [
        (r, s, m, np.nan if (r, s) in undefined and m == "precision" else 0.5 + 0.1 * i)
        for r in ("all", row)
        for s in a6_online.STRATEGIES
        for i, m in enumerate(("precision", "recall", "f1", "auc"))
    ]
    frame = pd.DataFrame(rows, columns=["row", "column", "metric", "mean"])
    return report.joined(frame.assign(low=frame["mean"] - 0.1, high=frame["mean"] + 0.1), "A.VI")


FIGURES = {
    "F1": lambda: figures_online.score_by_strategy(scores(), "f1", "F1"),
    "AUC": lambda: figures_online.score_by_strategy(scores(), "auc"),
    "another share": lambda: figures_online.score_by_strategy(scores(row="30%")),
    "precision and recall": lambda: figures_online.precision_and_recall(scores()),
    "no precision on ALL": lambda: figures_online.precision_and_recall(
        scores([("all", s) for s in a6_online.STRATEGIES])
    ),
    "no precision at all": lambda: figures_online.precision_and_recall(
        scores([(r, s) for r in ("all", "56%") for s in a6_online.STRATEGIES])
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_draw(name):
    assert isinstance(FIGURES[name](), Figure)


def test_the_figure_of_f1_has_the_papers_values_beside_ours():
    figure = figures_online.score_by_strategy(scores())
    here, paper = figure.axes
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["here", "the paper"]
    drawn = np.concatenate([line.get_ydata() for line in paper.lines])
    wanted = papers.table("A.VI").query("metric == 'f1'")["value"]
    np.testing.assert_allclose(sorted(drawn), sorted(wanted))
    assert {round(float(y), 9) for line in here.lines for y in line.get_ydata()} == {0.7}
    assert [t.get_text() for t in here.get_xticklabels()] == [
        "No strategy",
        "Oversampling",
        "OHEM",
        "Focal loss",
    ]
