"""What commands say: the answer on stdout, in words or as one JSON object, everything else on stderr."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from typing import Any

import click

as_json = click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object.")


@contextmanager
def working() -> Iterator[None]:
    """What the work prints, its progress above all, goes to stderr: stdout is for the answer."""
    with redirect_stdout(sys.stderr):
        yield


def answer(found: Mapping[str, Any], said: str, as_json: bool) -> None:
    """Print the answer.

    Args:
        found: what a program wants to know. said: the same for a person.

    >>> answer({"size": 2, "chosen": ["a", "b"], "auc": float("nan")}, "2 chosen", as_json=True)
    {"size": 2, "chosen": ["a", "b"], "auc": null}
    """
    click.echo(json.dumps(_plain(found), ensure_ascii=False) if as_json else said)


def _plain(value: Any) -> Any:
    """What JSON can hold: a number that is none is null."""
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if hasattr(value, "item"):  # NumPy's
        value = value.item()
    if isinstance(value, float) and value != value:
        return None
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
