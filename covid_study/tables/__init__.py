"""The tables of the papers, and the way of the data to them.

Read `volume_steps` and `slice_steps` (the way through paper A and paper B), then a table: `a4_backbone` is Table IV of paper A.
"""
