"""What a reader looks up: where each table and figure of the papers is reproduced, and what was decided on the way.

A decision is written where it is made: `Choice:` where the paper is silent, `Deviation:` where the study leaves it. A
mark opens a sentence of a docstring; what it says ends with the paragraph or at the next mark.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from covid_study import paths
from covid_study.params import profiles
from covid_study.params.sections import Profile

PACKAGE = paths.PACKAGE
MAP = PACKAGE / "data" / "paper_map.csv"
NOT_YET = "not yet"
MARK = re.compile(r"(?<![`\w-])(Choice|Deviation): ")
END = re.compile(r"\n\s*\n|\n\s*(?:Args|Returns|Raises|Yields):\s*\n|\n\s*>>> ")
SECTION = r"(?:section )?[IVX]+(?:-[A-Z]\d?)?|Tables? [IVX]+|Fig\. \d+|eq\. \d+|§? ?\d(?:\.\d)*|[A-Z]"
CITED = re.compile(rf"\b[Pp]aper ([AB]),\s+((?:{SECTION})(?:(?:,| and| to|;)\s+(?:{SECTION}))*)(?![\w-])")
ASIDE = ("study", "cohort", "explanations")  # sections of params that say what is run, not how a method works
COLUMNS = ["module", "function", "kind", "text", "section"]


def gather(folder: Path = PACKAGE) -> pd.DataFrame:
    """Every decision marked in the modules of a folder.

    Returns:
        A row a decision, by module and line: module (dotted), function (dotted for a method, empty at module level), kind
        (Choice, Deviation), text, section (the paper's, from the text, else from the docstrings around it; may be empty).

    >>> table = gather()
    >>> table.query("module == 'ranking.emd' and function == 'emd'")[["kind", "section"]].values.tolist()
    [['Choice', 'A IV-C, eq. 3 and 4']]
    """
    rows = [
        {"module": ".".join(path.relative_to(folder).with_suffix("").parts), **row}
        for path in sorted(Path(folder).rglob("*.py"))
        for row in _of_module(path.read_text(encoding="utf-8"))
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def settings() -> pd.DataFrame:
    """The values of `params/paper.yaml` that neither paper gives, as decisions: the same columns as `gather`.

    >>> table = settings().set_index("function")
    >>> table.loc["sampling.long_tail_exponent", ["module", "kind"]].tolist(), "pretext.permutations" in table.index
    (['params', 'Choice'], False)
    """
    given = profiles.load_profile(paths.root() / "params" / "paper.yaml")
    rows = [
        ("params", row.parameter, "Choice", f"{row.here}: {row.meaning}", "")
        for row in profiles.table(profiles.check(Profile, given, "paper.yaml")).itertuples()
        if not row.paper and row.parameter.split(".")[0] not in ASIDE
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def section(text: str) -> str:
    """The first section of a paper that a text names, or nothing.

    >>> section("The classifier (paper A, IV-F2)."), section("Paper A, V-B, eq. 8 and 9: scores"), section("none")
    ('A IV-F2', 'A V-B, eq. 8 and 9', '')
    """
    found = CITED.search(text)
    return f"{found[1]} {' '.join(found[2].split())}" if found else ""


def paper_map(notebooks: Path | None = None) -> pd.DataFrame:
    """Each table, figure and section of the papers and where it is reproduced.

    Args:
        notebooks: the folder of the notebooks, the project's by default. One that is not there yet counts as not yet.

    Returns:
        Indexed by paper and item: shows, notebook, modules.

    >>> paper_map().loc[("A", "Table VI"), "notebook"]
    '07_online_selection'
    """
    folder = notebooks or paths.root() / "notebooks"
    table = pd.read_csv(MAP, comment="#", dtype=str, keep_default_na=False)
    there = [bool(stem) and (folder / f"{stem}.ipynb").is_file() for stem in table["notebook"]]
    table["notebook"] = table["notebook"].where(there, NOT_YET)
    table["modules"] = table["modules"].where(there, "").str.replace(" ", ", ")
    return table.set_index(["paper", "item"])


def _of_module(source: str) -> Iterator[dict]:
    for node, name, around in _scopes(ast.parse(source), "", ()):
        docs = (ast.get_docstring(node) or "", *around)
        for kind, text in _marks(docs[0]):
            cited = next((s for s in map(section, (text, *docs)) if s), "")
            yield {"function": name, "kind": kind, "text": text, "section": cited}


def _scopes(node, name: str, around: tuple[str, ...]) -> Iterator[tuple]:
    """The module, its classes and functions, each with its dotted name and the docstrings around it."""
    yield node, name, around
    inner = (ast.get_docstring(node) or "", *around)
    for child in node.body:
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from _scopes(child, f"{name}.{child.name}".lstrip("."), inner)


def _marks(text: str) -> Iterator[tuple[str, str]]:
    found = list(MARK.finditer(text))
    for mark, following in zip(found, [*found, None][1:], strict=True):
        said = text[mark.end() : following.start() if following else len(text)]
        yield mark[1], " ".join(END.split(said, maxsplit=1)[0].split())
