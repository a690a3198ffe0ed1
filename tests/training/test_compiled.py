"""Compiled networks, by the compiler's front on a CPU ("aot_eager"): the numbers and names of plain ones, and what fails."""

import pytest
import torch
from tiny_runs import BF16, CPU, NETWORK, Killed, problem, small_model
from torch import nn

from covid_study.losses.by_stage import slice_loss
from covid_study.losses.meta_weight_net import MetaWeighted
from covid_study.networks import backbones
from covid_study.networks.deep_supervision import DeepSupervision
from covid_study.networks.resnet3d import build
from covid_study.pretext.contrastive import ContrastiveNet
from covid_study.pretext.rubiks_cube import RubiksCubeNet
from covid_study.samples.batch import to_input
from covid_study.training import compiled as module, loop
from covid_study.training.compiled import STEPS, compiled, worthwhile
from covid_study.training.loop import fit
from covid_study.training.slice_classifier import WithLoss
from covid_study.training.volume_classifier import classifier_loss

CUDA = torch.device("cuda")
compile_ = torch.compile


@pytest.fixture
def asked(monkeypatch) -> list[dict]:
    """Every training is compiled, on the CPU; how it was asked for."""
    found = []

    def front(model, **how):
        found.append(how)
        return compile_(model, backend="aot_eager", dynamic=how["dynamic"], fullgraph=how["fullgraph"])

    monkeypatch.setattr(module, "worthwhile", lambda *_: True)
    monkeypatch.setattr(torch, "compile", front)
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    yield found
    torch.compiler.reset()


def tiny(seed: int = 0) -> nn.Module:
    """What an exam of `problem` can be told by; `test_networks_trace_whole` is about the study's networks."""
    torch.manual_seed(seed)
    layers = (
        nn.Conv3d(1, 4, 3, 4),
        nn.BatchNorm3d(4),
        nn.ReLU(),
        nn.AdaptiveAvgPool3d(1),
        nn.Flatten(),
        nn.Linear(4, 2),
    )
    return nn.Sequential(*layers)


class Watched(nn.Module):
    """How many samples it was given in Python: a compiled pass leaves no trace here."""

    def __init__(self):
        super().__init__()
        self.inner, self.eager = tiny(), []

    def forward(self, inputs):
        if not torch.compiler.is_compiling():
            self.eager.append((len(inputs), self.training))
        return self.inner(inputs)


def train(folder, model, n=10, precision="float32", **more):
    folder.mkdir(exist_ok=True)
    volumes, labels = problem(n)
    loss_of = classifier_loss(volumes, labels, (0.9, 1.1), flips=True)
    given = {"batch_size": 4, "learning_rate": 3e-3, "seed": 5, "device": CPU, "epochs": 2} | more
    return fit(model, n, loss_of, folder=folder, precision=precision, **given)


def kept(folder) -> dict:
    return torch.load(folder / "checkpoint.pt", weights_only=True)["parts"][0]


@pytest.mark.parametrize("precision", ["float32", BF16])
def test_a_compiled_training_is_the_plain_one(tmp_path, asked, precision, monkeypatch):
    """Loss by loss and weight by weight; the rest batch goes through the network itself, as what is evaluated does."""
    fast = Watched()
    history = train(
        tmp_path / "fast",
        fast,
        precision=precision,
        after_epoch=lambda *_: loop.in_batches(fast, problem(3)[0]) is None or {},
    )
    assert [how["mode"] for how in asked] == ["reduce-overhead"] and asked[0]["dynamic"] is False
    assert fast.eager == [(2, True), (3, False)] * 2
    monkeypatch.setattr(module, "worthwhile", worthwhile)
    plain = Watched()
    expected = train(tmp_path / "plain", plain, precision=precision)
    assert len(asked) == 1 and plain.eager == [(4, True), (4, True), (2, True)] * 2
    close = {"rtol": 1e-4, "atol": 1e-5} if precision == "float32" else {"rtol": 0.05, "atol": 0.05}
    torch.testing.assert_close(*(torch.tensor(h["loss"].to_numpy()) for h in (history, expected)), **close)
    ours, theirs = kept(tmp_path / "fast"), kept(tmp_path / "plain")
    assert list(ours) == list(theirs) == list(plain.state_dict())
    for name, values in theirs.items():
        torch.testing.assert_close(ours[name], values, **close, msg=lambda m, name=name: f"{name}: {m}")


def test_killed_compiled_it_goes_on_plain_and_the_other_way(tmp_path, asked, monkeypatch):
    """A checkpoint does not say how it was made."""
    whole = tiny()
    train(tmp_path / "whole", whole)
    for name, ways in {"first": (True, False), "then": (False, True)}.items():
        for way, killed in zip(ways, (True, False), strict=True):
            monkeypatch.setattr(module, "worthwhile", lambda *_, way=way: way)
            model, epochs = tiny(), []

            def stop(epoch, _, killed=killed, epochs=epochs):
                epochs.append(epoch)
                if killed and epoch == 2:
                    raise Killed
                return {}

            try:
                train(tmp_path / name, model, after_epoch=stop)
            except Killed:
                continue
            assert epochs == [2]
        for (n, ours), theirs in zip(model.state_dict().items(), whole.state_dict().values(), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5, msg=lambda m, n=n: f"{n}: {m}")


@pytest.mark.parametrize("where", ["forward", "backward"])
def test_a_training_that_cannot_be_compiled_is_the_plain_one_bit_for_bit(tmp_path, asked, where, monkeypatch):
    expected = tiny()
    monkeypatch.setattr(module, "worthwhile", lambda *_: False)
    train(tmp_path / "plain", expected)

    class Broken(torch.autograd.Function):
        @staticmethod
        def forward(ctx, values):
            if where == "forward":
                raise RuntimeError("no C compiler\nlong story")
            return values.clone()

        @staticmethod
        def backward(ctx, gradient):
            raise RuntimeError("no C compiler\nlong story")

    monkeypatch.setattr(module, "worthwhile", lambda *_: True)
    monkeypatch.setattr(torch, "compile", lambda model, **_: lambda inputs: Broken.apply(model(inputs)))
    model = tiny()
    with pytest.warns(UserWarning, match=r"without torch.compile.*RuntimeError: no C compiler$"):
        train(tmp_path / "broken", model)
    for ours, theirs in zip(model.state_dict().values(), expected.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_rehearsal_leaves_nothing(asked):
    """Neither weights nor running statistics nor gradients; the compiled one is the network in all but its call."""
    model, volumes = tiny(), problem(4)[0]
    before = {name: values.clone() for name, values in model.state_dict().items()}
    fast = compiled(model, lambda way: way(to_input(volumes)).sum().backward(), CPU, 1)
    assert fast.get_submodule("5") is model[5] and list(fast.state_dict()) == list(before) and fast.training
    for name, values in model.state_dict().items():
        assert torch.equal(values, before[name]), name
    assert all(parameter.grad is None for parameter in model.parameters())


def test_long_trainings_on_a_gpu_are_compiled_where_the_network_traces():
    plain = tiny()
    assert worthwhile(plain, CUDA, STEPS) and not worthwhile(plain, CUDA, STEPS - 1)
    assert not worthwhile(plain, CPU, 10 * STEPS) and not worthwhile(plain, torch.device("mps"), 10 * STEPS)
    thin = backbones.build("thin_resnet")
    for model in (DeepSupervision(thin), ContrastiveNet(thin, 128), MetaWeighted(thin)):
        assert not worthwhile(model, CUDA, STEPS) and not worthwhile(
            WithLoss(model, nn.Identity()), CUDA, STEPS
        )


@pytest.mark.parametrize("name", ["classifier", "pretext", "slices"])
def test_networks_trace_whole(name):
    """Or each of their trainings on a GPU would try in vain; `benchmarks` aside, every backbone was traced once."""
    torch.manual_seed(0)
    model, inputs = {
        "classifier": lambda: (small_model(), torch.rand(2, 1, 16, 24, 32)),
        "pretext": lambda: (RubiksCubeNet(*build(NETWORK), 4), torch.rand(2, 8, 8, 8, 8)),
        "slices": lambda: (
            WithLoss(backbones.build("thin_resnet"), slice_loss("ce", {}, [1, 1, 1], 1)), torch.rand(2, 1, 32, 32)
        ),
    }[name]()  # fmt: skip
    with torch.autocast("cpu", torch.bfloat16):
        compile_(model, backend="eager", fullgraph=True, dynamic=False)(inputs)
    torch.compiler.reset()
