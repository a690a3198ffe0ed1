"""Every notebook can be run by others: its parameters, its size, and nothing of one machine in it."""

import ast
import re

import nbformat
import pytest

from covid_study import paths
from covid_study.params import profiles, sections

NOTEBOOKS = sorted((paths.root() / "notebooks").glob("*.ipynb"))
LONGEST = 25  # lines of a code cell
ABSOLUTE = re.compile(
    r"""["'`(\s](?:/(?:home|root|tmp|mnt|opt|usr|var|data|work|Users|Volumes)\b|[A-Za-z]:\\)"""
)


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    return request.param, nbformat.read(request.param, as_version=4)


def tags(cell):
    return cell.metadata.get("tags", [])


def code(content):
    return [cell for cell in content.cells if cell.cell_type == "code"]


def test_every_notebook_says_which_sections_it_reads():
    assert [path.stem for path in NOTEBOOKS] == sorted(sections.NOTEBOOKS)


def test_it_is_valid_and_begins_with_its_title(notebook):
    path, content = notebook
    nbformat.validate(content)
    assert content.cells[0].cell_type == "markdown" and content.cells[0].source.startswith("# "), path.name


def test_its_one_parameters_cell_holds_the_run_and_values_of_the_smoke_profile(notebook):
    path, content = notebook
    (cell,) = [cell for cell in content.cells if "parameters" in tags(cell)]
    given = {}
    for statement in ast.parse(cell.source).body:
        assert isinstance(statement, ast.Assign), f"{path.name}: only assignments in the parameters cell"
        given[statement.targets[0].id] = ast.literal_eval(statement.value)
    smoke = profiles.load_profile(paths.root() / "params" / "smoke.yaml")
    assert {"profile", "name"} <= set(given["study"]) and set(given) <= set(sections.sections_of(path.stem))
    assert profiles.merge(smoke, given) == smoke
    call = ", ".join([f'"{path.stem}"', *(f"{name}={name}" for name in given)])
    text = re.sub(r"\s+", "", "".join(cell.source for cell in code(content)))
    assert f"params.load({call})".replace(" ", "") in text.replace(",)", ")"), path.name
    assert "params.show(p)" in text, path.name


def test_each_parameter_is_explained(notebook):
    path, content = notebook
    (cell,) = [cell for cell in content.cells if "parameters" in tags(cell)]
    bare = re.compile(r"^\s*(\w+ = \{|\"\w+\": [{\[]|[}\]],?)$")  # opens or closes a section
    silent = [
        line for line in cell.source.splitlines() if line.strip() and "#" not in line and not bare.match(line)
    ]
    assert not silent, f"{path.name}: say what these are: {silent}"


def test_no_outputs_are_stored(notebook):
    path, content = notebook
    for cell in code(content):
        if "keep_output" not in tags(cell):
            assert not cell.outputs and cell.execution_count is None, f"{path.name}: {cell.source[:60]}"


def test_its_cells_are_short(notebook):
    path, content = notebook
    for cell in code(content):
        assert len(cell.source.splitlines()) <= LONGEST, f"{path.name}: {cell.source[:60]}"


def test_it_names_no_place_of_one_machine(notebook):
    path, content = notebook
    for cell in content.cells:
        assert "../" not in cell.source, f"{path.name}: a notebook's folder differs; use covid_study.paths"
        assert not (found := ABSOLUTE.search(cell.source)), f"{path.name}: {found and found[0]}"


def test_a_name_means_one_thing_in_all_notebooks():
    """A module has one import name everywhere, and no notebook gives that name to something else."""
    names, given = {}, {}
    for path in NOTEBOOKS:
        for cell in code(nbformat.read(path, as_version=4)):
            for node in ast.walk(ast.parse(cell.source)):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    for alias in node.names:
                        whole = f"{getattr(node, 'module', '')}.{alias.name}"
                        names.setdefault(alias.asname or alias.name, set()).add(whole)
                elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    given.setdefault(node.id, path.stem)
    modules = [module for found in names.values() for module in found]
    assert not {name: found for name, found in names.items() if len(found) > 1}
    assert len(modules) == len(set(modules)), [m for m in modules if modules.count(m) > 1]
    assert not {name: given[name] for name in names if name in given}


def test_it_has_one_headline_for_the_index(notebook):
    path, content = notebook
    assert sum("say.headline(" in cell.source for cell in code(content)) == 1, path.name
