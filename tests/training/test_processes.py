"""Several processes train as one does with the whole batch: losses, weights and files; failures told, a kill survived."""

import os
import signal

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from tiny_runs import CPU, NETWORK, PRETEXT, TRAINING, CountingProbe, a_run, noise, problem, small_model
from torch import nn

from covid_study.errors import ParameterError, StudyError
from covid_study.networks.resnet3d import Classifier, encoder
from covid_study.pretext.train import train_pretext
from covid_study.training import loop, processes
from covid_study.training.loop import fit
from covid_study.training.processes import spread
from covid_study.training.run import predictions, timing
from covid_study.training.volume_classifier import classifier_loss
from covid_study.training.whole_batch import part

OHEM = {"strategy": "ohem", "ohem_share": 0.5}
CASES = {"none": None, "ohem": OHEM}
EXAMS, BATCH = 7, 4  # the last batch has three exams, one and two of them for each process


class Double(nn.Module):
    """In float64: normalised over four values of a deep layer, float32 loses most of its digits in two epochs."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network.double()

    def forward(self, volumes):
        return self.network(volumes.double())


def trainings(folder, fabric=None) -> None:
    """What is compared: a classifier with and without mining, and the pretext task."""
    volumes, labels = problem(EXAMS)
    for name, online in CASES.items():
        (folder / name).mkdir(exist_ok=True)
        model = Double(small_model())
        history = fit(
            model, EXAMS, classifier_loss(volumes, labels, (0.9, 1.1), True, online), epochs=2, batch_size=BATCH,
            learning_rate=1e-4, seed=5, device=CPU, folder=folder / name, fabric=fabric,
        )  # fmt: skip
        rank = fabric.global_rank if fabric else 0
        history.to_csv(folder / name / f"history-{rank}.csv", index=False)
        torch.save(model.state_dict(), folder / name / f"weights-{rank}.pt")
        gradients = {key: p.grad for key, p in model.named_parameters()}  # Adam does not show their scale
        torch.save(gradients, folder / name / f"gradients-{rank}.pt")
    (folder / "pretext").mkdir(exist_ok=True)
    train_pretext(
        folder / "pretext", volumes, volumes[:3], masking=True, network=NETWORK, epochs=2, seed=3, device=CPU,
        pretext=PRETEXT | {"learning_rate": 1e-4}, probe=CountingProbe(), fabric=fabric,
    )  # fmt: skip


def close(ours: dict, theirs: dict, tolerance: float) -> None:
    """Every tensor within `tolerance` of the length of the other; a gradient may be zero but for rounding."""
    assert ours.keys() == theirs.keys()
    for name, values in theirs.items():
        if values.is_floating_point():
            apart, length = torch.linalg.norm(ours[name] - values), torch.linalg.norm(values)
            assert apart <= tolerance * length + 1e-12, name
        else:
            assert torch.equal(ours[name], values), name


def compared_and_killed(folder, place, run, volumes, *, fabric):
    """Does the trainings, begins a run, and is killed as nobody can prevent once the first epoch's checkpoint is written."""
    trainings(place, fabric)
    write = loop.write_atomically

    def write_and_die(path, fill):
        write(path, fill)
        os.kill(os.getpid(), signal.SIGKILL)

    loop.CHECKPOINT_SECONDS, loop.write_atomically = 0.0, write_and_die
    run.method.fit(folder, run, volumes, "killed", fabric=fabric)


RUN = a_run(training=TRAINING | {"epochs": 2, "learning_rate": 1e-4})


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """The same trainings in one process and in two, which leave a run half done; they start once, for it takes long."""
    one, two = (tmp_path_factory.mktemp(name) for name in ("one", "two"))
    trainings(one)
    final = RUN.folder(two)
    with pytest.raises(StudyError, match="2 processes failed"):
        partial = final.with_name(f".partial-{final.name}")
        spread(compared_and_killed, partial, two, RUN, noise(), processes=2, device=CPU)
    return one, two


@pytest.mark.parametrize("name", CASES)
def test_several_processes_train_as_one_with_the_whole_batch(compared, name):
    one, two = (folder / name for folder in compared)
    expected = pd.read_csv(one / "history-0.csv")
    weights, gradients = (torch.load(one / f"{what}-0.pt") for what in ("weights", "gradients"))
    for rank in range(2):
        history = pd.read_csv(two / f"history-{rank}.csv")
        np.testing.assert_allclose(history["loss"], expected["loss"], rtol=1e-10)
        close(torch.load(two / f"weights-{rank}.pt"), weights, 1e-8)
        close(torch.load(two / f"gradients-{rank}.pt"), gradients, 1e-8)
    assert expected["loss"].nunique() == 2


def test_the_pretext_task_too_in_float32_and_one_process_writes(compared):
    one, two = (folder / "pretext" for folder in compared)
    assert {path.name for path in two.iterdir()} == {"checkpoint.pt", "encoder.safetensors", "history.csv"}
    ours, theirs = (pd.read_csv(folder / "history.csv") for folder in (two, one))
    pd.testing.assert_frame_equal(ours.drop(columns="seconds"), theirs.drop(columns="seconds"), rtol=1e-4)
    # two of its normalisations follow a bias, which no loss can see: its gradient is rounding, which Adam makes a step
    seen = {name for name in load_file(one / "encoder.safetensors") if "downsample" not in name}
    ours, theirs = (
        {k: v for k, v in load_file(folder / "encoder.safetensors").items() if k in seen}
        for folder in (two, one)
    )
    close(ours, theirs, 1e-3)


def test_killed_it_goes_on_and_the_result_is_that_of_one_process(compared):
    (partial,) = compared[1].glob(".partial-*")
    (first,) = torch.load(partial / "checkpoint.pt", weights_only=True)["history"]
    one, two = RUN.train(noise(), compared[0]), RUN.train(noise(), compared[1], processes=2)
    assert not partial.exists() and one.name == two.name  # the same key, whatever the number of processes
    assert {path.name for path in two.iterdir()} == {path.name for path in one.iterdir()}
    ours, theirs = (pd.read_csv(folder / "history.csv") for folder in (two, one))
    assert ours["epoch"].tolist() == [1, 2] and ours.loc[0, "seconds"] == pytest.approx(first["seconds"])
    np.testing.assert_allclose(ours["loss"], theirs["loss"], rtol=1e-3)
    pd.testing.assert_frame_equal(predictions(two), predictions(one), atol=1e-3)
    assert timing(two)["exams_seen"] == timing(one)["exams_seen"] == 12
    assert "2 x 1 of" in timing(two)["device"]


@pytest.mark.parametrize("n, count", [(8, 3), (2, 3), (1, 2), (7, 7)])
def test_the_parts_are_the_whole_and_as_even_as_can_be(n, count):
    parts = [list(range(n))[part(n, rank, count)] for rank in range(count)]
    assert sum(parts, []) == list(range(n))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_network_takes_no_exams():
    """As one of several processes may have to, where the last batch is small."""
    network = Classifier(encoder(0.0625), 32).eval()
    out = network(torch.zeros(0, 1, 16, 24, 32))
    out.sum().backward()
    assert out.shape == (0, 2) and float(network.encoder.conv1.weight.grad.abs().sum()) == 0


def test_the_process_that_failed_first_is_told(tmp_path):
    (tmp_path / "stderr.txt").write_text("\n".join(f"line {i}" for i in range(99)))
    told = processes._trouble(tmp_path, -9)
    assert "Exit status -9" in told and told.endswith("line 98") and "line 50" not in told
    for rank, when in ((0, 200), (1, 100), (2, 300)):
        (tmp_path / f"trouble-{rank}.txt").write_text(f"Traceback of {rank}")
        os.utime(tmp_path / f"trouble-{rank}.txt", (when, when))
    assert processes._trouble(tmp_path, 1).endswith("line 98\nTraceback of 1")


def test_more_processes_than_gpus_are_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    processes.check(2, torch.device("cuda:0"))
    with pytest.raises(ParameterError, match="PROCESSES=3.*2 GPUs.*PROCESSES=2"):
        spread(trainings, tmp_path / "none", processes=3, device=torch.device("cuda"))
    with pytest.raises(ParameterError, match="DEVICE=cuda:1.*CUDA_VISIBLE_DEVICES"):
        processes.check(2, torch.device("cuda:1"))
    assert not (tmp_path / "none").exists()


def test_the_command_for_several_machines(monkeypatch, tmp_path):
    end = ["--nproc-per-node", "2", "-m", "covid_study.training.processes", str(tmp_path)]
    assert processes._command(tmp_path, 2)[1:] == ["-m", "torch.distributed.run", "--standalone", *end]
    monkeypatch.setenv(processes.LAUNCHER, "srun --nodes 2 torchrun --rdzv-endpoint 'node 1:29400'")
    start = ["srun", "--nodes", "2", "torchrun", "--rdzv-endpoint", "node 1:29400"]
    assert processes._command(tmp_path, 2) == [*start, *end]
