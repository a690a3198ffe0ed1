"""`make fuzz`: feed a reader damaged inputs; nothing may come out of it but its values or a StudyError.

    python fuzz/run.py [--target NAME ...] [--runs N] [--seconds S] [--chance [--start N]]

What found something is kept in build/fuzz/<target>/, one input a place in the code; exits with 1 where there was any. With
atheris (`pip install atheris`) the code that was reached leads the search; without it, or with --chance, chance does, some
ten times as fast; the same number gives the same input, so that --start goes on where a search was stopped. Inputs in
fuzz/corpus/<target>/ are tried first.
"""

import argparse
import contextlib
import faulthandler
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
try:
    import atheris
except ImportError:
    atheris = None
if "--chance" in sys.argv:  # before anything of ours is imported and instrumented
    atheris = None
with atheris.instrument_imports(include=["covid_study"]) if atheris else contextlib.nullcontext():
    from fuzz.targets import KINDS, TARGETS, Fuzzed, edited

FOUND = 3  # what a target ends with that found something; a hang ends it with 1
TOLD = 10_000  # inputs between two lines
LONGEST = 10  # seconds of a core; sixty times as long where an input only waits, for the machine may be busy


class Kept(Fuzzed):
    """A target of which the first input that shows a fault is kept."""

    def __init__(self, name: str, folder: Path):
        super().__init__(name, folder)
        self.found: dict[str, Path] = {}

    def keep(self, data: bytes) -> None:
        """Try an input."""
        faulthandler.dump_traceback_later(60 * LONGEST, exit=True)
        signal.setitimer(signal.ITIMER_PROF, LONGEST)
        wrong = self.wrong(data)
        signal.setitimer(signal.ITIMER_PROF, 0)
        faulthandler.cancel_dump_traceback_later()
        if wrong and wrong not in self.found:
            place = ROOT / "build" / "fuzz" / self.name
            place.mkdir(parents=True, exist_ok=True)
            self.found[wrong] = place / hashlib.sha256(data).hexdigest()[:12]
            self.found[wrong].write_bytes(data)
            print(f"{self.name}: {wrong}: {self.found[wrong].relative_to(ROOT)}", flush=True)


def run(name: str, runs: int, seconds: float, folder: Path, start: int = 0) -> None:
    """Fuzz one target; ends the process. start: inputs that chance has tried before."""
    warnings.simplefilter("ignore")
    faulthandler.register(signal.SIGPROF, chain=True)  # says where it is, then ends the process
    fuzzed, started, done = Kept(name, folder), time.monotonic(), 0
    inputs = [*fuzzed.corpus(), *fuzzed.target.seeds()]
    for data in inputs:
        fuzzed.keep(data)

    def mutated(data: bytes, most: int, seed: int) -> bytes:
        chance = random.Random(seed)
        if atheris and chance.random() < 0.3:
            return atheris.Mutate(data, most)
        edits = [(chance.choice(KINDS), chance.randrange(2**32)) for _ in range(chance.randint(1, 4))]
        return edited(chance.choice((data, *inputs)), edits)[:most]

    def one(data: bytes) -> None:
        nonlocal done
        fuzzed.keep(data)
        done += 1
        if done % TOLD == 0:
            print(f"{name}: {start + done:,} inputs so far", flush=True)
        if done >= runs or time.monotonic() - started > seconds:
            took = time.monotonic() - started
            print(f"{name}: {done:,} inputs in {took:.0f} s, {len(fuzzed.found)} faults", flush=True)
            os._exit(FOUND * bool(fuzzed.found))  # libFuzzer does not return

    if atheris:
        kept = folder / "kept by libFuzzer"
        kept.mkdir()
        for data in inputs:
            (kept / hashlib.sha256(data).hexdigest()[:12]).write_bytes(data)
        options = ["-verbosity=0", "-max_len=200000", f"-artifact_prefix={folder}/", f"-timeout={LONGEST}"]
        atheris.Setup([sys.argv[0], *options, "-rss_limit_mb=0", str(kept)], one, custom_mutator=mutated)
        atheris.Fuzz()
    for number in range(start, start + runs):
        one(mutated(b"", 200_000, number))


def main() -> int:
    """Each target in a process of its own, so that one that hangs or dies ends no other."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--target", nargs="*", choices=TARGETS, default=list(TARGETS), help="readers (all of them)"
    )
    parser.add_argument("--runs", type=int, default=200_000, help="inputs a target (%(default)s)")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="at most, a target (no limit)")
    parser.add_argument(
        "--chance", action="store_true", help="chance leads the search, whatever is installed"
    )
    parser.add_argument("--start", type=int, default=0, help="with --chance: inputs that were tried before")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)  # we are the process of one target
    given = parser.parse_args()
    if given.folder:
        run(given.target[0], given.runs, given.seconds, given.folder, given.start)
    worst = 0
    for name in given.target:
        with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
            command = [
                sys.executable,
                __file__,
                "--folder",
                folder,
                "--target",
                name,
                "--runs",
                str(given.runs),
                *(["--chance", "--start", str(given.start)] if given.chance else []),
            ]
            ended = subprocess.run([*command, "--seconds", str(given.seconds)], check=False).returncode
            worst = 1 if ended else worst
            last = Path(folder, TARGETS[name].file)
            if ended not in (0, FOUND) and last.is_file():  # it hung, or died
                print(f"{name}: the process ended with {ended}; its last input is kept", flush=True)
                place = ROOT / "build" / "fuzz" / name
                place.mkdir(parents=True, exist_ok=True)
                (place / "last").write_bytes(last.read_bytes())
    return worst


if __name__ == "__main__":
    sys.exit(main())
