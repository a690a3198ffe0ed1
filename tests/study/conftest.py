"""A run whose notebooks have run, as records and files: no kernel is started."""

import shutil
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from nbformat.v4 import new_markdown_cell, new_notebook, writes_json

from covid_study import paths
from covid_study.params.profiles import load_profile, put
from covid_study.report import results, say
from covid_study.scores.claims import COLUMNS
from covid_study.study.notebook import Notebook
from covid_study.study.plan import Plan

ROOT = paths.PACKAGE.parent
FACTS = {"commit": "abc1234567", "processor": "a CPU", "torch": "2", "monai": "1", "python": "3.11"}
COHORT = {"columns": ["finding", "train"], "rows": [["covid", "2 exams, 1 patient"]]}
CLAIMS = [
    ("A1", "A.III", "The half <is> as good as all", "difference", 0.05, 0.01, 0.09, "holds"),
    ("A12a", "A.III", "All negatives take longer", "ratio", 2.0, 1.5, 2.5, "holds"),
    ("B1", "B.3", "DSN-SAAL is ahead", "difference", np.nan, np.nan, np.nan, "open"),
]


def decided(rows=CLAIMS):
    names = ["key", "table", "text", "kind", "difference", "low", "high", "verdict"]
    frame = pd.DataFrame(rows, columns=names).assign(
        place="V-D", score="f1", seeds=3, fewest=40, needs="more"
    )
    return frame.reindex(columns=COLUMNS)


def cells(mean=0.7):
    frame = pd.DataFrame({"row": ["random", "both"], "column": "14%", "metric": "f1", "mean": [mean, 0.8]})
    return results.join_published(frame.assign(low=frame["mean"] - 0.1, high=frame["mean"] + 0.1), "A.III")


def said_claims(frame):
    """What `say.claims` leaves for the index."""
    shown = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(say, "_show", lambda kind, data, *_: shown.append(data))
        say.claims(frame)
    return shown[0]


def notebook(run, stem, status="done", artefacts=(), **said):
    """A notebook of the run that has run, with its page and its executed file."""
    folder = run.build / "notebooks"
    folder.mkdir(parents=True, exist_ok=True)
    run.reports.mkdir(parents=True, exist_ok=True)
    content = new_notebook(cells=[new_markdown_cell(f"# Title of {stem}", id="a")])
    page, executed = run.reports / f"{stem}.html", folder / f"{stem}.ipynb"
    page.write_text("page")
    executed.write_text(writes_json(content))
    record = {
        "parts": {"exams": "synthetic"},
        "status": status,
        "seconds": 3600.0,
        "finished": "2026-01-02 10:00",
    }
    record |= {"facts": FACTS, "said": {"headline": None, "claims": [], **said}, "artefacts": list(artefacts)}
    made = Notebook(stem, executed, content, (), {"exams": "synthetic"}, folder, page, None)
    made.write(record)
    return made


@pytest.fixture
def whole(tmp_path, monkeypatch):
    """A plan of the smoke profile in a root of its own: notebook 01 has shown its cohort, 04 has claims and a table."""
    monkeypatch.setattr(paths, "root", lambda: tmp_path)
    shutil.copy(ROOT / "CITATION.cff", tmp_path)
    run = Plan(put(load_profile(ROOT / "params" / "smoke.yaml"), "study.name", "my_run"), None, tmp_path)
    for name, table in {"A.III": cells(), "A.III-claims": decided()}.items():
        results.write_results(run.build / "results" / f"{name}.parquet", table)
    names = ["results/A.III.parquet", "results/A.III-claims.parquet"]
    claims = said_claims(decided())
    run.__dict__["notebooks"] = [
        notebook(run, "01_preprocessing", cohort=COHORT, left_out=[]),
        notebook(run, "04_ranking_ablation", artefacts=names, claims=claims),
    ]
    return run


@pytest.fixture
def fake():
    """The pieces of `whole`, for tests that need another."""
    return SimpleNamespace(decided=decided, cells=cells, notebook=notebook, claims=CLAIMS)
