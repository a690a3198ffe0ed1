"""Numbers with intervals, the papers' numbers, what the papers claim, and verdicts.

Read `binary`, `multiclass` and `slices` (scores, as they are and under weights), `resamples` (every interval of the study),
`published` (what the papers print), `estimands` with `claims.yaml` (what they claim), `paired` (runs on the same draws),
`claims` (one of four verdicts), and for a referee `power`.
"""
