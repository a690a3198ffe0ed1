"""The way of the data through paper A, step by step; each step is found where it was computed before.

A notebook calls these with its parameters; called first, the later ones call the earlier ones.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from covid_study import paths
from covid_study.networks.precision import settled
from covid_study.pretext.probes import untrained_encoder
from covid_study.pretext.train import RubiksCube, features as encoder_features, load_encoder
from covid_study.ranking.blocks import Blocks
from covid_study.ranking.order_free import OrderFree
from covid_study.ranking.rank import rank_negatives, soft_labels
from covid_study.ranking.rivals import RIVALS
from covid_study.ranking.sampling import select
from covid_study.runtime.artefacts import artefact, write_atomically
from covid_study.samples.samples import Samples
from covid_study.samples.volume_store import store
from covid_study.tables import ct_features
from covid_study.training.run import Run, Spent, timing
from covid_study.training.sweep import pretrained
from covid_study.training.volume_classifier import VolumeClassifier

PRETEXTS = {  # name of a pre-training: (masking, on positives only)
    "rubiks_cube": (False, True),
    "rubiks_cube_pro": (True, True),
    "rubiks_cube_all": (False, False),
    "rubiks_cube_pro_all": (True, False),
}

ROWS = {  # of Tables III and V -> strategy and track; "both" is the long tail of Table V
    "random": ("random", "joint"),
    "difficulty": ("long_tail", "difficulty"),
    "diversity": ("long_tail", "diversity"),
    "both": ("long_tail", "joint"),
    "normal": ("normal", "joint"),
    "top": ("top", "joint"),
}


def ids(v: Samples, split: str, positive: bool | None = None) -> list[str]:
    """Exam ids of a split; only positives, only negatives, or both."""
    table = v.table[v.table["split"] == split]
    if positive is not None:
        table = table[(table["finding"] == "covid") == positive]
    return list(table.index)


def network(p, v: Samples) -> dict:
    """The section `network`, its precision settled for these volumes and the device that they are used on."""
    precision = settled(p.network.precision, "resnet3d", max(v.data.shape[1:]), v.device)
    return p.network.model_dump() | {"precision": precision}


def pretraining(
    p,
    v: Samples,
    variant: str = "rubiks_cube_pro",
    seed: int = 0,
    *,
    epochs: int | None = None,
    permutation_set: str = "optimal",
) -> Run:
    """The pre-training of an encoder (paper A, IV-B), probed on the training exams.

    Args:
        variant: rubiks_cube, rubiks_cube_pro (both on the positives only), rubiks_cube_all, rubiks_cube_pro_all (both on all
            training exams).
        epochs: None: the parameters'. permutation_set: see `rubiks_cube.permutations`, `kind`.
    """
    masking, positives_only = PRETEXTS[variant]
    method = RubiksCube(
        variant,
        masking,
        epochs or (p.pretext.epochs if positives_only else p.pretext.all_samples_epochs),
        permutation_set,
        network(p, v),
        p.pretext.model_dump(exclude={"all_samples_epochs", "epochs"}),
    )
    train, validation = ids(v, "train", True if positives_only else None), ids(v, "validation", True)
    classes = ("covid", "negative")  # whatever a study calls the rest: no label is trained on
    return Run.of(v, train, ids(v, "train"), method, classes, seed, validation_ids=validation)


def pretexts(p, v: Samples, variants: Iterable[str], seeds: Iterable[int]) -> dict[tuple[str, int], Path]:
    """The pre-trainings of several variants and seeds: (variant, seed) -> folder."""
    return pretrained(p.study, v, {(name, s): pretraining(p, v, name, s) for s in seeds for name in variants})


def pretext(p, v: Samples, variant: str = "rubiks_cube_pro", seed: int = 0) -> Path:
    """The folder of one pre-training, made where it is not there."""
    return pretexts(p, v, [variant], [seed])[variant, seed]


def encoded(p, v: Samples, exams: list[str], folder: Path | None, seed: int = 0) -> np.ndarray:
    """Features (len(exams), D) by a pre-trained encoder, or, without a folder, by the untrained one of that seed."""
    saved = folder and folder / "encoder.safetensors"
    model = load_encoder(saved, network(p, v)) if saved else untrained_encoder(network(p, v), seed)
    return encoder_features(model.to(v.device), v.chosen(exams), network(p, v)["precision"])


def exam_features(p, v: Samples, exams: list[str], source: str, seed: int = 0) -> np.ndarray:
    """Features (len(exams), D), not negative, of any exams. source: as `features` of `ranked`."""
    if source == "hu_histogram":
        return store(p).histograms.loc[exams].to_numpy()
    if source == "ct_encoder":
        return ct_features.read(ct_features.computed(p, v, exams))[0].loc[exams].to_numpy()
    trained = pretext(p, v, "rubiks_cube_pro", seed) if source == "pretext" else None
    return encoded(p, v, exams, trained, seed)


@dataclass(frozen=True)
class Ranked:
    """The archive ranked: features of all exams of the training split, soft labels and the ranking of its negatives."""

    features: pd.DataFrame
    soft_labels: pd.DataFrame
    ranking: pd.DataFrame
    seconds: float  # what it took, pre-training included
    pretext: Path | None
    source_seconds: float = 0.0  # of them, what a pre-training took, or the encoder of others


def ranked(p, v: Samples, features: str | None = None, seed: int = 0, distance: str | None = None) -> Ranked:
    """Features, soft labels, difficulty, diversity and joint rank of the training negatives (paper A, IV-C and D).

    Args:
        features: "pretext" (the paper's), "hu_histogram", the histogram of HU in the lungs, which needs no network,
            "untrained", of an encoder that has learnt nothing, or "ct_encoder", of one that others have trained (see
            `networks.ct_encoder`). distance: see `ranking.distance`. None: what the parameters say.
    """
    features = features or p.ranking.features
    rule = p.ranking.rule() | ({"distance": distance} if distance else {})
    untrained = {"network": network(p, v), "seed": seed} if features == "untrained" else {}
    positives, negatives = archive(v)
    source = pretext(p, v, "rubiks_cube_pro", seed) if features == "pretext" else None
    foreign = ct_features.computed(p, v, positives + negatives) if features == "ct_encoder" else None
    config = {
        "volumes": v.key,
        "features": (source or foreign or Path(features)).name,
        "positives": positives,
        "negatives": negatives,
        **untrained,
        **rule,
    }

    def compute(folder: Path) -> None:
        rank_archive(p, v, folder, rule, lambda exams: exam_features(p, v, exams, features, seed))

    modules = ["pretext.probes", "pretext.train", "ranking.order_free"]
    folder = artefact(paths.build(p.study.name) / "ranking", features, config, modules, compute)
    seconds = json.loads((folder / "timing.json").read_text())["seconds"]
    spent = timing(source)["train_seconds"] if source else ct_features.read(foreign)[1] if foreign else 0.0
    table = pd.read_parquet(folder / "ranking.parquet")
    labels = pd.DataFrame(np.load(folder / "soft_labels.npy"), index=table.index, columns=positives)
    return Ranked(pd.read_parquet(folder / "features.parquet"), labels, table, seconds + spent, source, spent)


def archive(v: Samples) -> tuple[list[str], list[str]]:
    """Positives and negatives of the training split.

    Choice: by exam id. |i - j| between positives (eq. 6) depends on how they are listed, and the rows of an exam table may
    come in any order.
    """
    return sorted(ids(v, "train", True)), sorted(ids(v, "train", False))


def rank_archive(p, v: Samples, folder: Path, rule: dict, values: Callable[[list[str]], np.ndarray]) -> None:
    """Rank the training negatives by features and write features.parquet, soft_labels.npy, ranking.parquet, timing.json.

    Killed in the distances, it goes on with the same features and the blocks of distances that were finished; what it took in
    all is then not known, NaN.

    Args:
        rule: distance, mass, alpha, beta, diversity_pairs. values: the features of exams, float (n, D), not negative.
    """
    started, rule = time.perf_counter(), dict(rule)
    positives, negatives = archive(v)
    kept = folder / "features.parquet"
    resumed = kept.is_file()
    if not resumed:
        exams = pd.Index(positives + negatives, name="exam_id")
        write_atomically(kept, pd.DataFrame(values(list(exams)), index=exams).rename(columns=str).to_parquet)
    frame = pd.read_parquet(kept)
    blocks = Blocks(folder / "blocks", p.study.executor)
    near, far, how = frame.loc[positives], frame.loc[negatives], {"device": v.device, "blocks": blocks}
    if rule["distance"] == "order_free":
        del rule["distance"]
        rankings = OrderFree(near, far, **rule, **how)
        labels, ranking = rankings.labels("both"), rankings.without("both")
    else:
        labels = soft_labels(near, far, rule["mass"], distance=rule["distance"], **how)
        ranking = rank_negatives(labels, **rule, **how)
    np.save(folder / "soft_labels.npy", labels.to_numpy())
    ranking.to_parquet(folder / "ranking.parquet")
    seconds = float("nan") if resumed else time.perf_counter() - started
    (folder / "timing.json").write_text(json.dumps({"seconds": seconds}))
    blocks.delete()


def run(
    p,
    v: Samples,
    negatives: list[str],
    seed: int,
    encoder: Path | None = None,
    *,
    ranked: Ranked | None = None,
    online: dict | None = None,
    depth: int | None = None,
) -> Run:
    """The classifier of the cohort trained on all its positives and these negatives.

    Args:
        encoder: folder of a pre-training whose weights it starts from; None: random weights.
        ranked: the ranking that the negatives were chosen by; what it took is counted before the run.
        online: strategy against imbalance, see `online.online_loss`. depth: of the network; None: the parameters'.
    """
    seconds = ranked.seconds if ranked else 0.0
    if encoder and not (ranked and ranked.pretext == encoder):  # else the ranking has counted it
        seconds += timing(encoder)["train_seconds"]
    trained = [*filter(None, dict.fromkeys((encoder, ranked.pretext if ranked else None)))]
    method = VolumeClassifier(
        network(p, v) | ({"depth": depth} if depth else {}),
        p.training.model_dump(),
        str(encoder) if encoder else None,
        online,
    )
    return Run.of(
        v,
        [*ids(v, "train", True), *negatives],
        ids(v, "test"),
        method,
        p.cohort.classes,
        seed,
        validation_ids=ids(v, "validation"),
        before=replace(Spent.on(trained), seconds=seconds),
    )


def selection(p, ranking: pd.DataFrame, strategy: str, share: float, seed: int) -> list[str]:
    """Negatives drawn from a joint ranking: `share` of the archive, at least one (paper A, IV-E)."""
    return select(ranking, strategy, selection_size(share, len(ranking)), seed, **shapes(p))


def shapes(p) -> dict[str, float]:
    """Exponent and width of `sampling.select`."""
    return {"exponent": p.sampling.long_tail_exponent, "width": p.sampling.normal_width}


def selected(
    row: str,
    ranking: pd.DataFrame,
    features: pd.DataFrame,
    positives: Sequence[str],
    centre: pd.Series | None,
    size: int,
    seed: int,
    shapes: Mapping[str, float],
) -> list[str]:
    """The negatives of a row of Tables III and V: by a strategy of the paper or by a rule of `ranking.rivals`.

    Args:
        row: of ROWS or RIVALS. features: by id, which the rules pick from. centre: by id; None where none is known. shapes:
            of `shapes`.
    """
    if row in ROWS:
        strategy, by = ROWS[row]
        return select(ranking, strategy, size, seed, by, **shapes)
    negatives, near = features.loc[ranking.index], features.loc[list(positives)]
    return RIVALS[row](negatives, near, size, seed, ranking["difficulty"], centre)


def selection_size(share: float, archive: int) -> int:
    """How many exams a share of the archive is: the nearest whole number, at least one.

    >>> selection_size(0.14, 1785), selection_size(0.14, 3)
    (250, 1)
    """
    return max(1, round(share * archive))
