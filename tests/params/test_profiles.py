"""Parameters: every profile is valid, and every mistake is named with its key, where it stands and what to write instead."""

from pathlib import Path

import pytest
import yaml

from covid_study import params, paths
from covid_study.errors import ParameterError
from covid_study.params import profiles
from covid_study.params.profiles import Profile, changed, check, load_profile, merge
from covid_study.params.sections import NOTEBOOKS
from covid_study.scores import published
from covid_study.tables.table import column
from covid_study.tables.volume_steps import selection_size

PROFILES = sorted((paths.root() / "params").glob("*.yaml"))
SMOKE = {"profile": "smoke"}


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
    for step in reversed(key.split(".")):
        value = {step: value}
    return merge(values, value)


def keys(values: dict, prefix="") -> set[str]:
    found = set()
    for key, value in values.items():
        found |= keys(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}"}
    return found


@pytest.mark.parametrize("path", PROFILES, ids=lambda p: p.stem)
def test_every_profile_is_valid_writes_out_every_key_and_makes_sense(path):
    written, loaded = yaml.safe_load(path.read_text()), load_profile(path)
    assert keys(written) == keys(loaded)  # nothing left to a default
    assert written["study"]["profile"] == path.stem and list(loaded) == list(Profile.model_fields)
    p = check(Profile, loaded, str(path))
    for size, gap in zip(p.preprocessing.shape, p.pretext.gap, strict=True):
        assert size % 2 == 0 and gap < size // 4, "the gap must leave most of a cube"
    assert p.training.intensity[0] <= 1 <= p.training.intensity[1]
    assert p.cohort.phantom.thickness_mm == sorted(p.cohort.phantom.thickness_mm)
    assert p.sampling.shares == sorted(set(p.sampling.shares)), "the sizes of Table III grow"
    counts = p.cohort.phantom.train
    assert min(p.sampling.shares) * (counts.cap + counts.non_pneumonia) >= 1
    assert len(set(p.study.seeds)) == len(p.study.seeds)
    assert (p.ranking.alpha, p.ranking.beta) == (0.5, 0.5)  # the paper's


def test_the_profile_of_the_papers_has_their_counts_and_hours():
    """Negatives of Tables III to V; pretext epochs that come to the printed hours at equal cost an exam."""
    p = check(Profile, load_profile(paths.root() / "params" / "paper.yaml"), "paper")
    counts, archive = p.cohort.phantom.train, published.sizes("A.III")["all"]
    assert counts.cap + counts.non_pneumonia == archive
    for shares in (p.sampling.shares, p.transfer.shares):
        sizes = {column(share): selection_size(share, archive) for share in shares}
        assert sizes | {"all": archive} == published.sizes("A.III").to_dict()
    periods = published.table("A.III").query("row == 'training_period'").set_index("column")["value"]
    an_exam = periods["all"] / (p.training.epochs * (counts.covid + archive))
    assert round(0.3 / an_exam / counts.covid) == p.pretext.epochs
    assert round(3 / an_exam / (counts.covid + archive)) == p.pretext.all_samples_epochs
    assert (
        p.slice_network.weights == "imagenet"
        and p.network.precision == p.slice_network.precision == "float32"
    )


@pytest.mark.parametrize(
    "wrong, right",
    [
        ("network.stem_strid", "stem_stride"),
        ("cohort.phantom.train.covdi", "covid"),
        ("trainig", "training"),
        ("study.seed", "seeds"),
    ],
)
def test_a_mistyped_key_is_named_with_where_it_stands_and_the_nearest_name(values, write, wrong, right):
    path = write(put(values, wrong, 1))
    with pytest.raises(ParameterError) as caught:
        load_profile(path)
    assert str(caught.value) == f"{path}: unknown key '{wrong}'; the nearest valid name is '{right}'"
    with pytest.raises(ParameterError, match=f"SET: unknown key '{wrong}'.*'{right}'"):
        changed(values, f"{wrong}=1")
    with pytest.raises(ParameterError, match=f"cell of 10_losses: unknown key '{wrong}'.*'{right}'"):
        params.load("10_losses", **put({"study": SMOKE}, wrong, 1))


def test_a_key_like_none_lists_what_there_is(values, write):
    with pytest.raises(ParameterError, match="'network.zzzz'.* depth, precision, stem_stride, width"):
        load_profile(write(put(values, "network.zzzz", 1)))


def test_a_missing_key_and_every_problem_at_once(values, write):
    del values["pretext"]["heads"]
    with pytest.raises(ParameterError) as caught:
        load_profile(write(put(put(values, "network.width", -1.0), "nonsense_here", 2)))
    lines = str(caught.value).splitlines()
    assert len(lines) == 3 and all("mine.yaml" in line for line in lines)
    assert [any(key in line for line in lines) for key in ("pretext.heads", "network.width", "nonsense_here")]


@pytest.mark.parametrize(
    "key, value, said",
    [
        ("training.epochs", 0, "greater than or equal to 1"),
        ("training.epochs", 2.5, "integer"),
        ("training.epochs", True, "integer"),
        ("training.flips", 1, "boolean"),
        ("training.learning_rate", float("nan"), "greater than 0"),
        ("training.learning_rate", "1e-3", "write 1.0e-3"),
        ("training.intensity", [0.9], "at least 2"),
        ("network.precision", "fp16", "'auto', 'float32' or 'bf16'"),
        ("pretext.permutations", 337, "less than or equal to 336"),
        ("pretext.gap", [1, 1, -1], "greater than or equal to 0"),
        ("sampling.shares", [], "at least 1"),
        ("sampling.shares", [1.0], "less than 1"),
        ("slice_selection.positives", [], "at least 1"),
        ("ranking.alpha", 1.5, "less than or equal to 1"),
        ("cohort.split", [0.5, 0.2, 0.2], "these sum to 0.9"),
        ("cohort.exams", 3, "string"),
        ("cohort.phantom.train.covid", 0, "greater than or equal to 1"),
        ("study.seeds", 0, "list"),
        ("study.bootstrap", 10, "100"),
        ("study.executor", "dusk", "scheduler"),
        ("network", None, "Network"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(values, write, key, value, said):
    with pytest.raises(ParameterError) as caught:
        load_profile(write(put(values, key, value)))
    line = str(caught.value)
    assert "mine.yaml" in line and key.removeprefix("cohort.") in line and said in line


def test_a_sweep_without_a_fall_is_refused(values, write):
    with pytest.raises(ParameterError, match="one below 1.0"):
        load_profile(write(put(values, "imbalance.shares", [1.0])))


def test_a_whole_number_may_stand_for_a_float(values):
    assert changed(values, "network.width=1")["network"]["width"] == 1.0


def test_no_such_profile(tmp_path, write, values):
    write(values, "demo.yaml")
    with pytest.raises(ParameterError, match=r"'dmeo'.*did you mean 'demo'\?.*Profiles: demo"):
        load_profile(tmp_path / "dmeo.yaml")
    with pytest.raises(ParameterError, match="'paper'.*Profiles: none"):
        load_profile(tmp_path / "empty" / "paper.yaml")


AGAIN = "study: {name: a, profile: b, name: c}\n"


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "mapping of sections"),
        ("- a\n", "mapping of sections"),
        ("study:\n  name: [unclosed\n", "line 2"),
        ("5: 1\n", "5"),
        (AGAIN, "'name' stands twice"),
        ("study: {}\nstudy: {}\n", "'study' stands twice"),
    ],
)
def test_a_file_that_is_no_profile(write, text, said):
    """YAML would take the last of two keys and say nothing."""
    with pytest.raises(ParameterError, match=f"(?s)mine.yaml.*{said}"):
        load_profile(write(text))


def test_what_a_cell_says_stands_over_the_profile_and_the_rest_comes_from_it(write, values):
    given = {"study": {**SMOKE, "name": "mine", "seeds": [5]}, "public": {"training": {"epochs": 9}}}
    p, smoke = params.load("13_public_datasets", **given), load_profile(PROFILES[0].parent / "smoke.yaml")
    assert p.model_dump() == merge(smoke, given)
    mine = write(
        changed(values, "training.epochs=7")
    )  # a run's own file: absolute, or from the project's root
    p = params.load("04_ranking_ablation", study={"profile": str(mine)})
    assert (p.training.epochs, p.study.profile) == (7, "demo")
    with pytest.raises(ValueError, match="frozen"):
        p.study.name = "other"
    for study in ({}, None, {"name": "mine"}):
        with pytest.raises(ParameterError, match="10_losses: 'study.profile' is missing"):
            params.load("10_losses", study=study)


def test_a_notebook_reads_the_sections_that_it_is_run_again_for_and_no_other():
    p = params.load("10_losses", study=SMOKE)
    assert all(getattr(p, name) for name in ("study", *NOTEBOOKS["10_losses"]))
    with pytest.raises(ParameterError, match="10_losses reads the section 'training'"):
        p.model_copy(update={}).training  # noqa: B018
    assert params.load("99_my_own", study=SMOKE).training.epochs == 1  # every section counts there
    assert all(set(names) <= set(Profile.model_fields) for names in NOTEBOOKS.values())


def test_the_paper_s_values_stand_beside_ours_where_the_paper_gives_them(capsys):
    p = params.load("09_deep_supervision", study=SMOKE)
    rows = profiles.table(p).set_index("parameter")
    assert {name.split(".")[0] for name in rows.index} == {"study", *NOTEBOOKS["09_deep_supervision"]}
    assert rows.loc["slice_network.backbone", ["here", "paper"]].tolist() == [
        "efficientnet_lite0",
        "vgg16_bn",
    ]
    assert (
        rows.loc["slice_training.batch_size", "paper"] == "" != rows.loc["slice_training.batch_size", "here"]
    )
    assert set(rows.loc[["cohort.phantom.train.covid", "slices.per_exam"], "paper"]) == {"243", ""}
    same, none = rows["here"] == rows["paper"], rows["paper"] == ""
    assert set(rows.loc[same | none, "differs"]) == {""} and set(rows.loc[~same & ~none, "differs"]) == {"≠"}
    params.show(p)
    assert "slice_network.backbone" in capsys.readouterr().out


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be"])
def test_a_profile_may_be_in_unicode_of_another_width(tmp_path, encoding):
    text = (paths.root() / "params" / "smoke.yaml").read_text()
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    file = tmp_path / "mine.yaml"
    file.write_bytes((mark + text).encode(encoding))
    assert load_profile(file) == load_profile(paths.root() / "params" / "smoke.yaml")


def test_a_merge_key_takes_over_what_is_not_said_and_is_no_second_key(tmp_path):
    text = (paths.root() / "params" / "smoke.yaml").read_text()
    before, after = text.split("  training:\n")  # of the public data sets, seven keys
    rest = after.split("\n", 7)[7]
    inner = "&inner\n    <<: *t\n    epochs: 2\n"
    text = f"{before}  training: {inner}{rest}".replace("slice_training:", "slice_training: &t")
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    read = load_profile(file)
    assert read["public"]["training"] == read["slice_training"] | {"epochs": 2}
