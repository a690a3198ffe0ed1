"""With what a run was made, how long it took, and how it is cited."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from covid_study.runtime.manifest import sha256_of
from covid_study.runtime.progress import duration
from covid_study.study.notebook import Notebook
from covid_study.study.plan import Plan

SPECIAL = str.maketrans({c: f"\\{c}" for c in "&%$#_{}"})  # of BibTeX
WATTS = {"CPU": 65, "GPU": 400}  # assumed, of a processor at work


def made_with(run: Plan) -> dict[str, str]:
    """Seeds, data, device, commit and versions, as recorded when the notebooks ran."""
    return made_by((notebook.record for notebook in run.notebooks if notebook.record), run.profile["study"])


def made_by(records: Iterable[dict], study: Mapping) -> dict[str, str]:
    """`made_with` of the records of notebooks and the section `study` of their profile."""
    newest = sorted(records, key=lambda record: record["finished"], reverse=True)
    # not every notebook reads exams, or images
    data = [
        next(filter(None, (r["parts"].get(name) for r in newest)), "") for name in ("exams", "the images")
    ]
    return {
        "seeds": ", ".join(map(str, study["seeds"])),
        "data": ", ".join(filter(None, data)),
        "device": study["device"],
        **(newest[0]["facts"] if newest else {}),
    }


def device_of(notebook: Notebook) -> str:
    """Where a notebook that has run did its work."""
    return (notebook.said.get("headline") or {}).get("device") or notebook.record["facts"]["processor"]


def energy(done: Collection[Notebook]) -> str:
    """What their times come to at assumed watts; of two that shared a CPU both are counted whole."""
    watts = {n.stem: WATTS["CPU" if device_of(n) == n.record["facts"]["processor"] else "GPU"] for n in done}
    hours = sum(n.record["seconds"] * watts[n.stem] for n in done) / 3.6e6
    return f"at most {hours:.2g} kWh, were it {WATTS['CPU']} W on a CPU and {WATTS['GPU']} W on a GPU (assumed, not measured)"


def facts(run: Plan) -> dict[str, str]:
    """What the index states of a run."""
    done = run.done
    study, made, lock = run.profile["study"], made_with(run), run.root / "requirements.lock"
    commit = made.get("commit", "")
    if commit and commit != "unknown" and " " not in commit:  # else it says what was changed since
        made["commit"] = f"{commit}, clean"
    shown = {
        "profile": study["profile"],
        "exams": run.cohort,
        "slices of paper B": run.images or "of the exams",
        "device asked for": study["device"],
        "seeds": made["seeds"],
        **_more_seeds(run),
        "hash of the data": made["data"],
        "hash of requirements.lock": sha256_of(lock)[:12] if lock.is_file() else "",
        "duration": f"{duration(sum(n.record['seconds'] for n in done))}, all notebooks added up",
        "energy": energy(done),
        **{name: value for name, value in made.items() if name not in ("seeds", "data", "device")},
    }
    return {name: value for name, value in shown.items() if value}


def cited(run: Plan) -> dict[str, str] | None:
    """How the run is cited; None before a notebook is done, and where there is no CITATION.cff."""
    years = [n.record["finished"][:4] for n in run.done]
    if not years:
        return None
    commit = made_with(run)["commit"]
    about = {**facts(run), "commit": commit, "name": run.name, "year": max(years), "exams": run.studied}
    return citation(run.root, about)


def _more_seeds(run: Plan) -> dict[str, str]:
    """The seeds that some tables have in place of those of all, or beside them."""
    tables = {"Tables III, IV, V and VII": "sampling", "Tables 5 and 6": "slice_losses"}
    tables |= {"DSN-SAAL on public data": "public"} if run.images else {}
    more = {f"more seeds of {name}": run.profile[section]["more_seeds"] for name, section in tables.items()}
    own = run.profile["slice_training"]["seeds"]
    more |= {"seeds of paper B": own} if own != run.profile["study"]["seeds"] else {}
    return {name: ", ".join(map(str, seeds)) for name, seeds in more.items()}


def citation(root: Path, run: Mapping[str, str]) -> dict[str, str] | None:
    """The sentence and the BibTeX; None where there is no CITATION.cff.

    run: name, year, commit, profile, seeds, exams, in words.
    """
    file = root / "CITATION.cff"
    if not file.is_file():
        return None
    cff = yaml.safe_load(file.read_text(encoding="utf-8"))
    who = "; ".join(map(_name, cff["authors"]))
    what = "run {name}, commit {commit}, profile {profile}, seeds {seeds}, {exams}".format_map(run)
    papers = "; ".join(
        f"{_name(p['authors'][0])} et al. {p['year']}, doi:{p['doi']}" for p in cff["references"]
    )
    sentence = (
        f"{who} ({run['year']}). {cff['title']}, version {cff['version']}; {what}. It retraces {papers}."
    )
    entries = [_entry("software", f"covid-study-{run['name']}", {"author": f"{{{who}}}", "title": cff["title"],
               "version": cff["version"], "year": run["year"], "note": what.translate(SPECIAL)})]  # fmt: skip
    for paper in cff["references"]:
        authors = " and ".join(f"{a['family-names']}, {a['given-names']}" for a in paper["authors"])
        key = f"{paper['authors'][0]['family-names'].lower()}{paper['year']}"
        fields = {"author": authors, "title": paper["title"], "journal": paper["journal"]}
        fields |= {name: paper[name] for name in ("volume", "year", "doi")}
        entries.append(_entry("article", key, fields))
    return {"sentence": sentence, "bibtex": "\n\n".join(entries)}


def _name(author: Mapping[str, str]) -> str:
    return author.get("name") or author["family-names"]


def _entry(kind: str, key: str, fields: Mapping[str, Any]) -> str:
    lines = [f"  {name} = {{{value}}}" for name, value in fields.items()]
    return f"@{kind}{{{key},\n" + ",\n".join(lines) + "\n}"
