"""Every page of a smoke run in a browser, from the notebooks that nbval has executed: `make test` runs it after them.

By hand: `python -m pytest tests/smoke_pages.py`, once `make test` has been there.
"""

import time
from html.parser import HTMLParser

import pytest
from browser import dead_links, faults, opened

from covid_study import paths
from covid_study.report import say
from covid_study.study import dependencies, run_pages
from covid_study.study.notebook import read_notebook
from covid_study.study.plan import Plan, plan

CHECKED = paths.build("smoke") / "checked"
LARGEST = 3_000_000  # bytes of a page


@pytest.fixture(scope="module")
def report(browser, tmp_path_factory):  # without a browser no page is made
    """The pages and the index, written as a run writes them."""
    folder = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Plan, "reports", property(lambda run: folder))
        run = plan("smoke")
        if missing := [n.stem for n in run.notebooks if not (CHECKED / f"{n.stem}.ipynb").is_file()]:
            pytest.fail(f"not executed yet: {missing}. What to do: make test")
        facts = dependencies.facts(run.root)
        for notebook in run.notebooks:
            executed = CHECKED / f"{notebook.stem}.ipynb"
            notebook.record = {
                "parts": notebook.parts,
                "status": "done",
                "seconds": 1.0,
                "finished": time.strftime("%Y-%m-%d %H:%M"),
                "facts": facts,
                "said": say.read(read_notebook(executed)),
            }
            notebook.folder = CHECKED
            run_pages.write_page(run, notebook, executed)
        run_pages.write_index(run)
    return folder


class Places(HTMLParser):
    """The places of a page, in its order."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found += [value for name, value in attrs if name == "id"]


@pytest.fixture(scope="module")
def ids(report):
    """The places of every page that a link may lead to."""
    found = {}
    for file in sorted(report.glob("*.html")):
        (places := Places()).feed(file.read_text(encoding="utf-8"))
        found[file.resolve()] = places.found
    return found


STEMS = [file.stem for file in sorted((paths.root() / "notebooks").glob("[0-9][0-9]_*.ipynb"))]


@pytest.mark.parametrize("stem", STEMS)
def test_a_page_complains_of_nothing_asks_for_nothing_and_leads_somewhere(browser, report, ids, stem):
    look_at(browser, report / f"{stem}.html", ids)


def test_nor_does_the_index_or_what_stands_beside_it(browser, report, ids):
    others = [file for file in sorted(report.glob("*.html")) if file.stem not in STEMS]
    assert others
    for file in others:
        look_at(browser, file, ids)


def look_at(browser, file, ids):
    places = ids[file.resolve()]
    assert len(places) == len(set(places)), sorted({place for place in places if places.count(place) > 1})
    assert file.stat().st_size < LARGEST
    with opened(browser, file, width=390) as (page, wrong):
        assert dead_links(page, file, {name: set(of) for name, of in ids.items()}) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.locator("img:not([alt]), img[alt='']").count() == 0
        assert faults(page) == []
        assert wrong == []


def test_filters_leave_the_lines_that_they_name(browser, report):
    with opened(browser, report / "index.html") as (page, wrong):
        for chosen in page.locator("select[data-by]").all():
            name = chosen.get_attribute("data-by")
            value = chosen.locator("option").nth(1).inner_text()
            chosen.select_option(value)
            shown = page.locator(f"[data-{name}]:visible").all()
            assert shown and {line.get_attribute(f"data-{name}") for line in shown} == {value}
            chosen.select_option("")
        assert page.locator("select[data-by]").count() and wrong == []


def test_print_gives_pages(browser, report):
    with opened(browser, report / "04_ranking_ablation.html") as (page, wrong):
        assert page.pdf().count(b"/Type /Page\n") > 3 and wrong == []
