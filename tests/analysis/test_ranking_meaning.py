"""The numbers behind notebooks 02 and 03, on rankings and histories whose answer is known."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, spearmanr

from covid_study.analysis import ranking_meaning as evidence
from covid_study.analysis.pretext_learnt import TARGETS, UNTRAINED, pretext_tests, probe_aucs, probe_changes
from covid_study.ranking.rank import rank_negatives
from covid_study.scores import claims
from covid_study.scores.resamples import Resamples


def history(accuracy, seeds=(0,)):
    known = {"variant": "Pro", "validation_horizontal": 0.5, "validation_vertical": 0.54}
    parts = [
        {"seed": s, "epoch": e, "validation_permutation": a} for s in seeds for e, a in enumerate(accuracy)
    ]
    return pd.DataFrame(parts).assign(**known)


def test_pretext_test_is_binomial_and_pools_seeds():
    table = pretext_tests(history([0.0, 0.25], (0, 1)), 3, 100, draws=8).set_index("part")
    assert table.loc["permutation", "answers"] == 48
    assert table.loc["permutation", "p"] == pytest.approx(binom.sf(11, 48, 0.01))
    assert table.loc["vertical", "p"] == pytest.approx(binom.sf(round(0.54 * 384) - 1, 384, 0.5))
    assert table["learnt"].tolist() == ["learnt", "no", "no"]


def test_barely_and_unknown():
    many = pretext_tests(history([0.05]), exams=100, permutations=100)
    assert many["learnt"].tolist() == ["barely", "no", "barely"]
    none = history([0.5])[["variant", "seed", "epoch"]]
    assert set(pretext_tests(none, exams=0, permutations=100)["learnt"]) == {"unknown"}


@pytest.fixture
def archive():
    ids = [f"e{i:02d}" for i in range(40)]
    finding = ["cap"] * 15 + ["non_pneumonia"] * 25
    exams = pd.DataFrame({"finding": finding, "patient_id": ids}, index=ids)
    hard_first = rank_negatives(pd.DataFrame({"p": np.arange(1.0, 41)}, index=ids))
    hard_last = rank_negatives(pd.DataFrame({"p": np.arange(40.0, 0, -1)}, index=ids))
    found = {("pretext", 0): hard_first, ("untrained", 0): hard_last, ("hu_histogram", 0): hard_first}
    return found, exams


def test_small_difficulty_is_hard(archive):
    table = evidence.cap_first(evidence.scored(*archive, n=100)).set_index(["source", "metric"])["value"]
    assert table["pretext", "auc"] == 1 and table["untrained", "auc"] == 0
    assert table["untrained", "lead"] == 1 and table["hu_histogram", "lead"] == 0


def test_the_claim_that_hard_cases_look_like_covid_is_decided(archive):
    found, exams = archive
    of = evidence.scored(found | {("pretext", s): found["pretext", 0] for s in (1, 2)}, exams, n=100)
    assert of.fewest == 15 and of.values["untrained", "cap", 0] == {"auc": 0}
    low, high = Resamples.interval(of.draws["pretext", "cap", 0]["auc"])
    assert low == high == 1
    (line,) = claims.decide(of, claims.of_table("A.ranking")).to_dict("records")
    assert line["difference"] == pytest.approx(0.5) and line["verdict"] == claims.HOLDS
    one = evidence.scored(found, exams, n=100)
    assert claims.decide(one, claims.of_table("A.ranking"))["verdict"].tolist() == [claims.OPEN]


def test_the_table_has_the_interval_of_the_claim():
    rng = np.random.default_rng(2)
    patients = [f"e{i:02d}" for i in range(40)]
    exams = pd.DataFrame({"patient_id": patients, "finding": ["cap", "non_pneumonia"] * 20}, index=patients)
    hard = {s: pd.DataFrame({"difficulty": rng.normal(size=40)}, index=patients) for s in range(3)}
    of = evidence.scored({("pretext", s): ranking for s, ranking in hard.items()}, exams, n=200)
    (line,) = claims.decide(of, claims.of_table("A.ranking")).to_dict("records")
    row = evidence.cap_first(of).iloc[0]
    assert row["value"] - 0.5 == pytest.approx(line["difference"])
    assert [row["low"] - 0.5, row["high"] - 0.5] == pytest.approx([line["low"], line["high"]])


def test_difficulty_that_follows_the_load(archive):
    found, exams = archive
    load = pd.Series(np.linspace(0.5, 0, 40), index=exams.index)
    table = evidence.follows_load(found, load, exams).set_index(["source", "among"])["value"]
    assert table["pretext", "all negatives"] == pytest.approx(1)
    assert table["untrained", "CAP alone"] == pytest.approx(-1)
    assert evidence.agreement(found).loc["pretext features", "untrained encoder"] == pytest.approx(-1)


def test_agreement_is_the_median_over_pairs_of_seeds():
    rng = np.random.default_rng(0)
    hard = {(source, s): rng.normal(size=30) for source in ("pretext", "untrained") for s in range(3)}
    hard["hu_histogram", 0] = rng.normal(size=30)
    told = evidence.agreement({key: pd.DataFrame({"difficulty": values}) for key, values in hard.items()})
    assert (
        list(told.index)
        == list(told.columns)
        == ["pretext features", "untrained encoder", "lung HU histogram"]
    )
    assert np.isnan(told.loc["lung HU histogram", "lung HU histogram"])
    for one, other, shown in (("pretext", "untrained", (0, 1)), ("pretext", "pretext", (0, 0))):
        pairs = [(a, b) for a in range(3) for b in range(3) if one != other or a < b]
        rhos = [spearmanr(hard[one, a], hard[other, b]).statistic for a, b in pairs]
        assert told.iloc[shown] == pytest.approx(np.median(rhos))


def test_no_cap_no_answer(archive):
    found, exams = archive
    of = evidence.scored(found, exams.assign(finding="non_pneumonia"), n=100)
    assert of.values == {} and evidence.cap_first(of).empty


def test_probes_gain_over_the_untrained_of_the_same_seed():
    ids = [f"e{i}" for i in range(20)]
    truth = np.arange(20) < 8
    base = pd.DataFrame({"exam_id": ids, "patient_id": ids, "truth": truth})
    parts = [
        base.assign(variant=v, seed=0, target=t, score=s)
        for t in TARGETS
        for v, s in (("Pro", truth * 1.0), (UNTRAINED, np.full(20, 0.5)))
    ]
    aucs = probe_aucs(pd.concat(parts), n=100).set_index(["target", "variant"])["value"]
    gains = probe_changes(pd.concat(parts), n=100).set_index(["measure", "contrast"])["value"]
    for target in TARGETS.values():
        assert aucs[target, "Pro"] == 1 and gains[target, "Pro"] == pytest.approx(0.5)
    parts[0]["score"] = np.nan
    aucs = probe_aucs(pd.concat(parts), n=100).set_index(["target", "variant"])["value"]
    assert np.isnan(aucs[TARGETS["covid"], "Pro"])
