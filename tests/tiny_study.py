"""The whole study on a cohort of nineteen small exams, computed once for all tests that use it."""

import pytest

from covid_study import paths
from covid_study.params import profiles
from covid_study.samples import volume_store
from covid_study.tables import a3_ranking

COUNTS = {"covid": 3, "cap": 3, "non_pneumonia": 4}


def parameters(root, **changed):
    """The smoke profile, as small as it can be; `changed` by section."""
    values = profiles.load_profile(paths.root() / "params" / "smoke.yaml")
    small = {
        "study": {
            "name": "tiny",
            "workers": 1,
            "seeds": [0],
            "bootstrap": 100,
            "device": "cpu",
            "show_patient_ids": True,
        },
        "cohort": {
            "phantom": {
                "seed": 1,
                "background": None,
                "matrix": 64,
                "thickness_mm": [10.0, 10.0],
                "train": COUNTS,
                "validation": {"covid": 1, "cap": 1, "non_pneumonia": 1},
                "test": {"covid": 2, "cap": 2, "non_pneumonia": 2},
            }
        },
        "preprocessing": {"shape": [32, 24, 8], "working_spacing_mm": [4.0, 4.0, 10.0]},
        "network": {"width": 0.0625},
        "pretext": {"epochs": 1, "all_samples_epochs": 1, "gap": [2, 2, 0]},
        "sampling": {"shares": [0.3, 0.6]},
    }
    for source in (small, changed):
        for section, keys in source.items():
            values[section] |= keys
    return profiles.check(profiles.Profile, values, "test")


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
    """One build folder for all modules: what the first computes, the second finds."""
    return tmp_path_factory.mktemp("project")


@pytest.fixture(scope="module")
def root(tiny_folder):
    """A build folder of these tests' own; the real one comes back after each module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "build", lambda name: tiny_folder / "build" / name)
        yield tiny_folder


@pytest.fixture(scope="module")
def p(root):
    return parameters(root)


@pytest.fixture(scope="module")
def v(p):
    return volume_store.volumes(p)


@pytest.fixture(scope="module")
def table3(p, v):
    """Table III: its runs, and where their results lie."""
    made = a3_ranking.table(p, v)
    return made.runs, made.train()
