"""A model's folder: `model.json` says what it is and reads, `model.safetensors` holds its weights; checked when read."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from covid_study.cohort.findings import outputs
from covid_study.ct import to_slice, to_volume
from covid_study.errors import StudyError
from covid_study.runtime.artefacts import source_key
from covid_study.runtime.manifest import sha256_of

if TYPE_CHECKING:
    import torch
    from torch import nn

ABOUT, WEIGHTS, CARD = "model.json", "model.safetensors", "README.md"
FORMAT = 1
NOTICE = (
    "Research software, not a medical device: not for diagnosis, treatment or any decision about a patient."
)
NEEDED = (
    "format",
    "kind",
    "architecture",
    "classes",
    "input",
    "threshold",
    "seeds",
    "weights",
    "code",
    "usual",
)
VOLUME = {  # what of the way to a network's input stands in the code
    "orientation": "z caudal to cranial, y front to back, x the patient's right to left (LPS)",
    "window_hu": {"level": to_volume.LEVEL, "width": to_volume.WIDTH},
    "field_of_view_mm": list(to_volume.FIELD_OF_VIEW_MM),
    "margin_mm": list(to_volume.MARGIN_MM),
    "values": "uint8, 0 to 255 over the window, 0 outside the lungs; the network gets them divided by 255",
}
SLICE = {
    "orientation": "front of the patient up, his right on the left",
    "window_hu": {"level": to_slice.LEVEL, "width": to_slice.WIDTH},
    "values": "uint8, 0 to 255 over the window, 0 outside the lungs; the network gets them divided by 255",
}
PICTURE = {"values": "uint8, grey as the picture is; the network gets them divided by 255"}
CONTRACTS = {"volume": VOLUME, "slice": SLICE, "picture": PICTURE}


def preparing(kind: str) -> str:
    """Fingerprint of the code that makes a network's input from an exam. kind: of CONTRACTS."""
    made_by = ["samples.volume_parts"] if kind == "volume" else ["samples.slice_parts"]
    return source_key(made_by if kind == "picture" else [*made_by, "ct.files"])


@dataclass(frozen=True)
class Model:
    """A model's folder, read and checked by `read`; several seeds are several networks of one architecture."""

    folder: Path
    about: dict  # what model.json holds

    @property
    def kind(self) -> str:
        """What it reads: "volume", "slice" (of an exam), "picture"."""
        return self.about["kind"]

    @property
    def outputs(self) -> tuple[str, ...]:
        """The classes in the order of the network's outputs."""
        return outputs(self.about["classes"])

    @property
    def seeds(self) -> list[int]:
        """The seeds of its trainings, one network each."""
        return self.about["seeds"]

    @cached_property
    def notes(self) -> list[str]:
        """What holds of everything that it says here, in sentences."""
        if self.about["code"].get("preparing") == preparing(self.kind):
            return []
        return ["the code that prepares exams here is not the one that it was trained with"]

    def networks(self, device: "torch.device") -> "dict[int, nn.Module]":
        """Seed -> its network, in evaluation mode, laid out in memory as it was trained: so its bits are the run's.

        Raises:
            StudyError: the weights are not those of the architecture.
        """
        import torch
        from safetensors import safe_open

        found = {}
        layout = torch.channels_last_3d if self.kind == "volume" else torch.channels_last
        with safe_open(self.folder / WEIGHTS, "pt") as weights:
            names = list(weights.keys())
            for seed in self.seeds:
                network = empty_network(self.about["architecture"], len(self.outputs))
                own = [name for name in names if name.startswith(f"{seed}.")]
                try:
                    network.load_state_dict({n.partition(".")[2]: weights.get_tensor(n) for n in own})
                except RuntimeError as error:
                    raise _wrong(
                        self.folder, f"{WEIGHTS} does not fit {ABOUT} ({str(error)[:120]})"
                    ) from None
                found[seed] = network.to(device, memory_format=layout).eval()
        return found


def read(folder: Path | str) -> Model:
    """The model in a folder, every file of it checked by size and SHA-256; nothing is unpickled.

    Raises:
        StudyError: names the file that is missing, was changed, or is of another version.
    """
    folder = Path(folder).expanduser().absolute()  # processes that are kept may stand elsewhere
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StudyError(
            f"{folder} holds no {ABOUT}. What to do: give the folder that `covid-study export` wrote."
        ) from None
    except (OSError, ValueError) as error:
        raise _wrong(folder, f"{ABOUT} cannot be read ({str(error)[:120]})") from None
    if not isinstance(about, dict) or (lacking := [name for name in NEEDED if name not in about]):
        raise _wrong(
            folder, f"{ABOUT} lacks {', '.join(lacking) if isinstance(about, dict) else 'everything'}"
        )
    if about["format"] != FORMAT or about["kind"] not in CONTRACTS:
        said = f"format {about['format']!r}, kind {about['kind']!r}"
        raise StudyError(
            f"{folder / ABOUT} is of a kind that this version does not know ({said}). What to do: use the version that "
            f"exported it ({about['code'].get('covid-study', 'unknown')}), or export it again."
        )
    for name in (WEIGHTS, CARD):
        _check_file(folder, name, about["weights"] if name == WEIGHTS else about.get("card"))
    for name, here in CONTRACTS[about["kind"]].items():
        if about["input"].get(name) != here:
            raise StudyError(
                f"{folder / ABOUT}: the model wants {name} {about['input'].get(name)}, this version prepares {here}. "
                "What to do: use the version that exported it."
            )
    return Model(folder, about)


def _check_file(folder: Path, name: str, kept: dict | None) -> None:
    file = folder / name
    if kept is None:
        return
    if not file.is_file():
        raise _wrong(folder, f"{name} is missing")
    if (size := file.stat().st_size) != kept["bytes"]:
        raise _wrong(folder, f"{name} has {size:,} bytes where {kept['bytes']:,} were written")
    if sha256_of(file) != kept["sha256"]:
        raise _wrong(folder, f"{name} holds other bytes than were written (SHA-256)")


def _wrong(folder: Path, problem: str) -> StudyError:
    return StudyError(f"the model in {folder}: {problem}. What to do: copy it again, or export it again.")


def empty_network(architecture: dict, classes: int) -> "nn.Module":
    """The network of an architecture, its weights still to come.

    >>> small = {"network": "resnet3d", "depth": 18, "width": 0.0625, "stem_stride": 2}
    >>> empty_network(small, 3).head.out_features
    3
    """
    if architecture["network"] == "resnet3d":
        from covid_study.networks.resnet3d import Classifier, build

        return Classifier(*build(architecture), classes)
    from covid_study.networks import backbones
    from covid_study.networks.deep_supervision import DeepSupervision

    network = backbones.build(architecture["network"], classes)
    return DeepSupervision(network) if architecture["supervised"] else network
