"""Parameters: every profile is valid, and every mistake is named with its key, its file and what to write instead."""

import copy
from pathlib import Path

import pytest
import yaml

from covid_study import paths
from covid_study.errors import ParameterError, StudyError
from covid_study.params.profiles import (
    NOTEBOOKS,
    Profile,
    check,
    load_profile,
    notebook_parameters,
    of_notebook,
)

PROFILES = sorted((paths.root() / "params").glob("*.yaml"))


@pytest.fixture
def values() -> dict:
    return yaml.safe_load((PROFILES[0].parent / "demo.yaml").read_text())


@pytest.fixture
def write(tmp_path):
    def write(values, name="mine.yaml") -> Path:
        path = tmp_path / name
        path.write_text(values if isinstance(values, str) else yaml.safe_dump(values))
        return path

    return write


def put(values: dict, key: str, value) -> dict:
    values = copy.deepcopy(values)
    *sections, last = key.split(".")
    inner = values
    for section in sections:
        inner = inner[section]
    inner[last] = value
    return values


def keys(values: dict, prefix="") -> set[str]:
    found = set()
    for key, value in values.items():
        found |= keys(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}"}
    return found


@pytest.mark.parametrize("path", PROFILES, ids=lambda p: p.stem)
def test_every_profile_is_valid_and_writes_out_every_key(path):
    written, loaded = yaml.safe_load(path.read_text()), load_profile(path)
    assert keys(written) == keys(loaded)  # nothing left to a default
    assert loaded == written or keys(loaded) == keys(written)
    assert written["study"]["profile"] == path.stem
    assert loaded == {s: loaded[s] for s in Profile.model_fields}


@pytest.mark.parametrize("path", PROFILES, ids=lambda p: p.stem)
def test_every_profile_makes_sense(path):
    p = check(Profile, load_profile(path), str(path))
    for size, gap in zip(p.preprocessing.shape, p.pretext.gap, strict=True):
        assert size % 2 == 0 and gap < size // 4, "the gap must leave most of a cube"
    assert p.training.intensity[0] <= 1 <= p.training.intensity[1]
    assert p.cohort.phantom.thickness_mm == sorted(p.cohort.phantom.thickness_mm)
    assert p.sampling.shares == sorted(set(p.sampling.shares)), "the sizes of Table III grow"
    counts = p.cohort.phantom.train
    assert min(p.sampling.shares) * (counts.cap + counts.non_pneumonia) >= 1
    assert len(set(p.study.seeds)) == len(p.study.seeds)
    assert (p.ranking.alpha, p.ranking.beta) == (0.5, 0.5)  # the paper's


def test_the_profiles_have_one_set_of_keys():
    assert {"smoke", "demo"} <= {p.stem for p in PROFILES}
    sets = {p.stem: keys(yaml.safe_load(p.read_text())) for p in PROFILES}
    for name, found in sets.items():
        assert found == sets["demo"], f"{name}: {found ^ sets['demo']}"


@pytest.mark.parametrize(
    "wrong, right",
    [
        ("network.stem_strid", "stem_stride"),
        ("cohort.phantom.train.covdi", "covid"),
        ("cohort.phantom.matrx", "matrix"),
        ("trainig", "training"),
        ("pretext.learning_rat", "learning_rate"),
        ("study.seed", "seeds"),
    ],
)
def test_a_mistyped_key_is_named_with_its_file_and_the_nearest_name(values, write, wrong, right):
    path = write(put(values, wrong, 1))
    with pytest.raises(ParameterError) as caught:
        load_profile(path)
    assert str(caught.value) == f"{path}: unknown key '{wrong}'; the nearest valid name is '{right}'"
    assert isinstance(caught.value, StudyError)


def test_a_key_like_none_lists_what_there_is(values, write):
    with pytest.raises(
        ParameterError, match="'network.zzzz'; valid names: depth, precision, stem_stride, width"
    ):
        load_profile(write(put(values, "network.zzzz", 1)))


def test_a_missing_key_and_every_problem_at_once(values, write):
    del values["pretext"]["heads"]
    values = put(put(values, "network.width", -1.0), "nonsense_here", 2)
    with pytest.raises(ParameterError) as caught:
        load_profile(write(values))
    lines = str(caught.value).splitlines()
    assert len(lines) == 3 and all("mine.yaml" in line for line in lines)
    assert any("'pretext.heads' is missing" in line for line in lines)
    assert any(
        "'network.width'" in line and "greater than 0" in line and "got -1.0" in line for line in lines
    )
    assert any("unknown key 'nonsense_here'" in line for line in lines)


def test_1e_3_without_a_point_is_explained(write, values):
    text = yaml.safe_dump(values).replace("learning_rate: 0.001", "learning_rate: 1e-3")
    with pytest.raises(ParameterError, match=r"'training.learning_rate'.*'1e-3'.*write 1.0e-3") as caught:
        load_profile(write(text))
    assert "'pretext.learning_rate'" in str(caught.value)


@pytest.mark.parametrize(
    "key, value, said",
    [
        ("training.epochs", 0, "greater than or equal to 1"),
        ("training.epochs", 2.5, "integer"),
        ("training.epochs", True, "integer"),
        ("training.flips", 1, "boolean"),
        ("training.flips", "yes", "boolean"),
        ("training.learning_rate", 0.0, "greater than 0"),
        ("training.learning_rate", float("nan"), "greater than 0"),
        ("training.intensity", [0.9], "at least 2"),
        ("network.precision", "fp16", "'float32' or 'bf16'"),
        ("network.stem_stride", 3, "1 or 2"),
        ("pretext.permutations", 337, "less than or equal to 336"),
        ("pretext.gap", [1, 1], "at least 3"),
        ("pretext.gap", [1, 1, -1], "greater than or equal to 0"),
        ("sampling.shares", [], "at least 1"),
        ("sampling.shares", [1.0], "less than 1"),
        ("ranking.alpha", 1.5, "less than or equal to 1"),
        ("ranking.mass", "full", "'partial' or 'normalised'"),
        ("cohort.split", [0.5, 0.2, 0.2], "these sum to 0.9"),
        ("cohort.on_bad_exam", "ignore", "'leave_out' or 'stop'"),
        ("cohort.exams", 3, "string"),
        ("cohort.phantom.train.covid", 0, "greater than or equal to 1"),
        ("study.seeds", [], "at least 1"),
        ("study.seeds", 0, "list"),
        ("study.seeds", [-1], "greater than or equal to 0"),
        ("study.bootstrap", 10, "100"),
        ("network", None, "Network"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(values, write, key, value, said):
    with pytest.raises(ParameterError) as caught:
        load_profile(write(put(values, key, value)))
    line = str(caught.value)
    assert "mine.yaml" in line and (key if key != "cohort.split" else "split") in line and said in line


def test_a_whole_number_may_stand_for_a_float(values, write):
    assert load_profile(write(put(values, "network.width", 1)))["network"]["width"] == 1.0


def test_no_such_profile(tmp_path, write, values):
    write(values, "demo.yaml")
    with pytest.raises(ParameterError, match=r"no profile 'dmeo'.*did you mean 'demo'\?.*Profiles: demo"):
        load_profile(tmp_path / "dmeo.yaml")
    with pytest.raises(ParameterError, match="no profile 'paper'.*Profiles: none"):
        load_profile(tmp_path / "empty" / "paper.yaml")


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words\n", "3\n"])
def test_a_file_without_sections(write, text):
    with pytest.raises(ParameterError, match="mine.yaml: expected a mapping of sections .study, cohort"):
        load_profile(write(text))


def test_a_file_that_is_no_yaml(write):
    with pytest.raises(ParameterError, match="(?s)mine.yaml is not valid YAML.*line 2"):
        load_profile(write("study:\n  name: [unclosed\n"))


def test_a_key_that_is_no_text(values, write):
    with pytest.raises(ParameterError, match="mine.yaml.*5"):
        load_profile(write(values | {5: 1}))


def test_a_section_or_key_that_stands_twice(values, write):
    """YAML would take the last and say nothing."""
    again = "network: {width: 0.5, stem_stride: 1, depth: 18, precision: bf16}\n"
    with pytest.raises(ParameterError, match=r"(?s)mine.yaml.*'network' stands twice.*line \d+"):
        load_profile(write(yaml.safe_dump(values) + again))
    with pytest.raises(ParameterError, match="'name' stands twice"):
        load_profile(write("study: {name: a, profile: b, name: c}\n"))


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_a_notebook_gets_the_sections_it_reads(notebook, values):
    given = notebook_parameters(notebook, values)
    assert list(given) == list(NOTEBOOKS[notebook].model_fields)
    parameters = of_notebook(notebook, **given)
    assert parameters.study.profile == "demo"
    assert all(given[s] == values[s] for s in given)
    with pytest.raises(
        ParameterError, match=f"parameters cell of {notebook}: unknown key 'study.nam'.*'name'"
    ):
        of_notebook(notebook, **put(given, "study.nam", "x"))


def test_parameters_cannot_be_changed_by_the_way(values):
    parameters = of_notebook("00_reading_guide", study=values["study"])
    with pytest.raises(ValueError, match="frozen"):
        parameters.study.name = "other"


def test_an_unknown_notebook(values):
    with pytest.raises(ParameterError, match="'99_extra'"):
        notebook_parameters("99_extra", values)
