"""A whole run is kept as a reference: its claims and tables come back as they were, and stand beside those of another run."""

import json
import shutil
import subprocess
from types import SimpleNamespace

import pandas as pd
import pytest
from PIL import Image

from covid_study import paths
from covid_study.errors import StudyError
from covid_study.params.profiles import load_profile, put
from covid_study.report import show
from covid_study.report.references import references
from covid_study.study import compare
from covid_study.study.plan import Plan, plan
from covid_study.study.reference import keep
from covid_study.tables import a3_ranking

FACTS = {"commit": "abc", "processor": "a CPU"}


def notebook(status):
    results = ["results/A.III.parquet", "results/A.III-claims.parquet"]
    record = {
        "artefacts": results,
        "seconds": 61.0,
        "finished": "2026-01-01 10:00",
        "parts": {"exams": "5 exams"},
        "facts": FACTS,
    }
    return SimpleNamespace(stem="04_ranking_ablation", record=record, status=lambda: status)


def said(line):
    return f"{line['verdict']} {show.amount_text(line, 'difference')}".strip()


@pytest.fixture
def run(p, v, table3, tmp_path, monkeypatch):
    """The tiny study with its Table III, in a root of its own."""
    told = a3_ranking.table(p, v).claims()
    a3_ranking.table(p, v).results()
    for end in ("", "-claims"):
        file = paths.build(p.study.name) / "results" / f"A.III{end}.parquet"
        (tmp_path / "build/tiny/results").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, tmp_path / "build/tiny/results" / file.name)
    monkeypatch.setattr(paths, "root", lambda: tmp_path)
    profile = load_profile(paths.PACKAGE.parent / "params" / "smoke.yaml")
    found = Plan(put(profile, "study.name", "tiny"), None, tmp_path)
    found.__dict__["notebooks"] = [notebook("done")]
    return found, told


def test_what_is_kept_is_what_the_run_said(run):
    plan, told = run
    folder = keep(plan)
    assert references() == {"tiny": {k["key"]: said(k) for k in told.to_dict("records")}}
    kept = pd.read_csv(folder / "claims.csv").set_index("key")
    pd.testing.assert_series_equal(kept["difference"], told.set_index("key")["difference"], atol=1e-6)
    table = pd.read_parquet(plan.build / "results" / "A.III.parquet")
    pd.testing.assert_series_equal(pd.read_csv(folder / "results.csv")["mean"], table["mean"], atol=1e-6)
    page, facts = (folder / "README.md").read_text(), json.loads((folder / "run.json").read_text())
    assert all(text in page for text in told["text"]) and facts["seconds"] == {"04_ranking_ablation": 61.0}
    assert facts["parameters"]["sampling.shares"] == plan.profile["sampling"]["shares"]
    with Image.open(folder / "table-iii.png") as picture:
        assert min(picture.size) > 500
    assert sum(f.stat().st_size for f in folder.iterdir()) < 1e6


def test_a_study_is_kept_in_several_sittings(run):
    """What was kept of another notebook stays, its tables and what it was made with; of this one nothing does."""
    plan, told = run
    folder = keep(plan)
    facts = json.loads((folder / "run.json").read_text())
    facts["seconds"] = {"04_ranking_ablation": 5.0, "10_losses": 30.0}
    facts["parameters"] |= {"sampling.shares": [0.5], "imbalance.shares": [0.3]}
    facts["commit"] = "0ld"
    (folder / "run.json").write_text(json.dumps(facts))
    for name in ("claims.csv", "results.csv"):
        kept = pd.read_csv(folder / name)
        other = kept.head(1).assign(table="B.5", verdict="holds")
        pd.concat([other[kept.columns], kept.head(1)]).to_csv(folder / name, index=False)
    keep(plan)
    claims = pd.read_csv(folder / "claims.csv")
    assert list(claims["table"]) == ["A.III"] * len(told) + ["B.5"]
    assert list(claims["verdict"]) == [*told["verdict"], "holds"]
    assert pd.read_csv(folder / "results.csv")["table"].value_counts()["B.5"] == 1
    facts = json.loads((folder / "run.json").read_text())
    assert facts["seconds"] == {"04_ranking_ablation": 61.0}
    assert [(one["seconds"], one["commit"]) for one in facts["earlier"]] == [({"10_losses": 30.0}, "0ld")]
    assert facts["commit"] != "0ld" and "0ld" in (folder / "README.md").read_text()
    parameters = compare.side("reference/tiny").parameters
    assert parameters["sampling.shares"] == plan.profile["sampling"]["shares"]  # notebook 04's
    assert parameters["imbalance.shares"] == [0.3]  # notebook 10's


def test_it_stands_beside_the_claims_of_another_run(run):
    plan, told = run
    assert "in tiny" not in show.claims_table(told).data
    keep(plan)
    file = paths.reference("tiny") / "claims.csv"
    kept = pd.read_csv(file)
    kept.loc[0, ["verdict", "here"]] = "holds", "+4.2"
    kept.iloc[:1].to_csv(file, index=False)  # as if it had decided one claim alone
    shown = show.claims_table(told).data
    assert list(shown["in tiny"]) == ["holds +4.2", *[""] * (len(told) - 1)]


def test_the_readme_says_what_the_run_says_between_its_marks(run):
    plan, told = run
    readme = plan.root / "README.md"
    readme.write_text(
        "# Top\n<!-- says tiny -->\nlong ago\n<!-- end -->\nRest\n<!-- says other -->\nkept\n<!-- end -->\n"
    )
    keep(plan)
    text = readme.read_text()
    assert text.startswith("# Top\n") and "long ago" not in text and "kept" in text and "Rest" in text
    block = text.partition("<!-- end -->")[0]
    for key in ("A1", "A2"):
        line = told.set_index("key").loc[key]
        assert line["verdict"] in block and show.amount_text(line, "difference") in block
    assert f"{(told['verdict'] == 'open').sum()} open" in block
    keep(plan)
    assert readme.read_text() == text


def test_only_what_is_done_is_kept(run):
    plan, told = run
    stale = notebook("stale")
    stale.stem = "05_sampling_strategies"
    plan.__dict__["notebooks"].append(stale)
    with pytest.raises(StudyError, match="05_sampling_strategies"):
        keep(plan)
    assert not paths.reference("tiny").exists()
    assert len(pd.read_csv(keep(plan, "04") / "claims.csv")) == len(told)


def test_no_run_is_called_as_the_references_are():
    with pytest.raises(StudyError, match="another name"):
        plan("smoke", name="reference")


def test_clean_leaves_the_references(tmp_path):
    shutil.copyfile(paths.PACKAGE.parent / "Makefile", tmp_path / "Makefile")
    for name in ("reference", "demo"):
        (tmp_path / "reports" / name).mkdir(parents=True)
    subprocess.run(["make", "clean"], cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    assert [f.name for f in (tmp_path / "reports").iterdir()] == ["reference"]
