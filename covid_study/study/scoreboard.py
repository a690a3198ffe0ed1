"""What became of every claim of a run, for its index: a row a claim, from what its notebooks said."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping
from typing import Any

from covid_study.report.references import references
from covid_study.study.plan import Plan

WIDTH, HEIGHT = 150, 18  # pixels of a drawing
# of a table of claims, each with the key of what stands below it
HEADS = {"claim": "text", "in": "table", "by": "by", "paper": "theirs", "here": "here", "95 %": "between"}
FURTHEST = {"difference": 0.2, "auc": 0.5, "ratio": math.log(4)}  # from its middle to an end


def rows(run: Plan) -> list[dict[str, Any]]:
    """The claims in the order of the papers: what each notebook that is up to date said of its own, and the references."""
    kept = references(run.root / "reports" / "reference")
    found = [
        {
            **line,
            "notebook": notebook.stem,
            "page": f"{notebook.page.name}#claim-{line['key']}",
            "warned": notebook.said.get("warned", ""),
        }
        for notebook in run.notebooks
        if notebook.status() == "done"
        for line in notebook.said.get("claims") or []
    ]
    for line in found:
        line["paper"] = line["key"][0]
        line["drawing"] = drawing(line)
        line["decided"] = any(
            said not in ("", "open") for said in (line["verdict"], line.get("by_auc") or "")
        )
        line["references"] = {name: said.get(line["key"], "") for name, said in kept.items()}
    return sorted(found, key=lambda line: line["paper"] not in "AB")  # the study's own questions last


def page(name: str, claims: list[dict[str, Any]]) -> str:
    """The scoreboard as Markdown."""
    heads = HEADS | {"seeds": "seeds", "verdict": "verdict", "by AUC": "auc_said", "to close it": "needs"}
    return f"# {name}: the scoreboard\n\n{markdown(heads, claims)}\n"


def markdown(heads: Mapping[str, str], lines: Iterable[Mapping[str, Any]]) -> str:
    """A table. heads: of its columns, each with the key of what stands below it.

    >>> print(markdown({"claim": "text"}, [{"text": "a|b"}]))
    | claim |
    | --- |
    | a\\|b |
    """
    rows = [list(heads), ["---"] * len(heads)]
    rows += [[str(line[key] or "").replace("|", r"\|") for key in heads.values()] for line in lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def place(line: dict[str, Any], of: str) -> float | None:
    """Where a value stands in its drawing, in pixels from the left; at an end where it lies beyond; None where it is not known.

    A difference and an AUC less one half are drawn around 0, the logarithm of a ratio around that of 1.

    >>> [place({"kind": "difference", "low": x}, "low") for x in (-0.2, 0.0, 0.9)]
    [0.0, 75.0, 150.0]
    """
    value, most = line.get(of), FURTHEST.get(line["kind"])
    if value is None or most is None or (line["kind"] == "ratio" and value <= 0):
        return None
    value = math.log(value) if line["kind"] == "ratio" else value
    return WIDTH / 2 * (1 + min(1.0, max(-1.0, value / most)))


def drawing(line: dict[str, Any]) -> str:
    """A claim's interval and value as a line and a point, hollow the paper's value, dashed where nothing differs; SVG."""
    here, low, high, paper = (place(line, of) for of in ("difference", "low", "high", "published"))
    if here is None:
        return ""
    middle = HEIGHT / 2
    parts = [f'<line class="nothing" x1="{WIDTH / 2}" x2="{WIDTH / 2}" y1="0" y2="{HEIGHT}"/>']
    if low is not None and high is not None:
        parts.append(f'<line class="between" x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}"/>')
    if paper is not None:
        parts.append(f'<circle class="theirs" cx="{paper:.1f}" cy="{middle}" r="3.5"/>')
    parts.append(f'<circle class="ours" cx="{here:.1f}" cy="{middle}" r="3.5"/>')
    said = html.escape(f"here {line['here']} ({line['between']}), paper {line['theirs'] or 'no number'}")
    head = f'<svg class="forest" width="{WIDTH}" height="{HEIGHT}" role="img"><title>{said}</title>'
    return f"{head}{''.join(parts)}</svg>"
