"""What measured runs said that are kept in `reports/reference/`: their verdicts stand beside those of another run."""

from __future__ import annotations

import csv
from pathlib import Path

from covid_study import paths


def references(folder: Path | None = None) -> dict[str, dict[str, str]]:
    """Verdict and difference of each claim, by the run's name and the claim's key, e.g. "holds +4.2".

    Args:
        folder: where runs are kept; that of the project unless given.
    """
    found: dict[str, dict[str, str]] = {}
    for file in sorted((folder or paths.reports("reference")).glob("*/claims.csv")):
        with file.open(newline="", encoding="utf-8") as lines:
            found[file.parent.name] = {
                line["key"]: f"{line['verdict']} {line.get('here') or ''}".strip()
                for line in csv.DictReader(lines)
            }
    return found
