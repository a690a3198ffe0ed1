"""Sliders beside a figure where somebody sits in front of the notebook; everywhere else the figure alone.

A page of a report, papermill, nbconvert and nbval draw the figure once, at the values where its sliders begin.
"""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from covid_study.runtime.progress import LIVE_FILE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SESSION = "JPY_SESSION_NAME"  # set by Jupyter's server for the kernels that it starts for people
NOBODY = (LIVE_FILE, "PYTEST_CURRENT_TEST")  # by the runner and by nbval, which Jupyter may have started


class Range(NamedTuple):
    """A slider: where it begins, its ends and its step; whole numbers where all four are."""

    start: float
    low: float
    high: float
    step: float = 1


Control = (
    Range | bool | tuple[str, ...]
)  # a slider, a box to tick, a list to choose from whose first is the start


def is_live() -> bool:
    """Is this a kernel of JupyterLab or Jupyter Notebook, and not one of the runner's or of nbval's?"""
    return bool(os.environ.get(SESSION)) and not any(map(os.environ.get, NOBODY))


def interactive(draw: Callable[..., "Figure"], live: bool | None = None, **controls: Control):
    """A figure that is drawn anew where a slider is moved; without anybody to move one, the figure.

    Args:
        draw: values by name -> a figure. live: None: as `is_live` says. controls: name of a value -> what sets it.

    Returns:
        The figure at the values where the controls begin, or a widget that shows it below them.

    >>> interactive(lambda width, mask, of: (width, mask, of), live=False, width=Range(3, 0, 9), mask=True, of=("a", "b"))
    (3, True, 'a')
    """
    if not (is_live() if live is None else live):
        return draw(**{name: start(control) for name, control in controls.items()})
    import ipywidgets

    def drawn(**values: object) -> "Figure":  # ipywidgets asks for a name, which a partial function has not
        return draw(**values)

    widgets = {name: _widget(control) for name, control in controls.items()}
    return ipywidgets.interactive(drawn, {"auto_display": True}, **widgets)


def start(control: Control):
    """The value at which a control begins."""
    return control if isinstance(control, bool) else control[0]


def _widget(control: Control):
    import ipywidgets

    if isinstance(control, Range):
        whole = all(isinstance(value, int) for value in control)
        slider = ipywidgets.IntSlider if whole else ipywidgets.FloatSlider
        value, low, high, step = control
        # drawn when it is let go: a figure takes a second
        return slider(value=value, min=low, max=high, step=step, continuous_update=False)
    if isinstance(control, bool):
        return ipywidgets.Checkbox(value=control)
    return ipywidgets.Dropdown(options=control, value=control[0])
