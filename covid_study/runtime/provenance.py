"""With what a result was made: commit, versions, machine; recorded with every artefact and every table of results."""

import os
import platform
import subprocess
from functools import cache
from importlib import metadata

from covid_study import paths

VERSIONS = ("torch", "monai", "numpy", "scipy", "pandas", "scikit-learn")


def versions() -> dict[str, str]:
    """The installed versions that a report states."""
    found = {}
    for name in VERSIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "missing"
    return found


def cudnn() -> str:
    """The version of cuDNN that came with torch, on which convolutions depend."""
    names = [d.name for d in metadata.distributions() if d.name.startswith("nvidia-cudnn")]
    return metadata.version(names[0]) if names else "unknown"


@cache
def commit(root=paths.PACKAGE.parent) -> str:
    """The commit of the code, and whether it was changed since; "unknown" outside a clone."""
    found = output("git", "-C", str(root), "rev-parse", "--short=10", "HEAD") or "unknown"
    edited = found != "unknown" and output(
        "git", "-C", str(root), "status", "--porcelain", "--untracked-files=no"
    )
    return f"{found} with uncommitted changes" if edited else found


@cache
def made_with() -> dict[str, str]:
    """Commit, versions and machine, the same for all that one process makes."""
    return {
        "commit": commit(),
        "python": platform.python_version(),
        **versions(),
        "machine": f"{platform.machine()}, {os.environ.get('OMP_NUM_THREADS') or os.cpu_count()} threads",
    }


def output(*command: str) -> str:
    """What a command prints; "" where it fails or is not there."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
