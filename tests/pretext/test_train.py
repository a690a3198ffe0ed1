"""Pre-training on a handful of tiny exams, and the linear probe on features whose content is known."""

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from tiny_runs import CPU, NETWORK, PRETEXT, SHAPE, CountingProbe, Killed

from covid_study.pretext import train as module
from covid_study.pretext.probes import untrained_encoder
from covid_study.pretext.train import Probe, features, load_encoder, probe_auc, train_pretext
from covid_study.samples.samples import Chosen
from covid_study.training import loop

ACCURACIES = ["permutation", "horizontal", "vertical"]


def volumes(n: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, (n, *SHAPE), generator=torch.Generator().manual_seed(seed)).to(torch.uint8)


def run(folder, *, epochs=3, masking=True, validation=2, probe=None, at=None, **settings) -> pd.DataFrame:
    folder.mkdir(exist_ok=True)
    exams = volumes(6) if at is None else Chosen(volumes(6), torch.arange(6), at)
    return train_pretext(
        folder, exams, volumes(validation, seed=1), masking=masking, network=NETWORK, epochs=epochs, seed=3,
        pretext=PRETEXT | settings, device=CPU, probe=probe or CountingProbe(),
    )  # fmt: skip


class Keeping(CountingProbe):
    """What the encoder said when it was probed first and last."""

    def measure(self, backbone):
        self.features = features(backbone, volumes(3, seed=7))
        if not self.calls:
            self.first = self.features
        return super().measure(backbone)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """One training that nothing stops: its folder, its history, and its probe."""
    folder, probe = tmp_path_factory.mktemp("whole"), Keeping()
    return folder, run(folder, probe=probe), probe


def test_files_and_history(whole):
    folder, history, probe = whole
    assert {p.name for p in folder.iterdir()} == {"encoder.safetensors", "history.csv", "checkpoint.pt"}
    assert history["epoch"].tolist() == [0, 1, 2, 3]
    validation = [f"validation_{name}" for name in ACCURACIES]
    cost = {"seconds", "flops"}
    assert set(history) == {"epoch", "loss", *cost, *ACCURACIES, *validation, "probe_covid", "probe_cap"}
    flops = history["flops"]
    assert flops[0] == 0 and flops[1:].nunique() == 1 and flops[1] > 1e6
    # epoch 0 is the untrained network: measured, not trained
    assert history.loc[0, ["loss", *ACCURACIES, "seconds"]].isna().all()
    assert history.loc[0, [*validation, "probe_covid"]].notna().all()
    assert history.loc[1:, ["loss", *ACCURACIES, *validation]].notna().all().all()
    assert history[[*ACCURACIES, *validation]].stack().dropna().between(0, 1).all()
    # probed before the first epoch, every second one, and after the last
    assert history["probe_covid"].notna().tolist() == [True, False, True, True] and probe.calls == 3
    pd.testing.assert_frame_equal(pd.read_csv(folder / "history.csv"), history)
    # an untrained network's loss is near that of guessing
    assert history.loc[1, "loss"] == pytest.approx(np.log(4) + 16 * np.log(2), rel=0.25)


@pytest.mark.parametrize("killed_in", ["epoch 0", "epoch 2", "at the end"])
def test_killed_and_resumed_gives_the_same_encoder(tmp_path, killed_in, whole, monkeypatch):
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)

    class Killing(CountingProbe):
        def measure(self, backbone):
            row = super().measure(backbone)
            if self.calls == {"epoch 0": 1, "epoch 2": 2}.get(killed_in):
                raise Killed
            return row

    def kill(*_):
        raise Killed

    with monkeypatch.context() as patch:
        if killed_in == "at the end":
            patch.setattr(module, "save_file", kill)
        with pytest.raises(Killed):
            run(tmp_path / "killed", probe=Killing())
    torch.manual_seed(12345)
    probe = CountingProbe()
    history = run(tmp_path / "killed", probe=probe)
    assert probe.calls == {"epoch 0": 3, "epoch 2": 2, "at the end": 0}[killed_in]
    ours, theirs = (load_file(f / "encoder.safetensors") for f in (tmp_path / "killed", whole[0]))
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)
    measured = [c for c in history if c not in ("seconds", "probe_covid", "probe_cap")]
    pd.testing.assert_frame_equal(history[measured], whole[1][measured])


def test_exams_that_stay_on_the_host_give_the_same_encoder(tmp_path, whole):
    run(tmp_path / "host", at=CPU)
    name = "encoder.safetensors"
    assert (tmp_path / "host" / name).read_bytes() == (whole[0] / name).read_bytes()


def test_the_encoder_comes_back_whole_and_began_as_the_untrained_one(whole):
    folder, _, probe = whole
    loaded = features(load_encoder(folder / "encoder.safetensors", NETWORK), volumes(3, seed=7))
    np.testing.assert_allclose(loaded, probe.features, rtol=1e-4, atol=1e-6)
    assert loaded.shape == (3, 32) and loaded.dtype == np.float32 and (loaded >= 0).all()
    untrained = features(untrained_encoder(NETWORK, 3), volumes(3, seed=7))
    np.testing.assert_allclose(untrained, probe.first, rtol=1e-4, atol=1e-6)
    assert not np.allclose(untrained, loaded)  # it has moved


def test_the_parameters_reach_the_task(tmp_path, monkeypatch):
    """The gap as x, y, z, no masking, the whole cube; without validation exams nothing of them is told."""
    seen, original = [], module.rubiks_cube.scramble

    def scramble(v, table, gap, masking, generator):
        seen.append((gap, masking, len(table)))
        return original(v, table, gap, masking, generator)

    monkeypatch.setattr(module.rubiks_cube, "scramble", scramble)
    history = run(tmp_path, epochs=1, masking=False, validation=0, gap=[3, 2, 1], heads="whole")
    assert set(seen) == {((1, 2, 3), False, 4)}
    assert not any(column.startswith("validation") for column in history)
    assert np.isfinite(history["loss"].iloc[-1])


def features_of(separation: float, n: int = 120, seed: int = 0):
    rng = np.random.default_rng(seed)
    target = rng.random(n) < 0.4
    values = rng.normal(size=(n, 12))
    values[:, 3] += separation * target
    return values, target, np.arange(n)


def test_probe_of_what_is_there_and_what_is_not():
    assert probe_auc(*features_of(8.0)) > 0.99
    noise = [probe_auc(*features_of(0.0, seed=seed)) for seed in range(6)]
    assert np.mean(noise) == pytest.approx(0.5, abs=0.08)
    between = probe_auc(*features_of(1.0, n=400))
    assert 0.68 < between < 0.82  # the normal law says 0.76 for one deviation


def test_the_probe_keeps_patients_together():
    """Features that say who it is, and no more: exams of one patient on both sides would give an AUC of 1."""
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(40), 5)
    values = rng.normal(size=(40, 60))[patients] + 0.01 * rng.normal(size=(200, 60))
    target = (rng.random(40) < 0.5)[patients]
    assert probe_auc(values, target, patients) < 0.75
    assert probe_auc(values, target, np.arange(200)) > 0.9


@pytest.mark.parametrize(
    "target, patients",
    [
        ([True] + [False] * 9, range(10)),  # one positive
        ([True] * 10, range(10)),  # no negative
        ([], []),
        ([True] * 5 + [False] * 5, [0] * 5 + [1, 2, 3, 4, 5]),  # five positives of one patient
    ],
)
def test_the_probe_says_nan_where_there_are_too_few(target, patients):
    target = np.array(target, dtype=bool)
    assert np.isnan(
        probe_auc(np.random.default_rng(0).random((len(target), 4)), target, np.array(list(patients)))
    )


def test_probe_measures_covid_against_all_and_cap_against_the_rest(monkeypatch):
    findings = np.array(["covid"] * 20 + ["cap"] * 20 + ["non_pneumonia"] * 20)
    values = np.random.default_rng(1).normal(size=(60, 6))
    values[:20, 0] += 9
    monkeypatch.setattr(module, "features", lambda backbone, volumes, precision: values)
    rows = Probe(torch.zeros(60, 2, 2, 2), findings, np.arange(60)).measure(None)
    assert set(rows) == {"probe_covid", "probe_cap"}
    assert rows["probe_covid"] > 0.99 and rows["probe_cap"] < 0.75
    values[20:40, 1] += 9
    assert Probe(torch.zeros(60, 2, 2, 2), findings, np.arange(60)).measure(None)["probe_cap"] > 0.99
