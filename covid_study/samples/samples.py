"""Samples: the volumes or the slices of a cohort in memory, their table, their tensor, their key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
class Volumes:
    """Preprocessed exams in memory, once for all runs of a sweep.

    `table` is indexed by exam id and has patient_id, finding and split; `data` is uint8 (n, z, y, x) in its order, on the
    device where it is used; `key` names the store it comes from.
    """

    table: pd.DataFrame
    data: torch.Tensor
    key: str

    def rows(self, exam_ids: Sequence[str]) -> torch.Tensor:
        """Where these exams lie in `data`.

        Raises:
            StudyError: names an exam that is not there, e.g. one that was left out.
        """
        places = self.table.index.get_indexer(pd.Index(exam_ids))
        if (places < 0).any():  # -1 would silently be the last exam
            unknown = [exam for exam, place in zip(exam_ids, places, strict=True) if place < 0]
            raise StudyError(f"{len(unknown)} exams are not in the store, the first is '{unknown[0]}'")
        import torch

        return torch.from_numpy(places).to(self.data.device)

    def of(self, exam_ids: Sequence[str]) -> torch.Tensor:
        """The volumes of these exams."""
        return self.data[self.rows(exam_ids)]

    def only(self, exam_ids: Sequence[str]) -> Volumes:
        """These exams alone, each once, on the CPU: what another process needs of them."""
        exams = list(dict.fromkeys(exam_ids))
        return Volumes(self.table.loc[exams], self.of(exams).cpu(), self.key)


@dataclass(frozen=True)
class Slices:
    """Preprocessed slices in memory, once for all runs of a sweep.

    `table` is a slice table indexed by slice_id; `data` is uint8 (n, size, size) in its order, on the device where it is
    used; `key` names the store it comes from, which is `folder`; `notes` are sentences on how the slices came about; `source`
    is the name of the public data set they are of, "" where it is none or not known.
    """

    table: pd.DataFrame
    data: torch.Tensor
    key: str
    folder: Path
    notes: tuple[str, ...] = ()
    source: str = ""

    @cached_property
    def labels(self) -> str:
        """Fingerprint of the finding of each slice, which `key` does not hold."""
        return fingerprint(self.table["finding"].sort_index().to_dict())

    def rows(self, slice_ids: Sequence[str]) -> torch.Tensor:
        """Where these slices lie in `data`.

        Raises:
            StudyError: names a slice that is not there.
        """
        import torch

        return torch.from_numpy(self._places(slice_ids)).to(self.data.device)

    def of(self, slice_ids: Sequence[str]) -> torch.Tensor:
        """These slices: uint8 (n, size, size)."""
        return self.data[self.rows(slice_ids)]

    def masks(self, slice_ids: Sequence[str]) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Lungs and lesions of these slices, bool (n, size, size); None where those of any of them are not known.

        Lungs are the phantom's own, or a mask of the whole exam (`lungs.lung_mask`); lesions are the phantom's only.
        """
        places, size = self._places(slice_ids), self.data.shape[-1]
        found = []
        for name, column in (("lungs", "lung_area_mm2"), ("lesions", "lesion_area_mm2")):
            if self.table[column].iloc[places].isna().any():
                found.append(None)
                continue
            packed = np.load(self.folder / f"{name}.npy", mmap_mode="r")
            bits = np.unpackbits(packed[places], axis=1, count=size * size)
            found.append(bits.reshape(-1, size, size).astype(bool))
        return tuple(found)

    @property
    def left_out(self) -> pd.DataFrame:
        """name, path, problem and remedy of the exams or images that could not be used."""
        return pd.read_csv(self.folder / "left_out.csv", dtype=str)

    def _places(self, slice_ids: Sequence[str]) -> np.ndarray:
        places = self.table.index.get_indexer(pd.Index(slice_ids))
        if (places < 0).any():  # -1 would silently be the last slice
            unknown = [name for name, place in zip(slice_ids, places, strict=True) if place < 0]
            raise StudyError(f"{len(unknown)} slices are not in the store, the first is '{unknown[0]}'")
        return places
