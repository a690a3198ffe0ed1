"""The marks in docstrings and comments, and nothing else, become rows of the table."""

from textwrap import dedent

import pandas as pd
import pytest

from covid_study import paths
from covid_study.report import guide
from covid_study.runtime import closure
from covid_study.scores import published

SOURCE = dedent('''
    """A module (paper A, IV-C).

    Choice: at the head, without a section.
    """

    def f(x):
        """Does it (paper A, IV-B1). Choice: in a sentence,
        over two lines.
        Choice: follows at once (paper B, 3.2).

        Nothing of this.

        Args:
            x: `Choice:` is only named here, and multiple-Choice: too.

        Deviation: with a doctest below.
        >>> f(1)
        """
        return "Choice: no docstring"

    class C:
        """A class."""

        def g(self):
            """Deviation: in a method."""

    def none():
        pass
''')
EXPECTED = """
|Choice|at the head, without a section.|A IV-C
f|Choice|in a sentence, over two lines.|A IV-B1
f|Choice|follows at once (paper B, 3.2).|B 3.2
f|Deviation|with a doctest below.|A IV-B1
C.g|Deviation|in a method.|A IV-C
|Choice|in a room.|"""


def test_each_mark_is_a_row_in_the_order_of_the_lines(tmp_path):
    assert list(guide.gather(tmp_path).columns) == guide.COLUMNS and guide.gather(tmp_path).empty
    (tmp_path / "room").mkdir()
    files = {"m": SOURCE, "a": '"""Nothing marked."""\n', "room/n": '"""Choice: in a room."""'}
    for name, text in files.items():
        (tmp_path / f"{name}.py").write_text(text)
    found = guide.gather(tmp_path)
    assert found["module"].tolist() == ["m"] * 5 + ["room.n"]
    rows = found[["function", "kind", "text", "section"]].agg("|".join, axis=1)
    assert rows.tolist() == EXPECTED.strip("\n").split("\n")


def test_every_mark_of_the_package_is_found():
    found = guide.gather()
    texts = [path.read_text(encoding="utf-8") for path in guide.PACKAGE.rglob("*.py")]
    assert len(found) == sum(len(guide.MARK.findall(text)) for text in texts) > 30
    assert found["text"].str.len().min() > 10
    assert not found["text"].str.contains("Args|>>>").any()


@pytest.mark.parametrize(
    "cited",
    [*("IV-C to E", "IV-E; Tables III and V", "Fig. 2", "V", "V-A", "IV-D, eq. 5, 6 and 7")],
)
def test_sections(cited):
    assert guide.section(f"(paper A, {cited}). More.") == f"A {cited}"
    assert guide.section("paper A is silent") == ""


def test_the_map_names_what_there_is_and_every_published_table():
    table = pd.read_csv(guide.MAP, comment="#", dtype=str, keep_default_na=False)
    assert set(table["notebook"]) - {""} <= {
        path.stem for path in (paths.root() / "notebooks").glob("*.ipynb")
    }
    modules = {m for row in table["modules"] for m in row.split()}
    assert [m for m in modules if not closure.file_of(m)] == []
    assert not table.duplicated(["paper", "item"]).any()
    items = table["paper"] + "." + table["item"].str.removeprefix("Table ")
    assert set(items) >= set(published.names()) | {f"B.Fig. {i}" for i in range(1, 8)}
    assert set(items) >= {"B.Algorithm 1", *(f"B.Section 3.{i}" for i in range(1, 5))}


def test_a_notebook_that_is_not_there_counts_as_not_yet(tmp_path):
    (tmp_path / "03_ranking.ipynb").touch()
    table = guide.paper_map(tmp_path)
    assert table.loc[("A", "Fig. 2"), "notebook"] == "03_ranking"
    assert table.loc[("A", "Table III"), ["notebook", "modules"]].tolist() == [guide.NOT_YET, ""]
