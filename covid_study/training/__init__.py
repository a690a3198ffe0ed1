"""One training loop, and runs: what is trained on what, how, from where.

Read `loop` with `optimisers`, then `run` and `slice_run`, `sweep` (many runs), `processes` with `whole_batch` (several GPUs).
"""
