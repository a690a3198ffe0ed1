"""The sentences follow the intervals: each conclusion where its interval says so, and none without an interval."""

import numpy as np
import pandas as pd
import pytest

from covid_study.report import verdicts

NAN = float("nan")


def row(low, high, value=None):
    value = (low + high) / 2 if value is None else value
    return {"value": value, "low": low, "high": high}


@pytest.mark.parametrize(
    ("low", "high", "where"),
    [
        (0.51, 0.6, "above"),
        (0.5, 0.6, "on"),
        (0.4, 0.5, "on"),
        (0.3, 0.49, "below"),
        (NAN, NAN, "unknown"),
        (NAN, 0.4, "unknown"),
    ],
)
def test_side(low, high, where):
    assert verdicts.side({"value": 0.5, "low": low, "high": high}, 0.5) == where


def meaning(auc, lead):
    return pd.DataFrame(
        [
            {"source": "pretext", "metric": "auc", **auc},
            {"source": "hu", "metric": "auc", **auc},
            {"source": "hu", "metric": "lead", **lead},
        ]
    )


@pytest.mark.parametrize(
    ("auc", "words", "not_words"),
    [
        (row(0.43, 0.57), "says nothing about findings", "excludes"),
        (row(0.52, 0.6), "says only a little about findings", "nothing"),
        (row(0.6, 0.72), "says something about findings", "nothing"),
        (row(0.8, 0.9), "says much about findings", "nothing"),
        (row(0.3, 0.45), "wrong way round", "says"),
        (row(NAN, NAN, 0.9), "nothing follows", "says"),
        (row(NAN, NAN, NAN), "cannot be judged", "nan"),
    ],
)
def test_ranking_means_what_its_interval_says(auc, words, not_words):
    text = verdicts.ranking_means(meaning(auc, row(-1, 1)), "pretext", "pretext features")
    assert words in text and not_words not in text and "nan" not in text


@pytest.mark.parametrize(
    ("lead", "words"),
    [
        (row(0.01, 0.2), "The pretext features put CAP first better"),
        (row(-0.2, -0.01), "The HU histogram puts CAP first better"),
        (row(-0.1, 0.1), "cannot be told apart"),
        (row(NAN, NAN, 0.3), "cannot be told from so few patients"),
    ],
)
def test_lead(lead, words):
    assert words in verdicts.ranking_lead(meaning(row(0.4, 0.6), lead), "hu", "HU histogram")


def probe(gain):
    keys = {"variant": "Pro", "target": "A against B"}
    return pd.DataFrame(
        [
            {**keys, "metric": "auc", **row(0.6, 0.7)},
            {**keys, "metric": "gain", **gain},
            {**keys, "variant": "untrained", "metric": "auc", **row(0.5, 0.6)},
        ]
    )


@pytest.mark.parametrize(
    ("gain", "words", "headline"),
    [
        (row(0.02, 0.1), "knows it better", "it tells A from B better."),
        (row(-0.1, -0.02), "knows it worse", "it tells A from B worse."),
        (row(-0.1, 0.1), "cannot be shown", "it tells A from B no better that could be shown."),
        (row(NAN, NAN, 0.2), "nothing follows", "(chance 50 %)."),
    ],
)
def test_probe(gain, words, headline):
    assert words in verdicts.probe_gain(probe(gain), "Pro", "A against B")
    assert verdicts.pretext_headline(of_parts(), probe(gain), "Pro").endswith(headline)


def of_parts(learnt=("learnt", "no", "barely"), accuracy=(0.7, 0.5, 0.53)):
    return pd.DataFrame(
        {
            "variant": "Pro",
            "part": ["permutation", "horizontal", "vertical"],
            "accuracy": accuracy,
            "chance": [0.01, 0.5, 0.5],
            "learnt": learnt,
        }
    )


def test_pretext_parts_are_told_apart():
    text = verdicts.pretext_learnt(of_parts(), "Pro")
    assert "the permutation in 70 % of cases (chance 1 %)" in text
    assert "It has learnt the permutation." in text
    assert "It does vertical turns better than by guessing, but barely." in text
    assert "It has not learnt horizontal turns: guessing does as well." in text


def test_without_validation_nothing_is_said_to_be_learnt():
    unknown = of_parts(("unknown",) * 3, (NAN,) * 3)
    for text in (
        verdicts.pretext_learnt(unknown, "Pro"),
        verdicts.pretext_headline(unknown, probe(row(0, 1)), "Pro"),
    ):
        assert "nothing is known" in text and "nan" not in text


def test_load():
    frame = pd.DataFrame(
        [
            {"source": "hu", "among": "all negatives", **row(0.2, 0.5)},
            {"source": "hu", "among": "CAP alone", **row(-0.2, 0.5)},
        ]
    )
    text = verdicts.follows_load(frame, "hu", "HU histogram")
    assert "among all negatives it grows with the lesion load (Spearman 0.35 (0.20 to 0.50))" in text
    assert "among CAP alone it does not follow" in text
    frame[["value", "low", "high"]] = NAN
    assert "cannot be compared" in verdicts.follows_load(frame, "hu", "HU histogram")


@pytest.mark.parametrize(
    ("rho", "words"),
    [
        (0.9, "largely agree"),
        (0.5, "agree in part"),
        (0.0, "hardly agree"),
        (-0.6, "contradict"),
        (NAN, "cannot"),
    ],
)
def test_agreement(rho, words):
    table = pd.DataFrame([[1, rho], [rho, 1]], index=["a", "b"], columns=["a", "b"])
    assert len(said := verdicts.agreements(table)) == 1 and words in said[0]


def test_percent():
    assert [verdicts.percent(x) for x in (1.0, 0.0, 0.996, 0.125, 0.01)] == [
        "100 %",
        "0 %",
        "100 %",
        "12 %",
        "1 %",
    ]
    assert np.isnan(NAN) and verdicts.percent(NAN) == "unknown"
