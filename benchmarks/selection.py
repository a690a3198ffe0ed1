"""What is a selection worth, and what does it cost? `python benchmarks/selection.py`: our sampler beside imbalanced-learn's.

An archive of 10,000 to a million rows and 200 positives, made up: negatives in clusters of very different size, positives
beside three of them. Every sampler leaves as many negatives as positives. A logistic regression learns from what stays and is
scored on rows that nobody chose from; over seeds, each in a process of its own, for its peak memory. What would take longer
than --limit is left out, and marked. Results: selection-<machine>.json and .md.
"""

import argparse
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from emd import in_new_process, say
from emd_methods import peak_bytes
from machine import described, digits, machine, short, slug

RESULTS = Path(__file__).resolve().parent / "results"
PACKAGES = ("numpy", "scikit-learn", "imbalanced-learn", "numba", "pandas")
FULL = {"archives": [10_000, 100_000, 1_000_000], "positives": 200, "columns": 32, "test": 4000, "seeds": 5}
QUICK = {"archives": [200, 400], "positives": 20, "columns": 8, "test": 200, "seeds": 2}
CLUSTERS, NEAR = 30, 3  # of negatives; those that positives lie beside
GROWTH = 2  # at most: seconds grow with the square of the archive
SCORES = ("auc", "average_precision")


def samplers(seed: int) -> dict[str, Callable[[], Any]]:
    """Those that leave as many negatives as they are told to, made when they are called for."""
    from imblearn import under_sampling as theirs
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.linear_model import LogisticRegression

    from covid_study.ranking.under_sampler import RULES, DualTrackUnderSampler, RivalUnderSampler

    ours = {
        "dual track": {},
        "dual track, normalised": {"mass": "normalised"},
        "dual track, Hellinger": {"distance": "hellinger"},
        "dual track, top": {"mass": "normalised", "strategy": "top"},
    }
    clusters = {"estimator": MiniBatchKMeans(n_init=1, random_state=seed), "voting": "hard"}
    hardness = {"estimator": LogisticRegression(max_iter=1000), "random_state": seed}
    return {
        **{name: lambda how=how: DualTrackUnderSampler(random_state=seed, **how) for name, how in ours.items()},
        **{f"rule: {r}": lambda r=r: RivalUnderSampler(rule=r, mass="normalised", random_state=seed) for r in RULES},
        "RandomUnderSampler": lambda: theirs.RandomUnderSampler(random_state=seed),
        **{f"NearMiss-{v}": lambda v=v: theirs.NearMiss(version=v) for v in (1, 2)},
        "ClusterCentroids": lambda: theirs.ClusterCentroids(random_state=seed, **clusters),
        "InstanceHardnessThreshold": lambda: theirs.InstanceHardnessThreshold(**hardness),
    }  # fmt: skip


def cases(negatives: int, positives: int, columns: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features in [0, 1], float64 (n, columns), and labels: the same clusters whatever the seed of the draw."""
    common, rng = np.random.default_rng(0), np.random.default_rng([1, seed])
    centres = common.normal(size=(CLUSTERS, columns))
    beside = centres[-NEAR:] + 0.35 * common.normal(
        size=(NEAR, columns)
    )  # the rarest, so that chance finds few
    share = 1 / np.arange(1, CLUSTERS + 1)
    X = np.concatenate(
        [
            centres[rng.choice(CLUSTERS, negatives, p=share / share.sum())],
            beside[rng.integers(NEAR, size=positives)],
        ]
    )
    X += 0.6 * rng.normal(size=X.shape)
    return 1 / (1 + np.exp(-X)), np.repeat([0, 1], [negatives, positives])


def measured(name: str, n: int, seed: int, plan: dict[str, Any]) -> dict[str, float]:
    """A sampler on an archive: seconds, memory before and at the peak, and what a classifier on its selection scores."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import average_precision_score, roc_auc_score

    make = samplers(seed)[name]
    make().fit_resample(*cases(60, 10, plan["columns"], seed))  # compiled, threads started
    X, y = cases(n, plan["positives"], plan["columns"], seed)
    baseline, started = peak_bytes(), time.perf_counter()
    chosen, labels = make().fit_resample(X, y)
    seconds, peak = time.perf_counter() - started, peak_bytes()
    if not (labels == 1).sum() == (y == 1).sum():
        raise SystemExit(f"{name} lost a positive")
    test, truth = cases(plan["test"], plan["test"], plan["columns"], 1000 + seed)
    said = LogisticRegression(max_iter=1000).fit(chosen, labels).predict_proba(test)[:, 1]
    return {
        "seconds": seconds,
        "baseline_bytes": baseline,
        "peak_bytes": peak,
        "kept": int((labels == 0).sum()),
        "auc": float(roc_auc_score(truth, said)),
        "average_precision": float(average_precision_score(truth, said)),
    }


def measure(plan: dict[str, Any], limit: float) -> list[dict[str, Any]]:
    """A row a sampler and archive, over seeds; after one that was too long, larger archives are not tried."""
    rows = []
    for name in samplers(0):
        expected = 0.0
        for before, n in zip([None, *plan["archives"]], plan["archives"], strict=False):
            expected *= (n / before) ** GROWTH if before else 1
            row = {"sampler": name, "negatives": n, "left_out": expected > limit}
            if row["left_out"]:
                row["expected_seconds"] = expected
            else:
                say(f"{n:,} negatives, {name}")
                found = [in_new_process(measured, name, n, seed, plan) for seed in range(plan["seeds"])]
                row |= {key: [one[key] for one in found] for key in found[0]}
                expected = statistics.median(row["seconds"])
            rows.append(row)
    return rows


def table(results: dict[str, Any]) -> str:
    """All results as Markdown."""
    plan = results["plan"]
    lines = [
        "# Under-samplers: what a selection is worth, and what it costs",
        "",
        f"{described(results['machine'])} Measured {results['machine']['date']} by `{results['command']}`.",
        "",
        f"{plan['positives']} positives, {plan['columns']} columns, {plan['seeds']} seeds: median seconds, most memory beyond "
        "what the process held before, mean and deviation of a logistic regression's scores on rows of their own.",
        "",
        "| negatives | sampler | seconds | MiB | AUC | average precision |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in sorted(results["rows"], key=lambda row: row["negatives"]):  # as listed within a size
        cells = ["left out", "", "", ""]
        if not row["left_out"]:
            beyond = zip(row["peak_bytes"], row["baseline_bytes"], strict=True)
            cells = [
                digits(statistics.median(row["seconds"])),
                f"{max(peak - before for peak, before in beyond) / 2**20:,.0f}",
                *(f"{np.mean(row[score]):.3f} ± {np.std(row[score], ddof=1):.3f}" for score in SCORES),
            ]
        lines.append(f"| {row['negatives']:,} | {row['sampler']} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def main() -> int:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small sizes: does everything run?")
    parser.add_argument(
        "--largest", type=int, default=1_000_000, help="no archive larger than this (1,000,000)"
    )
    parser.add_argument(
        "--limit", type=float, default=600.0, help="seconds; what takes longer is left out (600)"
    )
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    plan = dict(QUICK if options.quick else FULL)
    plan["archives"] = [n for n in plan["archives"] if n <= options.largest]
    rows = measure(plan, options.limit)
    results = {
        "machine": machine(None, PACKAGES),
        "command": " ".join(["python benchmarks/selection.py", *sys.argv[1:]]),
        "plan": plan,
        "rows": rows,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    stem = f"selection-{slug(results['machine'])}{'-quick' if options.quick else ''}"
    for ending, text in ((".json", json.dumps(short(results), indent=1) + "\n"), (".md", table(results))):
        path = options.out / (stem + ending)
        path.write_text(text, encoding="utf-8")
        print(path)
    return 0


if __name__ == "__main__":
    multiprocessing.set_forkserver_preload(
        ["numba", "pandas", "sklearn.linear_model", "imblearn.under_sampling"]
    )
    sys.exit(main())
