"""The networks, and where their first weights come from.

Read `resnet3d` (paper A), `backbones` (paper B), `deep_supervision` (paper B, 3.2), then `weights` (ImageNet), `chexnet`.
"""
