"""Alpha and the betas over a training: where it starts, what is measured of it, what is said."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_study import parameters

from covid_study.analysis import saal_factors
from covid_study.analysis.class_weights import apart, of_study, one_minus, raw, reaches
from covid_study.samples import slice_store
from covid_study.tables import slice_steps
from covid_study.training import sweep

COUNTS = [1256, 980, 2674]


@pytest.fixture(scope="module")
def q(root):
    small = {"size": 32, "exams": None, "per_exam": 2}
    return parameters(root, slices=small, slice_network={"weights": "none"}, slice_training={"epochs": 1})


def test_the_start_is_that_of_the_training(q, root, tmp_path):
    """With next to no learning rate the first epoch ends where the training began."""
    s = slice_store.slices(q)
    counts = list(of_study(s).values())
    runs = {}
    saal = {"saal": slice_steps.run(q, s, 3, loss="saal"), "dsn_saal": slice_steps.dsn_saal(q, s, 3)}
    for name, run in saal.items():
        runs[name] = replace(
            run, method=replace(run.method, training=run.method.training | {"learning_rate": 1e-12})
        )
    folders = sweep.sweep(runs, s, tmp_path)
    before = torch.random.get_rng_state()
    cells = {(name, "slices", 3): run for name, run in runs.items()} | {
        ("ce", "slices", 3): slice_steps.run(q, s, 3)
    }
    found = saal_factors.factors(cells, {(name, "slices", 3): f for name, f in folders.items()}, counts)
    assert torch.equal(before, torch.random.get_rng_state())
    assert list(found["row"]) == ["saal"] * 2 + ["dsn_saal"] * 2 and list(found["epoch"]) == [0, 1, 0, 1]
    batches = -(-len(runs["saal"].training_ids) // q.slice_training.batch_size)
    assert list(found["steps"]) == [0, batches] * 2
    known = ["alpha", "raw_alpha", *(f"beta_{i}" for i in range(1, 7))]
    for _, run in found.groupby("row"):
        first, last = run[known].to_numpy(dtype=float)
        np.testing.assert_allclose(first, last, rtol=1e-5)
    assert found.loc[found["row"] == "saal", "beta_2"].isna().all()
    assert found.loc[found["row"] == "dsn_saal", known].nunique(axis=1).min() == len(known)


def history(raws, betas, row="saal", seed=0, batches=10, loss=1.0):
    found = pd.DataFrame({"epoch": range(len(raws)), "raw_alpha": raws, "row": row, "seed": seed})
    found["alpha"] = 1 / (1 + np.exp(-found["raw_alpha"]))
    for i, values in enumerate(betas, start=1):
        found[f"beta_{i}"] = values
    losses = [np.nan] + [loss * one_minus(a) for a in raws[1:]]
    return found.assign(steps=batches * found["epoch"], loss=losses)


def test_a_training_is_summed_up():
    found = history([0.0, 0.5, 1.0], [[0.5, 0.4, 0.3], [0.5, 0.55, 0.6]], loss=2.5)
    row = saal_factors.summary(found, COUNTS).iloc[0]
    assert row["steps"] == 20 and row["speed"] == pytest.approx(0.05)
    assert row["start"] == 0.5 and row["end"] == pytest.approx(1 / (1 + np.exp(-1)))
    assert (row["fell"], row["stages"]) == (1, 2) and row["betas_end"] == pytest.approx(0.45)
    assert row["more"] == pytest.approx((raw(reaches(0.01, COUNTS)) - 1.0) / 0.05)
    assert row["scale"] == pytest.approx(one_minus(1.0) / 0.5) and row["unweighted"] == pytest.approx(2.5)
    assert row["apart"] < 1e-9


@pytest.mark.parametrize(("raws", "counts", "more"), [
    ([0.0, -0.5], COUNTS, np.inf),  # it moves away
    ([0.0, 7.0], COUNTS, 0.0),  # it is there
    ([0.0, 0.5], [40, 40], np.inf),  # no alpha does it
])  # fmt: skip
def test_steps_that_are_left(raws, counts, more):
    row = saal_factors.summary(history(raws, [[0.5, 0.5]]), counts).iloc[0]
    assert row["more"] == more
    assert row["apart"] == pytest.approx(apart(one_minus(raws[-1]), counts))


def said(found, counts):
    return saal_factors.sentences(saal_factors.summary(found, counts), counts)


def test_it_is_said_where_nothing_is_rebalanced():
    both = pd.concat([history([0.0, 0.4], [[0.5, 0.4]]), history([0.2, 0.1], [[0.6, 0.7]], "dsn_saal")])
    first, second, last = said(both, COUNTS)
    assert first.startswith(
        "SAAL: alpha went from 0.500 to 0.599 in 10 steps, the betas from 0.500 to 0.400."
    )
    assert "less than 0.01 % apart: SAAL does not rebalance here" in first
    assert "from alpha = 0.9953 on" in first and "that is 120 steps away, 12 times as many" in first
    assert "alpha moved away from there" in second
    assert "alpha rose in 1 of 2 trainings, 1 of 2 betas fell" in last
    assert "No alpha could change that" in said(both, [30, 30])[0]


def test_it_is_said_where_the_weights_do_differ():
    found = pd.concat([history([5.5, 6.0], [[0.5, 0.4]]), history([6.1, 6.3], [[0.6, 0.7]], seed=1)])
    assert "is enough to weigh the classes differently" in said(found, COUNTS)[0]
    assert "on average over 2 trainings alpha" in said(found, COUNTS)[0]
    mixed = pd.concat([history([5.5, 6.0], [[0.5, 0.4]]), history([0.1, 0.3], [[0.6, 0.7]], seed=1)])
    assert "in some trainings SAAL weighs the classes differently" in said(mixed, COUNTS)[0]
    table = saal_factors.summary(found, COUNTS)
    assert (
        "do differ" in saal_factors.in_short(table)
        and "there" in saal_factors.summary_shown(table).to_string()
    )
