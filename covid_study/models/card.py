"""The card of a model: what its reader must know, in Markdown, from `model.json` alone."""

from covid_study.report.words import metric_head

KINDS = {
    "volume": "a whole chest CT (DICOM series, NIfTI, NRRD, MHA)",
    "slice": "slices that are cut out of a chest CT (DICOM series, NIfTI, NRRD, MHA)",
    "picture": "pictures of axial chest CT slices (PNG, JPEG, TIFF, BMP)",
}


def of(about: dict) -> str:
    """The card of what `export` wrote. about: model.json."""
    trained, tested, threshold = about["trained_on"], about["tested_on"], about["threshold"]
    synthetic = (
        "**synthetic exams**: its scores say nothing about people" if trained["synthetic"] else "real exams"
    )
    seeds = len(about["seeds"])
    lines = [
        f"# {about['name']}",
        "",
        f"**{about['notice']}**",
        "",
        f"Reads {KINDS[about['kind']]} and says how likely it shows COVID-19. Trained on {synthetic}.",
        "",
        "```sh",
        "covid-study predict THIS-FOLDER EXAM...",
        "```",
        "",
        "## What it is",
        "",
        *_table("", "", {"networks": f"{seeds}, of the seeds {', '.join(map(str, about['seeds']))}"} | about["architecture"]),
        f"Outputs of the network, in their order: {', '.join(about['outputs'])}. `model.safetensors` holds the weights of each "
        "network under its seed and a dot.",
        "",
        "## What it wants",
        "",
        *_table("input", "", about["input"]),
        "`covid-study predict` prepares exams so. Whoever uses the weights elsewhere must do the same.",
        "",
        "## Called COVID-19",
        "",
        f"Threshold: {'none' if threshold['value'] is None else format(threshold['value'], '.4f')}. How: {threshold['how']}.",
        "",
        "## Trained and tested on",
        "",
        *_table("", "", {
            "trained on": f"{trained['samples']} samples of {trained['store']}", "their SHA-256": trained["sha256"],
            "tested on": f"{tested['cases']} cases of {tested['patients']} patients, {tested['covid']} with COVID-19",
        }),
        "## Scores on the test split",
        "",
        "With 95 % intervals over patients, and over seeds where there are several. In the first column the mean of single "
        "networks, in the second all networks together, as `predict` uses them.",
        "",
        *_scores(about),
        "## Not for",
        "",
        "People other than those of the training data: children, other scanners, other diseases, other phases of contrast. "
        "The probability is no prevalence: it holds for the share of COVID-19 that it was trained with.",
        "",
        "## Made by",
        "",
        *_table("", "", about["code"] | {"from": f"run {about['made_from']['run']}, {about['made_from']['table']}, "
                                                 f"{about['made_from']['row']}, {about['made_from']['column']}"}),
    ]  # fmt: skip
    return "\n".join(lines).rstrip() + "\n"


def _table(first: str, second: str, facts: dict) -> list[str]:
    rows = [f"| {name.replace('_', ' ')} | {_said(value)} |" for name, value in facts.items()]
    return [f"| {first} | {second} |", "| --- | --- |", *rows, ""]


def _said(value: object) -> str:
    """A value of model.json as a reader wants it, without what would end a cell.

    >>> _said({"level": -600.0, "width": 1500.0}), _said([1.0, 5.0]), _said(None)
    ('level -600, width 1500', '1 x 5', 'all')
    """
    if isinstance(value, dict):
        return ", ".join(f"{name} {_said(one)}" for name, one in value.items())
    if isinstance(value, list):
        return " x ".join(map(_said, value))
    if value is None:
        return "all"
    return (f"{value:g}" if isinstance(value, float) else str(value)).replace("|", "/")


def _scores(about: dict) -> list[str]:
    together = {line["metric"]: line for line in about["scores_together"]}
    rows = [
        f"| {metric_head(line['metric'])} | {_with_ends(line)} | {_with_ends(together.get(line['metric']))} |"
        for line in about["scores"]
        if line["metric"] != "hours"
    ]
    return ["| score | mean of the networks | together |", "| --- | --- | --- |", *rows, ""]


def _with_ends(line: dict | None) -> str:
    if line is None:
        return ""
    ends = "" if line["low"] is None else f" ({line['low']:.3f} to {line['high']:.3f})"
    return f"{line['mean']:.3f}{ends}"
