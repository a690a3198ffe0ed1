"""A page in Chromium, through Playwright: what it complains of, what it asks for, where its links lead."""

import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture(scope="module")  # a loop of its own runs as long as the browser: not beside other modules
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if not program:
        pytest.skip(f"no browser on the path: {', '.join(PROGRAMS)} (Debian: apt-get install chromium)")
    root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=program, args=root)
        yield chromium
        chromium.close()


@contextmanager
def opened(browser, file: Path, width: int = 1200, **look):
    """A page, and the list that grows by what is wrong: its errors, and each address it asks for beside its own."""
    page, wrong = browser.new_page(viewport={"width": width, "height": 900}, **look), []
    page.set_default_timeout(120_000)  # milliseconds: a machine may be busy with other things
    page.on("console", lambda said: said.type == "error" and wrong.append(said.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    here = file.resolve().as_uri()
    page.on(
        "request", lambda asked: asked.url.startswith((here, "data:", "blob:")) or wrong.append(asked.url)
    )
    page.goto(here)
    yield page, wrong
    page.close()


def dead_links(page, file: Path, ids: dict[Path, set[str]]) -> list[str]:
    """The links of a page that lead to no file or to no place in one. ids: of every page of the report."""
    dead = []
    for link in page.eval_on_selector_all("a[href]", "links => links.map(link => link.getAttribute('href'))"):
        parts = urlsplit(link)
        if parts.scheme in ("http", "https", "data", "mailto", "blob"):
            continue
        target = (file.parent / unquote(parts.path)).resolve() if parts.path else file.resolve()
        known = not parts.fragment or unquote(parts.fragment) in ids.get(target, ())
        if not target.is_file() or not known:
            dead.append(link)
    return dead


def faults(page, **options) -> list[str]:
    """What axe-core finds that is serious or worse."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, options={"resultTypes": ["violations"], **options}).response["violations"]
    return [
        f"{fault['id']}: {fault['nodes'][0]['html'][:200]}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
    ]
