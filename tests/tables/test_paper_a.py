"""Tables III to VII of paper A: rows and columns as published, and one run where two tables hold the same."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_study import parameters

from covid_study.analysis import cost, pretext_learnt, pretext_variants
from covid_study.errors import StudyError
from covid_study.pretext import train
from covid_study.ranking.rivals import RIVALS
from covid_study.scores import claims, published
from covid_study.study import needs
from covid_study.tables import a3_ranking, a4_backbone, a5_sampling, a6_online, a7_weights, volume_steps
from covid_study.tables.table import column as share_name
from covid_study.training import run as training
from covid_study.training.sweep import sweep

KEY = ["row", "column", "metric"]


def negatives(run, v) -> list[str]:
    """The negatives that a run is trained on, in their order."""
    return [exam for exam in run.training_ids if v.table["finding"][exam] != "covid"]


MODULES = {made.NAME: made for made in (a3_ranking, a4_backbone, a5_sampling, a6_online, a7_weights)}
OURS = {"A.III": {"best_pair", "k_center"}, "A.IV": {"resnet18"}}  # rows of ours


@pytest.fixture(scope="module")
def q(root):
    """The tiny study with the selections of Tables IV and VI among those of its Table III."""
    return parameters(root, transfer={"shares": [0.6, 0.3]}, online={"share": 0.6})


@pytest.fixture(scope="module")
def tables(q, v):
    return {name: module.table(q, v) for name, module in MODULES.items()}


@pytest.mark.parametrize("name", MODULES)
def test_rows_and_columns_are_the_published_ones(name, root, v):
    """At the paper's shares; the numbers of negatives and the training periods are no rows of runs."""
    shares = {"sampling": {"shares": [0.14, 0.28, 0.56]}, "transfer": {"shares": [0.14, 0.28, 0.56]}}
    table = MODULES[name].table(parameters(root, **shares), v)
    paper = published.table(name).query("row not in ('negatives', 'training_period') and metric == 'f1'")
    theirs, ours = set(zip(paper["row"], paper["column"], strict=True)), {cell[:2] for cell in table.runs}
    assert theirs <= ours
    assert {row for row, _ in ours} - {row for row, _ in theirs} == OURS.get(name, set())
    assert {column for _, column in ours} == {column for _, column in theirs}
    assert set(table.labels) >= {row for row, _ in ours}


def test_rows_of_table_3(v, tables):
    table = tables["A.III"]
    assert table.sizes == {"30%": 2, "60%": 4, "all": 7}
    for (row, column, _), run in table.runs.items():
        assert len(negatives(run, v)) == table.sizes[column]
        assert (run.method.encoder is not None) == (row == "both_pretrained")
    assert table.runs["both", "30%", 0].training_ids == table.runs["both_pretrained", "30%", 0].training_ids
    exams = a3_ranking.exams(table)
    assert exams["exams an epoch here"].tolist() == [5, 7, 10]
    assert exams["negatives in the paper"]["ALL"] == 1785
    assert list(a3_ranking.exams(tables["A.V"]).index) == ["30 %", "60 %"]  # the paper has no ALL there


def test_rivals_are_rows_where_they_are_asked_for(root, v, tables):
    asked = parameters(
        root, sampling={"shares": [0.3, 0.6], "rivals": ["stratified", "d2"], "more_seeds": [1]}
    )
    table, known = a3_ranking.table(asked, v), tables["A.III"]
    rivals = {cell: run for cell, run in table.runs.items() if cell[0] in asked.sampling.rivals}
    assert len(rivals) == 4
    for (row, column, _), run in rivals.items():
        assert len(negatives(run, v)) == table.sizes[column]
        assert (run.before.seconds > 0) == (row == "d2")  # a random part by centre needs no ranking
    ranked = volume_steps.ranked(asked, v)
    near = ranked.features.loc[ranked.soft_labels.columns]
    picked = RIVALS["d2"](ranked.features.loc[ranked.ranking.index], near, 4, 0, ranked.ranking["difficulty"])
    assert set(negatives(table.runs["d2", "60%", 0], v)) == set(picked)
    others = {cell: run for cell, run in known.runs.items() if cell[0] != "k_center"}  # smoke's
    assert {seed for *_, seed in table.runs} == {0, 1} and {seed for *_, seed in rivals} == {0}
    assert {cell: run for cell, run in table.runs.items() if cell not in rivals and cell[2] == 0} == others
    assert set(table.labels) >= set(RIVALS)


def test_tables_share_their_common_runs(tables):
    third = tables["A.III"].runs
    same = {("A.V", "random", c): ("random", c) for c in ("30%", "60%")}
    same |= {("A.V", "long_tail", c): ("both", c) for c in ("30%", "60%")}
    same |= {("A.IV", "resnet18", c): ("both", c) for c in ("30%", "60%")}
    same |= {("A.IV", "resnet18", "all"): ("random", "all"), ("A.VII", "scratch", "all"): ("random", "all")}
    same |= {("A.VI", "all", "none"): ("random", "all"), ("A.VI", "60%", "none"): ("both", "60%")}
    for (name, *cell), known in same.items():
        assert tables[name].runs[(*cell, 0)] == third[(*known, 0)]  # what was spent before included


def test_other_weights_of_difficulty_are_other_selections(root, v):
    """Each run holds the joint rank's own draw; with all weight on one track it would be that track's row."""
    q = parameters(root, sampling={"shares": [0.3, 0.6], "alphas": [0.1, 0.9]})
    table, ranking = a3_ranking.alphas(q, v), volume_steps.ranked(q, v).ranking
    assert {cell[:2] for cell in table.runs} == {(row, c) for row in ("10%", "90%") for c in ("30%", "60%")}
    for row, alpha in (("10%", 0.1), ("90%", 0.9)):
        joint = alpha * ranking["difficulty_rank"] + (1 - alpha) * ranking["diversity_rank"]
        order = joint.round(9).sort_index().rank(method="first")
        drawn = negatives(table.runs[row, "60%", 0], v)
        assert drawn == sorted(drawn, key=order.get) and len(drawn) == 4
    assert not a3_ranking.alphas(parameters(root, sampling={"alphas": []}), v).runs
    lines = claims.read()["A10a"].lines([cell[:2] for cell in table.runs])
    assert [line[0][1][0] for line in lines] == ["90%", "90%"]


def test_a_forecast_counts_the_runs_and_pre_trainings_of_the_tables(q, v, tables, monkeypatch):
    """By what they are; two selections of seven negatives may be the same by chance, and are one run then."""
    positives, negatives_ = len(volume_steps.ids(v, "train", True)), len(volume_steps.ids(v, "train", False))
    expected = needs.exams_an_epoch(q, positives, negatives_)
    rows = {  # what a cell is, where another table has it too
        ("A.V", "long_tail"): "both", ("A.IV", "resnet18"): "both", ("A.IV", "resnet50"): "both", ("A.VI", "60%"): "both",
        ("A.VII", "scratch"): "random", ("A.VI", "all"): "random", ("A.VII", "rubiks_cube"): "rubiks_cube_all",
        ("A.VII", "rubiks_cube_pro"): "rubiks_cube_pro_all", ("A.V", "long_tail_all_pretrained"): "all_pretrained",
    }  # fmt: skip
    tables = tables | {"A.III-alpha": a3_ranking.alphas(q, v)}
    rows |= {("A.III-alpha", share_name(alpha)): alpha for alpha in q.sampling.alphas}
    found = {}
    for name, table in tables.items():
        for (row, _, seed), run in table.runs.items():
            size, what = len(negatives(run, v)), rows.get((name, row), row)
            what = "all" if size == negatives_ and what in ("random", "both") else what
            strategy = (run.method.online or {"strategy": "none"})["strategy"]
            found[run.method.network["depth"], what, strategy, size, seed] = run.seen // q.training.epochs
    assert found == expected
    made, original = {}, volume_steps.pretrained

    def noted(study, v, runs):
        for run in runs.values():
            made[run.method.label, run.method.permutation_set, run.method.epochs, run.seed] = run.seen
        return original(study, v, runs) if computed else runs

    monkeypatch.setattr(volume_steps, "pretrained", noted)
    computed = True
    for module in MODULES.values():
        module.table(q, v)
    computed = False
    longer = q.model_copy(update={"pretext_ablation": q.pretext_ablation.model_copy(update={"epochs": 9})})
    pretext_learnt.pretrained(longer, v), pretext_variants.variants(longer, v)
    assert made == needs.pretext_exams(longer, positives, negatives_)


def test_table_5_draws_as_it_says(q, v, tables):
    runs = tables["A.V"].runs
    pretrained = runs["long_tail_all_pretrained", "30%", 0]
    assert "rubiks_cube_pro_all" in pretrained.method.encoder
    assert pretrained.training_ids == runs["long_tail", "30%", 0].training_ids
    ranked = volume_steps.ranked(q, v).ranking
    for (
        track
    ) in a5_sampling.SINGLE_TRACKS:  # what A20 compares: of seven negatives, those that a run is trained on
        for cell in (("long_tail", "60%", 0), ("normal", "30%", 0)):
            ranks = ranked.loc[negatives(runs[cell], v), f"{track}_rank"]
            assert tables["A.V"].known[f"{track}_rank"][cell] == pytest.approx((ranks.mean() - 0.5) / 7)
    assert negatives(runs["top", "60%", 0], v) == list(ranked["joint_rank"].sort_values().index[:4])


def test_composition_of_a_known_ranking(monkeypatch):
    """With CAP at the top of the ranking, the top holds nothing else; random follows the archive."""

    sampling = SimpleNamespace(shares=(0.25, 1 / 2), long_tail_exponent=1.0, normal_width=0.3, more_seeds=[1])
    p = SimpleNamespace(study=SimpleNamespace(seeds=(0,)), sampling=sampling)
    ids = [f"n{i:02d}" for i in range(40)]
    rank = np.arange(1, 41)
    ranking = pd.DataFrame({"difficulty_rank": rank, "diversity_rank": rank, "joint_rank": rank}, index=ids)
    monkeypatch.setattr(volume_steps, "ranked", lambda *_, **__: SimpleNamespace(ranking=ranking))
    finding = pd.DataFrame({"finding": ["cap"] * 10 + ["non_pneumonia"] * 30}, index=ids)
    found = a5_sampling.composition(p, SimpleNamespace(table=finding)).set_index(["strategy", "column"])
    assert found.loc[("top", "25%"), "cap"] == 1 and found.loc[("top", "50%"), "cap"] == 0.5
    assert found.loc[("archive", "all"), ["cap", "difficulty"]].tolist() == [0.25, 0.5]
    assert found.loc[("top", "25%"), "difficulty"] == pytest.approx(0.125)  # the mean of (r - 1/2) / 40
    assert found.loc[("long_tail", "25%"), "cap"] > found.loc[("random", "25%"), "cap"]
    assert (found["seeds"] == 2).all()
    by_seed = a5_sampling.compositions(p, SimpleNamespace(table=finding)).groupby(["strategy", "column"])
    assert by_seed["difficulty"].mean().to_dict() == pytest.approx(found["difficulty"].to_dict())


def test_another_network_sees_the_exams_that_the_first_selected(q, tables):
    runs = tables["A.IV"].runs
    assert list(runs) == [(row, c, 0) for row in ("resnet18", "resnet50") for c in ("30%", "60%", "all")]
    for column in ("30%", "60%", "all"):
        small, large = runs["resnet18", column, 0], runs["resnet50", column, 0]
        assert (small.training_ids, small.before) == (large.training_ids, large.before)
        assert large.method.encoder is None
        assert (small.before.seconds > 0) == (column != "all")
        assert small.method.network | {"depth": 50} == large.method.network
    assert q.transfer.shares == [0.6, 0.3]


def test_two_equal_networks_are_refused(root, v):
    with pytest.raises(StudyError, match="Set transfer.depth to 50"):
        a4_backbone.table(parameters(root, transfer={"depth": 18}), v)


def test_the_row_of_resnet18_is_table_3s():
    ours = a4_backbone.of_table_3().set_index(KEY)["value"]
    third = published.table("A.III").set_index(KEY)["value"]
    assert ours["resnet18", "56%", "f1"] == third["both", "56%", "f1"]
    assert ours["resnet18", "all", "f1"] == third["random", "all", "f1"]
    assert ours["resnet18", "all", "hours"] == third["training_period", "all", "hours"]
    assert any("84.8" in remark and "recall" in remark for remark in a4_backbone.remarks())


def test_the_order_of_the_sizes():
    sizes, means = ("14%", "56%", "all"), {"resnet18": (0.5, 0.7, 0.6), "resnet50": (0.1, 0.2, 0.3)}
    rows = [(r, c, "auc", m) for r, ms in means.items() for c, m in zip(sizes, ms, strict=True)]
    scores = pd.DataFrame(rows, columns=[*KEY, "mean"])
    table = SimpleNamespace(order=tuple(means), sizes=dict.fromkeys(sizes), scores=lambda: scores)
    found = a4_backbone.size_pairs(table)
    assert found["agree"].tolist() == [True, True, False]
    assert found["resnet50"].tolist() == pytest.approx([0.1, 0.2, 0.1])


def test_from_how_many_networks_on_a_ranking_pays():
    """Seconds of ResNet-18 and 50 on 56 % and on ALL, and 100 before the selection."""
    cells = {"label": list("ABC") * 2, "column": ["56%"] * 3 + ["all"] * 3, "before": [100, 100, 9, 0, 0, 0]}
    frame = pd.DataFrame(cells | {"compute_seconds": [50, 60, 9, 90, 180, 8]})
    found = a4_backbone.paid_once(frame.assign(before_hours=frame["before"] / 3600), "56%")
    assert found["trainings"].tolist() == [3, 1, np.inf]


def test_no_run_depends_on_the_settings_of_another_strategy(root, q, v, tables):
    folder, runs = tables["A.VI"].build / "runs", tables["A.VI"].runs
    settings = {"focal": {"focal_gamma": 1.0, "focal_alpha": 0.5}, "ohem": {"ohem_share": 0.25}}
    for strategy, changed in settings.items():
        other = parameters(root, online={"share": 0.6} | changed)
        for cell, run in a6_online.table(other, v).runs.items():
            assert (run.folder(folder) == runs[cell].folder(folder)) == (cell[1] != strategy)
    assert a6_online.settings(q, "none") is None
    assert a6_online.settings(q, "focal") == {"strategy": "focal", "focal_gamma": 2.0, "focal_alpha": 0.25}


def test_what_each_strategy_trains_on_is_what_it_saw(q, tables):
    table = tables["A.VI"]
    exposure = a6_online.exposure(q, table).set_index(["row", "column"])
    assert exposure["exams"].tolist() == [10, 14, 10, 10, 7, 8, 7, 7]
    assert exposure.loc[("60%", "ohem"), "positive"] == pytest.approx(3 / 7)
    assert (exposure["positive"].xs("oversampling", level=1) == 0.5).all()
    for cell, folder in table.train().items():
        assert training.timing(folder)["exams_seen"] == exposure.loc[cell[:2], "exams"] * q.training.epochs
    assert exposure["longer_published"].tolist()[:2] == [1.0, pytest.approx(2 * 1785 / 2028)]
    assert exposure["longer_published"].tolist()[4:] == pytest.approx([np.nan] * 4, nan_ok=True)
    assert exposure["line"].tolist()[:4] == pytest.approx([0.5, 0.3, np.nan, 0.75], nan_ok=True)
    told = {tuple(said["probability"].round(6)) for said in table.predictions().values()}
    assert len(told) == 8  # eight different networks
    times = cost.relative(cost.of_table(table), column="none").set_index(["row", "column"])
    assert times["exams_seen"].tolist() == pytest.approx([1, 1.4, 1, 1, 1, 8 / 7, 1, 1])
    moves = a6_online.moves(table, exposure.reset_index()).set_index(KEY).sort_index()
    cells = table.results().set_index(KEY)["mean"]
    expected = cells["all", "focal", "recall"] - cells["all", "none", "recall"]
    assert moves.loc[("all", "focal", "recall"), "here"] == pytest.approx(expected)
    assert moves.loc[("all", "oversampling"), "expected"].tolist() == [-1, 1]  # precision, recall
    assert moves.loc[("all", "focal", "recall"), "published"] == pytest.approx(0.86 - 0.88)


def test_the_line_of_oversampling_is_where_the_reweighted_odds_are_even():
    positives, negatives = 30, 170
    line = a6_online.decision_line("oversampling", positives, negatives)
    assert line / positives / (line / positives + (1 - line) / negatives) == pytest.approx(0.5)
    assert a6_online.decision_line("ohem", 1, 9, ohem_share=1.0) == 0.5
    assert a6_online.decision_line("focal", 1, 9, alpha=0.9) == pytest.approx(0.1)
    assert np.isnan(a6_online.decision_line("focal", 1, 9, classes=3))


def test_pre_trainings_are_compared_in_time_at_as_many_epochs(tmp_path):
    pd.DataFrame({"epoch": [1, 2], "seconds": [3.0, 5.0]}).to_csv(tmp_path / "history.csv")
    assert a5_sampling.hours(tmp_path, 90) == pytest.approx(0.1)


def test_the_rows_of_table_7_differ_in_their_first_weights_alone(q, v, tables):
    runs = tables["A.VII"].runs
    scratch = runs["scratch", "all", 0]
    assert scratch.method.encoder is None and scratch.before.seconds == 0
    for row, masking in (("rubiks_cube", False), ("rubiks_cube_pro", True)):
        run, folder = runs[row, "all", 0], a7_weights.pretrained(q, v)[row, 0]
        assert run.method.encoder == str(folder)
        assert run.before.seconds == pytest.approx(training.timing(folder)["train_seconds"])
        assert run.method.config() | {"encoder": None} == scratch.method.config()
        assert run.config() | {"method": None} == scratch.config() | {"method": None}
        made = json.loads((folder / "config.json").read_text())["config"]
        assert (
            made["method"]["masking"] is masking and made["method"]["epochs"] == q.pretext.all_samples_epochs
        )
        assert made["training_ids"] == sorted(volume_steps.ids(v, "train"))  # positives and negatives


def test_the_weights_are_where_the_classifier_starts(q, v, tables):
    """One epoch at a learning rate of nearly nothing leaves the encoder where it began."""
    run = tables["A.VII"].runs["rubiks_cube_pro", "all", 0]
    slow = replace(run.method, training=run.method.training | {"learning_rate": 1e-12})
    still = replace(run, method=slow)
    folder = sweep({"still": still}, v, tables["A.VII"].build / "runs")["still"]
    loaded = train.load_file(folder / "weights.safetensors")
    encoder = train.load_file(a7_weights.pretrained(q, v)["rubiks_cube_pro", 0] / "encoder.safetensors")
    kernels = [name for name, value in encoder.items() if value.ndim == 5]
    ours = {name: next(x for key, x in loaded.items() if key.endswith(name)) for name in kernels}
    assert kernels and all(torch.allclose(ours[name], encoder[name], atol=1e-8) for name in kernels)
