"""Simulated tests: right where closed forms and the bootstrap tell, and honest where there are too few exams."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr, ndtri
from scipy.stats import multivariate_normal
from tiny_study import parameters

from covid_study.errors import StudyError
from covid_study.report import verdicts_power as verdicts
from covid_study.scores import power, power_spread, published as papers
from covid_study.scores.power_spread import Rates, Spread
from covid_study.scores.resamples import Resamples

MIDDLE = Rates(0.8, 0.05)
FIXED = Spread("56%", MIDDLE, (0.7, 0.5), ((0.0, 0.0), (0.0, 0.0)), 4, "rows", 0.02, 100, 900)
TRAINED = replace(FIXED, training=((0.02, 0.01), (0.01, 0.04)))


def written(tmp_path, rng, cells, positives, negatives, correlation, training, threshold=0.5):
    """Runs whose calls follow the model of `power.simulate`, as folders."""
    y = np.r_[np.ones(positives, int), np.zeros(negatives, int)]
    r = np.where(y == 1, *correlation)
    shared, folders = rng.standard_normal(len(y)), {}
    for cell in cells:
        level = ndtri(MIDDLE) + rng.multivariate_normal([0, 0], training)
        z = np.where(y == 1, *level) + np.sqrt(r) * shared + np.sqrt(1 - r) * rng.standard_normal(len(y))
        frame = pd.DataFrame({"exam_id": [f"e{i}" for i in range(len(y))], "label": y, "split": "test"})
        frame = frame.assign(probability=ndtr(z + ndtri(threshold)))
        folder = tmp_path / "-".join(map(str, cell))
        folder.mkdir()
        extra = frame.head(3).assign(split="validation", probability=1 - frame["probability"].head(3))
        pd.concat([frame.sample(frac=1, random_state=1), extra]).to_parquet(folder / "predictions.parquet")
        folders[cell] = folder
    return folders


def test_independent_classifiers_agree_with_the_delta_method():
    positives, negatives, alone = 4000, 20000, replace(FIXED, correlation=(0.0, 0.0))
    found = power.simulate(MIDDLE, MIDDLE, alone, positives, negatives, n=4000, training=False)
    tp, fp = MIDDLE.recall * positives, MIDDLE.false_alarms * negatives
    by_tp = 2 * (fp + positives) / (tp + fp + positives) ** 2
    by_fp = -2 * tp / (tp + fp + positives) ** 2
    sd = np.sqrt(by_tp**2 * tp * (1 - MIDDLE.recall) + by_fp**2 * fp * (1 - MIDDLE.false_alarms)) * np.sqrt(2)
    assert abs(found.mean()) < 4 * sd / np.sqrt(4000)
    assert found.std() == pytest.approx(sd, rel=0.05)


@pytest.mark.parametrize("r", [0.0, 0.5, 0.95])
def test_two_runs_agree_as_often_as_two_normals_with_that_correlation(r):
    levels = ndtri([0.8, 0.3])
    both = power_spread.calling(levels, r).prod(axis=0).mean()
    exact = multivariate_normal(mean=[0, 0], cov=[[1, r], [r, 1]]).cdf(levels)
    assert both == pytest.approx(exact, abs=0.006)


@pytest.mark.parametrize("spread", [FIXED, TRAINED])
def test_with_no_difference_one_test_in_twenty_finds_one(spread):
    n = 4000
    limit = power.by_chance(MIDDLE, MIDDLE, spread, 50, 468, n=n)
    found = power.simulate(MIDDLE, MIDDLE, spread, 50, 468, n=n, seed=9)
    # two simulations stray: the limit and the share beyond it
    assert (np.abs(found) > limit).mean() == pytest.approx(0.05, abs=4 * np.sqrt(2 * 0.05 * 0.95 / n))


def test_power_grows_with_the_difference_the_exams_and_the_seeds():
    curve = power.power_curve(MIDDLE, TRAINED, 50, 468, n=2000).set_index("difference")["power"]
    assert curve.iloc[0] < 0.08 and curve.iloc[-1] > 0.5
    assert (curve.diff().dropna() > -0.03).all()
    sizes = [power.smallest(MIDDLE, FIXED, k, 9 * k, n=2000, training=False) for k in (50, 200, 800)]
    assert sizes[0] > 1.7 * sizes[1] > 1.7**2 * sizes[2]  # half as large with four times the exams
    seeds = [power.smallest(MIDDLE, TRAINED, 50, 468, n=2000, seeds=k) for k in (1, 4)]
    assert seeds[1] == pytest.approx(seeds[0] / 2, rel=0.15)
    floor = [power.smallest(MIDDLE, TRAINED, k, 9 * k, n=2000) for k in (20_000, 200_000)]
    assert floor[1] == pytest.approx(floor[0], rel=0.1) and floor[1] > 0.05  # more exams no longer help


def test_eighty_per_cent_find_the_smallest_difference():
    for spread, options in ((FIXED, {"training": False}), (TRAINED, {"seeds": 3})):
        d = power.smallest(MIDDLE, spread, 50, 468, n=4000, **options)
        pair = power.apart(MIDDLE, d, 50, 468)
        found = power.simulate(*pair, spread, 50, 468, n=4000, seed=5, **options)
        limit = power.by_chance(MIDDLE, MIDDLE, spread, 50, 468, n=4000, **options)
        assert (np.abs(found) > limit).mean() == pytest.approx(0.8, abs=0.05)


def test_a_paired_bootstrap_finds_about_as_much():
    positives, negatives, tests, resamples = 50, 468, 300, 400
    pair, rng = power.apart(MIDDLE, 0.1, positives, negatives), np.random.default_rng(3)
    y = np.r_[np.ones(positives, int), np.zeros(negatives, int)]
    r, drawn = np.where(y == 1, *FIXED.correlation), Resamples(y, n=resamples, seed=rng)
    found = 0
    for _ in range(tests):
        shared = rng.standard_normal(len(y))
        (weights,) = drawn.weights()
        f1 = []
        for rates in pair:
            own = np.sqrt(r) * shared + np.sqrt(1 - r) * rng.standard_normal(len(y))
            called = np.where(y == 1, *ndtri(rates)) + own > 0
            f1.append(2 * weights @ (called & (y == 1)) / (weights @ called + positives))
        low, high = np.percentile(f1[0] - f1[1], [2.5, 97.5])
        found += low > 0 or high < 0
    ours = power.simulate(*pair, FIXED, positives, negatives, n=4000, seed=2, training=False)
    limit = power.by_chance(MIDDLE, MIDDLE, FIXED, positives, negatives, n=4000, training=False)
    assert found / tests == pytest.approx((np.abs(ours) > limit).mean(), abs=0.1)


def test_apart_gives_the_difference_that_was_asked_for():
    for d in (0.0, 0.05, 0.3):
        one, other = power.apart(MIDDLE, d, 50, 468)
        assert one.f1(50, 468) - other.f1(50, 468) == pytest.approx(d)
        assert one.recall >= other.recall and one.false_alarms <= other.false_alarms
    with pytest.raises(StudyError, match="differ by 1.10"):
        power.apart(MIDDLE, 1.1, 50, 468)


def test_the_spread_that_runs_were_made_with_is_found_again(tmp_path):
    rng, training = np.random.default_rng(0), np.array([[0.03, 0.015], [0.015, 0.05]])
    cells = [(row, "56%", seed) for row in "ab" for seed in range(12)]
    folders = written(tmp_path, rng, cells, 3000, 6000, (0.8, 0.4), training)
    found = power_spread.spreads(folders)["56%"]
    assert found.by == "seeds" and found.runs == 24 and (found.positives, found.negatives) == (3000, 6000)
    assert found.correlation == pytest.approx((0.8, 0.4), abs=0.04)
    assert np.array(found.training) == pytest.approx(training, abs=0.025)
    assert found.rates == pytest.approx(MIDDLE, abs=0.06)
    simulated = power.simulate(found.rates, found.rates, found, 3000, 6000, n=4000).std() / np.sqrt(2)
    assert simulated == pytest.approx(found.sd, rel=0.2)


def test_without_differing_trainings_only_the_test_exams_are_blamed(tmp_path):
    cells = [(row, "56%", 0) for row in "abcdefgh"]
    folders = written(tmp_path, np.random.default_rng(1), cells, 400, 900, (0.8, 0.4), np.zeros((2, 2)))
    found = power_spread.spreads(folders)["56%"]
    assert found.by == "rows" and found.runs == 8
    assert np.trace(found.training) < 0.01
    alone = power.simulate(found.rates, found.rates, found, 400, 900, n=4000, training=False).std()
    assert alone / np.sqrt(2) == pytest.approx(found.sd, rel=0.35)


def test_where_runs_or_exams_are_too_few_nothing_is_known(tmp_path):
    rng, none = np.random.default_rng(2), np.zeros((2, 2))
    folders = written(tmp_path, rng, [("a", "14%", 0), ("b", "14%", 0)], 1, 30, (0.5, 0.5), none)
    folders |= written(tmp_path, rng, [("a", "all", 0)], 40, 60, (0.5, 0.5), none)
    folders |= {("b", "all", 0): folders["a", "all", 0]}  # the same run under two names is one run
    assert power_spread.spreads(folders) == {"14%": None, "all": None}
    folders |= written(tmp_path, rng, [("c", "all", 0)], 40, 61, (0.5, 0.5), none)
    with pytest.raises(StudyError, match="different exams"):
        power_spread.spreads(folders)


def test_runs_that_call_everything_positive_are_no_error(tmp_path):
    cells = [("a", "14%", 0), ("b", "14%", 0)]
    folders = written(tmp_path, np.random.default_rng(2), cells, 20, 30, (0.5, 0.5), np.zeros((2, 2)))
    found = power_spread.spreads(folders, threshold=0.0)["14%"]
    assert np.isfinite(power.by_chance(found.rates, found.rates, found, 20, 30, n=100))


def test_rates_are_those_behind_the_printed_scores():
    counts = papers.check_scores("A.VII").set_index("row").loc["scratch"]
    rates = power.rates_of(0.815, 0.88, *power.paper_test())
    assert rates.recall * 50 == counts["true_positives"]
    assert rates.false_alarms * 468 == pytest.approx(counts["false_positives"], abs=0.05)
    assert np.isnan(power.rates_of(np.nan, 0.0, 50, 468)).all()


def test_what_was_simulated_is_kept(root):
    p = parameters(root, study={"bootstrap": 100})
    found = power.measured(p, TRAINED)
    assert set(found.curves["test"]) == {"paper", "ours"} and len(set(found.curves["case"])) == 6
    assert len(found.sizes) == 6 * len(power.POSITIVES)
    (folder,) = [f for f in (root / "build" / "tiny" / "power").iterdir() if f.is_dir()]
    before = (folder / "sizes.parquet").stat().st_mtime_ns
    pd.testing.assert_frame_equal(power.measured(p, TRAINED).sizes, found.sizes)
    assert (folder / "sizes.parquet").stat().st_mtime_ns == before
    unknown = power.measured(p, None)
    assert set(unknown.curves["case"]) == {power.UNLIKE} and set(unknown.curves["test"]) == {"paper"}


def test_every_published_difference_is_marked_once():
    marked = verdicts.of_published(TRAINED, n=100)
    rows = marked[~marked["table"].str.endswith("claims")]
    assert rows.groupby("table").size().to_dict() == {
        "A.III": 12, "A.IV": 4, "A.V": 12, "A.VI": 4, "A.VI, online": 6, "A.VII": 2,
    }  # fmt: skip
    assert not marked.duplicated(["table", "row", "above", "column"]).any()
    chosen = marked.set_index(["table", "row", "above", "column"])["difference"]
    found = chosen["A.III, claims", "Difficulty and diversity", "Random", "56%"]
    assert found == pytest.approx(0.86 - 0.82)
    found = chosen["A.VI, online", "All 1,785 negatives", "All 1,785 negatives, no strategy", "ohem"]
    assert found == pytest.approx(0.875 - 0.846)
    assert (verdicts.of_published(None)["mark"] == power.UNKNOWN).all()


def test_the_spread_table_adds_up():
    table = verdicts.spread_table({"56%": TRAINED, "all": None}, n=3000)
    total, exams, trainings = table.loc[
        "56 %", ["simulated", "by the test exams", "by the trainings"]
    ].astype(float)
    assert total == pytest.approx(np.hypot(exams, trainings), rel=0.1)
    assert (table.loc["all"] == "–").all()


def simulated(spread=TRAINED):
    """As `power.measured` gives it: d^2 = a / n + b, smaller with more seeds."""
    cases = {power.UNLIKE: (1.2, 0.0)}
    if spread is not None:
        cases |= {power.EXAMS: (0.35, 0.0), "1 seed": (0.35, 0.0025), "10 seeds": (0.035, 0.00025)}
    sizes = pd.DataFrame(
        {"case": case, "positives": k, "smallest": np.sqrt(a / k + b)}
        for case, (a, b) in cases.items()
        for k in power.POSITIVES
    )
    return power.Measured(pd.DataFrame(columns=["test", "case", "difference", "power"]), sizes)


def test_sentences_say_what_the_numbers_say():
    assert "in 80 % of the cases from 9.7 points" in verdicts.smallest_sentence(simulated())
    text = verdicts.needed_sentence(simulated())
    assert (
        "difference of 2.8 points" in text and "takes about 450 test positives, 9.4 negatives to each" in text
    )
    assert "with 1 seed no number is enough (the least that any number finds: 5.0 points)" in text
    assert "with 10 seeds it takes about 66" in text
    assert "upper bound" in verdicts.spread_sentence({"56%": FIXED})
    assert "between the seeds" in verdicts.spread_sentence({"56%": replace(FIXED, by="seeds")})
    assert "not to be relied on" not in verdicts.spread_sentence({"56%": FIXED})
    text = verdicts.spread_sentence({"14%": replace(FIXED, column="14%", sd=0.2), "56%": FIXED})
    assert "At 14 % the simulation gives a deviation of" in text and "where 20.0 were measured" in text


def test_sentences_without_runs_say_that_nothing_is_known():
    assert "nothing can be said" in verdicts.spread_sentence({"14%": None, "56%": None})
    assert "these runs cannot say" in verdicts.smallest_sentence(simulated(None))
    assert "not known here" in verdicts.needed_sentence(simulated(None))
    text = verdicts.published_sentences(verdicts.of_published(None))
    assert text.count("nothing can be said from these runs") == 2


def test_marks_are_counted():
    marked = pd.DataFrame({"mark": [power.APART] * 3 + [power.CHANCE] * 37 + [power.UNKNOWN]})
    assert verdicts.marks_sentence(marked, "differences") == (
        "Of 40 differences, 3 can be told from chance and 37 may be other test exams. Without any true difference, about 2 "
        "would be expected to look as if told from chance. Of 1 more nothing can be said."
    )
    assert verdicts.marks_sentence(marked[:0], "differences") == "There are no differences."
