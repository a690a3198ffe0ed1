"""How far the notebooks of a run are, on a terminal or in a log."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from covid_study.runtime.progress import duration, read_live


@dataclass
class Display:
    """How far a notebook is. last_time: seconds that it took before, where it did."""

    label: str
    live: Path
    last_time: float | None = None
    cell: int = 0
    cells: int = 0
    started: float = field(default_factory=time.monotonic)

    def line(self) -> str:
        """E.g. `[3/6] 03_ranking: cell 5 of 12, training 12/40 (0:31 left), 1:12 of about 2:10`."""
        parts = [f"cell {self.cell} of {self.cells}" if self.cells else "starting"]
        state = read_live(self.live)
        if state and state["total"]:
            left = f" ({duration(state['left'])} left)" if state["left"] is not None else ""
            parts.append(f"{state['desc']} {state['done']}/{state['total']}{left}")
        elif state:
            parts.append(f"{state['desc']} {state['done']}")
        about = f" of about {duration(self.last_time)}" if self.last_time else ""
        return f"{self.label}: {', '.join([*parts, duration(self.seconds()) + about])}"

    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self.started


class Screen(threading.Thread):
    """The notebooks that run: one line kept up to date on a terminal, else a line of each a minute."""

    def __init__(self, stream=None):
        super().__init__(daemon=True)
        self.stream = stream or sys.stdout
        self.shown: list[Display] = []
        self._over = threading.Event()
        self._lock = threading.RLock()

    def run(self) -> None:
        terminal = self.stream.isatty()
        while not self._over.wait(0.5 if terminal else 60):
            lines = [display.line() for display in list(self.shown)]
            if terminal:
                width, together = shutil.get_terminal_size().columns - 1, " | ".join(lines)
                if len(together) > width and lines:  # in turn
                    together = lines[int(time.monotonic() / 3) % len(lines)][:width]
                self._write(f"\r\x1b[K{together}")
            else:
                self._write("".join(f"{line}\n" for line in lines))

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self._write(("\r\x1b[K" if self.stream.isatty() else "") + text + "\n")

    def _write(self, text: str) -> None:
        with self._lock:
            print(text, end="", file=self.stream, flush=True)

    def __enter__(self) -> Screen:
        self.start()
        return self

    def __exit__(self, *of) -> None:
        self._over.set()
        self.join()
        if self.stream.isatty():
            self._write("\r\x1b[K")
