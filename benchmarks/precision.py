"""What bf16 gains by network and shape, and whether scores stay: `python benchmarks/precision.py`, on a CPU or a GPU.

A training step in float32 and in bf16 in turn, on ready batches: what `covid_study.networks.precision` is a rule of. Then five
trainings of the demo's network in each, from the same weights, in the same order. Results: precision-<machine>.json and .md.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch
import training_sweep
from machine import described, find_gpu, machine, short, slug
from torch import nn
from torch.nn import functional as F
from training import FULL as PLAN, score_setting
from training_methods import Setting, network, say, spread, synchronise
from training_scores import exams, paired

from covid_study.networks import backbones
from covid_study.networks.precision import settled
from covid_study.training.optimisers import optimiser_of

RESULTS = Path(__file__).resolve().parent / "results"
PRECISIONS = ("float32", "bf16")
PARTS = ("scores", "1", "2")  # the scores first: what follows leaves threads behind
VOLUMES = [  # depth, width, shape z y x, batch: of the profiles, their pretext cubes, their other network
    (18, 0.25, (16, 48, 64), 8),
    (50, 0.25, (16, 48, 64), 8),
    (18, 0.25, (12, 36, 48), 8),
    (18, 0.25, (8, 24, 32), 64),
    (18, 1.0, (28, 96, 128), 2),
]
SIZES, BATCH = (64, 96), 8  # of slices: pixels a side
REPEATS, SECONDS = (2, 9), 0.5  # pairs of steps of a case, as many as fit


def cases(quick: bool, threads: int) -> list[tuple[str, tuple, Callable[[], nn.Module]]]:
    """Name, shape of a batch, and what makes the network; those of slices on one thread alone, as a sweep trains them."""
    volumes, names, sizes = VOLUMES, backbones.NAMES, SIZES if threads == 1 else ()
    if quick:
        volumes, names, sizes = [(18, 0.0625, (8, 16, 16), 2)], ("mobilenet_v2",), (32,)
    return [
        ("resnet3d", (batch, 1, *shape), lambda d=depth, w=width: network(Setting("", (), 0, 0, 0, w, depth=d)))
        for depth, width, shape, batch in volumes
    ] + [
        (name, (BATCH, 1, size, size), lambda name=name: backbones.build(name, 2))
        for size in sizes for name in names
    ]  # fmt: skip


class Step:
    """A training step on a batch that lies ready, as `loop.fit` takes it."""

    def __init__(self, model: nn.Module, inputs: torch.Tensor, precision: str):
        layout = torch.channels_last if inputs.ndim == 4 else torch.channels_last_3d
        self.model = model.to(inputs.device, memory_format=layout).train()
        self.optimiser, _ = optimiser_of(model, "adam", 1e-3, 0.0, 10, inputs.device)
        self.inputs, self.bf16 = inputs, precision == "bf16"
        self.labels = torch.arange(len(inputs), device=inputs.device) % 2

    def __call__(self) -> float:
        """Seconds."""
        synchronise(self.inputs.device)
        started = time.perf_counter()
        with torch.autocast(self.inputs.device.type, torch.bfloat16, enabled=self.bf16):
            loss = F.cross_entropy(self.model(self.inputs), self.labels)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        synchronise(self.inputs.device)
        return time.perf_counter() - started


def measure(quick: bool, device: torch.device, threads: int) -> list[dict]:
    """A row a network and shape: samples a second in each precision, and bf16's over float32's, of neighbours in time."""
    rows, before = [], torch.get_num_threads()
    torch.set_num_threads(threads)
    for name, shape, build in cases(quick, threads):
        say(f"{name}, {shape}, {threads} threads, {device.type}")
        sides = [Step(build(), torch.rand(shape, device=device), precision) for precision in PRECISIONS]
        spent, pairs = sum(side() for side in sides), []  # compiles, takes its memory: not counted
        while len(pairs) < REPEATS[0] or (spent < SECONDS and len(pairs) < REPEATS[1]):
            pairs.append([side() for side in sides])
            spent += sum(pairs[-1])
        rates = {p: shape[0] / statistics.median(pair[k] for pair in pairs) for k, p in enumerate(PRECISIONS)}
        rows.append(
            {"network": name, "parameters": sum(p.numel() for p in sides[0].model.parameters()), "shape": shape,
             "device": device.type, "threads": threads, **rates, "repeats": len(pairs),
             **spread("ratio", [full / half for full, half in pairs])}
        )  # fmt: skip
    torch.set_num_threads(before)
    return rows


def scores(quick: bool, device: torch.device, out: Path) -> dict:
    """AUC of every seed in both precisions, and the difference of the pairs."""
    plan = PLAN | {"sweep_runs": 5, "sweep_epochs": 8}
    if quick:
        plan |= {"sweep_runs": 2, "sweep_epochs": 1, "score_exams": 8, "score_test": 8}
    setting = score_setting(plan, device)
    sides = [exams(n, setting.array_shape, seed) for n, seed in ((setting.exams, 1), (plan["score_test"], 2))]
    found = {}
    for precision in PRECISIONS:
        say(f"{plan['sweep_runs']} trainings in {precision}, {device.type}")
        asked = Setting(**vars(setting) | {"precision": precision})
        found[precision] = training_sweep.ours(asked, plan, sides, device, out, False)
    about = {"device": device.type, "exams": setting.exams, "test_exams": plan["score_test"]}
    return about | {"epochs": plan["sweep_epochs"], "auc": found, **paired(found["bf16"], found["float32"])}


def table(results: dict) -> str:
    """All results as Markdown."""
    lines = ["# bf16 beside float32", "", described(next(iter(results.values()))["machine"]), ""]
    for threads in sorted(results.keys() - {"scores"}):
        part = results[threads]
        lines += [
            f"Training steps on ready batches, samples a second, {threads} thread{'s' * (threads > '1')}; the ratio is of "
            "neighbours in time, lowest to highest in brackets. Batches of 64 are the pretext task's cubes, whose precision is "
            f"that of their volumes. {measured(part)}",
            "",
            "| network | parameters | batch | device | float32 | bf16 | times as fast in bf16 | `auto` takes |",
            "| --- | --- | --- | --- | --- | --- | --- | --- |",
            *(
                f"| {r.network} | {r.parameters / 1e6:.1f} M | {' x '.join(map(str, r.shape))} | {r.device} | "
                f"{r.float32:.1f} | {r.bf16:.1f} | {r.ratio:.2f} ({r.ratio_lowest:.2f} to {r.ratio_highest:.2f}) | "
                f"{settled('auto', r.network, max(r.shape[2:]), torch.device(r.device))} |"
                for r in pd.DataFrame(part["steps"]).itertuples()
            ),
            "",
        ]
    if "scores" in results:
        found = results["scores"]["scores"]
        auc = [f"in {name} {', '.join(f'{x:.3f}' for x in values)}" for name, values in found["auc"].items()]
        lines += [
            f"The demo's network, {found['epochs']} epochs on {found['exams']} made-up exams, asked about "
            f"{found['test_exams']}: AUC by seed {'; '.join(auc)}. bf16 less float32: {found['difference']:+.4f} (95 % "
            f"interval over seeds {found['low']:+.4f} to {found['high']:+.4f}). {measured(results['scores'])}",
            "",
        ]
    return "\n".join(lines)


def measured(part: dict) -> str:
    """When, and beside what."""
    return f"Measured {part['machine']['date']}; load before: {part['machine']['load']}."


def main() -> int:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, seconds: does everything run?")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument(
        "--parts", nargs="+", choices=PARTS, default=PARTS,
        help="scores, steps on one thread, on two; the others stay as the file of this machine has them",
    )  # fmt: skip
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    gpu = find_gpu("auto")
    device = torch.device(gpu or "cpu")
    about = machine(gpu, ("torch", "torchvision", "monai"))
    stem = options.out / f"precision-{slug(about)}{'-quick' if options.quick else ''}"
    file = stem.with_suffix(".json")
    results = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    for part in options.parts:
        about = machine(gpu, ("torch", "torchvision", "monai"))  # with the load as it is now
        if part == "scores":
            found = {"scores": scores(options.quick, device, options.out)}
        else:
            found = {"steps": measure(options.quick, device, int(part))}
        results[part] = {"machine": about, **found}
    file.write_text(json.dumps(short(results), indent=1) + "\n", encoding="utf-8")
    stem.with_suffix(".md").write_text(table(results), encoding="utf-8")
    print(stem)
    return 0


if __name__ == "__main__":
    sys.exit(main())
