"""Numbers with intervals, the papers' numbers, and verdicts.

Read `binary`, `multiclass` and `slices` (scores), `published` (what the papers print), then `claims`.
"""
