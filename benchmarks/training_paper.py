"""The paper's two networks at its size: exams a second, memory, and the hours that its training sets would take (Table III)."""

import statistics
from dataclasses import replace
from pathlib import Path

import torch
import training_methods as methods
from training_methods import Setting, say, spread

from covid_study import paths
from covid_study.params.profiles import load_profile
from covid_study.scores import published

SHAPE = (256, 192, 56)  # x, y, z (paper A, IV-F2)


def measure(plan: dict, device: torch.device, out: Path) -> list[dict]:
    """Our loop with the paper's two networks, both stem strides and precisions, and the hours of its training sets."""
    kind, epochs = device.type, load_profile(paths.root() / "params" / "paper.yaml")["training"]["epochs"]
    batch, steps = plan["paper_batch"][kind], plan["paper_steps"][kind]
    cases = [
        Setting("paper", plan["paper_shape"][kind], batch, exams=batch * steps, epoch=batch * steps,
                width=plan["paper_width"], depth=depth, stem_stride=stride, precision=precision)
        for depth in (18, 50) for stride in (2, 1) for precision in ("float32", "bf16")
    ]  # fmt: skip
    volumes, labels = methods.random_exams(cases[0])
    found: dict[Setting, list[methods.Seconds]] = {case: [] for case in cases}
    memory: dict[Setting, int] = {}
    failed: set[Setting] = set()
    slow: set[Setting] = set()
    for turn in range(plan["paper_rounds"] + 1):
        for case in cases:
            if case in failed | slow:
                continue
            say(f"paper, ResNet-{case.depth}, stem stride {case.stem_stride}, {case.precision}, {kind}")
            first = turn == 0  # one step, which allocates and compiles
            tried = replace(case, exams=batch) if first else case
            taken, peak = train_once(tried, volumes[: tried.exams], labels[: tried.exams], device, out)
            if taken is None:
                failed.add(case)
                continue
            memory[case] = max(peak, memory.get(case, 0))
            if first and taken.passes > plan["slow"]:
                slow.add(case)
                found[case].append(methods.Seconds(taken.passes * steps, taken.once))
            elif not first:
                found[case].append(taken)
    return [paper_row(case, found[case], memory.get(case, 0), kind, epochs, case in failed) for case in cases]


def train_once(setting: Setting, volumes, labels, device: torch.device, out: Path):
    """Seconds of an epoch and the most memory held on a GPU; None where the memory does not suffice."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    try:
        torch.manual_seed(0)
        taken = methods.Loop(methods.network(setting), setting, volumes, labels, device, out)()
    except RuntimeError as error:  # torch.OutOfMemoryError is one; the CPU's allocator has none of its own
        if not isinstance(error, torch.OutOfMemoryError) and "not enough memory" not in str(error):
            raise
        return None, 0
    return taken, torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0


def paper_row(case: Setting, found: list, memory: int, kind: str, epochs: int, failed: bool) -> dict:
    """A network's row; at another size than the paper's its hours there follow from the number of operations."""
    row = {
        "device": kind, "depth": case.depth, "stem_stride": case.stem_stride, "precision": case.precision,
        "width": case.width, "shape": list(case.shape), "batch": case.batch, "epochs": epochs, "out_of_memory": failed,
        "flops_an_exam": methods.flops_an_exam(case), "peak_memory_bytes": memory,
    }  # fmt: skip
    if failed:
        return row
    factor = methods.flops_an_exam(replace(case, shape=SHAPE)) / row["flops_an_exam"]
    row |= {
        **spread("exams_a_second", [case.exams / s.passes for s in found]),
        "once_seconds": statistics.median(s.once for s in found),
        "repeats": len(found),
        "extrapolated": case.shape != SHAPE,
    }
    for name, exams in paper_exams().items():
        row[f"hours_{name}"] = hours(row["exams_a_second"], row["once_seconds"], exams, epochs)
        row[f"paper_size_hours_{name}"] = hours(
            row["exams_a_second"] / factor, row["once_seconds"], exams, epochs
        )
    return row


def hours(exams_a_second: float, once: float, exams: int, epochs: int) -> float:
    """Of a training: its exams, and what is done once an epoch.

    >>> hours(10.0, 6.0, exams=300, epochs=100)
    1.0
    """
    return epochs * (exams / exams_a_second + once) / 3600


def paper_exams() -> dict[str, int]:
    """Exams of the paper's training set with all negatives and with 56 % of them (Tables II and III)."""
    split = published.table("A.II").set_index(["row", "column"])["value"]
    sizes, positives = published.sizes("A.III"), int(split["positive", "train"])
    return {column: positives + int(sizes[column]) for column in ("all", "56%")}
