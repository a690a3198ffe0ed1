"""Where tensors live: the device that was asked for, and its name for a report."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits

from covid_study.errors import ParameterError


def find_device(name: str = "auto") -> torch.device:
    """The device to compute on: the one asked for, or the first GPU, or the CPU.

    Raises:
        ParameterError: the device asked for is not there.

    >>> find_device("cpu")
    device(type='cpu')
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
        return ready(torch.device(name))
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ParameterError(
            f"device '{name}' cannot be used ({reason}); use DEVICE=cpu or DEVICE=auto"
        ) from None


def ready(device: torch.device) -> torch.device:
    """The device; in a process that uses a GPU, convolutions are chosen by trial and matrices multiplied in TF32."""
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True
        torch.set_float32_matmul_precision("high")
    return device


def fits(size: int, device: torch.device) -> bool:
    """Do data of so many bytes go to the device, or do they stay on the host? Choice: half of what is free is for networks.

    >>> fits(2**50, torch.device("cpu"))
    True
    """
    return device.type != "cuda" or size <= torch.cuda.mem_get_info(device)[0] / 2


@contextmanager
def limited_threads(count: int | None) -> Iterator[None]:
    """So many threads for torch and the libraries of linear algebra; None: as many as there are."""
    before = torch.get_num_threads()
    with threadpool_limits(count):
        torch.set_num_threads(count or before)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def device_name(device: torch.device, processes: int = 1) -> str:
    """The device in words, for reports; where several processes have one each, how many."""
    each = f"{processes} x " if processes > 1 else ""
    if device.type == "cuda":
        return f"{each}{torch.cuda.get_device_name(device)}"
    return f"{platform.machine()} CPU, {each}{torch.get_num_threads()} of {os.cpu_count()} threads"
