"""Does what a run left still hold? `make verify`: every file by its hash, a sample of the tables from predictions."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from covid_study.errors import StudyError
from covid_study.runtime import manifest
from covid_study.scores.claims import scored
from covid_study.study.facts import made_with
from covid_study.study.notebook import short
from covid_study.study.plan import Plan
from covid_study.tables.scoring import SCORINGS, scores_of
from covid_study.training.run import predictions

AGAIN = "make reproduce with the options of this run and"
CELLS = 5  # of each table that are computed again


def verify(run: Plan) -> bool:
    """Print what was looked at, with what it was made, and what does not hold. True where all does."""
    if not run.build.is_dir():
        raise StudyError(
            f"there is nothing in {short(run.build)} yet: call make reproduce with the same options first."
        )
    kept, lost = _artefacts(run.build)
    ran, changed = _notebooks(run)
    counted, differ = _tables(run.build)
    print(
        f"{short(run.build)}: {kept} artefacts read whole, {ran} executed notebooks, {counted} cells of tables computed again."
    )
    for name, value in made_with(run).items():
        print(f"  {name:<12} {value}")
    problems = [*lost, *changed, *differ]
    for notebook in run.notebooks:
        if notebook.status() == "stale":
            print(f"  {notebook.stem}: {notebook.why_stale()}")
        problems += [
            f"{name}, which {notebook.stem} used or made, was removed or is damaged. What to do: {AGAIN} "
            f"NOTEBOOKS={notebook.stem[:2]} makes it again."
            for name in notebook.lost
            if not (run.build / name).is_dir()  # of a damaged artefact it is said above
        ]
    print(*problems, sep="\n")
    print("" if problems else "All of it holds.")
    return not problems


def _artefacts(build: Path) -> tuple[int, list[str]]:
    """How many were read, and what is damaged of them."""
    folders = [
        file.parent for file in sorted(build.glob(f"*/*/{manifest.RECORD}")) if file.parent.name[0] != "."
    ]
    problems = []
    for folder in folders:
        try:
            manifest.check(folder, whole=True)
        except StudyError as error:
            problems.append(str(error))
    return len(folders), problems


def _notebooks(run: Plan) -> tuple[int, list[str]]:
    done = [n for n in run.notebooks if n.record and n.record["status"] == "done" and "executed" in n.record]
    changed = [
        n
        for n in done
        if not n.executed.is_file() or manifest.sha256_of(n.executed) != n.record["executed"][1]
    ]
    told = f"{{}} is not what was written when it ran. What to do: {AGAIN} NOTEBOOKS={{}} runs it again."
    return len(done), [told.format(short(n.executed), n.stem[:2]) for n in changed]


def _tables(build: Path) -> tuple[int, list[str]]:
    """How many cells were computed again, and those that came out otherwise."""
    counted, differ = 0, []
    for file in sorted((build / "results").glob("*.parquet")):
        try:
            table = pd.read_parquet(file)
        except (OSError, ValueError) as error:
            differ.append(f"{short(file)} cannot be read ({error}). What to do: run its notebook again.")
            continue
        about = table.attrs
        cells = {tuple(cell[:2]) for cell in about.get("runs", [])}
        for cell in random.Random(0).sample(sorted(cells), min(CELLS, len(cells))):
            folders = {
                tuple(key): build / "runs" / name for *key, name in about["runs"] if tuple(key[:2]) == cell
            }
            try:
                said = {key: predictions(folder) for key, folder in folders.items()}
                again = scores_of(partial(scored, said, n=about["resamples"]), SCORINGS[about["case"]])
            except (OSError, ValueError, KeyError) as error:
                differ.append(
                    f"{short(file)}, {cell[0]}, {cell[1]}: its predictions cannot be read ({error})."
                )
                continue
            counted += 1
            both = again.merge(table, on=["row", "column", "metric"], how="left", suffixes=("", "_kept"))
            wrong = [
                m for m, *values in both[["metric", *_pairs()]].itertuples(index=False) if not _equal(values)
            ]
            if wrong:
                differ.append(
                    f"{short(file)}, {cell[0]}, {cell[1]}: {', '.join(wrong)} came out otherwise from its predictions."
                )
    return counted, differ


def _pairs() -> list[str]:
    return [f"{name}{end}" for end in ("", "_kept") for name in ("mean", "low", "high")]


def _equal(values: list[float]) -> bool:
    return np.allclose(values[:3], values[3:], rtol=0, atol=1e-12, equal_nan=True)
