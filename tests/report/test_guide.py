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

    X = 1  # Choice: beside code; (paper A, Table II).
    # An ordinary comment.
    # Deviation: over
    # two lines.

    # Choice: another paragraph.

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
        # Choice: inside.
        return "Choice: no docstring"

    class C:
        """A class."""

        def g(self):
            """Deviation: in a method."""

    def none():
        pass
''')
EXPECTED = [
    ("", "Choice", "at the head, without a section.", "A IV-C"),
    ("", "Choice", "beside code; (paper A, Table II).", "A Table II"),
    ("", "Deviation", "over two lines.", "A IV-C"),
    ("", "Choice", "another paragraph.", "A IV-C"),
    ("f", "Choice", "in a sentence, over two lines.", "A IV-B1"),
    ("f", "Choice", "follows at once (paper B, 3.2).", "B 3.2"),
    ("f", "Deviation", "with a doctest below.", "A IV-B1"),
    ("f", "Choice", "inside.", "A IV-B1"),
    ("C.g", "Deviation", "in a method.", "A IV-C"),
]


def test_each_mark_is_a_row_in_the_order_of_the_lines(tmp_path):
    (tmp_path / "m.py").write_text(SOURCE)
    (tmp_path / "a.py").write_text('"""Nothing marked."""\n')
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "n.py").write_text("# Choice: in a room.\n")
    found = guide.gather(tmp_path)
    assert list(found.columns) == guide.COLUMNS
    assert found["module"].iloc[-1] == "room.n" and set(found["module"][:-1]) == {"m"}
    rows = found[["function", "kind", "text", "section"]].itertuples(index=False, name=None)
    assert list(rows)[:-1] == EXPECTED


def test_no_marks_make_an_empty_table(tmp_path):
    assert list(guide.gather(tmp_path).columns) == guide.COLUMNS
    assert guide.gather(tmp_path).empty


def test_every_mark_of_the_package_is_found():
    found = guide.gather()
    marked = 0
    for path in guide.PACKAGE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        marked += len(guide.MARK.findall(text))
    assert len(found) == marked > 30
    assert found["text"].str.len().min() > 10
    assert "Args" not in " ".join(found["text"]) and ">>>" not in " ".join(found["text"])


@pytest.mark.parametrize(
    "text, expected",
    [
        ("(paper A, IV-C to E)", "A IV-C to E"),
        ("(paper A, IV-E; Tables III and V)", "A IV-E; Tables III and V"),
        ("(paper A, Fig. 2)", "A Fig. 2"),
        ("paper A, V).", "A V"),
        ("(Paper A, V-A.)", "A V-A"),
        ("(paper A, IV-D, eq. 5, 6 and 7)", "A IV-D, eq. 5, 6 and 7"),
        ("paper A is silent", ""),
    ],
)
def test_sections(text, expected):
    assert guide.section(text) == expected


def test_the_map_names_what_there_is_and_every_published_table():
    table = pd.read_csv(guide.MAP, comment="#", dtype=str, keep_default_na=False)
    assert set(table["notebook"]) - {""} <= {
        path.stem for path in (paths.root() / "notebooks").glob("*.ipynb")
    }
    modules = {m for row in table["modules"] for m in row.split()}
    assert [m for m in modules if not closure.file_of(m)] == []
    assert not table.duplicated(["paper", "item"]).any()
    items = {paper: set(rows) for paper, rows in table.groupby("paper")["item"]}
    assert {f"{paper}.{item.removeprefix('Table ')}" for paper in items for item in items[paper]} >= set(
        published.names()
    )
    assert items["B"] >= {f"Fig. {i}" for i in range(1, 8)} | {
        "Algorithm 1",
        *(f"Section 3.{i}" for i in range(1, 5)),
    }


def test_a_notebook_that_is_not_there_counts_as_not_yet(tmp_path):
    (tmp_path / "03_ranking.ipynb").touch()
    table = guide.paper_map(tmp_path)
    assert table.loc[("A", "Fig. 2"), "notebook"] == "03_ranking"
    assert table.loc[("A", "Table III"), ["notebook", "modules"]].tolist() == [guide.NOT_YET, ""]
