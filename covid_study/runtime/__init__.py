"""Computed once, atomically, resumable; and where work is done.

Read `artefacts` (a result in a folder of its own, found where it was computed before), `manifest` (its files, looked for when
they are read), `closure` (which code it depends on), `provenance` (with what it was made), then `progress` (one display for
a person, a report and a log), `executors` (in this process, or on a Dask cluster), `workers` (processes
that stay), `disk` (one that is full), `device`, `quick_jsonschema` (imports in half the time).
"""
