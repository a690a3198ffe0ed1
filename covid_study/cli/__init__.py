"""The command line, `covid-study` or `python -m covid_study`: a command is imported when it is asked for, and no sooner.

`archive` ranks and selects, `exams` predicts and explains, `runs` has the commands about runs of
the study, `datasets` those about public data.
"""

from importlib import import_module
from typing import Any

import click

from covid_study import __version__
from covid_study.errors import StudyError

# Where each command lies, and what the list of commands says of it.
COMMANDS = {
    "reproduce": ("covid_study.cli.runs:reproduce", "Run the notebooks, write the report."),
    "datasets": ("covid_study.cli.datasets:datasets", "List, check and fetch the public data sets."),
    "rank": ("covid_study.cli.archive:rank", "Rank an archive by its distance to a few positives."),
    "select": ("covid_study.cli.archive:select", "Choose exams of a ranked archive to train on."),
    "predict": ("covid_study.cli.exams:predict", "Say of exams how likely they show COVID-19."),
    "explain": ("covid_study.cli.exams:explain", "Show why an exam was left out, or read as it was."),
    "export": ("covid_study.cli.exams:export", "Write a trained network for other programs."),
    "scoreboard": ("covid_study.cli.runs:scoreboard", "Say what became of every claim in a run."),
    "compare": ("covid_study.cli.runs:compare", "Put two runs side by side."),
}
STOPPED = 130  # what a program that was interrupted ends with


class Commands(click.Group):
    """The group of COMMANDS; an error for people is one message and exit status 1."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of COMMANDS."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command of that name, imported now."""
        if name not in COMMANDS:
            return None
        module, _, function = COMMANDS[name][0].partition(":")
        return getattr(import_module(module), function)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, for which none is imported."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except StudyError as error:
            raise click.ClickException(str(error)) from error
        except BrokenPipeError:  # nobody reads on: click knows what to do
            raise
        except OSError as error:
            said = f"{error.filename or 'a file'} cannot be used ({error.strerror or error})."
            raise click.ClickException(said) from error
        except KeyboardInterrupt:
            click.echo(
                "\nStopped. The same command goes on where this one was, if it is reproduce, rank or fetch.",
                err=True,
            )
            ctx.exit(STOPPED)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="covid-study")
def main() -> None:
    """Train a classifier for a new disease from few positives and a large archive of negatives.

    \b
    Examples:
      covid-study reproduce --profile smoke
      covid-study rank features.parquet --positives finding=covid -o ranking.parquet
      covid-study COMMAND --help
    """
