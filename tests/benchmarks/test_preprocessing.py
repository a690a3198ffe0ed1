"""The benchmark of preprocessing at a small size: every side runs, and does the same work. No test looks at seconds."""

import sys

import numpy as np
import pytest

from covid_study import paths

sys.path.insert(0, str(paths.root() / "benchmarks"))
import preprocessing as benchmark  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench") / "exam"
    assert benchmark.write_exam(folder, benchmark.QUICK) == 96 * 96 * 2 * len(list(folder.iterdir()))
    return folder


def test_monai_with_our_mask_gives_the_same_volume(folder):
    """But for where the centre is rounded to, and smoothing."""
    ours, theirs = benchmark.ours(folder), benchmark.monai(folder)
    assert ours.shape == theirs.shape == (56, 192, 256) and ours.dtype == theirs.dtype
    assert benchmark.alike(theirs, ours) > 0.99
    assert benchmark.alike(np.flip(theirs, 2), ours) < 0.9


def test_a_summary_is_of_medians_and_its_ratio_of_ours():
    own = benchmark.summary("ours", 1, {"seconds": [1.0, 3.0, 2.0], "memory": 10}, [], 5)
    assert (own["seconds_an_exam"], own["ratio"], own["memory_in_exams"]) == (2, 1, 2)
    assert benchmark.summary("b", 1, {"seconds": [8.0], "memory": 10}, [own], 5)["ratio"] == 4
