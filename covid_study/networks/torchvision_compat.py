"""Lets torchvision be imported where its build does not match torch's (a CUDA build beside a CPU torch).

Such a torchvision cannot load its compiled operators, and its import stops at `operator torchvision::nms does not
exist`, although models, weights and transforms need none of them. Declaring the two operators whose shapes it
registers at import is enough. Import this module before anything that imports torchvision (MONAI and torchmetrics do).

Importing the module does nothing to a torchvision that works.
"""

import importlib
import sys

import torch

try:
    torchvision = importlib.import_module("torchvision")
except RuntimeError as error:  # only this fault is mended here; every other one stays visible
    if "torchvision::" not in str(error):
        raise
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    library = torch.library.Library(
        "torchvision", "FRAGMENT"
    )  # its operators live as long as the object does
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    torchvision = importlib.import_module("torchvision")
