"""An exam table of 100 thousand rows, ranked by given features and reported: seconds and peak memory of each step.

    python benchmarks/exam_table.py [--exams 100000] [--out benchmarks/results]

Masses are normalised: by the partial distances of the paper the diversity takes a pair of exams each, 5,000 million of them
(`emd.py` has what that costs). One seed, two rows, 1,000 resamples. Writes exam-table-<machine>.md.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from emd_methods import BLOCK, features, peak_bytes
from machine import described, machine, slug

from covid_study.ranking.rank import rank_negatives, soft_labels
from covid_study.ranking.sampling import STRATEGIES, select
from covid_study.tables.table import Table

POSITIVES, BINS = 243, 512
PACKAGES = ("numpy", "scipy", "numba", "torch", "pandas", "scikit-learn")


def predictions(exams: list[str], rows: dict[str, float], rng: np.random.Generator) -> dict:
    """What classifiers of some skill say of every exam, a fifth of which validates."""
    at = np.arange(len(exams))
    table = pd.DataFrame({"exam_id": exams, "patient_id": [f"p{i // 2}" for i in at]})
    table = table.assign(
        split=np.where(at % 5 == 0, "validation", "test"), label=(rng.random(len(at)) < 0.1) * 1
    )
    logits = {row: rng.normal(size=len(at)) + skill * table["label"] for row, skill in rows.items()}
    return {
        (row, "56%", 0): table.assign(probability=1 / (1 + np.exp(-logit))) for row, logit in logits.items()
    }


def measure(n: int) -> pd.DataFrame:
    """Every step in its order: step, seconds, peak GiB so far."""
    lines = []

    def step(name: str, do):
        started = time.perf_counter()
        found = do()
        lines.append((name, time.perf_counter() - started, peak_bytes() / 2**30))
        print("{}: {:.1f} s, {:.2f} GiB".format(*lines[-1]), flush=True)
        return found

    exams = [f"e{i:06d}" for i in range(n)]
    blocks = [features(min(BLOCK, n - start), BINS, seed=1 + start) for start in range(0, n, BLOCK)]
    archive = step(
        f"features in memory, {n:,} x {BINS}", lambda: pd.DataFrame(np.concatenate(blocks), index=exams)
    )
    known = pd.DataFrame(features(POSITIVES, BINS, seed=0)).rename("positive {}".format)
    labels = step("soft labels (eq. 3)", lambda: soft_labels(known, archive, "normalised"))
    ranking = step("rank_negatives (eq. 5 to 7)", lambda: rank_negatives(labels, mass="normalised"))
    for strategy in STRATEGIES:
        step(f"half of them selected: {strategy}", lambda s=strategy: select(ranking, s, n // 2, 0))
    said = predictions(exams, {"random": 1.0, "both": 1.5}, np.random.default_rng(0))
    table = Table("A.III", planted=said)
    step("scores with intervals", table.results)
    step("claims", table.claims)
    step("row above, and what the test can tell", lambda: (table.above(), table.detectable(), table.told()))
    step("the table as a page shows it", lambda: table.beside_paper().to_html())
    return pd.DataFrame(lines, columns=["step", "seconds", "peak GiB"])


def main() -> int:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--exams", type=int, default=100_000)
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent / "results")
    options = parser.parse_args()
    about = machine(None, PACKAGES)
    found = measure(options.exams)
    lines = [
        "# An exam table, ranked and reported",
        "",
        f"{described(about)} Measured {about['date']} by `python benchmarks/exam_table.py {' '.join(sys.argv[1:])}`; the load "
        f"of the machine was {about['load']} when it began. {found['seconds'].sum():.0f} s in all.",
        "",
        "| step | seconds | peak GiB so far |",
        "| --- | --- | --- |",
        *(f"| {name} | {seconds:.2f} | {peak:.2f} |" for name, seconds, peak in found.to_numpy()),
    ]
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"exam-table-{slug(about)}.md"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
