"""The wheel: what is in it, and that it works where it is installed. Built with the installed setuptools."""

import zipfile

import pytest
import yaml
from release import ROOT, build, tried

import covid_study


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return build(tmp_path_factory.mktemp("dist"))


def test_it_holds_what_git_holds_and_nothing_of_the_tests(made):
    wheel = zipfile.ZipFile(made)
    held = set(wheel.namelist())
    (scripts,) = (name for name in held if name.endswith(".dist-info/entry_points.txt"))
    assert "covid-study = covid_study.cli:main" in wheel.read(scripts).decode()
    share = f"covid_study-{covid_study.__version__}.data/data/share/covid-study"
    package = [f for f in (ROOT / "covid_study").rglob("*") if f.is_file() and "__pycache__" not in f.parts]
    wanted = {str(f.relative_to(ROOT)) for f in package if f.suffix != ".sh"}
    wanted |= {f"{share}/{f.relative_to(ROOT)}" for f in ROOT.glob("notebooks/*.ipynb")}
    wanted |= {f"{share}/{f.relative_to(ROOT)}" for f in ROOT.glob("params/*.yaml")}
    wanted |= {f"{share}/{name}" for name in ("pyproject.toml", "README.md", "CITATION.cff")}
    assert {name for name in held if ".dist-info/" not in name} == wanted


def test_it_works_in_an_environment_of_its_own(made, tmp_path):
    version, sets, usage, times = tried(made, tmp_path / "environment")
    assert version.split()[0] == covid_study.__version__ and str(tmp_path) in version
    assert "covid-ct-md" in sets and "--notebooks" in usage and times.startswith("smoke, ")


def test_there_is_one_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == covid_study.__version__
    first = next(line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if line.startswith("## "))
    assert first.split()[1] == covid_study.__version__
