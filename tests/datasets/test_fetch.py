"""Downloads against a server that cuts off, changes its file, knows no ranges; a process killed; zips, whole or not at all."""

import hashlib
import io
import os
import signal
import stat
import subprocess
import sys
import threading
import time
import zipfile
from functools import partial

import numpy as np
import pytest
from file_server import serving
from refusals import refused

from covid_study.datasets import fetch as downloads
from covid_study.datasets.fetch import fetch, unpack
from covid_study.errors import StudyError

DATA = np.random.default_rng(0).bytes(300_000)
OTHER = np.random.default_rng(1).bytes(300_000)
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(autouse=True)
def small_steps(monkeypatch):
    """What has come is on the disk after every 10 kB."""
    monkeypatch.setattr(downloads, "CHUNK", 10_000)


def left(folder):
    """The visible files of a folder, the hash aside."""
    return sorted(f.name for f in folder.iterdir() if not f.name.startswith(".") and f.suffix != ".sha256")


def test_a_file_comes_whole_with_its_hash_beside_it_and_is_not_fetched_twice(tmp_path):
    file = tmp_path / "set" / "a.bin"
    with serving(DATA) as server:
        got = fetch(server.url + "/a.bin", file)
        assert (got.file, got.sha256, got.against) == (file, SHA256, "nothing")
        assert file.read_bytes() == DATA and left(file.parent) == ["a.bin"]
        assert (tmp_path / "set" / "a.bin.sha256").read_text() == f"{SHA256}  a.bin\n"
        assert fetch(server.url + "/a.bin", file).against == "kept"
        assert fetch(server.url + "/a.bin", file, SHA256.upper()).against == "given"
        assert len(server.asked) == 1


def test_cut_off_it_goes_on_where_it_was(tmp_path):
    with serving(DATA, cut=100_000) as server:
        fetch(server.url, tmp_path / "a.bin", pause=0)
        assert (tmp_path / "a.bin").read_bytes() == DATA
        assert [wanted for _, wanted in server.asked] == [None, "bytes=100000-", "bytes=200000-"]


def test_as_long_as_something_comes_it_is_tried_again(tmp_path):
    with serving(DATA, cut=20_000) as server:  # fifteen pieces, though only two tries may be in vain
        fetch(server.url, tmp_path / "a.bin", tries=2, pause=0)
        assert (tmp_path / "a.bin").read_bytes() == DATA and len(server.asked) == 15


def test_without_ranges_it_begins_again(tmp_path):
    with serving(DATA, ranges=False, cut=100_000, cuts=2) as server:
        fetch(server.url, tmp_path / "a.bin", pause=0)
        assert (tmp_path / "a.bin").read_bytes() == DATA
        assert [wanted for _, wanted in server.asked] == [None, "bytes=100000-", "bytes=100000-"]


def test_a_server_that_names_no_version_is_asked_from_the_start(tmp_path):
    with serving(DATA, etag=None, modified=None, cut=100_000, cuts=2) as server:
        fetch(server.url, tmp_path / "a.bin", pause=0)
        assert (tmp_path / "a.bin").read_bytes() == DATA
        assert [wanted for _, wanted in server.asked] == [None, None, None]


def test_a_server_that_gives_no_length_is_believed_when_it_ends(tmp_path):
    with serving(DATA, length=False) as server:
        assert fetch(server.url, tmp_path / "a.bin").sha256 == SHA256


@pytest.mark.parametrize(
    "if_range", [True, False]
)  # heeded by the server, or seen from the headers of the answer
@pytest.mark.parametrize("change", ["etag", "modified", "length"])
def test_a_file_that_changed_between_two_tries_is_fetched_anew(tmp_path, change, if_range):
    file = tmp_path / "a.bin"
    with serving(
        OTHER, cut=100_000, if_range=if_range, etag='W/"weak"' if change == "modified" else '"one"'
    ) as server:
        server.cuts = 1
        with pytest.raises(StudyError, match="goes on at 100kB.*put it at .*a.bin"):
            fetch(server.url, file, tries=1, pause=0)
        assert left(tmp_path) == ["a.bin.part", "a.bin.part.json"]
        server.data = DATA[:-1] if change == "length" else DATA
        server.etag = {"etag": '"two"', "length": '"one"', "modified": 'W/"weak"'}[change]
        server.modified = "Sun, 22 Nov 2026 11:00:00 GMT" if change == "modified" else server.modified
        fetch(server.url, file, pause=0)
        assert file.read_bytes() == server.data and left(tmp_path) == ["a.bin"]


def test_a_file_that_became_shorter_than_what_has_come_is_fetched_anew(tmp_path):
    with serving(DATA, cut=100_000, cuts=1, if_range=False) as server:
        with pytest.raises(StudyError):
            fetch(server.url, tmp_path / "a.bin", tries=1)
        server.data = DATA[:50_000]  # it answers 416
        fetch(server.url, tmp_path / "a.bin")
        assert (tmp_path / "a.bin").read_bytes() == DATA[:50_000]


def test_a_wrong_hash_leaves_nothing_behind(tmp_path):
    file = tmp_path / "a.bin"
    with serving(OTHER) as server:
        with pytest.raises(StudyError, match=f"expected was {SHA256}.*What to do"):
            fetch(server.url, file, SHA256)
        assert not file.exists() and not (tmp_path / "a.bin.part").exists()
        server.data = DATA
        assert fetch(server.url, file, SHA256).against == "given"


def test_a_file_is_held_against_the_hash_of_its_first_fetch(tmp_path):
    file = tmp_path / "a.bin"
    with serving(DATA) as server:
        fetch(server.url, file)
        file.write_bytes(DATA[:-1] + b"x")
        with pytest.raises(StudyError, match=r"kept from the first fetch in a.bin.sha256.*delete it"):
            fetch(server.url, file)
        file.unlink()
        server.data = OTHER
        with pytest.raises(StudyError, match="damaged or has changed"):
            fetch(server.url, file)
        assert not file.exists()


def test_refusals_are_final_and_overload_is_not(tmp_path):
    file = tmp_path / "a.bin"
    with serving(DATA, status=404) as server:
        with pytest.raises(StudyError, match=f"answered 404 Not Found.*put it at {file}"):
            fetch(server.url, file, pause=0)
        assert len(server.asked) == 1 and left(tmp_path) == []
        server.status, server.refusals = 503, 2
        assert fetch(server.url, file, pause=0).sha256 == SHA256
        assert len(server.asked) == 4


@pytest.mark.parametrize(
    "url, words", [("http://127.0.0.1:9/a.bin", "127.0.0.1"), ("nonsense", "Invalid URL")]
)
def test_no_network_and_no_address_say_what_to_do(tmp_path, url, words):
    call = partial(fetch, url, tmp_path / "a.bin", tries=2, pause=0)
    refused(StudyError, call, url, words, "What to do", tmp_path / "a.bin")
    assert left(tmp_path) == []


def test_a_disk_that_is_too_small_is_said_before_it_is_full(tmp_path, monkeypatch):
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 500}))
    with serving(DATA) as server:
        refused(StudyError, lambda: fetch(server.url, tmp_path / "a.bin"), "300kB", "500B", "--to")
    file = packed(tmp_path / "a.zip", {"a": "x" * 1000})
    refused(StudyError, lambda: unpack([file], tmp_path / "set"), "1.00kB", "500B", "--to")
    assert not (tmp_path / "a.bin").exists() and not (tmp_path / "set").exists()


def test_killed_in_the_middle_it_goes_on(tmp_path):
    file, part = tmp_path / "a.bin", tmp_path / "a.bin.part"
    code = "import sys; from covid_study.datasets import fetch as f; f.CHUNK = 10_000; f.fetch(*sys.argv[1:])"
    with serving(DATA, cut=200_000, cuts=1, wait=threading.Event()) as server:
        child = subprocess.Popen(
            [sys.executable, "-c", code, server.url, str(file)], stdout=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 30
        while (not part.exists() or part.stat().st_size < 100_000) and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        have = part.stat().st_size
        assert 100_000 <= have <= 200_000 and not file.exists()
        got = fetch(server.url, file, SHA256)
        assert got.sha256 == SHA256 and left(tmp_path) == ["a.bin"]
        assert [wanted for _, wanted in server.asked] == [None, f"bytes={have}-"]


def test_killed_before_the_file_got_its_name(tmp_path):
    with serving(DATA, cut=299_999, cuts=1) as server:
        with pytest.raises(StudyError):
            fetch(server.url, tmp_path / "a.bin", tries=1)
        part = tmp_path / "a.bin.part"
        part.write_bytes(part.read_bytes() + DATA[part.stat().st_size :])
        fetch(server.url, tmp_path / "a.bin")
        assert (tmp_path / "a.bin").read_bytes() == DATA and len(server.asked) == 1


# ------------------------------------------------------------------------------------------------ zips


def packed(file, contents):
    """A zip with files by name."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
    return file


def found(folder):
    return {f.relative_to(folder).as_posix(): f.read_text() for f in folder.rglob("*") if f.is_file()}


def test_several_zips_and_those_inside_make_one_folder(tmp_path):
    inner = io.BytesIO()
    packed(inner, {"CT_COVID/a": "1", "CT_COVID/b": "2"})
    release = packed(tmp_path / "r.zip", {"COVID-CT-master/Images-processed/CT_COVID.zip": inner.getvalue()})
    unpack([release], tmp_path / "set")
    assert found(tmp_path / "set") == {"Images-processed/CT_COVID/a": "1", "Images-processed/CT_COVID/b": "2"}
    (tmp_path / "empty").mkdir()
    parts = [
        packed(tmp_path / "1.zip", {"CT_COVID/a": "1"}),
        packed(tmp_path / "2.zip", {"CT_NonCOVID/b": "2"}),
    ]
    unpack(parts, tmp_path / "empty")
    assert found(tmp_path / "empty") == {"CT_COVID/a": "1", "CT_NonCOVID/b": "2"}


def test_a_folder_of_pictures_keeps_its_name_and_litter_stays_out(tmp_path):
    unpack([packed(tmp_path / "a.zip", {"CT_COVID/a": "1", "__MACOSX/b": "2"})], tmp_path / "set")
    assert found(tmp_path / "set") == {"CT_COVID/a": "1"}


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/evil", "..\\evil", "C:/evil", "link"])
def test_what_leads_out_is_refused_and_nothing_is_unpacked(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("good", "1")
        member = zipfile.ZipInfo(name)
        member.external_attr = (stat.S_IFLNK | 0o777) << 16 if name == "link" else 0
        archive.writestr(member, "/etc")
    (tmp_path / "inside").mkdir()
    refused(
        StudyError,
        lambda: unpack([tmp_path / "a.zip"], tmp_path / "inside" / "set"),
        "a.zip",
        "leads out",
        "What to do",
    )
    assert not list(tmp_path.rglob("*evil*")) and not list((tmp_path / "inside").iterdir())


def test_different_files_of_one_name_are_refused_and_copies_are_one(tmp_path):
    one, two = packed(tmp_path / "1.zip", {"a.png": "1"}), packed(tmp_path / "2.zip", {"a.png": "2"})
    refused(StudyError, lambda: unpack([one, two], tmp_path / "set"), "2.zip", "a.png")
    assert not (tmp_path / "set").exists()
    unpack([one, packed(tmp_path / "3.zip", {"a.png": "1", "b.png": "2"})], tmp_path / "set")
    assert found(tmp_path / "set") == {"a.png": "1", "b.png": "2"}


def test_damage_leaves_no_folder(tmp_path):
    file = packed(tmp_path / "a.zip", {"a": "x" * 1000, "b": "y" * 1000})
    raw = file.read_bytes()
    for damaged in (raw.replace(b"yyyy", b"\0yyy", 1), b"no zip"):
        file.write_bytes(damaged)
        refused(StudyError, lambda: unpack([file], tmp_path / "set"), "a.zip", "What to do")
    assert [f.name for f in tmp_path.iterdir()] == ["a.zip"]


def test_what_a_killed_call_left_is_cleared_and_what_is_there_is_kept(tmp_path):
    file = packed(tmp_path / "a.zip", {"a": "1"})
    (tmp_path / ".set.unpacking").mkdir()
    (tmp_path / ".set.unpacking" / "half").write_text("?")
    unpack([file], tmp_path / "set")
    assert found(tmp_path / "set") == {"a": "1"} and not (tmp_path / ".set.unpacking").exists()
    for there in (tmp_path / "set", file):
        refused(StudyError, partial(unpack, [file], there), there, "not empty", "What to do")
