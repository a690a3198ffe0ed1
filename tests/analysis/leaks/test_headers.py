"""What a file says without its picture: its facts, and a tree that tells the class by them where they tell it."""

import numpy as np
import pandas as pd
import pytest
from chest_pictures import chest
from PIL import Image

from covid_study.analysis.leaks.headers import header, tree


def test_facts_of_files(tmp_path):
    grey = Image.fromarray(chest(0, 100)[:50])
    grey.save(tmp_path / "a.png")
    grey.convert("RGBA").save(tmp_path / "b.png", dpi=(72, 72))
    grey.convert("RGB").save(tmp_path / "c.png", "JPEG")
    facts = pd.DataFrame([header(tmp_path / f"{name}.png")[0] for name in "abc"])
    assert facts["mode"].tolist() == ["L", "RGBA", "RGB"] and facts["format"].tolist() == [
        "PNG",
        "PNG",
        "JPEG",
    ]
    assert facts["wrong_suffix"].tolist() == [0, 0, 1] and facts["dpi"].tolist() == [0, 1, 0]
    assert (facts["width"] == 100).all() and (facts["aspect"] == 2).all()
    assert facts["bits_a_pixel"][0] == pytest.approx(8 * (tmp_path / "a.png").stat().st_size / 5000)
    assert facts["colours"].tolist() == [0, 0, 0]
    colour = np.zeros((40, 40, 3), np.uint8)
    colour[..., 1] = chest(0, 40)
    Image.fromarray(colour).save(tmp_path / "d.bmp")
    assert header(tmp_path / "d.bmp")[0]["colours"] == 1  # green differs from red, blue does not


def cohort(n=40, **columns):
    table = pd.DataFrame(
        {
            "finding": ["covid", "cap"] * (n // 2),
            "split": ["train"] * (n // 2) + ["test"] * (n // 2),
            "patient_id": [f"p{i}" for i in range(n)],
        }
    )
    return pd.DataFrame(columns), table


def test_a_mode_that_is_the_class():
    facts, table = cohort(mode=["RGBA", "L"] * 20, width=[100, 200] * 10 + [200, 100] * 10)
    found = tree(facts, table)
    # each of both separates the training slices; the width turns round on the test slices
    assert set(found.alone["fact"]) == {"mode", "width"} and found.alone["auc"].tolist() == [1.0, 0.0]
    facts, table = cohort(mode=["RGBA", "L"] * 20)
    found = tree(facts, table)
    assert found.auc[:3] == (1.0, 1.0, 1.0)
    assert found.rules == (
        "mode is RGBA: 100 % COVID-19 of 10 pictures",
        "mode is not RGBA: 0 % COVID-19 of 10 pictures",
    )


def test_numbers_have_a_threshold_and_a_unit_in_words():
    facts, table = cohort(width=[512, 300] * 20)
    found = tree(facts, table)
    assert found.rules[0] == "width above 406 pixels: 100 % COVID-19 of 10 pictures"


def test_facts_that_say_nothing():
    values = np.random.default_rng(0).permutation(200)
    facts, table = cohort(200, width=values)
    assert tree(facts, table).auc.low < 0.5


def test_where_nothing_can_be_known():
    facts, table = cohort(mode=["L"] * 40)
    assert tree(facts, table).model is None and "alike" in tree(facts, table).auc.note
    facts, table = cohort(mode=["L", "RGB"] * 20)
    one_class = table.assign(finding=["covid", "cap"] * 10 + ["covid"] * 20)
    assert tree(facts, one_class).auc.note == "the test split has one class only"
    none = table.assign(split="", patient_id=["a", "b"] * 20)
    assert "fewer than 5 patients" in tree(facts, none).auc.note


def test_without_a_split_five_folds_by_patient():
    facts, table = cohort(mode=["L", "RGB"] * 20)
    assert tree(facts, table.assign(split="")).auc.value == 1.0
    # a width that is the patient's own tells the class only where slices of a patient are on both sides
    facts = pd.DataFrame({"width": np.repeat(np.random.default_rng(1).permutation(20), 10)})
    table = pd.DataFrame(
        {
            "finding": np.repeat(["covid", "cap"] * 10, 10),
            "split": "",
            "patient_id": np.repeat(list(map(str, range(20))), 10),
        }
    )
    assert tree(facts, table).auc.low < 0.5
