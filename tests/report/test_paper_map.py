"""The map names only notebooks and modules that there are, and every table of the papers that is kept as data."""

import pandas as pd

from covid_study.params import profiles
from covid_study.report import paper_map
from covid_study.runtime import closure
from covid_study.scores import published


def test_the_map_names_what_there_is():
    table = pd.read_csv(paper_map.FILE, comment="#", dtype=str, keep_default_na=False)
    assert set(table["notebook"]) - {""} <= set(profiles.NOTEBOOKS)
    modules = {m for row in table["modules"] for m in row.split()}
    assert [m for m in modules if not closure.file_of(m)] == []
    assert not table.duplicated(["paper", "item"]).any()


def test_every_published_table_is_on_the_map():
    items = {f"{paper}.{item.removeprefix('Table ')}" for paper, item in paper_map.paper_map().index}
    assert set(published.names()) <= items


def test_a_notebook_that_is_not_there_counts_as_not_yet(tmp_path):
    (tmp_path / "03_ranking.ipynb").touch()
    table = paper_map.paper_map(tmp_path)
    assert table.loc[("A", "Fig. 2"), "notebook"] == "03_ranking"
    assert table.loc[("A", "Table III"), ["notebook", "modules"]].tolist() == ["not yet", ""]
    said = paper_map.sentence(table.loc[["A"]])
    assert "Table III" in said and "Fig. 2" not in said


def test_both_papers_are_on_the_map():
    table = pd.read_csv(paper_map.FILE, comment="#", dtype=str, keep_default_na=False)
    of = {paper: set(items) for paper, items in table.groupby("paper")["item"]}
    assert {f"Fig. {i}" for i in range(1, 8)} | {f"Table {i}" for i in range(2, 10)} <= of["B"]
    assert {"Algorithm 1", *(f"Section 3.{i}" for i in range(1, 5))} <= of["B"]


def test_each_paper_has_its_sentence():
    index = [("A", "Table I"), ("B", "Table 3"), ("B", "Table 7"), ("B", "Fig. 7")]
    there = ["01_preprocessing", "09_deep_supervision", paper_map.NOT_YET, paper_map.NOT_YET]
    assert paper_map.sentence(pd.DataFrame({"notebook": there}, index=index)) == (
        "1 of 1 tables, figures and sections of paper A are in place. "
        "1 of 3 tables, figures and sections of paper B are in place; not yet: Table 7, Fig. 7."
    )
