"""What a profile may hold: a model a section, for paper A, then for paper B."""

import re
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from covid_study.runtime.executors import is_executor

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]
AtLeastOne = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


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
    background: str | None  # real exams whose bodies the lesions are put into; null: synthetic bodies
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
    def _exams_or_background(self) -> Self:
        if self.exams is not None and self.phantom.background is not None:
            raise ValueError(
                "either real exams are studied (EXAMS, cohort.exams) or lesions are put into real exams "
                "(cohort.phantom.background), not both: set one of the two to null"
            )
        return self

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


Backbone = Literal[
    "vgg16_bn",
    "resnet50",
    "densenet169",
    "densenet121",
    "resnext50_32x4d",
    "mobilenet_v2",
    "alexnet",
    "googlenet",
    "efficientnet_lite0",
]
Loss = Literal["ce", "focal", "class_balanced", "sce", "saal"]
Part = Annotated[float, Field(gt=0, le=1)]


class Slices(Section):
    """Which slices are classified, and what the network gets of them (paper B, 3.1 and 4.1)."""

    images: str | None  # a folder of images, a folder a class, or a CSV; null: axial slices of the exams
    size: Annotated[int, Field(ge=32, le=512)]  # pixels a side
    crop: bool  # to the square around the lungs, images to the box that their lists give; the paper does not
    per_exam: AtLeastOne | None  # slices taken of an exam; null: all that show enough lung
    exams: AtLeastOne | None  # most exams of a finding; null: all
    train_share: Annotated[float, Field(gt=0, lt=1)]  # by patient


class SliceNetwork(Section):
    """The backbone of DSN-SAAL and of every comparison of losses (paper B, 3.2)."""

    backbone: Backbone
    weights: Literal["auto", "none", "imagenet"]
    weights_folder: str | None  # with weight files of torchvision
    precision: Literal["float32", "bf16"]


class SliceTraining(Section):
    """How each network of paper B is trained (paper B, 4.3)."""

    epochs: AtLeastOne
    batch_size: AtLeastOne
    optimiser: Literal["sgd", "adamw"]
    learning_rate: Positive
    weight_decay: Annotated[float, Field(ge=0)]
    augment: bool  # crops, flips and brightness at random; the paper has none
    seeds: Annotated[list[Count], Field(min_length=1)]  # the paper's ten repeats


class SliceLosses(Section):
    """The losses of Table 5 (paper B, 3.3)."""

    log_zero: Annotated[float, Field(lt=0)]  # A, what log 0 is taken for
    focal_gamma: Annotated[float, Field(ge=0)]
    focal_alpha: Share
    class_balanced_beta: Annotated[float, Field(ge=0, lt=1)]
    sce_alpha: Positive
    sce_beta: Positive


class Comparison(Section):
    """The rows of Tables 3 and 4 (paper B, 5.1 and 5.2)."""

    backbones: list[Backbone]  # plain ones, beside the backbone of slice_network
    supervised: list[Backbone]  # those that are also trained with deep supervision
    epochs: AtLeastOne  # of every backbone but that of slice_network
    slices: AtLeastOne | None  # most training slices of those; null: all
    contrastive_epochs: Count  # Self-Trans; 0 leaves the row out
    chexnet: str | None  # a file with ChestX-ray weights of DenseNet-121
    meta_share: Annotated[float, Field(ge=0, lt=1)]  # of the rarest class; 0 leaves the row out
    meta_every: AtLeastOne  # steps of Meta-Weight-Net's classifier to one of its weighing network


class Imbalance(Section):
    """How many of the COVID-19 training slices are kept (paper B, 5.3)."""

    shares: Annotated[list[Part], Field(min_length=1)]
    losses: list[Loss]  # the sweep that the paper lacks
    loss_shares: list[Part]

    @model_validator(mode="after")
    def _all_comes_first(self) -> Self:
        if self.shares[0] != 1.0:
            raise ValueError("shares: the first must be 1.0, what the fall of sensitivity is measured from")
        return self


class Explanations(Section):
    """The figures on single slices (paper B, 5.4)."""

    slices: AtLeastOne  # in each figure


class Public(Section):
    """Tables 7 to 9, on pictures of a public data set (paper B, 5.5). Without `slices.images` nothing of it is used."""

    size: Annotated[int, Field(ge=32, le=512)]  # pixels a side, in place of slices.size
    training: SliceTraining  # in place of slice_training
    more_seeds: list[Count]  # further trainings of DSN-SAAL, whose interval over repeats is asked for
    backbones: list[Backbone]  # plain rows beside the backbone of slice_network; each table takes its own
    epochs: AtLeastOne  # of those backbones and of Self-Trans
    slices: AtLeastOne | None  # most training slices of those; null: all
    contrastive_epochs: Count  # of Self-Trans before its training; 0 leaves the row out
    per_class: AtLeastOne | None  # training slices of each class in the second part of Table 7; null: all
    folds: Annotated[int, Field(ge=2)]  # where the data set has no split of its own (Table 9)
    near: Count  # bits of the perceptual hash in which near-duplicates may differ


class SliceSelection(Section):
    """Which negative slices train, and how scarce the positives are, where selection meets supervision."""

    features: Literal["grey_histogram", "backbone"]  # that slices are ranked by
    share: Part  # of the negative training slices that a selection keeps
    positives: list[Part]  # shares of the COVID-19 training slices
