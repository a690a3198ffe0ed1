"""A training spread over several processes, one a GPU, by Lightning Fabric; on one machine or on several.

A notebook's kernel is one process, so a training that is to run in several is handed to `torchrun`: the function and its
arguments lie in a file of the folder that it fills, and every process reads them from there (`python -m
covid_study.training.processes FOLDER`), with the exams mapped into memory. The processes train as one would with the whole
batch (see `whole_batch`), the first writes the results: their number is no part of a result's cache key.

Starting the processes takes some seconds for each training, so it pays for long ones. To start them on several machines
with a folder in common, say in COVID_STUDY_LAUNCHER how torchrun is started there, for instance on a cluster with Slurm:
`srun --nodes 2 --ntasks-per-node 1 python -m torch.distributed.run --nnodes 2 --rdzv-backend c10d --rdzv-endpoint node1:29400`;
PROCESSES is then that of each machine.
"""

import os
import shlex
import shutil
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from covid_study.errors import ParameterError, StudyError
from covid_study.runtime.progress import LIVE_FILE, is_shown

LAUNCHER = "COVID_STUDY_LAUNCHER"
LINES = 20  # of what the processes wrote, told where they failed: the length of torchrun's own summary


def check(processes: int, device: torch.device) -> None:
    """Can so many processes have a device of their own?

    Raises:
        ParameterError: says what to write instead.

    >>> check(2, torch.device("cpu"))
    >>> check(2, torch.device("mps"))
    Traceback (most recent call last):
    ...
    covid_study.errors.ParameterError: PROCESSES=2: there is one mps device; use PROCESSES=1
    """
    if device.type == "cpu":
        return
    if device.type != "cuda":
        raise ParameterError(f"PROCESSES={processes}: there is one {device.type} device; use PROCESSES=1")
    if device.index:
        raise ParameterError(
            f"PROCESSES={processes} takes the GPUs from the first on, DEVICE={device} names one of them; use DEVICE=cuda, and "
            "CUDA_VISIBLE_DEVICES to say which GPUs there are"
        )
    if torch.cuda.device_count() < processes:
        raise ParameterError(
            f"PROCESSES={processes}: this machine has {torch.cuda.device_count()} GPUs, and each process needs one; use "
            f"PROCESSES={torch.cuda.device_count()}"
        )


def spread(function: Callable, folder: Path, *arguments, processes: int, device: torch.device, **settings):
    """Do `function(folder, *arguments, fabric=fabric, **settings)` in several processes at once, and wait for them.

    Args:
        function: of a module, so that another process can import it; gets a launched `lightning_fabric.Fabric` with its
            process's device. What it returns is lost: it writes its results into `folder`, from one process.
        arguments, settings: what `torch.save` can write; tensors come as views of the file, on the CPU.
        processes: on this machine, or on each machine that COVID_STUDY_LAUNCHER starts. device: "cpu" or "cuda".

    Raises:
        ParameterError: there are fewer devices than processes.
        StudyError: a process failed; holds what torchrun says and the traceback of the first that left one.
    """
    check(processes, device)
    handover = Path(folder).resolve() / "handover"
    shutil.rmtree(handover, ignore_errors=True)  # of a call that was killed
    handover.mkdir(parents=True)
    call = partial(function, handover.parent, *arguments, **settings)
    torch.save({"call": call, "device": device.type}, handover / "call.pt")
    code = _run(_command(handover, processes), handover, processes)
    if code:
        raise StudyError(f"the training in {processes} processes failed.\n{_trouble(handover, code)}")
    shutil.rmtree(handover)


def _command(handover: Path, processes: int) -> list[str]:
    here = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    launcher = shlex.split(os.environ.get(LAUNCHER, "")) or here
    return [
        *launcher,
        "--nproc-per-node",
        str(processes),
        "-m",
        "covid_study.training.processes",
        str(handover),
    ]


def _run(command: list[str], handover: Path, processes: int) -> int:
    """Start the processes and show what the first says; they end when this process does."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "OMP_NUM_THREADS": str(max(1, torch.get_num_threads() // processes)),
    }
    quiet = is_shown()  # inside another display, as a training in this process would be
    if quiet:
        environment.pop(LIVE_FILE, None)
    with open(handover / "stderr.txt", "wb") as errors:
        running = subprocess.Popen(
            command, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
        )
    try:
        for line in running.stdout:
            if not quiet:
                print(line, end="", flush=True)
        return running.wait()
    finally:
        running.terminate()  # where this process was interrupted; torchrun ends the others
        running.wait()
        running.stdin.close()
        running.stdout.close()


def _trouble(handover: Path, code: int) -> str:
    """What went wrong: the last lines of all, where torchrun names a process that was killed, and the first traceback."""
    lines = (handover / "stderr.txt").read_text(encoding="utf-8", errors="replace").splitlines()
    told = [f"Exit status {code}. The last lines that they wrote:", *lines[-LINES:]]
    failed = sorted(handover.glob("trouble-*.txt"), key=lambda path: path.stat().st_mtime_ns)
    return "\n".join(told + [path.read_text(encoding="utf-8") for path in failed[:1]])


def _end_with_the_caller() -> None:
    """Wait until the standard input closes, as it does when the process that holds its other end is gone."""
    while os.read(0, 1024):
        pass
    os._exit(1)


def main(handover: Path) -> int:
    """One of the processes: what `torchrun` starts."""
    threading.Thread(target=_end_with_the_caller, daemon=True).start()
    rank, here = int(os.environ["RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
    if rank:  # the first one speaks for all
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  open until the end
        os.environ.pop(LIVE_FILE, None)
    try:
        from lightning_fabric import Fabric
        from lightning_fabric.strategies import DDPStrategy

        # weights_only=False reads any object: the file was written by `spread`, a moment ago
        given = torch.load(handover / "call.pt", map_location="cpu", mmap=True, weights_only=False)
        fabric = Fabric(
            accelerator=given["device"],
            devices=here,
            num_nodes=int(os.environ["WORLD_SIZE"]) // here,
            strategy=DDPStrategy(broadcast_buffers=False),  # they are equal: computed from the whole batch
        )
        fabric.launch()
        given["call"](fabric=fabric)
    except Exception:  # whatever it is, the caller tells it
        (handover / f"trouble-{rank}.txt").write_text(traceback.format_exc(), encoding="utf-8")
        return 1
    return 0


if __name__ == "__main__":
    code = main(Path(sys.argv[1]))
    sys.stdout.flush()
    os._exit(code)  # at once: what ends a process group waits for processes that may be gone
