import base64

import pandas as pd
import pytest
from matplotlib.figure import Figure
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from offline import outside_references
from rendered import rendered

from covid_study.report import say
from covid_study.study import dependencies, pages


def output(**data):
    return new_output("display_data", data=data | {"text/plain": ""})


def test_read_finds_the_last_of_each_kind_and_a_caution_follows_the_headline():
    old, new, caution = (
        output(**{kind: {"text": text}})
        for kind, text in ((say.HEADLINE, "old"), (say.HEADLINE, "new"), (say.CAUTION, "Too few."))
    )
    gate = output(**{say.CAUTION: {"text": "It failed."}})
    for outputs, text in (
        ([old, new], "new"),
        ([caution, old, new, gate], "new Too few. It failed."),
        ([caution], None),
    ):
        warned = " ".join(o.data[say.CAUTION]["text"] for o in outputs if say.CAUTION in o.data)
        said = say.read(new_notebook(cells=[new_markdown_cell("#"), new_code_cell("x", outputs=outputs)]))
        assert said == {
            "headline": text and {"text": text},
            "cohort": None,
            "left_out": None,
            "claims": [],
            "warned": warned,
        }


@pytest.mark.parametrize("training, positives, told", [
    (30, 10, ""), (29, 10, "29 exams"), (30, 9, "9 COVID-19 exams"), (0, 0, "0 exams")
])  # fmt: skip
def test_a_small_cohort_is_told_from_one_that_is_large_enough(training, positives, told, capsys):
    rows = [("cap", "train")] * training + [("covid", "test")] * positives + [("cap", "test")] * 90
    say.caution(pd.DataFrame(rows, columns=["finding", "split"]))
    text = capsys.readouterr().out
    assert told in text and bool(text) == bool(told)


def test_thumbnail_is_a_small_png():
    figure = Figure(figsize=(12, 3))
    figure.subplots().plot([0, 1])
    data = base64.b64decode(say._thumbnail(figure))
    assert data.startswith(b"\x89PNG") and len(data) < 100_000
    assert 300 <= int.from_bytes(data[16:20], "big") <= say.THUMBNAIL_WIDTH * 1.1


def test_left_out_and_the_cohort_are_told(capsys):
    say.left_out(pd.DataFrame([{"name": "P1", "problem": "two series in a folder", "remedy": "keep one"}]))
    said = capsys.readouterr().out
    assert all(word in said for word in ("P1", "two series in a folder", "keep one"))
    rows = [("a", "p", "covid", "train"), ("b", "p", "covid", "train"), ("c", "q", "cap", "test")]
    say.cohort(pd.DataFrame(rows, columns=["exam_id", "patient_id", "finding", "split"]))
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[:2] == ["finding train test", "covid 2 exams, 1 patient 0 exams, 0 patients"]


def test_equations_become_mathml():
    drawn = [
        "$x_k$",
        "$$\\frac{a}{b}$$",
        "\\begin{align} a &= b \\\\ c &= d \\end{align}",
        "\\begin{equation} a \\end{equation}",
    ]
    text = rendered(*map(new_markdown_cell, [*drawn, "costs 5 dollars"]))
    assert text.count("<math ") == len(drawn) and "mathjax" not in text.lower()
    latex = new_output("display_data", data={"text/latex": "$$x^2$$"})
    assert "<math " in rendered(new_code_cell("x", outputs=[latex]))
    assert pages.mathml(r"\left( a < b") == r"<code>\left( a &lt; b</code>"  # as it is written


def test_pages_need_nothing_from_outside_and_link_onwards():
    widget = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "w"}
    script = {"application/javascript": "require(['https://x'])", "text/plain": "s"}
    outputs = [new_output("display_data", data=d) for d in (widget, script)]
    cells = new_markdown_cell("[paper](https://doi.org/1)"), new_code_cell("x = 1", outputs=outputs)
    text = rendered(*cells, next=("02_b", "B & C"))
    assert outside_references(text) == [] and "require([" not in text
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
    assert outside_references(page) == ["https://cdn/x.js", "a.css", "c.png", "b.css"]


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
