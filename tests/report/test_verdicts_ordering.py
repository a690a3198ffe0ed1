"""What is said about the order of channels and positives follows the numbers."""

import numpy as np
import pandas as pd
import pytest

from covid_study.report import verdicts_ordering as verdicts
from tests.orders import planted

NAN = float("nan")


def ranking(against=1, n=160):
    ranks = np.arange(1, n + 1)
    return pd.DataFrame({"difficulty_rank": ranks, "diversity_rank": ranks[::against]})


def with_rho(shuffled, track, values):
    shuffles, _ = planted()
    here = (shuffles["shuffled"] == shuffled) & (shuffles["track"] == track)
    shuffles.loc[here, "rho"] = values
    return shuffles


def test_how_much_depends_on_it():
    text = verdicts.order_dependence(planted()[0])
    assert "In 3 random orders" in text
    assert "0.60 (0.50 to 0.70) for difficulty, 0.60 (0.50 to 0.70) for diversity and 0.60" in text
    assert "unknown for diversity" in verdicts.order_dependence(with_rho("both", "diversity", NAN))


def test_how_many_stay_selected_beside_chance():
    text = verdicts.order_selection(planted()[0])
    assert (
        "Of the 90 negatives that the listed order puts in the best 56 %, 60 % (50 % to 70 %) stay there"
        in text
    )
    assert "nothing to do with it, 56 % would" in text


@pytest.mark.parametrize(
    ("channels", "positives", "words"),
    [
        (0.5, 0.9, "The order of the channels matters more than that of the positives"),
        (0.9, 0.5, "The order of the positives matters more than that of the channels"),
        ([0.5, 0.9, 0.5], [0.6, 0.6, 0.6], "cannot be told"),
        (1.0, 1.0, "cannot be told"),
    ],
)
def test_which_order_matters_more(channels, positives, words):
    shuffles = with_rho("channels", "joint", channels)
    shuffles.loc[(shuffles["shuffled"] == "positives") & (shuffles["track"] == "joint"), "rho"] = positives
    text = verdicts.order_of_which(shuffles)
    assert words in text and "nan" not in text
    assert verdicts.order_of_which(shuffles.assign(rho=NAN)) == ""


def test_why_the_joint_rank_is_worse_off():
    worse = with_rho("both", "joint", 0.4)
    assert "Spearman -1.00 between the two ranks" in verdicts.order_of_joint(worse, ranking(-1))
    assert verdicts.order_of_joint(worse, ranking(1)) == ""  # the tracks agree: nothing cancels
    assert verdicts.order_of_joint(with_rho("both", "joint", 0.9), ranking(-1)) == ""  # it is not worse off
    assert verdicts.order_of_joint(with_rho("both", "joint", NAN), ranking(-1)) == ""


def test_the_ranking_without_an_order_and_whether_it_has_none():
    _, variants = planted(variant_rho=0.49)
    text = verdicts.order_done_without(variants)
    assert "0.49 for difficulty, 0.49 for diversity and 0.49 for the joint rank" in text
    assert "on the same 66 negatives and 60 positives" in text
    assert "do not change in another order" in text
    variants.loc[variants["variant"] == "both", "change"] = 0.01
    text = verdicts.order_done_without(variants)
    assert "change by up to 0.01 in another order" in text and "do not change" not in text


def test_what_it_costs():
    _, variants = planted()
    assert "7,875 here: 12 s (the whole archive, at that pace: about 54 min)" in verdicts.order_cost(variants)
    whole = verdicts.order_cost(variants.assign(seconds=0.01, seconds_whole=0.01))
    assert "whole archive" not in whole and "less than 0.1 s" in whole
    unknown = verdicts.order_cost(variants.assign(seconds=NAN, seconds_whole=NAN))
    assert "not known" in unknown and "nan" not in unknown


@pytest.mark.parametrize(
    ("rho", "words", "not_words"),
    [
        (0.99, "hardly matters", "accident"),
        (0.95, "hardly matters", "accident"),
        (0.85, "to some extent an accident", "hardly"),
        (0.5, "to a good part an accident", "hardly"),
        (NAN, "not known", "accident"),
    ],
)
def test_what_it_means(rho, words, not_words):
    text = verdicts.order_means(with_rho("both", "joint", rho))
    assert words in text and not_words not in text


def test_all_of_it_and_nothing_from_few_exams():
    shuffles, variants = planted()
    said = verdicts.order_matters(shuffles, variants, ranking(-1))
    assert len(said) == 6 and all(s.endswith(".") for s in said)  # no track is worse off: one sentence less
    assert len(verdicts.order_matters(with_rho("both", "joint", 0.4), variants, ranking(-1))) == 7
    assert verdicts.order_matters(shuffles, variants, ranking(n=2)) == [
        "With 2 negatives in the archive nothing follows about the order of channels and positives."
    ]
    assert "1 negative in" in verdicts.order_matters(shuffles, variants, ranking(n=1))[0]
    unknown = verdicts.order_matters(shuffles.assign(rho=NAN), variants.assign(rho=NAN), ranking())
    assert not any("nan" in s for s in unknown)
