"""Table VII: its runs and what they share, the ablation of the pretext task, and what is said of both."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score

from covid_study.analysis import pretext_learnt
from covid_study.figures import weights as figures_weights
from covid_study.pretext import rubiks_cube, train
from covid_study.pretext.probes import TARGETS
from covid_study.scores import old_claims as claims
from covid_study.tables import a7_weights, ablation, verdicts_weights as said, volume_steps


@pytest.fixture(scope="module")
def table7(p, v):
    runs = a7_weights.pretext_weights(p, v)
    return runs, ablation.train_all(p, v, runs)


def config(folder) -> dict:
    return json.loads((folder / "config.json").read_text())["config"]


def test_scratch_is_all_of_table_3(table3, table7):
    (third, third_folders), (runs, folders) = table3, table7
    assert list(runs) == [(row, "all", 0) for row in ("scratch", "rubiks_cube", "rubiks_cube_pro")]
    assert runs["scratch", "all", 0] == third["random", "all", 0]
    assert folders["scratch", "all", 0] == third_folders["random", "all", 0]
    assert len(set(folders.values())) == 3


def test_the_rows_differ_in_their_first_weights_alone(p, v, table7):
    runs, _ = table7
    scratch = runs["scratch", "all", 0]
    assert scratch.method.encoder is None and scratch.before.seconds == 0
    for row, masking in (("rubiks_cube", False), ("rubiks_cube_pro", True)):
        run, folder = runs[row, "all", 0], a7_weights.pretrained(p, v)[row, 0]
        assert run.method.encoder == str(folder) and run.before.seconds == pytest.approx(
            volume_steps.pretext_seconds(folder)
        )
        assert run.config() | {"encoder": None} == scratch.config()
        made = config(folder)
        assert made["masking"] is masking and made["epochs"] == p.pretext.all_samples_epochs
        assert made["train"] == sorted(volume_steps.ids(v, "train"))  # positives and negatives
        assert made["permutation_set"] == "optimal"


def test_the_weights_are_where_the_classifier_starts(p, v, table7):
    """One epoch at a learning rate of nearly nothing leaves the encoder where it began."""
    runs, _ = table7
    run = runs["rubiks_cube_pro", "all", 0]
    still = replace(run, method=replace(run.method, training=run.method.training | {"learning_rate": 1e-12}))
    folder = ablation.train_all(p, v, {("still", "all", 0): still})["still", "all", 0]
    loaded = train.load_file(folder / "weights.safetensors")
    encoder = train.load_file(a7_weights.pretrained(p, v)["rubiks_cube_pro", 0] / "encoder.safetensors")
    kernels = [name for name, value in encoder.items() if value.ndim == 5]
    ours = {name: next(x for key, x in loaded.items() if key.endswith(name)) for name in kernels}
    assert kernels and all(torch.allclose(ours[name], encoder[name], atol=1e-8) for name in kernels)


def test_the_variants_differ_in_one_thing_each(p, v):
    folders = a7_weights.variants(p, v)
    made = {name: config(folder) for (name, _), folder in folders.items()}
    assert list(made) == list(a7_weights.VARIANTS) and len(set(folders.values())) == 4
    for contrast in a7_weights.CONTRASTS:
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


@pytest.mark.parametrize("kind", list(a7_weights.SETS))
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
    sets = a7_weights.permutation_sets(100)
    for table in sets.values():
        naive = [int((a != b).sum()) for i, a in enumerate(table) for b in table[i + 1 :]]
        assert a7_weights.distances(table).tolist() == naive
    found = a7_weights.sets_table(sets)
    assert found["smallest distance"].tolist() == [6, 5, 2] and set(found["pairs"]) == {4950}
    assert found["mean distance"].tolist() == pytest.approx([7.069, 6.933, 7.069], abs=5e-4)
    assert "6 apart in the set “Hamming-optimal” (1,949 of 4,950 pairs), 5 apart" in said.sets_sentence(found)


def test_newcombes_interval():
    # Newcombe 1998, table II, method 10: (b) 9/10 - 3/10, (g) 10/10 - 0/10
    assert a7_weights.proportion_difference((9, 3), (10, 10)) == pytest.approx(
        (0.6, 0.1705, 0.8090), abs=1e-4
    )
    assert a7_weights.proportion_difference((10, 0), (10, 10)) == pytest.approx((1.0, 0.6075, 1.0), abs=1e-4)
    value, low, high = a7_weights.proportion_difference((3, 9), (10, 12))
    assert a7_weights.proportion_difference((9, 3), (12, 10)) == pytest.approx((-value, -high, -low))
    assert np.isnan(a7_weights.proportion_difference((0, 0), (0, 0))).all()
    rng = np.random.default_rng(0)
    hits = 0
    for one, other in rng.binomial(40, [0.5, 0.3], (1500, 2)):
        _, low, high = a7_weights.proportion_difference((int(one), int(other)), (40, 40))
        hits += low <= 0.2 <= high
    assert 0.93 < hits / 1500 < 0.975


def course(accuracy, seeds=(0,)):
    """Histories of two epochs; `accuracy`: name -> permutation accuracy of each seed at the last."""
    rows = [
        {"name": name, "variant": a7_weights.LABELS[name], "seed": seed, "epoch": epoch, "loss": 1.0}
        | {"validation_permutation": 0.0 if epoch == 0 else values[i]}
        | {"validation_horizontal": 0.5, "validation_vertical": 1.0 if name == "masked" else 0.25}
        for name, values in accuracy.items()
        for i, seed in enumerate(seeds)
        for epoch in (0, 1)
    ]
    return pd.DataFrame(rows)


def test_accuracy_changes():
    masking = a7_weights.CONTRASTS[:1]
    found = a7_weights.accuracy_changes(
        course({"masked": [0.75], "unmasked": [0.25]}), masking, exams=2, draws=4
    )
    found = found.set_index("measure")
    assert found.index.tolist() == ["permutation", "horizontal", "vertical"]
    row = found.loc["permutation"]
    expected = a7_weights.proportion_difference((6, 2), (8, 8))
    assert row[["one", "other"]].tolist() == [0.75, 0.25] and row["seeds"] == 1
    assert row[["value", "low", "high"]].tolist() == pytest.approx(expected)
    assert found.loc["vertical", "value"] == 0.75
    turns = a7_weights.proportion_difference((32, 32), (64, 64))  # eight questions a scramble
    assert found.loc["horizontal", ["value", "low", "high"]].tolist() == pytest.approx(turns)
    both = a7_weights.accuracy_changes(
        course({"masked": [0.75, 0.5], "unmasked": [0.25, 0.5]}, (0, 1)), masking, 2, 4
    )
    first = both.iloc[0]
    assert first["value"] == 0.25 and first["seeds"] == 2
    assert first["high"] - first["low"] > expected[2] - expected[1]  # the spread of two seeds is in it


def test_without_validation_exams_accuracies_are_unknown(p, v):
    bare = v.table[v.table["split"] != "validation"]
    bare = replace(v, table=bare, data=v.of(list(bare.index)))
    history = a7_weights.histories(a7_weights.variants(p, bare))
    assert not any(column.startswith("validation") for column in history)
    found = a7_weights.accuracy_changes(history, a7_weights.CONTRASTS, 0)
    assert found[["one", "other", "value", "low", "high"]].isna().all(axis=None)
    text = said.change_sentences(found, a7_weights.CONTRASTS)
    assert text.count("is unknown: there are too few exams") == 3 and "What masking changes" in text
    assert "in place of the greedy one by the mean distance, changes" in text
    graded = pretext_learnt.pretext_tests(history, 0, 100)
    assert (said.learnt_table(graded) == "unknown").all(axis=None)
    assert said.learnt_sentence(graded).startswith("No validation exam")
    figure = figures_weights.courses(
        history, {"Loss": "loss", "Permutation": "validation_permutation"}, {"Permutation": 0.01}
    )
    assert "no exam to measure it on" in [t.get_text() for t in figure.axes[1].texts]
    assert "–" in said.changes_table(found, "x").data


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
    found = a7_weights.probe_changes(scores, a7_weights.CONTRASTS[:1], 200)
    assert found["measure"].tolist() == list(TARGETS.values())
    row = found.iloc[0]
    assert row["one"] == pytest.approx(roc_auc_score(truth, good))
    assert row["other"] == pytest.approx(roc_auc_score(truth, noise))
    assert row["value"] == pytest.approx(row["one"] - row["other"]) and row["low"] > 0
    swapped = a7_weights.probe_changes(
        scored(masked=noise, unmasked=good)[0], a7_weights.CONTRASTS[:1], 200
    ).iloc[0]
    assert swapped["value"] == pytest.approx(-row["value"])
    same = a7_weights.probe_changes(scored(masked=good, unmasked=good)[0], a7_weights.CONTRASTS[:1], 200)
    assert (same[["value", "low", "high"]] == 0).all(axis=None)
    lost = a7_weights.probe_changes(scored(masked=np.nan, unmasked=good)[0], a7_weights.CONTRASTS[:1], 200)
    assert lost[["one", "value", "low"]].isna().all(axis=None)


def test_probe_changes_of_the_weights_go_by_their_labels(p, v):
    asked = a7_weights.unseen(v)
    assert set(asked.table["split"]) == {"validation", "test"}
    exam = asked.table.index[3]
    assert torch.equal(asked.of([exam]), v.of([exam]))
    scores = pretext_learnt.probes(p, asked, a7_weights.pretrained(p, v))
    assert set(scores["exam_id"]) == set(asked.table.index)
    found = a7_weights.probe_changes(scores, a7_weights.OF_WEIGHTS, 100)
    assert found["contrast"].tolist() == ["masking", "masking"]


def test_what_is_said_follows_the_intervals():
    rows = {"permutation": (0.5, 0.2, 0.3, 0.1, 0.5), "horizontal": (0.4, 0.6, -0.2, -0.3, -0.1),
            "vertical": (0.5, 0.5, 0.0, -0.1, 0.1), TARGETS["cap"]: (np.nan,) * 5}  # fmt: skip
    frame = pd.DataFrame(
        [
            dict(
                zip(
                    ["contrast", "measure", "one", "other", "value", "low", "high", "seeds"],
                    ("masking", k, *x, 1),
                    strict=True,
                )
            )
            for k, x in rows.items()
        ]
    )
    text = said.change_sentences(frame, a7_weights.CONTRASTS[:1])
    assert (
        "Masking raises the accuracy of the permutation (50 % against 20 %, +30.0 points, +10.0 to +50.0)"
        in text
    )
    assert "and lowers the accuracy of horizontal turns" in text
    assert "It changes the accuracy of vertical turns by nothing that these exams could show." in text
    assert "CAP against non-pneumonia is unknown" in text
    nothing = said.change_sentences(frame.iloc[2:3], a7_weights.CONTRASTS[:1])
    assert (
        nothing
        == "Masking changes nothing, in the pretext task or in the probe, that these exams could show."
    )
    html = said.changes_table(frame, "x").data
    assert "<b>+30.0</b>" in html and "<b>0.0</b>" not in html and "no interval" in html


def test_the_claims_are_those_of_the_paper(p, v, table7):
    _, folders = table7
    checked = claims.check(claims.resample(v, folders, 100), "A.VII", ["all"], a7_weights.CLAIMS)
    f1 = checked[checked["metric"] == "f1"].set_index("claim")
    assert f1["published"].to_dict() == pytest.approx({"pro": 0.032, "cube": 0.014, "masking": 0.018})
    scores = {row: ablation.run_scores(folders[row, "all", 0], v, 100)["value"] for row in a7_weights.WEIGHTS}
    auc = checked[checked["metric"] == "auc"].set_index("claim")["difference"]
    assert auc["pro"] == pytest.approx(scores["rubiks_cube_pro"]["auc"] - scores["scratch"]["auc"])
    assert auc["masking"] == pytest.approx(scores["rubiks_cube_pro"]["auc"] - scores["rubiks_cube"]["auc"])
    assert "87.8 %" in said.paper_uncertainty() and "is 3.2 points" in said.paper_uncertainty()


def test_what_pre_training_costs(p, v, table7):
    cost = pd.DataFrame({"row": ["scratch"], "exams_seen": [10], "compute_seconds": [2.0]})
    seconds = np.mean([volume_steps.pretext_seconds(f) for f in a7_weights.pretrained(p, v).values()])
    text = said.cost_sentence(p, v, cost)
    assert "1 time through the 10 training exams, 10 exams seen" in text
    assert f"takes {1 + seconds / 2:.1f} times as long" in text


def test_figures(p, v, table7):
    runs, folders = table7
    figure = figures_weights.permutation_sets(a7_weights.permutation_sets(20))
    assert len(figure.axes) == 3 and "smallest 6" in figure.axes[0].get_title(loc="left")
    heights = [sum(bar.get_height() for bar in ax.patches) for ax in figure.axes]
    assert heights == [190, 190, 190]
    from covid_study.tables import ablation_report

    joined = ablation_report.joined(ablation.results(p, v, runs, folders), "A.VII")
    figure = figures_weights.scores(joined)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()][0] == "Train from scratch"
    squares = [line for line in figure.axes[2].lines if line.get_marker() == "s"]
    assert sorted(float(line.get_xdata()[0]) for line in squares) == pytest.approx([84.6, 86.0, 87.8])


def test_where_nothing_was_learnt_no_difference_is_explained():
    tests = pd.DataFrame({"variant": ["a", "a", "b", "b"], "learnt": ["no", "no", "no", "no"]})
    assert said.learnt_sentence(tests).startswith("None of these")
    tests.loc[0, "learnt"] = "barely"
    assert said.learnt_sentence(tests).startswith("“b” does no part")
    tests.loc[3, "learnt"] = "learnt"
    assert said.learnt_sentence(tests).startswith("All of these")
