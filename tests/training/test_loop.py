"""The training loop: resuming, augmentation, learning, and what it does with a loss that explodes."""

import numpy as np
import pandas as pd
import pytest
import torch
from refusals import refused
from tiny_runs import BF16, CPU, SHAPE, Killed, problem, small_model
from torch import nn

from covid_study import paths
from covid_study.errors import ParameterError, StudyError
from covid_study.params.profiles import load_profile, profile_file
from covid_study.runtime.device import find_device
from covid_study.training import loop
from covid_study.training.loop import counted_flops, fit, fitting, in_batches, training_flops
from covid_study.training.volume_classifier import classifier_loss


@pytest.fixture
def every_epoch(monkeypatch):
    """A checkpoint after each epoch, however short."""
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)


def train(folder, model, *, after_epoch=None, epochs=4, n=10, **settings) -> pd.DataFrame:
    volumes, labels = problem(n)
    settings = {"batch_size": 4, "learning_rate": 3e-3, "seed": 5, "device": CPU} | settings
    loss = classifier_loss(volumes, labels, (0.9, 1.1), flips=True)
    return fit(model, n, loss, epochs=epochs, folder=folder, after_epoch=after_epoch, **settings)


def fit_toy(loss_of, folder, n, model=None, **settings) -> pd.DataFrame:
    """`fit` of one linear layer, or of another model."""
    given = {"epochs": 1, "batch_size": 4, "learning_rate": 1e-3, "seed": 0, "device": CPU}
    return fit(model or nn.Linear(1, 1), n, loss_of, folder=folder, **given | settings)


def measures(epoch, model):
    """What a caller may report: also a number from numpy, and evaluation mode left on."""
    model.eval()
    return {
        "norm": np.float64(sum(float(p.detach().abs().sum()) for p in model.parameters())),
        "twice": 2 * epoch,
    }


@pytest.mark.parametrize("killed_in", [1, 3, 4])
def test_killed_and_resumed_is_bit_for_bit_the_uninterrupted_run(tmp_path, killed_in, every_epoch):
    whole, reference = tmp_path / "whole", small_model()
    whole.mkdir()
    expected = train(whole, reference, after_epoch=measures)

    def kill(epoch, model):
        if epoch == killed_in:
            raise Killed
        return measures(epoch, model)

    folder = tmp_path / "killed"
    folder.mkdir()
    with pytest.raises(Killed):
        train(folder, small_model(), after_epoch=kill)
    torch.manual_seed(999)  # another process: nothing of the global generator is left
    torch.rand(17)
    resumed, epochs_seen = small_model(), []

    def count(epoch, model):
        epochs_seen.append(epoch)
        return measures(epoch, model)

    history = train(folder, resumed, after_epoch=count)
    assert epochs_seen == list(range(killed_in, 5))  # whole epochs are not trained again
    for (name, ours), theirs in zip(
        resumed.state_dict().items(), reference.state_dict().values(), strict=True
    ):
        assert torch.equal(ours, theirs), name
    pd.testing.assert_frame_equal(
        history.drop(columns="seconds"), expected.drop(columns="seconds"), check_exact=True
    )
    assert history["epoch"].tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "pause, kept", [(0.0, [1, 2, 3, 4, 5]), (25.0, [3, 5]), (15.0, [2, 4, 5]), (1000.0, [5])]
)
def test_a_checkpoint_is_written_when_the_last_is_old_enough_and_after_the_last_epoch(
    tmp_path, monkeypatch, pause, kept
):
    """An epoch takes ten seconds of a clock that only `after_epoch` moves."""
    now, written = [0.0], []
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", pause)
    monkeypatch.setattr(loop.time, "perf_counter", lambda: now[0])
    write = loop.write_atomically

    def noted(path, fill):
        write(path, fill)
        written.append(len(torch.load(path, weights_only=True)["history"]))

    def tick(epoch, model):
        now[0] += 10
        return {}

    monkeypatch.setattr(loop, "write_atomically", noted)
    train(tmp_path, small_model(), epochs=5, after_epoch=tick)
    assert written == kept


@pytest.mark.parametrize("left", [0, 20, 4000])
def test_a_checkpoint_that_was_cut_short_is_named(tmp_path, every_epoch, left):
    train(tmp_path, small_model(), epochs=1)
    file = tmp_path / "checkpoint.pt"
    file.write_bytes(file.read_bytes()[:left])
    refused(StudyError, lambda: train(tmp_path, small_model(), epochs=2), file, f"rm -r {file}")


def test_every_exam_is_seen_once_an_epoch_in_a_new_order(tmp_path):
    orders = []

    def loss_of(model, index, generator):
        orders.append(index.tolist())
        return model(torch.ones(len(index), 1)).sum(), {}

    fit_toy(loss_of, tmp_path, 7, epochs=3, batch_size=3)
    assert [len(batch) for batch in orders] == [3, 4] * 3  # the lone seventh joins the batch before it
    epochs = [orders[i] + orders[i + 1] for i in (0, 2, 4)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_the_loss_of_an_epoch_is_the_mean_over_its_exams(tmp_path):
    values = torch.arange(10.0)

    def loss_of(model, index, generator):
        return values[index].mean() + 0 * model.weight.sum(), {"value": float(values[index].mean())}

    history = fit_toy(loss_of, tmp_path, 10)
    assert history.loc[0, ["loss", "value"]].tolist() == pytest.approx([4.5, 4.5])


def test_adam_follows_the_cosine_to_zero(tmp_path):
    """A constant gradient: Adam moves by the learning rate at each step, so the way is the sum of the cosine's rates."""
    model, epochs, steps = nn.Linear(1, 1, bias=False), 5, 3
    start = float(model.weight.detach())

    def loss_of(model, index, generator):
        return model.weight.sum(), {}

    fit_toy(loss_of, tmp_path, 6, model, epochs=epochs, batch_size=2, learning_rate=0.1)
    rates = 0.05 * (1 + np.cos(np.pi * np.arange(epochs * steps) / (epochs * steps)))
    assert start - float(model.weight.detach()) == pytest.approx(rates.sum(), rel=1e-4)


@pytest.mark.parametrize("clip, moved", [(None, 0.3), (5.0, 0.05), (50.0, 0.3)])
def test_a_long_gradient_is_cut(tmp_path, clip, moved):
    model = nn.Linear(1, 1, bias=False)
    start = float(model.weight.detach())

    def loss_of(model, index, generator):
        return 30 * model.weight.sum(), {}

    given = {
        "epochs": 1,
        "batch_size": 6,
        "learning_rate": 0.1,
        "optimiser": "sgd",
    }  # its last rate is a tenth
    fit_toy(loss_of, tmp_path, 6, model, clip=clip, **given)
    assert start - float(model.weight.detach()) == pytest.approx(moved, rel=1e-4)


def test_it_learns_what_can_be_learnt(tmp_path):
    volumes, labels = problem(16)
    model = small_model()
    loss = classifier_loss(volumes, labels, (0.9, 1.1), flips=True)
    history = fit_toy(loss, tmp_path, 16, model, epochs=12, batch_size=8, learning_rate=1e-2)
    unseen, truth = problem(16, seed=99)
    assert history["loss"].iloc[-1] < 0.2 * history["loss"].iloc[0]
    assert (in_batches(model, unseen).argmax(1) == truth.numpy()).all()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_and_keeps_the_epoch_before(tmp_path, value, every_epoch):
    def loss_of(model, index, generator):
        poison = value if len(calls) >= 2 else 0.0
        calls.append(1)
        return model(torch.ones(len(index), 1)).sum() + poison, {}

    calls = []
    with pytest.raises(FloatingPointError, match=r"toy: the loss is (nan|inf) in epoch 3"):
        fit_toy(loss_of, tmp_path, 4, epochs=5, title="toy")
    assert len(torch.load(tmp_path / "checkpoint.pt", weights_only=True)["history"]) == 2


def test_in_batches_is_the_same_for_every_batch_size_and_leaves_the_model_alone():
    volumes, _ = problem(7)
    model = small_model()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    one, all_at_once = in_batches(model, volumes, most=1), in_batches(model, volumes, most=16)
    assert one.shape == (7, 2) and one.dtype == np.float32
    np.testing.assert_allclose(one, all_at_once, atol=1e-5)
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert len(in_batches(model, volumes[:0])) == 0


@pytest.mark.parametrize(
    "shape", [(16, 48, 64), (56, 192, 256), (56, 192, 255), (64, 512, 512), (224, 224), (6000, 6000)]
)
@pytest.mark.parametrize("most", [16, 64])
def test_as_many_are_evaluated_as_keep_every_layer_below_what_kernels_count_to(shape, most):
    """64 channels at the input's own size, in elements numbered by 32 bits with a sign."""
    n, elements = fitting(shape, most), 64 * np.prod(shape)
    assert 1 <= n <= most and (n == 1 or n * elements < 2**31)
    assert n == most or (n + 1) * elements >= 2**31


def test_small_inputs_are_evaluated_sixteen_or_64_at_once():
    for name in ("smoke", "demo", "laptop"):
        values = load_profile(profile_file(name, paths.root()))
        assert fitting(values["preprocessing"]["shape"], 16) == 16
        assert fitting([values["slices"]["size"]] * 2, 64) == 64


@pytest.mark.parametrize("precision", ["float32", BF16])
def test_it_is_evaluated_in_the_precision_it_is_trained_in(tmp_path, monkeypatch, precision):
    """In parts of which the last may be smaller, in one order."""
    volumes, _ = problem(5)
    monkeypatch.setattr(loop, "VALUES", 2 * volumes[0].numel())
    seen = []

    class Watched(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = small_model()

        def forward(self, inputs):
            outputs = self.inner(inputs)
            seen.append((self.training, len(inputs), outputs.dtype))
            return outputs

    model, dtype = Watched(), {"float32": torch.float32, "bf16": torch.bfloat16}[precision]
    train(tmp_path, model, epochs=1, n=4, precision=precision)
    said = in_batches(model, volumes, precision)
    assert seen == [(True, 4, dtype), (False, 2, dtype), (False, 2, dtype), (False, 1, dtype)]
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        expected = model(volumes[3:4].unsqueeze(1) / 255)
    np.testing.assert_allclose(
        said[3:4], expected.float().numpy(), atol=1e-6 if precision == "float32" else 0.02
    )


def test_a_device_that_is_not_there():
    assert find_device("cpu") == CPU
    assert find_device("auto").type in {"cpu", "cuda", "mps"}
    with pytest.raises(ParameterError, match="device 'meow'.*DEVICE=cpu"):
        find_device("meow")
    if not torch.cuda.is_available():
        with pytest.raises(ParameterError, match="device 'cuda'.*DEVICE=auto"):
            find_device("cuda")


def test_flops_of_a_step_by_the_closed_form():
    conv, head = nn.Conv3d(1, 4, 3, padding=1, bias=False), nn.Linear(4, 2)
    model = nn.Sequential(conv, nn.AdaptiveAvgPool3d(1), nn.Flatten(), head)
    forward_conv, forward_head = 2 * 27 * 4 * (16 * 24 * 32), 2 * 4 * 2
    # backward: the weights of both, and the input of the head; nobody asks for the gradient of the volume
    expected = 2 * forward_conv + 3 * forward_head
    assert training_flops(model, torch.zeros(1, *SHAPE, dtype=torch.uint8)) == expected
    assert all(p.grad is None for p in model.parameters())


def test_an_epoch_may_draw_exams_again(tmp_path):
    seen = []

    def loss_of(model, index, generator):
        seen.extend(index.tolist())
        return model.head.weight.sum(), {}

    order = {"order_of": lambda generator: torch.tensor([7, 7, 1])}
    fit_toy(loss_of, tmp_path, 3, small_model(), epochs=2, batch_size=2, **order)
    assert seen == [7, 7, 1, 7, 7, 1]


@pytest.mark.parametrize("groups", [1, 2, 8])
def test_flops_of_a_grouped_convolution(groups):
    """Forward, and a backward pass for the weight and for the inputs, which are another convolution's: 3 times forward."""
    first, second = torch.nn.Conv2d(1, 8, 1), torch.nn.Conv2d(8, 8, 3, padding=1, groups=groups)
    model = torch.nn.Sequential(first, second)
    pixels = 6 * 7
    expected = (
        2 * pixels * 8 * 2 + 3 * 2 * pixels * 8 * (8 // groups) * 9
    )  # the first has no gradient of its inputs
    assert counted_flops(model, lambda: model(torch.zeros(1, 1, 6, 7)).sum()) == expected
