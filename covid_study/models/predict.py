"""What a model says of exams on disk: one row an exam, many at once; one bad exam does not stop the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from joblib import cpu_count

from covid_study.errors import ExamError
from covid_study.models.model import NOTICE, Model
from covid_study.models.prepared import Prepared, Row, found_at, prepare
from covid_study.runtime.progress import progress
from covid_study.runtime.workers import side_by_side
from covid_study.samples.cohorts import load_exam
from covid_study.scores.seeds import half_width

if TYPE_CHECKING:
    from torch import nn

_kept: dict[tuple[str, str, str], dict[int, nn.Module]] = {}  # of a process: the networks of one model
STOPPED = {"error": "it was stopped before this exam was asked"}
DIED = (
    "a process died while it worked on it, most often because the memory was used up",
    "give it alone, or fewer workers",
)


@dataclass(frozen=True)
class How:
    """How exams are predicted, for the processes that do it. overlay: a folder for pictures of where the networks looked."""

    device: str = "cpu"
    burnt_in: bool = False
    overlay: Path | None = None


def predict(model: Model, paths: Sequence[str], how: How = How(), workers: int | None = None) -> pd.DataFrame:
    """A row for each exam or picture at these paths, in their order.

    On a CPU every exam has one thread, so that the bits depend neither on how many are predicted at once nor on the machine's
    cores: an exam of the run's own test split gets the probability that the run wrote down (through the wide linear layers of
    VGG-16 and AlexNet, whose order of sums depends on the batch, to the seventh digit).

    Args:
        workers: processes; None: one a core.

    Returns:
        exam, path, probability (of COVID-19, the mean over the networks), low, high (95 % over the networks, NaN with one),
        called (a class), p_<class>, seed_<seed> (each network's), slices (how many the probability is a mean of), odd (what is
        unlike the training exams), error ("" where there is a probability), notice.

    Stopped by hand, what is known by then is returned; the others' error says so.

    Raises:
        StudyError: a path is not there or holds nothing, or the device is not there.
    """
    rows = found_at(paths)
    if how.overlay:
        how = replace(
            how, overlay=how.overlay.expanduser().absolute()
        )  # processes that are kept may stand elsewhere
        how.overlay.mkdir(parents=True, exist_ok=True)
    if how.device != "cpu":  # where it is not there, said once; auto may be the CPU
        from covid_study.runtime.device import find_device

        how = replace(how, device=str(find_device(how.device)))
    workers = min(workers or cpu_count(), len(rows))
    model.notes  # noqa: B018  found out here, and not once an exam
    one = partial(of_exam, model, how=how)
    found: dict[Row, dict] = {}
    try:
        for row, line in progress(each(one, rows, workers), "exams", len(rows)):
            found[row] = line
    except KeyboardInterrupt:  # an hour's work is not lost
        if not found:
            raise
    lines = [{"exam": row.exam_id, "path": row.path} | found.get(row, STOPPED) for row in rows]
    return pd.DataFrame(lines).reindex(columns=columns(model)).assign(notice=NOTICE)


def columns(model: Model) -> list[str]:
    """The columns of `predict`, but for the notice."""
    of_each = [*(f"p_{name}" for name in model.about["classes"]), *(f"seed_{seed}" for seed in model.seeds)]
    return ["exam", "path", "probability", "low", "high", "called", *of_each, "slices", "odd", "error"]


def each(one: Callable[[Row], tuple[Row, dict]], rows: list[Row], workers: int) -> Iterator[tuple[Row, dict]]:
    """Exam by exam as they end. Where a process dies, what it took along is done again, each in a process of its own."""
    ended = set()
    try:
        for row, line in side_by_side(one, rows, workers):
            ended.add(row)
            yield row, line
    except BrokenProcessPool:
        for row in (row for row in rows if row not in ended):
            try:
                yield from side_by_side(one, [row], 2)  # two, for one would be this process
            except BrokenProcessPool:
                yield row, {"error": str(ExamError(row.exam_id, *DIED))}


def of_exam(model: Model, row: Row, how: How) -> tuple[Row, dict]:
    """One exam, in a worker: what `predict` says of it. Whatever goes wrong with it is its error, and nobody else's."""
    from covid_study.runtime.device import limited_threads

    try:
        with limited_threads(1 if how.device == "cpu" else None):
            networks = _networks(model, how.device)
            ready = prepare(model.about, row, partial(load_exam, how={"burnt_in": how.burnt_in}))
            said = {seed: asked(model, network, ready) for seed, network in networks.items()}
            line = summary(model, said) | {"slices": len(ready.data) if model.kind == "slice" else None}
            if how.overlay:
                from covid_study.models import overlay  # MONAI takes seconds to import

                overlay.write(how.overlay, model, networks, row, ready, line)
        return row, line | {"odd": "; ".join([*ready.odd, *model.notes]), "error": ""}
    except ExamError as error:
        return row, {"error": str(error)}
    except Exception as error:  # of a library that met what nobody foresaw
        return row, {"error": f"exam {row.exam_id}: {type(error).__name__}: {str(error)[:300]}"}


def _networks(model: Model, device: str) -> dict[int, nn.Module]:
    """The networks of a model, loaded once a process."""
    from covid_study.runtime.device import find_device

    key = str(model.folder), model.about["weights"]["sha256"], device
    if key not in _kept:
        _kept.clear()
        _kept[key] = model.networks(find_device(device))
    return _kept[key]


def asked(model: Model, network: nn.Module, ready: Prepared) -> np.ndarray:
    """What one network says of an exam: float32 (n, classes), in the order of its outputs; n as in `Prepared`.

    One sample alone is asked as two: a matrix product of one row is computed in another order and ends in other digits.
    """
    import torch

    from covid_study.training.loop import in_batches

    architecture, data = model.about["architecture"], torch.from_numpy(ready.data)
    twice = data if len(data) > 1 else torch.cat([data, data])
    if model.kind == "volume":
        said = torch.from_numpy(in_batches(network, twice, architecture["precision"])).softmax(1).numpy()
    else:
        from covid_study.training.slice_classifier import probabilities

        said = probabilities(network, twice, architecture["mirrored"], architecture["precision"])
    return said[: len(data)]


def summary(model: Model, said: dict[int, np.ndarray]) -> dict:
    """A row's numbers from what each network says of its slices. said: seed -> (n, classes).

    Choice: the probability of an exam is the mean over its slices, as the study's scores by patient have it, and over the
    networks; its interval is Student's t over the networks, and says nothing of how good they are.
    """
    of_seed = {seed: p.astype(float).mean(axis=0) for seed, p in said.items()}
    place = model.outputs.index("covid")
    each = {seed: float(p[place]) for seed, p in of_seed.items()}
    mean = np.mean(list(of_seed.values()), axis=0)
    probability, half = float(mean[place]), half_width(list(each.values())) if len(each) > 1 else np.nan
    threshold = model.about["threshold"]["value"]
    if threshold is None:
        called = model.outputs[int(mean.argmax())]
    else:
        rest = [name for name in model.outputs if name != "covid"]
        called = "covid" if probability >= threshold else rest[0] if len(rest) == 1 else "not covid"
    return {
        "probability": probability,
        "low": float(np.clip(probability - half, 0, 1)),
        "high": float(np.clip(probability + half, 0, 1)),
        "called": called,
        **{f"p_{name}": float(p) for name, p in zip(model.outputs, mean, strict=True)},
        **{f"seed_{seed}": p for seed, p in each.items()},
    }
