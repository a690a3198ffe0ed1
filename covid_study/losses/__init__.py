"""The losses of both papers, one a file.

Paper A (V-F, Table VI): `focal`, `ohem`, and `online`, which picks one by name.
Paper B (3.3 and Table 5): `saal`, made of `class_balanced` and `symmetric`; `focal`; `by_stage`, which picks one by name;
`meta_weight_net` (Table 3).
"""

from importlib import import_module

PLACES = {"SelfAdaptiveAuxiliaryLoss": "saal"}  # found here too, without importing torch for nothing


def __getattr__(name: str):
    if name not in PLACES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{PLACES[name]}"), name)
