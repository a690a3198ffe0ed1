"""Tables 3 and 4 of paper B: their runs, what they share, what is counted and what is said of them."""

from dataclasses import replace

import matplotlib

matplotlib.use("Agg")
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import pytest  # noqa: E402
from tiny_study import parameters  # noqa: E402

from covid_study.analysis import cam
from covid_study.samples import slice_store
from covid_study.scores import slice_claims
from covid_study.scores.old_claims import MEAN  # noqa: E402
from covid_study.scores.slices import read, run_scores  # noqa: E402
from covid_study.tables import (
    ablation,
    b3_b4_networks as deep,  # noqa: E402
    b5_losses,
    b6_fewer_positives,
    deep_claims,
    deep_report,
    slice_ablation,
    slice_steps,
)

SMALL = {
    "slices": {"size": 32, "per_exam": 2, "exams": 4, "crop": True},
    "slice_network": {"backbone": "mobilenet_v2", "weights": "none"},
    "slice_training": {"seeds": [0]},
    "comparison": {"backbones": [], "supervised": [], "contrastive_epochs": 0, "meta_share": 0.2},
}


@pytest.fixture(scope="module")
def q(root):
    return parameters(root, **SMALL)


@pytest.fixture(scope="module")
def s(q):
    return slice_store.slices(q)


@pytest.fixture(scope="module")
def trained(q, s):
    runs = deep.table_3(q, s) | deep.table_4(q, s)
    return runs, ablation.train_all(q, s, runs)


def test_rows_of_table_3_follow_the_parameters(root, q, s):
    assert list(deep.table_3(q, s)) == [
        (r, "slices", 0) for r in ("mobilenet_v2", "meta_weight_net", "dsn_saal")
    ]
    compared = SMALL["comparison"] | {"backbones": ["mobilenet_v2", "resnet50"], "meta_share": 0.0}
    more = parameters(root, **SMALL | {"comparison": compared, "slice_training": {"seeds": [1, 2]}})
    rows = ["mobilenet_v2", "resnet50", "dsn_saal"]
    found = deep.table_3(more, s)
    assert list(found) == [(row, "slices", seed) for seed in (1, 2) for row in rows]
    assert (
        found["dsn_saal", "slices", 2].method.supervised
        and found["dsn_saal", "slices", 2].method.loss == "saal"
    )
    assert (
        not found["resnet50", "slices", 1].method.supervised
        and found["resnet50", "slices", 1].method.loss == "ce"
    )


def test_the_baselines_of_table_4_are_rows_of_table_3_and_those_of_the_other_tables(root, s):
    compared = SMALL["comparison"] | {"backbones": ["resnet50"], "supervised": ["resnet50"]}
    q = parameters(root, **SMALL | {"comparison": compared})
    third, fourth = deep.table_3(q, s), deep.table_4(q, s)
    assert list(fourth) == [(r, c, 0) for r in ("mobilenet_v2", "resnet50") for c in ("baseline", "dsn")]
    for row in ("mobilenet_v2", "resnet50"):
        assert fourth[row, "baseline", 0] == third[row, "slices", 0]
        assert fourth[row, "dsn", 0].method.supervised and fourth[row, "dsn", 0].method.loss == "ce"
    assert third["mobilenet_v2", "slices", 0] == slice_steps.run(q, s, 0)  # CE in Table 5, 100 % in Table 6
    assert fourth["mobilenet_v2", "dsn", 0] == slice_steps.run(q, s, 0, supervised=True)
    assert third["dsn_saal", "slices", 0] == slice_steps.dsn_saal(q, s, 0)
    fifth, sixth = b5_losses.runs(q, s), b6_fewer_positives.sweep(q, s)
    plain, both = third["mobilenet_v2", "slices", 0], third["dsn_saal", "slices", 0]
    assert fifth["ce", "slices", 0] == plain == sixth["100%", "baseline", 0]
    assert fifth["dsn_saal", "slices", 0] == both == sixth["100%", "dsn_saal", 0]
    assert fifth["dsn", "slices", 0] == fourth["mobilenet_v2", "dsn", 0]
    assert set(map(repr, cam.explained_runs(q, s).values())) <= set(
        map(repr, [plain, both, *fourth.values()])
    )


def test_it_is_said_why_a_row_is_not_run(q):
    said = " ".join(deep.not_run(q))
    assert "Transfer-CheXNet is left out" in said and "Self-Trans is left out" in said
    assert "Meta-Weight-Net" not in said
    assert "VGG-16, ResNet-50, DenseNet-169, ResNeXt-50." in said and "MobileNet" not in said


def test_parameters_are_those_of_table_4_but_for_one(q):
    counted = deep.parameters(q)
    values = counted.set_index(["row", "column", "metric"])
    assert values.loc[("resnet50", "dsn", "params"), "mean"] == 23590856
    assert values.loc[("resnet50", "dsn", "params"), "published"] == 23.59e6
    assert not values.loc[("mobilenet_v2", "dsn", "params"), "in_paper"]
    said = deep.parameters_sentence(counted)
    assert (
        "0.090 M parameters (VGG-16)" in said
        and "Of the 8 numbers of parameters in Table 4, 7 are ours too" in said
    )
    assert "VGG-16 with supervision has 134.37 M, the table 134.32 M" in said


def test_scores_of_slices_and_patients_stand_beside_the_papers(q, s, trained):
    runs, folders = trained
    third = {cell: folders[cell] for cell in deep.table_3(q, s)}
    results = slice_ablation.results(q, s, runs, third, "B.3").set_index(["row", "metric"])
    predictions = pd.read_parquet(third["dsn_saal", "slices", 0] / "predictions.parquet")
    own = run_scores(predictions, 100).set_index("metric")["value"]
    for metric in ("acc", "f1", "gmean", "auc_patient"):
        assert results.loc[("dsn_saal", metric), "mean"] == pytest.approx(own[metric], nan_ok=True)
    assert results.loc[("dsn_saal", "gmean"), "published"] == 0.925
    assert np.isnan(results.loc[("self_trans", "f1"), "mean"])
    assert 0 < results.loc[("meta_weight_net", "hours"), "mean"] < 1
    assert results.loc[("vgg16_bn", "f1"), "label"] == "VGG-16"
    html = slice_ablation.shown(results.reset_index(), "B.3", "Ours").to_html()
    assert "0.925 ±0.006" in html and "DSN-SAAL" in html and "by patient" not in html
    assert (
        "ACC by patient"
        in slice_ablation.shown(results.reset_index(), "B.3", "Ours", patients=True).to_html()
    )


def test_todays_patients_are_asked_for(q, s, trained):
    table = s.table.assign(patient_id="one")
    found = slice_ablation.predictions_of(replace(s, table=table), trained[1])
    assert all(set(t["patient_id"]) == {"one"} for t in found.values())


def test_costs_and_histories_have_each_run_once(q, s, trained):
    runs, folders = trained
    results = {
        name: slice_ablation.results(q, s, runs, {c: folders[c] for c in cells}, name)
        for name, cells in (("B.3", deep.table_3(q, s)), ("B.4", deep.table_4(q, s)))
    }
    spent = deep_report.spent(runs, folders, results)
    assert list(zip(spent["row"], spent["column"], strict=True)) == [
        ("mobilenet_v2", "baseline"),
        ("meta_weight_net", "baseline"),
        ("dsn_saal", "dsn"),
        ("mobilenet_v2", "dsn"),
    ]
    plain, meta, saal, dsn = spent["flops"] / spent["exams_seen"]
    assert meta > 2 * plain and plain < dsn < 1.1 * plain and saal == pytest.approx(dsn, rel=0.01)
    assert set(spent["start"]) == {"random weights"} and set(spent["epochs"]) == {1}
    assert "random weights" in deep_report.spent_table(spent).data
    history = deep.history(runs, folders)
    kinds = dict(zip(history["row"] + history["column"], history["loss"], strict=True))
    assert (
        len(history) == 4
        and kinds["mobilenet_v2six cross-entropies"] > 4 * kinds["mobilenet_v2cross-entropy"]
    )
    assert {"meta_weight_netweighted cross-entropy", "dsn_saalsaal"} < set(kinds)
    joined = deep_report.with_parameters(results["B.4"], deep.parameters(q))
    whole = joined.set_index(["row", "column", "metric"])["mean"]
    assert whole["vgg16_bn", "dsn", "params"] > 134e6 and np.isfinite(whole["mobilenet_v2", "dsn", "acc"])


def test_what_is_said_of_the_training_and_the_slices(q, s, trained):
    runs, _ = trained
    said = deep_report.training_sentence({cell: run for cell, run in runs.items() if cell[1] == "slices"})
    train = int((s.table["split"] == "train").sum())
    assert said.startswith(
        "MobileNet-V2, Meta-Weight-Net and DSN-SAAL start from random weights and are trained for 1 epoch on "
        f"{train} slices."
    )
    assert "hardly a beginning" in said
    long = {("dsn_saal", "slices", 0): runs["dsn_saal", "slices", 0]}
    long["dsn_saal", "slices", 0].training["epochs"] = 120
    assert "hardly" not in deep_report.training_sentence(long)
    long["dsn_saal", "slices", 0].training["epochs"] = 1
    assert deep_report.weights_sentences(runs) == []
    assert deep_report.source_sentence(s).startswith(f"{len(s.table)} slices of 12 exams, 32 pixels a side")
    counted = deep_report.counted(s).set_index(["row", "column", "metric"])
    assert counted.loc[("covid", "train", "images"), ["mean", "published"]].tolist() == [
        len(s.table.query("split == 'train' and finding == 'covid'")),
        1256,
    ]


def test_only_networks_that_were_trained_alike_are_a_measure(q, s, trained):
    runs = {cell: run for cell, run in trained[0].items() if cell[1] == "slices"}
    assert deep_claims.trained_alike(runs) == (["MobileNet-V2", "Meta-Weight-Net"], [])
    assert "Not so" not in deep_claims.fair_sentence(runs)
    third, fourth = (
        slice_claims.check(slice_ablation.resampled(q, s, {c: trained[1][c] for c in cells}), name)
        for name, cells in (("B.3", runs), ("B.4", deep.table_4(q, s)))
    )
    said = deep_claims.headline(q, runs, third, fourth)
    assert said.startswith("Beside plain MobileNet-V2 deep supervision changes G-mean by ")
    assert said.count("too few test patients to judge") == 2 and "every other network" in said
    ours = runs["dsn_saal", "slices", 0]
    shorter = replace(ours, method=replace(ours.method, backbone="resnet50"), training_ids=("a",))
    runs["resnet50", "slices", 0] = shorter
    assert deep_claims.fair_sentence(runs).endswith(
        "Not so: ResNet-50. A difference from that may be one of training alone."
    )
    said = deep_claims.headline(q, runs, third, fourth)
    assert "every other network" not in said and said.endswith("trained otherwise are no measure of it.")


def table_of(**columns):
    return pd.DataFrame({"split": "test", "finding": "covid", **columns})


def test_a_slice_without_a_lesion_limits_the_sensitivity(s):
    def said(shares):
        return deep_report.ceiling_sentence(replace(s, table=table_of(lesion_share=shares)))

    assert "Of the 4 COVID-19 slices of the test split 1 (25 %) show no lesion" in said([0.0, 0.1, 0.2, 0.1])
    assert "sensitivity of 0.75" in said([0.0, 0.1, 0.2, 0.1])
    assert said([0.1, 0.2]) == "Each of the 2 COVID-19 slices of the test split shows a lesion."
    assert said([0.1, np.nan]) == ""


def test_the_score_of_a_guess(s):
    table = pd.DataFrame(
        {"split": ["train"] * 3 + ["test"] * 4, "finding": ["cap"] * 3 + ["cap", "covid"] * 2}
    )
    said = deep_report.guess_sentence(replace(s, table=table))
    assert said == "To call every slice CAP scores 0.500 in ACC, 0.000 in F1, 0 in G-mean and 0.5 in AUC."
    table["finding"] = ["covid"] * 3 + ["cap", "covid"] * 2
    assert "COVID-19 scores 0.500 in ACC, 0.667 in F1" in deep_report.guess_sentence(replace(s, table=table))


def test_who_has_learnt():
    areas = pd.DataFrame({"metric": "auc", "label": ["A", "B"], "mean": [0.8, 0.6], "low": [0.7, 0.45]})
    assert deep_claims.learnt_sentence(areas, 20).endswith("Nothing shows that B learnt to find COVID-19.")
    assert "each of the 2 networks" in deep_claims.learnt_sentence(areas.assign(low=0.55), 20)
    assert "Too few" in deep_claims.learnt_sentence(areas, 9)


def test_claims_about_many_networks_have_a_line_each_and_a_verdict_a_score():
    line = {"claim": "all", "text": "DSN-SAAL wins", "where": "5.1", "one": "dsn_saal", "seeds": 1}
    rows = [
        line
        | {"metric": m, "column": c, "difference": d, "low": d - 0.02, "high": d + 0.02, "published": 0.05}
        for m in ("gmean", "auc")
        for c, d in (("resnet50", 0.1), ("mobilenet_v2", 0.03), (MEAN, 0.065))
    ]
    checked = pd.DataFrame(rows).assign(verdict="holds")
    checked.loc[checked["metric"] == "auc", ["published", "verdict"]] = [np.nan, "cannot be told apart"]
    second = checked[checked["metric"] == "gmean"].assign(
        claim="more", text="It helps more", verdict="does not hold"
    )
    html = deep_claims.networks_table(pd.concat([checked, second]), "Against").data
    assert html.index("ResNet-50") < html.index("MobileNet-V2") < html.index("Mean over networks")
    assert "+10.0" in html and "+8.0 to +12.0" in html and "<span class='paper'>+5.0</span>" in html
    first, last = html.split("It helps more")
    assert ">holds<" in first and "cannot be told apart" in first and "does not hold" not in first
    assert "does not hold" in last and ">holds<" not in last
    assert "None of the networks" in deep_claims.networks_table(checked[:0], "Against").data


def test_calls_of_one_seed_have_the_names_of_the_table(s, trained):
    folders = {cell: folder for cell, folder in trained[1].items() if cell[1] == "slices"}
    found = deep_report.test_calls(s, folders, 0)
    assert list(found) == ["MobileNet-V2", "Meta-Weight-Net", "DSN-SAAL"]
    predictions = pd.read_parquet(folders["dsn_saal", "slices", 0] / "predictions.parquet")
    assert np.array_equal(found["DSN-SAAL"].p, read(predictions).p)
    assert deep_report.test_calls(s, folders, 1) == {}
