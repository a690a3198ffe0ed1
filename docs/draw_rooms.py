"""Draws the rooms of the package and the arrows between them into docs/architecture.md, from the imports.

python docs/draw_rooms.py        writes the drawing
"""

import ast
from pathlib import Path

from covid_study.runtime.closure import file_of, imports, modules_inside

PAGE = Path(__file__).with_name("architecture.md")
BEGIN, END = "```mermaid\n", "```\n"
ALONE = ("errors", "paths", "__main__")  # every room imports the first two: no arrows


def drawing() -> str:
    """The rooms as a Mermaid flowchart: an arrow from what is imported to its importer, those that others imply left out."""
    above: dict[str, set[str]] = {}
    for module in modules_inside():
        room = module.split(".")[0]
        found = {
            name.split(".")[0] for name in imports(ast.parse(file_of(module).read_text()), module) if name
        }
        above.setdefault(room, set()).update(found - {room, *ALONE})
    lines = ["flowchart TD"]
    for room in sorted(set(above) - set(ALONE)):
        implied = {far for near in above[room] for far in _all_above(near, above)}
        lines += [f"    {near} --> {room}" for near in sorted(above[room] - implied)]
    return "\n".join(lines) + "\n"


def _all_above(room: str, above: dict[str, set[str]]) -> set[str]:
    """The rooms that a room imports, and those that they import."""
    found, waiting = set(), list(above[room])
    while waiting:
        if (name := waiting.pop()) not in found:
            found.add(name)
            waiting += above[name]
    return found


def drawn() -> str:
    """The drawing that stands in the page."""
    return PAGE.read_text().split(BEGIN, 1)[1].split(END, 1)[0]


if __name__ == "__main__":
    text = PAGE.read_text()
    PAGE.write_text(text.replace(BEGIN + drawn(), BEGIN + drawing()))
