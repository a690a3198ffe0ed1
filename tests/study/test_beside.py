"""What lies beside the index: the same bytes from the same run, and what a notebook that is stale made is not in it."""

import csv
import io
import zipfile

import pandas as pd

from covid_study.study import beside
from covid_study.study.run_pages import FILES, write_index


def test_the_files_hold_what_the_run_said(whole):
    beside.write(whole)
    assert {f for f in FILES if not (whole.reports / f).is_file()} == set()
    lines = list(csv.DictReader((whole.reports / "scoreboard.csv").open()))
    assert [(line["key"], line["verdict"]) for line in lines] == [
        ("A1", "holds"),
        ("A12a", "holds"),
        ("B1", "open"),
    ]
    assert float(lines[0]["low"]) == 0.01 and lines[2]["difference"] == ""
    assert (whole.reports / "scoreboard.md").read_text().count("\n| ") == len(lines) + 2
    exams = pd.read_csv(whole.reports / "cohort.csv")
    assert list(exams.columns) == beside.COHORT and exams["exam_id"].is_unique
    assert exams.groupby("patient_id")["split"].nunique().max() == 1


def test_the_zip_holds_every_table_and_notebook_and_is_the_same_each_time(whole):
    beside.write(whole)
    first = (whole.reports / "results.zip").read_bytes()
    archive = zipfile.ZipFile(io.BytesIO(first))
    assert set(archive.namelist()) == {
        "scoreboard.csv", "cohort.csv", "tables/A.III.csv", "tables/A.III-claims.csv",
        "notebooks/01_preprocessing.ipynb", "notebooks/04_ranking_ablation.ipynb",
    }  # fmt: skip
    kept = pd.read_csv(archive.open("tables/A.III.csv"))
    pd.testing.assert_series_equal(
        kept["mean"], pd.read_parquet(whole.build / "results/A.III.parquet")["mean"]
    )
    beside.write(whole)
    assert (whole.reports / "results.zip").read_bytes() == first


def test_what_is_stale_is_left_out(whole):
    beside.write(whole)
    for notebook in whole.notebooks:
        notebook.page.unlink()
    beside.write(whole)
    assert zipfile.ZipFile(whole.reports / "results.zip").namelist() == ["scoreboard.csv"]
    assert not (whole.reports / "cohort.csv").exists()


def test_the_index_links_only_to_files_that_are_there(whole):
    write_index(whole)
    index = whole.reports / "index.html"
    assert "results.zip" not in index.read_text()
    beside.write(whole)
    write_index(whole)
    text = index.read_text()
    assert all(f'href="{name}"' in text for name in FILES)
    assert "half &lt;is&gt; as good" in text and "half <is> as good" not in text
    write_index(whole, running=whole.notebooks[:1])
    assert "results.zip" not in index.read_text()
