"""The report: each executed notebook as one HTML page, and the index in front of them.

A page holds all that it shows, so it can be opened from a disk without a network: figures are embedded, styles are
inline and equations become MathML, which browsers draw by themselves.
"""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path
from typing import Any

from covid_study import paths
from covid_study.runtime import artefacts

TEMPLATES = paths.PACKAGE / "templates"
STATE = re.compile(r"<!--state-->.*?<!--/state-->", re.DOTALL)


def templates_key() -> str:
    """Changes when pages would look different though the notebooks are the same."""
    files = sorted(p for p in [Path(__file__), *TEMPLATES.rglob("*")] if p.is_file())
    return artefacts.fingerprint([[p.name, p.read_text(encoding="utf-8")] for p in files])


def mathml(latex: str, block: bool = False) -> str:
    """An equation as MathML; its source, marked as code, where the converter does not know a command.

    >>> mathml("x^2").startswith('<math xmlns="http://www.w3.org/1998/Math/MathML" display="inline">')
    True
    """
    from html import escape

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
        page: title, subtitle, and previous and next as (stem, title) or None.
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
    _tidy(node)
    tags = [tag for cell in node.cells for tag in cell.metadata.get("tags", [])]
    css = (TEMPLATES / "style.css").read_text(encoding="utf-8") + HtmlFormatter(
        style="default"
    ).get_style_defs(".highlight")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # images without a description
        text, _ = exporter.from_notebook_node(
            node, resources={"page": {**page, "css": css, "injected": "injected-parameters" in tags}}
        )
    return text


def _tidy(node: Any) -> None:
    """Join what was printed line by line, and leave out papermill's own notices: the page has a banner."""
    node.cells = [c for c in node.cells if "papermill-error-cell-tag" not in c.metadata.get("tags", [])]
    for cell in node.cells:
        joined: list[Any] = []
        for output in cell.get("outputs", []):
            last = joined[-1] if joined else None
            if (
                last
                and output.output_type == "stream"
                and (last.output_type, last.get("name")) == ("stream", output.name)
            ):
                last.text += output.text
            else:
                joined.append(output)
        if "outputs" in cell:
            cell.outputs = joined


def write_placeholder(path: Path, title: str) -> None:
    """A page for a notebook that has not run, so that no link leads nowhere."""
    import html

    css = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    text = (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        f"<title>{html.escape(title)}</title><style>{css}</style></head>"
        f"<body><nav><a href='index.html'>All notebooks</a></nav><h1>{html.escape(title)}</h1>"
        "<!--state--><p class='state'>This notebook has not been run yet.</p><!--/state--></body></html>"
    )
    artefacts.write_atomically(path, lambda p: p.write_text(text, encoding="utf-8"))


def mark(path: Path, text: str = "", kind: str = "stale") -> None:
    """Put a notice at the head of a page that is no longer true, or take it away (empty text)."""
    import html

    old = path.read_text(encoding="utf-8")
    notice = f'<p class="state {kind}">{html.escape(text)}</p>' if text else ""
    new = STATE.sub(lambda _: f"<!--state-->{notice}<!--/state-->", old, count=1)
    if new != old:
        artefacts.write_atomically(path, lambda p: p.write_text(new, encoding="utf-8"))


def write_index(path: Path, **values: Any) -> None:
    """Render the index page; `values` are what `templates/index.html.j2` names."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
    css = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    text = environment.get_template("index.html.j2").render(css=css, **values)
    artefacts.write_atomically(path, lambda p: p.write_text(text, encoding="utf-8"))


def outside_references(page: str) -> list[str]:
    """What a page would fetch from a network or from beside itself when opened: none, or it is not self-contained.

    >>> outside_references('<a href="https://x.org">x</a><img src="data:image/png;base64,AA=="><script src="https://y.js">')
    ['https://y.js']
    """
    page = re.sub(r"base64,[A-Za-z0-9+/=]+", "base64,", page)
    found = re.findall(r"<(?:img|script|iframe|source|video|embed)\b[^>]*?\ssrc=[\"']([^\"']+)", page)
    found += re.findall(r"<link\b[^>]*?\shref=[\"']([^\"']+)", page)
    found += re.findall(r"url\([\"']?((?!data:)[^\"')]+)", page)
    found += re.findall(r"@import\s+[\"']([^\"']+)", page)
    return [f for f in found if not f.startswith("data:")]
