"""The networks, and where their first weights come from.

Read `resnet3d` (paper A), `backbones` (paper B), `deep_supervision` (paper B, 3.2) with `find_stages` for
other people's networks, then `weights` (ImageNet), `chexnet`, `ct_encoder`.
"""

from covid_study import handed_on
from covid_study.runtime import quick_jsonschema  # before MONAI # noqa: F401

__getattr__ = handed_on(__name__, DeepSupervision="deep_supervision")
