"""Kernels that start with the large libraries in memory: forked from one process that has imported them, once a run.

Imports cost a notebook 5 s of a core and more, its first training 2 s (torch's compiler): of fifteen notebooks more than a
minute. The first kernel of a run starts as any does, while that process gets ready; the others wait for it.
"""

import multiprocessing
import os
import threading
from importlib.metadata import EntryPoint
from multiprocessing import forkserver
from typing import Any

from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner

CONTEXT = multiprocessing.get_context("forkserver")
NAME = "covid-study-forked"
# Of the package only what imports torchvision; its other modules are read as they are when their notebook begins.
LARGE = [
    *(
        "pandas",
        "scipy.stats",
        "sklearn.metrics",
        "sklearn.linear_model",
        "skimage.draw",
        "numba",
        "SimpleITK",
        "nibabel",
    ),
    *("matplotlib.pyplot", "matplotlib_inline.backend_inline", "seaborn", "torch._dynamo"),
    *("covid_study.networks.torchvision_compat", "monai.networks.nets", "ipykernel.kernelapp", __name__),
]
# What ipykernel tells matplotlib, which is imported before it here.
BACKEND = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}


class Kernel(CONTEXT.Process):  # type: ignore[name-defined,misc]
    """A kernel as a forked process, with what Jupyter asks of one that `subprocess` has started."""

    stdin = stdout = stderr = None

    def __init__(self, command: list[str], env: dict[str, str], folder: str):
        super().__init__(daemon=True)  # ended with the runner
        self.command, self.env, self.folder = command, env, folder

    def run(self) -> None:
        from ipykernel.kernelapp import IPKernelApp

        self.daemon = False  # it may have processes of its own
        # which are forked as it was: Python 3.11 would begin another server
        forkserver._forkserver.ensure_running = lambda: None
        threading.Thread(target=_end_with_the_runner, daemon=True).start()
        os.setsid()  # as Jupyter does: Ctrl-C is for the runner
        os.environ.clear()
        os.environ.update(self.env)
        if threads := self.env.get("OMP_NUM_THREADS"):
            from covid_study.runtime.workers import limit_threads

            limit_threads(int(threads))
        os.chdir(self.folder)
        if "sh" in self.command:  # of a run: see `execute`
            log = self.command[self.command.index("sh") + 1]
            os.dup2(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT), 2)
        IPKernelApp.launch_instance(self.command[self.command.index("-f") :], parent_handle=os.getppid())

    def poll(self) -> int | None:
        return self.exitcode

    def wait(self) -> int | None:
        self.join()
        return self.exitcode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)


def _end_with_the_runner() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)


class Forked(LocalProvisioner):
    """How Jupyter starts and ends such a kernel."""

    ready = False

    async def launch_kernel(self, cmd: list[str], **kwargs: Any):
        if not Forked.ready:
            os.environ |= BACKEND
            CONTEXT.set_forkserver_preload(LARGE)
            forkserver.ensure_running()
            Forked.ready = True
            return await super().launch_kernel(cmd, **kwargs)
        self.cwd = kwargs.get("cwd") or os.getcwd()
        self.process = Kernel(cmd, kwargs["env"] | BACKEND, str(self.cwd))
        self.process.start()
        self.pid = self.pgid = self.process.pid
        return self.connection_info


def register() -> str:
    """Make `Forked` known to Jupyter in this process; the name to ask for it by."""
    known = KernelProvisionerFactory.instance().provisioners
    known[NAME] = EntryPoint(NAME, f"{__name__}:{Forked.__name__}", KernelProvisionerFactory.GROUP_NAME)
    return NAME
