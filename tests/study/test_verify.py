"""`make verify` on the tiny study: it holds as it was left; what was changed since, a file, a score or a row, is named."""

import re
import shutil

import pandas as pd
import pytest
from refusals import refused

from covid_study import paths
from covid_study.errors import StudyError
from covid_study.params.profiles import load_profile, put
from covid_study.runtime import manifest
from covid_study.study import verify
from covid_study.study.plan import Plan
from covid_study.tables import a3_ranking


@pytest.fixture(scope="module")
def whole(p, v, table3):
    """The tiny study's build folder, its Table III written."""
    a3_ranking.table(p, v).results()
    return paths.build(p.study.name)


@pytest.fixture
def run(whole, tmp_path):
    """A copy of it that may be harmed, its notebooks aside."""
    shutil.copytree(whole, tmp_path / "build" / "tiny", ignore=shutil.ignore_patterns(".*"))
    plan = Plan(
        put(load_profile(paths.root() / "params" / "smoke.yaml"), "study.name", "tiny"), None, tmp_path
    )
    plan.__dict__["notebooks"] = []
    return plan


def test_what_was_left_holds_and_says_with_what_it_was_made(run, capsys):
    assert verify.verify(run)
    told = capsys.readouterr().out  # other modules leave tables there too
    assert int(re.search(r"(\d+) cells of tables", told)[1]) >= 5 and "All of it holds" in told
    about = pd.read_parquet(run.build / "results" / "A.III.parquet").attrs
    assert about["seeds"] == [0] and len(about["data"]) == 2 and "CPU" in about["device"]
    assert {"commit", "torch", "machine"} <= set(about["made_with"])


def test_a_file_of_the_same_size_with_other_bytes_is_named(run, capsys):
    file = next(run.build.glob("runs/*/weights.safetensors"))
    file.write_bytes(file.read_bytes()[:-4] + b"\0\1\2\3")
    assert not verify.verify(run)
    out = capsys.readouterr().out
    assert file.parent.name in out and "weights.safetensors" in out


@pytest.mark.parametrize("column", ["mean", "low"])
def test_a_score_that_does_not_come_from_the_predictions_is_named(run, column, capsys):
    file = run.build / "results" / "A.III.parquet"
    table = pd.read_parquet(file)
    table.loc[table["metric"] == "auc", column] += 1e-6
    table.to_parquet(file)
    assert not verify.verify(run)
    assert "A.III.parquet" in (out := capsys.readouterr().out) and "auc" in out


def test_predictions_that_lost_a_row_are_damaged_wherever_they_are_asked_for(run, capsys):
    folder = next(run.build.glob("runs/*/predictions.parquet")).parent
    pd.read_parquet(folder / "predictions.parquet").iloc[1:].to_parquet(
        folder / "predictions.parquet", index=False
    )
    refused(StudyError, lambda: manifest.check(folder), folder, "predictions.parquet")
    assert not verify.verify(run) and folder.name in capsys.readouterr().out


def test_nothing_there_is_no_success(tmp_path):
    plan = Plan(load_profile(paths.root() / "params" / "smoke.yaml"), None, tmp_path)
    refused(StudyError, lambda: verify.verify(plan), "make reproduce")
