"""Tables 7, 8 and 9: which rows, on which slices; what is scored, beside what, and what is said of it."""

from dataclasses import replace

import matplotlib

matplotlib.use("Agg")
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402
from dataset_trees import covid_ct  # noqa: E402
from PIL import Image  # noqa: E402
from sklearn.metrics import recall_score, roc_auc_score  # noqa: E402
from tiny_study import parameters  # noqa: E402

from covid_study.analysis.leaks import planted
from covid_study.errors import CohortError  # noqa: E402
from covid_study.samples import slice_store
from covid_study.samples.samples import Samples  # noqa: E402
from covid_study.scores import slice_claims
from covid_study.scores.old_claims import FEWEST  # noqa: E402
from covid_study.tables import (
    ablation,
    b3_b4_networks as deep,  # noqa: E402
    b5_losses,
    b7_b9_public as public,  # noqa: E402
    deep_claims,
    public_pictures as shown,  # noqa: E402
    public_report as report,  # noqa: E402
    slice_steps,
)

TRAINING = {
    "epochs": 1,
    "batch_size": 16,
    "optimiser": "adamw",
    "learning_rate": 1.0e-3,
    "weight_decay": 0.01,
}
PUBLIC = {
    "size": 32,
    "training": TRAINING | {"augment": False, "seeds": [0]},
    "more_seeds": [5],
    "backbones": [],
    "contrastive_epochs": 0,
    "per_class": 2,
    "folds": 3,
}
NETWORK = {"backbone": "mobilenet_v2", "weights": "none"}
COMPARED = {"backbones": [], "supervised": [], "contrastive_epochs": 0, "meta_share": 0.0}


def pictures(folder, classes, each=12, patients=True):
    """A generic folder: a folder a class, below it a folder a patient, two pictures each."""
    rng = np.random.default_rng(0)
    for k, name in enumerate(classes):
        for i in range(each):
            place = folder / name / (f"{name}{i // 2}" if patients else "")
            place.mkdir(parents=True, exist_ok=True)
            image = rng.integers(0, 90, (40, 40)).astype(np.uint8)
            image[:: k + 2] += 100
            Image.fromarray(image).save(place / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def q(root, tmp_path_factory):
    folder = pictures(tmp_path_factory.mktemp("pictures"), ("covid", "non_covid"))
    given = parameters(
        root, slices={"images": str(folder)}, slice_network=NETWORK, comparison=COMPARED, public=PUBLIC
    )
    return public.settings(given)


@pytest.fixture(scope="module")
def s(q):
    return slice_store.slices(q)


def three_classes(count=60):
    """A slice table of COVIDx-CT's classes, with patients of two slices."""
    findings = np.repeat(["covid", "cap", "non_pneumonia"], [count // 6, count // 3, count // 2])
    names = [f"{i:03d}" for i in range(count)]
    table = pd.DataFrame({"slice_id": names, "exam_id": names, "finding": findings})
    table = table.assign(patient_id=[f"p{i // 2}" for i in range(count)], path=names, lesion_share=np.nan)
    table["split"] = np.where(np.arange(count) % 10 < 6, "train", "test")
    data = torch.randint(
        0, 255, (count, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    return Samples(table.set_index("slice_id"), data, "three", None)


def test_the_settings_of_public_replace_the_others_where_pictures_are_given(root, q):
    assert q.slices.size == 32 and q.slices.exams is None and q.slices.per_exam is None
    assert q.slice_training.seeds == [0] and q.slice_training.batch_size == 16
    assert q.comparison.epochs == PUBLIC.get("epochs", 1) and q.comparison.backbones == []
    alone = parameters(root)
    assert public.settings(alone) is alone


def test_folds_hold_every_slice_once_and_no_patient_on_both_sides():
    s = three_classes()
    divided = public.folds(s, 3, seed=0)
    tested = [slice_id for _, test in divided.values() for slice_id in test]
    assert sorted(tested) == sorted(s.table.index)
    for train, test in divided.values():
        assert sorted(train + test) == sorted(s.table.index)
        patients = s.table["patient_id"]
        assert not set(patients[train]) & set(patients[test])
        shares = s.table.loc[test, "finding"].value_counts(normalize=True)
        assert shares["non_pneumonia"] == pytest.approx(0.5, abs=0.1)
    assert public.folds(s, 3, 0) == divided != public.folds(s, 3, 1)


def test_without_patients_folds_are_of_pictures():
    s = three_classes()
    unknown = replace(s, table=s.table.assign(patient_id=s.table.index))
    assert public.patients_known(s) and not public.patients_known(unknown)
    patients = s.table["patient_id"]
    parted = [
        set(patients[train]) & set(patients[test]) for train, test in public.folds(unknown, 3, 0).values()
    ]
    assert any(parted)
    with pytest.raises(CohortError, match="covid has 10 pictures, fewer than the 11 folds: set public.folds"):
        public.folds(unknown, 11, 0)


def test_few_of_each_class_are_drawn_from_training_alone():
    s = three_classes()
    few = public.few_of_each(s, 4, seed=0)
    assert s.table.loc[few, "split"].eq("train").all()
    assert s.table.loc[few, "finding"].value_counts().to_dict() == dict.fromkeys(
        ["covid", "cap", "non_pneumonia"], 4
    )
    assert few != public.few_of_each(s, 4, seed=1)
    assert public.few_of_each(s, None, 0) == slice_steps.ids(s, "train")
    assert s.table.loc[public.few_of_each(s, 8, 0), "finding"].value_counts()["covid"] == 6  # all there are


def test_each_table_has_its_rows_and_columns(q, s):
    fitted = ["adaboost", "decision_tree", "xdnn"]
    eighth = public.runs(q, s, "B.8")
    assert [cell for cell in eighth if cell[2] == 0] == [
        (row, "slices", 0) for row in (*fitted, "mobilenet_v2", "class_balanced", "focal", "sce", "dsn_saal")
    ]
    assert [cell for cell in eighth if cell[2] == 5] == [("dsn_saal", "slices", 5)]
    seventh = public.runs(q, s, "B.7")
    assert {cell[:2] for cell in seventh} == {
        (row, column) for row in (*fitted, "mobilenet_v2", "dsn_saal") for column in ("100%", "5%")
    }
    whole, few = (seventh["dsn_saal", column, 0] for column in ("100%", "5%"))
    assert len(few.training_ids) == 4 and len(whole.training_ids) == len(slice_steps.ids(s, "train"))
    assert few.test_ids == whole.test_ids == tuple(slice_steps.ids(s, "test"))
    several = q.model_copy(update={"comparison": q.comparison.model_copy(update={"backbones": ["resnet50"]})})
    ninth = public.runs(several, s, "B.9")
    assert {cell[0] for cell in ninth} == {*fitted, "mobilenet_v2", "resnet", "dsn_saal"}
    assert {cell[1] for cell in ninth} == {"fold 1", "fold 2", "fold 3"}
    assert len({ninth["resnet", f"fold {k}", 0].test_ids for k in (1, 2, 3)}) == 3
    assert ninth["resnet", "fold 1", 0].backbone == "resnet50"


def test_without_pictures_the_networks_are_those_of_tables_3_and_5(root):
    alone = parameters(root, slices={"size": 32, "exams": 4}, slice_network=NETWORK, comparison=COMPARED)
    slices = slice_store.slices(alone)
    found = public.runs(alone, slices, public.table_of(slices.source))
    third, fifth = deep.table_3(alone, slices), b5_losses.runs(alone, slices)
    for row in ("mobilenet_v2", "dsn_saal"):
        assert found[row, "slices", 0].config() == third[row, "slices", 0].config()
    for loss in public.LOSSES:
        assert found[loss, "slices", 0].config() == fifth[loss, "slices", 0].config()
    assert {seed for *_, seed in found} == {0}  # those of public are for pictures


@pytest.fixture(scope="module")
def eighth(q, s):
    runs = public.runs(q, s, "B.8")
    folders = ablation.train_all(q, s, runs)
    said = public.predictions(s, folders)
    return runs, folders, said, public.results(q, said, runs, folders, "B.8")


def test_table_8_stands_beside_the_papers_and_marks_what_only_the_paper_has(q, s, eighth):
    runs, folders, said, joined = eighth
    by = joined.set_index(["row", "metric"])
    told = said["dsn_saal", "slices", 0]
    other = said["dsn_saal", "slices", 5]
    areas = [roc_auc_score(t["finding"] == "covid", t["p_covid"]) for t in (told, other)]
    assert by.loc[("dsn_saal", "auc"), "mean"] == pytest.approx(np.mean(areas))
    assert by.loc[("dsn_saal", "auc"), "seeds"] == 2 and by.loc[("dsn_saal", "auc"), "published"] == 0.91
    html = report.shown(joined, "B.8", s).to_html()
    assert html.count(report.FROM_PAPER) == 7  # eight rows of the paper, one of them run
    assert "not in the paper" in html and "over test patients and seeds" in html
    assert "by patient" in report.shown(joined, "B.8", s, patients=True).to_html()
    assert report.FROM_PAPER not in report.shown(joined, "B.8", s, patients=True).to_html()
    alone = report.paper_only("B.9").to_html()
    assert "0.9995" in alone and "Nothing of this table has been run" in alone


def test_the_auc_is_said_with_the_papers_beside_it(eighth):
    joined = eighth[3]
    said = report.auc_sentence(joined, "B.8")
    assert "2 trainings); the paper prints 0.91; Self-Trans was not run, in the paper 0.94." in said
    assert report.auc_sentence(joined.assign(published=np.nan), None).count("paper") == 0


def test_dsn_saal_is_compared_by_common_seeds_with_the_papers_difference(q, eighth):
    said = eighth[2]
    every = {row for row, *_ in said} | {"vgg16_bn"}
    checked = public.ahead(q, said, "B.8", every).set_index(["column", "metric"])
    line = checked.loc[("sce", "auc")]
    areas = [roc_auc_score(t["finding"] == "covid", t["p_covid"])
             for t in (said["dsn_saal", "slices", 0], said["sce", "slices", 0])]  # fmt: skip
    assert line["difference"] == pytest.approx(areas[0] - areas[1]) and line["seeds"] == 1
    assert np.isnan(line["published"])
    vgg = {("vgg16_bn", "slices", 0): said["sce", "slices", 0]} | dict(said)
    with_paper = public.ahead(q, vgg, "B.8", every).set_index(["column", "metric"])
    assert with_paper.loc[("vgg16_bn", "auc"), "published"] == pytest.approx(0.91 - 0.82)
    alone = public.ahead(q, vgg, None, every).set_index(["column", "metric"])
    assert np.isnan(alone.loc[("vgg16_bn", "auc"), "published"])
    assert "SCE" in deep_claims.networks_table(checked.reset_index(), "x").data


def test_each_table_takes_its_own_networks(q):
    every = ["vgg16_bn", "resnet50", "densenet169", "alexnet", "googlenet", "mobilenet_v2"]
    p = q.model_copy(update={"comparison": q.comparison.model_copy(update={"backbones": every})})
    own = p.slice_network.backbone
    assert set(public.plain(p, "B.8")) == {own, "vgg16_bn", "resnet50", "densenet169", "mobilenet_v2"}
    assert set(public.plain(p, "B.9")) == {
        own,
        "vgg16_bn",
        "resnet50",
        "alexnet",
        "googlenet",
        "mobilenet_v2",
    }
    assert public.plain(p, "B.7") == [own] and set(public.plain(p, None)) == set(public.plain(p, "B.8"))


def test_rows_trained_for_less_or_from_other_weights_stand_apart(q, s, eighth):
    runs = {cell: run for cell, run in eighth[0].items() if cell[0] in ("dsn_saal", "sce", "xdnn")}
    assert public.on_equal_terms(runs) == {"dsn_saal", "sce", "xdnn"}
    sce = next(run for (row, *_), run in runs.items() if row == "sce")
    less = {"epochs": replace(sce, training=sce.training | {"epochs": 99})}
    less["slices"] = replace(sce, training_ids=sce.training_ids[:-1])
    less["weights"] = replace(sce, weights=object())
    for name, run in less.items():
        assert public.on_equal_terms(runs | {(name, "slices", 0): run}) == {"dsn_saal", "sce", "xdnn"}
    checked = public.ahead(q, eighth[2], "B.8", {"sce"})
    of = checked.groupby("column")["claim"].first()
    assert of["sce"] == "ahead slices" and of["xdnn"] == "apart slices"
    shown_apart = deep_claims.networks_table(checked, "x", public.APART).data
    assert shown_apart.count("On these slices the claim") == 1 and "no measure of the method" in shown_apart
    assert "mean" not in set(checked.loc[checked["claim"] == "apart slices", "column"])


def test_what_is_said_of_who_is_ahead():
    lines = pd.DataFrame({"metric": "auc", "column": ["a", "b", "c", "mean"]})
    lines["verdict"] = ["holds", "does not hold", "cannot be told apart", "holds"]
    apart = lines.iloc[:1].assign(claim="apart slices")
    lines = pd.concat([lines.assign(claim="ahead slices"), apart])
    said = report.ahead_sentence(lines)
    assert (
        said
        == "By AUC DSN-SAAL is ahead of 1 of the 3 rows on equal terms, behind 1, and cannot be told from 1."
    )
    few = report.ahead_sentence(lines.assign(verdict="too few test patients"))
    assert few.startswith(f"With fewer than {FEWEST} test patients")


def test_table_9_counts_every_picture_once_a_repeat(q, s):
    q = q.model_copy(update={"public": q.public.model_copy(update={"more_seeds": []})})
    rows = ("decision_tree", "xdnn", "dsn_saal")
    runs = {cell: run for cell, run in public.runs(q, s, "B.9").items() if cell[0] in rows}
    folders = ablation.train_all(q, s, runs)
    said = public.predictions(s, folders)
    assert set(said) == {(row, "slices", 0) for row in rows}
    told = said["xdnn", "slices", 0]
    assert sorted(told["slice_id"]) == sorted(s.table.index) and set(told["split"]) == {"test"}
    joined = public.results(q, said, runs, folders, "B.9").set_index(["row", "metric"])
    sen = recall_score(told["finding"] == "covid", told["p_covid"] > 0.5)
    assert joined.loc[("xdnn", "sen"), "mean"] == pytest.approx(sen)
    assert joined.loc[("xdnn", "sen"), "published"] == 0.9553
    hours = sum(ablation.timing(folders["xdnn", f"fold {k}", 0])["train_seconds"] for k in (1, 2, 3)) / 3600
    assert joined.loc[("xdnn", "hours"), "mean"] == pytest.approx(hours)
    assert "3 folds by patient" in shown.protocol_sentence(q, s, "B.9")
    unknown = replace(s, table=s.table.assign(patient_id=s.table.index))
    assert "by picture, as no patients are known" in shown.protocol_sentence(q, unknown, "B.9")
    assert "over test pictures" in report.shown(joined.reset_index(), "B.9", unknown).to_html()


def test_table_7_scores_each_class_in_both_columns(root, tmp_path):
    given = parameters(root, slice_network=NETWORK, comparison=COMPARED, public=PUBLIC)
    s = replace(three_classes(), folder=tmp_path)
    runs = {
        c: run for c, run in public.runs(given, s, "B.7").items() if c[0] in ("adaboost", "decision_tree")
    }
    folders = ablation.train_all(given, s, runs)
    said = public.predictions(s, folders)
    joined = public.results(given, said, runs, folders, "B.7").set_index(["row", "column", "metric"])
    told = said["adaboost", "5%", 0]
    called = told[["p_covid", "p_cap", "p_non_pneumonia"]].idxmax(axis=1).str.removeprefix("p_")
    ours = recall_score(told["finding"] == "cap", called == "cap")
    assert joined.loc[("adaboost", "5%", "sen_cap"), "mean"] == pytest.approx(ours)
    assert joined.loc[("dsn_saal", "100%", "sen_cap"), "published"] == 0.9977
    html = report.shown(joined.reset_index(), "B.7", s).to_html()
    assert "SEN CAP" in html and "5 %" in html
    assert "In the second column 6 of these train, at most 2 of each class." in shown.protocol_sentence(
        given, s, "B.7"
    )
    assert list(report.called(said, "B.7")) == ["AdaBoost", "Decision tree"]


def test_what_was_reduced_is_listed_against_the_papers_settings(q, s, eighth):
    said = report.reduced(q, s, eighth[0])
    for part in (
        "pictures of 32 × 32 pixels (paper: 224 × 224 pixels)",
        "backbone MobileNet-V2 (paper: VGG-16)",
        "epochs 1 (paper: 120)",
        "optimiser adamw (paper: sgd)",
        "trainings of DSN-SAAL 2 (paper: 10)",
        "random first weights for MobileNet-V2 (paper: ImageNet's)",
    ):
        assert part in said
    assert "learning rate" not in said and "at random" not in said  # as in the paper
    assert said.startswith("These slices are not the paper's.") and "backbones" not in said
    ninth = report.reduced(q, replace(s, source="sars-cov-2"), {})
    assert "folds 3 (paper: 5)" in ninth and ninth.startswith("Reduced")
    seventh = report.reduced(q, replace(s, source="covidx-ct-1"), {})
    assert "slices of each class in the second column 2 (paper: 1000)" in seventh
    starts = report.starts(eighth[0], "B.8")
    assert (
        "MobileNet-V2, Class-balanced loss, Focal loss, SCE and DSN-SAAL start from random weights, 1 epoch"
        in starts
    )


def test_what_stands_in_for_what_is_said(q, s):
    assert "none of the three data sets" in shown.pictures_sentence(q, s, None)
    assert "24 slices (12 patients), 32 pixels a side" in shown.pictures_sentence(q, s, None)
    assert "Table 8" in shown.pictures_sentence(q, s, "B.8").split("24 slices")[0]
    without = q.model_copy(update={"slices": q.slices.model_copy(update={"images": None})})
    assert shown.pictures_sentence(without, s, None).startswith("No pictures are given")


def test_every_planted_fault_is_found_in_slices_of_ones_own(q):
    small, found = planted.trial(q, three_classes())
    assert small.source == "covid-ct" and set(small.table["finding"]) == {"covid", "non_covid"}
    assert (planted.found_of(found)["verdict"] == "found").all()


def test_every_data_set_is_listed_with_its_terms(q, tmp_path):
    html = shown.data_sets(q).data
    for name in ("covid-ct", "sars-cov-2", "covidx-ct-1", "stoic"):
        assert f">{name}<" in html
    assert "not there" in html and "given as DATA" not in html
    given = q.model_copy(
        update={"slices": q.slices.model_copy(update={"images": str(covid_ct(tmp_path / "here"))})}
    )
    assert shown.data_sets(given).data.count("given as DATA") == 1


def test_the_headline_names_the_table_and_the_score(q, s, eighth):
    checked = public.ahead(q, eighth[2], "B.8", public.on_equal_terms(eighth[0]))
    said = report.headline(q, s, "B.8", eighth[3], checked)
    assert said.startswith(
        "Table 8 (COVID19-CT, called COVID-CT by its authors): 24 slices. DSN-SAAL has an AUC of"
    )
    assert report.main_score("B.7") == "acc" and report.main_score(None) == "auc"
    assert slice_claims.OURS == "dsn_saal"
