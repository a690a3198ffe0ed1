"""How fast is training? `make bench BENCH=training` measures it on this machine, beside what a MONAI user would write.

Exams a second of our loop against the bare passes on ready batches (what does the loop add?) and against CacheDataset,
DataLoader and float32 (training_methods.py has both); the share of the hardware's peak; with --paper the networks of the
paper at its size and the hours that its training sets would take; with --scores whether both sides reach the same AUC.
Always on the CPU, and on a GPU where there is one. Results: training-<machine>.json and .md.
"""

import argparse
import copy
import gc
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch
import training_methods as methods
import training_paper
import training_report as report
import training_scores
import training_sweep
from joblib import cpu_count
from machine import find_gpu, machine
from training_methods import Setting, say, spread

from covid_study import paths
from covid_study.networks.precision import settled
from covid_study.params.profiles import load_profile

# x, y, z; the CPU's size of --paper keeps the proportions of 256 x 192 x 56
FULL = {
    "rounds": 5,
    "peak": {"cpu": 2048, "cuda": 8192},  # rows of the matrices multiplied
    "peak_repeats": 10,
    "paper_shape": {"cpu": (64, 48, 14), "cuda": (256, 192, 56)},
    "paper_width": 1.0,
    "paper_batch": {"cpu": 4, "cuda": 8},
    "paper_steps": {"cpu": 2, "cuda": 8},
    "paper_rounds": 3,
    "slow": 20.0,  # seconds; a step that takes longer is measured once
    "score_exams": 160,
    "score_test": 400,
    "score_epochs": 10,
    "score_seeds": 5,
    "sweep_runs": 6,
    "sweep_epochs": 5,
}
QUICK = {
    **FULL,
    "rounds": 1,
    "peak": {"cpu": 256, "cuda": 1024},
    "peak_repeats": 2,
    "paper_shape": {"cpu": (24, 16, 12), "cuda": (24, 16, 12)},
    "paper_width": 0.125,
    "paper_batch": {"cpu": 2, "cuda": 2},
    "paper_steps": {"cpu": 1, "cuda": 1},
    "paper_rounds": 1,
    "score_exams": 16,
    "score_test": 16,
    "score_epochs": 1,
    "score_seeds": 2,
    "sweep_runs": 2,
    "sweep_epochs": 1,
}


def main() -> int:
    """Measure, and write the results."""
    options = arguments()
    plan = QUICK if options.quick else FULL
    gpu = find_gpu(options.device)
    devices = [torch.device("cpu")] + ([torch.device(gpu)] if gpu else [])
    options.out.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    results = {
        "machine": machine(gpu, report.PACKAGES),
        "command": " ".join(["python benchmarks/training.py", *sys.argv[1:]]),
        "quick": options.quick,
        "threads": torch.get_num_threads(),
        "peaks": [row for device in devices for row in peaks(plan, device)],
        "loop": [],
        "paper": [],
        "scores": [],
        "sweep": [],
    }
    if options.sweep:  # first: what follows leaves threads behind
        results["sweep"] = [
            training_sweep.measure(score_setting(plan, d), plan, d, options.out) for d in devices
        ]
    for device in devices if not options.only else ():
        for setting in settings(plan, device):
            results["loop"] += compare(setting, plan, device, options.out)
    if options.paper:
        results["paper"] = training_paper.measure(plan, devices[-1], options.out)
    if options.scores:
        say(f"scores, {plan['score_seeds']} seeds, {devices[-1].type}")
        setting = score_setting(plan, devices[-1])
        results["scores"] = [training_scores.scores(setting, plan, devices[-1], options.out)]
    results["peaks"] = best(results["peaks"] + [row for device in devices for row in peaks(plan, device)])
    results["seconds"] = time.perf_counter() - started
    for path in report.write(results, options.out):
        print(path)
    return 0


def arguments() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, seconds: does everything run?")
    parser.add_argument(
        "--paper", action="store_true", help="ResNet-18 and 50 at the paper's size, and its hours"
    )
    parser.add_argument("--scores", action="store_true", help="the AUC of both sides over seeds")
    parser.add_argument(
        "--sweep", action="store_true", help="several trainings, ours side by side, a MONAI user's in turn"
    )
    parser.add_argument("--only", action="store_true", help="what the other options say, without the loop")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent / "results")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1")
    return parser.parse_args()


def settings(plan: dict, device: torch.device) -> list[Setting]:
    """What is compared: the network and cohort of params/demo.yaml; on a GPU that of params/paper.yaml too."""
    if plan is QUICK:
        return [Setting("quick", (24, 16, 12), 4, exams=8, epoch=8, width=0.125)]
    found = [profile_setting("demo", device)]
    if device.type == "cuda":
        found.append(replace(profile_setting("paper", device), exams=64))
    return found


def profile_setting(name: str, device: torch.device) -> Setting:
    """Network, batch and training set of a profile, in whole batches."""
    p = load_profile(paths.root() / "params" / f"{name}.yaml")
    network, batch = p["network"], p["training"]["batch_size"]
    exams = sum(p["cohort"]["phantom"]["train"].values())
    return Setting(
        name=name, shape=tuple(p["preprocessing"]["shape"]), batch=batch, exams=-(-exams // batch) * batch,
        epoch=exams, width=network["width"], stem_stride=network["stem_stride"],
        precision=settled(network["precision"], "resnet3d", max(p["preprocessing"]["shape"]), device),
    )  # fmt: skip


def peaks(plan: dict, device: torch.device) -> list[dict]:
    """Operations a second that the device reaches in a matrix product, in both precisions."""
    n = plan["peak"][device.type]
    say(f"products of {n} x {n} matrices, {device.type}")
    return [
        {"device": device.type, "precision": p, "n": n,
         "flops_a_second": methods.matmul_peak(p, device, n, plan["peak_repeats"])}
        for p in ("float32", "bf16")
    ]  # fmt: skip


def best(rows: list[dict]) -> list[dict]:
    """The peaks, measured before and after everything else: the higher of the two."""
    found: dict[tuple, dict] = {}
    for row in sorted(rows, key=lambda r: r["flops_a_second"]):
        found[row["device"], row["precision"]] = row
    return list(found.values())


def compare(setting: Setting, plan: dict, device: torch.device, out: Path) -> list[dict]:
    """Our loop, the bare passes and the MONAI users: a row each."""
    say(f"the loop, {setting.name}, {device.type}")
    exams, model, rounds = methods.random_exams(setting), methods.network(setting), plan["rounds"]
    ours = methods.Loop(copy.deepcopy(model), setting, *exams, device, out)
    others = {"bare passes": methods.Bare(copy.deepcopy(model), setting, *exams, device)}
    for plain in (False, True):
        for n in sorted({0, 2, *([min(8, cpu_count())] if cpu_count() > 2 else [])}):
            name = f"MONAI, {n} workers" + (", plain tensors" if plain else "")
            others[name] = methods.MonaiUser(model, setting, *exams, device, n, plain, epochs=rounds + 1)
    neighbours = take_turns(ours, others, rounds)
    del others
    gc.collect()  # ends the workers
    rows = [loop_row("ours", setting, device, [mine for pairs in neighbours.values() for mine, _ in pairs])]
    bare = neighbours["bare passes"]
    rows[0] |= spread("added_to_passes", [mine.passes / theirs.passes - 1 for mine, theirs in bare])
    rows[0] |= spread(
        "added_to_epoch", [mine.per_exam(setting) / theirs.per_exam(setting) - 1 for mine, theirs in bare]
    )
    for name, pairs in neighbours.items():
        row = loop_row(name, setting, device, [theirs for _, theirs in pairs])
        ratios = [theirs.per_exam(setting) / mine.per_exam(setting) for mine, theirs in pairs]
        rows.append(row | spread("ratio", ratios))
    return rows


def take_turns(ours, others: dict, rounds: int) -> dict[str, list[tuple]]:
    """Seconds of ours and another's, in turn: A B, A C, A B, A D, ...; the bare passes B between all the others."""
    users = [name for name in others if name != "bare passes"]
    turns = [name for user in users for name in ("bare passes", user)]  # a few per cent need the most repeats
    found: dict[str, list[tuple]] = {name: [] for name in others}
    for name in turns:  # not counted: compiles, starts the workers, takes its memory
        ours(), others[name]()
    for name in rounds * turns:
        found[name].append((ours(), others[name]()))
    return found


def loop_row(name: str, setting: Setting, device: torch.device, found: list[methods.Seconds]) -> dict:
    """What is reported of one side."""
    bf16 = setting.precision == "bf16" and not name.startswith("MONAI")
    return {
        "setting": setting.name, "device": device.type, "method": name,
        "precision": "bf16" if bf16 else "float32", "shape": list(setting.shape), "batch": setting.batch,
        "width": setting.width, "stem_stride": setting.stem_stride, "exams": setting.exams, "epoch": setting.epoch,
        "flops_an_exam": methods.flops_an_exam(setting),
        **spread("exams_a_second", [1 / s.per_exam(setting) for s in found]),
        "passes_seconds_an_exam": statistics.median(s.passes for s in found) / setting.exams,
        "once_seconds": statistics.median(s.once for s in found),
        "repeats": len(found),
    }  # fmt: skip


def score_setting(plan: dict, device: torch.device) -> Setting:
    """The network of the demo on as many exams as scores are measured with."""
    exams = plan["score_exams"]
    return replace(settings(plan, device)[0], name="scores", exams=exams, epoch=exams)


if __name__ == "__main__":
    sys.exit(main())
