"""A page of a notebook: its contents, its figures, the executed notebook beside it."""

import re

from nbformat.v4 import new_code_cell, new_markdown_cell, new_output
from rendered import rendered

from covid_study.report import say
from covid_study.study import pages


def contents(page):
    return re.findall(r'<li(?: class=(deeper))?><a href="#([^"]+)">(.*?)</a>', page)


def test_contents_lead_to_every_section_once_and_into_what_is_folded():
    texts = [
        "# T\n\nFirst.",
        "## Same",
        "## Same\n\n### 95 % & more",
        "## For the referee: power",
        "### Deep",
    ]
    page = rendered(*map(new_markdown_cell, texts))
    found = contents(page)
    assert [deeper for deeper, _, _ in found] == ["", "", "deeper", "", "deeper"]
    assert [text for _, _, text in found][2:4] == ["95 % &amp; more", "For the referee: power"]
    ids = re.findall(r' id="([^"]+)"', page)
    places = [place for _, place, _ in found]
    assert len(ids) == len(set(ids)) and set(places) < set(ids)
    assert places == ["Same", "Same-2", "95-more", "For-the-referee:-power", "Deep"]
    assert contents(rendered(new_markdown_cell("# T"), new_markdown_cell("## Alone"))) == []


def figure(**told):
    data = {"image/png": "iVBORw0KGgo=", **({say.FIGURE: told} if told else {})}
    return new_code_cell("draw()", outputs=[new_output("display_data", data=data)])


def test_a_figure_has_a_caption_words_a_source_and_its_data():
    page = rendered(
        new_markdown_cell("# T"),
        figure(),
        new_markdown_cell("## Table <III>\n\nWords."),
        figure(alt='A "score"', by="figures.curves.lines", svg="<svg/>", csv="a,b\n<1>,é\n"),
        stem="04_t",
        commit="abc",
    )
    first, second = re.findall(r"<figure>.*?</figure>", page, re.DOTALL)
    assert 'alt="T"' in first and "image/png;base64" in first and "text/csv" not in first
    assert "Figure 2. Table &lt;III&gt;" in second and """alt='A "score"'""" in second
    assert "04_t.ipynb · figures.curves.lines · commit abc" in second and "svg+xml;base64,PHN2Zy8+" in second
    assert "text/csv;charset=utf-8,a,b%0A%3C1%3E,%C3%A9%0A" in second


def test_the_executed_notebook_lies_beside_its_page(tmp_path):
    executed = tmp_path / "build" / "01 a.failed.ipynb"
    executed.parent.mkdir()
    for text in ("{}", "{ }"):  # the second time in place of the first
        executed.write_text(text)
        link = pages.keep_notebook(executed, tmp_path / "reports" / "01 a.html")
        assert link == "notebooks/01%20a.ipynb"
        assert (tmp_path / "reports" / "notebooks" / "01 a.ipynb").read_text() == text
    assert f'href="{link}"' in rendered(new_markdown_cell("# T"), notebook=link)
