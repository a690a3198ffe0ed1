"""Every command that README and CONTRIBUTING give can be called: its target, its variables, its module, its options."""

import re
import shlex
import subprocess
import sys
from itertools import takewhile
from pathlib import Path

import pandas as pd
import pytest

from covid_study import paths
from covid_study.study.reference import first_screen

ROOT = paths.root()


def commands() -> list[str]:
    """What stands in blocks of shell, and between backticks where it begins like a command."""
    found = []
    for file in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / file).read_text()
        for block in re.findall(r"```sh\n(.*?)```", text, re.S):
            found += block.splitlines()
        found += re.findall(
            r"`((?:make|python|\.venv/bin/)[^`]*)`", re.sub(r"```.*?```", "", text, flags=re.S)
        )
    plain = (shlex.join(shlex.split(line, comments=True)) if "$" not in line else "" for line in found)
    return sorted({line for line in plain if line})


def called(*words: str) -> subprocess.CompletedProcess:
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("command", commands())
def test_a_command_can_be_called(command):
    program, *words = shlex.split(command)
    if program == "make":
        text = called("make", "help").stdout
        targets, variables = [w for w in words if "=" not in w], [w.split("=")[0] for w in words if "=" in w]
        assert all(re.search(rf"^  {name} ", text, re.M) for name in variables), command
        assert all(re.search(rf"^  make {name} ", text, re.M) for name in targets), command
        done = called("make", "-n", *words, f"PYTHON={sys.executable}")
        assert done.returncode == 0, done.stderr
    elif words[:1] == ["-m"] and words[1] == "pytest":
        assert (ROOT / words[2]).is_file()
    elif words[:1] == ["-m"]:
        options = {word for word in words[2:] if word.startswith("--")}
        done = called(sys.executable, *takewhile(lambda word: not word.startswith("--"), words), "--help")
        assert done.returncode == 0 and all(option in done.stdout for option in options), (
            done.stdout + done.stderr
        )
    elif words[:1] and words[0].endswith(".py"):
        assert (ROOT / words[0]).is_file()
    else:
        assert (
            program.startswith(".venv/bin/") and (Path(sys.executable).parent / Path(program).name).is_file()
        )


def test_the_first_screen_says_what_the_kept_runs_say():
    """It is written by `make reference`; a claims.csv that changes takes it along."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    kept = sorted(paths.reports("reference").glob("*/claims.csv"))
    for file in kept:
        assert first_screen(text, file.parent.name, pd.read_csv(file)) in (None, text), file
    marked = re.findall(r"<!-- says (\S+) -->", text)
    assert {name for name in marked} <= {file.parent.name for file in kept}
