"""The scoreboard of the index: what notebooks said of their claims, drawn where it stands, linked to its cell."""

import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from covid_study.report import say
from covid_study.scores.claims import COLUMNS
from covid_study.study import pages, scoreboard

LINES = [
    ("A2", "A.III", "Both beat random", "difference", 0.05, 0.01, 0.09, 0.042, "holds", ""),
    ("A22", "A.V", "All samples take longer", "ratio", 3.0, 2.0, 4.5, np.nan, "holds", ""),
    ("A28", "A.ranking", "CAP <first>", "auc", -0.06, -0.2, 0.1, np.nan, "open", "60 patients"),
    ("S1", "B.5", "Ours", "difference", np.nan, np.nan, np.nan, np.nan, "open", "a run of each of its rows"),
]


def decided():
    names = ["key", "table", "text", "kind", "difference", "low", "high", "published", "verdict", "needs"]
    frame = pd.DataFrame(LINES, columns=names).assign(place="V-D", score="f1", seeds=3, fewest=40)
    found = frame.reindex(columns=COLUMNS)
    found[["auc", "auc_low", "auc_high"]] = [[np.nan] * 3] * 3 + [[0.0, -0.01, 0.01]]
    found["by_auc"] = ["", "", "", "no effect"]
    return found


@pytest.fixture
def outputs(monkeypatch):
    """What a notebook's cell leaves when it shows the claims."""
    shown = []
    monkeypatch.setattr(
        say, "_show", lambda kind, data, as_html, as_text: shown.append((kind, data, as_html))
    )
    say.claims(decided(), "The claims")
    return shown


@pytest.fixture
def run(outputs, tmp_path):
    cell = {"outputs": [{"data": {kind: data}} for kind, data, _ in outputs]}
    said = say.read({"cells": [cell, {"outputs": []}]})

    def notebook(stem, status):
        page = SimpleNamespace(name=f"{stem}.html")
        return SimpleNamespace(stem=stem, page=page, said=said, status=lambda: status)

    kept = tmp_path / "reports/reference/laptop"
    kept.mkdir(parents=True)
    (kept / "claims.csv").write_text("key,verdict\nA2,no effect\n")
    return SimpleNamespace(root=tmp_path, notebooks=[notebook("04_a", "done"), notebook("05_b", "stale")])


def test_every_claim_of_a_notebook_that_is_up_to_date_has_a_row_and_its_link_leads_to_it(run, outputs):
    rows = scoreboard.rows(run)
    assert [row["key"] for row in rows] == ["A2", "A22", "A28", "S1"]
    assert [row["decided"] for row in rows] == [True, True, False, True]  # the last one by AUC alone
    assert [row["references"] for row in rows] == [{"laptop": v} for v in ("no effect", "", "", "")]
    anchors = set(re.findall(r'id="([^"]+)"', outputs[0][2]))
    for row in rows:
        page, _, anchor = row["page"].partition("#")
        assert page == "04_a.html" and anchor in anchors


@pytest.mark.parametrize(
    ("kind", "value", "pixels"),
    [("difference", 0.1, 112.5), ("auc", -0.25, 37.5), ("ratio", 2.0, 112.5), ("ratio", 100.0, 150.0)],
)
def test_a_value_stands_where_its_kind_says(kind, value, pixels):
    assert scoreboard.place({"kind": kind, "x": value}, "x") == pytest.approx(pixels)


@pytest.mark.parametrize(
    "line", [{"kind": "count", "x": 3}, {"kind": "auc", "x": None}, {"kind": "ratio", "x": 0}]
)
def test_what_is_not_known_is_not_drawn(line):
    assert scoreboard.place(line, "x") is None


def test_the_index_shows_every_claim_escaped(run, tmp_path):
    facts = {
        "run": {"name": "x", "exams": None, "images": None},
        "summary": "",
        "notebooks": [],
        "cohort": None,
        "left_out": None,
        "facts": {},
        "story": [],
        "beside": {},
        "again": [],
        "cite": None,
    }
    pages.write(tmp_path / "index.html", "index.html.j2", claims=scoreboard.rows(run), **facts)
    text = (tmp_path / "index.html").read_text()
    assert text.count("<tr data-verdict=") == 4 and "CAP &lt;first&gt;" in text and "CAP <first>" not in text
    assert (
        len(re.findall(r'<circle class="ours"', text)) == 3
        and len(re.findall(r'<circle class="theirs"', text)) == 1
    )
