"""The commands: each has help with examples that can be called, errors are for people, nothing heavy is imported for help."""

import json
import re
import shlex
import shutil
import subprocess
import sys

import click
import pytest
from commands import call

from covid_study import paths
from covid_study.cli import COMMANDS, main
from covid_study.errors import StudyError
from covid_study.report.references import references


def examples(text: str) -> list[list[str]]:
    lines = text.partition("Examples:")[2].splitlines()
    return [shlex.split(line)[1:] for line in lines if line.strip().startswith("covid-study ")]


def test_help_lists_every_command_and_imports_none():
    code = "from covid_study.cli import main; import sys; main(['--help'], standalone_mode=False); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert all(re.search(rf"^  {name} .*\w", done, re.M) for name in COMMANDS)
    loaded = set(done.splitlines()[-1].split())
    assert "click" in loaded
    assert not loaded & {
        "torch",
        "pandas",
        "sklearn",
        "numpy",
        "covid_study.cli.archive",
        "covid_study.cli.runs",
    }


def test_help_of_what_only_reads_runs_is_quick():
    code = "import sys; from covid_study.cli import main; main(['scoreboard', '--help'], standalone_mode=False); "
    done = subprocess.run(
        [sys.executable, "-c", code + "print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    assert not set(done.stdout.splitlines()[-1].split()) & {"pandas", "pydantic", "joblib", "torch"}


def test_the_module_is_the_same_command():
    done = subprocess.run(
        [sys.executable, "-m", "covid_study", "rank"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and "FEATURES" in done.stderr and done.stdout == ""


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_help_and_examples_that_it_would_take(name):
    text = call(name, "--help").stdout
    command = main.get_command(None, name)
    assert isinstance(command, click.Command) and command.name == name
    found = examples(text)
    assert found and all(words[0] == name for words in found)
    for _, *words in found:
        asked = command
        while isinstance(asked, click.Group):
            first, *words = words
            asked = asked.commands[first]
        asked.make_context(name, words)  # raises where an option or a choice is unknown


def test_an_error_for_people_is_a_line_and_status_1(monkeypatch):
    @click.command()
    def fails():
        raise StudyError("exam e1: no file. What to do: restore it.")

    monkeypatch.setattr(main, "get_command", lambda ctx, name: fails)
    done = call("fails", code=1)
    assert (
        done.stderr.splitlines() == ["Error: exam e1: no file. What to do: restore it."] and done.stdout == ""
    )


@pytest.mark.parametrize(
    "words", [["no-such-command"], ["rank"], ["rank", "a.csv", "--positives", "p", "--mass", "m"]]
)
def test_wrong_usage_is_status_2(words):
    assert call(*words, code=2).stdout == ""


def test_data_sets_and_runs_answer_programs(tmp_path):
    found = json.loads(call("datasets", "list", "--json").stdout)
    assert found["covid-ct-md"]["title"] and found["covid-ct-md"]["terms"]
    assert call("datasets", "check", tmp_path / "nothing", code=1).stderr
    assert "--from" in call("datasets", "fetch", "--help").stdout
    done = call("reproduce", "--profile", "smoke", "--name", "nobody-ran-this", "--list", "--json")
    found = json.loads(done.stdout)
    assert (
        found["done"] and found["report"] is None and len(found["notebooks"]) == len(done.stderr.splitlines())
    )
    assert {one["status"] for one in found["notebooks"].values()} == {"not-run"}


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A project with nothing but the kept run of this one."""
    shutil.copytree(paths.reports("reference"), tmp_path / "reports" / "reference")
    monkeypatch.setattr(paths, "root", lambda: tmp_path)
    return next(iter(references()))


def test_the_scoreboard_is_that_of_the_run(kept):
    found = json.loads(call("scoreboard", kept, "--json").stdout)
    said = references()[kept]
    assert {line["key"]: line["verdict"] for line in found["claims"]} == {
        key: re.match(r"no effect|\w+", text)[0] for key, text in said.items()
    }
    assert sum(found["counts"].values()) == len(said)
    rows = [
        line
        for line in call("scoreboard", f"reference/{kept}", "--verdict", "holds").stdout.splitlines()
        if line[:1] == "|"
    ]
    assert len(rows) == 2 + found["counts"]["holds"]
    assert "no-such-run" in call("scoreboard", "no-such-run", code=1).stderr


def test_a_run_compared_with_itself_has_no_other_verdict(kept, tmp_path):
    run = f"reference/{kept}"
    found = json.loads(call("compare", run, run, "--json").stdout)
    assert found["flipped"] == [] and found["parameters"] == {} and found["claims"] == len(references()[kept])
    assert found["page"] == str(tmp_path / "reports" / f"compare-reference-{kept}-reference-{kept}.html")
    assert "nobody" in call("compare", run, "nobody", code=1).stderr
