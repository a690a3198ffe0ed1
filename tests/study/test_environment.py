"""The environment's files agree with each other, and with this interpreter."""

import re
import subprocess
import sys

import pytest
import yaml
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from covid_study import paths
from covid_study.study import environment

ROOT = paths.root()


def test_the_lock_satisfies_every_range():
    locked = environment.locked()
    for name, versions in environment.direct().items():
        assert name in locked, f"{name} is in pyproject.toml but not in requirements.lock"
        assert Version(locked[name]) in SpecifierSet(versions), f"{name} {locked[name]} is not {versions}"


def test_the_lock_holds_exact_versions_and_nothing_else():
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.!]*", line), line


def test_conda_installs_the_same_lock_with_the_tested_python():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())
    plain = [d for d in conda["dependencies"] if isinstance(d, str)]
    pip = [d["pip"] for d in conda["dependencies"] if isinstance(d, dict)]
    assert sorted(plain) == ["make", "pip", "python=3.11"]
    assert pip == [["-r requirements.lock"]]


def test_this_environment_is_the_locked_one():
    if (ROOT / ".venv").resolve() != type(ROOT)(sys.prefix).resolve():
        pytest.skip("not the project's own .venv")
    assert environment.missing() == []


def test_what_is_missing_is_named(tmp_path):
    (tmp_path / "pyproject.toml").write_text(
        '[project]\ndependencies = ["numpy>=999", "no-such-thing>=1", "PyYAML>=1"]\n'
    )
    old, absent = environment.missing(tmp_path)
    assert re.fullmatch(r"numpy>=999 \(has [\d.]+\)", old) and absent == "no-such-thing"


def test_citation_names_both_papers():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert [r["doi"] for r in citation["references"]] == [
        "10.1109/JBHI.2020.3018181",
        "10.1016/j.neucom.2021.06.012",
    ]
    assert [len(r["authors"]) for r in citation["references"]] == [13, 9]


@pytest.fixture
def make():
    def call(*arguments, **variables):
        environ = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent", **variables}
        done = subprocess.run(["make", *arguments], cwd=ROOT, env=environ, capture_output=True, text=True)
        return done.stdout + done.stderr

    return call


def test_help_is_the_default_and_names_every_target_and_variable(make):
    text = make()
    assert text == make("help")
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.search(r"^\.PHONY: (.*)$", makefile, re.M)[1].split()) - {"check-env"}
    for target in targets:
        assert re.search(rf"^  make {target} ", text, re.M), target
    for variable in (
        "PROFILE",
        "EXAMS",
        "DEVICE",
        "NAME",
        "NOTEBOOKS",
        "KERNEL",
        "PYTHON",
        "LAB",
        "BENCH",
        "EXECUTOR",
        "SET",
    ):
        assert re.search(rf"^  {variable} .*", text, re.M), variable
        assert f"{variable}=" in text, f"{variable} has no example"


def test_which_python_make_takes(make):
    assert "'.venv/bin/python' -m covid_study reproduce" in make("-n", "reproduce")
    assert "'/env/bin/python' -m covid_study reproduce" in make("-n", "reproduce", CONDA_PREFIX="/env")
    assert "'.venv/bin/python' -m" in make("-n", "reproduce", CONDA_PREFIX="/conda", CONDA_DEFAULT_ENV="base")
    assert "'/mine/python' -m covid_study reproduce" in make(
        "-n", "reproduce", "PYTHON=/mine/python", CONDA_PREFIX="/env"
    )


def test_variables_reach_the_runner_whole_and_the_machine_s_name_does_not(make):
    text = make("-n", "reproduce", "EXAMS=/my exams/it's", "NOTEBOOKS=03 04", NAME="hostname")
    assert "--exams '/my exams/it'\\''s'" in text and "--notebooks '03 04'" in text
    assert "--name" not in text
