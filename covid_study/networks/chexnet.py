"""Transfer-CheXNet (Li et al. 2021; paper B, Table 3): DenseNet-121 that has learnt to read chest X-rays.

Its weights are no part of this study: the file is the user's. Files of several makers are understood; their names for
the layers differ in a prefix (`module.densenet121.features...`) and in old names of torchvision (`norm.1`).
"""

from pathlib import Path

from torch import nn

from covid_study.errors import ParameterError
from covid_study.networks.backbones import classifier_name
from covid_study.networks.weights import IMAGENET, Weights, read, to_grey
from covid_study.runtime.manifest import sha256_of

BACKBONE = "densenet121"
FIRST, MEAN = "features.conv0.weight", "features.norm0.running_mean"


def find(file: str | Path | None) -> tuple[Weights | None, str]:
    """The file with ChestX-ray weights, and a sentence for the report (paper B, Table 3: Transfer-CheXNet).

    Args:
        file: what `comparison.chexnet` says: .pth, .pth.tar, .pt or .safetensors; None: there is none.

    Returns:
        The weights, or None where there are none; what they are, or why the row is left out.

    Raises:
        ParameterError: there is no such file.

    >>> find(None)
    (None, 'Transfer-CheXNet is left out: comparison.chexnet names no file with ChestX-ray weights of DenseNet-121.')
    """
    if file is None:
        reason = "comparison.chexnet names no file with ChestX-ray weights of DenseNet-121"
        return None, f"Transfer-CheXNet is left out: {reason}."
    file = Path(file).expanduser()
    if not file.is_file():
        raise ParameterError(f"comparison.chexnet: there is no file {file}; give its path, or null")
    sha256 = sha256_of(file)
    sentence = f"Transfer-CheXNet starts from the file {file.name}, SHA-256 {sha256[:12]}..."
    return Weights(BACKBONE, file, sha256, sentence, origin="chexnet"), sentence


def load(model: nn.Module, weights: Weights) -> str:
    """Give DenseNet-121 what fits of a file of ChestX-ray weights; its last linear layer stays random (paper B, Table 3).

    Choice: the file's network is taken to expect three channels, less ImageNet's mean and divided by its deviation, as
    CheXNet does; both are folded into the one grey channel (see `weights.load`). A network of one channel is taken as it is.

    Args:
        model: `backbones.build("densenet121")`.
        weights: what `find` gave.

    Returns:
        How many of its weights were in the file, and the first that was not, for the report.

    Raises:
        ParameterError: the file cannot be read, or nothing in it fits.
    """
    # what stands before "features." says who wrapped the network
    state = {name[max(name.find("features."), 0) :]: values for name, values in read(weights.file).items()}
    head = classifier_name(model)
    expected = {
        name: values
        for name, values in model.state_dict().items()
        if not name.startswith(f"{head}.") and not name.endswith("num_batches_tracked")
    }
    if FIRST in state and MEAN in state and state[FIRST].shape[1] == 3:
        to_grey(model, state, FIRST, IMAGENET)
    fitting = {
        name: state[name] for name in expected if name in state and state[name].shape == expected[name].shape
    }
    if not fitting:
        examples = ", ".join(list(state)[:3]) or "none"
        raise ParameterError(
            f"{weights.file} holds no weights of DenseNet-121 (its first names: {examples}). Give another file as "
            "comparison.chexnet, or null to leave the row out"
        )
    model.load_state_dict(fitting, strict=False)
    missing = [name for name in expected if name not in fitting]
    rest = f"; not there: {missing[0]}" if missing else ""
    return f"{len(fitting)} of {len(expected)} tensors of DenseNet-121 come from {weights.file.name}{rest}."
