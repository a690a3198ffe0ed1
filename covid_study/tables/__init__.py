"""The tables of the papers, declared, and the way of the data to them.

Read `volume_steps` and `slice_steps` (the way through paper A and paper B), then `table` (what all tables have in common;
`scoring` is what differs between exams and slices), then a table: `a4_backbone` declares Table IV of paper A.
"""
