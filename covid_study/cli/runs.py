"""`covid-study reproduce`, `scoreboard` and `compare`: runs of the study, and what they said."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import click

from covid_study import paths
from covid_study.cli.output import answer, as_json as json_too, working
from covid_study.report.words import VERDICTS

if TYPE_CHECKING:
    from covid_study.study.plan import Plan

ASKED = {
    "list": "Say what is up to date, run nothing.",
    "verify": "Say whether what was computed still holds, run nothing.",
    "reference": "Keep what this run said in reports/reference/, run nothing.",
    "times": "Say how long each notebook took, run nothing.",
}


def _instead(command):
    """The options of `reproduce` that run nothing."""
    for name, what in reversed(ASKED.items()):
        command = click.option(f"--{name}", "instead", flag_value=name, help=what)(command)
    return command


@click.command()
@click.option("--profile", default="demo", show_default=True, help="A file of params/, without .yaml.")
@click.option("--exams", help="A CSV exam table or a folder of exams.  [default: the synthetic cohort]")
@click.option("--data", help="A folder or a CSV of slice images for paper B.  [default: slices of the exams]")
@click.option("--device", help="auto, cpu, cuda, cuda:1, mps.")
@click.option("--executor", help="in_process, dask, or the address of a Dask scheduler.")
@click.option("--processes", type=int, help="That train a network together.  [default: the profile's]")
@click.option("--kernel", help="A Jupyter kernel.  [default: this interpreter]")
@click.option("--name", help="The folder below build/ and reports/.  [default: the profile's name]")
@click.option("--notebooks", help="Only these, e.g. 03,04.")
@click.option(
    "--set",
    "changed",
    multiple=True,
    metavar="SECTION.KEY=VALUE",
    help="Another value than the profile's. Repeatable.",
)
@_instead
@json_too
@click.pass_context
def reproduce(
    ctx: click.Context, profile: str, data: str | None, notebooks: str | None, kernel: str | None, changed: tuple[str, ...],
    instead: str | None, as_json: bool, **given: str | int | None,
) -> None:  # fmt: skip
    """Run the notebooks in order and write reports/NAME/index.html, as `make reproduce` does.

    \b
    Examples:
      covid-study reproduce --profile smoke
      covid-study reproduce --profile demo --exams my-exams.csv --name my-exams
      covid-study reproduce --profile smoke --list --json
    """
    from covid_study.study import reproduce as study
    from covid_study.study.plan import plan

    with working() if as_json else nullcontext():
        run = plan(profile, " ".join(changed), kernel, images=data, **given)
        done = _done_instead(run, instead, notebooks) if instead else study.reproduce(run, notebooks)
    if as_json:
        answer(study.state(run, done), "", as_json)
    ctx.exit(int(not done))


def _done_instead(run: Plan, instead: str, notebooks: str | None) -> bool:
    """What was asked for in place of a run; True where all of it went well."""
    if instead == "list":
        for notebook in run.choose(notebooks):
            status = notebook.status()
            click.echo(f"{notebook.stem:<30}{notebook.why_stale() if status == 'stale' else status}")
        return True
    if instead == "times":
        from covid_study.study.reproduce import times

        click.echo(times(run))
        return True
    if instead == "reference":
        from covid_study.study.reference import keep  # needs pandas, which the runner does not

        return bool(keep(run, notebooks))
    from covid_study.study.verify import verify  # needs torch, which the runner does not

    return bool(verify(run))


@click.command()
@click.argument("name")
@click.option("--verdict", type=click.Choice(VERDICTS), help="Only claims that came out so.")
@json_too
def scoreboard(name: str, verdict: str | None, as_json: bool) -> None:
    """Print every claim of the run NAME, with its numbers and its verdict.

    NAME is a run of yours, below build/, or one that is kept in reports/reference/. Verdicts of kept runs stand beside.

    \b
    Examples:
      covid-study scoreboard laptop
      covid-study scoreboard reference/laptop --verdict holds
      covid-study scoreboard smoke --json
    """
    from covid_study.report.references import references
    from covid_study.report.show import in_words
    from covid_study.study import scoreboard as board
    from covid_study.study.compare import side

    kept = (
        not name.startswith("reference/")
        and not paths.build(name).is_dir()
        and paths.reference(name).is_dir()
    )
    run = side(f"reference/{name}" if kept else name)
    lines = [line | in_words(line) for line in run.claims.reset_index().to_dict("records")]
    counts = {one: sum(line["verdict"] == one for line in lines) for one in VERDICTS}
    others = {other: said for other, said in references().items() if f"reference/{other}" != run.name}
    for line in lines:
        line["references"] = {other: said.get(line["key"], "") for other, said in others.items()}
        line |= line["references"]
    shown = [line for line in lines if verdict in (None, line["verdict"])]
    heads = {"key": "key", "claim": "text", "by": "by", "paper": "theirs", "here": "here", "95 %": "between"}
    heads |= {"verdict": "verdict", "by AUC": "auc_said", **{f"in {other}": other for other in others}}
    said = f"{run.name}: of {len(lines)} claims {', '.join(f'{n} {one}' for one, n in counts.items())}.\n\n"
    claims = [{name: value for name, value in line.items() if name not in others} for line in shown]
    found = {"run": run.name, "facts": run.facts, "counts": counts, "claims": claims}
    answer(found, said + board.markdown(heads, shown), as_json)


@click.command()
@click.argument("a")
@click.argument("b")
@json_too
def compare(a: str, b: str, as_json: bool) -> None:
    """Write reports/compare-A-B.html: what differs between two runs, and what it did to claims and tables.

    \b
    Examples:
      covid-study compare smoke trial
      covid-study compare smoke reference/laptop --json
    """
    from covid_study.study import compare as runs

    with working():
        sides = runs.side(a), runs.side(b)
        page, claims = runs.compare(*sides)
    shared = sum(not line["alone"] for line in claims)
    flipped = [line["key"] for line in claims if line["flipped"]]
    parameters = {name: [one, other] for name, one, other in runs.differences(*(s.parameters for s in sides))}
    found = {
        "page": page,
        "claims": shared,
        "alone": len(claims) - shared,
        "flipped": flipped,
        "parameters": parameters,
    }
    answer(
        found, f"{page}: {len(flipped)} of the {shared} claims that both have got another verdict.", as_json
    )
