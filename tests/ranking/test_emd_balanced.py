"""Equal masses: blocks of any size give the same, the caller's data stay as they are, memory is bounded; on a GPU too."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance

from covid_study.ranking import emd_balanced
from covid_study.ranking.emd import mean_emd_to_others, pairwise_emd

RNG = np.random.default_rng(9)
F, G = RNG.gamma(0.4, size=(37, 14)) + 1e-6, RNG.gamma(0.4, size=(11, 14)) + 1e-6
GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def by_scipy(first, second):
    bins = np.arange(first.shape[1])
    return np.array([[wasserstein_distance(bins, bins, f, g) for g in second] for f in first])


@pytest.mark.parametrize("block", [1, 8 * 14 * 5, 8 * 37 * 3, 2**27])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=GPU)])
def test_blocks_threads_and_devices_give_what_scipy_gives(monkeypatch, block, threads, device):
    monkeypatch.setattr(emd_balanced, "BLOCK", block)
    how, before = {"device": device, "threads": threads}, torch.get_num_threads()
    np.testing.assert_allclose(pairwise_emd(F, G, "normalised", **how), by_scipy(F, G), atol=1e-12)
    means = by_scipy(F, F).sum(1) / 36
    np.testing.assert_allclose(mean_emd_to_others(F, "normalised", **how), means, atol=1e-12)
    assert torch.get_num_threads() == before


def test_the_callers_data_stay_as_they_are():
    for given in (F.copy(), np.asfortranarray(F), F.astype(np.float32)):
        given.setflags(write=False)
        before = given.copy()
        pairwise_emd(given, given, "normalised")
        mean_emd_to_others(given, "normalised")
        np.testing.assert_array_equal(given, before)
    assert emd_balanced._with_float64("mps").type == "cpu"


def test_ties_and_scales_lose_no_digits():
    many = np.repeat(F[:3], 50, axis=0) * RNG.choice([1e-6, 1.0, 1e6], size=(150, 1))
    means = by_scipy(many, many).sum(1) / 149
    np.testing.assert_allclose(mean_emd_to_others(many, "normalised"), means, atol=1e-12)


MEMORY = """
import resource
import numpy as np
from covid_study.ranking import emd_balanced
from covid_study.ranking.emd import mean_emd_to_others

emd_balanced.BLOCK = 2**22
F = np.random.default_rng(0).random((150_000, 100), dtype=np.float64)
mean_emd_to_others(F[:1000], "normalised")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
mean_emd_to_others(F, "normalised")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.skipif(sys.platform == "darwin", reason="ru_maxrss is in other units there")
def test_memory_is_bounded_by_blocks_and_not_by_the_archive():
    run = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    # The histograms take 114 MiB, one copy would double that, the matrix of pairs would take 168 GiB.
    assert float(run.stdout) < 95
