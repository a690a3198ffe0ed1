"""Files from the network, resumed and verified, and zips unpacked: whole under their final name, or not there.

Choice: not pooch. Its downloads cannot resume (STOIC has 280 GB), and its Unzip leaves half a folder behind when it is killed;
what it would take over is a hash and a rename.
"""

import json
import os
import re
import shutil
import stat
import sys
import time
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import requests
from filelock import FileLock
from tqdm import tqdm

from covid_study.errors import StudyError
from covid_study.runtime.artefacts import write_atomically
from covid_study.runtime.manifest import sha256_of
from covid_study.runtime.progress import progress

CHUNK = 2**20  # bytes between two looks at the progress
TIMEOUT = (10, 60)  # seconds to connect, and without a byte
LATER = (408, 425, 429)  # of the refusals those that may pass
NO_DATA = {"__MACOSX", ".DS_Store"}  # what one system adds to every zip


@dataclass(frozen=True)
class Fetched:
    """A file that is whole, its SHA-256, and what that was held against: "given", "kept" (from before) or "nothing"."""

    file: Path
    sha256: str
    against: str


def fetch(
    url: str, file: str | os.PathLike, sha256: str | None = None, tries: int = 4, pause: float = 1.0
) -> Fetched:
    """The file at an address, put at `file` whole or not at all.

    What has come lies in `<file>.part` until it is whole and its hash is right; a later call goes on from there, as long as
    the server says by ETag or Last-Modified and by length that the file is still the same. A file that is there already
    is not fetched again but held against its hash.

    Choice: where no hash is given that of the first fetch is kept in `<file>.sha256`, as `sha256sum` writes it, and
    checked from then on. It shows damage and silent changes, not that the first file was the authors'.

    Choice: a server that gives neither ETag nor Last-Modified is asked from the start: nothing says that what has come is
    a part of the same file.

    Args:
        url: http or https. file: where it shall lie; the folder is made.
        sha256: 64 hexadecimal digits, where they are known.
        tries: how often in a row nothing may come before it gives up. pause: seconds before the second; they double.

    Raises:
        StudyError: no such address, no network, no room on the disk, another hash; it says which file to put where.
    """
    file = Path(file).expanduser()
    kept = _kept(file)
    expected, against = (sha256.lower(), "given") if sha256 else (kept, "kept") if kept else (None, "nothing")
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.parent / ".fetch.lock"):
        there = file.is_file()
        whole = file if there else _download(url, file, tries, pause)
        found = sha256_of(whole)
        if expected and found != expected:
            todo, kept_in = "delete it and fetch it again", _beside(file, "sha256").name
            if not there:
                whole.unlink()
                todo = f"what came was deleted; try again, or put the right file at {file}"
                todo += f", or delete {kept_in} where its authors changed it" if against == "kept" else ""
            known = f" (kept from the first fetch in {kept_in})" if against == "kept" else ""
            raise StudyError(
                f"{file.name} from {url} is damaged or has changed: its SHA-256 is {found}, expected was {expected}{known}. "
                f"What to do: {todo}."
            )
        os.replace(whole, file)
        _beside(file, "part.json").unlink(missing_ok=True)
        write_atomically(_beside(file, "sha256"), lambda p: p.write_text(f"{found}  {file.name}\n", "utf-8"))
    return Fetched(file, found, against)


def unpack(archives: list[Path], folder: str | os.PathLike) -> Path:
    """Unpack zips, and the zips that lie in them, into one new folder, which gets its name when all is there.

    One folder around everything is left out where it holds folders itself, as in what GitHub packs.

    Raises:
        StudyError: no zip, damaged, encrypted, a name that leads out of the folder, no room, the folder is not empty.
    """
    folder = Path(folder).expanduser().absolute()
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


# ------------------------------------------------------------------------------------------------ inside


def _check_room(folder: Path, wanted: int) -> None:
    """Refuse to begin what the disk cannot hold."""
    free = shutil.disk_usage(folder).free
    if wanted > free:
        needed, there = (tqdm.format_sizeof(size, "B") for size in (wanted, free))
        raise StudyError(
            f"{folder}: {needed} are needed and {there} are free. What to do: make room, or give another place with --to."
        )


def _extract(archive: Path, folder: Path) -> None:
    """All files of a zip, none of them outside the folder."""
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [m for m in opened.infolist() if not NO_DATA & set(m.filename.split("/"))]
            if bad := next(filter(_leads_out, members), None):
                raise StudyError(
                    f"{archive.name} holds {bad.filename!r}, which leads out of the folder; nothing was unpacked. What to do: "
                    "fetch the archive from its authors."
                )
            if twin := next((m for m in members if _taken(m, folder / m.filename)), None):
                raise StudyError(
                    f"{archive.name} and what was unpacked before it hold different files called {twin.filename!r}. "
                    "What to do: unpack each into a folder of its own."
                )
            _check_room(folder, sum(member.file_size for member in members))
            for member in progress(members, f"unpacking {archive.name}"):
                opened.extract(member, folder)
    except (zipfile.BadZipFile, EOFError, OSError, RuntimeError, NotImplementedError) as error:
        raise StudyError(
            f"{archive} cannot be unpacked ({error}). What to do: delete it and {_beside(archive, 'sha256').name} and fetch it "
            "again, or unpack it yourself."
        ) from error


def _taken(member: zipfile.ZipInfo, file: Path) -> bool:
    """Does a file with other contents lie where this one goes?"""
    return file.is_file() and (file.stat().st_size, zlib.crc32(file.read_bytes())) != (
        member.file_size,
        member.CRC,
    )


def _leads_out(member: zipfile.ZipInfo) -> bool:
    """An absolute path, a drive, a step up, or a link."""
    path = PurePosixPath(member.filename.replace("\\", "/"))
    drive = ":" in member.filename.partition("/")[0]
    return path.is_absolute() or drive or ".." in path.parts or stat.S_ISLNK(member.external_attr >> 16)


def _beside(file: Path, suffix: str) -> Path:
    return file.with_name(f"{file.name}.{suffix}")


def _kept(file: Path) -> str | None:
    """The hash in `<file>.sha256`."""
    try:
        found = re.match(r"[0-9a-f]{64}\b", _beside(file, "sha256").read_text("utf-8").lower())
    except (OSError, UnicodeDecodeError):
        return None
    return found and found.group()


def _download(url: str, file: Path, tries: int, pause: float) -> Path:
    """`<file>.part`, whole; tried again as long as something comes."""
    part, failed = _beside(file, "part"), 0
    while True:
        before = _length(part)
        try:
            return _go_on(url, part, _beside(file, "part.json"))
        except requests.RequestException as error:
            status = error.response.status_code if error.response is not None else 0
            never = isinstance(error, ValueError) or 400 <= status < 500 and status not in LATER
            come, reason = _length(part), _reason(error, url)
            failed = 1 if come > before else failed + 1
            if never or failed >= tries:
                again = (
                    f"run the command again, it goes on at {tqdm.format_sizeof(come, 'B')}; or "
                    if come
                    else ""
                )
                raise StudyError(
                    f"{url} could not be fetched: {reason}. What to do: {again}fetch the file in another way and put it at "
                    f"{file}."
                ) from None
            wait = pause * 2 ** (failed - 1)
            print(f"{file.name}: {reason}; trying again in {wait:.0f} s", file=sys.stderr)
            time.sleep(wait)
        except OSError as error:
            raise StudyError(
                f"{part} cannot be written ({error.strerror}). What to do: give another place."
            ) from error


def _length(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _reason(error: requests.RequestException, url: str) -> str:
    if error.response is not None:
        return f"the server answered {error.response.status_code} {error.response.reason}"
    if isinstance(error, ValueError):
        return str(error)
    if isinstance(error, requests.Timeout):
        return f"{urlsplit(url).hostname} does not answer"
    if isinstance(error, requests.ConnectionError) and "cut off" not in str(error):
        return f"no connection to {urlsplit(url).hostname}"
    return "the connection was cut off"


def _go_on(url: str, part: Path, state: Path) -> Path:
    """Append to `part` what is missing of it, or begin it."""
    try:
        known = json.loads(state.read_text("utf-8"))
    except (OSError, ValueError):
        known = {}
    # what tells one version of a file from the next: a strong ETag, else the time of its last change
    etag = known.get("etag")
    mark = etag if etag and not etag.startswith("W/") else known.get("modified")
    have = _length(part) if known.get("url") == url and mark else 0
    if have and have == known["length"]:
        return part  # whole: only its name was still to be given
    headers = {"Accept-Encoding": "identity"}  # the bytes as they lie there: lengths must mean something
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": mark}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
        resumed = have and answer.status_code == 206
        now = _identity(url, answer)
        if have and answer.status_code == 416 or resumed and now != known | {"start": have}:
            part.unlink()  # another file by now: from the start
            return _go_on(url, part, state)
        answer.raise_for_status()
        if not resumed:
            have = 0
            part.unlink(missing_ok=True)  # before its state is written, so that the two never disagree
            del now["start"]
            write_atomically(state, lambda p: p.write_text(json.dumps(now), "utf-8"))
        length = now["length"]
        _check_room(part.parent, (length or 0) - have)
        steps = -(-(length - have) // CHUNK) if length else None
        with part.open("ab") as opened:
            for chunk in progress(answer.iter_content(CHUNK), f"fetching {part.stem}", total=steps):
                opened.write(chunk)
            opened.flush()
            os.fsync(opened.fileno())
    if length and _length(part) != length:
        raise requests.ConnectionError(f"cut off at {_length(part)} of {length} bytes")
    return part


def _identity(url: str, answer: requests.Response) -> dict:
    """Which file it is of which this answer brings the bytes from `start` on."""
    start, length = 0, answer.headers.get("Content-Length")
    if answer.status_code == 206:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", answer.headers.get("Content-Range", ""))
        start, length = found.groups() if found else (-1, None)
    etag, modified = (answer.headers.get(name) for name in ("ETag", "Last-Modified"))
    length = int(length) if length else None
    return {"url": url, "etag": etag, "modified": modified, "length": length, "start": int(start)}
