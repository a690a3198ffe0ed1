"""A full or read-only disk: the folder is named."""

import errno
import os
import subprocess

import pytest
from refusals import refused

from covid_study.errors import StudyError
from covid_study.runtime.disk import writing


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
@pytest.mark.parametrize("named", [True, False])
def test_the_folder_is_named(tmp_path, number, named):
    def write():
        with writing(tmp_path):
            raise OSError(number, os.strerror(number), *([str(tmp_path / "x" / "file.npy")] if named else []))

    refused(StudyError, write, tmp_path / "x" if named else tmp_path)


def test_other_errors_pass(tmp_path):
    for number in (errno.ENOENT, errno.EIO):
        with pytest.raises(OSError) as caught, writing(tmp_path):
            raise OSError(number, "other")
        assert caught.value.errno == number


@pytest.fixture
def mounted(tmp_path):
    """A function that mounts a small or a read-only file system at a folder; skips where one may not."""
    done = []

    def mount(name, options):
        folder = tmp_path / name
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        if os.geteuid() or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("no file system can be mounted here")
        done.append(folder)
        return folder

    yield mount
    for folder in done:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("options", ["ro", "size=16k"])
def test_of_two_folders_the_one_that_cannot_be_written_is_named(mounted, tmp_path, options):
    bad, good = mounted("bad", options), tmp_path / "good"
    good.mkdir()

    def write():
        with writing(good, bad):
            try:
                (bad / "x").write_bytes(bytes(2**16))
            except OSError as error:
                raise OSError(error.errno, error.strerror) from None  # as from a library that names no file

    assert str(good) not in refused(StudyError, write, bad)
