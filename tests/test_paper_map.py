"""The map names only notebooks and modules that there are, and every table of the papers that is kept as data."""

import pandas as pd

from covid_study import paper_map, params, published


def test_the_map_names_what_there_is():
    table = pd.read_csv(paper_map.FILE, comment="#", dtype=str, keep_default_na=False)
    assert set(table["notebook"]) - {""} <= set(params.NOTEBOOKS)
    modules = {m for row in table["modules"] for m in row.split()}
    assert all((paper_map.FILE.parent.parent / f"{m}.py").is_file() for m in modules)
    assert not table.duplicated(["paper", "item"]).any()


def test_every_published_table_is_on_the_map():
    items = {f"{paper}.{item.removeprefix('Table ')}" for paper, item in paper_map.paper_map().index}
    assert set(published.names()) <= items


def test_a_notebook_that_is_not_there_counts_as_not_yet(tmp_path):
    (tmp_path / "03_ranking.ipynb").touch()
    table = paper_map.paper_map(tmp_path)
    assert table.loc[("A", "Fig. 2"), "notebook"] == "03_ranking"
    assert table.loc[("A", "Table III"), ["notebook", "modules"]].tolist() == ["not yet", ""]
    assert "Table III" in paper_map.sentence(table) and "Fig. 2" not in paper_map.sentence(table)
