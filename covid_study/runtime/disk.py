"""A disk that is full or must not be written: one message that names the folder."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from covid_study.errors import StudyError

FULL = {errno.ENOSPC, errno.EDQUOT}
CLOSED = {errno.EROFS, errno.EACCES, errno.EPERM}


def unwritable(error: OSError, *folders: Path, needs: str = "") -> StudyError | None:
    """The error for people behind an OSError; None of any other kind.

    Args:
        folders: that were written, for an error that names no file. needs: how much disk, for one that is full.

    >>> str(unwritable(OSError(errno.EROFS, "Read-only file system"), Path("build/x")))[:53]
    'build/x cannot be written (Read-only file system). Ma'
    >>> unwritable(OSError(errno.EIO, "Input/output error"))
    """
    if error.errno not in FULL | CLOSED:
        return None
    named = Path(error.filename).parent if isinstance(error.filename, str) else None
    places = [named] if named else list(folders)
    if error.errno in FULL:
        most = [folder for folder in places if _free(folder) < 2**20]
        where = ", ".join(map(str, most or places)) or "a folder"
        return StudyError(
            f"the disk is full: {where}{needs}. Free some space and call again; what was done so far is kept."
        )
    shut = [folder for folder in places if not _open(folder)]
    where = ", ".join(map(str, shut or places)) or "a folder"
    return StudyError(
        f"{where} cannot be written ({os.strerror(error.errno)}). Make it writable, or work in another folder (NAME=...), and "
        f"call again; what was done so far is kept."
    )


def _there(folder: Path) -> Path:
    return next(place for place in (folder, *folder.absolute().parents) if place.is_dir())


def _free(folder: Path) -> int:
    state = os.statvfs(_there(folder))
    return min(state.f_bavail * state.f_frsize, state.f_favail * 2**20 if state.f_files else 2**62)


def _open(folder: Path) -> bool:
    return os.access(_there(folder), os.W_OK) and not os.statvfs(_there(folder)).f_flag & os.ST_RDONLY


@contextmanager
def writing(*folders: Path, needs: str = "") -> Iterator[None]:
    """Turn a full or read-only disk into the error that names the folder; all else passes."""
    try:
        yield
    except OSError as error:
        told = unwritable(error, *folders, needs=needs)
        if told is None:
            raise
        raise told from None
