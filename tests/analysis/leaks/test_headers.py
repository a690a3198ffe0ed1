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
    green = np.zeros((50, 100, 3), np.uint8)
    green[..., 1] = np.asarray(grey)  # green differs from red, blue does not
    Image.fromarray(green).save(tmp_path / "d.bmp")
    facts = pd.DataFrame([header(tmp_path / name)[0] for name in ("a.png", "b.png", "c.png", "d.bmp")])
    expected = {"mode": ["L", "RGBA", "RGB", "RGB"], "format": ["PNG", "PNG", "JPEG", "BMP"], "wrong_suffix": [0, 0, 1, 0],
                "width": [100] * 4, "aspect": [2] * 4, "colours": [0, 0, 0, 1]}  # fmt: skip
    assert facts[list(expected)].to_dict("list") == expected and facts["dpi"].tolist()[:3] == [0, 1, 0]
    assert facts["bits_a_pixel"][0] == pytest.approx(8 * (tmp_path / "a.png").stat().st_size / 5000)


TABLE = pd.DataFrame({"finding": ["covid", "cap"] * 20, "split": ["train"] * 20 + ["test"] * 20,
                      "patient_id": [f"p{i}" for i in range(40)]})  # fmt: skip


def test_a_fact_that_is_the_class():
    # each of both separates the training slices; the width turns round on the test slices
    both = pd.DataFrame({"mode": ["RGBA", "L"] * 20, "width": [100, 200] * 10 + [200, 100] * 10})
    alone = tree(both, TABLE).alone
    assert set(alone["fact"]) == {"mode", "width"} and alone["auc"].tolist() == [1.0, 0.0]
    found = tree(both[["mode"]], TABLE)
    assert found.auc[:3] == (1.0, 1.0, 1.0) and len(found.rules) == 2
    assert found.rules[0] == "mode is RGBA: 100 % COVID-19 of 10 pictures"
    rule = tree(pd.DataFrame({"width": [512, 300] * 20}), TABLE).rules[0]
    assert rule == "width above 406 pixels: 100 % COVID-19 of 10 pictures"


def test_facts_that_say_nothing():
    table = pd.concat([TABLE] * 5, ignore_index=True).sort_values("split", ascending=False, ignore_index=True)
    facts = pd.DataFrame({"width": np.random.default_rng(0).permutation(200)})
    assert tree(facts, table).auc.low < 0.5


def test_where_nothing_can_be_known():
    alike, facts = pd.DataFrame({"mode": ["L"] * 40}), pd.DataFrame({"mode": ["L", "RGB"] * 20})
    one_class = TABLE.assign(finding=["covid", "cap"] * 10 + ["covid"] * 20)
    few = TABLE.assign(split="", patient_id=["a", "b"] * 20)
    for of, table, why in (
        (alike, TABLE, "alike"),
        (facts, one_class, "test split"),
        (facts, few, "fewer than 5"),
    ):
        found = tree(of, table)
        assert not found.rules and why in found.auc.note


def test_without_a_split_five_folds_by_patient():
    assert tree(pd.DataFrame({"mode": ["L", "RGB"] * 20}), TABLE.assign(split="")).auc.value == 1.0
    # a width that is the patient's own tells the class only where slices of a patient are on both sides
    facts = pd.DataFrame({"width": np.repeat(np.random.default_rng(1).permutation(20), 10)})
    table = pd.DataFrame(
        {"finding": ["covid", "cap"] * 10, "split": "", "patient_id": list(map(str, range(20)))}
    )
    assert tree(facts, table.loc[table.index.repeat(10)].reset_index(drop=True)).auc.low < 0.5
