"""A cohort as tensors: one store, resumable, for volumes and for slices.

Read `samples` (what a training is given), then `cohorts` (which exams a run studies), `volume_store` and `slice_store` (built
once by `store`), and `batch` (what becomes of them in a training).
"""

from covid_study import handed_on

__getattr__ = handed_on(__name__, Samples="samples", volumes="volume_store", slices="slice_store")
