"""Sliders for a person, a figure for everybody else, and the same function behind both."""

from functools import partial

import nbclient
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from rendered import rendered

from covid_study.report import interactive
from covid_study.report.interactive import Range
from covid_study.runtime.progress import LIVE_FILE

CONTROLS = {"place": Range(2, 0, 9), "level": Range(0.5, 0, 1, 0.25), "mask": True, "of": ("a", "b")}


def drawn(place, level, mask, of):
    return f"{place} {level} {mask} {of}"


@pytest.mark.parametrize(
    "session, runner, live",
    [("", "", False), ("nb", "", True), ("nb", "live.json", False), ("", "live.json", False)],
)
def test_only_jupyter_itself_has_somebody_in_front_of_it(monkeypatch, session, runner, live):
    monkeypatch.setenv(interactive.SESSION, session)
    monkeypatch.setenv(LIVE_FILE, runner)
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    assert interactive.is_live() == live


def test_without_anybody_the_figure_is_drawn_once_where_the_controls_begin(monkeypatch):
    monkeypatch.delenv(interactive.SESSION, raising=False)
    seen = []
    assert interactive.interactive(lambda **of: seen.append(of) or drawn(**of), **CONTROLS) == "2 0.5 True a"
    assert len(seen) == 1


def test_a_slider_draws_anew_and_begins_with_the_same_figure():
    widgets = pytest.importorskip("ipywidgets")
    shown = interactive.interactive(partial(drawn), live=True, **CONTROLS)  # as notebook 10 has it
    *controls, _ = shown.children
    assert shown.result == "2 0.5 True a"
    assert [type(c) for c in controls] == [
        widgets.IntSlider,
        widgets.FloatSlider,
        widgets.Checkbox,
        widgets.Dropdown,
    ]
    for control, value in zip(controls, (7, 0.75, False, "b"), strict=True):
        control.value = value
    assert shown.result == "7 0.75 False b"
    assert (controls[0].min, controls[0].max, controls[1].step) == (0, 9, 0.25)


CELLS = (
    """
import os
from covid_study.figures import style
from covid_study.report.interactive import SESSION, interactive
style.use()
interactive(style.nothing, text=("first", "second"))""",
    """
os.environ.pop("PYTEST_CURRENT_TEST", None)
os.environ[SESSION] = "a.ipynb"
shown = interactive(style.nothing, text=("first", "second"))
shown""",
    """
shown.children[0].value = "second"
shown.result.axes[0].texts[0].get_text()""",
)


@pytest.fixture(scope="module")
def executed():
    """The cells, run by a kernel of their own: in a page, then as in JupyterLab, then with a control that is moved."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(interactive.SESSION, raising=False)
        notebook = new_notebook(cells=[new_markdown_cell("# T"), *map(new_code_cell, CELLS)])
        nbclient.NotebookClient(notebook, kernel_name="python3", allow_errors=True).execute()
    return notebook


def test_a_page_has_the_figure_and_nothing_of_a_widget(executed):
    (output,) = executed.cells[1].outputs
    assert "image/png" in output.data and not any("widget" in kind for kind in output.data)
    page = rendered(*executed.cells[:2])
    assert page.count("<img ") == page.count('src="data:image/') == 1 and "widget" not in page


def test_a_moved_control_draws_the_figure_anew(executed):
    pytest.importorskip("ipywidgets")
    (output,) = executed.cells[2].outputs
    assert "application/vnd.jupyter.widget-view+json" in output.data
    assert executed.cells[3].outputs[0].data["text/plain"] == "'second'"
    (state,) = [
        s["state"]
        for s in executed.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"].values()
        if s["model_name"] == "OutputModel"
    ]
    assert [list(shown["data"]).count("image/png") for shown in state["outputs"]] == [1]
