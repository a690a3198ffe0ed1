"""Fixtures that every test may use."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# wherever pytest is started, whatever the user has set
for name in [n for n in os.environ if n.startswith("COVID_STUDY_") and n != "COVID_STUDY_TEST_DATA"]:
    del os.environ[name]
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"  # the servers of tests
os.environ["COVID_STUDY_SALT"] = (
    "of the tests"  # hashes alike everywhere; nothing is kept in the user's folder
)
# fixtures root, p, v, table3; browser; travelled
pytest_plugins = ["tiny_study", "browser", "travelling"]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with real chest CT (COVID_STUDY_TEST_DATA, else ../shared/data); skips where there is none."""
    folder = Path(os.environ.get("COVID_STUDY_TEST_DATA") or ROOT.parent / "shared" / "data")
    if not (folder / "covid-ct-md").is_dir():
        pytest.skip(f"no real exams: {folder / 'covid-ct-md'} is absent (set COVID_STUDY_TEST_DATA)")
    return folder
