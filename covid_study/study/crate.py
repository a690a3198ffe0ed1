"""What a run was, for machines: RO-Crate 1.1 with the Process Run Crate profile, and Croissant 1.0 for the cohort."""

from __future__ import annotations

import hashlib
import json
import mimetypes
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from covid_study.study.facts import cited, facts
from covid_study.study.notebook import Notebook
from covid_study.study.plan import Plan

RUN, COHORT = "ro-crate-metadata.json", "croissant.json"
CRATE, PROCESS = "https://w3id.org/ro/crate/1.1", "https://w3id.org/ro/wfrun/process/0.5"
CROISSANT = "http://mlcommons.org/croissant/1.0"
LICENCE = "https://spdx.org/licenses/Apache-2.0"
UNKNOWN = "Not stated: who publishes this run says under which terms."
TERMS = (  # of Croissant's own vocabulary
    "citeAs column equivalentProperty extract field fileObject fileProperty fileSet format includes isLiveDataset jsonPath key "
    "md5 parentField path recordSet references regex repeated replace samplingRate separator source subField transform"
)
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    **{name: {"@id": f"cr:{name}", "@type": "@json"} for name in ("data", "examples")},
    **{term: f"cr:{term}" for term in TERMS.split()},
}
FIELDS = {
    "exam_id": "The exam; a salted hash where exams are real and names were not asked for",
    "patient_id": "The patient, whose exams are all in one split; a salted hash like the exam's",
    "finding": "covid, cap (community-acquired pneumonia), non_pneumonia or other",
    "split": "train, validation or test",
}


def of_run(run: Plan, files: Iterable[str]) -> str:
    """The crate of a report: its files, and an action for each notebook that has run. files: beside the index."""
    stated, pictures = facts(run), " and pictures of the user's own" if run.images else ""
    ran = [n for n in run.notebooks if n.record]
    pages = ["index.html", *(n.page.name for n in ran if n.page.is_file())]
    parts = [
        {"@id": name, "@type": "File", "name": name, "encodingFormat": mimetypes.guess_type(name)[0] or "text/plain"}
        for name in [*pages, *(f for f in files if f != RUN)]
    ]  # fmt: skip
    asked = [
        {"@id": f"#{name.replace(' ', '-')}", "@type": "PropertyValue", "name": name, "value": stated[name]}
        for name in ("profile", "seeds", "hash of the data", "commit")
        if name in stated
    ]
    software = [
        {"@id": f"#{n.stem}", "@type": "SoftwareSourceCode", "name": f"notebooks/{n.stem}.ipynb", "license": {"@id": LICENCE},
         "description": n.title, "programmingLanguage": "Python", "version": n.record["facts"]["commit"]}
        for n in ran
    ]  # fmt: skip
    actions = [_action(n, asked) for n in ran]
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": f"covid-study, run {run.name}",
        "description": f"Notebooks that retrace two papers on COVID-19 classification, run on: {_exams(run)}{pictures}.",
        "datePublished": max(
            (a["endTime"] for a in actions), default=datetime.now().astimezone().isoformat()
        ),
        "license": UNKNOWN if run.images else _licence(run),
        "conformsTo": {"@id": PROCESS},
        "hasPart": _ids(parts),
        "mentions": _ids(actions),
    }
    about = {
        "@id": RUN,
        "@type": "CreativeWork",
        "conformsTo": {"@id": CRATE},
        "about": {"@id": "./"},
    }
    others = [
        {"@id": PROCESS, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"},
        {"@id": LICENCE, "@type": "CreativeWork", "name": "Apache License 2.0"},
    ]
    graph = [about, root, *parts, *asked, *software, *actions, *others]
    return _text({"@context": f"{CRATE}/context", "@graph": graph})


def of_cohort(run: Plan, table: str, columns: Sequence[str]) -> str:
    """The Croissant file of cohort.csv. table: its text."""
    kept = {"@id": "cohort.csv", "@type": "cr:FileObject", "name": "cohort.csv", "contentUrl": "cohort.csv"}
    kept |= {"encodingFormat": "text/csv", "sha256": hashlib.sha256(table.encode()).hexdigest()}
    fields = [
        {"@id": f"exams/{c}", "@type": "cr:Field", "name": c, "description": FIELDS[c], "dataType": "sc:Text",
         "source": {"fileObject": {"@id": "cohort.csv"}, "extract": {"column": c}}}
        for c in columns
    ]  # fmt: skip
    exams = {"@id": "exams", "@type": "cr:RecordSet", "name": "exams", "description": "One record an exam"}
    exams |= {"key": {"@id": "exams/exam_id"}, "field": fields}
    cite, licence = cited(run), _licence(run)
    dataset = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CROISSANT,
        "name": f"covid-study-{run.name}-cohort",
        "description": f"The exams of the run {run.name} and how they were split: {_exams(run)}. No pictures.",
        "license": licence["@id"] if isinstance(licence, dict) else licence,
        "version": "1.0.0",
        "datePublished": max(n.record["finished"] for n in run.notebooks if n.record)[:10],
        **({"citeAs": cite["bibtex"]} if cite else {}),
        "distribution": [kept],
        "recordSet": [exams],
    }
    return _text(dataset)


def _action(notebook: Notebook, asked: Iterable[dict]) -> dict[str, Any]:
    record = notebook.record
    ended = datetime.strptime(record["finished"], "%Y-%m-%d %H:%M").astimezone()
    done = record["status"] == "done"
    return {
        "@id": f"#run-of-{notebook.stem}",
        "@type": "CreateAction",
        "name": f"Run of {notebook.stem}",
        "instrument": {"@id": f"#{notebook.stem}"},
        "object": _ids(asked),
        **({"result": {"@id": notebook.page.name}} if notebook.page.is_file() else {}),
        "startTime": (ended - timedelta(seconds=round(record["seconds"]))).isoformat(),
        "endTime": ended.isoformat(),
        "actionStatus": f"http://schema.org/{'Completed' if done else 'Failed'}ActionStatus",
    }


def _exams(run: Plan) -> str:
    synthetic = "synthetic lesions in exams of the user's own" if run.background else "a synthetic cohort"
    return "exams of the user's own" if run.exams else synthetic


def _licence(run: Plan) -> Any:
    return UNKNOWN if run.exams or run.background else {"@id": LICENCE}


def _ids(entities: Iterable[dict]) -> list[dict]:
    return [{"@id": entity["@id"]} for entity in entities]


def _text(found: dict) -> str:
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"
