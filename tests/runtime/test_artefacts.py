"""The cache: which changes make a new key, and what a kill at any moment leaves behind."""

import json
import os
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from covid_study.runtime import artefacts
from covid_study.runtime.artefacts import artefact, artefact_path, fingerprint, source_key, write_atomically


class Killed(Exception):
    pass


def test_a_key_does_not_depend_on_the_process():
    code = (
        "from covid_study.runtime.artefacts import *; "
        "print(source_key(['ranking.rank']), fingerprint({'b': (1, 2.5), 'a': None}), "
        "artefact_path('x', 'y', {'s': 1}, ['ranking.emd']))"
    )
    expected = (
        source_key(["ranking.rank"]),
        fingerprint({"a": None, "b": [1, 2.5]}),
        artefact_path("x", "y", {"s": 1}, ["ranking.emd"]),
    )
    out = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
    )
    assert out.stdout.split() == [str(part) for part in expected], out.stderr


def test_fingerprints():
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint([1, 2]) == fingerprint((1, 2)) == fingerprint(np.array([1, 2])) != fingerprint([2, 1])
    assert fingerprint(np.float64(0.5)) == fingerprint(0.5) and fingerprint(np.int64(3)) == fingerprint(3)
    assert fingerprint(Path("a/b")) == fingerprint("a/b")
    values = [None, 0, 0.5, "0", [], {}, [0], [[0]], {"a": 0}, {"a": None}, True]
    assert len({fingerprint(v) for v in values}) == len(values)
    with pytest.raises(TypeError, match="cannot be part of a cache key"):
        fingerprint({"a": object()})


def test_writing_is_all_or_nothing(tmp_path):
    path = tmp_path / "deep" / "file.txt"
    write_atomically(path, lambda p: p.write_text("old"))

    def cut_off(p):
        p.write_text("ne")
        assert path.read_text() == "old"  # nobody sees the half of it
        raise Killed

    with pytest.raises(Killed):
        write_atomically(path, cut_off)
    assert path.read_text() == "old" and [p.name for p in path.parent.iterdir()] == ["file.txt"]
    write_atomically(path, lambda p: p.write_text("new"))
    assert path.read_text() == "new" and [p.name for p in path.parent.iterdir()] == ["file.txt"]


def make(folder, config=None, compute=None, label="run"):
    return artefact(
        folder,
        label,
        config or {"a": 1},
        ["ranking.emd"],
        compute or (lambda f: (f / "x").write_text("whole")),
    )


def test_computed_once_and_described(tmp_path):
    calls = []

    def compute(folder):
        calls.append(folder)
        (folder / "x").write_text("whole")

    first = make(tmp_path / "runs", {"b": np.float64(2), "a": (1, 2)}, compute)
    second = make(tmp_path / "runs", {"a": [1, 2], "b": 2.0}, compute)
    assert first == second and len(calls) == 1
    assert first == artefact_path(tmp_path / "runs", "run", {"a": [1, 2], "b": 2.0}, ["ranking.emd"])
    assert first.name.startswith("run-") and (first / "x").read_text() == "whole"
    record = json.loads((first / "config.json").read_text())
    assert record["config"] == {"a": [1, 2], "b": 2.0} and record["modules"] == ["ranking.emd"]


def test_another_configuration_label_or_source_is_another_artefact(tmp_path, monkeypatch):
    folders = [make(tmp_path), make(tmp_path, {"a": 2}), make(tmp_path, label="other")]
    monkeypatch.setattr(artefacts, "source_key", lambda modules: "edited")
    folders.append(make(tmp_path))
    assert len(set(folders)) == 4 and all(f.is_dir() for f in folders)


def test_after_an_exception_the_next_call_goes_on_in_the_same_folder(tmp_path):
    seen = []

    def compute(folder):
        seen.append((folder, sorted(p.name for p in folder.iterdir())))
        (folder / f"part-{len(seen)}").write_text("done")
        if len(seen) < 3:
            raise Killed

    for _ in range(2):
        with pytest.raises(Killed):
            make(tmp_path, compute=compute)
        assert not artefact_path(tmp_path, "run", {"a": 1}, ["ranking.emd"]).exists()
    final = make(tmp_path, compute=compute)
    assert len({folder for folder, _ in seen}) == 1
    assert [names for _, names in seen] == [[], ["part-1"], ["part-1", "part-2"]]
    assert sorted(p.name for p in final.iterdir()) == ["config.json", "part-1", "part-2", "part-3"]
    assert not seen[0][0].exists()


def test_while_it_is_computed_it_has_no_final_name(tmp_path):
    final = artefact_path(tmp_path, "run", {"a": 1}, ["ranking.emd"])

    def compute(folder):
        assert not final.exists() and folder.name.startswith(".")
        assert folder.parent == final.parent  # same file system: the rename is one step
        assert not [p for p in final.parent.glob("*") if not p.name.startswith(".")]

    assert make(tmp_path, compute=compute) == final


def test_killed_for_good_in_the_middle(tmp_path):
    """A process that dies without a word (kill -9) leaves no result, no lock that holds, and its work."""
    code = textwrap.dedent("""
        import os, sys
        from pathlib import Path
        from covid_study.runtime.artefacts import artefact
        def compute(folder):
            (folder / "epoch-1").write_text("done")
            os.kill(os.getpid(), 9)
        artefact(Path(sys.argv[1]), "run", {"a": 1}, ["ranking.emd"], compute)
    """)
    died = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True)
    assert died.returncode == -9
    assert not artefact_path(tmp_path, "run", {"a": 1}, ["ranking.emd"]).exists()
    found = []
    final = make(tmp_path, compute=lambda folder: found.extend(p.name for p in folder.iterdir()))
    assert found == ["epoch-1"] and (final / "epoch-1").read_text() == "done"


def test_two_who_ask_at_once_compute_it_once(tmp_path):
    calls = []

    def compute(folder):
        calls.append(1)
        time.sleep(0.1)  # the others arrive meanwhile
        (folder / "x").write_text("whole")

    with ThreadPoolExecutor(4) as pool:
        folders = list(pool.map(lambda _: make(tmp_path, compute=compute), range(4)))
    assert len(set(folders)) == 1 and len(calls) == 1


def test_what_a_notebook_asks_for_is_listed_once_whether_made_or_found(tmp_path, monkeypatch):
    for used in (tmp_path / "made", tmp_path / "found"):
        monkeypatch.setenv(artefacts.USED_FILE, str(used))
        for _ in range(2):
            folder = artefact(tmp_path / "runs", "a", {}, ["errors"], lambda f: (f / "x").write_text("whole"))
            assert used.read_text().splitlines() == [f"runs/{folder.name}"]
