"""For nbval, with `-p tests.forked_kernels`: kernels start as a run's do (`covid_study.study.kernels`), and each notebook is
kept as it was executed, in `build/smoke/checked/`, for `tests/smoke_pages.py`."""

import os

import nbformat

from covid_study import paths
from covid_study.runtime import artefacts, workers
from covid_study.study import kernels

if workers.can_fork():
    os.environ["JUPYTER_DEFAULT_PROVISIONER_NAME"] = kernels.register()


def pytest_runtest_teardown(item, nextitem):
    """Keep what a cell put out, and after its last cell the notebook."""
    if not hasattr(item, "test_outputs"):  # no cell of a notebook
        return
    item.cell["outputs"] = item.test_outputs or []
    if nextitem is None or nextitem.parent is not item.parent:
        file = paths.build("smoke") / "checked" / item.path.name
        artefacts.write_atomically(file, lambda path: nbformat.write(item.parent.nb, path))
