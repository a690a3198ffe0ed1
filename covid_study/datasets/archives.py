"""Zips unpacked whole or not at all, and nothing of them outside their folder."""

import os
import shutil
import stat
import zipfile
from pathlib import Path, PurePosixPath

from covid_study.datasets.fetch import check_room
from covid_study.errors import StudyError
from covid_study.runtime.progress import progress

NO_DATA = ("__MACOSX", ".DS_Store")  # what one system adds to every zip


def unpack(archives: list[Path], folder: str | os.PathLike) -> Path:
    """Unpack zips, and the zips that lie in them, into one new folder, which gets its name when all is there.

    One folder around everything is left out where it holds folders itself, as in what GitHub packs.

    Raises:
        StudyError: no zip, damaged, encrypted, a name that leads out of the folder, no room, the folder is not empty.
    """
    folder = Path(folder).expanduser()
    if folder.is_file() or folder.exists() and any(folder.iterdir()):
        raise StudyError(f"{folder} is not empty. What to do: delete it or give another place with --to.")
    new = folder.with_name(f".{folder.name}.unpacking")
    shutil.rmtree(new, ignore_errors=True)  # of a call that was killed
    new.mkdir(parents=True)
    try:
        for archive in archives:
            _extract(Path(archive), new)
        for inner in sorted(new.rglob("*.zip")):
            _extract(inner, inner.parent)
            inner.unlink()
        within = list(new.iterdir())
        alone = len(within) == 1 and within[0].is_dir() and any(d.is_dir() for d in within[0].iterdir())
        if folder.exists():
            folder.rmdir()
        os.replace(within[0] if alone else new, folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return folder


def _extract(archive: Path, folder: Path) -> None:
    """All files of a zip, none of them outside the folder."""
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [m for m in opened.infolist() if not set(NO_DATA) & set(m.filename.split("/"))]
            if bad := next(filter(_leads_out, members), None):
                raise StudyError(
                    f"{archive.name} holds {bad.filename!r}, which leads out of the folder; nothing was unpacked."
                    " What to do: fetch the archive from its authors."
                )
            check_room(folder, sum(member.file_size for member in members))
            for member in progress(members, f"unpacking {archive.name}"):
                opened.extract(member, folder)
    except (zipfile.BadZipFile, EOFError, OSError, RuntimeError, NotImplementedError) as error:
        raise StudyError(
            f"{archive} cannot be unpacked ({error}). What to do: fetch it again, or unpack it yourself."
        ) from error


def _leads_out(member: zipfile.ZipInfo) -> bool:
    """An absolute path, a drive, a step up, or a link."""
    path = PurePosixPath(member.filename.replace("\\", "/"))
    drive = ":" in member.filename.partition("/")[0]
    return path.is_absolute() or drive or ".." in path.parts or stat.S_ISLNK(member.external_attr >> 16)
