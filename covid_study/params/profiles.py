"""Profiles: read, changed, checked, shown. A profile (`params/demo.yaml`) holds every section.

An unknown key or a wrong type is an error that names the key, where it stands and the nearest valid name.
"""

import difflib
import os
import re
import reprlib
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from covid_study import paths
from covid_study.errors import ParameterError
from covid_study.params.sections import PAPER, Profile, Section, sections_of

SHOWN = 5  # problems of one profile
DIFFERS = "≠"


def load(notebook: str, **sections: Mapping[str, Any]) -> Profile:
    """The parameters of a notebook: what its parameters cell says, the rest from the profile that `study["profile"]` names.

    Raises:
        ParameterError: there is no such profile, or a key or value is wrong.

    >>> p = load("10_losses", study={"profile": "smoke", "name": "mine"}, slice_losses={"focal_gamma": 3.0})
    >>> p.study.name, p.slice_losses.focal_gamma, p.slice_losses.focal_alpha, p.slices.size
    ('mine', 3.0, 0.25, 48)
    """
    cell = f"parameters cell of {notebook}"
    try:
        name = sections["study"]["profile"]
    except (KeyError, TypeError):
        raise ParameterError(f"{cell}: 'study.profile' is missing") from None
    values = load_profile(profile_file(str(name), paths.root()))
    written = values["study"]["profile"]  # of a run's own file: the profile that it was made of
    p = check(Profile, merge(merge(values, sections), {"study": {"profile": written}}), cell)
    p._notebook = notebook
    return p


def show(p: Profile) -> None:
    """Show every parameter that the notebook reads, the paper's value beside it where the paper gives one; folded away."""
    rows = table(p)
    from IPython import get_ipython
    from IPython.display import HTML, display

    if get_ipython() is None:
        print(rows.to_string(index=False))
        return
    given, differ = (rows["paper"] != "").sum(), (rows["differs"] != "").sum()
    summary = f"All {len(rows)} parameters of this notebook, beside the paper's: {differ} of the {given} that it gives differ"
    inside = rows.to_html(index=False, classes="plain", border=0).replace(
        f"<td>{DIFFERS}<", f'<td class="differs">{DIFFERS}<'
    )
    display(HTML(f"<details><summary>{summary}</summary>{inside}</details>"))


def table(p: Profile):
    """What `show` shows, as a data frame with the columns parameter, here, differs (a mark or nothing), paper, meaning.

    >>> rows = table(load("01_preprocessing", study={"profile": "smoke"})).set_index("parameter")
    >>> rows.loc["preprocessing.shape", ["here", "paper"]].tolist()
    ['[48, 36, 12]', '[256, 192, 56]']
    """
    import pandas as pd

    theirs = load_profile(paths.root() / "params" / "paper.yaml")
    names = sections_of(p._notebook) if p._notebook else tuple(Profile.model_fields)
    rows = [row for name in names for row in _rows(getattr(p, name), theirs[name], f"{name}.")]
    frame = pd.DataFrame(rows, columns=["parameter", "here", "paper", "meaning"])
    differs = (frame["paper"] != "") & (frame["paper"] != frame["here"])
    frame.insert(2, "differs", differs.map({True: DIFFERS, False: ""}))
    return frame


def _rows(section: Section, theirs: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str, str, str]]:
    for key, field in type(section).model_fields.items():
        value = getattr(section, key)
        if isinstance(value, Section):
            yield from _rows(value, theirs[key], f"{prefix}{key}.")
            continue
        paper = _said(theirs[key]) if any(mark is PAPER for mark in field.metadata) else ""
        meaning = next((mark for mark in field.metadata if isinstance(mark, str)), "")
        yield f"{prefix}{key}", _said(value), paper, meaning


def _said(value: Any) -> str:
    return "none" if value is None else str(value)


def profile_file(name: str, root: Path) -> Path:
    """The file of a profile: `params/<name>.yaml`, or the file named, from the project's root where it is relative.

    >>> profile_file("demo", Path("here")).as_posix(), profile_file("/a/b.yaml", Path("here")).as_posix()
    ('here/params/demo.yaml', '/a/b.yaml')
    """
    return root / (
        Path(os.path.expanduser(name)) if name.endswith(".yaml") else Path("params", f"{name}.yaml")
    )


def merge(values: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with what `over` says in its place, key by key; sections inside sections too.

    >>> merge({"a": {"b": 1, "c": 2}}, {"a": {"c": 3}})
    {'a': {'b': 1, 'c': 3}}
    """
    both = {k for k in over if isinstance(over[k], Mapping) and isinstance(values.get(k), dict)}
    return {**values, **{k: merge(values[k], over[k]) if k in both else over[k] for k in over}}


def put(values: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    """`values` with another value at a key such as `cohort.phantom.seed`.

    >>> put({"a": {"b": 1, "c": 2}}, "a.c", 3)
    {'a': {'b': 1, 'c': 3}}
    """
    for step in reversed(key.split(".")):
        value = {step: value}
    return merge(values, value)


def changed(values: dict[str, dict], assignments: str) -> dict[str, dict]:
    """A profile with other values: `section.key=value`, apart by spaces, each value as YAML writes it.

    Raises:
        ParameterError: no `=`, or a key or value that the profile cannot have.

    >>> demo = load_profile(paths.root() / "params" / "demo.yaml")
    >>> changed(demo, "training.epochs=2 sampling.shares=[0.1, 0.5]")["sampling"]["shares"]
    [0.1, 0.5]
    """
    try:
        # apart before a key only: of a value with spaces the shell may have taken the quotes
        ones = filter(None, re.split(r"\s+(?=['\"]?\w+\.[\w.]+=)", assignments.strip()))
        parts = [(" ".join(shlex.split(one)) if one[0] in "'\"" else one).partition("=") for one in ones]
        given = [(name, yaml.safe_load(text if equals else "[")) for name, equals, text in parts]
    except (ValueError, yaml.YAMLError, RecursionError):  # the last: nested too deep
        example = "training.epochs=2 'sampling.shares=[0.1, 0.5]'"
        raise ParameterError(
            f"SET: write section.key=value, such as {example}, not '{assignments[:200]}'"
        ) from None
    for key, value in given:
        values = put(values, key, value)
    return check(Profile, values, "SET").model_dump()


def _valid_names(model: type[BaseModel], where: tuple) -> list[str]:
    """The keys that are valid beside the one at `where`."""
    for step in where[:-1]:
        field = model.model_fields.get(step)
        inner = field.annotation if field else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        model = inner
    return sorted(model.model_fields)


def check(model: type[Section], values: Mapping[str, Any], source: str) -> Any:
    """Validate `values` against `model`; `source` (a file, a cell) is named in the error.

    Raises:
        ParameterError: one line a problem: the key, what is wrong and, for an unknown key, the nearest valid name.

    >>> from covid_study.params.sections import Network
    >>> check(Network, {"depth": 18, "width": 0.25, "precision": "bf16", "stem_strid": 2}, "params/mine.yaml")
    Traceback (most recent call last):
    ...
    covid_study.errors.ParameterError: params/mine.yaml: unknown key 'stem_strid'; the nearest valid name is 'stem_stride'
    params/mine.yaml: 'stem_stride' is missing
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        found = sorted(error.errors(include_url=False), key=lambda problem: problem["type"] == "missing")
        lines = [_line(model, problem, source) for problem in found[:SHOWN]]
        more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
        raise ParameterError("\n".join(lines + more)) from None


def _line(model: type[Section], problem: Mapping[str, Any], source: str) -> str:
    where, key = problem["loc"], ".".join(map(str, problem["loc"]))
    if problem["type"] == "extra_forbidden":
        valid = _valid_names(model, where)
        near = difflib.get_close_matches(str(where[-1]), valid, n=1, cutoff=0.5)
        hint = f"the nearest valid name is '{near[0]}'" if near else f"valid names: {', '.join(valid)}"
        return f"{source}: unknown key '{key}'; {hint}"
    if problem["type"] == "missing":
        return f"{source}: '{key}' is missing"
    number_as_text = problem["type"] in {"float_type", "int_type"} and isinstance(problem["input"], str)
    hint = " (YAML reads 1e-3 as text: write 1.0e-3)" if number_as_text else ""
    return f"{source}: '{key}': {problem['msg'].removeprefix('Value error, ')}, got {reprlib.repr(problem['input'])}{hint}"


class _Loader(yaml.SafeLoader):
    """YAML that refuses a key that stands twice, where it would take the last and say nothing."""

    def compose_mapping_node(self, anchor) -> yaml.MappingNode:
        node, seen = (
            super().compose_mapping_node(anchor),
            set(),
        )  # before `<<` is merged in: that is no second key
        for key, _ in node.value:
            name = (key.tag, key.value) if isinstance(key, yaml.ScalarNode) else id(key)
            if name in seen:
                problem = f"the key '{key.value}' stands twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(name)
        return node


def load_profile(path: Path | str) -> dict[str, dict]:
    """Read and check a profile; returns its sections as plain dictionaries.

    Raises:
        ParameterError: the file is missing, is no YAML mapping, or a key or value in it is wrong.
    """
    path = Path(path)
    if not path.is_file():
        known = sorted(p.stem for p in path.parent.glob("*.yaml"))
        near = difflib.get_close_matches(path.stem, known, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else "."
        raise ParameterError(
            f"there is no profile '{path.stem}' ({path}){hint} Profiles: {', '.join(known) or 'none'}"
        )
    try:
        # a safe loader; bytes: it finds UTF-8 and UTF-16 by itself
        values = yaml.load(path.read_bytes(), _Loader)
    except OSError as error:
        raise ParameterError(f"{path} cannot be read ({error.strerror}).") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = str(error).replace("\n", " ") or type(error).__name__
        raise ParameterError(
            f"{path} is not valid YAML: {reason}. What to do: correct it, in UTF-8."
        ) from None
    if not isinstance(values, dict):
        raise ParameterError(f"{path}: expected a mapping of sections ({', '.join(Profile.model_fields)})")
    return check(Profile, values, str(path)).model_dump()
