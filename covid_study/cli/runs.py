"""`covid-study reproduce`, `datasets`, `scoreboard` and `compare`: runs of the study, and what they said."""

from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from importlib import import_module
from io import StringIO
from typing import Any

import click

from covid_study import paths
from covid_study.cli.output import answer, as_json, working

VERDICTS = ("holds", "fails", "no effect", "open")
THEIR_OWN = {"ignore_unknown_options": True, "allow_interspersed_args": False}


class PassedOn(click.Command):
    """A command whose arguments another parser reads; the help has both."""

    def __init__(self, *args: Any, module: str, **kwargs: Any):
        super().__init__(*args, context_settings=THEIR_OWN, **kwargs)
        self.module = module
        self.params.append(click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED))

    def their_main(self) -> Callable[[list[str]], int]:
        """What reads the arguments."""
        return import_module(self.module).main

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The other parser's help."""
        told = StringIO()
        with redirect_stdout(told), suppress(SystemExit):
            self.their_main()(["--help"])
        formatter.write(f"\n{told.getvalue()}")


@click.command(cls=PassedOn, module="covid_study.study.reproduce")
@click.pass_context
def reproduce(ctx: click.Context, arguments: tuple[str, ...]) -> None:
    """Run the notebooks in order and write reports/NAME/index.html, as `make reproduce` does.

    \b
    Examples:
      covid-study reproduce --profile smoke
      covid-study reproduce --profile demo --exams my-exams.csv --name my-exams
      covid-study reproduce --profile smoke --list --json
    """
    ctx.exit(ctx.command.their_main()(list(arguments)))


@click.command(cls=PassedOn, module="covid_study.datasets.command")
@click.pass_context
def datasets(ctx: click.Context, arguments: tuple[str, ...]) -> None:
    """List the public data sets that can be read, check one, fetch one.

    \b
    Examples:
      covid-study datasets list
      covid-study datasets check covid-ct --at data/covid-ct
      covid-study datasets fetch --help
    """
    ctx.exit(ctx.command.their_main()(list(arguments)))


@click.command()
@click.argument("name")
@click.option("--verdict", type=click.Choice(VERDICTS), help="Only claims that came out so.")
@as_json
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
@as_json
def compare(a: str, b: str, as_json: bool) -> None:
    """Write reports/compare-A-B.html: what differs between two runs, and what it did to claims and tables.

    \b
    Examples:
      covid-study compare smoke trial
      covid-study compare smoke reference/laptop --json
    """
    from covid_study.study import compare as runs

    with working():
        page = runs.compare(a, b)
        sides = runs.side(a), runs.side(b)
        claims = runs.claims(*sides)
    flipped = [line["key"] for line in claims if line["flipped"]]
    parameters = {name: [one, other] for name, one, other in runs.differences(*(s.parameters for s in sides))}
    found = {"page": page, "claims": len(claims), "flipped": flipped, "parameters": parameters}
    answer(found, f"{page}: {len(flipped)} of {len(claims)} claims have another verdict.", as_json)
