"""The pages of a run, written from the records of its notebooks."""

from __future__ import annotations

import time
from collections.abc import Collection
from pathlib import Path

from covid_study.runtime import artefacts
from covid_study.runtime.progress import duration
from covid_study.study import dependencies, pages, scoreboard
from covid_study.study.notebook import Notebook, read_notebook
from covid_study.study.plan import Plan

LABELS = {
    "done": "done",
    "stale": "out of date",
    "failed": "failed",
    "not-run": "not run yet",
    "unfinished": "in progress",
}


def _device(notebook: Notebook) -> str:
    return (notebook.said.get("headline") or {}).get("device") or notebook.record["facts"]["processor"]


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
        "subtitle": f"{run.name} · {exams} · {duration(record['seconds'])} on {_device(notebook)} · {record['finished']} · "
        f"commit {record['facts']['commit']}",
        "stem": notebook.stem,
        "commit": record["facts"]["commit"],
        "notebook": pages.keep_notebook(executed, notebook.page),
        "previous": before and (before.stem, before.title),
        "next": after and (after.stem, after.title),
    }
    text = pages.render(read_notebook(executed), page)
    artefacts.write_atomically(notebook.page, lambda p: p.write_text(text, encoding="utf-8"))
    if record["status"] == "failed":
        reason = record["error"] if record["for_people"] else ""
        notice = f"This notebook failed; what stands below its error was not run. {reason}"
        pages.mark(notebook.page, notice, "failed")


def _more_seeds(run: Plan) -> list[tuple[str, str]]:
    """The seeds that some tables have beside those of all."""
    tables = {"Tables III and V": "sampling", "Tables 5 and 6": "slice_losses"}
    more = {f"more seeds of {name}": run.profile[section]["more_seeds"] for name, section in tables.items()}
    return [(name, ", ".join(map(str, seeds))) for name, seeds in more.items() if seeds]


def write_index(run: Plan, running: Collection[Notebook] = ()) -> None:
    """Write the index page from the records: what is done, stale, failed, not run, in progress."""
    cards, cohort, left_out = [], None, None
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
        f"their times add up to {duration(sum(done))}.",
        notebooks=cards,
        claims=scoreboard.rows(run),
        cohort=cohort,
        left_out=left_out,
        facts=[
            ("profile", run.profile["study"]["profile"]),
            ("exams", run.cohort),
            ("slices of paper B", run.images or "of the exams"),
            ("device asked for", run.profile["study"]["device"]),
            ("seeds", ", ".join(map(str, run.profile["study"]["seeds"]))),
            *_more_seeds(run),
            ("data", ", ".join(filter(None, {n.parts["exams"]: 0 for n in run.notebooks}))),
            *facts.items(),
        ],
    )
