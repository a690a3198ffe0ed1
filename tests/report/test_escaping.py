"""What comes from file names, tags and tables is text wherever it is shown: in tables, on the index, in pages, in figures."""

from html import escape

import numpy as np
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from covid_study.figures import cohort, intervals, pictures, tallies
from covid_study.report import beside_paper, say, show
from covid_study.study import pages, scoreboard
from covid_study.training.time_left import plan_table

PLANTED = "<script>alert('1')</script> & \"q\" $x_1$ $\\frac{$"
DOLLARS = "$x_1$ $\\frac{$"
RAW = ("<script>alert", '& "q"')  # as HTML: none of it may stand in a page so
CLAIM = dict.fromkeys(("key", "table", "text", "place", "needs", "warned"), PLANTED)
CLAIM |= {"score": "f1", "kind": "difference", "verdict": "open", "adjusted": "open", "seeds": 3, "fewest": 9}
CLAIM |= {"difference": 0.1, "low": 0.0, "high": 0.2, "published": 0.1}


def shown() -> dict[str, str]:
    """Every table, with what is planted in all the places where a string from outside can be."""
    frame = pd.DataFrame({PLANTED: [PLANTED, 1.0]}, index=pd.Index([PLANTED, "b"], name=PLANTED))
    levels = frame.set_index([[1, 2], [PLANTED, ""]]).rename_axis(index=[PLANTED, None], columns=PLANTED)
    ours = pd.DataFrame(
        {"row": [PLANTED], "column": PLANTED, "metric": "f1", "mean": [0.5], "label": PLANTED}
    )
    plan = pd.DataFrame({"state": "to compute", "seconds": 1.0, "exams_seen": 1}, index=[PLANTED])
    return {
        "table": show.table(frame, PLANTED, [PLANTED]).to_html(),
        "levels": show.table(levels, formatter={PLANTED: str}).to_html(),
        "claims": show.claims_table(pd.DataFrame([CLAIM]), PLANTED).to_html(),
        "beside": beside_paper.side_by_side(ours, None, title=PLANTED, notes=[PLANTED]).to_html(),
        "plan": plan_table(plan).data,
    }


@pytest.fixture
def said(monkeypatch) -> list[dict]:
    """What `say` leaves in the outputs of a notebook."""
    outputs = []
    monkeypatch.setattr(say, "_show", lambda kind, data, html, text: outputs.append(
        {kind: data, "text/html": html, "text/plain": text}))  # fmt: skip
    exams = pd.DataFrame({"exam_id": [PLANTED], "patient_id": PLANTED, "finding": PLANTED, "split": "test"})
    say.headline(PLANTED)
    say.cohort(exams)
    say.left_out(pd.DataFrame([{"name": PLANTED, "problem": PLANTED, "remedy": PLANTED}]))
    say.notes([PLANTED])
    return outputs


def test_tables_hold_text(said):
    for name, html in (shown() | {str(list(output)[0]): output["text/html"] for output in said}).items():
        assert not any(raw in html for raw in RAW), name
        assert "&lt;script&gt;" in html, name


def test_pages_and_the_index_hold_text(said, tmp_path):
    outputs = [new_output("display_data", data=data) for data in said]
    outputs += [new_output("display_data", data={"text/html": html}) for html in shown().values()]
    outputs += [
        new_output("stream", text=PLANTED),
        new_output("error", ename="E", evalue=PLANTED, traceback=[PLANTED]),
    ]
    notebook = new_notebook(cells=[new_markdown_cell("# T"), new_code_cell("x", outputs=outputs)])
    told = say.read(notebook)
    page = {
        "previous": ("01", PLANTED),
        "next": None,
        **dict.fromkeys(("title", "subtitle", "headline"), PLANTED),
    }
    pages.write(tmp_path / "placeholder.html", "placeholder.html.j2", title=PLANTED)
    of_card = "stem title status label took device finished why error headline"
    card = dict.fromkeys(of_card.split(), PLANTED)
    claim = {
        **CLAIM,
        "decided": False,
        "auc_said": PLANTED,
        "by_auc": PLANTED,
        "auc_here": PLANTED,
        **dict.fromkeys(("by", "here", "theirs", "between", "paper", "notebook", "page"), PLANTED),
    }
    claim |= {"drawing": scoreboard.drawing(claim), "references": {PLANTED: PLANTED}}
    pages.write(
        tmp_path / "index.html", "index.html.j2", claims=[claim],
        run={"name": PLANTED, "exams": PLANTED, "images": PLANTED}, summary=PLANTED,
        facts={PLANTED: PLANTED}, beside={PLANTED: PLANTED}, again=[card],
        cite={"sentence": PLANTED, "bibtex": PLANTED},
        story=[{"about": PLANTED, "claims": [claim | {"number": PLANTED}]}],
        notebooks=[card | {"page": "01.html", "figure": None}],
        cohort=told["cohort"], left_out=told["left_out"],
    )  # fmt: skip
    texts = [pages.render(notebook, page), *(file.read_text() for file in tmp_path.iterdir())]
    assert len(texts) == 3 and all(escape("<script>") in text for text in texts)
    assert not [raw for raw in RAW for text in texts if raw in text]


def test_figures_draw_a_dollar_as_it_is():
    image, one = np.zeros((4, 4, 4), np.uint8), {"mean": [0.5], "low": 0.4, "high": 0.6}
    tables = {"split": ["test"], "finding": DOLLARS, "patients": 1, "slices": 1}
    figures = [
        pictures.exams([(DOLLARS, image, (1.0, 1.0, 1.0))], title=DOLLARS),
        pictures.grid({DOLLARS: [pictures.Tile(image[0], DOLLARS)]}, keys={DOLLARS: "red"}),
        intervals.points(pd.DataFrame({"label": [DOLLARS], "of": DOLLARS} | one), panel="of", axis=DOLLARS),
        tallies.confusions({DOLLARS: pd.DataFrame([[1]], [DOLLARS], [DOLLARS])}),
        cohort.slices({DOLLARS: pd.DataFrame(tables)}),
    ]
    for figure in figures:
        texts = [
            text
            for text in figure.findobj(lambda part: hasattr(part, "get_parse_math"))
            if "$" in text.get_text()
        ]
        assert texts and not any(text.get_parse_math() for text in texts)
