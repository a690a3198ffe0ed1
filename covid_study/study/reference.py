"""What a measured run said, kept for those who have not run it: `reports/reference/<name>/`, which is committed."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from covid_study import paths
from covid_study.errors import StudyError
from covid_study.report import results
from covid_study.report.show import amount_text
from covid_study.report.words import metric_head
from covid_study.runtime.artefacts import write_atomically
from covid_study.runtime.progress import duration
from covid_study.study.notebook import short
from covid_study.study.plan import Plan
from covid_study.study.verify import made_with

VERDICTS = ("holds", "fails", "no effect", "open")


def keep(run: Plan) -> Path:
    """Write claims.csv, results.csv, run.json and a README.md that reads on the web; no picture of an exam is in them.

    Raises:
        StudyError: a notebook of the run is not up to date.
    """
    behind = [n.stem for n in run.notebooks if n.status() != "done"]
    if behind:
        raise StudyError(
            f"{', '.join(behind)} of {run.name} did not run, or not with what stands here now: only a whole run is kept as a "
            "reference. What to do: make reproduce with the same options, then this again."
        )
    folder = paths.reference(run.name)
    folder.mkdir(parents=True, exist_ok=True)
    tables = {f.stem: pd.read_parquet(f) for f in sorted((run.build / "results").glob("*.parquet"))}
    claims = pd.concat([t for name, t in tables.items() if name.endswith("-claims")], ignore_index=True)
    tidy = [t for t in tables.values() if list(t.columns) == results.COLUMNS]
    said = {
        "profile": run.profile["study"]["profile"],
        "exams": Path(run.images or run.cohort).name,  # not where they lie
        "seconds": {n.stem: n.record["seconds"] for n in run.notebooks},
        **made_with(run),
    }
    texts = {
        "claims.csv": claims.round(6).to_csv(index=False),
        "results.csv": pd.concat(tidy, ignore_index=True).round(6).to_csv(index=False),
        "run.json": json.dumps(said, indent=1) + "\n",
        "README.md": _page(run.name, claims, said),
    }
    for name, text in texts.items():
        write_atomically(folder / name, lambda path, text=text: path.write_text(text, encoding="utf-8"))
    print(f"{short(folder)}: {_counts(claims)}. Commit it to show it beside other runs.")
    return folder


def _counts(claims: pd.DataFrame) -> str:
    count = claims["verdict"].value_counts()
    return ", ".join(f"{count.get(verdict, 0)} {verdict}" for verdict in VERDICTS)


def _page(name: str, claims: pd.DataFrame, said: dict) -> str:
    """The claims by verdict, those that are decided first, and with what they were measured."""
    took = said["seconds"]
    lines = [
        f"# {name}: what this run said",
        f"Profile `{said['profile']}`, {said['exams']}, seeds {said['seeds']}, {said['processor']}, commit {said['commit']}; "
        f"its notebooks took {duration(sum(took.values()))} together. Of {len(claims)} claims: {_counts(claims)}. Differences "
        "in points, intervals of 95 % over patients and seeds; `claims.csv`, `results.csv` and `run.json` hold all of it.",
        "| claim | in | by | paper | here | 95 % | verdict |\n| --- | --- | --- | --- | --- | --- | --- |",
    ]
    order = claims.assign(place=claims["verdict"].map(VERDICTS.index)).sort_values("place", kind="stable")
    for line in order.to_dict("records"):
        between = " to ".join(filter(None, (amount_text(line, end) for end in ("low", "high"))))
        numbers = [amount_text(line, of) for of in ("published", "difference")]
        cells = [line["text"], line["table"], metric_head(line["score"]), *numbers, between, line["verdict"]]
        lines[-1] += "\n| " + " | ".join(str(cell).replace("|", r"\|") for cell in cells) + " |"
    return "\n\n".join(lines) + "\n"
