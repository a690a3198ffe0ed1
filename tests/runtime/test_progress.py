import json

import pytest

from covid_study.runtime import progress as module
from covid_study.runtime.progress import duration, progress, read_live


@pytest.mark.parametrize("total, expected", [(1, 1), (20, 20), (100, 10), (1785, 10)])
def test_a_report_gets_few_lines_and_the_last_one(capsys, total, expected):
    assert list(progress(range(total), "reading")) == list(range(total))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == expected
    assert lines[-1].startswith(f"reading {total}/{total}, took 0:0")


def test_inner_loops_print_nothing_of_their_own(capsys):
    for _ in progress(range(2), "epoch"):
        assert sum(progress([1, 2, 3], "batch")) == 6
    assert [line.split(",")[0] for line in capsys.readouterr().out.splitlines()] == ["epoch 1/2", "epoch 2/2"]


def test_notes_appear_in_the_line(capsys):
    bar = progress(range(1), "training")
    for _ in bar:
        bar.note(loss=0.123456, side="validation")
    assert "training 1/1, loss 0.1235, side validation, took" in capsys.readouterr().out


def test_unknown_totals_and_early_ends(capsys):
    for step in progress(iter(range(100)), "looking"):
        if step == 24:
            break
    printed = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in printed] == [
        "looking 1",
        "looking 2",
        "looking 5",
        "looking 10",
        "looking 20",
    ]
    assert module._open == []


def test_the_runner_can_read_where_a_kernel_is(tmp_path, monkeypatch, capsys):
    live = tmp_path / "live.json"
    monkeypatch.setenv(module.LIVE_FILE, str(live))
    now = iter(range(0, 1000, 10))
    monkeypatch.setattr(module.time, "monotonic", lambda: next(now))
    states = []
    for _ in progress(range(4), "training"):
        states.append(read_live(live))
    assert [s["done"] for s in states] == [0, 1, 2, 3] and states[0]["left"] is None and states[3]["left"] > 0
    assert not live.exists() and read_live(live) is None
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("training 4/4, took")


def test_a_display_never_stops_the_work(monkeypatch, tmp_path):
    monkeypatch.setenv(module.LIVE_FILE, str(tmp_path / "no" / "such" / "folder" / "live.json"))
    assert list(progress("ab", "x")) == ["a", "b"]
    (tmp_path / "half.json").write_text(json.dumps({"desc": 1})[:-2])
    assert read_live(tmp_path / "half.json") is None


def test_a_terminal_gets_a_live_bar_and_no_lines(monkeypatch, capsys):
    monkeypatch.setattr(module, "_for_a_person", lambda: True)
    assert list(progress(range(3), "training")) == [0, 1, 2]
    captured = capsys.readouterr()
    assert captured.out == "" and "training" in captured.err and "3/3" in captured.err


def test_durations():
    assert [duration(s) for s in (0.4, 59.6, 3600)] == ["0:00", "1:00", "1:00:00"]
