"""Runs the notebooks in order and keeps the report: `covid-study reproduce`.

A notebook that ran before is not run again while all that it depends on is the same: its text, its parameters, the
modules that it and the notebooks before it import, the exams, the environment. What a module computes is kept apart
from this, in the artefacts of `runtime.artefacts`: to run a notebook again is cheap where its artefacts are still true.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from itertools import islice
from pathlib import Path

from filelock import FileLock, Timeout

from covid_study.errors import StudyError
from covid_study.report import say
from covid_study.runtime import artefacts, manifest
from covid_study.runtime.disk import writing
from covid_study.runtime.progress import duration
from covid_study.study import dependencies, execute, pages
from covid_study.study.display import Display, Screen
from covid_study.study.notebook import Notebook, read_notebook, short
from covid_study.study.plan import Plan
from covid_study.study.run_pages import write_index, write_page

REFUSED = 3  # what a forecast ends with where the trainings do not fit; a traceback ends with 1


def reproduce(run: Plan, wanted: str | None = None) -> bool:
    """Run what is not up to date, in order, up to the first failure. True where all that was wanted is done."""
    chosen = run.choose(wanted)
    with writing(run.build, run.reports):
        return _reproduce(run, chosen)


def _reproduce(run: Plan, chosen: list[Notebook]) -> bool:
    for folder in (run.build / "notebooks", run.reports):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        held = FileLock(run.build / ".lock").acquire(timeout=0)
    except Timeout:
        raise StudyError(
            f"another run is working in build/{run.name}. Wait for it, or give this one a folder of its own: NAME=..."
        ) from None
    with held:
        for notebook in run.notebooks:
            _redraw(run, notebook)
            _say_state(notebook)
        todo, began = [n for n in chosen if n.status() != "done"], time.monotonic()
        finished = _run_all(run, todo)
        if todo or _says_otherwise(run):
            # takes a second to import, and one to write: not where all of it is said
            from covid_study.study import beside

            beside.write(run)
            write_index(run)
    if not todo:
        print(f"Nothing to do: {len(chosen)} notebooks are up to date.", end=" ")
    if finished:
        took = f" after {duration(time.monotonic() - began)}" if todo else ""
        print(f"Report{took}: {short(run.reports / 'index.html')}")
    return finished


def _says_otherwise(run: Plan) -> bool:
    """Write the index; whether it is another than before, or what lies beside it is gone."""
    index = run.reports / "index.html"
    before = index.read_bytes() if index.is_file() else b""
    write_index(run)
    return before != index.read_bytes() or not (run.reports / "results.zip").is_file()


def _say_state(notebook: Notebook) -> None:
    """What stands at the head of its page before anything is run; one for a notebook without, so that no link leads nowhere."""
    status, page = notebook.status(), notebook.page
    if not page.is_file():
        if notebook.record is None:
            pages.write(page, "placeholder.html.j2", title=notebook.title)
    elif status == "stale":
        pages.mark(page, notebook.why_stale())
    elif status == "not-run":
        pages.mark(page, "This notebook has not been run yet, or what was recorded of its run is gone.")
    elif status == "done":
        pages.mark(page)


def _redraw(run: Plan, notebook: Notebook) -> None:
    """Make the page of a notebook again that was made by an older template, whatever it says and whether it is asked for."""
    record = notebook.record
    if record is None or record.get("templates") == pages.templates_key() or not notebook.page.is_file():
        return
    executed = notebook.failed if record["status"] == "failed" else notebook.executed
    if executed.is_file():
        write_page(run, notebook, executed)
        notebook.write({**record, "templates": pages.templates_key()})


def _run_all(run: Plan, todo: list[Notebook]) -> bool:
    if not todo:
        return True
    frozen = run.freeze()
    _forecast(run, frozen["study"]["profile"])
    parameters = {n.stem: execute.injected(n.stem, n.content, frozen) for n in todo}
    at_once, shared = _at_once(run)
    kernel = execute.prepare_kernel(run.build / ".jupyter", run.kernel, several=len(todo) > 1)
    facts = dependencies.facts(run.root)
    waiting, running, good = iter(enumerate(todo, start=1)), {}, True
    with Screen() as screen, ThreadPoolExecutor(at_once) as pool:
        try:
            while True:
                for position, notebook in islice(waiting, at_once - len(running) if good else 0):
                    label = f"[{position}/{len(todo)}] {notebook.stem}"
                    live = run.build / f".progress-{notebook.stem}.json"
                    display = Display(label, live, (notebook.record or {}).get("seconds"))
                    screen.shown.append(display)
                    if not screen.stream.isatty():
                        screen.say(f"{label}: started")
                    given = (run, notebook, parameters[notebook.stem], kernel, display, shared)
                    running[pool.submit(_execute, *given)] = notebook, display
                write_index(run, running=[notebook for notebook, _ in running.values()])
                if not running:
                    return good
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    notebook, display = running.pop(future)
                    screen.shown.remove(display)
                    good &= _ended(run, notebook, *future.result(), facts, display.label, screen)
        except BaseException:
            while wait(running, timeout=0.3).not_done:  # one may be about to start
                execute.stop()
            raise


def _forecast(run: Plan, profile: str) -> None:
    """Say what the trainings will take, where a GPU of this machine may do them; the runner itself needs no torch for it.

    Raises:
        StudyError: they do not fit into the GPU's memory.
    """
    study = run.profile["study"]
    meant = study["device"].startswith("cuda") or (study["device"] == "auto" and shutil.which("nvidia-smi"))
    if not meant or run.kernel or study["executor"] != "in_process":
        return
    command = [sys.executable, "-m", "covid_study.study.forecast", profile]
    told = subprocess.run(command, cwd=run.root, capture_output=True, text=True)
    if told.returncode == REFUSED:
        raise StudyError(told.stderr.strip())
    # whatever else went wrong with a forecast stops no run
    print(told.stdout if told.returncode == 0 else "No forecast could be made.\n", end="", flush=True)


def _at_once(run: Plan) -> tuple[int, dict[str, str]]:
    """How many notebooks run beside each other, and the variables by which they share the cores.

    Two on two cores or more, for none keeps a core busy all along. One where a GPU or a cluster does the work, where
    processes train together, and with a kernel of the user's own.

    Choice: the share is the same for a notebook that runs alone, so that its last bits are. Two that each ask for all
    cores wait for each other's threads: a step of a training then took a hundred times as long.
    """
    from joblib import cpu_count

    from covid_study.runtime.workers import CORES, can_fork

    study = run.profile["study"]
    alone = run.kernel or study["executor"] != "in_process" or study["processes"] > 1
    if alone or not can_fork() or cpu_count() < 2:
        return 1, {}
    threads = os.environ.get("OMP_NUM_THREADS") or str(cpu_count() // 2)
    return 2, {"OMP_NUM_THREADS": threads, CORES: str(run.build)}


def _running(notebook: Notebook) -> Path:
    return notebook.folder / f".running-{notebook.stem}.ipynb"


def _execute(run: Plan, notebook: Notebook, parameters: dict, kernel: str, display: Display, shared: dict):
    """Run one notebook: its failure if any, the seconds it took, the artefacts that it used."""
    used = run.build / f".used-{notebook.stem}.txt"
    used.unlink(missing_ok=True)
    display.started = time.monotonic()
    environment = {artefacts.USED_FILE: str(used), **shared}
    failure = execute.execute(
        notebook.source, _running(notebook), parameters, kernel, run.root, display, environment
    )
    return failure, display.seconds(), sorted(set(used.read_text("utf-8").split())) if used.is_file() else []


def _ended(
    run: Plan,
    notebook: Notebook,
    failure: execute.Failure | None,
    seconds: float,
    used: list[str],
    facts: dict,
    label: str,
    screen: Screen,
) -> bool:
    """Write the record and the page of a notebook that has run. True where it did to the end."""
    running, result = _running(notebook), notebook.failed if failure else notebook.executed
    if not running.is_file():  # its kernel did not even start
        shutil.copyfile(notebook.source, running)
    os.replace(running, result)
    notebook.record = {
        "parts": notebook.parts,
        "status": "failed" if failure else "done",
        "error": failure.message if failure else None,
        "for_people": bool(failure and failure.for_people),
        "seconds": round(seconds, 1),
        "finished": time.strftime("%Y-%m-%d %H:%M"),
        "facts": facts,
        "templates": pages.templates_key(),
        "said": say.read(read_notebook(result)),
        "artefacts": used,
        "executed": [result.stat().st_size, manifest.sha256_of(result)],
    }
    write_page(run, notebook, result)
    notebook.write(notebook.record)  # last: only with it the notebook counts as run
    if failure:
        screen.say(f"{label}: failed after {duration(seconds)}\n")
        print(failure.message, file=sys.stderr)
        if not failure.for_people:
            print(f"\nThe whole traceback: {short(notebook.page)}", file=sys.stderr)
        return False
    notebook.failed.unlink(missing_ok=True)
    screen.say(f"{label}: done in {duration(seconds)}")
    for exam in notebook.said.get("left_out") or ():
        screen.say("  left out: exam {exam_id}: {problem}. What to do: {remedy}.".format_map(exam))
    return True


def times(run: Plan) -> str:
    """How long each notebook took when it last ran, and on what."""
    seconds = {n.stem: n.record["seconds"] for n in run.notebooks if n.record}
    seconds["all"] = sum(seconds.values())
    lines = [f"{stem:<30}{duration(took):>9}" for stem, took in seconds.items()]
    return "\n".join([f"{run.name}, {say.cpu()}", *lines])


def state(run: Plan, done: bool) -> dict[str, object]:
    """A run for programs: whether all that was asked for is done, its report, status and seconds of each notebook."""
    index = run.reports / "index.html"
    notebooks = {
        n.stem: {"status": n.status(), "seconds": n.record["seconds"] if n.record else None}
        for n in run.notebooks
    }
    report = str(index) if index.is_file() else None
    return {"run": run.name, "done": done, "report": report, "notebooks": notebooks}
