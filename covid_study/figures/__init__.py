"""Data frames and arrays in, matplotlib figures out; three grammars serve nearly all figures.

Read `style` (seaborn's theme, colours, panels, legends), then `intervals` (points with intervals by row and column, bars,
confusion matrices), `curves` (lines over epochs, shares and thresholds, ROC, what a score costs), `pictures` (grids of slices
and volumes); then what has a form of its own: `ranking` (soft labels, selections) and `cohort` (counts, lung densities).
"""
