"""What a profile may hold: a model a section, for paper A, then for paper B.

A key is `name: Annotated[type, bounds, "what it is", PAPER]`; PAPER where `params/paper.yaml` holds the paper's own value.
"""

import re
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from covid_study.errors import ParameterError
from covid_study.runtime.executors import is_executor

PAPER = object()
Share = Annotated[float, Field(ge=0, le=1)]
Part = Annotated[float, Field(gt=0, le=1)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
AtLeastOne = Annotated[int, Field(ge=1)]
PixelsASide = Annotated[int, Field(ge=32, le=512)]
Some, Two, Three = Field(min_length=1), Field(min_length=2, max_length=2), Field(min_length=3, max_length=3)

Precision = Annotated[
    Literal["auto", "float32", "bf16"], "of training; auto: bf16 where hardware and network gain by it"
]
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
    "thin_resnet",
]
# rules of `ranking.rivals`
Rival = Literal["stratified", "near_miss", "k_center", "cluster_balanced", "moderate", "ccs", "d2"]
Features = Literal["pretext", "untrained", "hu_histogram", "ct_encoder"]
Distance = Literal["emd", "order_free", "euclidean", "cosine", "hellinger"]
Loss = Literal["ce", "focal", "class_balanced", "sce", "saal"]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Study(Section):
    """What run this is."""

    profile: Annotated[str, "a file of params/ without .yaml, or the path of one"]
    name: Annotated[str, "the folder below build/ and reports/"]
    device: Annotated[str, "auto, cpu, cuda, cuda:1, mps"] = "auto"
    workers: Annotated[
        AtLeastOne | None, "processes at once, for exams and for trainings; none: one a core"
    ] = None
    executor: Annotated[str, "of long work: in_process, dask (here), or a scheduler's address"] = "in_process"
    processes: Annotated[AtLeastOne, "that train a 3-D network together, one a GPU"] = 1
    per_gpu: Annotated[AtLeastOne, "trainings at once on each GPU, where its memory allows"] = 1
    seeds: Annotated[list[Count], Some, "a training of every row of paper A's tables each"]
    bootstrap: Annotated[int, Field(ge=100), "resamples behind each interval"] = 1000
    show_patient_ids: Annotated[bool, "names of your exams and patients as they are; else salted hashes"] = (
        False
    )

    def sweeps(self) -> dict:
        """How many of its trainings run at once, and where: of `sweep`."""
        return self.model_dump(include={"device", "executor", "processes", "workers", "per_gpu"})

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

    covid: Annotated[AtLeastOne, PAPER]
    cap: Annotated[Count, PAPER]
    non_pneumonia: Annotated[Count, PAPER]


class Phantom(Section):
    """The synthetic cohort; unused when `exams` names real ones."""

    seed: Annotated[Count, "another seed, another cohort"]
    background: Annotated[str | None, "real exams to put the lesions into; none: synthetic bodies"]
    matrix: Annotated[int, Field(ge=64, le=512), "pixels a side of a slice"]
    thickness_mm: Annotated[list[Positive], Two, "thinnest and thickest slice"]
    train: SplitCounts
    validation: SplitCounts
    test: SplitCounts


class Cohort(Section):
    """Which exams are studied and how they are split by patient (paper A, V-A)."""

    exams: Annotated[str | None, "a CSV table or a folder with your exams; none: the phantom"]
    on_bad_exam: Annotated[Literal["leave_out", "stop"], "an exam that cannot be used"]
    burnt_in: Annotated[bool, "read exams whose header says that text is burnt into the pixels"]
    classes: Annotated[
        list[Literal["covid", "cap", "non_pneumonia", "negative"]],
        Field(min_length=2, max_length=3),
        "that are told apart; slices keep their findings",
        PAPER,
    ]
    split: Annotated[list[Share], Three, "train, validation, test, by patient", PAPER]
    split_seed: Annotated[Count, "another seed, another split; also of slices"]
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

    shape: Annotated[list[Annotated[int, Field(ge=8)]], Three, "of the network's input, voxels", PAPER]
    working_spacing_mm: Annotated[list[Positive], Three, "that exams are resampled to", PAPER]


class Network(Section):
    """The 3-D ResNet (paper A, IV-F) and the precision it is trained in."""

    depth: Annotated[Literal[18, 50], "of the ResNet", PAPER]
    width: Annotated[Positive, "1.0: 512 features; 0.25: 128", PAPER]
    stem_stride: Annotated[Literal[1, 2], "of the first convolution"]
    precision: Precision


class Pretext(Section):
    """Rubik's cube and Rubik's cube Pro (paper A, IV-B)."""

    permutations: Annotated[int, Field(ge=2, le=336), "of the eight cubes", PAPER]
    epochs: Annotated[AtLeastOne, "on the positives"]
    batch_size: Annotated[AtLeastOne, PAPER]
    learning_rate: Annotated[Positive, PAPER]
    gap: Annotated[list[Count], Three, "largest gap between cubes, voxels, x y z"]
    heads: Annotated[Literal["siamese", "whole"], "siamese: one for each cube"]
    probe_every: Annotated[AtLeastOne, "epochs between two linear probes"]
    all_samples_epochs: Annotated[AtLeastOne, "on positives and negatives (Table V, last row)"]


class Ranking(Section):
    """Soft labels, difficulty, diversity and joint rank (paper A, IV-C and D)."""

    features: Annotated[Features, "of an exam", PAPER]
    distance: Annotated[
        Distance,
        "of exams (eq. 3) and of soft labels (eq. 6); order_free is emd without a listed order, and slow",
        PAPER,
    ]
    mass: Annotated[Literal["partial", "normalised"], "that the earth mover moves (eq. 3)", PAPER]
    alpha: Annotated[Share, "weight of difficulty in the joint rank", PAPER]
    beta: Annotated[Share, "weight of diversity", PAPER]
    diversity_pairs: Annotated[AtLeastOne, "most distances of eq. 6; beyond, the others met are drawn"]
    orders: Annotated[AtLeastOne, "random orders of channels and of positives, to measure their influence"]
    ground_pairs: Annotated[AtLeastOne, "most linear programmes an equation where order-free"]

    def rule(self) -> dict:
        """What a ranking depends on, whatever its features."""
        return self.model_dump(include={"mass", "distance", "alpha", "beta", "diversity_pairs"})


class Sampling(Section):
    """How a selection is drawn from the ranking (paper A, IV-E, V-E)."""

    shares: Annotated[list[Fraction], Some, "of the training negatives: the columns of the tables", PAPER]
    long_tail_exponent: Annotated[Positive, "weight of a rank: rank ** -exponent"]
    normal_width: Annotated[
        Positive, "deviation of the bell around the middle rank, as a share of the archive"
    ]
    more_seeds: Annotated[list[Count], "further trainings of Tables III, IV, V and VII, rivals aside"] = []
    best_features: Annotated[
        Features, "of the ranking that means most, a row of Table III beside the paper's"
    ]
    best_distance: Annotated[Distance, "of that ranking"]
    rivals: Annotated[list[Rival], "other people's selections, as rows of Table III"] = []
    alphas: Annotated[list[Fraction], "other weights of difficulty in the joint rank; none: not tried"] = []


class Training(Section):
    """The COVID-19 classifier (paper A, IV-F2)."""

    epochs: AtLeastOne
    batch_size: Annotated[AtLeastOne, PAPER]
    learning_rate: Annotated[Positive, PAPER]
    intensity: Annotated[
        list[Positive], Two, "augmentation: least and largest factor on the intensity", PAPER
    ]
    flips: Annotated[bool, "augmentation: random flips", PAPER]


class Transfer(Section):
    """Another network trained on what the ranking's network selected (paper A, V-D2, Table IV)."""

    depth: Annotated[Literal[18, 50], "of that other network", PAPER]
    shares: Annotated[list[Fraction], Some, "of the training negatives", PAPER]


class Online(Section):
    """Strategies against imbalance while training (paper A, V-F, Table VI)."""

    share: Annotated[Fraction, "of the negatives: the selection beside ALL", PAPER]
    ohem_share: Annotated[Part, "of a batch that online hard example mining keeps"]
    focal_gamma: Annotated[NotNegative, "how much less a certain exam counts (Lin et al. 2017: 2)"]
    focal_alpha: Annotated[Share, "weight of the positives (Lin et al. 2017: 0.25)"]


class PretextAblation(Section):
    """What masking and the set of permutations change (paper A, IV-B; Noroozi and Favaro 2016)."""

    epochs: Annotated[AtLeastOne, "of each variant, on the positives"]


class Slices(Section):
    """Which slices are classified, and what the network gets of them (paper B, 3.1 and 4.1)."""

    images: Annotated[str | None, "a folder of images, or a CSV; none: axial slices of the exams"]
    size: Annotated[PixelsASide, "pixels a side", PAPER]
    crop: Annotated[bool, "to the square around the lungs, images to the box that their lists give", PAPER]
    per_exam: Annotated[AtLeastOne | None, "slices of an exam; none: all that show enough lung"]
    choose: Annotated[
        Literal["diseased", "blind"],
        "diseased: as a reader would, where lesions are known; blind: evenly over the lungs",
    ]
    label_noise: Annotated[Share, "of the diseased slices that others take the place of"]
    overlap: Annotated[Share, "0: slices of an exam as far apart as they can be; 1: neighbours"]
    exams: Annotated[AtLeastOne | None, "most exams of a finding; none: all", PAPER]
    train_share: Annotated[Fraction, "by patient", PAPER]


class SliceNetwork(Section):
    """The backbone of DSN-SAAL and of every comparison of losses (paper B, 3.2)."""

    backbone: Annotated[Backbone, PAPER]
    weights: Annotated[
        Literal["auto", "none", "imagenet"],
        "auto: ImageNet's where they are here; imagenet: also fetched",
        PAPER,
    ]
    weights_folder: Annotated[str | None, "with weight files of torchvision"]
    precision: Precision


class SliceTraining(Section):
    """How each network of paper B is trained (paper B, 4.3)."""

    epochs: Annotated[AtLeastOne, PAPER]
    batch_size: Annotated[AtLeastOne, "slices a step"]
    optimiser: Annotated[Literal["sgd", "adamw"], PAPER]
    learning_rate: Annotated[Positive, PAPER]
    weight_decay: Annotated[NotNegative, PAPER]
    augment: Annotated[bool, "crops, flips and brightness at random", PAPER]
    seeds: Annotated[list[Count], Some, "a training of every row each", PAPER]


class SliceLosses(Section):
    """The losses of Table 5 (paper B, 3.3)."""

    log_zero: Annotated[float, Field(lt=0), "A, what log 0 is taken for (Wang et al. 2019: -4)"]
    focal_gamma: Annotated[NotNegative, "how much less a certain slice counts (Lin et al. 2017: 2)"]
    focal_alpha: Annotated[Share, "weight of COVID-19 (Lin et al. 2017: 0.25)"]
    class_balanced_beta: Annotated[float, Field(ge=0, lt=1), "how much slices of a class overlap"]
    sce_alpha: Annotated[Positive, "symmetric cross-entropy: weight of the cross-entropy (Wang et al.: 0.1)"]
    sce_beta: Annotated[Positive, "and of its reverse (Wang et al. 2019: 1)"]
    more_seeds: Annotated[list[Count], "further trainings of every row of Tables 5 and 6"] = []
    noise_shares: Annotated[list[Share], "of the training labels made wrong, 0 first; none: not tried"] = []

    @model_validator(mode="after")
    def _right_labels_come_first(self) -> Self:
        if self.noise_shares and self.noise_shares[0] != 0.0:
            raise ValueError("noise_shares: the first must be 0.0, what wrong labels are compared with")
        return self


class Comparison(Section):
    """The rows of Tables 3 and 4 (paper B, 5.1 and 5.2)."""

    backbones: Annotated[list[Backbone], "plain rows, beside the backbone of slice_network", PAPER]
    supervised: Annotated[list[Backbone], "those that are also trained with deep supervision", PAPER]
    epochs: Annotated[AtLeastOne, "of every backbone but that of slice_network", PAPER]
    slices: Annotated[AtLeastOne | None, "most training slices of those; none: all", PAPER]
    contrastive_epochs: Annotated[Count, "of Self-Trans before its training; 0 leaves the row out"]
    chexnet: Annotated[str | None, "a file with ChestX-ray weights of DenseNet-121"]
    meta_share: Annotated[
        float, Field(ge=0, lt=1), "of the rarest class, for Meta-Weight-Net; 0 leaves the row out"
    ]
    meta_every: Annotated[AtLeastOne, "steps of its classifier to one of its weighing network"]


class Imbalance(Section):
    """How many of the COVID-19 training slices are kept (paper B, 5.3)."""

    shares: Annotated[list[Part], Some, "of the COVID-19 training slices", PAPER]
    losses: Annotated[list[Loss], "of the sweep that the paper lacks, beside CE"]
    loss_shares: Annotated[list[Part], "of the COVID-19 training slices in that sweep"]

    @model_validator(mode="after")
    def _all_comes_first(self) -> Self:
        if self.shares[0] != 1.0:
            raise ValueError("shares: the first must be 1.0, what the fall of sensitivity is measured from")
        if min(self.shares) == 1.0:
            raise ValueError("shares: one below 1.0, or there is no fall to measure")
        return self


class Explanations(Section):
    """The figures on single slices (paper B, 5.4)."""

    slices: Annotated[AtLeastOne, "in each figure"]


class Referee(Section):
    """A linear classifier on frozen features, trained on the same selections as the networks."""

    seeds: Annotated[int, Field(ge=2), "draws of each selection of exams"]
    samples: Annotated[
        int, Field(ge=2), "training sets drawn of each public data set, a selection of each kind a set"
    ]


class Public(Section):
    """Tables 7 to 9, on pictures of a public data set (paper B, 5.5). Without `slices.images` nothing of it is used."""

    size: Annotated[PixelsASide, "pixels a side, in place of slices.size", PAPER]
    training: Annotated[SliceTraining, "in place of slice_training"]
    backbone: Annotated[Backbone, "in place of slice_network.backbone", PAPER]
    more_seeds: Annotated[list[Count], "further trainings of DSN-SAAL alone, for its interval"]
    backbones: Annotated[list[Backbone], "plain rows beside the backbone of slice_network"]
    epochs: Annotated[AtLeastOne, "of those backbones and of Self-Trans", PAPER]
    slices: Annotated[AtLeastOne | None, "most training slices of those; none: all"]
    contrastive_epochs: Annotated[Count, "of Self-Trans before its training; 0 leaves the row out"]
    per_class: Annotated[AtLeastOne | None, "training slices of a class in Table 7's second part", PAPER]
    pictures: Annotated[AtLeastOne | None, "most pictures of a class; none: all"]
    slices_seen: Annotated[AtLeastOne | None, "most slices seen by all trainings together; none: no limit"]
    folds: Annotated[int, Field(ge=2), "where the data set has no split of its own (Table 9)", PAPER]
    near: Annotated[Count, "bits of the perceptual hash in which near-duplicates may differ"]


class SliceSelection(Section):
    """Which negative slices train, and how scarce the positives are, where selection meets supervision."""

    features: Annotated[Literal["grey_histogram", "backbone"], "that slices are ranked by"]
    share: Annotated[Part, "of the negative training slices that a selection keeps"]
    positives: Annotated[list[Part], Some, "shares of the COVID-19 training slices"]


class Profile(Section):
    """Every section. Read for one notebook (`params.load`), it refuses a section that NOTEBOOKS does not give to it."""

    study: Study
    cohort: Cohort
    preprocessing: Preprocessing
    network: Network
    pretext: Pretext
    ranking: Ranking
    sampling: Sampling
    training: Training
    transfer: Transfer
    online: Online
    pretext_ablation: PretextAblation
    slices: Slices
    slice_network: SliceNetwork
    slice_training: SliceTraining
    slice_losses: SliceLosses
    comparison: Comparison
    imbalance: Imbalance
    explanations: Explanations
    public: Public
    slice_selection: SliceSelection
    referee: Referee

    _notebook: str | None = PrivateAttr(None)

    def __getattribute__(self, name: str):
        found = super().__getattribute__(name)
        if isinstance(found, Section) and self._notebook and name not in sections_of(self._notebook):
            raise ParameterError(
                f"{self._notebook} reads the section '{name}', and would not run again when it changes: "
                "add it to NOTEBOOKS in covid_study/params/sections.py"
            )
        return found


_VOLUMES = ("cohort", "preprocessing", "network", "pretext")
_RANKED = (*_VOLUMES, "ranking", "sampling")
_TRAINED = (*_RANKED, "training")
_SLICES = ("cohort", "slices", "slice_network", "slice_training", "slice_losses")
# What a notebook reads beside `study`: another value there runs it again.
NOTEBOOKS: dict[str, tuple[str, ...]] = {
    "00_reading_guide": (),
    "01_preprocessing": ("cohort", "preprocessing"),
    "02_pretext_training": _VOLUMES,
    "03_ranking": _RANKED,
    "04_ranking_ablation": _TRAINED,
    "05_sampling_strategies": (*_TRAINED, "referee"),
    "06_backbone_transfer": (*_TRAINED, "transfer"),
    "07_online_selection": (*_TRAINED, "online"),
    "08_pretext_weights": (*_TRAINED, "pretext_ablation"),
    "09_deep_supervision": (*_SLICES, "comparison"),
    "10_losses": (*_SLICES, "imbalance"),
    "11_imbalance_sweep": (*_SLICES, "imbalance"),
    "12_explanations": (*_SLICES, "explanations"),
    "13_public_datasets": (*_SLICES, "comparison", "public", "ranking", "sampling", "referee"),
    "14_selection_and_supervision": (
        *_SLICES,
        "ranking",
        "sampling",
        "comparison",
        "public",
        "slice_selection",
    ),
}


def sections_of(notebook: str) -> tuple[str, ...]:
    """The sections that a notebook reads; all of them for one of your own.

    >>> sections_of("01_preprocessing")
    ('study', 'cohort', 'preprocessing')
    """
    return ("study", *NOTEBOOKS[notebook]) if notebook in NOTEBOOKS else tuple(Profile.model_fields)
