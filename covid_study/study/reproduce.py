"""Runs the notebooks in order and keeps the report: `python -m covid_study.study --profile demo`.

A notebook that ran before is not run again while all that it depends on is the same: its text, its parameters, the
modules that it and the notebooks before it import, the exams, the environment. What a module computes is kept apart
from this, in the artefacts of `covid_study.cache`: to run a notebook again is cheap where its artefacts are still true.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from covid_study.errors import StudyError
from covid_study.report import say
from covid_study.runtime import artefacts
from covid_study.runtime.progress import duration
from covid_study.study import dependencies, pages
from covid_study.study.plan import Notebook, Run, choose, plan, read_notebook, short


def reproduce(run: Run, wanted: str | None = None) -> bool:
    """Run what is not up to date, in order, up to the first failure. True where all that was wanted is done."""
    chosen = choose(run.notebooks, wanted)
    (run.build / "notebooks").mkdir(parents=True, exist_ok=True)
    run.reports.mkdir(parents=True, exist_ok=True)
    lock = FileLock(run.build / ".lock")
    try:
        held = lock.acquire(timeout=0)
    except Timeout:
        raise StudyError(
            f"another run is working in build/{run.name}. Wait for it, or give this one a folder of its own: NAME=..."
        ) from None
    with held:  # `with lock` would count a second time and leave it locked until it is collected
        for absent in (n for n in run.notebooks if n.record is None and not n.page.is_file()):
            pages.write_placeholder(absent.page, absent.title)
        todo = [n for n in chosen if n.status() != "done"]
        for stale in (n for n in run.notebooks if n.status() == "stale" and n.page.is_file()):
            pages.mark(stale.page, _why_stale(stale))
        for done in (n for n in chosen if n.status() == "done"):
            if done.record.get("templates") != pages.templates_key():
                _write_page(run, done, done.executed)
                _write_record(done, {**done.record, "templates": pages.templates_key()})
            pages.mark(done.page)
        if not todo:
            write_index(run)
            print(
                f"Nothing to do: {len(chosen)} notebooks are up to date. Report: {short(run.reports / 'index.html')}"
            )
            return True
        return _run_all(run, todo)


def _run_all(run: Run, todo: list[Notebook]) -> bool:
    from covid_study.study import execute

    frozen = {**run.profile, "study": {**run.profile["study"], "profile": run.freeze()}}
    parameters = {n.stem: execute.injected(n.stem, n.content, frozen) for n in todo}
    kernel = execute.prepare_kernel(run.build / ".jupyter", run.kernel)
    facts = dependencies.facts(run.root)
    for position, notebook in enumerate(todo, start=1):
        write_index(run, running=notebook)
        old = notebook.record or {}
        label = f"[{position}/{len(todo)}] {notebook.stem}"
        display = execute.Display(label, run.build / ".progress.json", old.get("seconds"))
        running = notebook.folder / f".running-{notebook.stem}.ipynb"
        display.start()
        try:
            failure = execute.execute(
                notebook.source, running, parameters[notebook.stem], kernel, run.root, display
            )
        finally:
            seconds = display.close()
        result = notebook.failed if failure else notebook.executed
        if not running.is_file():  # its kernel did not even start
            shutil.copyfile(notebook.source, running)
        os.replace(running, result)
        record = {
            "parts": notebook.parts,
            "status": "failed" if failure else "done",
            "error": failure.message if failure else None,
            "for_people": bool(failure and failure.for_people),
            "seconds": round(seconds, 1),
            "finished": time.strftime("%Y-%m-%d %H:%M"),
            "facts": facts,
            "templates": pages.templates_key(),
            "said": say.read(read_notebook(result)),
        }
        notebook.record = record
        _write_page(run, notebook, result)
        _write_record(notebook, record)  # last: only with it the notebook counts as run
        if failure:
            write_index(run)
            print(f"{label}: failed after {duration(seconds)}\n", flush=True)
            print(failure.message, file=sys.stderr)
            if not failure.for_people:
                print(f"\nThe whole traceback: {short(notebook.page)}", file=sys.stderr)
            return False
        notebook.failed.unlink(missing_ok=True)
        print(f"{label}: done in {duration(seconds)}", flush=True)
        for exam in record["said"].get("left_out") or ():
            print(
                f"  left out: exam {exam['exam_id']}: {exam['problem']}. What to do: {exam['remedy']}.",
                flush=True,
            )
    write_index(run)
    print(f"Report: {short(run.reports / 'index.html')}")
    return True


def _write_page(run: Run, notebook: Notebook, executed: Path) -> None:
    place = run.notebooks.index(notebook)
    ends = [run.notebooks[i] if 0 <= i < len(run.notebooks) else None for i in (place - 1, place + 1)]
    record = notebook.record or {}
    exams = f"exams: {run.exams}" if run.exams else run.cohort
    if run.images and "slices" in notebook.sections:
        exams = f"images: {run.images}"
    device = ((record["said"] or {}).get("headline") or {}).get("device") or record["facts"]["processor"]
    page = {
        "title": notebook.title,
        "subtitle": f"{run.name} · {exams} · {duration(record['seconds'])} on {device} · {record['finished']} · "
        f"commit {record['facts']['commit']}",
        "previous": ends[0] and (ends[0].stem, ends[0].title),
        "next": ends[1] and (ends[1].stem, ends[1].title),
    }
    text = pages.render(read_notebook(executed), page)
    artefacts.write_atomically(notebook.page, lambda p: p.write_text(text, encoding="utf-8"))
    if record["status"] == "failed":
        reason = record["error"] if record["for_people"] else ""
        pages.mark(
            notebook.page,
            f"This notebook failed; what stands below its error was not run. {reason}",
            "failed",
        )


def _write_record(notebook: Notebook, record: dict[str, Any]) -> None:
    text = json.dumps(record, indent=1)
    artefacts.write_atomically(
        notebook.folder / f"{notebook.stem}.json", lambda p: p.write_text(text, encoding="utf-8")
    )
    notebook.record = record


def write_index(run: Run, running: Notebook | None = None) -> None:
    """Write the index page from the records: what is done, stale, failed, not run, in progress."""
    labels = {
        "done": "done",
        "stale": "out of date",
        "failed": "failed",
        "not-run": "not run yet",
        "unfinished": "in progress",
    }
    cards, cohort, left_out = [], None, None
    for notebook in run.notebooks:
        status = "unfinished" if notebook is running else notebook.status()
        record = notebook.record or {}
        said = record.get("said") or {}
        current = status == "done"
        why = None
        if status == "stale":
            why = _why_stale(notebook)
        elif status == "unfinished":
            started = time.strftime("%Y-%m-%d %H:%M")
            why = f"Started {started}. If no `make reproduce` runs any more, it was stopped: call it again."
        headline = (said.get("headline") or {}) if current else {}
        cohort = said.get("cohort") or cohort if current else cohort
        if current and said.get("left_out") is not None:
            left_out = said["left_out"]
        cards.append(
            {
                "stem": notebook.stem,
                "title": notebook.title,
                "page": notebook.page.name if notebook.record and notebook.page.is_file() else None,
                "status": status,
                "label": labels[status],
                "why": why,
                "error": record.get("error") if status == "failed" else None,
                "took": duration(record["seconds"]) if status in {"done", "failed"} else None,
                "device": headline.get("device") or (record["facts"]["processor"] if current else None),
                "finished": record.get("finished") if status != "unfinished" else None,
                "headline": headline.get("text"),
                "figure": headline.get("figure"),
            }
        )
    done = sum(card["status"] == "done" for card in cards)
    seconds = sum(n.record["seconds"] for n in run.notebooks if n.record and n.status() == "done")
    records = [n.record for n in run.notebooks if n.record]
    facts = max(records, key=lambda r: r["finished"])["facts"] if records else dependencies.facts(run.root)
    pages.write_index(
        run.reports / "index.html",
        run={"name": run.name, "exams": run.exams},
        summary=f"{done} of {len(cards)} notebooks are up to date; they took {duration(seconds)} to run.",
        notebooks=cards,
        cohort=cohort,
        left_out=left_out,
        facts=[
            ("profile", run.profile["study"]["profile"]),
            ("exams", run.cohort),
            ("slices of paper B", run.images or "of the exams"),
            ("device asked for", run.profile["study"]["device"]),
            *facts.items(),
        ],
    )


def times(run: Run) -> str:
    """How long each notebook took when it last ran, and on what."""
    rows = [(n.stem, duration(n.record["seconds"])) for n in run.notebooks if n.record]
    total = duration(sum(n.record["seconds"] for n in run.notebooks if n.record))
    lines = [f"{stem:<28}{took:>9}" for stem, took in [*rows, ("all", total)]]
    return "\n".join([f"{run.name}, {say.cpu()}", *lines])


def _why_stale(notebook: Notebook) -> str:
    changed = notebook.changes()
    if not changed:
        return "A part of its results is missing: run it again."
    return f"Out of date: changed since it ran: {', '.join(changed)}."


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m covid_study.study", description="Run the notebooks, write the report."
    )
    parser.add_argument("--profile", default="demo", help="a file of params/, without .yaml (default: demo)")
    parser.add_argument(
        "--exams", help="a CSV exam table or a folder of exams (default: the synthetic cohort)"
    )
    parser.add_argument(
        "--data", help="a folder or a CSV of slice images for paper B (default: slices of the exams)"
    )
    parser.add_argument("--device", help="auto, cpu, cuda, cuda:1, mps")
    parser.add_argument("--executor", help="in_process, dask, or the address of a Dask scheduler")
    parser.add_argument(
        "--processes", type=int, help="that train a network together, one a GPU (default: the profile's)"
    )
    parser.add_argument("--kernel", help="a Jupyter kernel (default: this interpreter)")
    parser.add_argument("--name", help="the folder below build/ and reports/ (default: the profile's name)")
    parser.add_argument("--notebooks", help="only these, e.g. 03,04")
    parser.add_argument(
        "--set", action="append", default=[], metavar="section.key=value", help="apart by spaces"
    )
    parser.add_argument("--list", action="store_true", help="say what is up to date, run nothing")
    parser.add_argument("--times", action="store_true", help="say how long each notebook took, run nothing")
    given = parser.parse_args(arguments)
    try:
        run = plan(
            given.profile, given.exams, given.device, given.kernel, given.name,
            executor=given.executor, processes=given.processes, images=given.data,
            assignments=" ".join(given.set),
        )  # fmt: skip
        if given.list:
            for notebook in choose(run.notebooks, given.notebooks):
                status = notebook.status()
                print(f"{notebook.stem:<28}{_why_stale(notebook) if status == 'stale' else status}")
            return 0
        if given.times:
            print(times(run))
            return 0
        return 0 if reproduce(run, given.notebooks) else 1
    except StudyError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. The next call goes on where this one was.", file=sys.stderr)
        return 130
