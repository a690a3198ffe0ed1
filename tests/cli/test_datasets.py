"""The command line: every command's words and exit code, and never a traceback."""

import dataclasses
import hashlib
import zipfile

import dataset_trees as trees
import pytest
from click.testing import CliRunner
from file_server import serving

from covid_study.cli import main
from covid_study.datasets import catalogue, check as checks
from covid_study.datasets.catalogue import File, find


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a command with the sets expected below tmp_path: exit code, stdout, stderr."""
    monkeypatch.setenv(catalogue.FOLDER, str(tmp_path / "sets"))

    def call(*arguments):
        done = CliRunner().invoke(main, ["datasets", *map(str, arguments)])
        return done.exit_code, done.stdout, done.stderr

    return call


@pytest.fixture
def other(monkeypatch):
    """Replace facts of a data set, so that a small tree or a server of our own serves for it."""

    def change(name, **facts):
        changed = catalogue.catalogue() | {name: dataclasses.replace(find(name), **facts)}
        monkeypatch.setattr(catalogue, "catalogue", lambda: changed)

    return change


def test_list_says_of_each_what_it_is_and_whether_it_is_there(run, other, tmp_path):
    trees.sars_cov_2(tmp_path / "sets" / "sars-cov-2", 6)
    other("sars-cov-2", counts={"": {"covid": 6, "non_covid": 6}})
    code, out, _ = run("list")
    blocks = {block.partition(":")[0]: block for block in out.split("\n\n")}
    assert code == 0 and list(blocks)[:-1] == list(catalogue.catalogue())
    assert "now     there: 12 slices, whole" in blocks["sars-cov-2"]
    assert "now     not there" in blocks["covid-ct"] and f"{tmp_path}/sets/covid-ct" in blocks["covid-ct"]
    assert "CC BY-NC 4.0" in blocks["stoic"] and "2,000 chest CT exams" in blocks["stoic"]
    assert "\n  now " not in blocks["csv"] and "EXAMS=table.csv" in blocks["csv"]


def test_check_of_a_name_counts_and_opens_and_says_what_is_wrong(run, other, tmp_path):
    root = trees.sars_cov_2(tmp_path / "sets" / "sars-cov-2", 6)
    other("sars-cov-2", counts={"": {"covid": 6, "non_covid": 6}})
    code, out, err = run("check", "sars-cov-2")
    assert (code, err) == (0, "")
    assert (
        "12 slices of patients that are not known: 6 covid, 6 non_covid" in out
        and "Nothing wrong was found." in out
    )
    assert (
        "SHA-256 over names and contents: " in out and "does not say which images are of one patient" in out
    )
    (root / "COVID" / "Covid (1).png").write_text("no picture")
    (root / "COVID" / "Covid (2).png").unlink()
    code, out, err = run("check", "sars-cov-2", "--at", root)
    assert code == 1 and "2 problems:" in out
    assert "Covid (1).png cannot be read" in err and "covid: 5 slices, published are 6" in err


def test_check_of_a_path_prints_the_exam_table_and_reads_on_request(run, tmp_path):
    for name in ("covid", "cap"):
        trees.volume(tmp_path / "mine" / name / f"{name}.nii.gz")
    code, out, _ = run("check", tmp_path / "mine")
    assert code == 0 and "covid-covid\tcovid" in out and "SHA-256" not in out
    assert "2 exams of 2 patients: 1 cap, 1 covid" in out
    code, out, _ = run("check", tmp_path / "mine", "--read")
    assert code == 0 and "covid-covid (16, 40, 48) voxels of 1 x 1 x 1 mm" in out and "SHA-256" in out
    (tmp_path / "mine" / "cap" / "empty").mkdir()
    code, _, err = run("check", tmp_path / "mine", "--read")
    assert code == 1 and "exam cap-empty" in err


def test_check_of_a_path_with_slices(run, tmp_path):
    code, out, err = run("check", trees.covid_ct(tmp_path / "mine"), "--read")
    assert (code, err) == (0, "") and "24 slices of 12 patients" in out and "validation" in out


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["check", "covidct"], ["no data set 'covidct' (did you mean covid-ct?)", "./my-data"]),
        (["check", "/nowhere/gone"], ["/nowhere/gone does not exist"]),
        (["check", "folder"], ["give their path"]),
        (["check", "stoic"], ["stoic is not at", "--at", "COVID_STUDY_DATA", "registry.opendata.aws"]),
        (["fetch", "gone"], ["no data set 'gone'"]),
        (["fetch", "csv"], ["nothing to fetch"]),
        (
            ["fetch", "covid-ct"],
            ["not fetched by this command", "No licence is stated", "git clone", "--from"],
        ),
        (["fetch", "covidx-ct-2a"], ["CC BY-NC-SA 4.0", "sign in"]),
        (["fetch", "covid-ct", "--from", "/nowhere/a.zip"], ["/nowhere/a.zip: there is no such file"]),
        (["fetch", "covid-ct", "--from", "a.zip", "--sha256", "zz"], ["64 hexadecimal digits"]),
        (["fetch", "stoic", "--sha256", "0" * 64], ["give exactly one with --from"]),
        (["fetch", "stoic", "--most", "0"], ["at least one exam"]),
    ],
)
def test_bad_input_is_one_message(run, arguments, words):
    code, _, err = run(*arguments)
    assert code == 1
    for word in words:
        assert word in err


def test_a_file_that_may_not_be_read_is_no_traceback(run, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied", "secret.csv")

    monkeypatch.setattr(checks, "check", refuse)
    code, _, err = run("check", tmp_path)
    assert code == 1 and "secret.csv cannot be used (Permission denied)" in err


def test_stopped_by_hand(run, tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(checks, "check", stop)
    code, _, err = run("check", tmp_path)
    assert code == 130 and "Stopped" in err


def test_fetch_takes_the_table_then_what_it_lists_and_goes_on_later(run, other, tmp_path):
    root = trees.stoic(tmp_path / "theirs", 2)
    files = {f"/{f.relative_to(root).as_posix()}": f.read_bytes() for f in root.rglob("*") if f.is_file()}
    with serving(b"", files=files) as server:
        base = find("stoic")
        listed = dataclasses.replace(base.listed, url=server.url + "/data/mha/{}.mha")
        first = File("metadata/reference.csv", server.url + "/metadata/reference.csv")
        other("stoic", files=(first,), listed=listed, counts={"": {"covid": 2, "other": 2}})
        code, out, _ = run("fetch", "stoic", "--most", 3)
        assert code == 0 and "no SHA-256 is published; its own is kept" in out
        assert "there, 1 of 4 exams missing" in out
        code, out, _ = run("fetch", "stoic")
        assert code == 0 and "its SHA-256 is that of the first fetch" in out
        assert "there: 4 exams, whole" in out
        assert len(server.asked) == 5  # nothing twice
        assert run("check", "stoic")[0] == 0
        table = tmp_path / "sets" / "stoic" / "metadata" / "reference.csv"
        text = "PatientID,probCOVID,probSevere\n../../evil,1,0\n"
        table.write_text(text)
        table.with_name("reference.csv.sha256").write_text(hashlib.sha256(text.encode()).hexdigest())
        code, _, err = run("fetch", "stoic")
        assert code == 1 and "'../../evil'" in err and not (tmp_path / "sets" / "evil.mha").exists()


def test_fetch_unpacks_what_you_got_where_it_is_expected(run, other, tmp_path):
    root = trees.covid_ct(tmp_path / "theirs")
    archive = tmp_path / "release.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        for file in root.rglob("*"):
            opened.write(file, f"COVID-CT-master/{file.relative_to(root)}")
    other("covid-ct", counts={split: {"covid": 4, "non_covid": 4} for split in trees.LISTS}, digest="")
    sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    code, _, err = run("fetch", "covid-ct", "--from", archive, "--sha256", "0" * 64)
    assert code == 1 and f"its SHA-256 is {sha256}, not the one given" in err
    code, out, _ = run("fetch", "covid-ct", "--from", archive, "--sha256", sha256)
    assert code == 0 and f"{tmp_path}/sets/covid-ct: there: 24 slices, whole" in out
    code, _, err = run("fetch", "covid-ct", "--from", archive)
    assert code == 1 and "is not empty" in err
    with serving(archive.read_bytes()) as server:
        code, out, _ = run(
            "fetch", "covid-ct", "--from", f"{server.url}/copy.zip?x=1", "--to", tmp_path / "second"
        )
    assert code == 0 and "copy.zip: no SHA-256 is published" in out and "24 slices, whole" in out


def test_archives_of_other_addresses_do_not_share_a_file(run, tmp_path):
    archives = {}
    for name in ("a", "b"):
        with zipfile.ZipFile(tmp_path / name, "w") as opened:
            opened.writestr(f"{name}.png", name)
        archives[f"/{name}/master.zip"] = (tmp_path / name).read_bytes()
    with serving(b"", files=archives) as server:
        for name, place in (("a", "covid-ct"), ("b", "sars-cov-2")):
            run("fetch", place, "--from", f"{server.url}/{name}/master.zip")
            assert [file.name for file in (tmp_path / "sets" / place).iterdir()] == [f"{name}.png"]


def test_cards_are_printed(run):
    code, out, _ = run("cards")
    assert code == 0 and out == catalogue.cards()
