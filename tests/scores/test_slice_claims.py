"""What paper B says of its tables, against runs whose quality is known."""

import numpy as np
import pandas as pd
import pytest

from covid_study.errors import StudyError
from covid_study.scores import old_claims as claims, published, slice_claims, slices as slice_metrics

CLASSES = ("covid", "cap", "non_pneumonia")


def predictions(skill, patients=90, slices=4, seed=0, sensitivity=0.0):
    """The patients and their difficulty are the same whatever the skill; `sensitivity` is added for COVID-19."""
    rng, own = np.random.default_rng(seed), np.random.default_rng(7).normal(size=(patients, 3))
    rows = []
    for i in range(patients):
        for j in range(slices):
            logits = own[i] + rng.normal(size=3) + skill * (np.arange(3) == i % 3)
            logits[0] += sensitivity * (i % 3 == 0)
            p = np.exp(logits) / np.exp(logits).sum()
            rows.append((f"s{i}_{j}", f"p{i}", CLASSES[i % 3], "test", *p))
    return pd.DataFrame(
        rows, columns=["slice_id", "patient_id", "finding", "split", *(f"p_{c}" for c in CLASSES)]
    )


def resampled(cells, **more):
    return slice_claims.resample({(*cell, 0): table for cell, table in cells.items()}, n=300, **more)


def lines(cells, name, claim):
    found = slice_claims.check(resampled(cells), name)
    return found[found["claim"] == claim].set_index(["metric", "column"])


def test_a_better_network_is_told_apart_and_an_equal_one_is_not():
    cells = {
        ("vgg16_bn", "slices"): predictions(0.5),
        ("resnet50", "slices"): predictions(2.5, seed=1),
        ("dsn_saal", "slices"): predictions(2.5, seed=2),
    }
    found = lines(cells, "B.3", "all")
    assert found.loc[("gmean", "vgg16_bn"), "verdict"] == claims.HOLDS
    assert found.loc[("gmean", "resnet50"), "verdict"] == claims.UNCLEAR
    assert found.loc[("gmean", "vgg16_bn"), "published"] == pytest.approx(0.925 - 0.849)
    assert np.isnan(found.loc[("auc", "vgg16_bn"), "published"])
    mean = found.loc[("f1", "mean"), "difference"]
    assert mean == pytest.approx(found.loc["f1"].drop("mean")["difference"].mean())
    turned = {**cells, ("vgg16_bn", "slices"): predictions(2.5), ("dsn_saal", "slices"): predictions(0.5)}
    turned = lines(turned, "B.3", "all")
    assert turned.loc[("gmean", "vgg16_bn"), "verdict"] == claims.FAILS


def test_values_are_those_of_the_scores():
    table = predictions(1.0)
    r = resampled({("ce", "slices"): table})
    assert r.values["ce", "slices", 0] == pytest.approx(slice_metrics.point_scores(table).to_dict())
    draws = r.draws["ce", "slices", 0]["sen"]
    interval = slice_metrics.intervals(table, n=300).loc["sen"]
    assert np.percentile(draws, [2.5, 97.5]).tolist() == pytest.approx([interval["low"], interval["high"]])
    assert r.fewest == 30


def test_pairing_narrows_the_difference():
    a, b = predictions(1.0), predictions(1.2)  # the same patients and the same noise
    r = resampled({("a", "slices"): a, ("b", "slices"): b})
    pair = [(("b", "slices"), ("a", "slices"))]
    found = claims.paired_difference(r, pair, "acc")
    alone = slice_metrics.intervals(a, n=300).loc["acc"]
    assert found["high"] - found["low"] < 0.7 * (alone["high"] - alone["low"])


def test_patients_can_be_compared_instead_of_slices():
    cells = {("a", "slices"): predictions(1.0), ("b", "slices"): predictions(2.0, seed=1)}
    r = resampled(cells, patients=True)
    expected = slice_metrics.point_scores(slice_metrics.by_patient(cells["a", "slices"]))
    assert r.values["a", "slices", 0] == pytest.approx(expected.to_dict())


def test_deep_supervision_by_backbone_and_what_a_shallow_network_gains():
    cells = {
        ("vgg16_bn", "baseline"): predictions(0.5),
        ("vgg16_bn", "dsn"): predictions(3.0),
        ("resnet50", "baseline"): predictions(2.0),
        ("resnet50", "dsn"): predictions(2.0, seed=4),
        ("alexnet", "baseline"): predictions(2.0),
    }
    gains = lines(cells, "B.4", "dsn")
    assert gains.loc["gmean"].index.tolist() == ["vgg16_bn", "resnet50", "mean"]
    assert gains.loc[("gmean", "resnet50"), "published"] == pytest.approx(0.865 - 0.838)
    shallow = lines(cells, "B.4", "shallow").loc[("gmean", "resnet50")]
    of = gains.loc["gmean"]["difference"]
    assert shallow["difference"] == pytest.approx(of["vgg16_bn"] - of["resnet50"])
    assert shallow["published"] == pytest.approx((0.901 - 0.849) - (0.865 - 0.838))
    assert shallow["verdict"] == claims.HOLDS and shallow["low"] < shallow["difference"] < shallow["high"]


def test_losses_and_both_together():
    cells = {
        (row, "slices"): predictions(2.0, seed=i)
        for i, row in enumerate(["ce", "focal", "saal", "dsn", "dsn_saal"])
    }
    found = slice_claims.check(resampled(cells), "B.5")
    judged = found[found["metric"] == "f1"].groupby("claim", sort=False)["column"].agg(list).to_dict()
    assert judged == {"saal": ["ce", "focal", "mean"], "both": ["dsn", "saal", "mean"]}
    both = found.query("claim == 'both' and metric == 'acc'").set_index("column")["published"]
    assert both["dsn"] == pytest.approx(0.920 - 0.894) and both["saal"] == pytest.approx(0.920 - 0.875)


def test_the_fall_of_sensitivity():
    worse = {"100%": (0.0, 0.0), "25%": (-1.0, -0.2), "1%": (-4.0, -1.0)}
    cells = {}
    for share, (baseline, ours) in worse.items():
        cells[share, "baseline"] = predictions(2.0, sensitivity=baseline)
        cells[share, "dsn_saal"] = predictions(2.0, sensitivity=ours, seed=1)
    r = resampled(cells)
    fallen = slice_claims.falls(r).set_index(["row", "column"])
    sen = {cell: slice_metrics.point_scores(table)["sen"] for cell, table in cells.items()}
    assert fallen["mean"].to_dict() == pytest.approx(
        {(s, m): sen[s, m] - sen["100%", m] for s in ("25%", "1%") for m in ("baseline", "dsn_saal")}
    )
    assert fallen.loc[("1%", "baseline"), "high"] < 0 and fallen["sd"].isna().all()
    found = slice_claims.check(r, "B.6")
    slower = found[found["claim"] == "fall"].set_index("column")
    assert slower.index.tolist() == ["25%", "1%", "mean"] and slower.loc["1%", "verdict"] == claims.HOLDS
    assert slower.loc["mean", ["difference", "published"]].tolist() == pytest.approx(
        slower.loc[["25%", "1%"], ["difference", "published"]].mean().tolist()
    )
    gain = fallen["mean"]["1%", "dsn_saal"] - fallen["mean"]["1%", "baseline"]
    assert slower.loc["1%", "difference"] == pytest.approx(gain)
    assert slower.loc["25%", "published"] == pytest.approx(-0.097 + 0.120)
    shares = found.query("claim == 'scores' and metric == 'spe'")["column"].tolist()
    assert shares == ["100%", "25%", "1%", "mean"]
    lost = found.query("metric == 'sen' and column == '1%'").set_index("claim")["difference"]
    assert lost["decline"] == pytest.approx(-fallen["mean"]["1%", "dsn_saal"])
    assert lost["decline_baseline"] == pytest.approx(-fallen["mean"]["1%", "baseline"])
    rises = found.query("column == '1%' and metric == 'spe'").set_index("claim")
    assert rises.loc["spe", "difference"] == pytest.approx(-rises.loc["decline", "difference"])
    assert rises.loc["spe", "published"] == pytest.approx(0.997 - 0.944)


def test_the_papers_own_differences_are_those_it_prints():
    """Every cell that a claim of Tables 3 to 6 needs is among the published numbers."""
    for name in slice_claims.TABLES:
        cells = published.table(name)[["row", "column"]].drop_duplicates().itertuples(index=False, name=None)
        for claim in slice_claims.CLAIMS[name]:
            if claim.key == "both":
                continue
            made = slice_claims.comparisons(name, claim.key, list(cells := list(cells)))
            assert made, (name, claim.key)
            for line in made:
                for pair in line.pairs:
                    assert set(pair) <= set(cells)


def test_seeds_of_the_fall_are_paired():
    tables = {}
    for seed in (0, 1, 2):
        tables["100%", "baseline", seed] = predictions(2.0, seed=seed)
        tables["5%", "baseline", seed] = predictions(2.0, seed=seed, sensitivity=-1.0 - seed)
    found = slice_claims.falls(slice_claims.resample(tables, n=50)).iloc[0]
    each = [
        slice_metrics.point_scores(tables["5%", "baseline", s])["sen"]
        - slice_metrics.point_scores(tables["100%", "baseline", s])["sen"]
        for s in (0, 1, 2)
    ]
    assert found["mean"] == pytest.approx(np.mean(each)) and found["sd"] == pytest.approx(
        np.std(each, ddof=1)
    )
    assert found["seeds"] == 3


def test_what_was_not_run_is_not_spoken_of():
    found = slice_claims.check(resampled({("ce", "slices"): predictions(1.0)}), "B.3")
    assert found.empty
    without = {("25%", "baseline"): predictions(1.0)}
    assert slice_claims.falls(resampled(without)).empty


def test_few_patients_say_nothing():
    cells = {
        ("dsn_saal", "slices"): predictions(9.0, patients=18),
        ("ce", "slices"): predictions(0.0, patients=18),
    }
    found = slice_claims.check(resampled(cells), "B.3")
    assert set(found["verdict"]) == {claims.TOO_FEW}


def test_runs_on_other_slices_cannot_be_paired():
    with pytest.raises(StudyError, match="other slices"):
        resampled({("a", "slices"): predictions(1.0), ("b", "slices"): predictions(1.0)[:-1]})
