"""Runs the notebooks: `covid-study reproduce`.

Read `plan` (what a run is), `notebook` and `dependencies`, then `execute` (one notebook), `kernels` (its process),
`display`, `pages` and `run_pages` (the report), `reproduce`, `verify`.
"""

from covid_study.runtime import quick_jsonschema  # before nbformat # noqa: F401
