"""One training loop, and runs: what is trained on what, how, from where.

Read `loop` with `optimisers`, then `run` with its methods `volume_classifier` and `slice_classifier`, `sweep` (many runs), `processes` with `whole_batch` (several GPUs).
"""
