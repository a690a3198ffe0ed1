"""Blocks of pairs: every way of sharing the work gives the same distances, and a killed run loses only what was unfinished."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from covid_study.ranking import blocks, emd, some_others
from covid_study.ranking.blocks import Blocks, in_threads
from covid_study.ranking.emd import mean_emd_to_others, pairwise_emd

RNG = np.random.default_rng(4)
F, G = RNG.gamma(0.5, size=(23, 12)) + 1e-3, 1.4 * RNG.gamma(0.5, size=(9, 12)) + 1e-3
GROUND = np.sqrt(np.abs(np.subtract.outer(np.arange(12), np.arange(12))))


def files(folder: Path) -> dict[str, int]:
    return {f"{f.parent.name}/{f.name}": f.stat().st_mtime_ns for f in folder.rglob("*.npz")}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(emd, "SIDE", 4)
    monkeypatch.setattr(emd, "SIDE_OF_PROGRAMMES", 5)


@pytest.mark.parametrize("mass", ["partial", "normalised"])
@pytest.mark.parametrize("ground, n_blocks", [(None, 6 * 3 + 6 * 7 // 2), (GROUND, 5 * 2 + 5 * 6 // 2)])
def test_blocks_kept_or_not_give_the_same(tmp_path, mass, ground, n_blocks):
    plain, square = (
        np.array([[emd.emd(f, g, mass, ground=ground) for g in other] for f in F]) for other in (G, F)
    )
    for kept in (None, Blocks(tmp_path), Blocks(tmp_path)):  # the last one reads what the one before has kept
        np.testing.assert_allclose(pairwise_emd(F, G, mass, ground=ground, blocks=kept), plain, atol=1e-12)
        found = mean_emd_to_others(F, mass, ground=ground, blocks=kept)
        np.testing.assert_allclose(found, square.sum(1) / (len(F) - 1), atol=1e-12)
    closed_form = mass == "normalised" and ground is None
    assert len(files(tmp_path)) == (0 if closed_form else n_blocks)


def test_other_histograms_or_another_ground_distance_never_take_the_same_blocks(tmp_path):
    kept, changed = Blocks(tmp_path), F.copy()
    changed[22, 11] += 1e-9
    for histograms in (F, changed):
        pairwise_emd(histograms, G, blocks=kept)
    once, twice = (pairwise_emd(F, G, ground=ground, blocks=kept) for ground in (GROUND, 2 * GROUND))
    np.testing.assert_allclose(twice, 2 * once, atol=1e-12)
    assert len({name.split("/")[0] for name in files(tmp_path)}) == 4
    kept.delete()
    assert not tmp_path.exists()


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize("n", [1, 2, 23])
def test_threads_share_out_every_pair_once(threads, n):
    found = in_threads(emd.partial_on_a_line, F[:n], F[:n], True, threads)
    np.testing.assert_array_equal(found, np.tril(pairwise_emd(F[:n], F[:n]), -1))
    found = in_threads(emd.partial_on_a_line, F[:n], G, False, threads)
    np.testing.assert_array_equal(found, pairwise_emd(F[:n], G))


def test_an_error_in_a_thread_is_told_and_finished_blocks_stay(tmp_path, capsys):
    done = []

    def fails_once(f, g, below):
        done.append(1)
        if len(done) == 4:
            raise MemoryError("no room")
        return emd.emd_partial.distances(f, g, below)

    with pytest.raises(MemoryError, match="no room"):
        blocks.matrix(fails_once, F, G, 4, Blocks(tmp_path), threads=1)
    kept = files(tmp_path)
    assert len(kept) == 3
    result = blocks.matrix(fails_once, F, G, 4, Blocks(tmp_path), threads=1)
    np.testing.assert_allclose(result, pairwise_emd(F, G), atol=1e-12)
    assert kept.items() <= files(tmp_path).items() and len(done) == 4 + 18 - 3
    assert "3 of 18 blocks" in capsys.readouterr().out


KILLED = """
import os, signal, sys
from itertools import count
import numpy as np
from covid_study.ranking import blocks as made, emd, some_others
from covid_study.ranking.blocks import Blocks

emd.SIDE = some_others.SIDE = 20
if __name__ == "__main__":
    write, done = made.write_atomically, count(1)

    def until_the_fifth(path, what):
        write(path, what)
        if next(done) == 5:
            os.kill(os.getpid(), signal.SIGKILL)

    made.write_atomically = until_the_fifth
    F = np.random.default_rng(6).gamma(1.0, size=(200, 40))
    blocks = Blocks(sys.argv[1], sys.argv[2])
    np.save(sys.argv[1] + ".npy", EXPRESSION)
"""
MEANS = {
    "emd.mean_emd_to_others(F, blocks=blocks)": 55,
    "some_others.mean_emd_to_some(F, 100, blocks=blocks)": 50,
}


@pytest.mark.parametrize("mean", MEANS)
def test_killed_in_the_middle_of_a_dask_run_it_keeps_the_finished_blocks(tmp_path, monkeypatch, capsys, mean):
    script, folder = tmp_path / "rank.py", tmp_path / "blocks"
    script.write_text(KILLED.replace("EXPRESSION", mean))
    first = subprocess.run([sys.executable, script, folder, "dask"], start_new_session=True)
    kept = files(folder)
    assert first.returncode == -signal.SIGKILL and len(kept) == 5
    for module in (emd, some_others):
        monkeypatch.setattr(module, "SIDE", 20)
    F = np.random.default_rng(6).gamma(1.0, size=(200, 40))
    here = {"emd": emd, "some_others": some_others, "F": F}
    found = eval(mean, here | {"blocks": Blocks(str(folder), "in_process")})
    assert f"{len(kept)} of {MEANS[mean]} blocks of distances were finished before" in capsys.readouterr().out
    assert kept.items() <= files(folder).items(), "a finished block was computed again"
    np.testing.assert_array_equal(found, eval(mean, here | {"blocks": None}))
