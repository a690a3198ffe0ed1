"""One training loop, and runs: what is trained on what, how, from where.

Read `run` with its methods `volume_classifier` and `slice_classifier`, then `loop` with `optimisers`, `sweep` (many runs) with
`time_left`, `processes` with `whole_batch` (several GPUs).
"""
