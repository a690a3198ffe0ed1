"""The networks, and where their first weights come from.

Read `resnet3d` (paper A), `backbones` (paper B), `deep_supervision` (paper B, 3.2) with `find_stages` for
other people's networks, then `weights` (ImageNet), `chexnet`, `ct_encoder`.
"""

import importlib

from covid_study import handed_on
from covid_study.runtime import quick_jsonschema  # before MONAI # noqa: F401

_handed_on = handed_on(__name__, DeepSupervision="deep_supervision")


def __getattr__(name: str) -> object:
    """The network, for other people's code: the torchvision that they import next is mended first where it must be."""
    if name == "DeepSupervision":
        importlib.import_module("covid_study.networks.torchvision_compat")
    return _handed_on(name)
