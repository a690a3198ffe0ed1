"""The commands as they are typed: what comes out, in which form, with which status."""

import io
import json

import pandas as pd
from click.testing import CliRunner
from dicom_factory import write_series

from covid_study.cli import main
from covid_study.models.model import NOTICE


def call(*arguments):
    return CliRunner().invoke(main, [str(one) for one in arguments])


def test_a_table_or_json_of_the_same_exams_with_status_1_where_one_failed(travelled, tmp_path):
    (tmp_path / "bad.mha").write_bytes(b"no volume")
    given = (
        travelled.models["volumes"].folder,
        next(travelled.exams.glob("*.mha")),
        tmp_path / "bad.mha",
        "--workers",
        1,
    )
    table, data = call("predict", *given), call("predict", *given, "--json")
    assert table.exit_code == data.exit_code == 1
    rows, found = (
        pd.read_csv(io.StringIO(table.stdout), float_precision="round_trip"),
        json.loads(data.stdout),
    )
    assert (rows["notice"] == NOTICE).all() and found["notice"] == NOTICE
    assert [one["probability"] for one in found["exams"]][0] == rows["probability"][0]
    assert rows["error"].isna().tolist() == [True, False] and found["exams"][1]["probability"] is None
    good = call("predict", *given[:2], "-o", tmp_path / "p.json")
    assert good.exit_code == 0 and len(json.loads((tmp_path / "p.json").read_text())["exams"]) == 1


def test_what_is_wrong_is_a_message_and_no_traceback(tmp_path):
    cell = "--table", "A.III", "--row", "both"
    wrong = call("predict", tmp_path, "x"), call("export", "no-such-run", *cell, "-o", tmp_path / "m")
    for said in wrong:
        assert said.exit_code == 1 and said.stderr.startswith("Error: ") and "Traceback" not in said.stderr
    assert call("predict", tmp_path, "x", "-o", "a.xlsx").exit_code == 1


def test_explain_says_it_for_people_and_for_machines(tmp_path):
    files = write_series(tmp_path / "exam")
    files[4].unlink()
    said = call("explain", tmp_path / "exam", "-o", tmp_path / "a.png")
    found = call("explain", tmp_path / "exam", "-o", tmp_path / "a.png", "--json")
    assert said.exit_code == found.exit_code == 1 and NOTICE in said.stdout
    about = json.loads(found.stdout)
    assert about["usable"] is False and about["notice"] == NOTICE and (tmp_path / "a.png").is_file()
