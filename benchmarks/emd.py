"""How fast are the earth mover's distances? `make bench BENCH=emd` measures them on this machine, beside POT and SciPy.

A pair: seconds at D = 512 (features, eq. 3) and at D = 243 (soft labels, eq. 6). Every competitor's distances must agree
with ours on the same pairs, and its repeats alternate with ours. The whole: the paper's size, and archives of a thousand to
a million negatives, each in a process of its own, for its peak memory. What would take longer than --limit or more
memory than --memory is extrapolated, and marked. Results: emd-<machine>.json, .md and .png.
"""

import argparse
import multiprocessing
import os
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import emd_methods as methods
import numpy as np
from joblib import cpu_count
from machine import find_gpu

TOLERANCE = 1e-6  # relative, between a competitor's distance and ours
FULL = {
    "bins": 512,
    "positives": 243,
    "paper": 1785,
    "archives": [1_000, 10_000, 100_000, 1_000_000],
    "rounds": 5,
    "seconds": 0.4,  # of one repeat
    "fewest": 64,  # pairs of one repeat: the simplex needs twice as long for some as for others
    "rows": 1000,
    "copy": 2**30,
    "limit": 200.0,
    "some": (10_000, [128, 256, 512, 1024, 2048]),
}
QUICK = {
    **FULL,
    "bins": 48,
    "positives": 24,
    "paper": 60,
    "archives": [30, 90, 900],
    "rounds": 2,
    "seconds": 0.01,
}
QUICK |= {"fewest": 4, "rows": 60, "copy": 2**25, "limit": 1.0, "some": (90, [32, 64])}
# What is computed over an archive: equation, mass, method, how its cost grows with n.
WHOLE = [
    ("eq. 3", "partial", "ours", "pairs"),
    ("eq. 3", "normalised", "ours", "pairs"),
    ("eq. 3", "partial", "POT simplex", "pairs"),
    ("eq. 6", "partial", "ours", "pairs"),
    ("eq. 6", "partial", "ours, 768 others", "n"),
    ("eq. 6", "normalised", "ours", "n log n"),
    ("eq. 6", "normalised", "ours, rank_negatives", "n log n"),
    ("eq. 6", "normalised", "dense matrix (SciPy)", "pairs"),
    ("eq. 6", "partial", "POT simplex", "pairs"),
]


def main() -> int:
    """Measure, and write the results."""
    options = arguments()
    plan = {**(QUICK if options.quick else FULL)}
    limit = plan["limit"] if options.limit is None else options.limit
    device = find_gpu(options.device)
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    memory = min(options.memory * 2**30, 0.8 * physical)
    started = time.perf_counter()
    say("memory bandwidth")
    bandwidth = methods.copy_bandwidth(plan["copy"], cpu_count())
    pairs = measure_pairs(plan, device)
    paper = measure_paper(plan, pairs)
    archive = measure_archives(plan, pairs, limit, memory, device)
    say(f"eq. 6 over some others, {plan['some'][0]:,} negatives")
    some = in_new_process(
        methods.some_others, plan["some"][0], plan["positives"], plan["some"][1], cpu_count()
    )
    import emd_report as report  # here: a measuring process, which imports this file, needs no matplotlib
    from machine import machine

    results = {
        "machine": machine(device, report.PACKAGES),
        "command": " ".join(["python benchmarks/emd.py", *sys.argv[1:]]),
        "quick": options.quick,
        "limit_seconds": limit,
        "memory_gib": memory / 2**30,
        "threads": cpu_count(),
        "bandwidth_bytes_a_second": bandwidth,
        "pairs": pairs,
        "paper": paper,
        "archive": archive,
        "some_others": some,
        "seconds": time.perf_counter() - started,
    }
    for path in report.write(results, options.out):
        print(path)
    return 0


def arguments() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, seconds: does everything run?")
    parser.add_argument("--limit", type=float, help="seconds; longer computations are extrapolated (200)")
    parser.add_argument("--memory", type=float, default=8.0, help="GiB; larger ones are extrapolated (8)")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent / "results")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 (closed form only)")
    return parser.parse_args()


def measure_pairs(plan: dict, device: str | None) -> list[dict]:
    """Seconds a pair: a row for every equation, mass, method and number of threads."""
    rows = []
    for equation, make, bins in (
        ("eq. 3", methods.features, plan["bins"]),
        ("eq. 6", methods.soft_labels, plan["positives"]),
    ):
        for mass in methods.COMPETITORS:
            F, G = make(plan["rows"], bins, seed=0), make(plan["rows"], bins, seed=1)
            if mass == "normalised":
                F, G = F / F.sum(1, keepdims=True), G / G.sum(1, keepdims=True)
            elif mass == "partial, whole masses":
                F, G = (np.maximum(1, np.round(4 * table / F.mean())) for table in (F, G))
            say(f"a pair, {equation}, {bins} bins, {mass}")
            key = {"equation": equation, "bins": bins, "mass": mass}
            for threads in sorted({1, cpu_count()}):
                rows += [{**key, **row} for row in measure_threads(F, G, mass, threads, plan, device)]
    return rows


def measure_threads(F, G, mass: str, threads: int, plan: dict, device: str | None) -> list[dict]:
    """Ours and all competitors with so many threads: A B, A C, ... and again; a ratio is of neighbours."""
    candidates = dict(methods.COMPETITORS[mass])
    if device and mass == "normalised" and threads == cpu_count():
        candidates["ours, GPU"] = lambda F, G, mass, threads: methods.pairwise_emd(F, G, mass, device=device)
    compared = {"ours": methods.ours, **candidates}
    sides = {name: side(pairs, F, G, mass, threads, plan) for name, pairs in compared.items()}
    times: dict[str, list[float]] = {name: [] for name in compared}
    ratios: dict[str, list[float]] = {name: [] for name in candidates}
    differences = dict.fromkeys(candidates, 0.0)
    for turn in range(plan["rounds"]):
        for name, pairs in candidates.items():
            mine, _ = seconds_a_pair(methods.ours, F, G, mass, threads, sides["ours"], turn)
            theirs, (f, g, found) = seconds_a_pair(pairs, F, G, mass, threads, sides[name], turn)
            expected = methods.ours(f, g, mass, threads)
            difference = float((np.abs(found - expected) / np.maximum(expected, np.finfo(float).tiny)).max())
            if not difference <= TOLERANCE:  # NaN neither
                raise SystemExit(f"{name} computes something else: {difference:.1e} away from ours")
            differences[name] = max(differences[name], difference)
            times["ours"].append(mine)
            times[name].append(theirs)
            ratios[name].append(theirs / mine)
    return [
        {
            "method": name,
            "threads": threads,
            "seconds_a_pair": statistics.median(values),
            "lowest": min(values),
            "highest": max(values),
            "repeats": len(values),
            "pairs": sides[name] ** 2,
            "ratio": statistics.median(ratios[name]) if name in ratios else 1.0,
            "ratio_lowest": min(ratios.get(name, [1.0])),
            "ratio_highest": max(ratios.get(name, [1.0])),
            "largest_relative_difference": differences.get(name, 0.0),
        }
        for name, values in times.items()
    ]


def side(pairs, F, G, mass: str, threads: int, plan: dict) -> int:
    """How many rows of F and of G make a repeat that lasts."""
    fewest = max(plan["fewest"], 2 * threads)
    tried = int(np.ceil(fewest**0.5))
    pairs(F[:2], G[:2], mass, threads)  # compiled, threads started
    while True:
        started = time.perf_counter()
        pairs(F[:tried], G[:tried], mass, threads)
        taken = time.perf_counter() - started
        if taken > plan["seconds"] / 2 or tried == len(F):
            return tried
        tried = min(len(F), 2 * tried)


def seconds_a_pair(pairs, F, G, mass: str, threads: int, rows: int, turn: int):
    """Seconds a pair of one repeat, other pairs each turn; with the histograms and their distances."""
    at = np.arange(turn * rows, (turn + 1) * rows) % len(F)
    f, g = F[at], G[at]
    started = time.perf_counter()
    found = pairs(f, g, mass, threads)
    return (time.perf_counter() - started) / found.size, (f, g, found)


def measure_paper(plan: dict, pairs: list[dict]) -> list[dict]:
    """The paper's size in partial mode, all threads; POT's time from its seconds a pair."""
    n, positives = plan["paper"], plan["positives"]
    say(f"the paper's size, {n:,} x {positives}")
    found = in_new_process(methods.paper, n, positives, plan["bins"], cpu_count())
    memory = {k: found[k] for k in ("baseline_bytes", "peak_bytes")}
    rows = []
    for equation, count in (("eq. 3", n * positives), ("eq. 6", n * (n - 1) // 2)):
        key = {
            "equation": equation,
            "mass": "partial",
            "negatives": n,
            "positives": positives,
            "pairs": count,
        }
        slow = count * per_pair(pairs, equation, "partial", "POT simplex")
        rows.append(
            {**key, "method": "ours", "seconds": found[equation], "extrapolated": False, "why": "", **memory}
        )
        rows.append(
            {**key, "method": "POT simplex", "seconds": slow, "extrapolated": True, "why": "seconds a pair"}
        )
    return rows


def measure_archives(
    plan: dict, pairs: list[dict], limit: float, memory: float, device: str | None
) -> list[dict]:
    """Every whole computation at every size, all threads; too long or too large: extrapolated."""
    rows = []
    targets = [(*what, "cpu") for what in WHOLE]
    if device:
        targets += [
            (*what, device) for what in WHOLE if what[1] == "normalised" and what[2].startswith("ours")
        ]
    for equation, mass, method, growth, where in targets:
        last = None  # the largest that was measured
        for n in plan["archives"]:
            by_pair = n * methods.OTHERS if growth == "n" else pair_count(equation, n, plan["positives"])
            cost = n * np.log2(n) if growth == "n log n" else by_pair
            if last:
                expected = last["seconds"] * cost / last["cost"]
            elif mass == "partial":
                expected = cost * per_pair(pairs, equation, mass, method.split(",")[0])
            else:
                expected = 0.0
            why = (
                "time"
                if expected > limit
                else "memory"
                if bytes_needed(equation, method, n, plan) > memory
                else ""
            )
            name = method if where == "cpu" else f"{method}, GPU"
            row = {"equation": equation, "mass": mass, "method": name, "negatives": n, "growth": growth}
            row |= {"seconds": expected, "extrapolated": bool(why), "why": why}
            if not why:
                say(f"{n:,} negatives, {equation}, {mass}, {name}")
                sizes = (n, plan["positives"], plan["bins"], cpu_count())
                row |= in_new_process(methods.whole, equation, mass, method, *sizes, where)
                last = {**row, "cost": cost}
                check_mean(row, rows)
            rows.append(row)
    return rows


def check_mean(row: dict, others: list[dict]) -> None:
    """Two methods that were given the same archive must agree; one that meets some others only is compared by ranks."""
    for other in others:
        if "others" in row["method"] + other["method"]:
            continue
        same = all(row[k] == other[k] for k in ("equation", "mass", "negatives"))
        if same and "mean" in other and not abs(row["mean"] / other["mean"] - 1) <= TOLERANCE:
            raise SystemExit(
                f"{row['method']} and {other['method']} computed different means: {row}, {other}"
            )


def pair_count(equation: str, n: int, positives: int) -> int:
    """Distances of eq. 3, or pairs of soft labels of eq. 6."""
    return n * positives if equation == "eq. 3" else n * (n - 1) // 2


def per_pair(pairs: list[dict], equation: str, mass: str, method: str) -> float:
    """Seconds a pair with all threads."""
    kept = (r for r in pairs if (r["equation"], r["mass"], r["method"]) == (equation, mass, method))
    return max(kept, key=lambda r: r["threads"])["seconds_a_pair"]


def bytes_needed(equation: str, method: str, n: int, plan: dict) -> float:
    """What a computation will hold, roughly: arrays and half a GiB of Python and its packages."""
    table = 8 * n * plan["positives"]
    arrays = {"dense matrix (SciPy)": 8 * n * n + 3 * table, "ours, rank_negatives": 3 * table}
    return 2**29 + (table if equation == "eq. 3" else arrays.get(method, 2 * table))


def in_new_process(function, *arguments):
    """The result of `function` in a fresh process, whose peak memory is then that of this computation.

    Forked from a server that has only imported packages: a process started straight from this one would begin with this
    one's peak (Linux hands `ru_maxrss` on through fork and exec).
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("forkserver")) as pool:
        return pool.submit(function, *arguments).result()


def say(what: str) -> None:
    """What is measured now."""
    print(f"{time.strftime('%H:%M:%S')}  {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    multiprocessing.set_forkserver_preload(["numba", "ot", "pandas", "scipy.spatial", "scipy.stats", "torch"])
    sys.exit(main())
