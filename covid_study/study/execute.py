"""Running notebooks with papermill: their kernels, their parameters, and what went wrong."""

from __future__ import annotations

import ast
import json
import logging
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from covid_study import errors, paths
from covid_study.params.profiles import check
from covid_study.params.sections import Profile
from covid_study.runtime.disk import unwritable
from covid_study.runtime.progress import LIVE_FILE
from covid_study.study.display import Display

OWN_KERNEL = "covid-study"
ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Failure:
    """Why a notebook stopped. `for_people`: a StudyError, whose message stands alone; else a traceback's end."""

    message: str
    for_people: bool


def injected(stem: str, notebook: dict[str, Any], profile: dict[str, dict]) -> dict[str, dict]:
    """What papermill puts after a notebook's parameters cell: the sections that the cell names, as the run has them.

    Raises:
        errors.ParameterError: no cell is tagged `parameters`, or it names what is no section.
    """
    cells = [c for c in notebook["cells"] if "parameters" in c.get("metadata", {}).get("tags", [])]
    if len(cells) != 1:
        raise errors.ParameterError(
            f"notebooks/{stem}.ipynb has {len(cells)} cells tagged 'parameters' where one is expected. "
            "Tag the cell that sets its parameters (JupyterLab: Property Inspector, Cell Tags)."
        )
    try:
        body = ast.parse("".join(cells[0]["source"])).body
    except SyntaxError as error:
        raise errors.ParameterError(
            f"notebooks/{stem}.ipynb: the parameters cell is not valid Python: {error}"
        ) from None
    targets = [
        t for s in body for t in (s.targets if isinstance(s, ast.Assign) else [getattr(s, "target", None)])
    ]
    names = [t.id for t in targets if isinstance(t, ast.Name)]
    unknown = {name: {} for name in names if name not in profile}
    if unknown or "study" not in names:
        checked = {**profile, **unknown} if unknown else {k: v for k, v in profile.items() if k != "study"}
        check(Profile, checked, f"parameters cell of {stem}")
    return {name: profile[name] for name in names}


def prepare_kernel(folder: Path, kernel: str | None, several: bool = False) -> str:
    """The name of the kernel to use: the one asked for, or one for this very interpreter, described below `folder`.

    Where it is started several times, all but the first are forked, see `kernels`.

    A kernel called python3 in the user's home may start any Python, so none is looked for there; nothing is installed.

    Raises:
        errors.StudyError: there is no kernel of that name.
    """
    root = str(paths.PACKAGE.parent)
    os.environ["PYTHONPATH"] = os.pathsep.join(
        dict.fromkeys([root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))])
    )
    if kernel:
        from jupyter_client.kernelspec import KernelSpecManager

        known = sorted(KernelSpecManager().find_kernel_specs())
        if kernel not in known:
            raise errors.StudyError(
                f"there is no Jupyter kernel '{kernel}'. Known kernels: {', '.join(known)}."
            )
        return kernel
    home = folder / "kernels" / OWN_KERNEL
    home.mkdir(parents=True, exist_ok=True)
    # What the process prints beside its cells' outputs would break the display: it goes to a file.
    log = folder / "kernel.log"
    log.unlink(missing_ok=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", "--log-level=ERROR"]
    argv = ["/bin/sh", "-c", 'log=$1; shift; exec "$@" 2>>"$log"', "sh", str(log), *command]
    spec = {"argv": argv, "display_name": "covid-study", "language": "python"}
    from covid_study.runtime.workers import can_fork  # a runner with nothing to do needs neither
    from covid_study.study import kernels

    if several and can_fork():
        spec["metadata"] = {"kernel_provisioner": {"provisioner_name": kernels.register()}}
    (home / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    os.environ["JUPYTER_PATH"] = os.pathsep.join(
        [str(folder), *filter(None, [os.environ.get("JUPYTER_PATH")])]
    )
    return OWN_KERNEL


def execute(
    source: Path,
    output: Path,
    parameters: dict[str, Any],
    kernel: str,
    root: Path,
    display: Display,
    environment: dict[str, str],
) -> Failure | None:
    """Run the notebook `source` in the folder `root` and leave it, with its outputs, at `output`.

    Args:
        environment: what its kernel has beside the variables of this process.

    Returns:
        None where every cell ran. `output` is written in either case.
    """
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.clientwrap import PapermillNotebookClient
    from papermill.engines import NBClientEngine, papermill_engines

    environment = {**os.environ, **environment, LIVE_FILE: str(display.live)}

    class Engine(NBClientEngine):
        @classmethod
        def execute_managed_notebook(cls, nb_man, kernel_name, **options):
            start = nb_man.cell_start

            def cell_start(cell, cell_index=None, **more):
                display.cell, display.cells = cell_index + 1, len(nb_man.nb.cells)
                return start(cell, cell_index=cell_index, **more)

            nb_man.cell_start = cell_start
            client = PapermillNotebookClient(
                nb_man, kernel_name=kernel_name, timeout=None, startup_timeout=120
            )
            # Not papermill's own `cwd`: it moves the whole process, where others run beside this one.
            with _running(client):
                return client.execute(env=environment, cwd=str(root))

    engine = f"covid-study: {output}"
    papermill_engines.register(engine, Engine)
    for name in ("papermill", "papermill.translators", "traitlets"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    display.live.unlink(missing_ok=True)  # of a run that was killed
    try:
        papermill.execute_notebook(
            str(source),
            str(output),
            parameters=parameters,
            engine_name=engine,
            kernel_name=kernel,
            language="python",
            progress_bar=False,
        )
    except papermill.PapermillExecutionError as error:
        if error.ename in _names_of(OSError) and (number := re.match(r"\[Errno (\d+)\]", error.evalue)):
            place = re.search(r": '(/.+?)'$", error.evalue)
            met = OSError(int(number[1]), "", *([place[1]] if place else []))
            told = unwritable(met, display.live.parent)
            if told:
                return Failure(str(told), True)
        for_people = error.ename in _names_of(errors.StudyError)
        return Failure(error.evalue if for_people else _end("\n".join(error.traceback)), for_people)
    except DeadKernelError:
        return Failure(
            "The notebook's Python process died, most often because the memory was used up or something ended it. "
            "Close other programs or take a smaller profile, then call the same command again: it goes on.",
            True,
        )
    except RuntimeError as error:
        if display.cells:  # it did start: whatever this is, it is not the kernel
            raise
        log = display.live.parent / ".jupyter" / "kernel.log"
        return Failure(
            f"The notebook's kernel '{kernel}' did not start: {error}. What it printed is in {log}.", True
        )
    finally:
        display.live.unlink(missing_ok=True)
    return None


@contextmanager
def _running(client) -> Iterator[None]:
    _clients.append(client)
    try:
        yield
    finally:
        _clients.remove(client)


_clients: list[Any] = []


def stop() -> None:
    """End the kernels of all notebooks that run: whoever waits for them learns that they died."""
    for client in list(_clients):
        if client.km and client.km.provisioner and client.km.provisioner.pid:
            with suppress(OSError):
                os.killpg(client.km.provisioner.pid, signal.SIGKILL)


def _names_of(kind: type) -> set[str]:
    return {kind.__name__}.union(*(_names_of(k) for k in kind.__subclasses__()))


def _end(traceback: str, lines: int = 15) -> str:
    return "\n".join(ANSI.sub("", traceback).rstrip().splitlines()[-lines:])
