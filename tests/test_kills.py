"""A short form of `make kills`: a small study without networks, killed three times, ends with the same bytes."""

import json
import multiprocessing
import random
import shutil
import subprocess
import time
from functools import partial
from pathlib import Path

import kills
import numpy as np
import pandas as pd
import pytest

from covid_study.ranking import blocks
from covid_study.report.results import write_results
from covid_study.runtime.artefacts import artefact
from covid_study.samples.slice_parts import build_slices

FORK = multiprocessing.get_context("fork")  # has imported what the study needs


class Forked:
    """A fork of this process in the place of a `Popen`."""

    def __init__(self, target, *arguments):
        self.process = FORK.Process(target=target, args=arguments)
        self.process.start()
        self.pid = self.process.pid

    def poll(self):
        return self.process.exitcode

    def wait(self, timeout=None):
        self.process.join(timeout)
        if self.process.exitcode is None:
            raise subprocess.TimeoutExpired("a fork", timeout)
        return self.process.exitcode


def cut(n):
    time.sleep(0.1)
    images = np.random.default_rng(n).integers(0, 255, (2, 8, 8), dtype=np.uint8)
    known = dict.fromkeys(["lesion_area_mm2", "lesion_share", "lung_area_mm2"], np.nan)
    rows = [{"slice_id": f"{n}-{k}", "source": str(n), "position_mm": 0.0, **known} for k in range(2)]
    return {"images": images, "rows": rows, "left_out": []}


def apart(F, G, below):
    time.sleep(0.02)
    return abs(F[:, None] - G[None]).sum(2)


def study(build):
    """Slices, a ranking of them, a table."""

    def slices(folder):
        build_slices([partial(cut, n) for n in range(12)], folder, 8, threads=True, workers=2)

    def rank(folder):
        kept = blocks.Blocks(folder / "blocks")
        images = np.load(made / "images.npy").reshape(24, -1).astype(float)
        np.save(folder / "distances.npy", blocks.sums(apart, images, 4, kept, threads=1))
        kept.delete()

    made = artefact(build / "slices", "phantom", {"seed": 0}, ["samples.slice_parts"], slices)
    ranked = artefact(build / "ranking", "grey", {"slices": made.name}, ["ranking.blocks"], rank)
    total = np.load(ranked / "distances.npy").sum()
    said = {"row": "a", "column": "b", "metric": ["f1", "hours"], "mean": [total, time.time()]}
    write_results(build / "results" / "A.parquet", pd.DataFrame(said))


@pytest.fixture
def start():
    begun = []

    def call(build):
        begun.append(Forked(study, build))
        return begun[-1]

    yield call
    for process in begun:
        if process.poll() is None:
            kills.kill(process)


def parts(build: Path) -> int:
    return len(list(build.rglob("parts/*.json"))) + len(list(build.rglob("blocks/*/*.npz")))


def test_killed_three_times_it_ends_with_the_same_bytes(start, tmp_path):
    assert start(tmp_path / "whole").wait() == 0
    dice, seen = random.Random(0), []

    def between(process):
        """Kill it in its work, not before; stopped, and with a clock set back, it goes on."""
        before, until = parts(tmp_path / "killed"), time.monotonic() + 60
        while parts(tmp_path / "killed") <= before and process.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        kills.pause(process, 0.1)
        kills.into_the_future([tmp_path / "killed"])
        seen.append(before)

    ends = []
    for done in kills.killed(lambda: start(tmp_path / "killed"), 3, 0.2, dice, between):
        ends.append(done)
        assert kills.differences(tmp_path / "whole", tmp_path / "killed") == []
        assert len(ends) < 20, "it always ends before it can be killed"
        if done < 3:  # it ended by itself: begun anew, as `main` does
            shutil.rmtree(tmp_path / "killed")
    assert ends[-1] == 3 and max(seen) > 0  # it found its own work again


def test_a_difference_is_found(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name / "runs").mkdir(parents=True)
        (tmp_path / name / "runs" / "a.npy").write_bytes(name[1:2].encode())
        frame = pd.DataFrame({"metric": ["f1", "hours"], "mean": [0.5, len(name)], "seconds": len(name)})
        frame.to_parquet(tmp_path / name / "b.parquet")
        for file, value in (("facts.json", 1), ("c.json", len(name))):  # times in any depth are none
            (tmp_path / name / file).write_text(json.dumps([{"seconds": len(name), "auc": [value]}]))
    (tmp_path / "one" / "lone").touch()
    assert kills.differences(tmp_path / "one", tmp_path / "other") == [
        "lone is in one of them",
        "c.json",
        "runs/a.npy",
    ]
