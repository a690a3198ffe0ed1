"""The slice table: what is taken of an exam, split by patient, and refused where nothing can be learnt from it."""

import numpy as np
import pandas as pd
import pytest
import torch

from covid_study.cohort import slices
from covid_study.errors import CohortError, StudyError
from covid_study.samples import samples


def table_of(patients=12, each=2, findings=("covid", "cap", "non_pneumonia"), split=""):
    rows = [
        (f"{f}-{n}-{k}", f"{f}-{n}", f"{f}-{n}", f, split, f"/ct/{f}-{n}")
        for f in findings
        for n in range(patients)
        for k in range(each)
    ]
    return pd.DataFrame(rows, columns=["slice_id", "exam_id", "patient_id", "finding", "split", "path"])


@pytest.fixture
def table():
    return slices.split_patients(table_of(), 0.7, 0)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_slices_are_taken_evenly_over_the_lungs(count):
    areas = np.r_[np.zeros(5), np.full(35, 80.0), np.zeros(7)]
    taken = slices.choose(areas, count)
    assert len(taken) == count and (areas[taken] > 0).all()
    gaps = np.diff(np.r_[5 - 0.5, taken, 39 + 0.5])
    assert gaps[1:-1].max(initial=35 / count) - gaps[1:-1].min(initial=35 / count) <= 1.01
    assert abs(gaps[0] - gaps[-1]) <= 1.01  # as far from the bases as from the apices


def test_slices_with_little_lung_are_not_taken():
    assert slices.choose(np.array([19, 20, 100, 50, 0]), None).tolist() == [1, 2, 3]
    assert slices.choose(np.array([19, 20, 100, 50, 0]), 9).tolist() == [1, 2, 3]
    assert slices.choose(np.zeros(4), 3).tolist() == []


def test_slices_are_chosen_as_a_reader_would_and_a_known_share_is_not():
    areas, shares = np.full(40, 80.0), np.zeros(40)
    shares[10:30] = 0.05
    ill = slices.choose(areas, 8, lesion_shares=shares)
    assert len(ill) == 8 and (shares[ill] > 0).all() and ill.min() <= 11 and ill.max() >= 28
    for noise, turn, wrong in ((0.25, 0.0, 2), (0.1, 0.1, 0), (0.1, 0.3, 1), (1.0, 0.0, 8)):
        taken = slices.choose(areas, 8, lesion_shares=shares, label_noise=noise, turn=turn)
        assert len(taken) == 8 and (shares[taken] == 0).sum() == wrong
    every = slices.choose(areas, None, lesion_shares=shares, label_noise=0.5)
    assert len(every) == 20 and (shares[every] == 0).sum() == 10
    healthy = slices.choose(areas, 8, lesion_shares=np.full(40, 0.009), label_noise=0.5)
    assert healthy.tolist() == slices.choose(areas, 8).tolist()


def test_neighbours_are_as_near_as_overlap_says():
    gaps = [np.diff(slices.choose(np.ones(41), 5, overlap)).mean() for overlap in (0, 0.5, 1)]
    assert gaps[0] > gaps[1] > gaps[2] == 1


def test_the_split_is_by_patient_and_7_to_3_in_every_finding(table):
    assert table.groupby("patient_id")["split"].nunique().max() == 1
    shares = table.assign(train=table["split"] == "train").groupby("finding")["train"].mean()
    assert shares.between(0.66, 0.75).all() and set(table["split"]) == {"train", "test"}
    again = slices.split_patients(table_of().sample(frac=1, random_state=1), 0.7, 0)
    assert again.set_index("slice_id")["split"].to_dict() == table.set_index("slice_id")["split"].to_dict()
    assert (slices.split_patients(table_of(), 0.7, 1)["split"] != table["split"]).any()


def test_a_split_that_is_given_is_kept_and_its_validation_trains():
    given = table_of(3, 1)
    given["split"] = ["train", "validation", "test"] * 3
    assert slices.split_patients(given, 0.5, 0)["split"].tolist() == ["train", "train", "test"] * 3


@pytest.mark.parametrize("finding, words", [("covid", "covid"), ("cap", "another finding")])
def test_one_patient_of_a_kind_cannot_be_split(finding, words):
    table = table_of(4, 1, ("covid", "cap"))
    table = table[(table["finding"] != finding) | (table["patient_id"] == f"{finding}-0")]
    with pytest.raises(CohortError, match=f"{words}: 1; at least two"):
        slices.split_patients(table, 0.7, 0)


def test_at_most_so_many_keep_the_shares_and_the_patients(table):
    kept = slices.at_most(table, 10, 0)
    assert kept["finding"].value_counts().to_dict() == {"covid": 10, "cap": 10, "non_pneumonia": 10}
    assert kept.groupby("finding")["split"].apply(lambda s: (s == "train").sum()).between(6, 8).all()
    patients = kept.groupby(["finding", "split", "patient_id"]).size()
    assert (patients == 1).groupby(
        ["finding", "split"]
    ).sum().max() == 1  # whole patients, the last one aside
    assert set(slices.at_most(table, 6, 0)["slice_id"]) <= set(kept["slice_id"])
    pd.testing.assert_frame_equal(slices.at_most(table, None, 0), table)
    assert len(slices.at_most(table, 10_000, 0)) == len(table)


def test_a_sound_table_passes_with_its_columns_in_order(table):
    checked = slices.check_slices(table)
    assert list(checked) == list(slices.COLUMNS)
    assert checked["lesion_share"].isna().all() and checked["slice_id"].tolist() == table["slice_id"].tolist()


def test_what_is_wrong_with_a_table_is_said(table):
    both = table.assign(patient_id=table["patient_id"].replace("covid-0", "covid-1"))
    both.loc[both["patient_id"] == "covid-1", "split"] = ["train", "test", "train", "test"]
    with pytest.raises(CohortError, match="patient covid-1 is on both sides"):
        slices.check_slices(both)
    without = table[(table["finding"] != "cap") | (table["split"] != "test")]
    with pytest.raises(
        CohortError, match="the test split holds no slice with the finding cap.*\n- P1: no file"
    ):
        slices.check_slices(without, ["P1: no file"])
    with pytest.raises(CohortError, match="holds no slice with the finding covid"):
        slices.check_slices(table[table["finding"] != "covid"])
    with pytest.raises(CohortError, match="all slices have the finding covid"):
        slices.check_slices(table[table["finding"] == "covid"])


def test_counts_are_of_patients_exams_and_slices(table):
    counted = slices.counts(table).set_index(["finding", "split"])
    assert counted.index[0] == ("covid", "train")
    assert (counted["slices"] == 2 * counted["patients"]).all() and counted["slices"].sum() == 72
    assert counted.loc["cap", "exams"].sum() == 12


def test_masks_are_found_by_name_whatever_the_order(table, tmp_path):
    size = 9  # 81 pixels: not a whole number of bytes
    rng = np.random.default_rng(0)
    masks = {name: rng.random((len(table), size, size)) > 0.5 for name in ("lungs", "lesions")}
    for name, mask in masks.items():
        np.save(tmp_path / f"{name}.npy", np.packbits(mask.reshape(len(table), -1), axis=1))
    known = slices.check_slices(table.assign(lung_area_mm2=1.0, lesion_area_mm2=0.0)).set_index("slice_id")
    known.iloc[5, known.columns.get_loc("lesion_area_mm2")] = np.nan
    s = samples.Samples(known, torch.empty(0, size, size), "key", tmp_path)
    ids = list(known.index[[9, 2, 70]])
    for found, name in zip(s.masks(ids), masks, strict=True):
        np.testing.assert_array_equal(found, masks[name][[9, 2, 70]])
    lungs, lesions = s.masks(list(known.index[4:6]))
    assert lesions is None and lungs.shape == (2, size, size)
    with pytest.raises(StudyError, match="1 slices are not in the store, the first is 'nobody'"):
        s.masks([ids[0], "nobody"])
