"""What a run says, in five sentences: the claims that carry both papers, each with its verdict and its number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

# what a sentence is about, and the claims that it is made of
SENTENCES = {
    "Selection": ("A1", "A12a"),
    "Ranking": ("A2",),
    "Pre-training": ("A27a",),
    "Self-adaptive loss": ("B1", "B17"),
    "Imbalance": ("B12",),
}


def number(line: Mapping[str, Any]) -> str:
    """A claim's difference with its interval, as `say.claims` wrote them.

    >>> line = {"by": "F1", "here": "+4.2", "between": "+1.0 to +7.4", "kind": "difference"}
    >>> number(line), number(line | {"here": ""})
    ('F1 +4.2 points (95 % +1.0 to +7.4)', 'no number')
    """
    if not line["here"]:
        return "no number"
    points = " points" if line["kind"] == "difference" else ""
    return f"{line['by']} {line['here']}{points}" + (f" (95 % {line['between']})" if line["between"] else "")


def story(claims: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The sentences, each with its claims; none where their notebook is not up to date. claims: of `scoreboard.rows`."""
    known = {line["key"]: {**line, "number": number(line)} for line in claims}
    found = []
    for about, keys in SENTENCES.items():
        first, *others = [known[key] for key in keys if key in known] or [None]
        others = [{**line, "text": _continued(line["text"])} for line in others]
        found.append({"about": about, "claims": [first, *others] if first else []})
    return found


def _continued(text: str) -> str:
    """Of a sentence that goes on: its first word small, but DSN-SAAL."""
    return text if text[1].isupper() else text[0].lower() + text[1:]
