"""An artefact that has lost a file is refused, in whatever way it is asked for."""

import shutil

import numpy as np
import pytest
from refusals import refused

from covid_study.errors import StudyError
from covid_study.runtime import artefacts, manifest


def made(folder):
    def compute(place):
        (place / "deep").mkdir()
        (place / "deep" / "x.npy").write_bytes(bytes(range(64)))
        (place / ".x.npy.1.tmp").write_bytes(b"half")

    return artefacts.artefact(folder, "run", {"a": 1}, ["ranking.emd"], compute)


def lose(folder):
    (folder / "deep" / "x.npy").unlink()


def cut(folder):
    (folder / "deep" / "x.npy").write_bytes(bytes(range(63)))


def empty(folder):
    (folder / "config.json").write_text("")


@pytest.mark.parametrize("harm, named", [(lose, "deep/x.npy"), (cut, "63"), (empty, "config.json")])
def test_what_is_lost_is_named_with_the_way_to_make_it_again(tmp_path, harm, named):
    folder = made(tmp_path)
    harm(folder)
    for ask in (lambda: made(tmp_path), lambda: artefacts.is_there(folder)):
        refused(StudyError, ask, folder, named, f"rm -r {folder}")
    shutil.rmtree(folder)
    manifest.check(made(tmp_path), whole=True)


def test_other_bytes_of_the_same_size_are_found_by_their_hash(tmp_path):
    folder = made(tmp_path)
    (folder / "deep" / "x.npy").write_bytes(bytes(64))
    manifest.check(folder)
    refused(StudyError, lambda: manifest.check(folder, whole=True), "deep/x.npy")


def test_what_it_was_made_with_is_recorded(tmp_path):
    kept = manifest.record(made(tmp_path))["made_with"]
    assert {"commit", "python", "torch", "numpy", "machine"} <= set(kept) and kept["numpy"] == np.__version__


def test_an_artefact_of_before_there_were_manifests_passes(tmp_path):
    folder = made(tmp_path)
    (folder / "config.json").write_text('{"config": {"a": 1}}')
    assert made(tmp_path) == folder


def test_leftovers_of_a_kill_are_no_part_of_it(tmp_path):
    partial = artefacts.artefact_path(tmp_path, "run", {"a": 1}, ["ranking.emd"])
    partial = partial.with_name(f".partial-{partial.name}")
    partial.mkdir(parents=True)
    (partial / ".old.parquet.77.tmp").write_bytes(b"half")
    assert ".old.parquet.77.tmp" not in manifest.record(made(tmp_path))["files"]
