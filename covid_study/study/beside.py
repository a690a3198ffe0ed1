"""What lies beside the index for other programs: the scoreboard, the cohort, every table, the executed notebooks."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from covid_study.params.profiles import check
from covid_study.params.sections import Profile
from covid_study.runtime.artefacts import write_atomically, write_text
from covid_study.samples.cohorts import cohort
from covid_study.scores.claims import BY_AUC
from covid_study.study import checklist, crate, scoreboard
from covid_study.study.plan import Plan
from covid_study.study.reference import tables
from covid_study.study.run_pages import FILES

COHORT = ["exam_id", "patient_id", "finding", "split"]  # no path, and no centre: a reader need not know where


def write(run: Plan) -> None:
    """Write FILES from what is up to date; a cohort only where a notebook has shown one."""
    claims = scoreboard.rows(run)
    done = run.done
    texts = {"scoreboard.md": scoreboard.page(run.name, claims), "scoreboard.csv": as_csv(claims)}
    if any(n.said.get("cohort") for n in done):
        exams = cohort(check(Profile, run.profile, "the profile"))
        texts["cohort.csv"] = exams[COHORT].to_csv(index=False)
        texts[crate.COHORT] = crate.of_cohort(run, texts["cohort.csv"], COHORT)
    packed = {name: text.encode() for name, text in texts.items() if name.endswith(".csv")}
    for name, table in tables(run.build, [n.record for n in done]).items():
        packed[f"tables/{name}.csv"] = table.to_csv(index=False).encode()
    packed |= {f"notebooks/{n.executed.name}": n.executed.read_bytes() for n in done}
    for name in {"cohort.csv", crate.COHORT} - set(texts):  # of an earlier state
        (run.reports / name).unlink(missing_ok=True)
    for name, text in texts.items():
        write_text(run.reports / name, text)
    write_atomically(run.reports / "results.zip", lambda path: pack(path, packed))
    checklist.write(run)
    write_text(run.reports / crate.RUN, crate.of_run(run, [n for n in FILES if (run.reports / n).is_file()]))


def as_csv(claims: list[dict[str, Any]]) -> str:
    """The scoreboard, a line a claim; the verdict of each reference run in a column of its own."""
    columns = ["key", "table", "place", "text", "score", "kind", "published", "difference", "low", "high"]
    columns += ["seeds", "fewest", "verdict", "needs", *BY_AUC, "notebook"]
    references = list(claims[0]["references"]) if claims else []
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*columns, *(f"in {name}" for name in references)])
    for line in claims:
        writer.writerow([line.get(name) for name in columns] + [line["references"][r] for r in references])
    return text.getvalue()


def pack(path: Path, files: Mapping[str, bytes]) -> None:
    """Write a zip whose bytes depend on what is in it alone."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in sorted(files.items()):
            about = zipfile.ZipInfo(name)  # of 1980
            about.compress_type, about.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(about, data)
