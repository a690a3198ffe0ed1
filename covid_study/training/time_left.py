"""How long a sweep will take, before it begins and while it runs: by exams or slices still to see."""

import math
import time
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path

import pandas as pd
from IPython.display import HTML

from covid_study.runtime.artefacts import is_there
from covid_study.runtime.progress import duration, makespan
from covid_study.training.run import Run, timing


def planned(runs: Mapping[str, Run], folder: Path) -> pd.DataFrame:
    """What a sweep would do: a row a run, with its state and an estimate of its time.

    Choice: a run takes as long an exam seen as the median of the runs in `folder` with the same network and samples.

    Returns:
        Index: name. `state` ("there", "to compute", or "same as <name>"), `exams_seen`, `seconds`: what it took, or the
        estimate, NaN where nothing like it has run.
    """
    rows, first, known = {}, {}, None
    for name, run in runs.items():
        result = run.folder(folder)
        state, seconds = "to compute", math.nan
        if is_there(result):
            state, seconds = "there", timing(result)["train_seconds"]
        elif result in first:
            state, seconds = f"same as {first[result]}", 0.0
        else:
            known = paces(folder) if known is None else known  # many files: read where they are needed
            seconds = known.get(run.kind, math.nan) * run.seen
        first.setdefault(result, name)
        rows[name] = {"state": state, "exams_seen": run.seen, "seconds": seconds}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["state", "exams_seen", "seconds"])


def plan_sentence(plan: pd.DataFrame, at_once: int = 1) -> str:
    """A plan in one sentence. at_once: runs that are trained side by side.

    >>> plan_sentence(pd.DataFrame({"state": ["there", "to compute"], "seconds": [9.0, 61.0]}))
    '2 runs: 1 there, 1 to compute, about 1:01 one after the other'
    """
    todo = plan.loc[plan["state"] == "to compute", "seconds"]
    text = f"{len(plan)} run{'s' * (len(plan) != 1)}: {(plan['state'] == 'there').sum()} there, {len(todo)} to compute"
    if todo.empty:
        return text
    if todo.isna().any():
        return f"{text}, time not known yet"
    how = f", {at_once} at once" if at_once > 1 else " one after the other"
    return f"{text}, about {duration(makespan(todo, at_once))}{how}"


def plan_table(plan: pd.DataFrame, at_once: int = 1) -> HTML:
    """The plan for a reader: one sentence, the runs folded behind it."""
    about = {True: "", False: "about "}
    times = [
        "not known yet" if pd.isna(row.seconds) else about[row.state == "there"] + duration(row.seconds)
        for row in plan.itertuples()
    ]
    shown = plan.assign(seconds=times).rename(columns={"exams_seen": "exams seen", "seconds": "time"})
    table = (
        shown.rename_axis("run").reset_index().to_html(index=False, border=0, classes="plain", justify="left")
    )
    return HTML(f"<details><summary>{escape(plan_sentence(plan, at_once))}</summary>{table}</details>")


def paces(folder: Path) -> dict[str, float]:
    """Seconds an exam seen of the runs that are there, by what they have in common."""
    found: dict[str, list[float]] = {}
    for record in sorted(Path(folder).glob("*/timing.json")):
        took = timing(record.parent)
        found.setdefault(took["kind"], []).append(took["train_seconds"] / max(1, took["exams_seen"]))
    return {kind: float(pd.Series(values).median()) for kind, values in found.items()}


class Left:
    """The seconds that are left of a sweep, by exams or slices still to see: a call says them.

    A run takes as long as those of its kind took a sample in this sweep, else in earlier ones. What other kinds took is no
    guide: of sixty slices a second's pace is that of their test, and three thousand were told to take hours.
    """

    def __init__(self, todo: Mapping[str, Run], paces: Mapping[str, float], at_once: int):
        self.todo, self.paces, self.at_once = dict(todo), dict(paces), at_once
        self.took: dict[str, float] = {}
        self.started = time.monotonic()

    def ended(self, name: str, seconds: float) -> None:
        """A run has ended after so many seconds of its own."""
        if not self.took:  # what the workers took to start is no part of a run
            self.started = time.monotonic() - seconds
        self.took[name] = seconds
        of_kind = [n for n in self.took if self.todo[n].kind == self.todo[name].kind]
        self.paces[self.todo[name].kind] = self._pace(of_kind)

    def _pace(self, names: Iterable[str]) -> float:
        return sum(self.took[n] for n in names) / max(1, sum(self.todo[n].seen for n in names))

    def __call__(self) -> float | None:
        """None where nothing is known of the kind of a run that is left."""
        seconds = [
            self.took.get(name, self.paces.get(run.kind, math.nan) * run.seen)
            for name, run in self.todo.items()
        ]
        if any(map(math.isnan, seconds)):
            return None
        return max(0.0, makespan(seconds, self.at_once) - (time.monotonic() - self.started))
