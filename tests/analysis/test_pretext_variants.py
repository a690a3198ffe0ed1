"""The ablation of the pretext task: pre-trainings that differ in one thing, and paired changes against scikit-learn."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score

from covid_study.analysis import pretext_learnt, pretext_variants
from covid_study.pretext import rubiks_cube, train
from covid_study.pretext.probes import TARGETS
from covid_study.tables import a7_weights, volume_steps


def config(folder) -> dict:
    return json.loads((folder / "config.json").read_text())["config"]


def test_the_variants_differ_in_one_thing_each(p, v):
    folders = pretext_variants.variants(p, v)
    made = {name: config(folder) for (name, _), folder in folders.items()}
    assert list(made) == list(pretext_variants.VARIANTS) and len(set(folders.values())) == 4
    for contrast in pretext_variants.CONTRASTS:
        one, other = made[contrast.one], made[contrast.other]
        assert len([key for key in one if one[key] != other[key]]) == 1
    assert [made[name]["permutation_set"] for name in made] == ["optimal", "optimal", "max_min", "max_mean"]
    assert [made[name]["masking"] for name in made] == [False, True, True, True]
    assert all(m["train"] == sorted(volume_steps.ids(v, "train", True)) for m in made.values())
    # as long as notebook 02 trains here: then it is the same pre-training
    assert p.pretext_ablation.epochs == p.pretext.epochs
    assert folders["masked", 0] == volume_steps.pretext(p, v, "rubiks_cube_pro", 0)
    longer = volume_steps.pretext(p, v, "rubiks_cube", 0, epochs=2)
    assert pd.read_csv(longer / "history.csv")["epoch"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("kind", list(pretext_variants.SETS))
def test_the_set_of_permutations_is_the_one_that_is_trained_on(kind, tmp_path, monkeypatch):
    seen = []
    original = rubiks_cube.scramble

    def scramble(volumes, table, *rest):
        seen.append(table)
        return original(volumes, table, *rest)

    monkeypatch.setattr(train.rubiks_cube, "scramble", scramble)
    settings = {
        "permutations": 9,
        "batch_size": 4,
        "learning_rate": 1e-3,
        "gap": [0, 0, 0],
        "heads": "whole",
        "probe_every": 1,
    }
    volumes = torch.zeros(4, 8, 8, 8, dtype=torch.uint8)

    class NoProbe:
        def measure(self, _):
            return {}

    train.train_pretext(
        tmp_path, volumes, volumes[:1], masking=True, pretext=settings, epochs=1, seed=0, device=torch.device("cpu"),
        network={"width": 0.0625, "stem_stride": 2, "depth": 18, "precision": "float32"}, probe=NoProbe(), permutation_set=kind,
    )  # fmt: skip
    assert seen and all((table.numpy() == rubiks_cube.permutations(9, kind=kind)).all() for table in seen)


def test_distances_and_their_table():
    sets = pretext_variants.permutation_sets(100)
    for table in sets.values():
        naive = [int((a != b).sum()) for i, a in enumerate(table) for b in table[i + 1 :]]
        assert pretext_variants.distances(table).tolist() == naive
    found = pretext_variants.sets_table(sets)
    assert found["smallest distance"].tolist() == [6, 5, 2] and set(found["pairs"]) == {4950}
    assert found["mean distance"].tolist() == pytest.approx([7.069, 6.933, 7.069], abs=5e-4)


def test_newcombes_interval():
    # Newcombe 1998, table II, method 10: (b) 9/10 - 3/10, (g) 10/10 - 0/10
    assert pretext_variants.proportion_difference((9, 3), (10, 10)) == pytest.approx(
        (0.6, 0.1705, 0.8090), abs=1e-4
    )
    assert pretext_variants.proportion_difference((10, 0), (10, 10)) == pytest.approx(
        (1.0, 0.6075, 1.0), abs=1e-4
    )
    value, low, high = pretext_variants.proportion_difference((3, 9), (10, 12))
    assert pretext_variants.proportion_difference((9, 3), (12, 10)) == pytest.approx((-value, -high, -low))
    assert np.isnan(pretext_variants.proportion_difference((0, 0), (0, 0))).all()
    rng = np.random.default_rng(0)
    hits = 0
    for one, other in rng.binomial(40, [0.5, 0.3], (1500, 2)):
        _, low, high = pretext_variants.proportion_difference((int(one), int(other)), (40, 40))
        hits += low <= 0.2 <= high
    assert 0.93 < hits / 1500 < 0.975


def course(accuracy, seeds=(0,)):
    """Histories of two epochs; `accuracy`: name -> permutation accuracy of each seed at the last."""
    rows = [
        {"name": name, "variant": pretext_variants.LABELS[name], "seed": seed, "epoch": epoch, "loss": 1.0}
        | {"validation_permutation": 0.0 if epoch == 0 else values[i]}
        | {"validation_horizontal": 0.5, "validation_vertical": 1.0 if name == "masked" else 0.25}
        for name, values in accuracy.items()
        for i, seed in enumerate(seeds)
        for epoch in (0, 1)
    ]
    return pd.DataFrame(rows)


def test_accuracy_changes():
    masking = pretext_variants.CONTRASTS[:1]
    found = pretext_variants.accuracy_changes(
        course({"masked": [0.75], "unmasked": [0.25]}), masking, exams=2, draws=4
    )
    found = found.set_index("measure")
    assert found.index.tolist() == ["permutation", "horizontal", "vertical"]
    row = found.loc["permutation"]
    expected = pretext_variants.proportion_difference((6, 2), (8, 8))
    assert row[["one", "other"]].tolist() == [0.75, 0.25] and row["seeds"] == 1
    assert row[["value", "low", "high"]].tolist() == pytest.approx(expected)
    assert found.loc["vertical", "value"] == 0.75
    turns = pretext_variants.proportion_difference((32, 32), (64, 64))  # eight questions a scramble
    assert found.loc["horizontal", ["value", "low", "high"]].tolist() == pytest.approx(turns)
    both = pretext_variants.accuracy_changes(
        course({"masked": [0.75, 0.5], "unmasked": [0.25, 0.5]}, (0, 1)), masking, 2, 4
    )
    first = both.iloc[0]
    assert first["value"] == 0.25 and first["seeds"] == 2
    assert first["high"] - first["low"] > expected[2] - expected[1]  # the spread of two seeds is in it


def test_without_validation_exams_accuracies_are_unknown(p, v):
    bare = v.table[v.table["split"] != "validation"]
    bare = replace(v, table=bare, data=v.of(list(bare.index)))
    history = pretext_variants.histories(pretext_variants.variants(p, bare))
    assert not any(column.startswith("validation") for column in history)
    found = pretext_variants.accuracy_changes(history, pretext_variants.CONTRASTS, 0)
    assert found[["one", "other", "value", "low", "high"]].isna().all(axis=None)
    assert len(pretext_variants.shown(found).data) == len(found)


def scored(**by_name):
    ids = [f"e{i:02d}" for i in range(60)]
    truth = np.arange(60) < 25
    parts = [
        pd.DataFrame({"exam_id": ids, "patient_id": ids, "truth": truth, "score": score}).assign(
            variant=name, seed=0, target=target
        )
        for name, score in by_name.items()
        for target in TARGETS
    ]
    return pd.concat(parts), truth


def test_probe_changes_are_paired_differences_of_auc():
    rng = np.random.default_rng(0)
    noise, good = rng.normal(size=60), rng.normal(size=60) + 3 * (np.arange(60) < 25)
    scores, truth = scored(masked=good, unmasked=noise)
    found = pretext_variants.probe_changes(scores, pretext_variants.CONTRASTS[:1], 200)
    assert found["measure"].tolist() == list(TARGETS.values())
    row = found.iloc[0]
    assert row["one"] == pytest.approx(roc_auc_score(truth, good))
    assert row["other"] == pytest.approx(roc_auc_score(truth, noise))
    assert row["value"] == pytest.approx(row["one"] - row["other"]) and row["low"] > 0
    swapped = pretext_variants.probe_changes(
        scored(masked=noise, unmasked=good)[0], pretext_variants.CONTRASTS[:1], 200
    ).iloc[0]
    assert swapped["value"] == pytest.approx(-row["value"])
    same = pretext_variants.probe_changes(
        scored(masked=good, unmasked=good)[0], pretext_variants.CONTRASTS[:1], 200
    )
    assert (same[["value", "low", "high"]] == 0).all(axis=None)
    lost = pretext_variants.probe_changes(
        scored(masked=np.nan, unmasked=good)[0], pretext_variants.CONTRASTS[:1], 200
    )
    assert lost[["one", "value", "low"]].isna().all(axis=None)


def test_probe_changes_of_the_weights_go_by_their_labels(p, v):
    asked = a7_weights.unseen(v)
    assert set(asked.table["split"]) == {"validation", "test"}
    exam = asked.table.index[3]
    assert torch.equal(asked.of([exam]), v.of([exam]))
    scores = pretext_learnt.probes(p, asked, a7_weights.pretrained(p, v))
    assert set(scores["exam_id"]) == set(asked.table.index)
    found = pretext_variants.probe_changes(scores, pretext_variants.OF_WEIGHTS, 100)
    assert found["contrast"].tolist() == ["masking", "masking"]
