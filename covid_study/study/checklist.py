"""Two reporting guidelines item by item, as far as a run answers them; the items are `templates/checklist.yaml`."""

from __future__ import annotations

from typing import Any

import yaml

from covid_study.params.profiles import check
from covid_study.params.sections import Profile
from covid_study.study import contents, pages, scoreboard
from covid_study.study.facts import facts
from covid_study.study.plan import Plan

STATES = {
    "here": "from this run",
    "waits": "its notebook has to run",
    "none": "not applicable",
    "yours": "yours to write",
}


def write(run: Plan) -> None:
    """Write the page, its links only to notebooks that are up to date."""
    lists = answered(run)
    pages.write(run.reports / "checklist.html", "checklist.html.j2", run=run.name, lists=lists, states=STATES)


def answered(run: Plan) -> list[dict[str, Any]]:
    """The guidelines with every item's `state`, `text` and, where there is one, `link`."""
    people = bool(run.exams or run.background or run.images)
    told = {
        "p": check(Profile, run.profile, "the profile"),
        "f": _Facts(facts(run)),
        "claims": sum(line["verdict"] != "open" for line in scoreboard.rows(run)),
        "exams": run.cohort,
    }
    done = {"index", *(n.stem for n in run.done)}
    lists = yaml.safe_load((pages.TEMPLATES / "checklist.yaml").read_text(encoding="utf-8"))
    for one in lists:
        for items in one["parts"].values():
            for item in items:
                over = item.get("images") if run.images else None
                answer = over or (item.get("own") if people else None) or item
                (state,) = answer.keys() & {"here", "none", "yours"}
                item["text"], item["link"] = answer[state].format_map(told), ""
                if state == "here":
                    stem, _, anchor = answer["at"].partition("#")
                    item["link"] = f"{stem}.html#{contents.place(anchor)}"
                    item["where"] = "the index" if stem == "index" else f"notebook {stem[:2]}"
                    state = state if stem in done else "waits"
                item["state"] = state
    return lists


class _Facts(dict):
    """What is not known of a run that has only begun."""

    def __missing__(self, key: str) -> str:
        return "not known yet"
