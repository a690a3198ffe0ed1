"""The facts of a run, and how it is cited."""

import re

import pytest

from covid_study.study.facts import cited, energy, facts


def test_duration_and_energy_are_those_of_the_notebooks(whole):
    stated = facts(whole)
    assert stated["duration"].startswith("2:00:00") and stated["commit"] == "abc1234567, clean"
    assert float(re.search(r"[\d.]+", stated["energy"])[0]) == pytest.approx(2 * 0.065)
    whole.notebooks[1].record["said"]["headline"] = {"text": "", "figure": None, "device": "H200"}
    assert float(re.search(r"[\d.]+", energy(whole.notebooks))[0]) == pytest.approx(0.065 + 0.4, abs=0.01)


def test_an_edited_tree_is_no_clean_commit(whole):
    for notebook in whole.notebooks:
        notebook.record["facts"] = notebook.record["facts"] | {"commit": "abc with uncommitted changes"}
    assert "clean" not in facts(whole)["commit"]


def test_a_citation_names_run_commit_and_both_papers(whole):
    told = cited(whole)
    for part in (
        "my_run",
        "abc1234567",
        "(2026)",
        "10.1109/JBHI.2020.3018181",
        "10.1016/j.neucom.2021.06.012",
    ):
        assert part in told["sentence"]
    assert re.findall(r"^@(\w+)\{", told["bibtex"], re.M) == ["software", "article", "article"]
    assert r"my\_run" in told["bibtex"] and told["bibtex"].count("{") == told["bibtex"].count("}")


def test_no_run_is_cited_before_it_has_run_or_without_its_file(whole):
    (whole.root / "CITATION.cff").unlink()
    assert cited(whole) is None
    whole.__dict__["notebooks"] = []
    assert cited(whole) is None and "hash of the data" not in facts(whole)


def test_where_exams_lie_is_not_cited(whole):
    whole.profile["cohort"]["exams"] = "/secret/place/exams.csv"
    assert "/secret" not in cited(whole)["sentence"] and "exams.csv" in cited(whole)["sentence"]
    whole.profile["cohort"]["exams"] = None
    whole.profile["cohort"]["phantom"]["background"] = "/secret/archive"
    assert "/secret" not in cited(whole)["sentence"]
    assert "synthetic lesions in archive" in cited(whole)["sentence"]


def test_the_hash_of_the_data_is_that_of_who_read_them(whole):
    """The reading guide runs again after an edit of any text, and reads none."""
    first, last = (notebook.record for notebook in whole.notebooks)
    first["parts"]["exams"], last["parts"]["exams"] = "0123", ""
    last["finished"] = "2099" + last["finished"][4:]
    assert facts(whole)["hash of the data"] == "0123"


def test_paper_b_s_own_seeds_are_stated(whole):
    whole.profile["slice_training"]["seeds"] = [0, 1, 2, 7]
    assert facts(whole)["seeds of paper B"] == "0, 1, 2, 7"
