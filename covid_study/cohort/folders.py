"""Every file below a folder, once, whatever leads there; what is passed over is counted, never dropped in silence."""

import mimetypes
import os
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from covid_study.cohort.file_kinds import DICOM_SUFFIXES, PICTURE_SUFFIXES, VOLUME_SUFFIXES
from covid_study.cohort.splits import some

KINDS = {  # what else ends a name may be a part of one
    *mimetypes.types_map, *mimetypes.common_types, *mimetypes.encodings_map, *VOLUME_SUFFIXES, *PICTURE_SUFFIXES,
    *DICOM_SUFFIXES, ".7z", ".db", ".ini", ".npy", ".npz", ".pkl", ".pt", ".rar", ".yaml",
}  # fmt: skip


@dataclass
class Below:
    """What lies below a folder: its `files` in order, and what was not entered."""

    folder: Path
    files: list[Path] = field(default_factory=list)
    hidden: list[Path] = field(default_factory=list)  # files and folders whose names begin with a dot
    again: list[Path] = field(default_factory=list)  # links to folders that are read under another name
    broken: list[Path] = field(default_factory=list)  # links that lead nowhere
    closed: list[Path] = field(default_factory=list)  # folders that may not be read

    def passed_over(self, taken: Collection[Path], named: bool = True) -> list[str]:
        """Sentences on all that is not among the files taken; where not `named` without names, which may be those of people."""
        groups = {
            "Links to folders that are read under another name, which are not read twice": self.again,
            "Broken links": self.broken,
            "Folders that may not be read": self.closed,
        }
        notes = [
            f"{what}: {some(self._names(paths)) if named else f'{len(paths):,}'}."
            for what, paths in groups.items()
            if paths
        ]
        kept = set(taken)
        left = [file for file in self.files if file not in kept]
        kinds = Counter(s if (s := file.suffix.lower()) in KINDS else "of other kinds" for file in left)
        kinds |= Counter({"hidden": len(self.hidden)})
        if total := kinds.total():
            counted = ", ".join(f"{n:,} {kind}" for kind, n in kinds.most_common(6)) + ", ..." * (
                len(kinds) > 6
            )
            first = f", the first {self._names([*left, *self.hidden])[0]}" if named else ""
            notes.append(f"Files that take no part: {total:,} ({counted}){first}.")
        return notes

    def _names(self, paths: list[Path]) -> list[str]:
        return [path.relative_to(self.folder).as_posix() for path in paths]


def states(path: Path) -> list[tuple[Path, os.stat_result]]:
    """The file at a path, or all files below the folder there, each with its size and time of change; none where neither is."""
    # not Path's own methods, which stop at a name that is too long for the disk
    files = [path] if os.path.isfile(path) else below(path).files if os.path.isdir(path) else []
    return [(file, file.stat()) for file in files if os.path.exists(file)]  # one may go meanwhile


def below(folder: Path) -> Below:
    """All below a folder. Links are followed, to files and to folders, each folder once and under its own name if it has one.

    Choice: a link to a folder around this one is not followed: it would lead out of what the user named.
    """
    found, seen, links = Below(folder), set(), [folder]
    root = os.path.realpath(folder)
    while links:
        start = links.pop(0)
        target = os.path.realpath(start)
        if start != folder and (target in seen or os.path.commonpath([root, target]) == target):
            found.again.append(start)
            continue
        for above, folders, names in os.walk(
            start, onerror=lambda error: found.closed.append(Path(error.filename))
        ):
            seen.add(os.path.realpath(above))
            places = [Path(above, name) for name in sorted(folders)]
            hidden = {place for place in places if place.name.startswith(".")}
            folders[:] = [p.name for p in places if p not in hidden and os.path.realpath(p) not in seen]
            links += [p for p in places if p not in hidden and p.is_symlink()]
            files = [Path(above, name) for name in sorted(names)]
            found.hidden += [*hidden, *(file for file in files if file.name.startswith("."))]
            shown = [file for file in files if not file.name.startswith(".")]
            there = {file: not file.is_symlink() or os.path.exists(file) for file in shown}
            found.broken += [file for file in shown if not there[file]]
            found.files += [file for file in shown if there[file]]
    found.files.sort()
    return found
