"""The rooms: a module imports only from rooms above its own, and a name means one thing in the whole package."""

import ast
import importlib
import runpy
import subprocess
import sys

import pytest

from covid_study import paths
from covid_study.runtime.closure import file_of, imports, modules_inside

# In the order of the data; errors and paths stand before them all. docs/architecture.md draws it.
ROOMS = [
    "errors",
    "paths",
    "runtime",
    "params",
    "cohort",
    "ct",
    "datasets",
    "phantom",
    "samples",
    "networks",
    "losses",
    "training",
    "pretext",
    "rivals",
    "ranking",
    "scores",
    "report",
    "figures",
    "tables",
    "analysis",
    "models",
    "study",
    "cli",
    "__main__",
]


def arrows() -> list[tuple[str, str]]:
    """Every import of one module of the package by another."""
    return [
        (module, found)
        for module in modules_inside()
        for found in sorted(imports(ast.parse(file_of(module).read_text()), module))
        if found
    ]


def test_every_module_lies_in_a_room():
    assert {module.split(".")[0] for module in modules_inside()} == set(ROOMS)


def test_no_arrow_leads_back():
    rooms = {name: name.split(".")[0] for arrow in arrows() for name in arrow}
    back = [
        f"{file_of(module)} imports {file_of(found)}, whose room comes after its own"
        for module, found in arrows()
        if ROOMS.index(rooms[found]) > ROOMS.index(rooms[module])
    ]
    assert not back, "\n".join(back)


HANDED_ON = {
    "cohort": "find_exams find_images",
    "ct": "lung_mask read_volume read_image",
    "samples": "Samples volumes slices",
    "networks": "DeepSupervision",
    "losses": "SelfAdaptiveAuxiliaryLoss",
    "pretext": "permutations",
    "ranking": "rank_negatives soft_labels select pairwise_emd mean_emd_to_others DualTrackUnderSampler RivalUnderSampler",
}


@pytest.mark.parametrize("room", HANDED_ON)
def test_a_room_hands_on_what_one_looks_for_there_and_imports_nothing_for_it(room):
    names = HANDED_ON[room].split()
    module = importlib.import_module(f"covid_study.{room}")
    assert all(callable(getattr(module, name)) for name in names)
    with pytest.raises(AttributeError, match=f"covid_study.{room}"):
        module.no_such_name  # noqa: B018
    code = f"import sys, covid_study.{room}; sys.exit('numpy' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("room", ["networks", "study"])
def test_no_kernel_waits_for_the_grammar_of_iris(room):
    """2.5 s of a start; jsonschema works as ever."""
    code = f"""
import sys, covid_study.{room}, jsonschema
assert sys.modules["rfc3987_syntax"] is None
jsonschema.validate(1, dict(type="integer"))
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


DEAR = {
    "reads results": ("report.beside_paper", "torch"),
    "trains": ("tables.a5_sampling", "monai torchvision ot"),
}


@pytest.mark.parametrize("who", DEAR)
def test_seconds_of_imports_are_paid_by_who_needs_them(who):
    module, dear = DEAR[who]
    code = f"import sys, covid_study.{module}; sys.exit(bool(set({dear.split()}) & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    "name",
    [
        "ranking.sampling.select",  # long-tail sampling
        "losses.saal.SelfAdaptiveAuxiliaryLoss",  # SAAL
        "ct.dicom.read_series",  # reading a DICOM series
        "scores.resamples.Resamples",  # a bootstrap interval
        "tables.a6_online.table",  # Table VI of paper A
        "ranking.emd.emd",  # eq. 3
        "pretext.rubiks_cube.permutations",  # the Rubik's cube
        "params.sections.Ranking",  # what a profile may hold
        "ct.lungs.lung_mask",  # the lung mask
        "networks.deep_supervision.DeepSupervision",  # deep supervision
        "models.export.export",  # a model for others
        "models.predict.predict",  # my exams
        "models.explain.explain",  # why it was left out
    ],
)
def test_it_is_where_a_newcomer_looks(name):
    module, _, what = name.rpartition(".")
    assert callable(getattr(importlib.import_module(f"covid_study.{module}"), what))


def test_a_class_and_a_word_of_the_study_mean_one_thing():
    words = {"SPLITS", "POSITIVE", "TRACKS", "duration", "Cell", "Rankings"}
    where: dict[str, set[str]] = {}
    for module in modules_inside():
        for node in ast.parse(file_of(module).read_text()).body:
            if isinstance(node, ast.ClassDef) and node.name[0] != "_":
                where.setdefault(node.name, set()).add(module)
            names = [node.name] if isinstance(node, ast.FunctionDef) else []
            names += [
                n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
            ]
            for name in words & set(names):
                where.setdefault(name, set()).add(module)
    twice = {name: sorted(modules) for name, modules in where.items() if len(modules) > 1}
    assert not twice, twice


def test_the_drawing_is_that_of_the_imports():
    found = runpy.run_path(str(paths.PACKAGE.parent / "docs" / "draw_rooms.py"))
    assert found["drawn"]() == found["drawing"](), "the rooms have changed: python docs/draw_rooms.py"
