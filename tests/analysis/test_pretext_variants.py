"""The ablation of the pretext task: pre-trainings that differ in one thing, and paired changes against scikit-learn."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score

from covid_study.analysis import pretext_learnt, pretext_variants
from covid_study.analysis.pretext_variants import CONTRASTS, OF_WEIGHTS, VARIANTS
from covid_study.pretext import rubiks_cube, train
from covid_study.pretext.probes import TARGETS
from covid_study.scores.closed_form import proportion_difference
from covid_study.tables import a7_weights, volume_steps

MASKING = {"masking": CONTRASTS["masking"]}


def test_the_variants_differ_in_one_thing_each(p, v):
    folders = pretext_variants.variants(p, v)
    configs = {
        name: json.loads((f / "config.json").read_text())["config"] for (name, _), f in folders.items()
    }
    made = {name: config["method"] for name, config in configs.items()}
    assert list(made) == list(VARIANTS) and len(set(folders.values())) == 4
    for one, other in ([made[name] for name in pair] for pair in CONTRASTS.values()):
        assert len([key for key in one if one[key] != other[key]]) == 1
    assert [m["permutation_set"] for m in made.values()] == ["optimal", "optimal", "max_min", "max_mean"]
    assert [m["masking"] for m in made.values()] == [False, True, True, True]
    assert all(c["training_ids"] == sorted(volume_steps.ids(v, "train", True)) for c in configs.values())
    # as long as notebook 02 trains here: then it is the same pre-training
    assert p.pretext_ablation.epochs == p.pretext.epochs
    assert folders["masking", 0] == volume_steps.pretext(p, v, "rubiks_cube_pro", 0)
    longer = volume_steps.pretrained(
        p.study, v, {("longer", 0): volume_steps.pretraining(p, v, "rubiks_cube", 0, epochs=2)}
    )["longer", 0]
    assert pd.read_csv(longer / "history.csv")["epoch"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("kind", list(pretext_variants.SETS))
def test_the_set_of_permutations_is_the_one_that_is_trained_on(kind, tmp_path, monkeypatch):
    seen, original = [], rubiks_cube.scramble
    monkeypatch.setattr(train.rubiks_cube, "scramble",
                        lambda volumes, table, *rest: seen.append(table) or original(volumes, table, *rest))  # fmt: skip
    settings = {"permutations": 9, "batch_size": 4, "learning_rate": 1e-3, "gap": [0, 0, 0], "heads": "whole"}
    settings["probe_every"] = 1
    network = {"width": 0.0625, "stem_stride": 2, "depth": 18, "precision": "float32"}
    volumes = torch.zeros(4, 8, 8, 8, dtype=torch.uint8)
    no_probe = type("NoProbe", (), {"measure": lambda self, _: {}})()
    train.train_pretext(
        tmp_path, volumes, volumes[:1], masking=True, pretext=settings, epochs=1, seed=0, device=torch.device("cpu"),
        network=network, probe=no_probe, permutation_set=kind,
    )  # fmt: skip
    assert seen and all((table.numpy() == rubiks_cube.permutations(9, kind=kind)).all() for table in seen)


def test_distances_and_their_table():
    sets = pretext_variants.permutation_sets(100)
    for table in sets.values():
        naive = [int((a != b).sum()) for i, a in enumerate(table) for b in table[i + 1 :]]
        assert rubiks_cube.distances(table).tolist() == naive
    found = pretext_variants.sets_table(sets)
    assert found["smallest distance"].tolist() == [6, 5, 2] and set(found["pairs"]) == {4950}
    assert found["mean distance"].tolist() == pytest.approx([7.069, 6.933, 7.069], abs=5e-4)


def test_newcombes_interval_covers_what_it_should():
    draws = np.random.default_rng(0).binomial(40, [0.5, 0.3], (1500, 2)).tolist()
    ends = [proportion_difference(right, (40, 40))[1:] for right in draws]
    assert 0.93 < np.mean([low <= 0.2 <= high for low, high in ends]) < 0.975


def course(masked, unmasked):
    """Histories of two epochs with the permutation accuracy of each seed at the last."""
    rows = [
        {"variant": name, "seed": seed, "epoch": epoch, "validation_permutation": value * epoch}
        | {"validation_horizontal": 0.5, "validation_vertical": 1.0 if name == "masking" else 0.25}
        for name, values in (("masking", masked), ("no masking", unmasked))
        for seed, value in enumerate(values)
        for epoch in (0, 1)
    ]
    return pd.DataFrame(rows)


def test_accuracy_changes():
    one, two = (
        pretext_variants.accuracy_changes(course(*of), MASKING, exams=2, draws=4).set_index("measure")
        for of in (([0.75], [0.25]), ([0.75, 0.5], [0.25, 0.5]))
    )
    assert one.index.tolist() == ["permutation", "horizontal", "vertical"]
    row, ends = one.loc["permutation"], ["value", "low", "high"]
    expected = proportion_difference((6, 2), (8, 8))
    assert row[ends].tolist() == pytest.approx(expected) and one.loc["vertical", "value"] == 0.75
    turns = proportion_difference((32, 32), (64, 64))  # eight questions a scramble
    assert one.loc["horizontal", ends].tolist() == pytest.approx(turns)
    first = two.iloc[0]
    assert first["value"] == 0.25 and first["seeds"] == 2
    assert first["high"] - first["low"] > expected[2] - expected[1]  # the spread of two seeds is in it


def test_without_validation_exams_accuracies_are_unknown(p, v):
    bare = v.table[v.table["split"] != "validation"]
    bare = replace(v, table=bare, data=v.of(list(bare.index)))
    history = pretext_learnt.histories(pretext_variants.variants(p, bare))
    assert not any(column.startswith("validation") for column in history)
    found = pretext_variants.accuracy_changes(history, CONTRASTS, 0)
    assert found[["value", "low", "high"]].isna().all(axis=None)
    assert len(pretext_variants.shown(found).data) == len(found)


def test_probe_changes_are_paired_differences_of_auc():
    ids, truth, rng = [f"e{i:02d}" for i in range(60)], np.arange(60) < 25, np.random.default_rng(0)
    noise, good = rng.normal(size=60), rng.normal(size=60) + 3 * truth
    base = pd.DataFrame({"exam_id": ids, "patient_id": ids, "truth": truth, "seed": 0})

    def changes(*scores):
        of = zip(MASKING["masking"], scores, strict=True)
        parts = [base.assign(variant=v, score=s, target=t) for v, s in of for t in TARGETS]
        return pretext_learnt.probe_changes(pd.concat(parts), MASKING, 200)

    found = changes(good, noise)
    assert found["measure"].tolist() == list(TARGETS.values())
    row, aucs = found.iloc[0], [roc_auc_score(truth, score) for score in (good, noise)]
    assert row["value"] == pytest.approx(aucs[0] - aucs[1]) and row["low"] > 0
    assert changes(noise, good)["value"][0] == pytest.approx(-row["value"])
    assert (changes(good, good)[["value", "low", "high"]] == 0).all(axis=None)
    assert changes(np.nan, good)[["value", "low"]].isna().all(axis=None)


def test_probe_changes_of_the_weights_go_by_their_labels(p, v):
    asked = a7_weights.unseen(v)
    assert set(asked.table["split"]) == {"validation", "test"}
    exam = asked.table.index[3]
    assert torch.equal(asked.of([exam]), v.of([exam]))
    scores = pretext_learnt.probes(p, asked, a7_weights.pretrained(p, v))
    assert set(scores["exam_id"]) == set(asked.table.index)
    found = pretext_learnt.probe_changes(scores, OF_WEIGHTS, 100)
    assert found["contrast"].tolist() == ["masking", "masking"]


def test_every_seed_of_the_weights_has_its_untrained_encoder(p, v):
    q = p.model_copy(update={"sampling": p.sampling.model_copy(update={"more_seeds": [1]})})
    scores = pretext_learnt.probes(q, a7_weights.unseen(v), a7_weights.pretrained(q, v))
    assert set(scores["seed"]) == {0, 1} == set(scores.loc[scores["variant"] == "untrained", "seed"])
    assert len(pretext_learnt.probe_changes(scores, n=100))
