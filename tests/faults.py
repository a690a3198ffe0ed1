"""`make faults`: plant each fault of faults.yaml in a copy of the tree and see that a test fails.

    python tests/faults.py [--only WORD ...] [--jobs N] [--named]

Results are kept in build/faults.json, each as long as nothing in the package or the tests has changed. Exits with 1 where a
fault is missed or cannot be planted, or where a test that caught one fails without it.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import queue
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
LONGEST = 1800  # seconds a fault may take: one that makes a loop endless counts as caught
HEAVY = [
    "torch",
    "monai.networks.nets",
    "SimpleITK",
    "skimage.measure",
    "sklearn.pipeline",
    "ot",
    "pytest",
]


def place(package: Path, fault: dict) -> Path:
    """The one file where the text of a fault stands once; ValueError otherwise."""
    inside = package / fault["file"]
    files = [inside] if inside.is_file() else sorted(inside.rglob("*.py"))
    found = {file: n for file in files if (n := file.read_text(encoding="utf-8").count(fault["old"]))}
    if list(found.values()) != [1]:
        raise ValueError(f"its text stands {sum(found.values())} times in {fault['file']}, not once")
    return next(iter(found))


class First:
    """A pytest plugin that keeps what failed first."""

    failed = ""

    def pytest_runtest_logreport(self, report) -> None:
        if report.failed:
            self.failed = self.failed or report.nodeid

    pytest_collectreport = pytest_runtest_logreport


def _pytest(copy: str, arguments: list[str], answer) -> None:
    """In a process of its own: the first test that fails in a copy of the tree, "" where all pass."""
    os.chdir(copy)
    os.environ["PYTHONPATH"] = copy
    sys.dont_write_bytecode = False  # the next fault finds compiled what this one left alone
    sys.path[:] = [copy, *(p for p in sys.path if Path(p or ".").resolve() not in (ROOT, ROOT / "tests"))]
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - open as long as the process
    import pytest

    first = First()
    code = pytest.main([*arguments, "-q", "-p", "no:cacheprovider"], plugins=[first])
    answer.send(first.failed or ("" if code == 0 else f"pytest ended with {int(code)}"))


def failing(copy: Path, arguments: list[str]) -> str:
    """The first test that fails, "" where all pass."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(HEAVY)  # imported once, not once a fault
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_pytest, args=(str(copy), arguments, theirs))
    process.start()
    theirs.close()
    try:
        return ours.recv() if ours.poll(LONGEST) else f"nothing after {LONGEST} s"
    except EOFError:
        return "the process died"
    finally:
        process.kill()
        process.join()


def examine(copy: Path, fault: dict, rest: tuple[str, ...] = ("",)) -> dict:
    """Plant a fault in a copy, run its tests, then those of `rest` ("" is all), until one fails; take it out again."""
    started, file = time.perf_counter(), place(copy / "covid_study", fault)
    text, state = file.read_text(encoding="utf-8"), file.stat()
    file.write_text(text.replace(fault["old"], fault["new"]), encoding="utf-8")
    try:
        found = ""
        for tests in (fault["tests"], *rest):
            found = found or failing(copy, ["-x", *tests.split()])
    finally:
        file.write_text(text, encoding="utf-8")
        os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    seconds = round(time.perf_counter() - started, 1)
    return {"result": "caught" if found else "missed", "by": found, "seconds": seconds}


def code() -> str:
    """A hash of the package and the tests, which all results depend on."""
    files = [f for part in ("covid_study", "tests") for f in sorted((ROOT / part).rglob("*.py"))]
    return hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()


def main() -> int:
    """Examine what is asked for and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", default=[], help="faults with one of these words in an entry")
    parser.add_argument("--jobs", type=int, default=1, help="faults at once, each with a copy of the tree")
    parser.add_argument("--named", action="store_true", help="the named tests alone, not then the rest")
    asked = parser.parse_args()
    os.environ.setdefault("COVID_STUDY_TEST_DATA", str(ROOT.parent / "shared/data"))
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    kept, now = ROOT / "build/faults.json", code()
    known = json.loads(kept.read_text()) if kept.is_file() else {}
    known = known if known.get("code") == now else {"code": now}
    faults = yaml.safe_load((ROOT / "tests/faults.yaml").read_text(encoding="utf-8"))
    faults = [f for f in faults if not asked.only or any(word in " ".join(f.values()) for word in asked.only)]
    trees: queue.Queue[Path] = queue.Queue()

    def one(fault: dict) -> dict:
        name, found = fault["name"], known.get(fault["name"], {})
        if found.get("result") != "caught" or found["fault"] != fault:
            copy = trees.get()
            try:
                found = examine(copy, fault, () if asked.named else ("",))
            except ValueError as error:
                found = {"result": "not planted", "by": str(error), "seconds": 0.0}
            trees.put(copy)
            known[name] = found = found | {"fault": fault}
            kept.parent.mkdir(exist_ok=True)
            kept.write_text(json.dumps(known, indent=1))
        print(f"{found['result']:<11} {found['seconds']:6.1f} s  {name}: {found['by']}", flush=True)
        return found

    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(asked.jobs) as pool:
        computed = shutil.ignore_patterns("build", "reports", ".*", "__pycache__")
        for number in range(asked.jobs):
            trees.put(Path(shutil.copytree(ROOT, Path(folder, str(number)), ignore=computed)))
        results = list(pool.map(one, faults))
        catching = sorted({r["by"].split("[")[0] for r in results if "::" in r["by"]})
        unsound = failing(trees.get(), catching) if catching else ""
    if unsound:
        print(f"{unsound} fails without any fault")
    caught = sum(r["result"] == "caught" for r in results)
    print(f"{caught} of {len(results)} faults are caught")
    return int(caught < len(results) or bool(unsound))


if __name__ == "__main__":
    sys.exit(main())
