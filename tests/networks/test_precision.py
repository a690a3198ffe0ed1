"""`precision: auto` by network and hardware, planted; and that bf16 steps where float32 does."""

import pytest
import torch
from tiny_runs import BF16_IS_RIGHT, CPU, problem, small_model
from torch.nn import functional as F

from covid_study.errors import StudyError
from covid_study.networks import backbones
from covid_study.networks.precision import GAIN, settled
from covid_study.samples.batch import to_input

CUDA = torch.device("cuda")


@pytest.mark.parametrize(
    "device, capabilities, expected",
    [
        (CPU, {"amx_bf16": True}, "bf16"),
        (CPU, {"amx_bf16": False, "avx512_bf16": True}, "float32"),  # vectors alone
        (CPU, {"architecture": "aarch64"}, "float32"),
        (CPU, None, "float32"),  # a torch that cannot say
        (CUDA, (9, 0), "bf16"),
        (CUDA, (8, 0), "bf16"),
        (CUDA, (7, 5), "float32"),
        (torch.device("mps"), {"amx_bf16": True}, "float32"),
    ],
)
def test_auto_takes_bf16_where_there_are_matrix_units_and_the_network_gains(
    device, capabilities, expected, monkeypatch
):
    if device.type == "cuda":
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capabilities)
    elif capabilities is None:
        monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    else:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert settled("auto", "resnet3d", 48, device) == settled("auto", "vgg16_bn", 96, device) == expected
    for name, side in {"resnet3d": 47, "vgg16_bn": 95, "efficientnet_lite0": 512}.items():
        assert settled("auto", name, side, device) == "float32"
    for asked in ("float32", "bf16"):
        if asked == "bf16" and device.type == "cpu" and expected == "float32":
            with pytest.raises(StudyError, match="precision"):
                settled(asked, "resnet3d", 48, device)
        else:
            assert {settled(asked, name, 8, device) for name in ("resnet3d", "efficientnet_lite0")} == {asked}


def test_what_gains_are_networks_that_there_are():
    assert {"resnet3d"} <= GAIN.keys() <= {"resnet3d", *backbones.NAMES}


@BF16_IS_RIGHT
def test_a_step_in_bf16_goes_where_one_in_float32_goes():
    """Weights and their gradients stay float32 and point the same way, within the 8 bits of a bfloat16.

    With fixed statistics: normalising ten exams by themselves, one voxel each at the end, magnifies whatever rounding.
    """
    volumes, labels = problem()
    gradients = {}
    for bf16 in (False, True):
        model = small_model().eval()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = F.cross_entropy(model(to_input(volumes)), labels)
        loss.backward()
        assert {p.grad.dtype for p in model.parameters()} == {torch.float32}
        gradients[bf16] = torch.cat([p.grad.ravel() for p in model.parameters()]), loss.item()
    assert gradients[True][1] == pytest.approx(gradients[False][1], rel=0.002)
    assert F.cosine_similarity(gradients[True][0], gradients[False][0], dim=0) > 0.99
    assert not torch.equal(gradients[True][0], gradients[False][0])
