"""SAAL, SCE and the class-balanced loss against values worked out by other means (paper B, 3.3 and Table 5)."""

import math
from decimal import Decimal, getcontext

import numpy as np
import pytest
import torch
from balanced_loss import Loss as PublishedLoss
from torch.nn import functional as F

from covid_study.losses.by_stage import slice_loss
from covid_study.losses.saal import SelfAdaptiveAuxiliaryLoss
from covid_study.losses.symmetric import symmetric_cross_entropy

COUNTS = [1256, 2674, 980]  # COVID19-Diag, training
SETTINGS = {
    "log_zero": -4.0,
    "focal_gamma": 2.0,
    "focal_alpha": 0.25,
    "class_balanced_beta": 0.9999,
    "sce_alpha": 0.1,
    "sce_beta": 1.0,
}


def batch(n=10, classes=3, stages=6, seed=0, dtype=torch.float64):
    rng = torch.Generator().manual_seed(seed)
    logits = [2 * torch.randn((n, classes), generator=rng, dtype=dtype) for _ in range(stages)]
    return logits, torch.arange(n) % classes


def saal(counts=COUNTS, stages=6, raw_alpha=0.3, raw_betas=None, log_zero=-4.0):
    loss = SelfAdaptiveAuxiliaryLoss(counts, stages, log_zero).double()
    with torch.no_grad():
        loss.raw_alpha.fill_(raw_alpha)
        loss.raw_betas.copy_(torch.linspace(-1, 1, stages) if raw_betas is None else torch.tensor(raw_betas))
    return loss


def by_hand(logits, labels, counts, alpha, betas, log_zero):
    """Eq. 10 in NumPy, exam by exam and class by class, as it is printed."""
    total = 0.0
    for stage, beta in zip(logits, betas, strict=True):
        p = np.exp(stage.numpy())
        p /= p.sum(1, keepdims=True)
        for row, y in zip(p, labels.tolist(), strict=True):
            for n, k in enumerate(counts):
                weight, q = (1 - alpha) / (1 - alpha**k), float(n == y)
                log_q = math.log(q) if q else log_zero
                total += (-weight * q * math.log(row[n]) - beta * weight * row[n] * log_q) / len(labels)
    return total


@pytest.mark.parametrize("raw_alpha", [-2.0, 0.0, 3.0, 7.0])
@pytest.mark.parametrize("log_zero", [-4.0, -9.2])
def test_saal_is_equation_10(raw_alpha, log_zero):
    logits, labels = batch()
    loss = saal(raw_alpha=raw_alpha, log_zero=log_zero)
    found = loss(logits, labels)
    expected = by_hand(logits, labels, COUNTS, loss.alpha.item(), loss.betas.tolist(), log_zero)
    assert found.item() == pytest.approx(expected, rel=1e-9)


def test_saal_of_one_slice_on_paper():
    """Two classes of 1 and 2 slices, alpha = beta = 1/2, p = (3/4, 1/4), y = 0: ln(4/3) + 1/2 * 4 * (2/3) * (1/4)."""
    loss = saal([1, 2], 1, 0.0, [0.0])
    logits = torch.tensor([[math.log(3.0), 0.0]], dtype=torch.float64)
    assert loss([logits], torch.tensor([0])).item() == pytest.approx(math.log(4 / 3) + 1 / 3, rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("raw", [4.0, 9.0, 12.0, 17.0, 25.0, 60.0, 100.0, 200.0, -12.0, -200.0])
def test_the_class_weights_keep_their_digits(raw, dtype):
    """Against 400 decimal digits: in float32 the formula as printed has none left where 1 - alpha < 1e-7."""
    getcontext().prec = 400
    loss = SelfAdaptiveAuxiliaryLoss(COUNTS).to(dtype)
    with torch.no_grad():
        loss.raw_alpha.fill_(raw)
    exact = Decimal(loss.raw_alpha.item())
    alpha = 1 / (1 + (-exact).exp())
    expected = [float((1 - alpha) / (1 - alpha**k)) for k in COUNTS]
    assert loss.class_weights().tolist() == pytest.approx(expected, rel=1e-6)
    total = loss([torch.zeros(3, 3, dtype=dtype)] * 6, torch.arange(3))
    total.backward()
    assert torch.isfinite(loss.raw_alpha.grad) and torch.isfinite(total)


def test_the_limits_of_alpha():
    """Eq. 5 and 6: at 0 each class is one sample, at 1 as many as it has."""
    logits, labels = batch()
    none = [-30.0] * 6
    plain = sum(F.cross_entropy(stage, labels) for stage in logits)
    assert saal(raw_alpha=-30.0, raw_betas=none)(logits, labels).item() == pytest.approx(
        plain.item(), rel=1e-9
    )
    by_count = sum(
        (F.cross_entropy(stage, labels, reduction="none") / torch.tensor(COUNTS)[labels]).mean()
        for stage in logits
    )
    assert saal(raw_alpha=40.0, raw_betas=none)(logits, labels).item() == pytest.approx(
        by_count.item(), rel=1e-9
    )


def test_gradient_descent_lowers_the_loss_by_alpha_to_one_and_beta_to_zero():
    """Whatever the network says: the loss can be lowered without learning anything from a slice."""
    logits, labels = batch()
    loss = saal()
    loss(logits, labels).backward()
    assert loss.raw_alpha.grad < 0 and (loss.raw_betas.grad > 0).all()


def test_saal_is_the_same_under_autocast():
    logits, labels = batch(dtype=torch.float32)
    loss = SelfAdaptiveAuxiliaryLoss(COUNTS)
    with torch.no_grad():
        loss.raw_alpha.fill_(15.0)
    plain = loss(logits, labels)
    with torch.autocast("cpu", torch.bfloat16):
        assert loss(logits, labels).item() == pytest.approx(plain.item(), rel=1e-6)


def test_what_saal_trains():
    parameters = dict(SelfAdaptiveAuxiliaryLoss(COUNTS, stages=6).named_parameters())
    assert {name: tuple(p.shape) for name, p in parameters.items()} == {"raw_alpha": (), "raw_betas": (6,)}
    torch.manual_seed(1)
    first = SelfAdaptiveAuxiliaryLoss(COUNTS).raw_betas
    torch.manual_seed(1)
    assert torch.equal(SelfAdaptiveAuxiliaryLoss(COUNTS).raw_betas, first)


@pytest.mark.parametrize(
    "arguments, said",
    [(([3, 0],), "class_counts"), (([[3, 1]],), "class_counts"), (([3, 1], 6, 0.0), "log_zero")],
)
def test_saal_refuses_what_it_cannot_use(arguments, said):
    with pytest.raises(ValueError, match=said):
        SelfAdaptiveAuxiliaryLoss(*arguments)


def test_saal_refuses_another_number_of_stages():
    logits, labels = batch(stages=5)
    with pytest.raises(ValueError, match="5 lists of logits, but 6 stages"):
        saal()(logits, labels)


@pytest.mark.parametrize("beta", [0.9, 0.99, 0.999, 0.9999])
def test_class_balanced_is_the_published_packages(beta):
    """Against the package balanced-loss, whose effective numbers are those of Cui et al."""
    logits, labels = batch(stages=1, dtype=torch.float32)
    ours = slice_loss("class_balanced", SETTINGS | {"class_balanced_beta": beta}, COUNTS, 1)
    theirs = PublishedLoss(samples_per_class=COUNTS, class_balanced=True, beta=beta)
    assert ours(logits, labels).item() == pytest.approx(theirs(logits[0], labels).item(), rel=2e-5)


def test_symmetric_cross_entropy_by_hand():
    logits, labels = batch(stages=1)
    p = logits[0].softmax(1)
    q = F.one_hot(labels, 3).double()
    expected = 0.1 * -(q * p.log()).sum(1) + 1.0 * -(p * q.clamp_min(math.exp(-4.0)).log()).sum(1)
    assert torch.allclose(symmetric_cross_entropy(logits[0], labels), expected)


@pytest.mark.parametrize("name", ["ce", "focal", "class_balanced", "sce"])
def test_a_deeply_supervised_loss_is_the_sum_over_stages(name):
    """Eq. 2."""
    logits, labels = batch(dtype=torch.float32)
    loss = slice_loss(name, SETTINGS, COUNTS, 6)
    parts = [loss([stage], labels).item() for stage in logits]
    assert loss(logits, labels).item() == pytest.approx(sum(parts), rel=1e-6)


def test_the_parts_of_saal():
    """beta = 0 leaves the weighted cross-entropy; one beta is SAAL with six equal ones, and both start from the same alpha."""
    logits, labels = batch()
    for name, betas in (("saal_no_reverse", [0.0] * 6), ("saal_one_beta", None)):
        torch.manual_seed(0)
        loss = slice_loss(name, SETTINGS, COUNTS, 6).double()
        alpha = loss.alpha.item()
        expected = betas or [loss.raw_betas.sigmoid().item()] * 6
        assert loss(logits, labels).item() == pytest.approx(
            by_hand(logits, labels, COUNTS, alpha, expected, -4.0)
        )
        torch.manual_seed(0)
        assert slice_loss("saal", SETTINGS, COUNTS, 6).alpha.item() == pytest.approx(alpha)


def test_weighed_by_frequency_two_classes_count_alike():
    """Eq. 6: at alpha = 1 a class of k slices has the weight 1 / k, so that the classes' sums are equal."""
    loss = slice_loss("inverse_frequency", SETTINGS, COUNTS, 1)
    shares = loss.weights.double() * torch.tensor(COUNTS, dtype=torch.float64)
    assert (shares / shares[0]).tolist() == pytest.approx([1, 1, 1], rel=1e-6)
    assert loss.weights.sum().item() == pytest.approx(3)
