"""What notebook 11 says of Table 6 is true of the numbers that it is given."""

import pandas as pd
import pytest

from covid_study.scores.old_claims import FAILS, HOLDS, MEAN, TOO_FEW, UNCLEAR
from covid_study.tables import imbalance_report as said

SPACE = "\N{NO-BREAK SPACE}"


def counts(*slices, patients=10, seed=0):
    rows = [f"{share}%" for share in (100, 25, 5, 1)]
    columns = ["row", "seed", "slices", "patients", "others", "share", "published"]
    return pd.DataFrame(
        [(r, seed, n, min(n, patients), 50, n / (n + 50), 13) for r, n in zip(rows, slices, strict=False)],
        columns=columns,
    )


def changed(**verdicts):
    """Of the baseline at each share: verdicts of SEN and AUC; the moved line wins 20 points and costs 5."""
    rows = []
    for share, (sen, auc) in verdicts.items():
        row = share.strip("_") + "%"
        for column, metric, value, verdict in (
            ("baseline", "sen", -0.3, sen),
            ("baseline", "auc", -0.1, auc),
            ("baseline", "spe", 0.05, UNCLEAR),
            ("baseline_moved", "sen", -0.1, UNCLEAR),
            ("baseline_moved", "auc", -0.1, auc),
            ("baseline_moved", "spe", 0.0, UNCLEAR),
        ):
            line = (row, column, metric, 0.8 + value, value, value - 0.1, value + 0.1, 1, verdict)
            rows.append(line)
    columns = ["row", "column", "metric", "value", "difference", "low", "high", "seeds", "verdict"]
    return pd.DataFrame(rows, columns=columns)


def test_ranges_over_seeds_stand_in_the_table():
    both = pd.concat([counts(40, 10), counts(40, 12, seed=1, patients=4)])
    table = said.counts_table(both)
    assert table["COVID-19 slices"].tolist() == ["40", "10 to 12"]
    assert table["of patients"].tolist() == ["4 to 10", "4 to 10"]
    assert table.index.tolist() == [f"100{SPACE}%", f"25{SPACE}%"]


def test_equal_shares_and_few_patients_are_said():
    text = said.counts_sentence(counts(40, 10, 1, 1))
    assert f"5{SPACE}% and 1{SPACE}% are the same 1 slice here" in text
    assert "COVID-19 is 1 slice of 1 patient:" in text
    assert said.counts_sentence(counts(400, 100, 20, 6, patients=200)) == ""


def test_the_papers_own_table_contradicts_its_text():
    text = said.paper_decline_sentence()
    assert f"SPE of the baseline rises at every share, from 0.877 to 0.983 at 1{SPACE}%" in text
    assert f"ACC of the baseline rises at 25{SPACE}%, 0.837 after 0.836" in text
    assert "SPE of DSN-SAAL rises at every share, from 0.944" in text
    assert "SEN" not in text and "F1" not in text


@pytest.mark.parametrize(
    "sen, auc, words",
    [
        (HOLDS, HOLDS, "the ranking is lost"),
        (HOLDS, UNCLEAR, "it may be the line alone"),
        (UNCLEAR, HOLDS, "but no fall of sensitivity"),
        (FAILS, UNCLEAR, "neither fall"),
    ],
)
def test_line_or_ranking_follows_from_the_intervals(sen, auc, words):
    text = said.line_sentence(changed(_10=(sen, auc)))
    assert words in text and text.count(f"at 10{SPACE}%") == 1
    assert "changes the sensitivity by +20.0 points and the specificity by −5.0." in text


def test_each_share_has_its_own_verdict_and_few_patients_none():
    text = said.line_sentence(changed(_25=(HOLDS, UNCLEAR), _10=(HOLDS, HOLDS), _1=(HOLDS, HOLDS)))
    assert f"at 10{SPACE}% and 1{SPACE}% sensitivity falls and the AUC with it" in text
    assert "on average over the shares" in text
    assert "too few test patients" in said.line_sentence(changed(_10=(TOO_FEW, TOO_FEW)))


def test_the_table_of_changes_has_all_five():
    html = said.line_table(changed(_10=(HOLDS, HOLDS))).data
    assert "Baseline, 10 %" in html and "DSN-SAAL" not in html
    assert html.count("<td>") == 5 and "−30.0" in html and "−40.0 to −20.0" in html


def test_where_all_slices_alone_were_run_it_says_so():
    assert said.NO_SHARE in said.line_table(changed()).data
    assert said.line_sentence(changed()) == said.missed_sentence({}) == said.NO_SHARE
    only = pd.DataFrame({"claim": ["scores"], "metric": "sen", "column": "100%", "verdict": HOLDS})
    assert said.decline_sentence(only) == said.NO_SHARE


def test_what_declines_is_read_off_the_means():
    def of(claim, verdicts):
        return [(claim, m, c, v) for m, v in verdicts.items() for c in ("10%", MEAN)]

    baseline = {"gmean": HOLDS, "f1": HOLDS, "acc": UNCLEAR, "sen": HOLDS, "spe": FAILS}
    rows = of("decline_baseline", baseline) + of("decline", dict.fromkeys(baseline, HOLDS))
    rows[-1] = ("decline", "spe", MEAN, FAILS)
    checked = pd.DataFrame(rows, columns=["claim", "metric", "column", "verdict"])
    text = said.decline_sentence(checked)
    baseline = "of the baseline, G-mean, F1 and SEN decline, SPE rises and ACC cannot be told from no change"
    assert text == (
        f"Here, on average over the shares: {baseline}; of DSN-SAAL, G-mean, F1, ACC and SEN decline and SPE rises."
    )
    none = said.decline_sentence(checked.assign(verdict=TOO_FEW))
    assert none == "Here too few patients are tested to say what declines."


def test_a_fall_to_nothing_is_told_from_a_smaller_fall():
    values = {"100%": (0.5, 0.7), "10%": (0.2, 0.01), "1%": (0.0, 0.04)}
    rows = [
        (r, c, "sen", x)
        for r, pair in values.items()
        for c, x in zip(("baseline", "dsn_saal"), pair, strict=True)
    ]
    joined = pd.DataFrame(rows, columns=["row", "column", "metric", "mean"])
    assert said.floor_sentence(joined).startswith(
        f"At 1{SPACE}% both find less than 5 % of the COVID-19 slices"
    )
    assert said.floor_sentence(joined[joined["row"] != "1%"]) == ""
    assert said.floor_sentence(joined[joined["column"] == "baseline"].assign(mean=0.5)) == ""


def test_what_missed_slices_are_called():
    names = ["covid", "cap", "non_pneumonia"]
    matrix = pd.DataFrame([[4, 3, 1], [0, 8, 0], [0, 0, 8]], index=names, columns=names)
    text = said.missed_sentence({"25%": matrix * 0, "1%": matrix})
    assert f"At 1{SPACE}% DSN-SAAL finds 50 %" in text
    assert "75 % are called CAP and 25 % are called Non-pneumonia" in text
    whole = matrix.assign(covid=[8, 0, 0], cap=[0, 8, 0], non_pneumonia=[0, 0, 8])
    assert said.missed_sentence({"1%": whole}).endswith("finds 100 % of the COVID-19 slices.")
