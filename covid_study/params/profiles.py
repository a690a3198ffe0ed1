"""The parameters of the study: one section a subject, one pydantic model a notebook.

A profile (`params/demo.yaml`) holds every section; a notebook's parameters cell holds the sections that it reads,
at the values of the smoke profile. An unknown key or a wrong type is an error that names the key, the file and the
nearest valid name.
"""

import difflib
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from covid_study.errors import ParameterError
from covid_study.params.sections import (
    Cohort,
    Comparison,
    Explanations,
    Imbalance,
    Network,
    Online,
    Preprocessing,
    Pretext,
    PretextAblation,
    Public,
    Ranking,
    Sampling,
    Section,
    SliceLosses,
    SliceNetwork,
    Slices,
    SliceSelection,
    SliceTraining,
    Study,
    Training,
    Transfer,
)


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


class PublicDatasets(DeepSupervision):
    public: Public


class SelectionAndSupervision(SliceNotebook):
    ranking: Ranking
    sampling: Sampling
    public: Public
    slice_selection: SliceSelection


class Profile(
    BackboneTransfer,
    OnlineSelection,
    PretextWeights,
    PublicDatasets,
    ImbalanceSweep,
    ExplanationsNotebook,
    SelectionAndSupervision,
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
    "13_public_datasets": PublicDatasets,
    "14_selection_and_supervision": SelectionAndSupervision,
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
