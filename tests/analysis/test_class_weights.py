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


def test_limits_depend_on_the_counts():
    studies = {"paper": cw.of_paper(), "equal": {"covid": 9, "cap": 9}, "few": {"covid": 100, "cap": 103}}
    found = cw.limits(studies, 0.9999)
    assert found.loc["paper"].tolist() == ["980 to 2,674", "0.9953", "0.9976", "2.51", "2.73"]
    assert found.loc["equal"].tolist()[1:] == ["none", "none", "1.00", "1.00"]
    assert found.loc["few"].tolist()[2:] == ["none", "1.03", "1.03"]
