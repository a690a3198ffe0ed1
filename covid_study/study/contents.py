"""The sections of a page: an id of its own for each, and the list of them that follows the reader."""

import re
from html import unescape
from urllib.parse import unquote

HEADING = re.compile(
    r'<h([1-6]) id="([^"]*)">(.*?)<a class="anchor-link" href="#[^"]*">¶</a></h\1>', re.DOTALL
)
SECTION = re.compile(
    r'<h([23]) id="([^"]+)">(.*?)<a class="anchor|<details class="(referee)" id="([^"]+)"><summary>(.*?)</summary>',
    re.DOTALL,
)
PLACE = "<!--contents-->"  # in the template


def place(title: str) -> str:
    """What a link to a section ends with: without signs that an address would have to encode.

    >>> place("Is 95 % enough?")
    'Is-95-enough'
    """
    return re.sub(r"[^\w.:]+", "-", title).strip("-")


def unique(page: str) -> str:
    """The page with an id of its own for every heading: two of its sections may have the same title."""
    seen: dict[str, int] = {}

    def again(found: re.Match) -> str:
        level, name, inside = found.groups()
        name = place(unquote(unescape(name)))
        seen[name] = seen.get(name, 0) + 1
        name += f"-{seen[name]}" * (seen[name] > 1)
        link = f'<a class="anchor-link" href="#{name}" aria-label="link to this section">¶</a>'
        return f'<h{level} id="{name}">{inside}{link}</h{level}>'

    return HEADING.sub(again, page)


def listed(page: str) -> str:
    """The page with the list of its sections, and of those below them; without one where it has fewer than two."""
    lines = []
    for level, name, title, folded, its, summary in SECTION.findall(page):
        to, text = (its, summary) if folded else (name, title)
        lines.append(f'<li{" class=deeper" * (level == "3")}><a href="#{to}">{text}</a></li>')
    summary = '<summary>On this page<span class="now"></span></summary>'
    head = f'<nav class="sections" aria-label="On this page"><details open>{summary}'
    bar = f"{head}<ol>{''.join(lines)}</ol></details></nav>" if len(lines) > 1 else ""
    return page.replace(PLACE, bar, 1)
