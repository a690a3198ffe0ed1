"""The machine a benchmark ran on, and the numbers that it leaves."""

import os
import platform
import re
import time
from importlib import metadata
from pathlib import Path


def machine(device: str | None, packages: tuple[str, ...]) -> dict:
    """The machine and its software, as far as they matter for speed; no name of a host or a person."""
    found = {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "gpu": None,
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in packages},
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "load": round(os.getloadavg()[0], 2),
    }
    if device:
        import torch

        found["gpu"] = torch.cuda.get_device_name(device)
    return found


def find_gpu(name: str) -> str | None:
    """The CUDA device to measure on besides the CPU; None: there is none, or it is not wanted."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else None
    return name if name.startswith("cuda") else None


def described(machine: dict) -> str:
    """The machine and its software in words."""
    software = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {machine['gpu'] or 'no GPU'}; "
        f"{machine['system']}; Python {machine['python']}, {software}."
    )


def slug(machine: dict) -> str:
    """The machine in a file's name.

    >>> slug({"cpu": "Intel(R) Xeon(R) Processor", "cores": 2, "gpu": None})
    'intel-xeon-processor-2-cores'
    """
    words = re.sub(r"\((R|TM)\)|CPU|@.*", "", machine["cpu"], flags=re.I)
    parts = [words, f"{machine['cores']} cores", machine["gpu"] or ""]
    return re.sub(r"[^a-z0-9]+", "-", " ".join(parts).lower()).strip("-")


def digits(value: float) -> str:
    """Three significant digits, without powers of ten: 6.44e+06 is written 6,440,000."""
    return f"{float(f'{value:.3g}'):,.0f}" if value >= 100 else f"{value:.3g}"


def short(value):
    """Six significant digits are more than a timing has."""
    if isinstance(value, dict):
        return {k: short(v) for k, v in value.items()}
    if isinstance(value, list):
        return [short(v) for v in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _cpu() -> str:
    try:
        return re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.M)[1].strip()
    except (OSError, TypeError):
        return platform.processor() or platform.machine()
