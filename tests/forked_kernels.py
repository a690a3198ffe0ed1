"""For nbval: kernels start as a run's do (`covid_study.study.kernels`), with `-p tests.forked_kernels`."""

import os

from covid_study.runtime import workers
from covid_study.study import kernels

if workers.can_fork():
    os.environ["JUPYTER_DEFAULT_PROVISIONER_NAME"] = kernels.register()
