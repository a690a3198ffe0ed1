"""Lists against files: pictures in two lists, in none, not there; patients on both sides."""

import pandas as pd

from covid_study.cohort.official_lists import against_files, both_sides, listed_once


def lists(**of):
    rows = [(name, split) for split, names in of.items() for name in names]
    return pd.DataFrame(rows, columns=["slice_id", "split"])


def test_a_picture_in_two_lists_is_tested_and_not_trained_on():
    table, notes = listed_once(lists(test=["a", "b"], train=["a", "c", "c"], validation=["c", "d"]))
    assert dict(zip(table["slice_id"], table["split"], strict=True)) == {
        "a": "test", "b": "test", "c": "validation", "d": "validation"
    }  # fmt: skip
    assert len(notes) == 1 and notes[0].startswith("2 images stand in more than one list (a, c): ")


def test_twice_in_one_list_is_once_and_no_news():
    table, notes = listed_once(lists(train=["a", "a"]))
    assert table["slice_id"].tolist() == ["a"] and notes == []


def test_what_is_missing_and_what_is_in_no_list():
    assert against_files(["a"], ["a"]) == []
    missing, spare = against_files([f"{i}" for i in range(5)], ["0", "x", "y"])
    assert missing == "4 listed images are not there (1, 2, 3 and 1 more)."
    assert spare == "2 images are in no list and take no part (x, y)."


def test_patients_on_both_sides_are_counted_with_their_test_images():
    table = pd.DataFrame(
        [("p", "train"), ("p", "test"), ("p", "test"), ("q", "validation"), ("q", "train"), ("r", "test"), ("", "test")],
        columns=["patient_id", "split"],
    )  # fmt: skip
    (note,) = both_sides(table)
    assert note.startswith(
        "2 of 3 patients lie on more than one side of the authors' split (p, q), with 2 images"
    )
    assert both_sides(table.iloc[4:]) == []
