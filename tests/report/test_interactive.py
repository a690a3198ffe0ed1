"""Sliders for a person, a figure for everybody else, and the same function behind both."""

import pytest

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
    assert interactive.is_live() == live


def test_without_anybody_the_figure_is_drawn_once_where_the_controls_begin(monkeypatch):
    monkeypatch.delenv(interactive.SESSION, raising=False)
    seen = []
    assert interactive.interactive(lambda **of: seen.append(of) or drawn(**of), **CONTROLS) == "2 0.5 True a"
    assert len(seen) == 1


def test_a_slider_draws_anew_and_begins_with_the_same_figure():
    widgets = pytest.importorskip("ipywidgets")
    shown = interactive.interactive(drawn, live=True, **CONTROLS)
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
