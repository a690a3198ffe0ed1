"""Zips: whole or not at all, inner ones too, and never a file outside the folder."""

import io
import stat
import zipfile

import pytest

from covid_study.datasets import fetch
from covid_study.datasets.archives import unpack
from covid_study.errors import StudyError


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


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/evil", "..\\evil", "C:/evil"])
def test_a_name_that_leads_out_is_refused_and_nothing_is_unpacked(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("good", "1")
        archive.writestr(name, "2")
    with pytest.raises(StudyError, match="leads out of the folder"):
        unpack([tmp_path / "a.zip"], tmp_path / "inside" / "set")
    assert not list(tmp_path.rglob("*evil*"))
    assert not (tmp_path / "inside" / "set").exists() and not list((tmp_path / "inside").iterdir())


def test_a_link_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc")
    with pytest.raises(StudyError, match="'link', which leads out"):
        unpack([tmp_path / "a.zip"], tmp_path / "set")


def test_damage_leaves_no_folder(tmp_path):
    file = packed(tmp_path / "a.zip", {"a": "x" * 1000, "b": "y" * 1000})
    raw = bytearray(file.read_bytes())
    raw[raw.index(b"yyyy")] = 0
    file.write_bytes(raw)
    with pytest.raises(StudyError, match="a.zip cannot be unpacked.*CRC"):
        unpack([file], tmp_path / "set")
    file.write_bytes(b"no zip")
    with pytest.raises(StudyError, match="a.zip cannot be unpacked"):
        unpack([file], tmp_path / "set")
    assert [f.name for f in tmp_path.iterdir()] == ["a.zip"]


def test_what_a_killed_call_left_is_cleared_and_what_is_there_is_kept(tmp_path):
    file = packed(tmp_path / "a.zip", {"a": "1"})
    (tmp_path / ".set.unpacking").mkdir()
    (tmp_path / ".set.unpacking" / "half").write_text("?")
    unpack([file], tmp_path / "set")
    assert found(tmp_path / "set") == {"a": "1"} and not (tmp_path / ".set.unpacking").exists()
    with pytest.raises(StudyError, match="set is not empty"):
        unpack([file], tmp_path / "set")
    with pytest.raises(StudyError, match="a.zip is not empty"):
        unpack([file], file)


def test_a_zip_that_swells_is_refused_before_it_fills_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(fetch.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 500}))
    with pytest.raises(StudyError, match="1.0 kB are needed and 500 B are free"):
        unpack([packed(tmp_path / "a.zip", {"a": "x" * 1000})], tmp_path / "set")
