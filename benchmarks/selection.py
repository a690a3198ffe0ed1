"""What is a selection worth, and what does it cost? `python benchmarks/selection.py`: our sampler beside imbalanced-learn's.

An archive of 10,000 to a million rows and 200 positives, made up: negatives in clusters of very different size, positives
beside three of them. Every sampler leaves as many negatives as positives. A logistic regression learns from what stays and is
scored on rows that nobody chose from; over seeds, each in a process of its own, for its peak memory. What would take longer
than --limit is left out, and marked. Results are written after every row: selection-<machine>.json and .md.
"""

import argparse
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Iterator
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
SHARED = 1.5  # times as long as the processor worked, on one core: other work was in the way
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
    baseline, started, worked = peak_bytes(), time.perf_counter(), time.process_time()
    chosen, labels = make().fit_resample(X, y)
    seconds, peak, worked = time.perf_counter() - started, peak_bytes(), time.process_time() - worked
    if not (labels == 1).sum() == (y == 1).sum():
        raise SystemExit(f"{name} lost a positive")
    test, truth = cases(plan["test"], plan["test"], plan["columns"], 1000 + seed)
    said = LogisticRegression(max_iter=1000).fit(chosen, labels).predict_proba(test)[:, 1]
    return {
        "seconds": seconds,
        "cpu_seconds": worked,
        "baseline_bytes": baseline,
        "peak_bytes": peak,
        "kept": int((labels == 0).sum()),
        "auc": float(roc_auc_score(truth, said)),
        "average_precision": float(average_precision_score(truth, said)),
    }


def measure(plan: dict[str, Any], limit: float) -> Iterator[dict[str, Any]]:
    """A row an archive and sampler, over seeds; after one that was too long, larger archives are not tried.

    Args:
        limit: CPU seconds, those of all threads: what another program takes meanwhile does not count.
    """
    expected = dict.fromkeys(samplers(0), 0.0)
    for before, n in zip([None, *plan["archives"]], plan["archives"], strict=False):
        for name in expected:
            expected[name] *= (n / before) ** GROWTH if before else 1
            row = {"sampler": name, "negatives": n, "left_out": expected[name] > limit}
            if row["left_out"]:
                row["expected_cpu_seconds"] = expected[name]
            else:
                say(f"{n:,} negatives, {name}")
                found = [in_new_process(measured, name, n, seed, plan) for seed in range(plan["seeds"])]
                row |= {key: [one[key] for one in found] for key in found[0]}
                expected[name] = statistics.median(row["cpu_seconds"])
            yield row


def table(results: dict[str, Any]) -> str:
    """All results as Markdown."""
    plan = results["plan"]
    about, done = results["machine"], [row for row in results["rows"] if not row["left_out"]]
    waits = [sum(row["seconds"]) / max(sum(row["cpu_seconds"]), 1e-9) for row in done]
    alone = not waits or statistics.median(waits) < SHARED
    marks = (
        "" if alone else " **Other work shared the machine**: look at the CPU seconds, not at the seconds."
    )
    marks += "" if results["whole"] else " **It was stopped before its end.**"
    lines = [
        "# Under-samplers: what a selection is worth, and what it costs",
        "",
        f"{described(about)} Measured {about['date']} by `{results['command']}`; the load of the machine was {about['load']} "
        f"when it began.{marks}",
        "",
        f"{plan['positives']} positives, {plan['columns']} columns, {plan['seeds']} seeds: median seconds and CPU seconds (of "
        "all threads), most memory beyond its own peak before, mean and deviation of a logistic regression's scores "
        "on rows of their own.",
        "",
        "| negatives | sampler | seconds | CPU seconds | MiB | AUC | average precision |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in sorted(results["rows"], key=lambda row: row["negatives"]):  # as listed within a size
        cells = ["left out", "", "", "", ""]
        if not row["left_out"]:
            beyond = zip(row["peak_bytes"], row["baseline_bytes"], strict=True)
            cells = [
                *(digits(statistics.median(row[key])) for key in ("seconds", "cpu_seconds")),
                f"{max(peak - before for peak, before in beyond) / 2**20:,.0f}",
                *(f"{np.mean(row[score]):.3f} ± {np.std(row[score], ddof=1):.3f}" for score in SCORES),
            ]
        lines.append(f"| {row['negatives']:,} | {row['sampler']} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def command(words: list[str]) -> str:
    """How it was called; where the results went is nobody's business.

    >>> command(["--seeds", "3", "--out", "/somewhere", "--quick"])
    'python benchmarks/selection.py --seeds 3 --quick'
    """
    kept = [word for before, word in zip(["", *words], words, strict=False) if "--out" not in (before, word)]
    return " ".join(["python benchmarks/selection.py", *kept])


def write(results: dict[str, Any], stem: Path) -> list[Path]:
    """Write what is known so far as JSON and as Markdown."""
    texts = {".json": json.dumps(short(results), indent=1) + "\n", ".md": table(results)}
    paths = [stem.with_name(stem.name + ending) for ending in texts]
    for path, text in zip(paths, texts.values(), strict=True):
        path.write_text(text, encoding="utf-8")
    return paths


def main() -> int:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small sizes: does everything run?")
    parser.add_argument(
        "--largest", type=int, default=1_000_000, help="no archive larger than this (1,000,000)"
    )
    parser.add_argument(
        "--limit", type=float, default=600.0, help="CPU seconds; what takes longer is left out (600)"
    )
    parser.add_argument("--seeds", type=int, help="how many (5)")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    plan = dict(QUICK if options.quick else FULL)
    plan["archives"] = [n for n in plan["archives"] if n <= options.largest]
    plan["seeds"] = options.seeds or plan["seeds"]
    results = {
        "machine": machine(None, PACKAGES),
        "command": command(sys.argv[1:]),
        "plan": plan,
        "whole": False,
        "rows": [],
    }
    stem = options.out / f"selection-{slug(results['machine'])}{'-quick' if options.quick else ''}"
    options.out.mkdir(parents=True, exist_ok=True)
    for row in measure(plan, options.limit):
        results["rows"].append(row)
        write(results, stem)
    results["whole"] = True
    for path in write(results, stem):
        print(path)
    return 0


if __name__ == "__main__":
    multiprocessing.set_forkserver_preload(
        ["numba", "pandas", "sklearn.linear_model", "imblearn.under_sampling"]
    )
    sys.exit(main())
