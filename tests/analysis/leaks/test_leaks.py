"""Each planted fault is found and said; where none is planted nothing is found; what cannot be known is said so."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from tiny_study import parameters

from covid_study import paths
from covid_study.analysis.leaks import leaks, planted as planted_leaks
from covid_study.analysis.leaks.leaks import FOUND, NOTHING, UNKNOWN
from covid_study.analysis.leaks.planted import FAULTS
from covid_study.cohort.picture_layouts import find_images
from covid_study.errors import ExamError
from covid_study.figures import leaks as figures_leaks
from covid_study.samples import slice_store
from covid_study.samples.samples import Samples
from tests.analysis.leaks.test_duplicates import chest

NEAR = 8
RULE = "mode is not L: 100 % COVID-19 of 8 pictures"


def of_exams(size=128):
    """Slices as if cut out of exams: 8 to train and 4 to test of each class, each of another patient."""
    rows = [
        (f"{finding} {n}", f"patient {finding} {n}", finding, "train" if n < 8 else "test")
        for finding in ("covid", "cap")
        for n in range(12)
    ]
    table = pd.DataFrame(rows, columns=["slice_id", "patient_id", "finding", "split"])
    table = table.assign(exam_id=table["patient_id"], path="an exam").set_index("slice_id")
    data = torch.from_numpy(np.stack([chest(n, size) for n in range(24)]))
    return Samples(table, data, "key", None)


def of_pictures(folder, monkeypatch):
    """The slices of a folder of pictures, as a notebook gets them."""
    monkeypatch.setattr(paths, "build", lambda name: folder / "build" / name)
    chosen = {
        "images": str(folder),
        "size": 48,
        "crop": False,
        "per_exam": None,
        "exams": None,
        "train_share": 0.7,
    }
    return slice_store.slices(parameters(None, slices=chosen))


def planted(folder, monkeypatch, faults=FAULTS):
    return of_pictures(planted_leaks.planted(folder, of_exams(), faults), monkeypatch)


@pytest.fixture(scope="module")
def all_faults(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        s = planted(tmp_path_factory.mktemp("planted"), patch)
    return s, leaks.report(s, NEAR)


def test_every_planted_fault_is_found(all_faults):
    s, found = all_faults
    verdicts = found.checks["verdict"].to_dict()
    assert verdicts == {
        "split": FOUND,
        "classes": NOTHING,
        "within": NOTHING,
        "patients": FOUND,
        "header": FOUND,
        "colour": NOTHING,
        "text": FOUND,
    }
    assert found.checks.loc["split", ["found", "of"]].tolist() == [1, 8]
    pair = found.pairs.iloc[0]
    assert {pair["first"].split("/")[-1], pair["second"].split("/")[-1]} == {"again.jpg", "covid_test_1.png"}
    assert pair["kind"] == "split" and pair["same"] == "" and not pair["classes"]
    assert found.checks.loc["patients", ["found", "of"]].tolist() == [1, 22]
    assert found.tree.auc.value == 1.0 and found.tree.rules[0] == RULE
    written = found.headers.index[found.headers["text"].map(len) > 0]
    assert len(written) == 6 and all("covid_" in name and name[-5] in "0246" for name in written)
    said = found.sentence()
    for part in (
        "1 of 8 test slices have",
        "1 of 22 patients are",
        "AUC 1.00 for COVID-19",
        "6 of 23 pictures have text",
    ):
        assert part in said
    assert "by heart" in found.checks.loc["split", "sentence"]


@pytest.mark.parametrize(
    "fault, checks",
    [
        ("duplicate", ["split"]),
        ("patient", ["patients"]),
        ("mode", ["header"]),
        ("text", ["header", "text"]),  # a picture with text on it takes more bytes
    ],
)
def test_each_fault_is_found_alone(tmp_path, monkeypatch, fault, checks):
    found = leaks.report(planted(tmp_path, monkeypatch, [fault]), NEAR).checks["verdict"]
    assert list(found.index[found == FOUND]) == checks


def test_nothing_planted_nothing_found(tmp_path, monkeypatch):
    found = leaks.report(planted(tmp_path, monkeypatch, ()), NEAR)
    assert not (found.checks["verdict"] == FOUND).any() and found.pairs.empty
    assert "nothing was found" in found.sentence()


def test_one_picture_of_two_classes_colour_and_unknown_patients(tmp_path, monkeypatch):
    for n in range(12):
        for c, folder in enumerate(("COVID", "normal")):
            file = tmp_path / folder / f"{n}.png"
            file.parent.mkdir(exist_ok=True)
            picture = Image.fromarray(chest(2 * n + c)).convert("RGB")
            if n < 2 and not c:
                picture.paste((255, 0, 0), (80, 80, 100, 90))
            picture.save(file)
    (tmp_path / "normal" / "twin.png").write_bytes((tmp_path / "COVID" / "5.png").read_bytes())
    found = leaks.report(of_pictures(tmp_path, monkeypatch), NEAR)
    assert found.checks.loc["classes", ["found", "verdict"]].tolist() == [2, FOUND]
    assert found.pairs["same"].tolist() == ["file"] and found.pairs["classes"].all()
    assert found.checks.loc["colour", ["found", "of", "verdict"]].tolist() == [2, 25, FOUND]
    assert (
        found.checks.loc["patients", "verdict"] == UNKNOWN
        and "Not known: patients on both" in found.sentence()
    )


def test_slices_of_exams_are_hashed_and_the_rest_is_not_known():
    s = of_exams()
    s.data[23] = s.data[2]  # a slice of the test split, of another finding
    found = leaks.report(s, NEAR)
    verdicts = found.checks["verdict"]
    assert verdicts[["split", "classes"]].tolist() == [FOUND, FOUND] and verdicts["patients"] == NOTHING
    assert (verdicts[["header", "colour", "text"]] == UNKNOWN).all() and found.headers.empty
    assert found.pairs[["first", "second", "same"]].values.tolist() == [["covid 2", "cap 11", "pixels"]]
    coarse = leaks.report(of_exams(48), NEAR).checks.loc["split"]
    assert coarse["verdict"] == UNKNOWN and "coarse" in coarse["sentence"]


def test_a_picture_that_is_gone_is_named(tmp_path, monkeypatch):
    s = planted(tmp_path, monkeypatch, ())
    (tmp_path / "Images-processed" / "CT_COVID" / "covid_train_0.png").unlink()
    with pytest.raises(ExamError, match="covid_train_0.png does not exist"):
        leaks.report(s, NEAR)


def test_of_very_many_slices_some_are_drawn_and_it_is_said(monkeypatch):
    monkeypatch.setattr(leaks, "MOST", 10)
    found = leaks.report(of_exams(), NEAR)
    assert found.checks.loc["classes", "of"] == 10 and found.checks.loc["patients", "of"] == 24
    assert "Of 24 slices 10 were looked at" in found.sentence()


def test_the_table_says_what_the_checks_say(all_faults):
    shown = leaks.table(all_faults[1]).data
    for text in (
        "one picture on both sides of the split",
        "1 of 8",
        "AUC 1.00",
        RULE,
    ):
        assert text in shown


def test_figures(all_faults, tmp_path):
    s, found = all_faults
    pairs = figures_leaks.duplicate_pairs(s, found)
    said = [ax.get_xlabel() for ax in pairs.axes if ax.images]
    assert sorted(said) == ["COVID-19, test", "COVID-19, train"]
    frames = sum(len(ax.patches) for ax in figures_leaks.burnt_in(s, found, 20).axes)
    assert frames == found.headers["text"].map(len).sum()
    facts = figures_leaks.header_facts(found).axes[0]
    assert [label.get_text() for label in facts.get_yticklabels()][-1] == "all of them"
    nothing = leaks.report(of_exams(), NEAR)
    for figure in (
        figures_leaks.duplicate_pairs(of_exams(), nothing),
        figures_leaks.burnt_in(of_exams(), nothing),
        figures_leaks.header_facts(nothing),
    ):
        assert figure.axes[0].texts and not figure.axes[0].images


def test_real_pictures_with_two_labels(real_data):
    """In COVID-CT two pictures of the test list train too, as not COVID-19."""
    table, _ = find_images(real_data / "covid-ct")
    names = ["kjr-21-e24-p5-29.png", "71%0.jpg", "kjr-21-e24-p5-31.png", "71%1.jpg", "115.png", "0.jpg"]
    table = table[table["path"].map(lambda path: path.rpartition("/")[2]).isin(names)].set_index("slice_id")
    s = Samples(table, torch.zeros((len(table), 48, 48), dtype=torch.uint8), "key", None)
    found = leaks.report(s, NEAR)
    assert len(table) == 6 and found.checks.loc["classes", "found"] == 4
    assert (found.pairs["kind"] == "split").all() and found.pairs["classes"].all()
    assert "under the other finding, which makes the score worse" in found.checks.loc["split", "sentence"]
