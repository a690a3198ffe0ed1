"""Computed once, atomically, resumable; and where work is done.

Read `artefacts` (a result in a folder of its own, found where it was computed before), then `closure` (which code it depends
on), `progress` (one display for a person, a report and a log), `executors` (in this process, or on a Dask cluster; what
is told when memory or disk are used up), `device`.
"""
