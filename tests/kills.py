"""`make kills`: the study killed at random moments, again and again, says the same as one that nobody disturbed.

    python tests/kills.py [--number 50] [--seed 0] [--notebooks 00,01] [--profile smoke] [--keep]

Works in build/kills-* and reports/kills-*. The runner and all that it started get SIGKILL, or now and then the runner alone.
Between two kills, each once in four: everything is stopped and goes on (SIGSTOP, SIGCONT); a second run is started in the
same folder, which must be refused; all files get a time in the future, as where the clock is set back. A run that ends
before all kills are spent is compared and begun anew. Exits with 1 where anything differs.
"""

import argparse
import contextlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import psutil
from filelock import FileLock, Timeout

ROOT = Path(__file__).resolve().parent.parent
TIMES = re.compile(r"second|hour|minute|time|pace|cost", re.IGNORECASE)  # a machine's moods are no results
LEFT = (
    ".lock",
    ".samples-",
    ".partial-",
    ".running",
    ".progress",
    ".used",
    ".jupyter",
    "kernel.log",
    "profile-",
)
Start = Callable[[], subprocess.Popen]


def family(process: subprocess.Popen) -> list[psutil.Process]:
    """A process and all that it started, kernels and workers in sessions of their own among them."""
    try:
        whole = psutil.Process(process.pid)
        return [whole, *whole.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def each(members: list[psutil.Process], act: Callable[[psutil.Process], None]) -> None:
    """Do something with processes, some of which may have ended."""
    for member in members:
        with contextlib.suppress(psutil.NoSuchProcess):
            act(member)


def kill(process: subprocess.Popen, alone: bool = False) -> None:
    """SIGKILL for a process and, unless `alone`, all that it started; those left alone are waited for."""
    members = family(process)
    if not alone:
        each(members, psutil.Process.suspend)  # so that none starts another meanwhile
    each(members[:1] if alone else members, psutil.Process.kill)
    process.wait()
    _, alive = psutil.wait_procs(members, timeout=30)
    each(alive, psutil.Process.kill)


def pause(process: subprocess.Popen, seconds: float) -> None:
    """SIGSTOP, then SIGCONT."""
    members = family(process)
    each(members, psutil.Process.suspend)
    time.sleep(seconds)
    each(members, psutil.Process.resume)


def into_the_future(folders: list[Path], seconds: float = 86_400) -> None:
    """Every file is younger than now, as after the clock was set back."""
    then = time.time() + seconds
    for file in (file for folder in folders for file in folder.rglob("*")):
        if "planted" not in file.parts:  # data that are read: another time makes other data of them
            # one that the run, which goes on, has just moved to its place
            with contextlib.suppress(FileNotFoundError):
                os.utime(file, (then, then), follow_symlinks=False)


def killed(
    start: Start, number: int, longest: float, dice: random.Random, between: Callable
) -> Iterator[int]:
    """Kill what `start` starts `number` times, then let it end; yields the kills so far whenever it ended by itself.

    Args:
        longest: seconds between two kills. between: called with the running process, for what else may happen to it.
    """
    done = 0
    while done < number:
        process = start()
        try:
            between(process)
            code = process.wait(dice.uniform(0, longest))
        except subprocess.TimeoutExpired:
            kill(process, alone=dice.random() < 0.25)
            done += 1
            continue
        if code:
            raise SystemExit(f"after {done} kills the study failed; its last words are above")
        yield done
    if start().wait():
        raise SystemExit(f"after {done} kills the study failed; its last words are above")
    yield done


def differences(one: Path, other: Path) -> list[str]:
    """The files of two folders of results that are not the same; times aside, bit for bit."""
    names = [
        {str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file()} for folder in (one, other)
    ]
    names = [
        {n for n in found if not any(part.startswith(LEFT) for part in Path(n).parts)} for found in names
    ]
    lone = [f"{name} is in one of them" for name in sorted(names[0] ^ names[1])]
    return lone + [name for name in sorted(names[0] & names[1]) if not _same(one / name, other / name)]


def _same(one: Path, other: Path) -> bool:
    if one.name in ("config.json", "beside.json") or one.parent.name == "notebooks":
        return True  # times; and what a notebook shows is a result's
    if one.name in ("timing.json", "facts.json"):
        kept = (_without_times(json.loads(file.read_text())) for file in (one, other))
        return next(kept) == next(kept)
    if one.suffix in (".parquet", ".csv"):
        read = pd.read_parquet if one.suffix == ".parquet" else pd.read_csv
        return _timeless(read(one)).equals(_timeless(read(other)))
    return one.read_bytes() == other.read_bytes()


def _without_times(value):
    if isinstance(value, dict):
        return {name: _without_times(one) for name, one in value.items() if not TIMES.search(name)}
    return [_without_times(one) for one in value] if isinstance(value, list) else value


def _timeless(frame: pd.DataFrame) -> pd.DataFrame:
    frame = frame[[column for column in frame if not TIMES.search(str(column))]]
    for column in ("metric", "measure", "score", "key"):
        if column in frame:
            frame = frame[~frame[column].astype(str).str.contains(TIMES)]
    return frame.reset_index(drop=True)


def main() -> int:
    """Run it undisturbed, then killed, and compare."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--number", type=int, default=50, help="kills (default: 50)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: 0)")
    parser.add_argument("--notebooks", default="", help="only these, e.g. 00,01 (default: all)")
    parser.add_argument("--profile", default="smoke", help="default: smoke")
    parser.add_argument(
        "--keep", action="store_true", help="keep both runs' folders; take up the undisturbed one of before"
    )
    asked = parser.parse_args()
    dice, environ = random.Random(asked.seed), os.environ | {"PYTHONPATH": str(ROOT)}
    environ.setdefault("OMP_NUM_THREADS", "1")  # the last digits depend on the number of threads
    folders = {
        name: [ROOT / place / f"kills-{name}" for place in ("build", "reports")]
        for name in ("whole", "killed")
    }

    def start() -> subprocess.Popen:
        command = [
            sys.executable,
            "-m",
            "covid_study",
            "reproduce",
            "--profile",
            asked.profile,
            "--device",
            "cpu",
        ]
        command += ["--name", "kills-killed", "--notebooks", asked.notebooks]
        return subprocess.Popen(command, cwd=ROOT, env=environ, start_new_session=True)

    def clear(name: str) -> None:
        for folder in folders[name]:
            shutil.rmtree(folder, ignore_errors=True)

    def moved(source: str, target: str) -> None:
        """Both work in one place: where data lie is a part of their key."""
        for one, other in zip(folders[source], folders[target], strict=True):
            if one.exists():
                shutil.move(one, other)

    def held() -> bool:
        """Whether a run works in the folder."""
        folders["killed"][0].mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(folders["killed"][0] / ".lock", timeout=0):
                return False
        except Timeout:
            return True

    def between(process: subprocess.Popen) -> None:
        time.sleep(dice.uniform(0, 5))
        if dice.random() < 0.25:
            pause(process, 2)
        if dice.random() < 0.25:
            into_the_future(folders["killed"])
        if dice.random() < 0.25:
            while process.poll() is None and not held():  # or the second may be the one that works
                time.sleep(0.2)
            if process.poll() is None and start().wait() == 0 and process.poll() is None:
                raise SystemExit("two runs worked in one folder at once")

    for name in folders if not asked.keep else ["killed"]:
        clear(name)
    moved("whole", "killed")
    started = time.monotonic()
    if start().wait():
        return 1
    moved("killed", "whole")
    longest = max(  # what was begun must get somewhere: until a kernel works takes ten seconds and more
        40.0,
        2.5 * (time.monotonic() - started) / max(1, len(list(folders["whole"][0].glob("notebooks/*.json")))),
    )
    print(f"undisturbed: {time.monotonic() - started:.0f} s; a kill within {longest:.0f} s each", flush=True)
    for done in killed(start, asked.number, longest, dice, between):
        found = differences(*(folders[name][0] for name in folders))
        print(f"{done} kills, {len(found)} differences", *found[:20], sep="\n  ", flush=True)
        if found:
            return 1
        if done < asked.number:
            clear("killed")
    if not asked.keep:
        for name in folders:
            clear(name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
