"""What a measured run said, kept for those who have not run it: `reports/reference/<name>/`, which is committed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from covid_study import paths
from covid_study.errors import StudyError
from covid_study.report import results
from covid_study.report.show import amount_text, in_words
from covid_study.report.words import VERDICTS
from covid_study.runtime.artefacts import write_atomically, write_text
from covid_study.runtime.progress import duration
from covid_study.scores.claims import COLUMNS as CLAIMS
from covid_study.study.facts import made_by
from covid_study.study.notebook import short
from covid_study.study.plan import PLACES, Plan
from covid_study.study.scoreboard import HEADS, markdown
from covid_study.study.story import story

FIGURE = "table-iii.png"


def keep(run: Plan, wanted: str | None = None) -> Path:
    """Write claims.csv, results.csv, run.json, a README.md that reads on the web and its figure; no exam is pictured.

    What was kept of other notebooks than those wanted stays: a long study is kept in as many sittings as it takes.

    Args:
        wanted: notebooks, as `Plan.choose` has them; all without it.

    Raises:
        StudyError: one of them is not up to date.
    """
    chosen = run.choose(wanted)
    behind = [n.stem for n in chosen if n.status() != "done"]
    if behind:
        raise StudyError(
            f"{', '.join(behind)} of {run.name} did not run, or not with what stands here now: only what is done is kept as a "
            "reference. What to do: make reproduce with the same options, then this again."
        )
    folder = paths.reference(run.name)
    folder.mkdir(parents=True, exist_ok=True)
    found = tables(run.build, [n.record for n in chosen])
    claims, cells = claims_and_cells(found)
    claims["here"] = [amount_text(line, "difference") for line in claims.to_dict("records")]
    if earlier := _earlier(folder, {n.stem for n in chosen}):
        claims, cells = (
            _with_kept(new, folder / name) for new, name in ((claims, "claims.csv"), (cells, "results.csv"))
        )
    said = {
        "profile": run.profile["study"]["profile"],
        "exams": run.studied,
        "seconds": {n.stem: n.record["seconds"] for n in chosen},
        "parameters": flat(run.profile),
        **made_by([n.record for n in chosen], run.profile["study"]),
        "earlier": earlier,
    }
    texts = {
        "claims.csv": claims.round(6).to_csv(index=False),
        "results.csv": cells.round(6).to_csv(index=False),
        "run.json": json.dumps(said, indent=1) + "\n",
        "README.md": _page(run.name, claims, said),
    }
    for name, text in texts.items():
        write_text(folder / name, text)
    if "A.III" in found:
        _draw(found["A.III"], run.profile["sampling"]["shares"], folder / FIGURE)
    readme = run.root / "README.md"
    if readme.is_file() and (told := first_screen(readme.read_text(encoding="utf-8"), run.name, claims)):
        write_text(readme, told)
    print(f"{short(folder)}: {_counts(claims)}. Commit it to show it beside other runs.")
    return folder


def _earlier(folder: Path, named: set[str]) -> list[dict]:
    """With what notebooks other than these were kept, a sitting each, the newest first."""
    if not (folder / "run.json").is_file():
        return []
    newest = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    sittings = [newest, *newest.pop("earlier", [])]
    left = [{stem: s for stem, s in one["seconds"].items() if stem not in named} for one in sittings]
    return [one | {"seconds": seconds} for one, seconds in zip(sittings, left, strict=True) if seconds]


def _with_kept(new: pd.DataFrame, file: Path) -> pd.DataFrame:
    """And the lines of a file about tables that the new ones are not about; in the order of the tables' names."""
    kept = pd.read_csv(file)
    both = pd.concat([new, kept[~kept["table"].isin(new["table"])]], ignore_index=True)
    return both.sort_values("table", kind="stable", ignore_index=True)


def _draw(table_3: pd.DataFrame, shares: list[float], file: Path) -> None:
    """F1 against the number of negatives, as notebook 04 has it, of the paper's own rows."""
    from covid_study.figures import curves, style  # here, because the runner draws nothing
    from covid_study.tables.table import column

    style.use()
    columns = {column(share): share for share in shares} | {"all": 1.0}
    rows = table_3[table_3["in_paper"]]
    figure = curves.by_size(rows, columns, "f1", axis="F1", title="F1 at threshold 0.5")
    write_atomically(file, lambda at: figure.savefig(at, format="png", dpi=144, bbox_inches="tight"))


def tables(build: Path, records: Iterable[Mapping[str, Any]]) -> dict[str, pd.DataFrame]:
    """The results that notebooks wrote below a build folder, by name. records: what is kept of each notebook."""
    names = {name for record in records for name in record["artefacts"] if name.endswith(".parquet")}
    return {Path(name).stem: pd.read_parquet(build / name) for name in sorted(names)}


def claims_and_cells(found: Mapping[str, pd.DataFrame]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All claims of some tables, as `claims.decide` has them, and all cells, as `results.join_published`."""
    claims = [table for name, table in found.items() if name.endswith("-claims")]
    cells = [table for table in found.values() if list(table.columns) == results.COLUMNS]
    return (
        pd.concat(claims or [pd.DataFrame(columns=CLAIMS)], ignore_index=True),
        pd.concat(cells or [pd.DataFrame(columns=results.COLUMNS)], ignore_index=True),
    )


def flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """A profile with a name a value; of exams and images their names, not where they lie.

    >>> flat({"cohort": {"exams": "/ct/exams.csv", "split": [0.8, 0.2]}})
    {'cohort.exams': 'exams.csv', 'cohort.split': [0.8, 0.2]}
    """
    found: dict[str, Any] = {}
    for name, value in values.items():
        key = f"{before}{name}"
        if isinstance(value, Mapping):
            found |= flat(value, f"{key}.")
        else:
            found[key] = Path(value).name if key in PLACES and value else value
    return found


def _counts(claims: pd.DataFrame) -> str:
    count = claims["verdict"].value_counts()
    count = ", ".join(f"{count.get(verdict, 0)} {verdict}" for verdict in VERDICTS)
    if "by_auc" not in claims:
        return count
    either = claims[["verdict", "by_auc"]]
    by_either = either.notna() & ~either.isin(["", "open"])
    return f"{count}; {by_either.any(axis=1).sum()} decided by the paper's score or by AUC"


def first_screen(readme: str, name: str, claims: pd.DataFrame) -> str | None:
    """A README with what a kept run says between its marks `<!-- says NAME -->` and `<!-- end -->`; None without such marks.

    claims: of its claims.csv.
    """
    begin, end = f"<!-- says {name} -->\n", "<!-- end -->"
    before, mark, rest = readme.partition(begin)
    if not mark or end not in rest:
        return None
    sentences = [
        f"- **{one['about']}.** " + "; ".join(_sentence(line) for line in one["claims"])
        for one in story(_shown(claims))
        if one["claims"]
    ]
    counts = f"Of {len(claims)} claims: {_counts(claims)} ([each with its numbers](reports/reference/{name}/README.md))."
    return before + mark + "\n".join([*sentences, "", counts, ""]) + end + rest.partition(end)[2]


def _sentence(line: Mapping[str, Any]) -> str:
    by_auc = f", by AUC {line['auc_said']}" if line["auc_said"] else ""
    return f"{line['text']}: **{line['verdict']}**, {line['number']}{by_auc}"


def _shown(claims: pd.DataFrame) -> list[dict[str, Any]]:
    """The claims with their numbers in words."""
    return [
        in_words(line) | line
        for line in claims.astype(object).fillna({"here": "", "by_auc": ""}).to_dict("records")
    ]


def _page(name: str, claims: pd.DataFrame, said: dict) -> str:
    """The claims by verdict, those that are decided first, and with what they were measured."""
    lines = [
        f"# {name}: what this run said",
        f"Of {len(claims)} claims: {_counts(claims)}. Differences in points, intervals of 95 % over patients and seeds; "
        "`claims.csv`, `results.csv` and `run.json` hold all of it.",
        "\n".join(_sitting(one) for one in (said, *said["earlier"])),
    ]
    order = claims.assign(place=claims["verdict"].map(VERDICTS.index)).sort_values("place", kind="stable")
    heads = HEADS | {"verdict": "verdict", "by AUC": "auc_said"}
    return "\n\n".join([*lines, markdown(heads, _shown(order))]) + "\n"


def _sitting(said: Mapping[str, Any]) -> str:
    took = said["seconds"]
    which = ", ".join(stem.partition("_")[0] for stem in took)
    return (
        f"- Notebooks {which}: profile `{said['profile']}`, {said['exams']}, seeds {said['seeds']}, {said['processor']}, "
        f"commit {said['commit']}; together {duration(sum(took.values()))}."
    )
