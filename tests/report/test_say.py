import pandas as pd
import pytest
from matplotlib.figure import Figure
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from covid_study.report import say
from covid_study.study import dependencies, pages

PAGE = {"title": "T", "subtitle": "s", "previous": None, "next": ("02_b", "B & C")}


def test_read_finds_the_last_of_each_kind():
    def output(kind, value):
        return new_output("display_data", data={kind: value, "text/plain": ""})

    cell = new_code_cell(
        "x", outputs=[output(say.HEADLINE, {"text": "old"}), output(say.HEADLINE, {"text": "new"})]
    )
    said = say.read(new_notebook(cells=[new_markdown_cell("#"), cell]))
    assert said == {"headline": {"text": "new"}, "cohort": None, "left_out": None}


def test_a_small_cohort_is_told_from_one_that_is_large_enough(capsys):
    def table(training, positives):
        rows = [("cap", "train")] * training + [("covid", "test")] * positives + [("cap", "test")] * 90
        return pd.DataFrame(rows, columns=["finding", "split"])

    say.caution(table(30, 10))
    assert capsys.readouterr().out == ""
    for training, positives, said in ((29, 10, "29 exams"), (30, 9, "9 COVID-19 exams"), (0, 0, "0 exams")):
        say.caution(table(training, positives))
        text = capsys.readouterr().out
        assert said in text and "proves nothing about accuracy" in text


def test_a_caution_follows_the_headline_to_the_index():
    said = {say.CAUTION: {"text": "Too few."}}, {say.HEADLINE: {"text": "It works.", "figure": None}}
    cells = [new_code_cell("x", outputs=[new_output("display_data", data=d) for d in said])]
    assert say.read(new_notebook(cells=cells)) == {
        "headline": {"text": "It works. Too few.", "figure": None}, "cohort": None, "left_out": None}  # fmt: skip
    assert say.read(new_notebook(cells=[new_code_cell("x", outputs=cells[0].outputs[:1])])) == {
        "headline": None, "cohort": None, "left_out": None}  # fmt: skip


def test_thumbnail_is_a_small_png():
    import base64

    figure = Figure(figsize=(12, 3))
    figure.subplots().plot([0, 1])
    data = base64.b64decode(say._thumbnail(figure))
    assert data.startswith(b"\x89PNG") and len(data) < 100_000
    assert 300 <= int.from_bytes(data[16:20], "big") <= say.THUMBNAIL_WIDTH * 1.1


def test_left_out_names_each_exam(capsys):
    say.left_out(pd.DataFrame([{"name": "P1", "problem": "two series in a folder", "remedy": "keep one"}]))
    said = capsys.readouterr().out
    assert all(word in said for word in ("P1", "two series in a folder", "keep one"))


def test_cohort_counts_exams_and_patients_by_split(capsys):
    rows = [("a", "p", "covid", "train"), ("b", "p", "covid", "train"), ("c", "q", "cap", "test")]
    say.cohort(pd.DataFrame(rows, columns=["exam_id", "patient_id", "finding", "split"]))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["finding", "train", "test"]
    assert " ".join(lines[1]) == "covid 2 exams, 1 patient 0 exams, 0 patients"


def rendered(*cells):
    return pages.render(new_notebook(cells=list(cells)), PAGE)


@pytest.mark.parametrize(
    "source, expected",
    [
        ("$x_k$", 1),
        ("$$\\frac{a}{b}$$", 1),
        ("\\begin{align} a &= b \\\\ c &= d \\end{align}", 1),
        ("\\begin{equation} a \\end{equation}", 1),
        ("costs 5 dollars", 0),
    ],
)
def test_equations_become_mathml(source, expected):
    text = rendered(new_markdown_cell(source))
    assert text.count("<math ") == expected and "mathjax" not in text.lower()


def test_an_equation_that_cannot_be_converted_is_shown_as_it_is_written():
    assert pages.mathml(r"\left( a < b") == r"<code>\left( a &lt; b</code>"


def test_latex_outputs_are_drawn_too():
    cell = new_code_cell("x", outputs=[new_output("display_data", data={"text/latex": "$$x^2$$"})])
    assert "<math " in rendered(cell)


def test_pages_need_nothing_from_outside_and_link_onwards():
    widget = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "w"}
    script = {"application/javascript": "require(['https://x'])", "text/plain": "s"}
    outputs = [new_output("display_data", data=d) for d in (widget, script)]
    text = rendered(new_markdown_cell("[paper](https://doi.org/1)"), new_code_cell("x = 1", outputs=outputs))
    assert pages.outside_references(text) == [] and "require([" not in text
    assert '<a href="02_b.html">B &amp; C →</a>' in text and 'href="index.html"' in text


def test_printed_lines_are_joined_and_defaults_hidden_behind_what_was_injected():
    cells = [
        new_code_cell("a = 'default'", metadata={"tags": ["parameters"]}),
        new_code_cell("a = 'given'", metadata={"tags": ["injected-parameters"]}),
        new_code_cell("x", outputs=[new_output("stream", text="one\n"), new_output("stream", text="two\n")]),
    ]
    text = rendered(*cells)
    assert text.count('<pre class="printed">') == 1 and "given" in text and "default'" not in text


def test_outside_references_are_found():
    page = "<script src='https://cdn/x.js'></script><link href='a.css'>"
    page += "<style>@import 'b.css'; p {background: url(c.png)}</style>"
    assert pages.outside_references(page) == ["https://cdn/x.js", "a.css", "c.png", "b.css"]


def test_marks_come_and_go(tmp_path):
    page = tmp_path / "p.html"
    page.write_text("<body><!--state--><!--/state-->text</body>")
    pages.mark(page, "old & wrong")
    assert "old &amp; wrong" in page.read_text()
    pages.mark(page)
    assert page.read_text() == "<body><!--state--><!--/state-->text</body>"


def test_facts_say_where_and_with_what(tmp_path):
    facts = dependencies.facts(tmp_path)
    assert facts["commit"] == "unknown" and "core" in facts["processor"] and facts["torch"].startswith("2.")
