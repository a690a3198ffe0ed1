"""The losses of both papers.

Read `imbalance`: online strategies (paper A, V-F), SAAL and those beside it (paper B, 3.3).
"""
