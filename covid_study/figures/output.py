"""What a figure leaves in a notebook beside its picture: what drew it, from which data, a drawing without pixels, words.

The data of pictures of exams are a table of what each shows (`tile.listed`): their grey values would fill a page.
"""

from __future__ import annotations

import inspect
import io
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from covid_study.report import say

LARGEST = 150_000  # characters of a drawing or of a table: a page holds dozens of them


def signed(figure: Figure, draw: Callable[..., Figure], args: tuple, kwargs: Mapping[str, Any]) -> Figure:
    """The figure, with what drew it and the table that it was drawn from, unless it brought one itself."""
    figure.drawn_by = f"{draw.__module__.split('.', 1)[-1]}.{draw.__name__}"
    if getattr(figure, "drawn_from", None) is None:
        figure.drawn_from = table_of(inspect.signature(draw).bind(*args, **kwargs).arguments)
    return figure


def table_of(given: Mapping[str, Any]) -> pd.DataFrame | None:
    """One table of what a function was given: its first frame, or mapping of frames, and the series of the same index.

    >>> findings = pd.Series({"a": "covid", "b": "cap"})
    >>> table_of({"rank": pd.Series({"b": 1}, name="r"), "findings": findings, "title": "t"}).to_dict()
    {'rank': {'b': 1}, 'findings': {'b': 'cap'}}
    >>> table_of({"of": {"x": findings.to_frame("finding"), "y": findings.to_frame("finding")}})["finding"].tolist()
    ['covid', 'cap', 'covid', 'cap']
    >>> table_of({"title": "t"})
    """
    found = None
    for name, value in given.items():
        if isinstance(value, Mapping) and value and all(isinstance(v, pd.DataFrame) for v in value.values()):
            value = pd.concat(dict(value), names=["of"]).reset_index("of")
        if found is None and isinstance(value, pd.DataFrame | pd.Series):
            found = value if isinstance(value, pd.DataFrame) else value.to_frame(name)
        elif isinstance(value, pd.Series) and found.index.isin(value.index).all():
            found = found.assign(**{name: value.reindex(found.index)})
    return found


def bundle(figure: Figure) -> dict[str, dict[str, str]]:
    """For IPython: what a page shows under the picture. A drawing or a table that is too large for a page is left out.

    >>> bundle(Figure())[say.FIGURE]["alt"]
    'Figure without words'
    """
    told = {"by": getattr(figure, "drawn_by", ""), "alt": in_words(figure)}
    table = getattr(figure, "drawn_from", None)
    if table is not None:
        plain = isinstance(table.index, pd.RangeIndex)
        told["csv"] = table.to_csv(index=not plain, float_format="%.6g", lineterminator="\n")
    if not any(ax.images for ax in figure.axes):  # pictures of exams have no lines to draw
        told["svg"] = _svg(figure)
    return {say.FIGURE: {name: text for name, text in told.items() if len(text) <= LARGEST}}


def _svg(figure: Figure) -> str:
    """The drawing, the same for the same figure: without a date and with names from a fixed salt (`svg.hashsalt`)."""
    drawing = io.StringIO()
    figure.savefig(drawing, format="svg", bbox_inches="tight", metadata={"Date": None})
    return drawing.getvalue()


def in_words(figure: Figure, most: int = 12) -> str:
    """For those who don't see it: titles, axes and legend of a figure, in its own words; of each at most so many."""
    legends = [*figure.legends, *filter(None, (ax.get_legend() for ax in figure.axes))]
    parts = {
        "": [figure.get_suptitle()],
        "panels": [ax.get_title(place) for ax in figure.axes for place in ("left", "center")],
        "across": [ax.get_xlabel() for ax in figure.axes],
        "upward": [ax.get_ylabel() for ax in figure.axes],
        "legend": [text.get_text() for legend in legends for text in legend.get_texts()],
    }
    said = []
    for name, texts in parts.items():
        texts = list(dict.fromkeys(" ".join(text.split()) for text in texts if text.strip()))
        texts = texts if len(texts) <= most else [*texts[:most], f"and {len(texts) - most} more"]
        said += [f"{name}: {', '.join(texts)}" if name else texts[0]] if texts else []
    return "; ".join(said) or "Figure without words"
