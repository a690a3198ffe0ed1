"""Which code a result depends on: every import of the package, absolute or relative, at any depth, resolved to a module.

Modules go by their dotted name inside the package: `errors`, `ct.dicom`; a package by that of its folder: `ct`.
"""

import ast
import hashlib
import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from covid_study import paths
from covid_study.errors import StudyError

PACKAGE = paths.PACKAGE
# The one list of what cannot move a number: where things lie, where they are computed, how a run of notebooks goes about it.
# A name stands for all that is inside it.
WITHOUT_INFLUENCE = ("errors", "paths", "runtime", "study", "training.processes")
# These change what a notebook shows, and no number of it; what a parameter says is in the configuration of each result.
ONLY_LOOKS = ("figures", "params", "report")


def file_of(module: str) -> Path | None:
    """The file of a module, or of a package; None where there is none.

    >>> file_of("errors").name, file_of("no_such_module")
    ('errors.py', None)
    """
    place = PACKAGE.joinpath(*module.split(".")) if module else PACKAGE
    for file in (place.with_name(f"{place.name}.py") if module else None, place / "__init__.py"):
        if file and os.path.isfile(file):  # unlike pathlib's, not stopped by a name that is too long
            return file
    return None


def modules_inside(package: str = "") -> list[str]:
    """Every module of a package of ours at any depth, those of its packages included; without a name: all."""
    folder = PACKAGE.joinpath(*package.split(".")) if package else PACKAGE
    names = [file.relative_to(PACKAGE).with_suffix("").parts for file in sorted(folder.rglob("*.py"))]
    return [name for parts in names if (name := ".".join(p for p in parts if p != "__init__"))]


def imports(tree: ast.AST, module: str | None = None) -> set[str]:
    """The modules of the package that a piece of code imports, wherever in it an import stands.

    Of a name that a package hands on (`from covid_study.losses import SelfAdaptiveAuxiliaryLoss`) nobody knows from which of
    its modules it comes: they all count, unless the package's `__init__` binds it itself.

    Args:
        module: the name of the code's own module, from which relative imports start; None: code outside the package.
    """
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(*(_whole(inner) for a in node.names if (inner := _inside(a.name)) is not None))
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, module)
            if base is not None:
                found.update(*(_named(base, a.name) for a in node.names))
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                inner = _inside(node.args[0].value)
                found |= _whole(inner) if inner is not None else set()
    return found - {module}


def _inside(name: str) -> str | None:
    """`covid_study.ct.dicom` as `ct.dicom`; None of other packages."""
    first, _, inner = name.partition(".")
    return inner if first == "covid_study" else None


def _base(node: ast.ImportFrom, module: str | None) -> str | None:
    """The module or package that `from ... import` starts at."""
    if not node.level:
        return _inside(node.module or "")
    if module is None:
        return None
    file = file_of(module)
    steps = module.split(".") if module else []
    up = node.level - (file is not None and file.name == "__init__.py")
    steps = steps[: len(steps) - up] if up else steps
    return ".".join([*steps, *((node.module or "").split(".") if node.module else [])])


def _whole(module: str) -> set[str]:
    """A module and the packages it lies in, whose `__init__` are run on the way; what does not exist is left to Python."""
    parts = module.split(".") if module else []
    names = {"", *(".".join(parts[:n]) for n in range(1, len(parts) + 1))}
    return {name for name in names if file_of(name)}


def _named(base: str, name: str) -> set[str]:
    inner = f"{base}.{name}".strip(".")
    if name != "*" and file_of(inner):
        return _whole(inner)
    file = file_of(base)
    if file is None or file.name != "__init__.py" or not base:
        return _whole(base)
    if name != "*" and name in _bound(file.read_text(encoding="utf-8")):
        return _whole(base)
    return _whole(base) | set(modules_inside(base))


def _bound(text: str) -> set[str]:
    names: set[str] = set()
    for node in ast.parse(text).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(a.asname or a.name).split(".")[0] for a in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        else:
            names |= {
                n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
            }
    return names


@cache
def parsed(module: str) -> tuple[str, tuple[str, ...]]:
    """The source of a module without comments and docstrings, and the modules of the package that it imports.

    Raises:
        StudyError: no such module, or one that is no Python.
    """
    file = file_of(module)
    if file is None:
        raise StudyError(f"covid_study has no module '{module}', whose code a result is said to depend on.")
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise StudyError(f"{file}, line {error.lineno}: {error.msg}. Mend it and call again.") from None
    found = imports(tree, module)
    for node in ast.walk(tree):
        kinds = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
        if isinstance(node, kinds) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree), tuple(sorted(found))


def closure(modules: Iterable[str], without: tuple[str, ...] = WITHOUT_INFLUENCE) -> dict[str, str]:
    """The modules and all that they import from the package, a fingerprint each of their code, docstrings aside.

    Args:
        without: modules, or packages with all in them, that are left aside with what they import.
    """
    seen: dict[str, str] = {}
    waiting = []
    for module in (name.removeprefix("covid_study.") for name in modules):
        waiting += [module, *_whole(module)]
    while waiting:
        module = waiting.pop()
        if module in seen or any(module == name or module.startswith(f"{name}.") for name in without):
            continue
        source, imported = parsed(module)
        seen[module] = hashlib.sha256(source.encode()).hexdigest()
        waiting += imported
    return dict(sorted(seen.items()))
