"""A cell of a table, its classifiers of all seeds, as a model's folder: weights, what they are, and a card."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from covid_study import __version__, paths
from covid_study.cohort.findings import numbers, outputs
from covid_study.errors import StudyError
from covid_study.models import card
from covid_study.models.model import (
    ABOUT,
    CARD,
    CONTRACTS,
    FORMAT,
    NOTICE,
    WEIGHTS,
    Model,
    preparing,
    read,
)
from covid_study.models.prepared import WORDS
from covid_study.runtime import manifest
from covid_study.scores.binary import best_f1_threshold
from covid_study.scores.paired import scored
from covid_study.tables.scoring import SCORINGS, scores_of
from covid_study.training.run import predictions


def export(name: str, table: str, row: str, column: str | None, folder: Path | str) -> Model:
    """Write the classifiers of one row and column of a table, of all seeds, into `folder`; returns them as they are read.

    All seeds lie in one file, each weight under "<seed>.": half of an export cannot be taken for the whole, and one hash
    stands for all of it. Names of exams and patients are no part of a model.

    Args:
        name: of the run, a folder below build/. table: e.g. "A.III". column: None where the row has one only.

    Raises:
        StudyError: no such run, table, row or column; the runs are gone or leave no weights; `folder` is there and holds
            something else.
    """
    build, folder = paths.build(name), Path(folder).expanduser().absolute()
    held = {file.name for file in folder.iterdir()} if folder.is_dir() else set()
    if folder.is_file() or (held and not {ABOUT} <= held <= {ABOUT, WEIGHTS, CARD}):
        raise StudyError(f"{folder} holds something else. What to do: give a new or empty folder with -o.")
    results = _results(build, table)
    column, runs = _cell(results, build, table, row, column)
    for run in runs.values():
        manifest.check(run, whole=True)
    records = [manifest.record(run) for run in runs.values()]
    first, said = records[0], {seed: predictions(run) for seed, run in runs.items()}
    if not all((run / "weights.safetensors").is_file() for run in runs.values()):
        raise StudyError(
            f"{row} of {table} is fitted to features and leaves no weights: it cannot be exported. What to do: export a row "
            "that is a network."
        )
    method, store = first["config"]["method"], _store(build, first["config"]["samples"])
    kind, architecture, contract = _what(method, manifest.record(store)["config"])
    together = _mean(list(said.values()))
    of_cell = results[(results["row"] == row) & (results["column"] == column) & results["mean"].notna()]
    classes = _classes(first["config"], together)
    about = {
        "format": FORMAT,
        "notice": NOTICE,
        "name": f"{name}, {table}, {of_cell['label'].iloc[0]}, {column}",
        "kind": kind,
        "architecture": architecture,
        "classes": classes,
        "outputs": list(outputs(classes)),
        "input": contract | CONTRACTS[kind],
        "threshold": _threshold(kind, together, len(runs)),
        "seeds": list(runs),
        "trained_on": _trained_on(build, store, first["config"]),
        "tested_on": _counts(together[together["split"] == "test"]),
        "scores": _scores(of_cell),
        "scores_together": _scores(_together(together, results.attrs, set(of_cell["metric"]))),
        "usual": _usual(store, first["config"]) if kind == "volume" else {},
        "made_from": {"run": name, "table": table, "row": row, "column": column, "folders": [f.name for f in runs.values()]},
        "code": {"covid-study": __version__, "preparing": preparing(kind), **first["made_with"]},
    }  # fmt: skip
    return _write(folder, about, list(runs.items()))


def _write(folder: Path, about: dict, runs: list[tuple[int, Path]]) -> Model:
    """The three files, together or not at all: made beside `folder` and moved there."""
    from safetensors.torch import load_file, save

    # all seeds in one file, by "<seed>.<name>"
    weights = {
        f"{seed}.{name}": values
        for seed, run in runs
        for name, values in load_file(run / "weights.safetensors").items()
    }
    partial_folder = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    partial_folder.mkdir(parents=True)
    try:
        (partial_folder / WEIGHTS).write_bytes(save(weights, {"notice": NOTICE}))
        about["weights"] = _file(partial_folder / WEIGHTS)
        (partial_folder / CARD).write_text(card.of(about), encoding="utf-8")
        about["card"] = _file(partial_folder / CARD)
        text = json.dumps(about, indent=1, default=float, ensure_ascii=False) + "\n"
        (partial_folder / ABOUT).write_text(text, encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(partial_folder, folder)
    finally:
        shutil.rmtree(partial_folder, ignore_errors=True)
    return read(folder)


def _file(file: Path) -> dict:
    return {"bytes": file.stat().st_size, "sha256": manifest.sha256_of(file)}


def _results(build: Path, table: str) -> pd.DataFrame:
    """A table of a run as its notebook wrote it, with its runs in `attrs`."""
    if not build.is_dir():
        known = sorted(results.parent.name for results in build.parent.glob("*/results"))
        raise StudyError(f"there is no run '{build.name}'. Runs here: {', '.join(known) or 'none'}.")
    found = {
        file.stem: file
        for file in sorted((build / "results").glob("*.parquet"))
        if pd.read_parquet(file).attrs.get("runs")
    }
    if table not in found:
        raise StudyError(
            f"the run '{build.name}' has no classifiers in a table '{table}'. Tables: {', '.join(found) or 'none yet'}."
        )
    return pd.read_parquet(found[table])


def _cell(
    results: pd.DataFrame, build: Path, table: str, row: str, column: str | None
) -> tuple[str, dict[int, Path]]:
    """The column, and seed -> folder of the runs of a cell."""
    cells: dict[str, dict[str, dict[int, Path]]] = {}
    for r, c, seed, run in results.attrs["runs"]:
        cells.setdefault(r, {}).setdefault(c, {})[seed] = build / "runs" / run
    if row not in cells:
        raise StudyError(f"{table} has no row '{row}'. Rows: {', '.join(cells)}.")
    columns = cells[row]
    if column is None and len(columns) == 1:
        (column,) = columns
    if column not in columns:
        wanted = f"has no column '{column}'" if column else "has several columns"
        raise StudyError(f"row {row} of {table} {wanted}. Give one of: {', '.join(columns)}.")
    gone = [run.name for run in columns[column].values() if not run.is_dir()]
    if gone:
        raise StudyError(
            f"{gone[0]}, a run of {row} in {table}, is no longer in {build / 'runs'}. What to do: make reproduce with the same "
            "options trains it again."
        )
    return column, columns[column]


def _store(build: Path, key: str) -> Path:
    """The store of volumes or slices that a run was trained on; its key may end in the kind of a device."""
    name = "-".join(key.split("-")[:2])
    for step in ("volumes", "slices"):
        if (found := build / step / name).is_dir():
            return found
    raise StudyError(
        f"{name}, the preprocessed exams of the run, is no longer in {build}. What to do: make reproduce with the same options "
        "makes it again."
    )


def _what(method: dict, made: dict) -> tuple[str, dict, dict]:
    """Kind, architecture and input contract. made: the configuration of the store."""
    if "network" in method:
        network = {name: method["network"][name] for name in ("depth", "width", "stem_stride", "precision")}
        asked = {"shape_xyz": made["preprocessing"]["shape"]}
        asked["spacing_mm_xyz"] = made["preprocessing"]["working_spacing_mm"]
        return "volume", {"network": "resnet3d"} | network, {"from": "a chest CT in HU"} | asked
    network = {
        "network": method["backbone"],
        "supervised": method["supervised"],
        "precision": method["precision"],
    }
    network["mirrored"] = bool(
        method["training"]["augment"]
    )  # it is asked about each slice and its mirror image
    if "slice_id" in made:
        given = {"from": "a picture of a CT slice", "size": made["size"], "boxes": bool(made["crop"])}
        return "picture", network, given
    given = {
        "from": "a chest CT in HU",
        "size": made["size"],
        "crop": made["crop"],
        "per_exam": made["per_exam"],
    }
    return "slice", network, given | {"overlap": made["how"]["overlap"]}


def _classes(config: dict, said: pd.DataFrame) -> list[str]:
    """The classes, COVID-19 first; of two that the run does not name the second is "negative"."""
    named = [name.removeprefix("p_") for name in said if name.startswith("p_")]
    return config.get("classes") or named or ["covid", "negative"]


def _mean(said: list[pd.DataFrame]) -> pd.DataFrame:
    """What the networks of all seeds say together: the mean of their probabilities."""
    asked = [name for name in said[0] if name == "probability" or name.startswith("p_")]
    means = np.mean([frame[asked].to_numpy(float) for frame in said], axis=0)
    return said[0].assign(**dict(zip(asked, means.T, strict=True)))


def _together(said: pd.DataFrame, about: dict, metrics: set[str]) -> pd.DataFrame:
    """The scores of what all networks say together, with intervals over patients: those of these metrics.

    about: of the results, with the kind of case and the number of resamples.
    """
    runs = {("together", "", 0): said}
    scoring = replace(SCORINGS[about["case"]], metrics=tuple(metrics))
    found = scores_of(partial(scored, runs, n=about["resamples"]), scoring)
    return found[found["metric"].isin(metrics)]


def _threshold(kind: str, together: pd.DataFrame, seeds: int) -> dict:
    """From which probability on an exam is called COVID-19, and how that was chosen.

    Choice: of volumes the best F1 on the validation split, of the mean over seeds; of slices none, the most likely class.
    """
    if kind != "volume":
        return {"value": None, "how": "none: the class with the highest probability"}
    validation = together[together["split"] == "validation"]
    chosen = best_f1_threshold(validation["label"], validation["probability"])
    of = f"of the mean over {seeds} networks " if seeds > 1 else ""
    how = chosen.note or f"best F1 {of}on {len(validation)} validation exams ({chosen.f1:.3f})"
    return {"value": chosen.threshold, "how": how}


def _trained_on(build: Path, store: Path, config: dict) -> dict:
    """Hash and counts of the training data; its exams are not named.

    The hash is over the store's files and over which of its exams or slices were trained on, with their labels' fingerprint.
    """
    kept, ids = manifest.record(store), config["training_ids"]
    whole = json.dumps([kept["files"], config["labels"], ids], sort_keys=True)
    synthetic = bool(kept["config"].get("phantom"))
    return {
        "sha256": hashlib.sha256(whole.encode()).hexdigest(),
        "store": store.name,
        "labels": config["labels"],
        "synthetic": synthetic,
        "samples": len(ids),
    }


def _counts(tested: pd.DataFrame) -> dict:
    found = {"cases": len(tested), "patients": tested["patient_id"].nunique()}
    return found | {"covid": int(numbers(tested["finding"], ["covid", "negative"]).sum())}


def _scores(found: pd.DataFrame) -> list[dict]:
    """Each score with its interval; what is not defined is left out."""
    ends = [name for name in ("metric", "mean", "low", "high", "seeds") if name in found]
    known = found[found["mean"].notna()][ends]
    return [
        {name: None if value != value else value for name, value in line.items()}  # NaN is no JSON
        for line in known.to_dict("records")
    ]


def _usual(store: Path, config: dict) -> dict[str, list[float]]:
    """Fact -> the least and the greatest of it among the training exams."""
    table = pd.read_parquet(store / "exams.parquet").set_index("exam_id").reindex(config["training_ids"])
    found = table.reindex(columns=list(WORDS)).astype(float)
    return {name: [found[name].min(), found[name].max()] for name in WORDS if found[name].notna().any()}
