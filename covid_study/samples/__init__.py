"""A cohort as tensors: one store, resumable, for volumes and for slices.

Read `samples` (what a training is given), then `cohorts` (which exams a run studies), `store` and `slice_store` (built once).
"""
