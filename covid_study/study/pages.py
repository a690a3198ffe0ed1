"""The report: each executed notebook as one HTML page, and the index in front of them.

A page begins with its result. It holds all that it shows, so it can be opened from a disk without a network: figures are
embedded, styles and the one script are inline and equations become MathML, which browsers draw by themselves.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import warnings
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from covid_study import paths
from covid_study.report import say
from covid_study.runtime import artefacts
from covid_study.study import contents

TEMPLATES = paths.PACKAGE / "templates"
REFEREE = "For the referee"  # how the heading of a section begins that is folded
HEADING = re.compile(r"(#+) +(.*)")
TITLES = re.compile(r"^#+ +(.*)", re.MULTILINE)
STATE = re.compile(r"<!--state-->.*?<!--/state-->", re.DOTALL)


def templates_key() -> str:
    """Changes when pages would look different though the notebooks are the same."""
    files = sorted(p for p in [Path(__file__), Path(contents.__file__), *TEMPLATES.rglob("*")] if p.is_file())
    return artefacts.fingerprint([[p.name, p.read_text(encoding="utf-8")] for p in files])


def mathml(latex: str, block: bool = False) -> str:
    """An equation as MathML; its source, marked as code, where the converter does not know a command.

    >>> mathml("x^2").startswith('<math xmlns="http://www.w3.org/1998/Math/MathML" display="inline">')
    True
    """
    from latex2mathml.converter import convert

    tag = re.search(r"\\tag\{(.*?)\}", latex)  # the equation's number in the paper
    body = re.sub(r"\\(tag|label)\{.*?\}", "", latex).strip()
    try:
        result = convert(body, display="block" if block else "inline")
    except Exception:  # whatever a malformed equation raises: the reader gets its source
        return f"<code>{escape(latex)}</code>"
    if tag and block:
        return f'<div class="equation">{result}<span class="run">({escape(tag.group(1))})</span></div>'
    return result


def render(notebook: dict[str, Any], page: dict[str, Any]) -> str:
    """The HTML page of an executed notebook.

    Args:
        notebook: its JSON, version 4.
        page: title, subtitle, headline (or None), and previous and next as (stem, title) or None; where they are known `stem`
            and `commit`, which stand under its figures, and `notebook`, where from the page the executed one lies.
    """
    import nbformat
    from nbconvert import HTMLExporter
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
    from pygments.formatters import HtmlFormatter

    class Renderer(IPythonRenderer):
        def block_math(self, body):
            return mathml(body, block=True)

        def inline_math(self, body):
            return mathml(body)

        def latex_environment(self, name, body):
            inner = body if name in {"equation", "equation*"} else f"\\begin{{{name}}}{body}\\end{{{name}}}"
            return mathml(inner, block=True)

    def markdown2html(source: str) -> str:
        return MarkdownWithMath(renderer=Renderer(escape=False, embed_images=True)).render(source)

    exporter = HTMLExporter(
        template_name="notebook",
        extra_template_basedirs=[str(TEMPLATES)],
        filters={"markdown2html": markdown2html},
    )
    exporter.embed_images = True
    exporter.log.setLevel("ERROR")
    node = nbformat.reads(json.dumps(notebook), as_version=4)
    _tidy(node, page.get("headline"))
    _figures(node, page)
    tags = [tag for cell in node.cells for tag in cell.metadata.get("tags", [])]
    light, dark = (
        HtmlFormatter(style=name).get_style_defs(".highlight") for name in ("default", "github-dark")
    )
    more = {
        "css": f"{_css()}{light}\n@media screen and (prefers-color-scheme: dark) {{ {dark} }}",
        "script": (TEMPLATES / "page.js").read_text(encoding="utf-8"),
        "template": templates_key(),
        "injected": "injected-parameters" in tags,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # images without a description
        text, _ = exporter.from_notebook_node(node, resources={"page": {**page, **more}})
    return contents.listed(contents.unique(text))


def _figures(node: Any, page: dict[str, Any]) -> None:
    """Each picture's number, caption (the section it stands in), description, source and what can be saved of it."""
    section, number = page["title"], 0
    for cell in node.cells:
        titles = TITLES.findall(cell.source) if cell.cell_type == "markdown" else []
        section = [section, cell.metadata.get("folds"), *titles][-1] or section
        for output in cell.get("outputs", []):
            if "image/png" not in output.get("data", {}):
                continue
            number += 1
            told = output.data.get(say.FIGURE, {})
            source = [f"{page['stem']}.ipynb" if page.get("stem") else "", told.get("by", "")]
            source += [f"commit {page['commit']}" if page.get("commit") else ""]
            svg = told.get("svg", "")
            output.metadata["figure"] = {
                "number": number,
                "caption": section,
                "alt": told.get("alt") or section,
                "source": " · ".join(filter(None, source)),
                "name": f"{page.get('stem') or 'page'}-figure-{number}",
                "svg": base64.b64encode(svg.encode()).decode() if svg else "",
                "csv": quote(told.get("csv", ""), safe=" ,.:;/()*!'"),
            }


def keep_notebook(executed: Path, page: Path) -> str:
    """Copy an executed notebook beside its page, for a report is sent without `build/`; returns the link to it."""
    kept = page.parent / "notebooks" / f"{page.stem}.ipynb"
    kept.parent.mkdir(parents=True, exist_ok=True)
    artefacts.write_atomically(kept, lambda path: shutil.copyfile(executed, path))
    return f"notebooks/{quote(kept.name)}"


def _tidy(node: Any, headline: str | None) -> None:
    """The result under the title, printed lines joined, sections for the referee marked to be folded.

    papermill's own notices are left out: the page has a banner.
    """
    from nbformat.v4 import new_markdown_cell

    node.cells = [c for c in node.cells if "papermill-error-cell-tag" not in c.metadata.get("tags", [])]
    first = node.cells[0]
    if headline and first.cell_type == "markdown":
        title, _, rest = first.source.partition("\n")
        parts = [new_markdown_cell(headline, metadata={"headline": True}), new_markdown_cell(rest)]
        node.cells[:1] = [new_markdown_cell(title), *parts]
    folded = 0  # the level of the heading whose section is folded
    for before, cell in zip([None, *node.cells], node.cells, strict=False):
        heading = HEADING.match(cell.source) if cell.cell_type == "markdown" else None
        if folded and heading and len(heading[1]) <= folded:
            before.metadata["fold_ends"], folded = True, 0
        if heading and heading[2].startswith(REFEREE):
            cell.metadata["folds"], folded = heading[2], len(heading[1])
            cell.metadata["folds_id"] = contents.place(heading[2])
            cell.source = cell.source[heading.end() :]
        _join(cell)
    if folded:
        node.cells[-1].metadata["fold_ends"] = True


def _join(cell: Any) -> None:
    """What a cell printed line by line, in one piece."""
    joined: list[Any] = []
    for output in cell.get("outputs", []):
        kind = (output.output_type, output.get("name"))
        if joined and kind[0] == "stream" and kind == (joined[-1].output_type, joined[-1].get("name")):
            joined[-1].text += output.text
        else:
            joined.append(output)
    if "outputs" in cell:
        cell.outputs = joined


def write(path: Path, template: str, **values: Any) -> None:
    """Render a page of `templates/`; `values` are what it names."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
    artefacts.write_text(path, environment.get_template(template).render(css=_css(), **values))


def _css() -> str:
    return (TEMPLATES / "style.css").read_text(encoding="utf-8")


def mark(path: Path, text: str = "", kind: str = "stale") -> None:
    """Put a notice at the head of a page that is no longer true, or take it away (empty text)."""
    old = path.read_text(encoding="utf-8")
    notice = f'<p class="state {kind}">{escape(text)}</p>' if text else ""
    new = STATE.sub(lambda _: f"<!--state-->{notice}<!--/state-->", old, count=1)
    if new != old:
        artefacts.write_text(path, new)
