"""The parameters of the study: one section a subject, one pydantic model a notebook.

A profile (`params/demo.yaml`) holds every section; a notebook's parameters cell holds the sections that it reads,
at the values of the smoke profile. An unknown key or a wrong type is an error that names the key, the file and the
nearest valid name.
"""

import difflib
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, Field, ValidationError, ValidationInfo, field_validator, model_validator

from covid_study.errors import ParameterError
from covid_study.executors import is_executor
from covid_study.params_base import AtLeastOne, Count, Positive, Section, Share
from covid_study.params_slices import (
    Comparison,
    Explanations,
    Imbalance,
    SliceLosses,
    SliceNetwork,
    Slices,
    SliceTraining,
)

Finding = Literal["covid", "cap", "non_pneumonia"]


class Study(Section):
    """What run this is."""

    profile: str
    name: str  # the folder below build/ and reports/
    device: str = "auto"  # auto, cpu, cuda, cuda:1, mps
    workers: AtLeastOne | None = None  # processes for preprocessing; null: one a core
    executor: str = (
        "in_process"  # of long computations: in_process, dask (a local cluster), or a scheduler's address
    )
    processes: AtLeastOne = 1  # a training is spread over: one a GPU
    seeds: Annotated[list[Count], Field(min_length=1)]
    bootstrap: Annotated[int, Field(ge=100)] = 1000  # resamples behind each interval

    @field_validator("executor")
    @classmethod
    def _executor_is_known(cls, executor: str) -> str:
        if not is_executor(executor):
            raise ValueError(
                "EXECUTOR is in_process, dask, or the address of a Dask scheduler (tcp://host:8786)"
            )
        return executor

    @field_validator("device")
    @classmethod
    def _device_has_a_name(cls, device: str) -> str:
        if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", device):
            raise ValueError("DEVICE is auto, cpu, cuda, cuda:1 (2, 3, ...) or mps")
        return device

    @field_validator("processes")
    @classmethod
    def _processes_or_a_cluster(cls, processes: int, info: ValidationInfo) -> int:
        executor = info.data.get("executor", "in_process")
        if processes > 1 and executor != "in_process":
            raise ValueError(
                "either several processes train each network (PROCESSES) or a Dask cluster trains several networks at once "
                f"(EXECUTOR, here {executor}): set processes: 1 or executor: in_process"
            )
        return processes


class SplitCounts(Section):
    """Exams of each finding in one side of the phantom cohort."""

    covid: AtLeastOne
    cap: Count
    non_pneumonia: Count


class Phantom(Section):
    """The synthetic cohort; unused when `exams` names real ones."""

    seed: Count
    matrix: Annotated[int, Field(ge=64, le=512)]
    thickness_mm: Annotated[list[Positive], Field(min_length=2, max_length=2)]
    train: SplitCounts
    validation: SplitCounts
    test: SplitCounts


class Cohort(Section):
    """Which exams are studied and how they are split by patient (paper A, V-A)."""

    exams: str | None
    on_bad_exam: Literal["leave_out", "stop"]
    classes: Annotated[
        list[Literal["covid", "cap", "non_pneumonia", "negative"]], Field(min_length=2, max_length=3)
    ]
    split: Annotated[list[Share], Field(min_length=3, max_length=3)]
    split_seed: Count
    phantom: Phantom

    @field_validator("classes")
    @classmethod
    def _classes_are_apart(cls, classes: list[str]) -> list[str]:
        both = "negative" in classes and len(classes) > 2
        if classes[0] != "covid" or len(set(classes)) < len(classes) or both:
            raise ValueError(
                "covid first, then either negative (every other finding) or findings of their own: "
                "[covid, negative], [covid, cap, non_pneumonia], [covid, cap] or [covid, non_pneumonia]"
            )
        return classes

    @model_validator(mode="after")
    def _shares_sum_to_one(self) -> Self:
        if abs(sum(self.split) - 1) > 1e-6:
            raise ValueError(f"split: the three shares must sum to 1, these sum to {sum(self.split):g}")
        return self


class Preprocessing(Section):
    """From HU to the network's input (paper A, IV-F2); x, y, z as the paper writes them."""

    shape: Annotated[list[Annotated[int, Field(ge=8)]], Field(min_length=3, max_length=3)]
    working_spacing_mm: Annotated[list[Positive], Field(min_length=3, max_length=3)]


class Network(Section):
    """The 3-D ResNet (paper A, IV-F) and the precision it is trained in."""

    depth: Literal[18, 50]  # 18 as in the paper; Table IV has 50

    width: Positive  # 1.0: 512 features; 0.25: 128
    stem_stride: Literal[1, 2]
    precision: Literal["float32", "bf16"]


class Pretext(Section):
    """Rubik's cube and Rubik's cube Pro (paper A, IV-B)."""

    permutations: Annotated[int, Field(ge=2, le=336)]
    epochs: AtLeastOne
    batch_size: AtLeastOne
    learning_rate: Positive
    gap: Annotated[list[Count], Field(min_length=3, max_length=3)]  # largest gap between cubes, voxels, x y z
    heads: Literal["siamese", "whole"]
    probe_every: AtLeastOne  # epochs between two linear probes
    all_samples_epochs: AtLeastOne  # pre-training on positives and negatives (Table V, last row)


class Ranking(Section):
    """Soft labels, difficulty, diversity and joint rank (paper A, IV-C and D)."""

    features: Literal["pretext", "hu_histogram"]
    mass: Literal["partial", "normalised"]
    order_free: Literal[
        "none", "channels", "positives", "both"
    ]  # whose listed order plays no role; not "none" is slow
    alpha: Share
    beta: Share
    orders: (
        AtLeastOne  # random orders of channels and of positives, to see how much the ranking depends on them
    )
    ground_pairs: AtLeastOne  # most linear programmes an equation for an order-free variant


class Sampling(Section):
    """How a selection is drawn from the ranking (paper A, IV-E, V-E)."""

    shares: Annotated[
        list[Annotated[float, Field(gt=0, lt=1)]], Field(min_length=1)
    ]  # of the training negatives
    long_tail_exponent: Positive
    normal_width: Positive  # of the half normal, as a share of the archive


class Training(Section):
    """The COVID-19 classifier (paper A, IV-F2)."""

    epochs: AtLeastOne
    batch_size: AtLeastOne
    learning_rate: Positive
    intensity: Annotated[list[Positive], Field(min_length=2, max_length=2)]
    flips: bool


class Transfer(Section):
    """Another network trained on what the ranking's network selected (paper A, V-D2, Table IV)."""

    depth: Literal[18, 50]
    shares: Annotated[
        list[Annotated[float, Field(gt=0, lt=1)]], Field(min_length=1)
    ]  # of the training negatives


class Online(Section):
    """Strategies against imbalance while training (paper A, V-F, Table VI)."""

    share: Annotated[float, Field(gt=0, lt=1)]  # of the negatives: the selection beside ALL
    ohem_share: Annotated[float, Field(gt=0, le=1)]  # of a batch that online hard example mining keeps
    focal_gamma: Annotated[float, Field(ge=0)]
    focal_alpha: Share


class PretextAblation(Section):
    """What masking and the set of permutations change (paper A, IV-B; Noroozi and Favaro 2016)."""

    epochs: AtLeastOne  # of each variant, on the positives


class ReadingGuide(Section):
    study: Study


class PreprocessingNotebook(ReadingGuide):
    cohort: Cohort
    preprocessing: Preprocessing


class PretextTraining(PreprocessingNotebook):
    network: Network
    pretext: Pretext


class RankingNotebook(PretextTraining):
    ranking: Ranking
    sampling: Sampling


class Selection(RankingNotebook):
    """What the notebooks that train classifiers read."""

    training: Training


class BackboneTransfer(Selection):
    transfer: Transfer


class OnlineSelection(Selection):
    online: Online


class PretextWeights(Selection):
    pretext_ablation: PretextAblation


class SliceNotebook(ReadingGuide):
    """What all notebooks of paper B read."""

    cohort: Cohort
    slices: Slices
    slice_network: SliceNetwork
    slice_training: SliceTraining
    slice_losses: SliceLosses


class DeepSupervision(SliceNotebook):
    comparison: Comparison


class ImbalanceSweep(SliceNotebook):
    imbalance: Imbalance


class ExplanationsNotebook(SliceNotebook):
    explanations: Explanations


class Profile(
    BackboneTransfer, OnlineSelection, PretextWeights, DeepSupervision, ImbalanceSweep, ExplanationsNotebook
):
    """The model with every section."""


NOTEBOOKS: dict[str, type[Section]] = {
    "00_reading_guide": ReadingGuide,
    "01_preprocessing": PreprocessingNotebook,
    "02_pretext_training": PretextTraining,
    "03_ranking": RankingNotebook,
    "04_ranking_ablation": Selection,
    "05_sampling_strategies": Selection,
    "06_backbone_transfer": BackboneTransfer,
    "07_online_selection": OnlineSelection,
    "08_pretext_weights": PretextWeights,
    "09_deep_supervision": DeepSupervision,
    "10_losses": SliceNotebook,
    "11_imbalance_sweep": ImbalanceSweep,
    "12_explanations": ExplanationsNotebook,
}


def _valid_names(model: type[BaseModel], where: tuple) -> list[str]:
    """The keys that are valid beside the one at `where`."""
    for step in where[:-1]:
        field = model.model_fields.get(step)
        inner = field.annotation if field else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        model = inner
    return sorted(model.model_fields)


def check(model: type[Section], values: dict[str, Any], source: str) -> Any:
    """Validate `values` against `model`; `source` (a file, a cell) is named in the error.

    Raises:
        ParameterError: one line a problem: the key, what is wrong and, for an unknown key, the nearest valid name.

    >>> check(Network, {"depth": 18, "width": 0.25, "precision": "bf16", "stem_strid": 2}, "params/mine.yaml")
    Traceback (most recent call last):
    ...
    covid_study.errors.ParameterError: params/mine.yaml: 'stem_stride' is missing
    params/mine.yaml: unknown key 'stem_strid'; the nearest valid name is 'stem_stride'
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            where, key = problem["loc"], ".".join(map(str, problem["loc"]))
            if problem["type"] == "extra_forbidden":
                valid = _valid_names(model, where)
                near = difflib.get_close_matches(str(where[-1]), valid, n=1, cutoff=0.5)
                hint = (
                    f"the nearest valid name is '{near[0]}'" if near else f"valid names: {', '.join(valid)}"
                )
                lines.append(f"{source}: unknown key '{key}'; {hint}")
            elif problem["type"] == "missing":
                lines.append(f"{source}: '{key}' is missing")
            else:
                message = problem["msg"].removeprefix("Value error, ")
                lines.append(f"{source}: '{key}': {message}, got {problem['input']!r}{_yaml_hint(problem)}")
        raise ParameterError("\n".join(lines)) from None


def _yaml_hint(problem: dict) -> str:
    if problem["type"] in {"float_type", "int_type"} and isinstance(problem["input"], str):
        return " (YAML reads 1e-3 as text: write 1.0e-3)"
    return ""


class _Loader(yaml.SafeLoader):
    """YAML that refuses a key that stands twice, where it would take the last and say nothing."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for number, key in enumerate(keys):
            if key in keys[:number]:
                where = node.value[number][0].start_mark
                raise yaml.constructor.ConstructorError(None, None, f"the key '{key}' stands twice", where)
        return super().construct_mapping(node, deep)


def load_profile(path: Path | str) -> dict[str, dict]:
    """Read and check a profile; returns its sections as plain dictionaries.

    Raises:
        ParameterError: the file is missing, is no YAML mapping, or a key or value in it is wrong.
    """
    path = Path(path)
    if not path.is_file():
        known = sorted(p.stem for p in path.parent.glob("*.yaml"))
        near = difflib.get_close_matches(path.stem, known, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise ParameterError(
            f"there is no profile '{path.stem}' ({path}){hint} Profiles: {', '.join(known) or 'none'}"
        )
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # a safe loader
    except yaml.YAMLError as error:
        raise ParameterError(f"{path} is not valid YAML: {error}") from None
    if not isinstance(values, dict):
        raise ParameterError(f"{path}: expected a mapping of sections ({', '.join(Profile.model_fields)})")
    return check(Profile, values, str(path)).model_dump()


def notebook_parameters(notebook: str, profile: dict[str, dict]) -> dict[str, dict]:
    """The sections of `profile` that a notebook reads, as papermill injects them.

    >>> sorted(notebook_parameters("00_reading_guide", {"study": {"name": "demo"}, "cohort": {}}))
    ['study']
    """
    if notebook not in NOTEBOOKS:
        raise ParameterError(
            f"no parameter model for notebook '{notebook}': add it to covid_study.params.NOTEBOOKS"
        )
    return {section: profile[section] for section in NOTEBOOKS[notebook].model_fields}


def of_notebook(notebook: str, **sections: dict) -> Any:
    """Validate what a notebook's parameters cell holds.

    >>> of_notebook("00_reading_guide", study=dict(profile="smoke", name="smoke", seeds=[0])).study.device
    'auto'
    """
    return check(NOTEBOOKS[notebook], sections, f"parameters cell of {notebook}")
