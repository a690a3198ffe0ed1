"""What the tests of runs and of sweeps share."""

import pytest
from tiny_runs import noise

from covid_study.training import volume_classifier


@pytest.fixture(scope="session")
def volumes():
    """Exams of noise; nobody changes them."""
    return noise()


@pytest.fixture
def trainings(monkeypatch) -> list:
    """The titles of all trainings that really happen."""
    happened, original = [], volume_classifier.fit

    def fit(*args, title, **kwargs):
        happened.append(title)
        return original(*args, title=title, **kwargs)

    monkeypatch.setattr(volume_classifier, "fit", fit)
    return happened
