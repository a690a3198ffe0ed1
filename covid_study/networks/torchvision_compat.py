"""Lets torchvision be imported where its build does not match torch's (a CUDA build beside a CPU torch).

Such a torchvision cannot load its compiled operators, and its import stops at `operator torchvision::nms does not
exist`, although models, weights and transforms need none of them. Declaring the two operators whose shapes it
registers at import is enough. Import this module before anything that imports torchvision (MONAI and torchmetrics do).

Importing the module does nothing to a torchvision that works.
"""

from __future__ import annotations

import importlib
import types

import torch

OPERATORS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}

_library = None  # a torch.library fragment lives as long as the object does


def declare_operators() -> list[str]:
    """Declare the torchvision operators that no compiled library has declared yet.

    Returns
    -------
    The names declared by this call: empty where torchvision's own library was loaded, or at a second call.
    """
    global _library
    missing = [name for name in OPERATORS if not _declared(name)]
    if missing and _library is None:
        _library = torch.library.Library("torchvision", "FRAGMENT")
    for name in missing:
        _library.define(OPERATORS[name])
    return missing


def import_torchvision() -> types.ModuleType:
    """Import torchvision, whichever build it is.

    >>> import_torchvision().models.__name__
    'torchvision.models'
    """
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:  # only this fault is mended here; every other one stays visible
        if "torchvision::" not in str(error):
            raise
    import sys

    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    declare_operators()
    return importlib.import_module("torchvision")


def _declared(name: str) -> bool:
    try:
        getattr(torch.ops.torchvision, name)
    except (AttributeError, RuntimeError):
        return False
    return True


torchvision = import_torchvision()
