"""Meta-Weight-Net (Shu et al. 2019): a small network weighs the training samples so that a balanced set is classified well.

Paper B compares DSN-SAAL with it (paper B, Table 3). Each step of training is two: the weighing network learns from what
a trial step of the classifier does to the loss on the meta set; then the classifier learns from the weighted losses.

Choice: the network that is weighted is the backbone of the study, since paper B does not give the layers which it adds to
the authors' ResNet-32 (paper B, 5.1).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from covid_study.errors import StudyError
from covid_study.samples.batch import to_input

Prepare = Callable[[torch.Tensor, torch.Generator], torch.Tensor]  # stored slices to the network's inputs


class WeightNet(nn.Module):
    """The weight of a sample, from its loss alone: 1-100-1, ReLU, then a sigmoid (Shu et al. 2019).

    Losses float (n,) become weights float (n,) in [0, 1].

    >>> WeightNet()(torch.tensor([0.1, 2.0, 5.0])).shape
    torch.Size([3])
    """

    def __init__(self, hidden: int = 100):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(1, hidden), nn.ReLU(), nn.Linear(hidden, 1), nn.Sigmoid())

    def forward(self, losses: torch.Tensor) -> torch.Tensor:
        # bf16 would round the weights to steps of 0.004
        with torch.autocast(losses.device.type, enabled=False):
            return self.layers(losses.float()[:, None])[:, 0]


class MetaWeighted(nn.Module):
    """A classifier and the network that weighs its samples, to be trained as one by `loop.fit` (paper B, Table 3).

    What `fit` steps is the classifier: the weighing network has an optimiser of its own, whose state lies in the state
    dict of this module, so that a checkpoint holds it. When training is done, `network` is the result.

    Choice: Adam with a rate of 1e-3 and a weight decay of 1e-4 for the weighing network, as in the authors' code.

    Args:
        network: the classifier, (n, 1, y, x) float to (n, classes) logits.
    """

    traces: ClassVar[bool] = False  # by torch.compile: its loss is differentiated twice

    def __init__(self, network: nn.Module, learning_rate: float = 1e-3, weight_decay: float = 1e-4):
        super().__init__()
        self.network, self.weight_net = network, WeightNet()
        self.optimiser = torch.optim.Adam(
            self.weight_net.parameters(), lr=learning_rate, weight_decay=weight_decay
        )
        self.steps = 0  # of the classifier; on the host, which must not wait for a GPU to know it
        self.latest: torch.Tensor
        self.register_buffer("latest", torch.zeros(()))  # loss on the meta set

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.network(inputs)

    def get_extra_state(self) -> dict[str, Any]:
        """The optimiser's state and the number of steps, for the state dict."""
        return {"optimiser": self.optimiser.state_dict(), "steps": self.steps}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take them from a state dict."""
        self.optimiser.load_state_dict(state["optimiser"])
        self.steps = state["steps"]

    def meta_loss(
        self,
        inputs: torch.Tensor,
        labels: torch.Tensor,
        meta_inputs: torch.Tensor,
        meta_labels: torch.Tensor,
        *,
        step: float,
    ) -> torch.Tensor:
        """The loss on the meta set after a trial step on the weighted training losses (Shu et al. 2019, eq. 3 and 4).

        It is a function of the weighing network; neither the classifier nor the running statistics of its
        batch normalisation change.

        Args:
            inputs, labels: the batch. meta_inputs, meta_labels: of the meta set.
            step: rate of the trial step, plain gradient descent.
        """
        parameters = dict(self.network.named_parameters())
        losses = F.cross_entropy(self._logits(parameters, inputs), labels, reduction="none")
        weighted = (self.weight_net(losses.detach()) * losses).mean()
        gradients = torch.autograd.grad(weighted, tuple(parameters.values()), create_graph=True)
        tried = {
            name: values - step * gradient
            for (name, values), gradient in zip(parameters.items(), gradients, strict=True)
        }
        return F.cross_entropy(self._logits(tried, meta_inputs), meta_labels)

    def _logits(self, parameters: Mapping[str, torch.Tensor], inputs: torch.Tensor) -> torch.Tensor:
        buffers = {name: values.clone() for name, values in self.network.named_buffers()}
        return functional_call(self.network, (dict(parameters), buffers), (inputs,))

    def learn_weights(self, *batches: torch.Tensor, step: float) -> torch.Tensor:
        """One step of the weighing network (Shu et al. 2019, eq. 4); takes what `meta_loss` takes, returns its value."""
        loss = self.meta_loss(*batches, step=step)
        parameters = tuple(self.weight_net.parameters())
        for values, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            values.grad = gradient
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)  # the optimiser of `fit` passes by what has no gradient
        return loss.detach()


def meta_weighted_loss(
    slices: torch.Tensor,
    labels: torch.Tensor,
    meta_slices: torch.Tensor,
    meta_labels: torch.Tensor,
    *,
    step: float,
    every: int = 1,
    prepare: Prepare | None = None,
) -> Callable[..., tuple[torch.Tensor, dict[str, torch.Tensor]]]:
    """The loss of Meta-Weight-Net (Shu et al. 2019, eq. 3 to 5; paper B, Table 3), for `loop.fit` of a `MetaWeighted`.

    Three passes through the network a step, one of them differentiated twice: nine times the time of cross-entropy on two
    cores with EfficientNet-Lite0, whose grouped convolutions are slow to differentiate twice. Trained in one process.

    Choice: `every` spares time where there is little; the authors let the weighing network learn at every step.

    Choice: the trial step has the same rate throughout; the weighing network's Adam is indifferent to its size.

    Args:
        slices: uint8 (n, y, x) on the device. labels: int64 (n,). meta_slices, meta_labels: the balanced meta set.
        step: rate of the trial step: that of training.
        every: steps of the classifier from one of the weighing network to the next.
        prepare: augments a batch, `prepare(slices, generator)`; None: slices as they are.

    Returns:
        A function for `fit`; it logs `meta_loss` and `weight_<class>`, the mean weight of each class's slices.
    """
    prepare = prepare or (lambda batch, _: to_input(batch))
    classes = int(max(labels.max(), meta_labels.max())) + 1
    counts = torch.bincount(labels, minlength=classes).clamp_min(1)
    numbers = torch.arange(classes, device=labels.device)

    def loss_of(
        model: MetaWeighted, index: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        drawn = torch.randperm(len(meta_slices), generator=generator, device=index.device)[: len(index)]
        batch, meta = prepare(slices[index], generator), prepare(meta_slices[drawn], generator)
        target = labels[index]
        if model.steps % every == 0:
            model.latest.copy_(model.learn_weights(batch, target, meta, meta_labels[drawn], step=step))
        model.steps += 1
        losses = F.cross_entropy(model(batch), target, reduction="none")
        weights = model.weight_net(losses.detach()).detach()
        # `fit` adds up batches by their share of the epoch: what is logged is the sum over a class by its count
        sums = weights @ (target[:, None] == numbers).to(weights.dtype)  # `bincount` would wait for a GPU
        shares = sums / counts * len(labels) / len(index)
        measures = {f"weight_{number}": share for number, share in enumerate(shares)}
        return (weights * losses).mean(), {"meta_loss": model.latest.clone(), **measures}

    return loss_of


def meta_set(
    labels: np.ndarray, patients: Sequence[Any], share: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Part the training slices into those that train and a balanced meta set (Shu et al. 2019).

    Choice: the meta set is taken out of the training slices, as its authors do; patient after patient, so that few patients
    have slices on both sides.

    Args:
        labels: (n,) class numbers. patients: (n,). share: of the rarest class's slices, at least one slice a class.
        seed: decides which patients.

    Returns:
        Row numbers of the training slices and of the meta set, ascending: int64.

    Raises:
        StudyError: the rarest class has a single slice.

    >>> train, meta = meta_set(np.array([0, 0, 0, 0, 1, 1]), list("aabbcd"), share=0.5, seed=0)
    >>> np.bincount(np.array([0, 0, 0, 0, 1, 1])[meta]).tolist(), len(train)
    ([1, 1], 4)
    """
    labels, number_of = np.asarray(labels), np.unique(np.asarray(patients), return_inverse=True)[1]
    present, counts = np.unique(labels, return_counts=True)
    rarest = int(counts.min())
    if rarest < 2:
        raise StudyError(
            "Meta-Weight-Net needs two training slices of every class, one of them for its meta set; a class has one. "
            "Give it more slices, or leave the row out with comparison.meta_share: 0"
        )
    taken = min(max(1, round(share * rarest)), rarest - 1)
    turn = np.random.default_rng(seed).permutation(number_of.max() + 1)[number_of]
    order = np.argsort(turn, kind="stable")
    meta = np.sort(np.concatenate([order[labels[order] == number][:taken] for number in present]))
    return np.setdiff1d(np.arange(len(labels)), meta), meta
