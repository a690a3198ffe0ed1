"""Runs the notebooks in order and keeps the report: `python -m covid_study.study --profile demo`.

A notebook that ran before is not run again while all that it depends on is the same: its text, its parameters, the
modules that it and the notebooks before it import, the exams, the environment. What a module computes is kept apart
from this, in the artefacts of `runtime.artefacts`: to run a notebook again is cheap where its artefacts are still true.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from pathlib import Path

from filelock import FileLock, Timeout

from covid_study.errors import StudyError
from covid_study.report import say
from covid_study.runtime import artefacts, manifest
from covid_study.runtime.disk import writing
from covid_study.runtime.progress import duration
from covid_study.study import dependencies, execute, pages
from covid_study.study.notebook import Notebook, read_notebook, short
from covid_study.study.plan import Plan, plan

LABELS = {
    "done": "done",
    "stale": "out of date",
    "failed": "failed",
    "not-run": "not run yet",
    "unfinished": "in progress",
}


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
            if notebook.record is None and not notebook.page.is_file():
                pages.write_placeholder(notebook.page, notebook.title)
            elif notebook.status() == "stale" and notebook.page.is_file():
                pages.mark(notebook.page, notebook.why_stale())
        todo = [n for n in chosen if n.status() != "done"]
        for done in (n for n in chosen if n.status() == "done"):
            if done.record.get("templates") != pages.templates_key():
                _write_page(run, done, done.executed)
                done.write({**done.record, "templates": pages.templates_key()})
            pages.mark(done.page)
        finished = _run_all(run, todo)
        write_index(run)
    if not todo:
        print(f"Nothing to do: {len(chosen)} notebooks are up to date.", end=" ")
    if finished:
        print(f"Report: {short(run.reports / 'index.html')}")
    return finished


def _run_all(run: Plan, todo: list[Notebook]) -> bool:
    if not todo:
        return True
    frozen = run.freeze()
    parameters = {n.stem: execute.injected(n.stem, n.content, frozen) for n in todo}
    kernel = execute.prepare_kernel(run.build / ".jupyter", run.kernel, several=len(todo) > 1)
    facts = dependencies.facts(run.root)
    for position, notebook in enumerate(todo, start=1):
        write_index(run, running=notebook)
        label = f"[{position}/{len(todo)}] {notebook.stem}"
        display = execute.Display(label, run.build / ".progress.json", (notebook.record or {}).get("seconds"))
        running = notebook.folder / f".running-{notebook.stem}.ipynb"
        used = run.build / ".used.txt"
        used.unlink(missing_ok=True)
        os.environ[artefacts.USED_FILE] = str(used)
        display.start()
        try:
            failure = execute.execute(
                notebook.source, running, parameters[notebook.stem], kernel, run.root, display
            )
        finally:
            seconds = display.close()
            del os.environ[artefacts.USED_FILE]
        result = notebook.failed if failure else notebook.executed
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
            "artefacts": sorted(set(used.read_text("utf-8").split())) if used.is_file() else [],
            "executed": [result.stat().st_size, manifest.sha256_of(result)],
        }
        _write_page(run, notebook, result)
        notebook.write(notebook.record)  # last: only with it the notebook counts as run
        if failure:
            print(f"{label}: failed after {duration(seconds)}\n", flush=True)
            print(failure.message, file=sys.stderr)
            if not failure.for_people:
                print(f"\nThe whole traceback: {short(notebook.page)}", file=sys.stderr)
            return False
        notebook.failed.unlink(missing_ok=True)
        print(f"{label}: done in {duration(seconds)}", flush=True)
        for exam in notebook.said.get("left_out") or ():
            print("  left out: exam {exam_id}: {problem}. What to do: {remedy}.".format_map(exam), flush=True)
    return True


def _device(notebook: Notebook) -> str:
    return (notebook.said.get("headline") or {}).get("device") or notebook.record["facts"]["processor"]


def _write_page(run: Plan, notebook: Notebook, executed: Path) -> None:
    place, record = run.notebooks.index(notebook), notebook.record
    before, after = (
        run.notebooks[i] if 0 <= i < len(run.notebooks) else None for i in (place - 1, place + 1)
    )
    exams = f"exams: {run.exams}" if run.exams else run.cohort
    exams = f"images: {run.images}" if run.images and "slices" in notebook.sections else exams
    page = {
        "title": notebook.title,
        "headline": (notebook.said.get("headline") or {}).get("text"),
        "subtitle": f"{run.name} · {exams} · {duration(record['seconds'])} on {_device(notebook)} · {record['finished']} · "
        f"commit {record['facts']['commit']}",
        "previous": before and (before.stem, before.title),
        "next": after and (after.stem, after.title),
    }
    text = pages.render(read_notebook(executed), page)
    artefacts.write_atomically(notebook.page, lambda p: p.write_text(text, encoding="utf-8"))
    if record["status"] == "failed":
        reason = record["error"] if record["for_people"] else ""
        notice = f"This notebook failed; what stands below its error was not run. {reason}"
        pages.mark(notebook.page, notice, "failed")


def write_index(run: Plan, running: Notebook | None = None) -> None:
    """Write the index page from the records: what is done, stale, failed, not run, in progress."""
    cards, cohort, left_out = [], None, None
    for notebook in run.notebooks:
        status = "unfinished" if notebook is running else notebook.status()
        record, current = notebook.record or {}, status == "done"
        why = notebook.why_stale() if status == "stale" else None
        if status == "unfinished":
            started = time.strftime("%Y-%m-%d %H:%M")
            why = f"Started {started}. If no `make reproduce` runs any more, it was stopped: call it again."
        said = notebook.said if current else {}
        cohort = said.get("cohort") or cohort
        left_out = said["left_out"] if said.get("left_out") is not None else left_out
        headline = said.get("headline") or {}
        cards.append(
            {
                "stem": notebook.stem,
                "title": notebook.title,
                "page": notebook.page.name if record and notebook.page.is_file() else None,
                "status": status,
                "label": LABELS[status],
                "why": why,
                "error": record.get("error") if status == "failed" else None,
                "took": duration(record["seconds"]) if status in {"done", "failed"} else None,
                "device": _device(notebook) if current else None,
                "finished": record.get("finished") if status != "unfinished" else None,
                "headline": headline.get("text"),
                "figure": headline.get("figure"),
            }
        )
    records = [n.record for n in run.notebooks if n.record]
    done = [n.record["seconds"] for n in run.notebooks if n.status() == "done"]
    facts = max(records, key=lambda r: r["finished"])["facts"] if records else dependencies.facts(run.root)
    pages.write_index(
        run.reports / "index.html",
        run={"name": run.name, "exams": run.exams},
        summary=f"{sum(card['status'] == 'done' for card in cards)} of {len(cards)} notebooks are up to date; "
        f"they took {duration(sum(done))} to run.",
        notebooks=cards,
        cohort=cohort,
        left_out=left_out,
        facts=[
            ("profile", run.profile["study"]["profile"]),
            ("exams", run.cohort),
            ("slices of paper B", run.images or "of the exams"),
            ("device asked for", run.profile["study"]["device"]),
            ("seeds", ", ".join(map(str, run.profile["study"]["seeds"]))),
            ("data", ", ".join(filter(None, {n.parts["exams"]: 0 for n in run.notebooks}))),
            *facts.items(),
        ],
    )


def times(run: Plan) -> str:
    """How long each notebook took when it last ran, and on what."""
    seconds = {n.stem: n.record["seconds"] for n in run.notebooks if n.record}
    seconds["all"] = sum(seconds.values())
    lines = [f"{stem:<28}{duration(took):>9}" for stem, took in seconds.items()]
    return "\n".join([f"{run.name}, {say.cpu()}", *lines])


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m covid_study.study", description="Run the notebooks, write the report."
    )
    for option, meaning in {
        "exams": "a CSV exam table or a folder of exams (default: the synthetic cohort)",
        "data": "a folder or a CSV of slice images for paper B (default: slices of the exams)",
        "device": "auto, cpu, cuda, cuda:1, mps",
        "executor": "in_process, dask, or the address of a Dask scheduler",
        "kernel": "a Jupyter kernel (default: this interpreter)",
        "name": "the folder below build/ and reports/ (default: the profile's name)",
        "notebooks": "only these, e.g. 03,04",
    }.items():
        parser.add_argument(f"--{option}", help=meaning)
    parser.add_argument("--profile", default="demo", help="a file of params/, without .yaml (default: demo)")
    parser.add_argument(
        "--processes", type=int, help="that train a network together (default: the profile's)"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="section.key=value", help="another value than the profile's"
    )  # fmt: skip
    parser.add_argument("--list", action="store_true", help="say what is up to date, run nothing")
    parser.add_argument(
        "--verify", action="store_true", help="say whether what was computed still holds, run nothing"
    )
    parser.add_argument("--times", action="store_true", help="say how long each notebook took, run nothing")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    given = _arguments().parse_args(arguments)
    try:
        run = plan(
            given.profile, " ".join(given.set), given.kernel, exams=given.exams, images=given.data,
            device=given.device, executor=given.executor, processes=given.processes, name=given.name,
        )  # fmt: skip
        if given.list:
            for notebook in run.choose(given.notebooks):
                status = notebook.status()
                print(f"{notebook.stem:<28}{notebook.why_stale() if status == 'stale' else status}")
            return 0
        if given.times:
            print(times(run))
            return 0
        if given.verify:
            from covid_study.study.verify import verify  # needs torch, which the runner does not

            return 0 if verify(run) else 1
        return 0 if reproduce(run, given.notebooks) else 1
    except StudyError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. The next call goes on where this one was.", file=sys.stderr)
        return 130
