"""Paper B's numbers: all there, as printed, and as consistent with each other as the paper left them."""

import numpy as np
import pytest

from covid_study.errors import StudyError
from covid_study.scores import published, published_checks

SCORED = ("B.3", "B.4", "B.5", "B.6", "B.7", "B.8", "B.9")
SLIPS = [
    ("B.7", "covid_ct_mask_net", "5%", "acc"),
    ("B.9", "vgg16_bn", "slices", "f1"),
    ("B.9", "contrastive_covidnet", "slices", "f1"),
    ("B.9", "made_dbm", "slices", "f1"),
]


def cells(name):
    return published.table(name).set_index(["row", "column", "metric"])["value"]


@pytest.mark.parametrize(
    "name, rows, numbers",
    [
        ("B.2", 3, 3 * 2 * 2),
        ("B.3", 9, 9 * 3 * 2),
        ("B.4", 4, 4 * 2 * (3 * 2 + 1)),
        ("B.5", 5, 5 * 3 * 2),
        ("B.6", 5, 5 * 2 * 5 * 2 + 4 * 2),
        ("B.7", 7, 3 * 7 + 2 * 7 + 4 + 3 + 2 + 7),
        ("B.8", 8, 8 * 3),
        ("B.9", 11, 11 * 5 - 2),
    ],
)
def test_no_number_is_missing(name, rows, numbers):
    table = published.table(name)
    assert table["row"].nunique() == rows and len(table) == numbers


def test_some_numbers_as_printed():
    assert cells("B.3")["meta_weight_net", "slices", "gmean"] == 0.868
    assert cells("B.4")["resnext50_32x4d", "dsn", "params"] == pytest.approx(23.06e6)
    assert cells("B.5")["sce", "slices", "f1_sd"] == 0.014
    assert (
        cells("B.6")["5%", "dsn_saal", "sen"] == 0.616 and cells("B.6")["5%", "dsn_saal", "sen_sd"] == 0.055
    )
    assert cells("B.6")["1%", "baseline", "sen_fall"] == -0.742
    assert cells("B.7")["two_stage", "5%", "pre_cap"] == 0.93
    assert cells("B.8")["cross_datasets", "slices", "acc"] == 0.88
    assert cells("B.9")["xdnn", "slices", "pre"] == 0.9916
    assert published.table("B.3").query("printed == '0.920'")["row"].tolist() == ["dsn_saal"]


def test_scores_are_fractions_and_deviations_have_their_mean():
    for name in SCORED:
        table = published.table(name).query("metric != 'params'")
        assert table.loc[table["metric"] != "sen_fall", "value"].between(0, 1).all(), name
        keys = table.set_index(["row", "column", "metric"]).index
        for row, column, metric in keys:
            assert not metric.endswith("_sd") or (row, column, metric.removesuffix("_sd")) in keys


def test_decimals_are_those_of_the_paper():
    assert [published.decimals(name) for name in SCORED] == [3, 3, 3, 3, 4, 2, 4]
    assert published.decimals("A.I") is None and published.decimals("A.VII") is None


def test_tables_share_their_common_rows():
    three, five, six = cells("B.3"), cells("B.5"), cells("B.6")
    for metric in ("acc", "acc_sd", "f1", "f1_sd", "gmean", "gmean_sd"):
        plain = three["vgg16_bn", "slices", metric]
        assert plain == five["ce", "slices", metric] == six["100%", "baseline", metric]
        assert three["dsn_saal", "slices", metric] == six["100%", "dsn_saal", metric]
        for backbone in ("vgg16_bn", "resnet50", "densenet169", "resnext50_32x4d"):
            assert three[backbone, "slices", metric] == cells("B.4")[backbone, "baseline", metric]


def test_the_text_repeats_the_tables():
    """5.1: ACC, F1 and G-mean are 5.3 to 8.4, 7.6 to 12.5 and 5.2 to 8.7 points higher than the five plain networks'."""
    three = cells("B.3")
    plain = ["vgg16_bn", "resnet50", "densenet169", "mobilenet_v2", "resnext50_32x4d"]
    for metric, said in {"acc": (5.3, 8.4), "f1": (7.6, 12.5), "gmean": (5.2, 8.7)}.items():
        gains = [100 * (three["dsn_saal", "slices", metric] - three[row, "slices", metric]) for row in plain]
        assert (min(gains), max(gains)) == pytest.approx(said)
    params = (
        published.table("B.4")
        .query("metric == 'params'")
        .pivot(index="row", columns="column", values="value")
    )
    more = params["dsn"] - params["baseline"]
    assert (more > 0).all() and (more <= 0.1e6).all()


def test_the_cases_contradict_each_other_and_the_slices_do_not():
    sums = published.table("B.2").groupby(["row", "metric"])["value"].sum()
    assert sums.xs("cases", level=1).to_dict() == {"cap": 69, "covid": 61, "non_pneumonia": 95}
    assert sums.xs("images", level=1).to_dict() == {"cap": 1389, "covid": 1769, "non_pneumonia": 3824}
    assert "69 + 95 + 62 = 226" in published.remarks("B.2")
    assert published.table("B.2").query("note != ''")["row"].unique().tolist() == ["covid", "cap"]


def test_what_follows_from_other_numbers_agrees_but_for_known_slips():
    wrong, lines = [], 0
    for name in published_checks.TOLERANCE:
        checked = published_checks.agreement(name)
        lines += len(checked)
        for r in checked[~checked["agrees"]].itertuples():
            wrong.append((name, r.row, r.column, r.metric))
    assert wrong == SLIPS and lines == 28 + 7 + 10
    for name, row, column, metric in SLIPS:
        table = published.table(name).set_index(["row", "column", "metric"])
        assert "by its own" in table.loc[(row, column, metric), "note"]


def test_table_6_is_one_against_the_rest():
    """Its F1 from 513 slices with and 1,559 without COVID-19; with the classes averaged it could not be so low."""
    checked = published_checks.agreement("B.6").set_index(["row", "column", "metric"])
    sen, spe = 0.822, 0.877
    found, false = sen * 513, (1 - spe) * 1559
    precision = found / (found + false)
    expected = 2 * precision * sen / (precision + sen)
    assert checked.loc[("100%", "baseline", "f1"), "recomputed"] == pytest.approx(expected, abs=5e-5)
    assert checked.loc[("100%", "baseline", "gmean"), "recomputed"] == pytest.approx(
        np.sqrt(sen * spe), abs=5e-5
    )
    assert checked["difference"].abs().max() <= 0.0024


def test_a_wrong_number_would_be_found(monkeypatch):
    table = published.table("B.6")
    at = (table["row"] == "10%") & (table["column"] == "baseline") & (table["metric"] == "sen")
    table.loc[at, "value"] = 0.620
    monkeypatch.setattr(published, "table", lambda name: table if name == "B.6" else table_of_slices)
    table_of_slices = published._read("B.2")[1]
    wrong = published_checks.agreement("B.6").query("not agrees")
    assert set(wrong["row"]) == {"10%"} and set(wrong["metric"]) == {"f1", "gmean", "sen_fall"}


def test_the_remark_on_table_9_holds():
    """From AdaBoost to xDNN the AUC is the mean of sensitivity and specificity."""
    nine = published.table("B.9").pivot(index="row", columns="metric", values="value")
    specificity = 1 - nine["sen"] * 1252 * (1 / nine["pre"] - 1) / 1229
    apart = (nine["auc"] - (nine["sen"] + specificity) / 2).abs()
    plain = ["adaboost", "decision_tree", "alexnet", "vgg16_bn", "googlenet", "resnet", "xdnn"]
    assert apart[plain].max() < 0.008 and apart["contrastive_covidnet"] > 0.05


def test_a_table_that_cannot_be_checked_is_refused():
    with pytest.raises(StudyError, match="B.3.*B.6, B.7, B.9"):
        published_checks.agreement("B.3")


def test_the_sentence_names_every_slip():
    said = published_checks.sentence()
    assert said.startswith("Of 45 numbers") and "41 agree" in said
    assert all(label in said for label in ("COVID-CT-Mask-Net", "VGG-16", "Contrastive-COVIDNet", "MADE-DBM"))
