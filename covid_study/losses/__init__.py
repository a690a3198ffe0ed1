"""The losses of both papers, one a file.

Paper A (V-F, Table VI): `focal`, `ohem`, and `online`, which picks one by name.
Paper B (3.3 and Table 5): `saal`, made of `class_balanced` and `symmetric`; `focal`; `by_stage`, which picks one by name;
`meta_weight_net` (Table 3).
"""

from covid_study import handed_on

__getattr__ = handed_on(__name__, SelfAdaptiveAuxiliaryLoss="saal")
