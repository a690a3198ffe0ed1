"""How a run is cited: a sentence and BibTeX, of CITATION.cff and of what the run was."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

SPECIAL = str.maketrans({c: f"\\{c}" for c in "&%$#_{}"})


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
