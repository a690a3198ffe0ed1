"""The closure: which code is part of a key, on a made-up package and on the real one."""

import ast
import shutil

import grimp
import pytest

from covid_study.runtime import closure
from covid_study.runtime.artefacts import source_key
from covid_study.runtime.closure import imports, modules_inside, parsed


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with absolute and relative imports at three depths; a function to edit one of its modules."""
    folder = tmp_path / "covid_study"
    sources = {
        "__init__": '"""A package."""\n',
        "bottom": '"""Doc."""\n\nLIMIT = 3\n\n\ndef low(x):\n    """Doc."""\n    return x + LIMIT\n',
        "middle": "from covid_study.bottom import low\n\n\ndef mid(x):\n    return low(x)\n",
        "top": "import numpy\n\nfrom covid_study import middle\n\n\ndef up(x):\n    return middle.mid(x)\n",
        "plain": "import covid_study.bottom\n\nVALUE = covid_study.bottom.LIMIT\n",
        "lazy": "def late():\n    from covid_study.bottom import low\n\n    return low\n",
        "alone": "class Kept:\n    size = 1\n",
        "figures": "from covid_study.bottom import low\n",
        "drawn": "from covid_study.figures import low\n",
        "beside": "from . import bottom\n",
        "beside_name": "from .bottom import low\n",
        "by_name": "import importlib\n\nlow = importlib.import_module('covid_study.bottom').low\n",
        "room/__init__": "WIDTH = 2\n\n\ndef __getattr__(name):\n    return name\n",
        "room/inner": "from ..bottom import low\n",
        "room/above": "from .. import bottom\n",
        "room/near": "from .inner import low\n",
        "room/deep/__init__": "",
        "room/deep/deepest": "from ...bottom import low\nfrom .. import WIDTH\n",
        "far": "from covid_study.room.deep import deepest\n",
        "handed_on": "from covid_study.room import low\n",
        "bound": "from covid_study.room import WIDTH\n",
        "everything": "from covid_study.room import *\n",
    }
    for name, text in sources.items():
        path = folder / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(closure, "PACKAGE", folder)
    parsed.cache_clear()

    def edit(name: str, old: str, new: str) -> None:
        path = folder / f"{name}.py"
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))
        parsed.cache_clear()  # a new process

    yield edit
    parsed.cache_clear()


@pytest.mark.parametrize(
    "module",
    [
        *(
            "bottom",
            "middle",
            "top",
            "plain",
            "lazy",
            "beside",
            "beside_name",
            "by_name",
            "room.inner",
            "room.above",
        ),
        *("room.near", "room.deep.deepest", "far", "handed_on", "everything"),
    ],
)
def test_a_change_of_code_reaches_all_that_import_it(package, module):
    before, others = source_key([module]), source_key(["alone"])
    package("bottom", "LIMIT = 3", "LIMIT = 4")
    assert source_key([module]) != before and source_key(["alone"]) == others


@pytest.mark.parametrize(
    "old, new",
    [
        ('"""Doc."""\n\nLIMIT', '"""Quite another\n\nmodule docstring."""\n\nLIMIT'),
        ('    """Doc."""\n', '    """Adds a limit.\n\n    >>> low(1)\n    4\n    """\n'),
        ('    """Doc."""\n', ""),
        ("LIMIT = 3", "LIMIT = 3  # because"),
        ("return x + LIMIT", "return (\n        x\n        + LIMIT\n    )"),
    ],
)
def test_comments_docstrings_and_layout_change_no_key(package, old, new):
    before = source_key(["top"])
    package("bottom", old, new)
    assert source_key(["top"]) == before


def test_an_importer_does_not_change_what_it_imports(package):
    before = source_key(["bottom"])
    package("middle", "return low(x)", "return low(x) + 1")
    assert source_key(["bottom"]) == before


def test_the_look_of_a_figure_is_no_part_of_a_number(package):
    before = source_key(["drawn"])
    package("figures", "import low", "import low as low")
    package("bottom", "LIMIT = 3", "LIMIT = 4")
    assert source_key(["drawn"]) == before


def test_the_order_of_modules_is_no_part_of_the_key(package):
    assert source_key(["top", "alone"]) == source_key(["alone", "top", "middle"]) != source_key(["top"])
    assert source_key(["covid_study.top"]) == source_key(["top"])


def test_a_string_that_is_not_a_docstring_counts(package):
    package("alone", "size = 1", 'size = "one"')
    before = source_key(["alone"])
    package("alone", '"one"', '"two"')
    assert source_key(["alone"]) != before


def test_the_package_that_a_module_lies_in_is_run_and_counts(package):
    names = ("room.inner", "room.deep.deepest", "far", "bound")
    before = [source_key([name]) for name in names]
    package("room/__init__", "WIDTH = 2", "WIDTH = 3")
    assert all(old != source_key([name]) for old, name in zip(before, names, strict=True))


def test_a_name_that_a_package_binds_itself_brings_nothing_else(package):
    before = source_key(["bound"])
    package("bottom", "LIMIT = 3", "LIMIT = 4")
    assert source_key(["bound"]) == before


def test_a_module_that_is_not_there_is_refused(package):
    with pytest.raises(closure.StudyError, match="no module 'nowhere'"):
        source_key(["nowhere"])


def test_code_outside_the_package_has_no_relative_imports(package):
    assert imports(ast.parse("from . import bottom")) == set()
    assert imports(ast.parse("from covid_study.room.deep import deepest")) == {
        "",
        "room",
        "room.deep",
        "room.deep.deepest",
    }


def test_an_edit_of_any_module_changes_every_key_above_it_and_an_edit_of_a_docstring_none(
    tmp_path, monkeypatch
):
    """On a copy of the real package; who is above whom is grimp's word, not ours."""
    graph = grimp.build_graph("covid_study")
    monkeypatch.setattr(closure, "PACKAGE", shutil.copytree(closure.PACKAGE, tmp_path / "covid_study"))
    parsed.cache_clear()
    before = {name: closure.closure([name], without=()) for name in modules_inside()}
    for name in before:
        file, parse = closure.file_of(name), parsed.__wrapped__  # as a new process would
        text, known = file.read_text(), parsed(name)
        file.write_text('"""Another docstring."""\n' + text.split('"""', 2)[2] + "\n# a comment\n")
        assert parse(name) == known, name
        file.write_text(text + "\nEDITED = 1\n")
        assert parse(name)[0] != known[0], name
        above = {m.removeprefix("covid_study.") for m in graph.find_downstream_modules(f"covid_study.{name}")}
        holding = {other for other, code in before.items() if name in code}
        assert above | {name} <= holding, (name, above - holding)
    parsed.cache_clear()


def test_no_code_between_a_file_and_a_score_is_left_out_of_a_key():
    rooms = (
        "cohort",
        "ct",
        "phantom",
        "samples",
        "networks",
        "losses",
        "training",
        "pretext",
        "ranking",
        "scores",
    )
    for module in (name for room in rooms for name in modules_inside(room)):
        found = closure.closure([module], closure.WITHOUT_INFLUENCE + closure.ONLY_LOOKS)
        assert (module in found) == (module != "training.processes"), module
    assert {"ct.dicom", "ct.files", "ct.lungs", "ct.to_volume"} <= set(
        closure.closure(["samples.volume_store"])
    )
