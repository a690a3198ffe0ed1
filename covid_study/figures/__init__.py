"""Data frames and arrays in, matplotlib figures out; three grammars serve nearly all figures.

Read `style` (seaborn's theme, colours, panels, legends), then `intervals` (points with intervals by row and column), `curves`
(lines over epochs and shares) and `pictures` (grids of the slices that `tile` draws). What has a form of its own follows:
`thresholds` (ROC, precision and recall), `pareto` (scores against cost), `tallies` (bars, confusion matrices), `ranking` (soft
labels, selections) and `cohort` (counts, lung densities).
"""
