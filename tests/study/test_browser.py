"""A page and the index in a browser: what can be clicked does what it says, on a desk, on a phone, in the dark, on paper."""

import csv
import io

import matplotlib
import pandas as pd
import pytest
from browser import dead_links, faults, opened
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from covid_study.figures import intervals, output
from covid_study.report import show
from covid_study.study import pages

PAGE = {"title": "T", "subtitle": "s", "headline": "F1 is 0.5.", "previous": None, "next": None}
PAGE |= {"stem": "04_t", "commit": "abc", "notebook": None}
SCORES = pd.DataFrame({"label": ["b", "a", "c"], "mean": [0.5, 0.25, 0.75], "low": 0.2, "high": 0.9})


def figure_output():
    """What a figure leaves in a notebook."""
    with matplotlib.rc_context({"svg.hashsalt": "x"}):
        drawn = intervals.points(SCORES, title="Scores")
        return new_output("display_data", data={"image/png": "iVBORw0KGgo=", **output.bundle(drawn)})


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report of one page: a table with lines that belong together, a plain one, a figure, and what is folded."""
    levels = pd.MultiIndex.from_product([["ten", "nine", "none"], ["here", "paper"]])
    joined = pd.DataFrame({"F1, %": ["10.5", "1.0", "9.5 ±1", "2.0", "–", "3.0"]}, index=levels)
    plain = pd.DataFrame({"time": ["1:10", "0:59", "10:00"], "word": ["b, c", "a", 'say "d"']})
    tables = [show.table(joined, "Joined"), show.table(plain, "Plain", index=False)]
    wide = show.table(pd.DataFrame({f"column {i}": ["a long text in a cell"] for i in range(30)}), "Wide")
    outputs = [new_output("display_data", data={"text/html": table.to_html()}) for table in [*tables, wide]]
    cells = [
        new_markdown_cell("# T\n\nFirst words: $x^2$.\n\n$$" + "x + " * 40 + "y$$"),
        new_markdown_cell("## Tables"),
        new_code_cell("x = [i for i in range(3) if i is not None]  # why\n" + "y" * 300, outputs=outputs),
        new_markdown_cell("## Figures\n\nWords.\n\n## Figures\n\nAgain."),
        new_code_cell("draw()", outputs=[figure_output(), new_output("stream", text="said\n")]),
        new_markdown_cell("## For the referee: power\n\nDetail."),
        new_markdown_cell("### Deeper"),
    ]
    cells += [new_markdown_cell(f"## Section {i}\n\n" + "Words. " * 300) for i in range(4)]
    folder = tmp_path_factory.mktemp("report")
    pages.write(folder / "index.html", "placeholder.html.j2", title="All notebooks")
    (folder / "04_t.html").write_text(pages.render(new_notebook(cells=cells), PAGE), encoding="utf-8")
    pages.mark(folder / "04_t.html", "Out of date.")
    return folder / "04_t.html"


@pytest.fixture
def page(browser, report):
    with opened(browser, report) as (page, wrong):
        yield page
        assert wrong == []


def column(page, number, table):
    """What stands in a column, counted from the last, line by line."""
    return page.evaluate(
        "([table, number]) => [...document.querySelectorAll('main table')[table].tBodies[0].rows]"
        ".map(row => row.cells[row.cells.length - number].textContent.trim())",
        [table, number],
    )


def saved(page, link):
    with page.expect_download() as download:
        link.click()
    return download.value.suggested_filename, open(download.value.path(), encoding="utf-8").read()


def test_a_click_on_a_heading_sorts_and_lines_that_belong_together_stay_so(page):
    heading = page.locator("main table").nth(0).get_by_role("button", name="F1, %")
    came = ["10.5", "1.0", "9.5 ±1", "2.0", "–", "3.0"]
    assert column(page, 1, 0) == came
    heading.click()
    assert column(page, 1, 0) == ["9.5 ±1", "2.0", "10.5", "1.0", "–", "3.0"]  # 9.5 before 10.5, nothing last
    heading.focus()
    page.keyboard.press("Enter")
    assert column(page, 1, 0) == ["10.5", "1.0", "9.5 ±1", "2.0", "–", "3.0"]
    assert page.locator("th[aria-sort=descending]").count() == 1
    heading.click()
    assert column(page, 1, 0) == came and page.locator("th[aria-sort]").count() == 0


def test_times_and_words_are_sorted_as_what_they_are(page):
    for heading, order in (("time", ["0:59", "1:10", "10:00"]), ("word", ["0:59", "1:10", "10:00"])):
        page.locator("main table").nth(1).get_by_role("button", name=heading).click()
        assert column(page, 2, 1) == order


def test_a_table_is_saved_as_it_stands_with_spanning_cells_repeated(page):
    links = page.get_by_role("link", name="CSV of this table")
    name, text = saved(page, links.nth(0))
    assert name == "04_t-table-1.csv"
    assert list(csv.reader(io.StringIO(text)))[1:3] == [["ten", "here", "10.5"], ["ten", "paper", "1.0"]]
    lines = list(csv.reader(io.StringIO(saved(page, links.nth(1))[1])))
    assert lines[0] == ["time", "word"] and lines[3] == ["10:00", 'say "d"'] and lines[1] == ["1:10", "b, c"]


def test_a_figure_says_where_it_is_from_and_gives_its_drawing_and_its_data(page):
    figure = page.locator("figure")
    source = figure.locator("figcaption").inner_text()
    assert all(word in source for word in ("04_t.ipynb", "figures.intervals.points", "commit abc"))
    assert "Scores" in figure.locator("img").get_attribute("alt")
    name, drawing = saved(page, figure.locator("a.picture"))
    assert name == "04_t-figure-1.svg" and "<svg" in drawing
    kept = pd.read_csv(io.StringIO(saved(page, figure.locator("a[href^='data:text/csv']"))[1]))
    pd.testing.assert_frame_equal(kept, SCORES)


def test_the_contents_follow_the_reader_and_a_link_opens_what_is_folded(page):
    bar = page.locator(".sections")
    assert bar.locator("a").count() == 9  # two of them are called Figures
    page.get_by_role("heading", name="Section 1").evaluate("part => part.scrollIntoView()")
    page.wait_for_function("document.querySelector('.sections [aria-current]')?.textContent == 'Section 1'")
    assert bar.bounding_box()["y"] >= 0
    assert not page.get_by_role("heading", name="Deeper").is_visible()
    bar.get_by_role("link", name="Deeper").click()
    page.get_by_role("heading", name="Deeper").wait_for()


@pytest.mark.parametrize("scheme, width", [("light", 1200), ("dark", 390)])
def test_nothing_serious_stands_in_anybodys_way(browser, report, scheme, width):
    with opened(browser, report, width, color_scheme=scheme) as (page, wrong):
        page.evaluate(  # what was opened tells by an event that it now scrolls
            "Promise.all([...document.querySelectorAll('details:not([open])')].map(part => new Promise(done => {"
            " part.addEventListener('toggle', done, {once: true}); part.open = true; })))"
        )
        assert faults(page) == [] and wrong == []
        ids = page.eval_on_selector_all("[id]", "parts => parts.map(part => part.id)")
        assert len(ids) == len(set(ids)) and dead_links(page, report, {report.resolve(): set(ids)}) == []


def test_a_phone_scrolls_tables_but_not_the_page(browser, report):
    with opened(browser, report, width=390) as (page, _):
        page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true; })")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.locator(".headline").bounding_box()["y"] < 844


def test_print_opens_what_is_folded_and_leaves_out_what_is_clicked(page):
    page.emulate_media(media="print")
    assert not page.locator(".sections").is_visible() and not page.locator(".save").first.is_visible()
    assert page.locator("main table").nth(0).get_by_text("F1, %").is_visible()
    assert page.pdf()[:4] == b"%PDF"
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.get_by_role("heading", name="Deeper").is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert not page.get_by_role("heading", name="Deeper").is_visible()
