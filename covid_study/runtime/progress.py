"""One progress display: a live bar for a person, a line a step in a log, the last one in a page; no widgets, which need a CDN.

bar = progress(range(epochs), "training")
for epoch in bar:
    loss = ...
    bar.note(loss=loss)
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from heapq import heapreplace
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")
# Set by the runner for the kernels it starts: the file in which it looks for the state of the outermost display.
LIVE_FILE = "COVID_STUDY_PROGRESS_FILE"
MOST_LINES = 20  # of one display in a report; longer loops are grouped
_open: list[
    Progress | None
] = []  # those running now, and None where `silent`; an inner one prints no lines of its own


def progress(
    iterable: Iterable[T], desc: str, total: int | None = None, left: Callable[[], float | None] | None = None
) -> Progress[T]:
    """Iterate over `iterable` and show how far it is.

    Args:
        iterable: what to go through.
        desc: what is being done, in a few words.
        total: how many there will be, where `len(iterable)` cannot say.
        left: the seconds that are left, asked after every step; None: at the mean pace so far.

    Returns:
        An iterable; its `note(name=value)` adds a value to what is shown, e.g. the loss of the epoch.

    >>> [step for step in progress("ab", "spelling")]
    spelling 1/2, 0:00 left
    spelling 2/2, took 0:00
    ['a', 'b']
    """
    if total is None and hasattr(iterable, "__len__"):
        total = len(iterable)
    return Progress(iterable, desc, total, left)


def duration(seconds: float) -> str:
    """Minutes and seconds, with hours where there are any.

    >>> duration(64.6), duration(3723)
    ('1:05', '1:02:03')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def is_shown() -> bool:
    """Is a display running now? One inside it prints no lines of its own."""
    return bool(_open)


@contextmanager
def silent() -> Iterator[None]:
    """Nothing is shown: in a worker, whose caller shows how far all of them are."""
    _open.append(None)
    try:
        yield
    finally:
        _open.remove(None)


def makespan(seconds: Iterable[float], workers: int) -> float:
    """When the last of these pieces ends, each begun in its turn by the first of so many workers that is free.

    >>> makespan([4, 4, 4], 2), makespan([1, 1, 6, 2], 2), makespan([], 3)
    (8.0, 7.0, 0.0)
    """
    ends = [0.0] * workers
    for each in seconds:
        heapreplace(ends, ends[0] + each)
    return max(ends)


def read_live(path: Path) -> dict | None:
    """The state that a kernel last wrote: desc, done, total, left (seconds or None), at; None where there is none."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


class Progress(Generic[T]):
    """What `progress` returns."""

    def __init__(
        self,
        iterable: Iterable[T],
        desc: str,
        total: int | None,
        left: Callable[[], float | None] | None = None,
    ):
        self.iterable, self.desc, self.total, self.left = iterable, desc, total, left
        self.done, self.started, self.notes = 0, time.monotonic(), {}
        self._bar = self._live_at = None

    def __iter__(self) -> Iterator[T]:
        self.done, self.started = 0, time.monotonic()
        outer = not _open
        live = _for_a_person() and None not in _open
        if live:
            from tqdm import tqdm  # the plain one: text only

            self._bar = tqdm(
                total=self.total, desc=self.desc, leave=outer, dynamic_ncols=True, file=sys.stderr
            )
        _open.append(self)
        try:
            self._tell(outer)
            for item in self.iterable:
                yield item
                self.done += 1
                if live:
                    self._bar.update()
                elif outer and self._due():
                    print(self._line(), flush=True)
                self._tell(outer)
        finally:
            _open.remove(self)
            if self._bar is not None:
                self._bar.close()
                self._bar = None
            self._tell(outer, closed=True)

    def note(self, **values) -> None:
        """Add values to the display until they are replaced: numbers in four digits, anything else as it is."""
        self.notes.update({k: f"{v:.4g}" if isinstance(v, float) else str(v) for k, v in values.items()})
        if self._bar is not None:
            self._bar.set_postfix(self.notes, refresh=False)

    def seconds_left(self) -> float | None:
        """What `left` says; else at the mean pace so far, None before the first step and where the total is not known."""
        if self.left is not None:
            return self.left()
        if not self.done or not self.total:
            return None
        return (time.monotonic() - self.started) / self.done * max(self.total - self.done, 0)

    def _due(self) -> bool:
        if self.total is None:  # 1, 2, 5, 10, 20, 50 ...
            return str(self.done).rstrip("0") in {"1", "2", "5"}
        if self.done == self.total or os.environ.get(LIVE_FILE):
            return self.done == self.total  # the runner shows where a kernel is, a page what it came to
        if self.total <= MOST_LINES:
            return True
        return self.done * (MOST_LINES // 2) // self.total > (self.done - 1) * (MOST_LINES // 2) // self.total

    def _line(self) -> str:
        left = self.seconds_left()
        taken = duration(time.monotonic() - self.started)
        when = (
            f"took {taken}"
            if self.done == self.total
            else f"{duration(left)} left"
            if left is not None
            else taken
        )
        count = f"{self.done}/{self.total}" if self.total else f"{self.done}"
        return ", ".join([f"{self.desc} {count}", *(f"{k} {v}" for k, v in self.notes.items()), when])

    def _tell(self, outer: bool, closed: bool = False) -> None:
        """Leave the state for the runner's own display, at most twice a second."""
        path = os.environ.get(LIVE_FILE)
        now = time.monotonic()
        if not path or not outer or (not closed and self._live_at and now - self._live_at < 0.5):
            return
        self._live_at = now
        try:  # a display is never a reason to stop
            if closed:
                Path(path).unlink(missing_ok=True)
                return
            state = {
                "desc": self.desc,
                "done": self.done,
                "total": self.total,
                "left": self.seconds_left(),
                "at": time.time(),
            }
            temporary = Path(f"{path}.{os.getpid()}.tmp")
            temporary.write_text(json.dumps(state), encoding="utf-8")
            os.replace(temporary, path)
        except OSError:
            pass


def _for_a_person() -> bool:
    """A terminal, or Jupyter with somebody in front of it: not papermill's kernels, not a pipe, not nbval."""
    if os.environ.get(LIVE_FILE) or os.environ.get("PYTEST_CURRENT_TEST"):
        return False
    return sys.stderr.isatty() or "ipykernel" in type(sys.stderr).__module__
