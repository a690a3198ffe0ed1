"""Samples: the volumes or the slices of a cohort in memory, their table, their tensor, their key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from covid_study.errors import StudyError
from covid_study.runtime.artefacts import fingerprint

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Samples:
    """What is classified one by one, in memory, once for all runs of a sweep; made by `volumes` and by `slices`.

    Args:
        table: indexed by exam_id or by slice_id, with patient_id, finding and split at least.
        data: uint8 (n, z, y, x) or (n, y, x) in the order of the table, on the device where it is used, or on the host.
        key: of `key_on`, of the store that it comes from, which lies in `folder`.
        notes: sentences on how the samples came about. source: name of their public data set, "" where there is none.
        at: the device where they are used, of data that lie on the host because they do not fit there.

    >>> import torch
    >>> table = pd.DataFrame({"finding": ["covid", "cap"]}, index=pd.Index(["a", "b"], name="exam_id"))
    >>> samples = Samples(table, torch.arange(2, dtype=torch.uint8).view(2, 1, 1, 1), "store-1")
    >>> samples.rows(["b"]).tolist(), samples.of(["b", "a"]).flatten().tolist(), len(samples.only(["b"]).table)
    ([1], [1, 0], 1)
    """

    table: pd.DataFrame
    data: torch.Tensor
    key: str
    folder: Path | None = None
    notes: tuple[str, ...] = ()
    source: str = ""
    at: torch.device | None = None

    @property
    def device(self) -> torch.device:
        """Where they are used."""
        return self.data.device if self.at is None else self.at

    def placed(self, device: torch.device) -> Samples:
        """The same for use on another device; what lies on the host stays there."""
        if self.at is not None:
            return replace(self, at=device)
        return replace(self, data=self.data.to(device))

    @cached_property
    def labels(self) -> str:
        """Fingerprint of the finding of each sample, which the key of a store of slices does not hold."""
        return fingerprint(self.table["finding"].sort_index().to_dict())

    @property
    def left_out(self) -> pd.DataFrame:
        """Name, path, problem and remedy of what could not be used."""
        return pd.read_csv(self.folder / "left_out.csv", dtype=str)

    def rows(self, ids: Sequence[str]) -> torch.Tensor:
        """Where these samples lie in `data`: int64 (n,).

        Raises:
            StudyError: names one that is not there, e.g. because it was left out.
        """
        import torch  # here, because the processes that fill a store import this module

        return torch.from_numpy(self._places(ids)).to(self.data.device)

    def of(self, ids: Sequence[str]) -> torch.Tensor:
        """The data of these samples."""
        return self.data[self.rows(ids)]

    def chosen(self, ids: Sequence[str]) -> Chosen:
        """The data of these samples, read where they lie: no copy."""
        return Chosen(self.data, self.rows(ids), self.at)

    def only(self, ids: Sequence[str]) -> Samples:
        """These samples alone, each once, on the CPU: what another process needs of them."""
        once = list(dict.fromkeys(ids))
        return replace(self, table=self.table.loc[once], data=self.of(once).cpu())

    def masks(self, ids: Sequence[str]) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Lungs and lesions of these slices, bool (n, y, x); None where those of any of them are not known.

        Lungs are the phantom's own, or a mask of the whole exam (`lungs.lung_mask`); lesions are the phantom's only.
        """
        places, size = self._places(ids), self.data.shape[-1]
        found = []
        for name, column in (("lungs", "lung_area_mm2"), ("lesions", "lesion_area_mm2")):
            if self.table[column].iloc[places].isna().any():
                found.append(None)
                continue
            packed = np.load(self.folder / f"{name}.npy", mmap_mode="r")
            bits = np.unpackbits(packed[places], axis=1, count=size * size)
            found.append(bits.reshape(-1, size, size).astype(bool))
        return tuple(found)

    def _places(self, ids: Sequence[str]) -> np.ndarray:
        places = self.table.index.get_indexer(pd.Index(ids))
        if (places < 0).any():  # -1 would silently be the last sample
            unknown = [name for name, place in zip(ids, places, strict=True) if place < 0]
            what = "slices" if self.table.index.name == "slice_id" else "exams"
            raise StudyError(f"{len(unknown)} {what} are not in the store, the first is '{unknown[0]}'")
        return places


@dataclass(frozen=True)
class Chosen:
    """Some rows of a tensor, in an order of their own; what is asked for by number is gathered from `data` then.

    >>> import torch
    >>> chosen = Chosen(torch.tensor([[5], [6], [7]]), torch.tensor([2, 0]))
    >>> len(chosen), chosen[torch.tensor([1, 0])].tolist(), [part.tolist() for part in chosen.split(1)]
    (2, [[5], [7]], [[[7]], [[5]]])
    """

    data: torch.Tensor
    rows: torch.Tensor  # int64 (n,), on the device of `data`
    at: torch.device | None = None  # as in `Samples`
    _fetched: dict[int, torch.Tensor] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: torch.Tensor | slice) -> torch.Tensor:
        if id(index) in self._fetched:
            return self._fetched.pop(id(index))
        if self.at is None:
            return self.data[self.rows[index]]
        return self.data[self.rows[index if isinstance(index, slice) else index.cpu()]].to(self.at)

    def split(self, size: int) -> Iterator[torch.Tensor]:
        """All of them, so many at a time, where they lie."""
        return (self.data[rows] for rows in self.rows.split(size))

    def to(self, device: torch.device) -> Chosen:
        """On another device: these rows alone are copied there; what lies on the host stays there."""
        if self.at is not None:
            return Chosen(self.data, self.rows, device)
        if device == self.data.device:
            return self
        import torch

        return Chosen(self[:].to(device), torch.arange(len(self), device=device))

    def coming(self, batches: Sequence[torch.Tensor]) -> Iterator[torch.Tensor]:
        """These batches of numbers in turn; of what lies on the host the next one is fetched meanwhile, by a thread.

        On a GPU the batch is pinned and copied on a stream of its own, beside the step before it.
        """
        if self.at is None:
            yield from batches
            return
        import torch

        rows = self.rows[torch.cat(list(batches)).cpu()].split([len(batch) for batch in batches])
        side = torch.cuda.Stream(self.at) if self.at.type == "cuda" else None

        def fetch(number: int) -> torch.Tensor | None:
            if number == len(rows):
                return None
            if side is None:
                return self.data[rows[number]].to(self.at)
            with torch.cuda.stream(side):
                return self.data[rows[number]].pin_memory().to(self.at, non_blocking=True)

        with ThreadPoolExecutor(1) as thread:
            following = thread.submit(fetch, 0)
            for number, batch in enumerate(batches):
                values = following.result()
                if side is not None:
                    used_on = torch.cuda.current_stream(self.at)
                    used_on.wait_stream(side)
                    values.record_stream(used_on)  # its memory is not given away while that stream needs it
                self._fetched[id(batch)] = values
                following = thread.submit(fetch, number + 1)
                yield batch
                self._fetched.pop(id(batch), None)


def key_on(store: str, device: torch.device) -> str:
    """The key of samples: the name of their store and, but for a CPU, the kind of device where they lie.

    What is computed from them on a GPU has other last digits, and other ones each time (atomics in pooling, cuDNN's
    gradients): no table mixes the two, and no checkpoint goes from one to the other.

    >>> import torch
    >>> key_on("phantom-1", torch.device("cpu")), key_on("phantom-1", torch.device("cuda:1"))
    ('phantom-1', 'phantom-1-cuda')
    """
    return store if device.type == "cpu" else f"{store}-{device.type}"
