"""Every item of both guidelines has an answer, and every link leads to a heading that there is."""

import json
import re

import pytest
from conftest import ROOT

from covid_study.study import checklist, run_pages
from covid_study.study.contents import place

SIZES = {"CLAIM 2024": 44, "TRIPOD+AI": 52}  # items and their parts


def items(run):
    return [item for one in checklist.answered(run) for part in one["parts"].values() for item in part]


def headings(stem):
    """The anchors of a notebook's page."""
    cells = json.loads((ROOT / "notebooks" / f"{stem}.ipynb").read_text())["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    return {place(line) for line in re.findall(r"^#+ (.*)$", text, re.M)}


def test_every_item_of_the_guidelines_is_there_once(whole):
    for one in checklist.answered(whole):
        numbers = [str(item["item"]) for part in one["parts"].values() for item in part]
        assert len(set(numbers)) == len(numbers) == SIZES[one["name"]]
        assert sorted({int(re.match(r"\d+", n)[0]) for n in numbers}) == list(
            range(1, int(numbers[-1].rstrip("abc")) + 1)
        )


@pytest.mark.parametrize("given", [{}, {"exams": "/ct/exams.csv"}, {"images": "/pictures"}])
def test_every_answer_is_whole_and_every_link_leads_somewhere(whole, given):
    whole.profile["cohort"]["exams"] = given.get("exams")
    whole.profile["slices"]["images"] = given.get("images")
    run_pages.write_index(whole)
    index = set(re.findall(r'id="([^"]+)"', (whole.reports / "index.html").read_text()))
    for item in items(whole):
        assert item["text"] and "{" not in item["text"] and item["state"] in checklist.STATES
        assert bool(item["link"]) == (item["state"] in ("here", "waits"))
        if item["link"]:
            page, _, anchor = item["link"].partition("#")
            assert anchor in (index if page == "index.html" else headings(page.removesuffix(".html"))), item


def test_ethics_are_the_writers_where_people_were_studied(whole):
    def state():
        return next(item["state"] for item in items(whole) if item["item"] == 17 and "Ethics" in item["asks"])

    assert state() == "none"
    whole.profile["cohort"]["exams"] = "/ct/exams.csv"
    assert state() == "yours"


def test_an_answer_waits_for_its_notebook(whole):
    states = {item["link"].partition(".html")[0]: item["state"] for item in items(whole) if item["link"]}
    assert states["01_preprocessing"] == states["index"] == "here" and states["12_explanations"] == "waits"


def test_the_page_is_escaped(whole):
    whole.profile["study"]["name"] = "a<b>"
    whole.reports.mkdir(parents=True)
    checklist.write(whole)
    text = (whole.reports / "checklist.html").read_text()
    assert "a&lt;b&gt;" in text and "a<b>" not in text and text.count("<tr><td>") == sum(SIZES.values())
