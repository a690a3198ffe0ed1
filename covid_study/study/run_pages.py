"""The pages of a run, written from the records of its notebooks."""

from __future__ import annotations

import time
from collections.abc import Collection
from pathlib import Path

from covid_study.runtime import artefacts
from covid_study.runtime.progress import duration
from covid_study.study import crate, pages, scoreboard
from covid_study.study.facts import cited, device_of, facts
from covid_study.study.notebook import Notebook, read_notebook
from covid_study.study.plan import Plan
from covid_study.study.story import story

LABELS = {
    "done": "done",
    "stale": "out of date",
    "failed": "failed",
    "not-run": "not run yet",
    "unfinished": "in progress",
}
# beside the index, see `beside`
FILES = {
    "checklist.html": "CLAIM 2024 and TRIPOD+AI item by item: answered from this run, not applicable, or yours to write",
    "scoreboard.csv": "every claim: the paper's difference, this run's with its interval, seeds, verdict, what would close it",
    "scoreboard.md": "the same to read",
    "results.zip": "every table as CSV, and the executed notebooks",
    "cohort.csv": "the exams: finding, patient, split",
    crate.COHORT: "the same described for machines (Croissant 1.0)",
    crate.RUN: "this run described for machines (RO-Crate 1.1, Process Run Crate)",
}


def write_page(run: Plan, notebook: Notebook, executed: Path) -> None:
    """Write the page of a notebook that has run, and mark it where it failed."""
    place, record = run.notebooks.index(notebook), notebook.record
    before, after = (
        run.notebooks[i] if 0 <= i < len(run.notebooks) else None for i in (place - 1, place + 1)
    )
    exams = f"exams: {run.exams}" if run.exams else run.cohort
    exams = f"images: {run.images}" if run.images and "slices" in notebook.sections else exams
    page = {
        "title": notebook.title,
        "headline": (notebook.said.get("headline") or {}).get("text"),
        "subtitle": f"{run.name} · {exams} · {duration(record['seconds'])} on {device_of(notebook)} · {record['finished']} · "
        f"commit {record['facts']['commit']}",
        "stem": notebook.stem,
        "commit": record["facts"]["commit"],
        "notebook": pages.keep_notebook(executed, notebook.page),
        "previous": before and (before.stem, before.title),
        "next": after and (after.stem, after.title),
    }
    artefacts.write_text(notebook.page, pages.render(read_notebook(executed), page))
    if record["status"] == "failed":
        reason = record["error"] if record["for_people"] else ""
        notice = f"This notebook failed; what stands below its error was not run. {reason}"
        pages.mark(notebook.page, notice, "failed")


def write_index(run: Plan, running: Collection[Notebook] = ()) -> None:
    """Write the index page from the records: what is done, stale, failed, not run, in progress."""
    lines, cohort, left_out = [], None, None
    for notebook in run.notebooks:
        status = "unfinished" if notebook in running else notebook.status()
        record, current = notebook.record or {}, status == "done"
        why = notebook.why_stale() if status == "stale" else None
        if status == "unfinished":
            started = time.strftime("%Y-%m-%d %H:%M")
            why = f"Started {started}. If no `make reproduce` runs any more, it was stopped: call it again."
        said = notebook.said if current else {}
        cohort = said.get("cohort") or cohort
        left_out = said["left_out"] if said.get("left_out") is not None else left_out
        headline = said.get("headline") or {}
        lines.append(
            {
                "stem": notebook.stem,
                "title": notebook.title,
                "page": notebook.page.name if record and notebook.page.is_file() else None,
                "status": status,
                "label": LABELS[status],
                "why": why,
                "error": record.get("error") if status == "failed" else None,
                "took": duration(record["seconds"]) if status in {"done", "failed"} else None,
                "finished": record.get("finished") if status != "unfinished" else None,
                "headline": headline.get("text"),
                "figure": headline.get("figure"),
            }
        )
    done = run.done
    claims = scoreboard.rows(run)
    pages.write(
        run.reports / "index.html",
        "index.html.j2",
        run={"name": run.name, "exams": run.exams, "images": run.images},
        summary=f"{len(done)} of {len(lines)} notebooks are up to date; "
        f"their times add up to {duration(sum(n.record['seconds'] for n in done))}.",
        story=story(claims),
        beside={} if running else {f: what for f, what in FILES.items() if (run.reports / f).is_file()},
        notebooks=lines,
        again=[line for line in lines if line["status"] != "done"],
        claims=claims,
        cohort=cohort,
        left_out=left_out,
        facts=facts(run),
        cite=cited(run),
    )
