"""Self-supervision, and what it has learnt.

Read `rubiks_cube` (the task of paper A, IV-B), then `train`, `contrastive` (Self-Trans, of paper B's Table 3), `probes`.
"""

from covid_study import handed_on

__getattr__ = handed_on(__name__, permutations="rubiks_cube")
