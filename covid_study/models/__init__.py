"""Models that travel: classifiers of a run as a folder that others can use, and what they say of exams of one's own.

Read `model` (what such a folder is, checked when it is read), `export` (a cell of a table becomes one) and `card` (what its
reader must know), then `prepared` (an exam on disk as the network's input, by the study's own functions), `predict` (one row
an exam), `overlay` (where the network looked), and `explain` with `checks`: why an exam was left out, or read as it was.
"""
