"""What the trainings of a paper need, counted before any of them runs: operations, bytes, and how many there are."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from math import prod
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from covid_study.analysis import pretext_variants
from covid_study.networks import backbones
from covid_study.networks.deep_supervision import DeepSupervision
from covid_study.networks.precision import settled
from covid_study.networks.resnet3d import Classifier, build
from covid_study.pretext.rubiks_cube import CUBES, RubiksCubeNet
from covid_study.runtime.device import fits
from covid_study.samples.samples import Samples
from covid_study.samples.slice_store import exams_of, images_of
from covid_study.tables import (
    a3_ranking,
    a6_online,
    a7_weights,
    b3_b4_networks,
    b5_losses,
    b6_fewer_positives,
    b7_b9_public,
    selection_and_supervision as choosing,
)
from covid_study.tables.volume_steps import selection_size
from covid_study.training.loop import counted_flops
from covid_study.training.slice_classifier import SliceClassifier

SLICES = 31  # an exam where `slices.per_exam` sets no limit: as paper B's have, 6,982 of 225 (its Table 2)
COPIES = 4  # of the weights: they, their gradients, and two moments of Adam
APART = 2**30  # bytes for the driver, and for what convolutions need on the way
# Meta-Weight-Net's step of its weighing network, in steps of the classifier: two more passes, one of them twice; counted.
META = 3.3


@dataclass
class Needs:
    """What the trainings of a paper need."""

    trainings: int = 0
    flops: Counter = field(default_factory=Counter)  # by precision
    data: int = 0  # bytes of volumes or slices
    passes: dict[str, int] = field(
        default_factory=dict
    )  # what is set -> bytes of the largest step that it decides
    on_host: bool = False  # the data stay in the computer's memory, see `device.fits`

    @property
    def held(self) -> int:
        """Bytes of the data that lie on the device."""
        return 0 if self.on_host else self.data

    @property
    def bytes(self) -> int:
        """On the device, at most."""
        return self.held + max(self.passes.values(), default=0) + APART


@dataclass(frozen=True)
class Counted:
    """A network on the device "meta", which computes nothing: operations and bytes of a sample's training step."""

    flops: float
    kept: int  # bytes of activations a sample, in float32
    weights: int

    def step(self, batch: int, precision: str) -> int:
        """Bytes that a step takes."""
        return batch * self.kept // (2 if precision == "bf16" else 1) + COPIES * self.weights


def counted(made: Callable[[], nn.Module], shape: tuple[int, ...]) -> Counted:
    """A network as it is trained on inputs of this shape (1, ...)."""
    with torch.device("meta"):
        model, inputs, kept = made(), torch.zeros(shape), {}
        own = {values.untyped_storage()._cdata for values in model.parameters()}

        def outputs() -> torch.Tensor:
            said = model(inputs)
            return sum(o.sum() for o in said) if isinstance(said, list | tuple) else said.sum()

        def note(values: torch.Tensor) -> torch.Tensor:
            if (storage := values.untyped_storage())._cdata not in own:  # a part of a weight is none of it
                kept[storage._cdata] = storage
            return values

        flops = counted_flops(model, outputs)
        with torch.autograd.graph.saved_tensors_hooks(note, lambda values: values):
            outputs()
    size = sum(storage.nbytes() for storage in kept.values())
    return Counted(flops, size, 4 * sum(p.numel() for p in model.parameters()))


def exams_an_epoch(p, positives: int, negatives: int) -> dict[tuple, int]:
    """The trainings of Tables III to VII: (depth, weights or draw, strategy, negatives, seed) -> exams of an epoch.

    What two tables share is one of them, as their runs are.
    """
    found = {}

    def add(
        draw: str | float, size: int, seed: int, depth: int = p.network.depth, strategy: str = "none"
    ) -> None:
        even = strategy == "oversampling"
        found[depth, draw, strategy, size, seed] = 2 * max(positives, size) if even else positives + size

    draws = ("random", "difficulty", "diversity", "both", "both_pretrained", "best_pair")  # Table III
    draws += ("normal", "top", "all_pretrained")  # Table V
    for seed in a3_ranking.seeds(p):
        for share in p.sampling.shares:
            rivals = p.sampling.rivals if seed in p.study.seeds else ()
            for draw in (*draws, *rivals, *p.sampling.alphas):
                add(draw, selection_size(share, negatives), seed)
        for depth in (p.network.depth, p.transfer.depth):
            add("all", negatives, seed, depth)
            for share in p.transfer.shares:
                add("both", selection_size(share, negatives), seed, depth)
        for weights in filter(None, a7_weights.WEIGHTS.values()):
            add(weights, negatives, seed)
    for seed in p.study.seeds:
        for strategy in a6_online.STRATEGIES:
            add("all", negatives, seed, strategy=strategy)
            add("both", selection_size(p.online.share, negatives), seed, strategy=strategy)
    return found


def pretext_exams(p, positives: int, negatives: int) -> dict[tuple, int]:
    """The pre-trainings: (variant, kind of its permutations, epochs, seed) -> exams that it sees."""
    short, every = p.pretext.epochs, p.pretext.all_samples_epochs
    found = {("rubiks_cube", "optimal", short, p.study.seeds[0]): short * positives}
    for seed in a3_ranking.seeds(p):  # each ranks by its own
        found["rubiks_cube_pro", "optimal", short, seed] = short * positives
        for variant in filter(None, a7_weights.WEIGHTS.values()):
            found[variant, "optimal", every, seed] = every * (positives + negatives)
    for seed in p.study.seeds:
        epochs = p.pretext_ablation.epochs
        for variant, kind in pretext_variants.VARIANTS.values():
            found[variant, kind, epochs, seed] = epochs * positives
    return found


def of_volumes(p, exams: pd.DataFrame, device: torch.device) -> Needs:
    """What paper A needs. exams: of `cohorts.cohort`."""
    train = exams.loc[exams["split"] == "train", "finding"] == "covid"
    sides = int(train.sum()), int((~train).sum())
    shape = tuple(reversed(p.preprocessing.shape))
    precision, needs = settled(p.network.precision, "resnet3d", max(shape), device), Needs()
    needs.data = len(exams) * prod(shape)
    needs.on_host = not fits(needs.data, device)
    settings = p.network.model_dump()
    epochs = exams_an_epoch(p, *sides)
    for depth in dict.fromkeys(key[0] for key in epochs):
        used = settings | {"depth": depth}
        one = counted(lambda used=used: Classifier(*build(used)), (1, 1, *shape))
        seen = sum(n for key, n in epochs.items() if key[0] == depth) * p.training.epochs
        needs.flops[precision] += one.flops * seen
        step = one.step(p.training.batch_size, precision)
        needs.passes["training.batch_size"] = max(step, needs.passes.get("training.batch_size", 0))
    cubes = (1, CUBES, *(n // 2 for n in shape))
    one = counted(lambda: RubiksCubeNet(*build(settings), p.pretext.permutations, p.pretext.heads), cubes)
    pretexts = pretext_exams(p, *sides)
    needs.flops[precision] += one.flops * sum(pretexts.values())
    needs.passes["pretext.batch_size"] = one.step(p.pretext.batch_size, precision)
    needs.trainings = len(epochs) + len(pretexts)
    return needs


def slices_to_be(p) -> Samples:
    """Slices as paper B's tables are declared on, before one is cut or read: of each exam `slices.per_exam`, with no values."""
    source, side, each = "", p.slices.size, p.slices.per_exam or SLICES
    if p.slices.images is None:
        exams = exams_of(p)
        table = exams.loc[exams.index.repeat(each)].reset_index(drop=True)
        table["slice_id"] = table["exam_id"] + "_" + table.groupby("exam_id").cumcount().astype(str)
    else:
        source, table, _ = images_of(p)
    data = torch.empty((len(table), side, side), dtype=torch.uint8, device="meta")
    return Samples(table.set_index("slice_id"), data, "to be", source=source)


def of_slices(p, device: torch.device) -> Needs:
    """What paper B needs, on slices of the exams or on pictures, whose notebooks 13 and 14 have settings of their own."""
    needs, s = Needs(), slices_to_be(p)
    _add(needs, p, s, [*_of_tables(p, s), *_of_self_trans(p, s)], device)
    trained: list[Trained] = []
    if p.slices.images:
        p = b7_b9_public.settings(p)
        s = slices_to_be(p)
        trained += _of_pictures(p, s)
    _add(needs, p, s, [*trained, *_of_selections(p, s)], device)
    return needs


# network, is it deeply supervised, slices that a training sees, trainings
Trained = tuple[str, bool, float, int]


def _of_tables(p, s: Samples) -> Iterator[Trained]:
    """Notebooks 09 to 12: the tables' runs of one seed, each as often as it has seeds."""
    few, many, swept = len(p.slice_training.seeds), len(b5_losses.seeds(p)), len(b5_losses.swept(p))
    once = _from_random(p, seeds=p.slice_training.seeds[:1])
    tables = [(b5_losses.parts, swept), (b6_fewer_positives.losses, swept)]
    tables += [(b3_b4_networks.table_3, few), (b3_b4_networks.table_4, few)]
    # last: a run of two tables has the seeds of these
    tables += [(b5_losses.table, many), (b6_fewer_positives.table, many)]
    declared = [(made(once, s), times) for made, times in tables]
    runs = {run.folder(Path()): (run, times) for table, times in declared for run in table.runs.values()}
    for run, times in runs.values():
        method = run.method
        steps = 1 + META / method.meta_every if method.meta_ids else 1
        yield method.backbone, method.supervised, run.seen * steps, times


def _of_pictures(p, s: Samples) -> Iterator[Trained]:
    """Notebook 13, which trains where pictures are given. p: of `b7_b9_public.settings`."""
    table = b7_b9_public.table(_from_random(p), s)
    for run in table.runs.values():
        if isinstance(run.method, SliceClassifier):
            yield run.method.backbone, run.method.supervised, run.seen, 1
    if b7_b9_public.compares(b7_b9_public.table_of(s.source)):
        yield from _of_self_trans(p, s)


def _of_selections(p, s: Samples) -> Iterator[Trained]:
    """Notebook 14: random and dual_track, each with both losses; what has all negatives costs what a row of Table 6 does."""
    train = s.table.loc[s.table["split"] == "train", "finding"] == "covid"
    times = 2 * len(choosing.LOSSES) * len(p.slice_training.seeds)
    for share in choosing.shares(p):
        taken = round(share * train.sum() + p.slice_selection.share * (~train).sum())
        yield p.slice_network.backbone, False, taken * p.slice_training.epochs, times


def _of_self_trans(p, s: Samples) -> Iterator[Trained]:
    """Two views of each slice, then the classifier."""
    slices, times = (s.table["split"] == "train").sum(), len(p.slice_training.seeds)
    if p.comparison.contrastive_epochs:
        slices = min(slices, p.comparison.slices or slices)
        epochs = 2 * p.comparison.contrastive_epochs, p.comparison.epochs
        yield from (("densenet169", False, slices * n, times) for n in epochs)


def _from_random(p, **training):
    """The parameters without weights that would have to be there already, or be made."""
    return p.model_copy(
        update={
            "slice_training": p.slice_training.model_copy(update=training),
            "slice_losses": p.slice_losses.model_copy(update={"more_seeds": []}),
            "slice_network": p.slice_network.model_copy(update={"weights": "none"}),
            "comparison": p.comparison.model_copy(update={"contrastive_epochs": 0}),
        }
    )


def _slice_network(name: str, supervised: bool) -> nn.Module:
    network = backbones.build(name)
    return DeepSupervision(network) if supervised else network


def _add(needs: Needs, p, s: Samples, trained: Iterable[Trained], device: torch.device) -> None:
    """Add what these trainings need to what is there. p: whose slices and batches they have."""
    seen: Counter = Counter()
    for name, supervised, slices, times in trained:
        seen[name, supervised] += slices * times
        needs.trainings += times
    side = p.slices.size
    for (name, supervised), slices in seen.items():
        precision = settled(p.slice_network.precision, name, side, device)
        one = counted(
            lambda name=name, supervised=supervised: _slice_network(name, supervised), (1, 1, side, side)
        )
        needs.flops[precision] += one.flops * slices
        step = one.step(p.slice_training.batch_size, precision)
        needs.passes["slice_training.batch_size"] = max(
            step, needs.passes.get("slice_training.batch_size", 0)
        )
    needs.data = max(needs.data, s.data.numel())
