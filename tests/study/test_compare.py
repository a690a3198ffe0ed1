"""Two runs side by side: what changed is named, what flipped comes first, and a run that is kept compares like any other."""

import dataclasses
import shutil

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner
from scored_exams import cohort

from covid_study.cli import main
from covid_study.errors import StudyError
from covid_study.report import results
from covid_study.scores import claims
from covid_study.study import compare
from covid_study.study.reference import keep
from covid_study.tables.scoring import EXAMS, scores_of


def freeze(run, **study):
    profile = run.profile | {"study": run.profile["study"] | study}
    (run.build / "profile-1.yaml").write_text(yaml.safe_dump(profile))


@pytest.fixture
def two(whole, fake):
    """my_run, and `other`: another number of resamples, a claim and a cell that came out otherwise."""
    freeze(whole)
    shutil.copytree(whole.build, whole.root / "build" / "other")
    whole.profile["study"]["name"] = "other"
    freeze(whole, bootstrap=999)
    flipped = [(*row[:4], -0.05, -0.09, -0.01, "fails") if row[0] == "A1" else row for row in fake.claims]
    results.write_results(whole.build / "results" / "A.III-claims.parquet", fake.decided(flipped))
    results.write_results(whole.build / "results" / "A.III.parquet", fake.cells(0.3))
    whole.profile["study"]["name"] = "my_run"
    return compare.side("my_run"), compare.side("other")


def test_what_changed_is_named(two):
    a, b = two
    assert compare.differences(a.parameters, b.parameters) == [("study.bootstrap", 200, 999)]
    assert compare.differences(a.facts, b.facts) == []


def test_what_flipped_comes_first(two):
    told = compare.claims(*two)
    assert [(line["key"], line["flipped"]) for line in told] == [("A1", True), ("A12a", False), ("B1", False)]
    assert told[0]["verdicts"] == ["holds", "fails"]
    assert told[0]["numbers"] == [("+5.0", "+1.0 to +9.0"), ("-5.0", "-9.0 to -1.0")]


def test_a_claim_that_one_run_alone_has_did_not_flip(two):
    a, b = two
    b.claims.drop("A1", inplace=True)
    told = compare.claims(a, b)
    assert [(line["key"], line["flipped"], line["alone"]) for line in told] == [
        ("A12a", False, False),
        ("B1", False, False),
        ("A1", False, True),
    ]
    assert told[-1]["verdicts"] == ["holds", "–"]


def test_cells_whose_intervals_have_nothing_in_common_are_apart(two):
    lines = {line["row"]: line for line in compare.cells(*two)["A.III"]}
    assert lines["Random"]["apart"] and lines["Random"]["sides"] == [
        ("70.0", "60.0 to 80.0"),
        ("30.0", "20.0 to 40.0"),
    ]
    both = next(line for row, line in lines.items() if row != "Random")
    assert both["same"] and not both["apart"] and len(lines) == 2


def test_names_with_dots_have_pages_of_their_own(two):
    a, b = two
    pages = {compare.compare(a, dataclasses.replace(b, name=f"v1.{n}"))[0].name for n in (2, 3)}
    assert pages == {"compare-my_run-v1.2.html", "compare-my_run-v1.3.html"}


def test_a_run_compares_with_itself_kept_as_a_reference(whole, two):
    keep(whole)
    kept = compare.side("reference/my_run")
    assert compare.differences(two[0].parameters, kept.parameters) == []
    assert compare.differences(two[0].facts, kept.facts) == []
    assert not any(line["flipped"] for line in compare.claims(two[0], kept))
    assert all(line["same"] for line in compare.cells(two[0], kept)["A.III"])
    page, _ = compare.compare(two[0], kept)
    assert page.name == "compare-my_run-reference-my_run.html"
    text = page.read_text()
    assert "half &lt;is&gt; as good" in text and "half <is> as good" not in text


@pytest.mark.parametrize("names", [("my_run", "nope"), ("reference/nope", "my_run"), ("../up", "my_run")])
def test_what_is_not_there_is_one_message(two, names):
    done = CliRunner().invoke(main, ["compare", *names])
    assert done.exit_code == 1 and done.stderr.count("\n") == 1


def test_a_run_of_which_nothing_is_done_is_refused(whole):
    shutil.rmtree(whole.build / "notebooks")
    with pytest.raises(StudyError, match="What to do: make reproduce"):
        compare.side("my_run")


def predictions(skill, seed):
    """What a classifier of some skill says of 60 exams."""
    label, probability = cohort(60, positives=20, seed=seed, separation=skill)
    names = [f"exam-{i}" for i in range(60)]
    split = ["validation" if i % 3 == 0 else "test" for i in range(60)]
    table = {
        "exam_id": names,
        "patient_id": names,
        "label": label,
        "probability": probability,
        "split": split,
    }
    return pd.DataFrame(table)


def test_two_tiny_runs_that_differ_in_one_parameter(whole, fake):
    """What the classifiers said is the same, and so are the means; the intervals are of other resamples."""
    skills = {("random", "56%"): 0.5, ("both", "56%"): 2.0, ("random", "all"): 1.0}
    said = {(*cell, seed): predictions(skill, seed) for cell, skill in skills.items() for seed in range(3)}
    for name, resamples in (("first", 100), ("second", 150)):
        whole.profile["study"]["name"] = name
        scored = claims.scored(said, resamples)
        told = claims.decide(scored, claims.of_table("A.III"))
        table = results.join_published(scores_of(lambda scored=scored: scored, EXAMS), "A.III")
        for end, frame in {"": table, "-claims": told}.items():
            results.write_results(whole.build / "results" / f"A.III{end}.parquet", frame)
        names = [f"results/A.III{end}.parquet" for end in ("", "-claims")]
        fake.notebook(whole, "04_ranking_ablation", artefacts=names)
        freeze(whole, bootstrap=resamples)
    a, b = compare.side("first"), compare.side("second")
    assert compare.differences(a.parameters, b.parameters) == [("study.bootstrap", 100, 150)]
    pd.testing.assert_series_equal(a.cells["mean"], b.cells["mean"])
    assert not a.cells["low"].equals(b.cells["low"]) and a.claims["difference"].notna().any()
    assert not any(line["flipped"] for line in compare.claims(a, b))
