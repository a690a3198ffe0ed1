"""What stands in the cells of a table: ours, its interval, the paper's, and nothing that is not true."""

import numpy as np
import pandas as pd
import pytest

from covid_study.report import beside_paper, show
from covid_study.report.results import join_published
from covid_study.scores import claims, published

EMPTY = pd.DataFrame(columns=["row", "column", "metric", "mean"])


def ours(mean, row="random", column="14%", metric="f1", **more):
    return pd.DataFrame([{"row": row, "column": column, "metric": metric, "mean": mean} | more])


def lines(styler, row, place=0):
    """The lines of one row in one column, by name."""
    part = styler.data[styler.data.index.get_level_values(0).str.startswith(row)]
    return dict(zip(part.index.get_level_values(1), part.iloc[:, place], strict=True))


@pytest.mark.parametrize("name", published.names())
def test_every_table_shows_the_printed_numbers_before_anything_was_run(name):
    shown = beside_paper.side_by_side(EMPTY, name)
    paper = published.table(name).query("row != 'negatives' and metric not in ('hours', 'low', 'high')")
    there = " ".join(shown.data.to_numpy().ravel()).replace(",", "")
    assert [printed for printed in paper["printed"] if printed.replace(",", "") not in there] == []
    assert shown.to_html().count("<tr") == len(shown.data) + shown.data.columns.nlevels


def test_a_cell_holds_ours_its_interval_and_the_papers():
    found = ours(0.701, low=0.6123, high=0.80, seeds=1)
    shown = beside_paper.side_by_side(
        found, "A.III", sizes={"14%": 33}, title="Table III", notes=["A <b> note"]
    )
    assert lines(shown, "Random", 2) == {"here": "70.1", "95 %": "61–80", "paper": "73.9"}
    assert lines(shown, "Difficulty only", 2) == {"here": "–", "paper": "75.2"}
    assert lines(shown, "Training period")["paper"] == "2.5 h"
    assert shown.data.columns[0][0] == "14 % (paper 246, here 33)"
    assert (
        "1 seed)" in shown.caption and "test patients" in shown.caption and "&lt;b&gt; note" in shown.caption
    )


def test_joined_and_raw_results_look_the_same():
    raw = pd.concat([ours(0.7, low=0.6, high=0.8), ours(0.2, metric="hours")])
    whole = beside_paper.side_by_side(join_published(raw, "A.III"), "A.III")
    pd.testing.assert_frame_equal(beside_paper.side_by_side(raw, "A.III").data, whole.data)


def test_scores_of_paper_b_are_fractions_with_their_deviations():
    found = ours(0.9, "dsn_saal", "slices", "acc", sd=0.02, low=0.712, high=0.9451, seeds=10)
    shown = beside_paper.side_by_side(found, "B.3", over="test patients")
    assert lines(shown, "DSN-SAAL") == {"here": "0.900 ±0.020", "95 %": "0.71–0.95", "paper": "0.920 ±0.004"}
    assert "fractions" in shown.caption and "test patients and seeds" in shown.caption


def test_parameters_cases_falls_and_ranges_have_their_own_form():
    shown = beside_paper.side_by_side(
        ours(23_591_234, "resnet50", "dsn", "params"), "B.4", metrics=["params"]
    )
    assert lines(shown, "ResNet-50", 1)["here"] == "23.59 M"
    fall = ours(-0.2, "5%", "baseline", "sen_fall", low=-0.31, high=0.05)
    assert "-0.31 to 0.05" in beside_paper.side_by_side(fall, "B.6").data.to_numpy()
    cases = ours(1240, "covid", "train", "images")
    shown = beside_paper.side_by_side(cases, "B.2")
    assert "1,240" in shown.data.to_numpy() and "cores" not in shown.caption and "seed" not in shown.caption
    ranges = pd.concat(ours(n, "covid", "slices_of_exam", end) for n, end in ((40, "low"), (1250, "high")))
    shown = beside_paper.side_by_side(ranges, "A.I")
    assert lines(shown, "COVID-19") == {"here": "40–1,250", "paper": "38–629"}
    assert lines(shown, "COVID-19", 2)["paper"] == "512" and shown.data.columns[0] == "Slices"


def test_rows_of_ours_alone_are_marked_and_times_have_no_interval():
    found = pd.concat([ours(0.7), ours(0.6, "hu_histogram"), ours(0.5, metric="hours", low=0.1, high=0.9)])
    shown = beside_paper.side_by_side(found, "A.III")
    marked = {row for row in shown.data.index.get_level_values(0) if "not in the paper" in row}
    assert marked == {"Hu histogram (not in the paper)"}
    assert lines(shown, "Training period") == {"here": "30 min", "paper": "2.5 h"}
    alone = beside_paper.side_by_side(ours(0.5, metric="auc"), "A.III", metrics=["auc", "f1_validation"])
    assert list(alone.data.columns.levels[1]) == ["AUC", "F1*"] and "Training period" not in alone.data.index


def test_rows_that_only_the_paper_has_are_marked_where_asked_for():
    found = ours(0.8512, "dsn_saal", "slices", "auc", low=0.8, high=0.9)
    shown = beside_paper.side_by_side(found, "B.8", metrics=["auc"], decimals=3, not_run="from the paper")
    marked = shown.data[shown.data.index.get_level_values(0).str.contains("from the paper")]
    assert len(marked) == 7 and set(marked.index.get_level_values(1)) == {"paper"}
    assert lines(shown, "DSN-SAAL") == {"here": "0.851", "95 %": "0.80–0.90", "paper": "0.91"}


def test_what_is_empty_is_no_error():
    assert "nothing" in beside_paper.side_by_side(EMPTY, None, title="T").to_html()
    assert "<b>" not in show.table(pd.DataFrame({"a": []}), "<b>").to_html()


def test_a_table_without_a_paper():
    shown = beside_paper.side_by_side(ours(0.5, "a", "slices", "acc_patient"), None, decimals=3)
    assert lines(shown, "A") == {"here": "0.500"}
    assert lines(beside_paper.side_by_side(ours(0.5, "a", "slices", "acc"), None), "A") == {"here": "50.0"}


def test_a_claim_is_a_line_with_its_verdict():
    known = {"key": "a", "table": "A.III", "text": "Both > random", "place": "V-D", "score": "f1", "seeds": 3}
    known |= {"kind": "difference", "low": -0.02, "high": 0.11, "fewest": 16, "published": 0.042, "needs": ""}
    known["adjusted"] = "open"
    rows = [known | {"difference": 0.051, "verdict": v} for v in ("holds", "fails", "no effect", "open")]
    rows += [known | {"kind": "ratio", "score": "hours", "difference": 0.5, "verdict": "open"}]
    counted = {"kind": "count", "score": "params", "difference": 80_000, "low": np.nan}
    rows += [known | counted | {"verdict": "holds"}]
    shown = show.claims_table(pd.DataFrame(rows), "Claims")
    assert shown.data["here"].tolist() == ["+5.1"] * 4 + ["0.50 ×", "0.08 M"]
    assert shown.data["95 %"].iloc[0] == "-2.0 to +11.0"
    assert shown.data["after Holm"].tolist() == ["open"] * 3 + [""] * 2 + ["open"]  # where it leaves less
    assert "after Holm" not in show.claims_table(pd.DataFrame(rows[3:5])).data
    html = shown.to_html()
    assert all(look in html for look in ('col8 holds"', 'col8 fails"', 'col8 no-effect"', 'col8 open"'))


def test_the_engine_and_the_table_agree():
    nothing = claims.decide(claims.Scored({}, {}, 0), claims.of_table("A.III"))
    shown = show.claims_table(nothing)
    assert set(shown.data["verdict"]) == {claims.OPEN} and shown.data["to close it"].ne("").all()


def test_lines_of_several_seeds_may_have_one_name():
    frame = pd.DataFrame({"seed": [0, 1]}, index=pd.Index(["saal", "saal"], name="row"))
    shown = show.table(frame).to_html()
    assert shown.count(">saal<") == 2 and ">row<" in shown
    assert ">saal<" not in show.table(frame, index=False).to_html()
