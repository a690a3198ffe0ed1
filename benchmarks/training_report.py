"""What `training.py` leaves: the numbers as JSON and a table for people."""

import json
from pathlib import Path

from machine import described, digits, short, slug

from covid_study.report.words import period
from covid_study.scores import published

PACKAGES = ("numpy", "torch", "monai")
AIM_ADDED, AIM_RATIO = (
    0.05,
    {"cpu": 1.0, "cuda": 5.0},
)  # the loop's share; times a MONAI user's exams a second
AIM_SWEEP = {"cpu": 2.0, "cuda": 5.0}  # times a MONAI user's, several trainings
DEVICES = {"cpu": "CPU", "cuda": "GPU"}


def write(results: dict, folder: Path) -> list[Path]:
    """The two files; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / f"training-{slug(results['machine'])}{'-quick' if results['quick'] else ''}"
    paths = [stem.with_name(stem.name + ending) for ending in (".json", ".md")]
    paths[0].write_text(json.dumps(short(results), indent=1) + "\n", encoding="utf-8")
    paths[1].write_text(table(results), encoding="utf-8")
    return paths


def table(results: dict) -> str:
    """All results as Markdown."""
    lines = [
        "# Training: exams a second",
        "",
        f"{described(results['machine'])} threads: {results['threads']}; load before: {results['machine']['load']}. "
        f"Measured {results['machine']['date']} in {results['seconds']:.0f} s by `{results['command']}`.",
        "",
        *headline(results),
        "",
        "## The loop beside the bare passes and a MONAI user's",
        "",
        "All train the same network (MONAI's ResNet-18 at the width and stem stride of the profile) with Adam for the same "
        "number of steps. Medians, in brackets lowest to highest; seconds relative to ours are of neighbours in time. "
        "Once an epoch: what our loop does beside its batches, above all its share of a checkpoint, written every half minute.",
        "",
    ]
    for setting, device in dict.fromkeys((r["setting"], r["device"]) for r in results["loop"]):
        rows = [r for r in results["loop"] if (r["setting"], r["device"]) == (setting, device)]
        lines += [*loop_table(rows), ""]
    lines += ["## Share of the hardware's peak", "", *peak_table(results)]
    if results["paper"]:
        lines += ["", "## The paper's networks and training sets", "", *paper_table(results)]
    for r in results["scores"]:
        lines += ["", "## The same scores?", "", *score_table(r)]
    for r in results["sweep"]:
        lines += ["", "## Several trainings", "", *sweep_table(r)]
    return "\n".join(lines) + "\n"


def sweep_table(sweep: dict) -> list[str]:
    """Seconds and AUC of several trainings."""
    lines = [
        f"{sweep['runs']} trainings of {sweep['epochs']} epochs on {sweep['exams']} exams ({DEVICES[sweep['device']]}, ours "
        f"{sweep['at_once']} at once, in {sweep['precision']}), tested too: ours are {digits(sweep['ratio'])} times as fast "
        f"as the quickest MONAI user, where the workers are there already {digits(sweep['ratio_there'])} times; "
        f"{AIM_SWEEP[sweep['device']]:g} times is {'' if sweep['ratio'] >= AIM_SWEEP[sweep['device']] else 'not '}reached.",
        "",
        "| | seconds | AUC, mean | by seed |",
        "| --- | --- | --- | --- |",
    ]
    for name, side in sweep["sides"].items():
        by_seed, mean = ", ".join(f"{x:.3f}" for x in side["auc"]), sum(side["auc"]) / len(side["auc"])
        lines.append(f"| {name} | {side['seconds']:.1f} | {mean:.3f} | {by_seed} |")
    return [
        *lines,
        "",
        f"AUC of ours less the quickest's: {sweep['difference']:+.3f} (95 % {sweep['low']:+.3f} to {sweep['high']:+.3f}).",
    ]


def headline(results: dict) -> list[str]:
    """What is asked first, a sentence each: what the loop adds, how much faster than MONAI, the peak, the hours."""
    lines = []
    for ours in (r for r in results["loop"] if r["method"] == "ours"):
        rows = [r for r in results["loop"] if all(r[k] == ours[k] for k in ("setting", "device"))]
        where = f"{DEVICES[ours['device']]}, {ours['setting']}"
        added = ours["added_to_epoch"]
        lines.append(
            f"- {where}: the loop adds {_percent(ours, 'added_to_passes')} to the bare passes, with what it does once an "
            f"epoch of {ours['epoch']} exams {_percent(ours, 'added_to_epoch')}; at most {100 * AIM_ADDED:.0f} % is "
            f"{'reached' if added <= AIM_ADDED else 'not reached'}."
        )
        theirs = fastest_monai(rows)
        aim = AIM_RATIO[ours["device"]]
        reached = (
            "" if aim == 1 else f"; {aim:g} times is {'reached' if theirs['ratio'] >= aim else 'not reached'}"
        )
        lines.append(
            f"- {where}: {digits(ours['exams_a_second'])} exams a second, {_range(theirs, 'ratio')} times those of the "
            f"fastest MONAI user ({theirs['method'].removeprefix('MONAI, ')}){reached}."
        )
    lines += [paper_sentence(results["paper"])] if any(_measured(results["paper"])) else []
    return lines


def fastest_monai(rows: list[dict]) -> dict:
    """The MONAI user who comes closest to us."""
    return min((r for r in rows if r["method"].startswith("MONAI")), key=lambda r: r["ratio"])


def paper_sentence(rows: list[dict]) -> str:
    """The hours of ALL with the fastest ResNet-18, beside the paper's."""
    at = min((r for r in _measured(rows) if r["depth"] == 18), key=lambda r: r["hours_all"])
    how = (
        f"ResNet-18, stem stride {at['stem_stride']}, {at['precision']}, {_shape(at)}, {at['epochs']} epochs"
    )
    printed = {c: f"{v:g}" for c, v in printed_hours().items()}
    at_size = ""
    if at["extrapolated"]:
        at_size = f" (at 256 x 192 x 56, by the number of operations, ~ {period(at['paper_size_hours_all'])})"
    return (
        f"- {how}: ALL would take {period(at['hours_all'])}{at_size}, 56 % {period(at['hours_56%'])}; "
        f"the paper's took {printed['all']} and {printed['56%']} hours on a V100, its number of epochs is not given."
    )


def loop_table(rows: list[dict]) -> list[str]:
    """One setting on one device."""
    ours = rows[0]
    lines = [
        f"**{DEVICES[ours['device']]}, {ours['setting']}**: {_shape(ours)}, width {ours['width']:g}, stem stride "
        f"{ours['stem_stride']}, batch {ours['batch']}, epochs of {ours['exams']} exams.",
        "",
        "| | precision | exams a second | ms an exam | once an epoch, s | time relative to ours | repeats |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for r in rows:
        ratio = _range(r, "ratio") if "ratio" in r else "1"
        once = f"{r['once_seconds']:.3f}" if r["once_seconds"] else "–"
        lines.append(
            f"| {r['method']} | {r['precision']} | {_range(r, 'exams_a_second')} "
            f"| {digits(1e3 * r['passes_seconds_an_exam'])} | {once} | {ratio} | {r['repeats']} |"
        )
    return lines


def peak_table(results: dict) -> list[str]:
    """Operations a second of the passes over the measured peak."""
    lines = [
        "The peak is measured, not the maker's: the best product of two large matrices in the same run, in the same precision "
        "(float32 on a GPU: TF32, as its convolutions). The operations of a training step are counted (convolutions and "
        "matrix products, forward and backward).",
        "",
        "| | | precision | GFLOP an exam | GFLOP/s | measured peak, GFLOP/s | share |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for r in results["loop"]:
        if r["method"] in ("ours", "bare passes"):
            name = f"{DEVICES[r['device']]}, {r['setting']} | {r['method']}"
            lines.append(_peak_line(results, r, name, 1 / r["passes_seconds_an_exam"]))
    for r in _measured(results["paper"]):
        name = f"{DEVICES[r['device']]}, {_shape(r)} | ResNet-{r['depth']}, stem stride {r['stem_stride']}"
        lines.append(_peak_line(results, r, name, r["exams_a_second"]))
    return lines


def share(results: dict, row: dict, exams_a_second: float) -> tuple[float, float, float]:
    """Operations a second, the measured peak, and their quotient."""
    peak = next(
        p["flops_a_second"] for p in results["peaks"] if all(p[k] == row[k] for k in ("device", "precision"))
    )
    rate = row["flops_an_exam"] * exams_a_second
    return rate, peak, rate / peak


def _peak_line(results: dict, row: dict, name: str, exams_a_second: float) -> str:
    rate, peak, part = share(results, row, exams_a_second)
    return (
        f"| {name} | {row['precision']} | {digits(row['flops_an_exam'] / 1e9)} | {digits(rate / 1e9)} "
        f"| {digits(peak / 1e9)} | {100 * part:.0f} % |"
    )


def paper_table(results: dict) -> list[str]:
    """ResNet-18 and 50 at both stem strides and precisions: exams a second, hours, memory."""
    rows = results["paper"]
    first, printed = rows[0], printed_hours()
    smaller = first["shape"] != [256, 192, 56]
    lines = []
    if smaller:
        lines += [
            f"**Not the paper's size**: on this device the inputs are {_shape(first)} and batches of {first['batch']}, so that "
            "the table ends. *~ follows from it by the number of operations, not measured.*",
            "",
        ]
    head = ["network", "stem stride", "precision", "exams a second", "ALL", "56 %"]
    head += ["~ ALL at 256 x 192 x 56"] if smaller else ["GPU memory, GiB"]
    lines += [
        f"Width {first['width']:g}, {_shape(first)}, batch {first['batch']}, {first['epochs']} epochs (params/paper.yaml; the "
        "paper does not give its own). ALL and 56 %: the classifier's training on the paper's sets; the paper's took "
        f"{printed['all']:g} and {printed['56%']:g} hours on a V100, 0.3 hours of pre-training included.",
        "",
        "| " + " | ".join(head) + " |",
        "| " + " | ".join("---" for _ in head) + " |",
    ]
    for r in rows:
        what = f"| ResNet-{r['depth']} | {r['stem_stride']} | {r['precision']} |"
        if r["out_of_memory"]:
            lines.append(f"{what} out of memory | – | – | – |")
            continue
        last = (
            f"~ {period(r['paper_size_hours_all'])}" if smaller else f"{r['peak_memory_bytes'] / 2**30:.1f}"
        )
        lines.append(
            f"{what} {_range(r, 'exams_a_second')} | {period(r['hours_all'])} | {period(r['hours_56%'])} | {last} |"
        )
    return lines


def printed_hours() -> dict[str, float]:
    """The training periods of Table III, in hours, by column."""
    rows = published.table("A.III").query("row == 'training_period'")
    return dict(zip(rows["column"], rows["value"], strict=True))


def score_table(scores: dict) -> list[str]:
    """AUC of both sides and their difference."""
    lines = [
        f"A problem made up for this ({scores['exams']} exams to train on, {scores['test_exams']} to test, {scores['epochs']} "
        f"epochs, {DEVICES[scores['device']]}, ours in {scores['precision']}); every seed starts both from the same weights.",
        "",
        "| | AUC, mean | sd | by seed |",
        "| --- | --- | --- | --- |",
    ]
    for name, side in scores["sides"].items():
        by_seed = ", ".join(f"{value:.3f}" for value in side["auc"])
        lines.append(f"| {name} | {side['mean']:.3f} | {side['sd']:.3f} | {by_seed} |")
    none = scores["low"] <= 0 <= scores["high"]
    return [
        *lines,
        "",
        f"Ours less the MONAI user's: {scores['difference']:+.3f} (95 % interval {scores['low']:+.3f} to {scores['high']:+.3f} "
        f"over seeds): {'no difference is found' if none else 'they differ'}.",
    ]


def _measured(rows: list[dict]) -> list[dict]:
    return [r for r in rows if not r["out_of_memory"]]


def _shape(row: dict) -> str:
    return " x ".join(str(n) for n in row["shape"])


def _range(row: dict, name: str) -> str:
    return f"{digits(row[name])} ({digits(row[f'{name}_lowest'])} to {digits(row[f'{name}_highest'])})"


def _percent(row: dict, name: str) -> str:
    values = (100 * row[key] for key in (name, f"{name}_lowest", f"{name}_highest"))
    return "{:.1f} % ({:.1f} to {:.1f})".format(*values)
