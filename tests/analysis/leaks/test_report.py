"""Each planted fault is found; where none is planted nothing is found; what cannot be known is said so."""

import numpy as np
import pandas as pd
import pytest
import torch
from chest_pictures import chest
from PIL import Image
from refusals import refused
from tiny_study import parameters

from covid_study import paths
from covid_study.analysis.leaks import planted, report, shown
from covid_study.analysis.leaks.report import FOUND, NOTHING, UNKNOWN
from covid_study.cohort.picture_layouts import find_images
from covid_study.errors import ExamError
from covid_study.samples import slice_store
from covid_study.samples.samples import Samples

NEAR = 8
PICTURES = {"size": 48, "crop": False, "per_exam": None, "exams": None, "train_share": 0.7}


def of_exams(size=128):
    """Slices as if cut out of exams: 8 to train and 4 to test of each class, each of another patient."""
    names = [(finding, n) for finding in ("covid", "cap") for n in range(12)]
    table = pd.DataFrame(
        names, columns=["finding", "n"], index=pd.Index([f"{f} {n}" for f, n in names], name="slice_id")
    )
    table = table.assign(split=np.where(table.pop("n") < 8, "train", "test"), path="an exam")
    table = table.assign(patient_id="patient " + table.index, exam_id=table.index)
    return Samples(table, torch.from_numpy(np.stack([chest(n, size) for n in range(24)])), "key", None)


def of_pictures(folder, monkeypatch):
    """The slices of a folder of pictures, as a notebook gets them."""
    monkeypatch.setattr(paths, "build", lambda name: folder / "build" / name)
    return slice_store.slices(parameters(None, slices=PICTURES | {"images": str(folder)}))


@pytest.fixture(scope="module")
def all_faults(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planted")
    with pytest.MonkeyPatch.context() as patch:
        s = of_pictures(planted.planted(folder, of_exams()), patch)
    return s, report.find(s, NEAR)


def test_every_planted_fault_is_found(all_faults):
    _, found = all_faults
    expected = dict.fromkeys(("split", "patients", "header", "text"), FOUND)
    assert found.checks["verdict"].to_dict() == dict.fromkeys(report.CHECKS, NOTHING) | expected
    numbers = found.checks.loc[["split", "patients", "text"], ["found", "of"]].values.tolist()
    assert numbers == [[1, 8], [1, 22], [6, 23]] and found.tree.auc.value == 1.0
    pair = found.pairs.iloc[0]
    assert {pair["first"].split("/")[-1], pair["second"].split("/")[-1]} == {"again.jpg", "covid_test_1.png"}
    assert pair[["kind", "same", "classes"]].tolist() == ["split", "", False]
    written = found.headers.index[found.headers["text"].map(len) > 0]
    assert len(written) == 6 and all("covid_" in name and name[-5] in "0246" for name in written)
    numbers = found.table().set_index("looked for")["found"]
    assert list(numbers)[:4] == ["1 of 8 test slices", "0 of 23 slices", "0 of 23 slices", "1 of 22 patients"]
    assert (planted.found_of(found)["verdict"] == FOUND).all()


@pytest.mark.parametrize("fault, checks", [
    (None, []), ("duplicate", ["split"]), ("patient", ["patients"]), ("mode", ["header"]),
    ("text", ["header", "text"]),  # a picture with text on it takes more bytes
])  # fmt: skip
def test_each_fault_is_found_alone(tmp_path, monkeypatch, fault, checks):
    s = of_pictures(planted.planted(tmp_path, of_exams(), [fault]), monkeypatch)
    found = report.find(s, NEAR)
    assert list(found.checks.index[found.checks["verdict"] == FOUND]) == checks
    if not fault:
        assert found.pairs.empty
        (tmp_path / "Images-processed" / "CT_COVID" / "covid_train_0.png").unlink()
        refused(ExamError, lambda: report.find(s, NEAR), "covid_train_0.png", "What to do")


def test_a_trial_is_made_of_any_slices(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "build", lambda name: tmp_path / name)
    small, found = planted.trial(parameters(None, slices=PICTURES | {"images": None}), of_exams())
    assert len(small.table) == 23 and (planted.found_of(found)["verdict"] == FOUND).all()


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
    found = report.find(of_pictures(tmp_path, monkeypatch), NEAR)
    assert found.checks.loc["classes", ["found", "verdict"]].tolist() == [2, FOUND]
    assert found.pairs["same"].tolist() == ["file"] and found.pairs["classes"].all()
    assert found.checks.loc["colour", ["found", "of", "verdict"]].tolist() == [2, 25, FOUND]
    assert found.checks.loc["patients", "verdict"] == UNKNOWN


def test_slices_of_exams_are_hashed_and_the_rest_is_not_known(monkeypatch):
    s = of_exams()
    s.data[23] = s.data[2]  # a slice of the test split, of another finding
    found = report.find(s, NEAR)
    verdicts = found.checks["verdict"]
    assert verdicts[["split", "classes"]].tolist() == [FOUND, FOUND] and verdicts["patients"] == NOTHING
    assert (verdicts[["header", "colour", "text"]] == UNKNOWN).all() and found.headers.empty
    assert found.pairs[["first", "second", "same"]].values.tolist() == [["covid 2", "cap 11", "pixels"]]
    assert report.find(of_exams(48), NEAR).checks.loc["split", "verdict"] == UNKNOWN  # too coarse
    monkeypatch.setattr(report, "MOST", 10)
    found = report.find(of_exams(), NEAR)
    assert (found.looked_at, found.slices) == (10, 24)
    assert found.checks.loc[["classes", "patients"], "of"].tolist() == [10, 24]


def test_what_is_found_is_shown(all_faults):
    s, found = all_faults
    (two,) = shown.pairs(s, found).values()
    np.testing.assert_array_equal(two[0].image, s.of([found.pairs["first"].iloc[0]])[0].numpy())
    assert len(two) == 2 * len(found.pairs)
    tiles = [tile for line in shown.burnt_in(s, found, 20).values() for tile in line]
    framed = [box for tile in tiles for boxes in tile.boxes.values() for box in boxes]
    assert len(framed) == found.headers["text"].map(len).sum() + found.headers["marks"].map(len).sum()
    facts = shown.facts(found)
    assert facts["auc"].iloc[0] == found.tree.auc.value and facts["low"].notna().sum() == 1
    nothing = report.find(of_exams(), NEAR)
    assert shown.pairs(of_exams(), nothing) == shown.burnt_in(of_exams(), nothing) == {}
    assert shown.facts(nothing).empty


def test_real_pictures_with_two_labels(real_data):
    """In COVID-CT two pictures of the test list train too, as not COVID-19."""
    table, _ = find_images(real_data / "covid-ct")
    names = ["kjr-21-e24-p5-29.png", "71%0.jpg", "kjr-21-e24-p5-31.png", "71%1.jpg", "115.png", "0.jpg"]
    table = table[table["path"].map(lambda path: path.rpartition("/")[2]).isin(names)].set_index("slice_id")
    s = Samples(table, torch.zeros((len(table), 48, 48), dtype=torch.uint8), "key", None)
    found = report.find(s, NEAR)
    assert len(table) == 6 and found.checks.loc["classes", "found"] == 4
    assert (found.pairs["kind"] == "split").all() and found.pairs["classes"].all()
