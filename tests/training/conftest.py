"""What the tests of runs and of sweeps share."""

import pytest
from tiny_runs import noise

from covid_study.training import sweep, volume_classifier


@pytest.fixture(autouse=True)
def none_has_begun(monkeypatch):
    """Processes that tests before these have left would take a small sweep, too, and nothing here would see it."""
    monkeypatch.setattr(sweep, "start_up", lambda workers: 7.0)


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
