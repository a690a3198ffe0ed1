"""Paired differences against a naive loop, verdicts on known cases, and test sets too small to say anything."""

import numpy as np
import pandas as pd
import pytest
import torch

from covid_study.errors import StudyError
from covid_study.samples.samples import Samples
from covid_study.scores import old_claims as claims, published
from covid_study.scores.binary import best_f1_threshold
from covid_study.scores.old_claims import FAILS, HOLDS, MEAN, TOO_FEW, UNCLEAR

COLUMNS = ("14%", "28%", "56%")


def exams(positives=20, negatives=60, validation=12):
    """Two exams for every second patient, ids in an order that is not that of the labels."""
    label = np.r_[np.ones(positives, int), np.zeros(negatives, int), np.tile([1, 0], validation)[:validation]]
    split = ["test"] * (positives + negatives) + ["validation"] * validation
    number = np.arange(len(label))
    patient = [f"p{label[i]}{split[i][0]}{i // 2 if i % 4 < 2 else i}" for i in number]
    return pd.DataFrame(
        {"exam_id": [f"e{(37 * i) % 1000:03d}" for i in number], "patient_id": patient, "label": label}
    ).assign(split=split, finding=np.where(label == 1, "covid", "cap"))


def volumes(table):
    return Samples(table.set_index("exam_id")[["patient_id", "finding", "split"]], torch.empty(0), "store")


def predictions(folder, table, quality, seed):
    """A folder as of a run whose scores part the classes by `quality` standard deviations."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(size=len(table)) + quality * (table["label"] - 0.5)
    folder.mkdir(parents=True)
    shuffled = table.assign(probability=1 / (1 + np.exp(-logit))).sample(frac=1, random_state=seed)
    shuffled.to_parquet(folder / "predictions.parquet", index=False)
    return folder


@pytest.fixture
def ran(tmp_path):
    """Runs of "both" and "random" at three sizes and two seeds: both is far better, but at 14 % where they are alike."""
    table, folders = exams(), {}
    for seed in (0, 1):
        for i, column in enumerate(COLUMNS):
            for row, quality in (("random", 1.0), ("both", 1.0 if i == 0 else 5.0)):
                name = tmp_path / f"{row}-{i}-{seed}"
                folders[(row, column, seed)] = predictions(name, table, quality, 10 * seed + i)
        folders[("random", "all", seed)] = predictions(tmp_path / f"all-{seed}", table, 1.0, 99 + seed)
    return volumes(table), folders


def naive(y, p, threshold):
    """The five scores of copied exams, without weights: AUC over all pairs, average precision over all positives."""
    called, positive, negative = p >= threshold, p[y == 1], p[y == 0]
    found = (called & (y == 1)).sum()
    ahead = (positive[:, None] > negative).mean() + (positive[:, None] == negative).mean() / 2
    at_or_above = (p >= positive[:, None]).sum(axis=1)
    return {
        "precision": found / called.sum() if called.any() else np.nan,
        "recall": found / len(positive),
        "f1": 2 * found / (called.sum() + len(positive)),
        "auc": ahead,
        "average_precision": ((positive >= positive[:, None]).sum(axis=1) / at_or_above).mean(),
    }


def test_differences_and_intervals_are_those_of_a_naive_loop(ran):
    """A loop that copies the exams of drawn patients and lets scikit-learn score them, seeds averaged."""
    v, folders = ran
    n, seeds = 400, (0, 1)
    one, other = ("both", "28%"), ("random", "28%")
    read = {
        (cell, seed): pd.read_parquet(folders[(*cell, seed)] / "predictions.parquet").set_index("exam_id")
        for cell in (one, other)
        for seed in seeds
    }
    test = next(iter(read.values())).query("split == 'test'").sort_index()
    truth, place = test["label"].to_numpy(), pd.Series(np.arange(len(test)), test.index)
    groups = [
        [place[g.index].to_numpy() for _, g in part.groupby("patient_id")]
        for _, part in test.groupby("label")
    ]
    score = {key: table.loc[test.index, "probability"].to_numpy() for key, table in read.items()}
    cut = {}
    for key, table in read.items():
        held_out = table.query("split == 'validation'")
        cut[key] = best_f1_threshold(held_out["label"], held_out["probability"]).threshold

    def difference(where):
        y = truth[where]
        scores = {key: [naive(y, p[where], t) for t in (0.5, cut[key])] for key, p in score.items()}
        of = {}
        for metric in claims.SCORES:
            base, which = metric.removesuffix("_validation"), int(metric.endswith("_validation"))
            gaps = [scores[(one, s)][which][base] - scores[(other, s)][which][base] for s in seeds]
            of[metric] = gaps
        return of

    rng, drawn = np.random.default_rng(5), {m: [] for m in claims.SCORES}
    for _ in range(n):
        where = [members[i] for members in groups for i in rng.integers(len(members), size=len(members))]
        for metric, gaps in difference(np.concatenate(where)).items():
            drawn[metric].append(np.mean(gaps))
    exact = difference(np.arange(len(test)))
    resampled = claims.resample(v, folders, n=4000)
    for metric in claims.SCORES:
        ours = claims.paired_difference(resampled, [(one, other)], metric)
        gaps = np.array(exact[metric])
        assert ours["difference"] == pytest.approx(gaps.mean(), abs=1e-12)
        assert ours["seeds"] == 2
        low, high = np.percentile(drawn[metric], [2.5, 97.5])
        of_seeds = 12.7062 * gaps.std(ddof=1) / np.sqrt(2)  # Student's t of two seeds
        low = max(-1, gaps.mean() - np.hypot(gaps.mean() - low, of_seeds))
        high = min(1, gaps.mean() + np.hypot(high - gaps.mean(), of_seeds))
        assert (ours["low"], ours["high"]) == pytest.approx((low, high), abs=0.03)


def test_pairing_narrows_the_interval(tmp_path):
    """A classifier against itself differs by exactly nothing in every resample."""
    table = exams()
    folders = {(row, "14%", 0): predictions(tmp_path / row, table, 1.0, 3) for row in ("random", "both")}
    resampled = claims.resample(volumes(table), folders, n=200)
    found = claims.paired_difference(resampled, [(("both", "14%"), ("random", "14%"))], "f1")
    assert (found["difference"], found["low"], found["high"]) == (0, 0, 0)


def test_the_mean_over_sizes_is_the_mean_of_the_sizes(ran):
    v, folders = ran
    one_seed = {cell: folder for cell, folder in folders.items() if cell[2] == 0}
    checked = claims.check(claims.resample(v, one_seed, n=300), "A.III", COLUMNS)
    assert set(checked["claim"]) == {"both", "all"}  # the other rows were not run
    lines = checked.query("claim == 'both' and metric == 'auc'").set_index("column")
    assert list(lines.index) == [*COLUMNS, MEAN]
    assert lines.loc[MEAN, "difference"] == pytest.approx(lines.loc[list(COLUMNS), "difference"].mean())
    assert lines.loc["14%", "verdict"] == UNCLEAR
    assert lines.loc[["28%", "56%", MEAN], "verdict"].tolist() == [HOLDS] * 3
    assert claims.overall(lines.reset_index()) == "holds on average"
    assert (lines["seeds"] == 1).all()


def test_the_claim_about_all_negatives_compares_with_all(ran):
    v, folders = ran
    checked = claims.check(claims.resample(v, folders, n=200), "A.III", COLUMNS)
    line = checked.query("claim == 'all' and metric == 'f1'").iloc[0]
    paper = published.table("A.III").set_index(["row", "column", "metric"])["value"]
    assert line["column"] == "56%"
    compared = line[["one", "one_column", "other", "other_column"]]
    assert compared.tolist() == ["both", "56%", "random", "all"]
    assert checked.loc[checked["column"] == MEAN, "one"].isna().all()
    assert line["published"] == pytest.approx(paper[("both", "56%", "f1")] - paper[("random", "all", "f1")])
    values = claims.resample(v, folders, n=2).values
    gaps = [values[("both", "56%", s)]["f1"] - values[("random", "all", s)]["f1"] for s in (0, 1)]
    assert line["difference"] == pytest.approx(np.mean(gaps))


def test_a_reversed_claim_does_not_hold(tmp_path):
    table = exams()
    folders = {
        ("both", "14%", 0): predictions(tmp_path / "b", table, 0.5, 1),
        ("random", "14%", 0): predictions(tmp_path / "r", table, 6.0, 2),
    }
    resampled = claims.resample(volumes(table), folders, n=300)
    line = claims.paired_difference(resampled, [(("both", "14%"), ("random", "14%"))], "auc")
    assert claims.verdict(line["low"], line["high"], resampled.fewest) == FAILS


@pytest.mark.parametrize("positives, negatives", [(1, 3), (2, 2), (1, 0), (0, 2), (9, 40)])
def test_small_test_sets_get_no_verdict(tmp_path, positives, negatives):
    table = exams(positives, negatives, validation=0)
    folders = {
        (row, column, 0): predictions(tmp_path / f"{row}{column}", table, 9.0 if row == "both" else -9.0, 1)
        for row in ("both", "random")
        for column in ("14%", "28%")
    }
    folders["random", "all", 0] = folders["random", "14%", 0]
    checked = claims.check(claims.resample(volumes(table), folders, n=100), "A.III", ["14%", "28%"])
    assert len(checked) and set(checked["verdict"]) == {TOO_FEW}
    assert claims.overall(checked.query("claim == 'both' and metric == 'f1'")) == TOO_FEW


def test_runs_tested_on_different_exams_are_not_paired(tmp_path):
    folders = {
        ("both", "14%", 0): predictions(tmp_path / "b", exams(20, 60), 1, 1),
        ("random", "14%", 0): predictions(tmp_path / "r", exams(20, 50), 1, 1),
    }
    with pytest.raises(StudyError, match="tested on"):
        claims.resample(volumes(exams()), folders)


@pytest.mark.parametrize("name", sorted(claims.CLAIMS))
def test_claims_are_about_rows_and_scores_that_exist(name):
    """And the paper's own numbers bear out what it is said to claim."""
    paper = published.table(name).set_index(["row", "column", "metric"])["value"]
    rows = set(paper.index.get_level_values("row"))
    for claim in claims.CLAIMS[name]:
        assert {claim.one, claim.other} <= rows and set(claim.metrics) <= set(claims.SCORES)
        columns = {"every": COLUMNS, "largest": COLUMNS[-1:], "smaller": COLUMNS[:-1]}[claim.sizes]
        for c in columns:
            metric = claim.metrics[0]
            gap = paper[(claim.one, c, metric)] - paper[(claim.other, claim.against or c, metric)]
            assert gap > 0, (claim.key, c)


@pytest.mark.parametrize(
    "sizes, mean, word",
    [
        ([HOLDS, HOLDS], HOLDS, HOLDS),
        ([UNCLEAR, UNCLEAR], HOLDS, "holds on average"),
        ([HOLDS, FAILS], HOLDS, FAILS),
        ([UNCLEAR, UNCLEAR], FAILS, FAILS),
        ([UNCLEAR, TOO_FEW], UNCLEAR, UNCLEAR),
        ([TOO_FEW, TOO_FEW], TOO_FEW, TOO_FEW),
        ([UNCLEAR, HOLDS], UNCLEAR, "holds at 1 of 2 sizes"),
    ],
)
def test_the_verdict_over_sizes(sizes, mean, word):
    lines = pd.DataFrame({"column": [*COLUMNS[: len(sizes)], MEAN], "verdict": [*sizes, mean]})
    assert claims.overall(lines) == word
