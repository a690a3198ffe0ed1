"""The parameters of paper B's notebooks: slices, networks, losses, and what its tables compare."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from covid_study.params_base import AtLeastOne, Count, Positive, Section, Share

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
