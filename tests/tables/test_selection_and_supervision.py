"""The six classifiers: which slices they are trained on, what is compared with what, and the answer in words."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from covid_study.scores import old_claims as claims, slice_claims, slices as slice_metrics
from covid_study.scores.resamples import Interval
from covid_study.tables import (
    selection_and_supervision as choosing,
    slice_ablation,
    slice_ranking,
    slice_selection_report as said,
)
from covid_study.tables.ablation import column
from covid_study.tables.ablation_report import in_points
from tests.scores.test_slice_claims import predictions
from tests.tables.test_slice_ranking import build, parameters, slices  # noqa: F401

SHARES = ("100%", "50%")


@pytest.fixture
def s():
    return slices(patients=4)


def cells(choosing_ce=0.0, choosing_saal=0.0, skill=1.5):
    """Predictions of the six classifiers, better by so much where the negatives are chosen."""
    gains = {"dual_track_ce": choosing_ce, "dual_track_saal": choosing_saal}
    return {
        (row, share, 0): predictions(skill + gains.get(row, 0.0), patients=60, seed=i)
        for i, row in enumerate(choosing.ROWS)
        for share in SHARES
    }


def judged(**gains):
    tables = cells(**gains)
    scores = {cell: slice_metrics.run_scores(table, 100) for cell, table in tables.items()}
    scored = slice_ablation.joined(slice_metrics.over_repeats(scores), None)
    return choosing.effects(slice_claims.resample(tables, n=200)), scored


def test_each_row_has_its_negatives_and_all_positives_of_its_share(s):
    p = parameters()
    runs = choosing.sweep(p, s)
    assert {cell[:2] for cell in runs} == {(row, share) for row in choosing.ROWS for share in SHARES}
    positives, negatives = map(set, slice_ranking.archive(s))
    for (row, share, seed), run in runs.items():
        trained = set(run.training_ids)
        kept = choosing.left(s, float(share[:-1]) / 100, seed)[0]
        assert trained & positives == set(kept) and len(kept) == {"100%": 8, "50%": 4}[share]
        assert len(trained & negatives) == (16 if row.startswith("all") else 8)
        assert run.method.loss == row.rpartition("_")[2] and not run.method.supervised
        assert (run.before.seconds > 0) == row.startswith("dual_track")
        other = f"{row.rpartition('_')[0]}_{'saal' if run.method.loss == 'ce' else 'ce'}", share, seed
        assert runs[other].training_ids == run.training_ids


def test_chosen_are_drawn_from_the_ranking_of_the_positives_that_are_left(s):
    p = parameters(slice_selection={"share": 0.25}, sampling={"long_tail_exponent": 200.0})
    few = choosing.left(s, 0.5, 0)[0]
    ranking, _ = slice_ranking.ranked(p, s, few)
    run = choosing.sweep(p, s)["dual_track_ce", "50%", 0]
    chosen = set(run.training_ids) - set(few)
    best = ranking["joint_rank"].nsmallest(4).index  # so steep a tail draws the top
    assert len(chosen & set(best)) >= 3


def test_the_random_part_is_nested_and_the_same_at_every_share(s):
    runs = {share: choosing.sweep(parameters(slice_selection={"share": share}), s) for share in (0.25, 0.5)}
    positives = set(slice_ranking.archive(s)[0])
    part = {
        share: {c: set(r.training_ids) - positives for c, r in found.items() if c[0] == "random_ce"}
        for share, found in runs.items()
    }
    assert part[0.25]["random_ce", "100%", 0] < part[0.5]["random_ce", "100%", 0]
    assert part[0.5]["random_ce", "100%", 0] == part[0.5]["random_ce", "50%", 0]
    order = choosing.random_order(sorted(slice_ranking.archive(s)[1]), 0)
    assert set(order[:8]) == part[0.5]["random_ce", "100%", 0]
    assert order != choosing.random_order(sorted(order), 1)


def test_no_test_slice_is_trained_on_or_changes_what_is_chosen(s):
    p = parameters()
    first = choosing.sweep(p, s)
    changed, tested = s.data.clone(), [i for i, split in enumerate(s.table["split"]) if split == "test"]
    changed[tested] = 255 - changed[tested]
    second = choosing.sweep(p, replace(s, data=changed, key="changed"))
    for cell, run in first.items():
        assert set(s.table.loc[list(run.training_ids), "split"]) == {"train"}
        assert second[cell].training_ids == run.training_ids


def test_every_finding_is_seen_however_few_are_drawn(s):
    p = parameters(slice_selection={"share": 2 / 16})
    table = choosing.taken(choosing.sweep(p, s), s)
    few = table[table["negatives"] != "all"]
    assert (few["slices"] == 2).all() and (few["cap"] == 0.5).all() and (few["non_pneumonia"] == 0.5).all()


def test_what_is_taken_is_counted(s):
    table = choosing.taken(choosing.sweep(parameters(), s), s).set_index(["negatives", "column"])
    assert table.loc[("all", "100%"), ["positives", "slices", "patients"]].tolist() == [8, 16, 8]
    assert table.loc[("dual_track", "50%"), ["positives", "slices"]].tolist() == [4, 8]
    assert table.loc[("all", "50%"), "cap"] == 0.5
    shown = said.taken_table(table.reset_index()).data
    assert "<th class='row'>Dual-track</th><td>50 %</td><td>4</td><td>8</td>" in shown
    assert "50 % of all negatives" in said.taken_sentence(table.reset_index())


def test_an_effect_is_the_difference_of_two_classifiers_and_the_interaction_of_two_effects():
    found, scored = judged(choosing_saal=2.0)
    value = scored.set_index(["row", "column", "metric"])["mean"]
    line = found.set_index(["claim", "metric", "column"])["difference"]
    for share in SHARES:
        gains = {
            loss: value[f"dual_track_{loss}", share, "auc"] - value[f"random_{loss}", share, "auc"]
            for loss in choosing.LOSSES
        }
        assert line["choosing_saal", "auc", share] == pytest.approx(gains["saal"])
        assert line["interaction", "auc", share] == pytest.approx(gains["saal"] - gains["ce"])
    mean = [line["interaction", "gmean", share] for share in SHARES]
    assert line["interaction", "gmean", claims.MEAN] == pytest.approx(np.mean(mean))
    assert column(0.5) == SHARES[1]


@pytest.mark.parametrize(
    ("gains", "begins", "compared"),
    [
        ({"choosing_saal": 2.5}, "Choosing negatives helps SAAL", "more than what CE gains"),
        (
            {"choosing_ce": 2.5},
            "Whether choosing negatives helps SAAL cannot be told",
            "less than what CE gains",
        ),
        ({"choosing_saal": -1.2}, "Choosing negatives harms SAAL", "less than what CE gains"),
        (
            {"choosing_saal": 2.5, "choosing_ce": 2.5},
            "Choosing negatives helps SAAL",
            "not told apart from what CE gains",
        ),
    ],
)
def test_the_answer_says_what_is_true_of_the_runs(gains, begins, compared):
    effects, scored = judged(**gains)
    text = said.answer(effects, scored)
    mean = effects.set_index(["claim", "metric", "column"]).loc[("choosing_saal", "auc", claims.MEAN)]
    assert f"the line lies, differs by {in_points(mean['difference'])} points" in text
    assert text.startswith(begins) and compared in text and "1 seed" in text


def test_there_is_no_answer_without_learning_patients_or_runs():
    effects, scored = judged(skill=0.0)
    assert "no classifier was shown" in said.answer(effects, scored)
    few = effects.assign(verdict=claims.TOO_FEW)
    assert "too few patients" in said.answer(few, scored)
    assert "were not trained" in said.answer(effects[effects["claim"] == "rebalancing"], scored)


def test_a_ranking_that_means_nothing_is_no_test_of_choosing():
    found = pd.DataFrame({"source": "backbone", "share": list(SHARES), "question": "cap", "value": 0.6})
    found = found.assign(low=0.55, high=0.7)
    assert said.caveat(found, "backbone") == ""
    assert "By the backbone features, 50 %: AUC 0.60 (0.55 to 0.70), more often" in said.evidence_sentences(
        found
    )
    assert said.caveat(found, "grey_histogram") != ""
    found.loc[1, "low"] = 0.49
    assert said.caveat(found, "backbone") != "" and "no better than a coin" in said.evidence_sentences(found)
    assert "cannot be asked" in said.evidence_sentences(found[:0])


@pytest.mark.parametrize(
    ("low", "words"), [(0.6, "its word counts"), (0.4, "counts for little"), (np.nan, "too few patients")]
)
def test_the_word_of_the_probe_is_judged(low, words):
    assert words in said.probe_sentence(Interval(0.7, low, 0.8))


def test_the_archive_and_the_costs_in_words(s, tmp_path):
    p = parameters()
    text = said.archive_sentence(p, slice_ranking.labelled(p, s))
    assert text.startswith("Ranked by the grey histogram, 64 values a slice: 16 negative and 8 COVID-19")
    assert "128 distances" in text
    runs = choosing.sweep(p, s)
    # 24 and 20 slices with all negatives, 16 and 12 with half of them
    assert said.spent_sentence(runs).startswith("On average over the shares 36 % fewer slices")
    (tmp_path / "timing.json").write_text('{"train_seconds": 7.5}')
    shown = said.spent_table(runs, dict.fromkeys(runs, tmp_path)).data
    assert (
        "<th class='row'>All negatives, SAAL</th><td>50 %</td><td>20</td><td>7.5 s</td><td>none</td>" in shown
    )
    assert shown.count("<td>none</td>") == 8
