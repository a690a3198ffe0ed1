"""The map from each table and figure of the papers to the notebook and the modules that reproduce it."""

from pathlib import Path

import pandas as pd
from IPython.display import HTML

from covid_study import paths

FILE = paths.PACKAGE / "data" / "paper_map.csv"
NOT_YET = "not yet"


def paper_map(notebooks: Path | None = None) -> pd.DataFrame:
    """Each table and figure of the papers and where it is reproduced.

    Args:
        notebooks: the folder of the notebooks, the project's by default. One that is not there yet counts as not yet.

    Returns:
        Indexed by paper and item: shows, notebook, modules.

    >>> paper_map().loc[("A", "Table VI"), "notebook"]
    '07_online_selection'
    """
    folder = notebooks or paths.root() / "notebooks"
    table = pd.read_csv(FILE, comment="#", dtype=str, keep_default_na=False)
    there = [bool(stem) and (folder / f"{stem}.ipynb").is_file() for stem in table["notebook"]]
    table["notebook"] = table["notebook"].where(there, NOT_YET)
    table["modules"] = table["modules"].where(there, "").str.replace(" ", ", ")
    return table.set_index(["paper", "item"])


def as_table(table: pd.DataFrame) -> HTML:
    """The map for a reader, nothing cut short."""
    with pd.option_context("display.max_colwidth", None):
        return HTML(table.reset_index().to_html(index=False, border=0, classes="plain", justify="left"))


def sentence(table: pd.DataFrame) -> str:
    """How much of the papers is in place, in words, one sentence a paper.

    >>> sentence(pd.DataFrame({"notebook": ["01_preprocessing", "not yet"]}, index=[("A", "Table I"), ("A", "Table IV")]))
    '1 of 2 tables, figures and sections of paper A are in place; not yet: Table IV.'
    """
    said, here = [], list(zip(table.index, table["notebook"] == NOT_YET, strict=True))
    for paper in dict.fromkeys(paper for (paper, _), _ in here):
        missing = [item for (of, item), absent in here if of == paper and absent]
        number = sum(of == paper for (of, _), _ in here)
        text = (
            f"{number - len(missing)} of {number} tables, figures and sections of paper {paper} are in place"
        )
        said.append(f"{text}; not yet: {', '.join(missing)}." if missing else f"{text}.")
    return " ".join(said)
