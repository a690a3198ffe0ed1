"""Focal loss, OHEM and oversampling against their papers' definitions (paper A, V-F)."""

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from torch.nn import functional as F

from covid_study.losses.focal import focal_loss
from covid_study.losses.ohem import hardest
from covid_study.losses.online import online_loss
from covid_study.networks import torchvision_compat  # noqa: F401 - before torchvision
from covid_study.training.volume_classifier import classifier_loss, oversampled

FOCAL = {"strategy": "focal", "focal_gamma": 2.0, "focal_alpha": 0.25}


def batch(n=12, classes=2, seed=0):
    rng = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn((n, classes), generator=rng, dtype=torch.float64)
    return logits, torch.arange(n) % classes


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("gamma, alpha", [(2.0, 0.25), (0.0, 0.5), (1.0, 0.75), (0.5, 0.25), (5.0, 1.0)])
def test_focal_loss_is_torchvisions_on_the_difference_of_the_logits(gamma, alpha):
    """A softmax over two classes is a sigmoid of their difference."""
    from torchvision.ops import sigmoid_focal_loss

    logits, labels = batch()
    found = focal_loss(logits, labels, gamma, alpha)
    wanted = sigmoid_focal_loss(logits[:, 1] - logits[:, 0], labels.double(), alpha, gamma)
    assert found.shape == (12,)
    torch.testing.assert_close(found, wanted)


def test_focal_loss_by_hand():
    """p_t = 0.9 and 0.2, gamma = 2, alpha = 1/4: eq. 5 of Lin et al. 2017."""
    logits = torch.tensor([[0.1, 0.9], [0.2, 0.8]], dtype=torch.float64).log()
    found = focal_loss(logits, torch.tensor([1, 0]))
    by_hand = [-0.25 * 0.1**2 * np.log(0.9), -0.75 * 0.8**2 * np.log(0.2)]
    np.testing.assert_allclose(found, by_hand, rtol=1e-12)


def test_focal_loss_of_three_classes_weighs_covid_against_the_others():
    logits, labels = batch(classes=3)
    weights = torch.tensor([0.75, 0.25, 0.75], dtype=torch.float64)
    p = logits.softmax(1)[torch.arange(12), labels]
    torch.testing.assert_close(focal_loss(logits, labels), -weights[labels] * (1 - p) ** 2 * p.log())


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 5.0])
def test_an_exam_that_is_certain_has_a_finite_gradient(gamma):
    """In float32 its p is exactly 1, and 1 - p is 0."""
    logits = torch.tensor([[0.0, 60.0], [60.0, 0.0], [0.0, 60.0]], requires_grad=True)
    loss = focal_loss(logits, torch.tensor([1, 0, 0]), gamma)
    loss.sum().backward()
    assert torch.isfinite(loss).all() and torch.isfinite(logits.grad).all()


def test_ohem_keeps_the_largest_losses():
    assert hardest(torch.tensor([0.1, 3.0, 0.2, 2.0]), 0.5).tolist() == [3.0, 2.0]
    assert hardest(torch.tensor([0.1, 3.0, 0.2, 2.0]), 0.01).tolist() == [3.0]  # at least one
    assert hardest(torch.tensor([1.0]), 0.5).tolist() == [1.0]


def test_ohem_learns_nothing_from_the_others():
    """The gradient is that of the mean over the kept half alone, and exactly zero elsewhere."""
    logits, labels = batch(8)
    losses = F.cross_entropy(logits, labels, reduction="none")
    kept = losses.argsort(descending=True)[:4]
    logits.requires_grad_()
    online_loss(logits, labels, {"strategy": "ohem", "ohem_share": 0.5}).backward()
    wanted = torch.zeros_like(logits)
    wanted[kept] = (logits[kept].softmax(1) - F.one_hot(labels[kept], 2)).detach() / 4
    torch.testing.assert_close(logits.grad, wanted)
    left_out = sorted(set(range(8)) - set(kept.tolist()))
    assert (logits.grad[left_out] == 0).all() and (logits.grad[kept] != 0).all()


@pytest.mark.parametrize(
    "online",
    [None, {"strategy": "none"}, {"strategy": "oversampling"}, {"strategy": "ohem", "ohem_share": 1.0}],
)
def test_what_is_cross_entropy(online):
    """No strategy; oversampling, which changes the exams and not the loss; OHEM that keeps the whole batch."""
    logits, labels = batch()
    torch.testing.assert_close(online_loss(logits, labels, online), F.cross_entropy(logits, labels))


@pytest.mark.parametrize("online", [None, {"strategy": "ohem", "ohem_share": 0.25}, FOCAL])
def test_the_loop_trains_with_the_loss_of_the_strategy(online):
    """On volumes of one voxel that no augmentation changes."""
    values, labels = torch.tensor([0, 51, 204, 255], dtype=torch.uint8), torch.tensor([0, 1, 0, 1])

    class Line(torch.nn.Module):
        def forward(self, x):
            x = x.flatten(1)
            return torch.cat([-x, 2 * x], dim=1)

    loss_of = classifier_loss(values.view(4, 1, 1, 1), labels, (1.0, 1.0), flips=True, online=online)
    index = torch.tensor([3, 0, 2, 1])
    found, logged = loss_of(Line(), index, stream())
    x = values[index].float() / 255
    torch.testing.assert_close(found, online_loss(torch.stack([-x, 2 * x], 1), labels[index], online))
    assert logged == {}


def test_oversampling_brings_every_class_equally_often():
    labels = torch.tensor([0] * 30 + [1] * 6 + [2] * 4)
    n, order_of = oversampled(labels)
    assert n == 90  # three classes of 30, the largest
    generator = stream(1)
    drawn = torch.cat([order_of(generator) for _ in range(100)])
    assert chisquare(torch.bincount(labels[drawn]).numpy()).pvalue > 1e-3
    for c in range(3):  # and within a class every exam
        times = torch.bincount(drawn, minlength=40)[labels == c].numpy()
        assert chisquare(times).pvalue > 1e-3, c


def test_oversampling_is_drawn_anew_each_epoch_and_the_same_from_the_same_seed():
    _, order_of = oversampled(torch.tensor([0] * 20 + [1] * 5))
    one, again = stream(3), stream(3)
    first, second = order_of(one), order_of(one)
    assert not torch.equal(first, second)
    assert torch.equal(first, order_of(again)) and torch.equal(second, order_of(again))


@pytest.mark.parametrize("labels", [[1, 1, 1], [0, 0, 0], [0, 0, 2, 2, 2]])
def test_oversampling_with_a_class_missing(labels):
    labels = torch.tensor(labels)
    n, order_of = oversampled(labels)
    classes = labels.unique()
    assert n == len(classes) * int(torch.bincount(labels).max())
    drawn = labels[torch.cat([order_of(stream(seed)) for seed in range(200)])]
    share = torch.bincount(drawn)[classes] / len(drawn)
    np.testing.assert_allclose(share, 1 / len(classes), atol=0.06)  # four deviations of 1000 draws
