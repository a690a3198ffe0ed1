"""Runs the notebooks: `python -m covid_study.study --profile demo`.

Read `plan` (what a run consists of) with `dependencies`, then `execute` (one notebook), `pages` (the report), `reproduce`, `verify`.
"""
