"""A forked kernel does what any does where it is asked to, and ends with its runner however that ends."""

import os
import signal
import subprocess
import sys

import psutil
import pytest

from covid_study.runtime import workers
from covid_study.study import kernels

RUNNER = """
import os, signal, sys, time
from pathlib import Path
from jupyter_client.manager import start_new_kernel
from covid_study.study import execute, kernels

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background
    kernels.LARGE[:] = ["pandas", "covid_study.study.kernels"]
    name = execute.prepare_kernel(Path("jupyter").absolute(), None, several=True)
    start_new_kernel(kernel_name=name)[0].shutdown_kernel(now=True)
    os.environ |= {"TOLD": "late", "OMP_NUM_THREADS": "1"}
    manager, client = start_new_kernel(kernel_name=name)
    code = "import os, sys, matplotlib, torch, multiprocessing as m; print(os.getpid(), m.current_process().daemon, "
    code += "'pandas' in sys.modules, os.environ['TOLD'], torch.get_num_threads(), matplotlib.get_backend(), os.getcwd())"
    code += "; from covid_study.runtime.workers import side_by_side; "
    code += "import threadpoolctl as t; print(max(i['num_threads'] for i in t.threadpool_info())); "
    code += "import operator; print(*side_by_side(operator.methodcaller('__call__'), [lambda: 'pandas' in sys.modules] * 2, 2))"
    client.execute_interactive(code, output_hook=lambda m: print(m["content"].get("text", ""), end="", flush=True))
    time.sleep(60)
"""


@pytest.mark.skipif(not workers.can_fork(), reason="kernels are not forked here")
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_a_forked_kernel_ends_with_its_runner(tmp_path, end):
    (tmp_path / "runner.py").write_text(RUNNER)
    command = [sys.executable, "runner.py"]
    env = {k: v for k, v in os.environ.items() if k != "MPLBACKEND"}
    with subprocess.Popen(
        command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as runner:
        said = runner.stdout.readline().split(maxsplit=6)
        threads = int(runner.stdout.readline())
        workers_have = runner.stdout.readline().split()
        kernel = psutil.Process(int(said[0]))
        runner.send_signal(end)
        runner.wait(timeout=60)
    assert said[1:6] == ["False", "True", "late", "1", kernels.BACKEND["MPLBACKEND"]]
    assert said[6].strip() == str(tmp_path)
    assert threads == 1  # of the libraries that were loaded before the fork too
    assert workers_have == ["True", "True"]  # forked as their kernel was, they need not import it
    psutil.wait_procs([kernel], timeout=60)
    assert not kernel.is_running()
