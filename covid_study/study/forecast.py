"""What a profile's trainings will take on a GPU, said before the first notebook begins: operations, hours, memory.

`python -m covid_study.study.forecast FILE` is a process of its own, which leaves nothing on the GPU. `reproduce` starts it
where a GPU is meant; on a CPU nothing of it runs.

Choice: a training step reaches a quarter of the rate of a large matrix product in float32, a tenth in bf16. On a CPU it was 10
to 40 % and 3 to 13 % (benchmarks/results/training-*.md); on a GPU nobody has measured it.
"""

import sys
import time
from pathlib import Path

import torch

from covid_study.errors import StudyError
from covid_study.params.profiles import check, load_profile
from covid_study.params.sections import Profile
from covid_study.runtime.device import device_name, find_device
from covid_study.runtime.progress import duration
from covid_study.samples.cohorts import cohort
from covid_study.study.needs import Needs, of_slices, of_volumes
from covid_study.training.sweep import places

SHARE = {"float32": 0.25, "bf16": 0.1}  # of the rate of a large matrix product, see above
SIDE = 8192  # of those matrices


def forecast(p, device: torch.device) -> dict[str, Needs]:
    """What each paper needs, by the exams and pictures of the run."""
    return {"A": of_volumes(p, cohort(p), device), "B": of_slices(p, device)}


def rate(device: torch.device, precision: str, seconds: float = 1.0) -> float:
    """Operations a second of a product of two large matrices, measured for a second."""
    dtype = {"float32": torch.float32, "bf16": torch.bfloat16}[precision]
    values, products = torch.ones((SIDE, SIDE), dtype=dtype, device=device), 0
    (values @ values).sum().item()  # the first one is slow
    started = time.perf_counter()
    while time.perf_counter() - started < seconds:
        (values @ values)[0, 0].item()  # waits for the device
        products += 1
    return products * 2 * SIDE**3 / (time.perf_counter() - started)


def refuse(found: dict[str, Needs], free: int, at_once: int, name: str) -> None:
    """Does all of it fit?

    Args:
        free: bytes of the device. at_once: trainings that share it.

    Raises:
        StudyError: names the paper, what it needs, and what to set.
    """
    for paper, needs in found.items():
        needed = needs.bytes * at_once
        if needed <= free:
            continue
        at_most = max(needs.passes, key=needs.passes.get)
        smaller = {"A": "preprocessing.shape", "B": "slices.exams, slices.per_exam, slices.size"}[paper]
        shared = f", study.per_gpu ({at_once})" if at_once > 1 else ""
        raise StudyError(
            f"The trainings of paper {paper} need {_size(needed)} on {name}, where {_size(free)} are free: data "
            f"{_size(needs.held)}, a step {_size(needs.passes[at_most])}. Make smaller: {at_most}, {smaller}{shared}."
        )


def said(found: dict[str, Needs], rates: dict[str, float], devices: int, name: str, at_once: int = 1) -> str:
    """The forecast in words, a line a paper. rates: operations a second by precision."""
    lines = []
    for paper, needs in found.items():
        seconds = (
            sum(flops / (rates[precision] * SHARE[precision]) for precision, flops in needs.flops.items())
            / devices
        )
        lines.append(
            f"Forecast, paper {paper} from nothing on {f'{devices} x ' * (devices > 1)}{name}: {needs.trainings} trainings, "
            f"{needs.flops.total() / 1e15:,.1f} PFLOP, about {duration(seconds)}; {_size(needs.bytes * at_once)} of its memory"
            + (
                f", and {_size(needs.data)} of the computer's: the volumes stay there."
                if needs.on_host
                else "."
            )
        )
    return "\n".join(lines)


def _size(n: float) -> str:
    return f"{n / 2**30:,.1f} GiB"


def main(file: str) -> int:
    """Say what the profile in this file needs; 3 where it cannot fit, as `reproduce` knows."""
    try:
        p = check(Profile, load_profile(Path(file)), file)
        device = find_device(p.study.device)
        if device.type != "cuda":
            return 0
        found, name = forecast(p, device), device_name(device)
        refuse(found, torch.cuda.mem_get_info(device)[0], p.study.per_gpu, name)
        rates = {
            precision: rate(device, precision) for precision in {k for n in found.values() for k in n.flops}
        }
        print(said(found, rates, places(device), name, p.study.per_gpu))
    except StudyError as error:
        print(error, file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
