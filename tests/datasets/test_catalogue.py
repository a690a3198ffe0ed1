"""The catalogue: its numbers against the papers' tables, its cards against the page, its names against the layouts."""

import re

import pytest

from covid_study import paths
from covid_study.cohort import exam_layouts, exams, picture_layouts
from covid_study.datasets import catalogue
from covid_study.datasets.catalogue import cards, find, place
from covid_study.errors import StudyError
from covid_study.scores import published

SETS = [dataset for dataset in catalogue.catalogue().values() if dataset.kind != "own"]


def test_names_are_those_of_the_layouts():
    layouts = {*picture_layouts.LAYOUTS, *exam_layouts.LAYOUTS}
    assert {dataset.name for dataset in SETS} == layouts - {"csv", "by-finding"}


@pytest.mark.parametrize("dataset", SETS, ids=lambda dataset: dataset.name)
def test_every_set_is_described_whole(dataset):
    assert dataset.kind in ("slices", "exams")
    for fact in (
        "what",
        "origin",
        "size",
        "terms",
        "obtain",
        "home",
        "cite",
        "used_for",
        "counts",
        "known_faults",
        "sources",
    ):
        assert getattr(dataset, fact), fact
    assert dataset.home.startswith("https://")
    assert f"{dataset.total:,}" in dataset.what  # the sentence and the numbers agree
    assert set(dataset.counts) <= {"", "train", "validation", "test"}
    findings = {finding for row in dataset.counts.values() for finding in row}
    assert findings <= ({*exams.FINDINGS, "non_covid"} if dataset.kind == "slices" else set(exams.FINDINGS))
    assert "covid" in findings
    assert all(file.url.startswith("https://") for file in dataset.files)


def test_paper_bs_numbers_are_in_it():
    """Section 4.1 and Table 2 of paper B."""
    table = published.table("B.2").query("metric == 'images'").set_index(["column", "row"])["value"]
    diag = find("covid19-diag").counts
    assert {(s, f): n for s, row in diag.items() for f, n in row.items()} == table.to_dict()
    covidx = find("covidx-ct-1")
    assert covidx.total == 104_009
    assert [sum(row[f] for row in covidx.counts.values()) for f in ("covid", "cap", "non_pneumonia")] == [
        21_395,
        36_856,
        45_758,
    ]
    assert find("sars-cov-2").counts[""] == {"covid": 1252, "non_covid": 1229}
    assert find("covid-ct").counts["train"] == {"covid": 191, "non_covid": 234}


def test_the_authors_totals_are_those_of_their_tables():
    assert [find(f"covidx-ct-{v}").total for v in ("2a", "2b", "3a")] == [194_922, 201_103, 425_024]


def test_the_page_is_written_from_the_catalogue():
    page = (paths.root() / "docs" / "data.md").read_text(encoding="utf-8")
    assert page == cards(), "run: covid-study datasets cards > docs/data.md"


def test_links_in_the_page_lead_somewhere():
    page = cards()
    assert set(re.findall(r"\]\(#([\w-]+)\)", page)) == set(re.findall(r'<a id="([\w-]+)">', page))


def test_only_sets_whose_terms_allow_it_can_be_fetched():
    fetched = [dataset for dataset in SETS if dataset.files]
    assert fetched and all(re.match(r"CC BY", dataset.terms) for dataset in fetched)
    assert all(dataset.listed is None for dataset in SETS if not dataset.files)


def test_where_a_set_is_expected(tmp_path, monkeypatch):
    monkeypatch.delenv(catalogue.FOLDER, raising=False)
    dataset = find("stoic")
    assert place(dataset) == paths.root() / "data" / "stoic"
    monkeypatch.setenv(catalogue.FOLDER, str(tmp_path))
    assert place(dataset) == tmp_path / "stoic"
    assert place(dataset, tmp_path / "here") == tmp_path / "here"


def test_a_name_that_is_not_known():
    with pytest.raises(StudyError, match=r"'covid-tc' \(did you mean covid-ct\?\)"):
        find("covid-tc")
