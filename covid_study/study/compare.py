"""Two runs side by side, `make compare A=smoke B=reference/laptop`: what changed, and what it did to claims and tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from covid_study import paths
from covid_study.errors import StudyError
from covid_study.params.sections import sections_of
from covid_study.report import results
from covid_study.report.show import amount_text, between_text
from covid_study.report.words import column_head, metric_head, value_text
from covid_study.study import pages
from covid_study.study.facts import made_by
from covid_study.study.notebook import read_record, short
from covid_study.study.reference import claims_and_cells, flat, tables

CELL = ["table", *results.KEY]


@dataclass
class Side:
    """One of two runs: its parameters and facts by name, its claims by key, its cells by `CELL`."""

    name: str
    parameters: dict[str, Any]
    facts: dict[str, Any]
    claims: pd.DataFrame
    cells: pd.DataFrame


def side(name: str) -> Side:
    """What a run left in `build/<name>`, or what is kept of it in `reports/<name>` where that is reference/<name>.

    Raises:
        StudyError: there is no such run, or none of its notebooks is done.
    """
    kept = name.startswith("reference/")
    folder = paths.reference(name.removeprefix("reference/")) if kept else paths.build(name)
    if not folder.is_dir():
        raise StudyError(
            f"there is no run {name}: {short(folder)} is not there; one that is kept is reference/laptop."
        )
    parameters, facts, claims, cells = (_kept if kept else _built)(folder)
    parameters.pop("study.name", None)  # names the two, and changes nothing
    cells = cells[cells["mean"].notna()]  # else only the paper has it
    return Side(name, parameters, facts, claims.set_index("key"), cells.drop_duplicates(CELL).set_index(CELL))


def _kept(folder: Path) -> tuple[dict, dict, pd.DataFrame, pd.DataFrame]:
    try:
        said = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        found = [pd.read_csv(folder / f"{name}.csv") for name in ("claims", "results")]
    except (OSError, ValueError) as error:
        raise StudyError(
            f"{short(folder)} cannot be read ({error}). What to do: restore it: git checkout -- {short(folder)}"
        ) from error
    parameters = dict(said["parameters"])
    for sitting in (
        *reversed(said.pop("earlier", [])),
        said,
    ):  # where they differ, of the newest that read them
        read = {section for stem in sitting["seconds"] for section in sections_of(stem)}
        parameters |= {k: v for k, v in sitting["parameters"].items() if k.partition(".")[0] in read}
    facts = {name: value for name, value in said.items() if name not in ("seconds", "parameters", "exams")}
    return parameters, facts, *found


def _built(folder: Path) -> tuple[dict, dict, pd.DataFrame, pd.DataFrame]:
    read = [read_record(file) for file in sorted((folder / "notebooks").glob("*.json"))]
    records = [record for record in read if record and record["status"] == "done"]
    profiles = sorted(folder.glob("profile-*.yaml"), key=lambda file: file.stat().st_mtime)
    if not records or not profiles:
        raise StudyError(
            f"no notebook of {short(folder)} is done. What to do: make reproduce, with the options of that run."
        )
    profile = yaml.safe_load(profiles[-1].read_text(encoding="utf-8"))
    facts = {"profile": profile["study"]["profile"]} | made_by(records, profile["study"])
    try:
        found = tables(folder, records)
    except OSError as error:
        raise StudyError(
            f"a result of {folder.name} cannot be read ({error}). What to do: make reproduce, with the options of that run."
        ) from error
    return flat(profile), facts, *claims_and_cells(found)


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """What is not the same on both sides, or is on one alone.

    >>> differences({"seed": 0, "epochs": 2}, {"seed": 0, "epochs": 3, "flips": True})
    [('epochs', 2, 3), ('flips', '–', True)]
    """
    pairs = [(name, a.get(name, "–"), b.get(name, "–")) for name in dict.fromkeys([*a, *b])]
    return [(name, x, y) for name, x, y in pairs if x != y]


def claims(a: Side, b: Side) -> list[dict[str, Any]]:
    """Every claim of either run; those first that `flipped`, whose verdict is another, last those that one run alone has."""
    found = []
    for key in dict.fromkeys([*a.claims.index, *b.claims.index]):
        both = [side.claims.loc[key].to_dict() if key in side.claims.index else None for side in (a, b)]
        line = both[0] or both[1]
        verdicts = [of["verdict"] if of else "–" for of in both]
        alone = None in both
        numbers = [(amount_text(of, "difference"), between_text(of)) if of else ("", "") for of in both]
        text = {name: line[name] for name in ("text", "table", "place")} | {"by": metric_head(line["score"])}
        found.append(
            {
                "key": key,
                **text,
                "verdicts": verdicts,
                "numbers": numbers,
                "flipped": not alone and verdicts[0] != verdicts[1],
                "alone": alone,
            }
        )
    return sorted(found, key=lambda line: (line["alone"], not line["flipped"]))


def cells(a: Side, b: Side) -> dict[str, list[dict[str, Any]]]:
    """Every cell of either run by its table; `apart` where the two intervals have nothing in common."""
    found: dict[str, list[dict[str, Any]]] = {}
    both = pd.concat([a.cells.add_suffix("_a"), b.cells.add_suffix("_b")], axis=1)
    for (table, row, column, metric), line in zip(both.index, both.to_dict("records"), strict=True):
        sides = [_cell(metric, *(line[f"{name}_{of}"] for name in ("mean", "low", "high"))) for of in "ab"]
        apart = line["low_a"] > line["high_b"] or line["low_b"] > line["high_a"]
        labels = [line[f"label_{of}"] for of in "ab" if isinstance(line[f"label_{of}"], str)]
        heads = {
            "row": labels[0] if labels else row,
            "column": column_head(column),
            "score": metric_head(metric),
        }
        same = sides[0] == sides[1]
        found.setdefault(table, []).append({**heads, "sides": sides, "apart": apart, "same": same})
    return found


def _cell(metric: str, mean: float, low: float, high: float) -> tuple[str, str]:
    ends = [value_text(metric, end) for end in (low, high)]
    return value_text(metric, mean) or "–", " to ".join(ends) if all(ends) else ""


def compare(a: Side, b: Side) -> tuple[Path, list[dict[str, Any]]]:
    """Write `reports/compare-A-B.html`; its path, and the claims that it shows."""
    file = paths.reports(f"compare-{a.name}-{b.name}.html".replace("/", "-"))
    file.parent.mkdir(exist_ok=True)
    told = claims(a, b)
    facts = differences(a.facts, b.facts)
    code, data = ("commit",), ("data", "profile", "seeds", "device")
    kinds = {
        "Parameters": differences(a.parameters, b.parameters),
        "Code": [line for line in facts if line[0] in code],
        "Data and device": [line for line in facts if line[0] in data],
        "Environment": [line for line in facts if line[0] not in (*code, *data, "date")],
    }
    unknown = [s.name for s in (a, b) if not s.parameters]
    pages.write(
        file, "compare.html.j2", names=(a.name, b.name), kinds=kinds, unknown=unknown, claims=told, cells=cells(a, b)
    )  # fmt: skip
    return file, told
