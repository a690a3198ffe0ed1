"""The public data sets: what each is, is it there and whole, where does it come from.

Read `catalogue`, then `check`, `fetch`, and `command`, which is `python -m covid_study.datasets`.
"""
