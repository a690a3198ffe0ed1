"""The weights of the classes against exact arithmetic, and where they begin to differ."""

from decimal import Decimal, getcontext

import numpy as np
import pytest

from covid_study.analysis import class_weights as cw
from covid_study.losses.class_balanced import class_balanced_weights

COUNTS = [1256, 980, 2674]


@pytest.mark.parametrize("one_minus_alpha", ["0.5", "1e-2", "1e-4", "1e-9"])
def test_weights_are_those_of_exact_arithmetic(one_minus_alpha):
    getcontext().prec = 60
    x = Decimal(one_minus_alpha)
    exact = [float(x / (1 - (1 - x) ** k)) for k in COUNTS]
    np.testing.assert_allclose(cw.weights(np.array([float(x)]), COUNTS)[0], exact, rtol=1e-9)


def test_relative_weights_are_those_of_the_class_balanced_loss():
    import torch

    balanced = class_balanced_weights(torch.tensor(COUNTS), 0.999)
    np.testing.assert_allclose(cw.relative(np.array([1e-3]), COUNTS)[0], balanced, rtol=1e-5)


def test_from_equal_weights_to_inverse_counts():
    assert cw.apart(0.5, COUNTS) == 0
    assert cw.apart(cw.NEAR_ONE, COUNTS) == pytest.approx(2674 / 980 - 1, rel=1e-5)
    assert cw.apart(1e-3, [50, 50]) == 0


@pytest.mark.parametrize("share", [0.01, 0.1, 1.0])
@pytest.mark.parametrize("counts", [COUNTS, [12, 14], [100, 103]])
def test_the_alpha_from_which_weights_are_apart(share, counts):
    limit = cw.reaches(share, counts)
    if max(counts) / min(counts) - 1 < share:
        assert np.isnan(limit)
    else:
        assert cw.apart(limit, counts) == pytest.approx(share, rel=1e-5)
        assert cw.apart(1.01 * limit, counts) < share  # and not before


def test_raw_and_back():
    for x in (0.9, 0.5, 1e-3, 1e-9):
        assert cw.one_minus(cw.raw(x)) == pytest.approx(x, rel=1e-9)


def test_the_table_has_a_line_for_the_class_balanced_loss_and_ends_at_inverse_counts():
    found = cw.table({"here": {"covid": 100, "cap": 400}}, beta=0.9995)
    assert list(found.index) == ["0.5", "0.9", "0.99", "0.999", "0.9995, class-balanced here", "0.9999", "0.99999",
                                 "1, inverse counts"]  # fmt: skip
    np.testing.assert_allclose(found.iloc[0], [1, 1, 0.5])
    np.testing.assert_allclose(
        found.iloc[-1], [1.6, 0.4, np.mean([1 / 100, 1 / 400])], rtol=1e-3
    )  # 1/100 against 1/400
    once = cw.table({"here": {"covid": 100, "cap": 400}}, beta=0.9999)
    assert [name for name in once.index if name.startswith("0.9999")] == [
        "0.9999, class-balanced here",
        "0.99999",
    ]
    assert cw.table_shown(once).loc["0.5"].tolist() == ["1.000", "1.000", "0.5"]


def test_what_is_said_depends_on_the_counts():
    paper = cw.sentence(cw.of_paper(), "In the paper", 0.9999)
    assert "1 % apart from alpha = 0.9953 on and 10 % apart" in paper and "2.73 times the smallest" in paper
    assert paper.endswith(
        "In the class-balanced loss it is 2.51 times the smallest, at its factor of 0.9999."
    )
    assert cw.sentence(cw.of_paper(), "There", 0.99).endswith(
        "The class-balanced loss is then cross-entropy, at its factor of 0.99."
    )
    assert "no alpha puts their weights 1 % apart" in cw.sentence({"covid": 9, "cap": 9}, "Here", 0.9999)
    few = cw.sentence({"covid": 100, "cap": 103}, "Here", 0.9999)
    assert "1 % apart from" in few and "10 % apart" not in few
