"""What notebook 09 says about its slices and its networks: what was cut, what was trained from what, what was learnt."""

from collections.abc import Mapping
from html import escape
from math import ceil
from pathlib import Path

import pandas as pd
from IPython.display import HTML

from covid_study.analysis import cost
from covid_study.cohort.slices import counts
from covid_study.report import show
from covid_study.report.verdicts import listed
from covid_study.report.words import finding_name
from covid_study.samples.samples import Samples
from covid_study.scores import published, slices as slice_metrics
from covid_study.tables.ablation import Cell
from covid_study.tables.slice_ablation import joined, labels, predictions_of
from covid_study.training.run import Run

PAPER_EPOCHS, PAPER_SIZE, PAPER_BACKBONE = 120, 224, "vgg16_bn"  # paper B, 4.3 and 4.1
SETTLED = 30  # epochs from random weights below which a row says nothing about its network


def counted(s: Samples) -> pd.DataFrame:
    """Patients and slices of each finding and split beside Table 2, as `show.join_published` (paper B, 4.1.1)."""
    ours = counts(s.table).rename(columns={"patients": "cases", "slices": "images"})
    tidy = ours.melt(["finding", "split"], ["cases", "images"], "metric", "mean")
    tidy = tidy.rename(columns={"finding": "row", "split": "column"})
    return show.join_published(tidy.assign(label=tidy["row"].map(finding_name)), "B.2")


def source_sentence(s: Samples) -> str:
    """How many slices of how many exams, what is known about them, and how many exams or images gave none."""
    exams, missing = s.table["exam_id"].nunique(), len(s.left_out)
    text = (
        f"{len(s.table):,} slices of {exams:,} exams, {s.data.shape[-1]} pixels a side (paper: {PAPER_SIZE})."
    )
    out = "None was left out." if not missing else f"{missing:,} exams or images could not be used:"
    return " ".join([text, *s.notes, out])


def ceiling_sentence(s: Samples, split: str = "test") -> str:
    """How many COVID-19 slices show no lesion, which no network can tell, where that is known; else nothing."""
    share = s.table.query("split == @split and finding == 'covid'")["lesion_share"]
    if share.isna().any():
        return ""
    without, n = int((share == 0).sum()), len(share)
    if not without:
        return f"Each of the {n:,} COVID-19 slices of the {split} split shows a lesion."
    return (
        f"Of the {n:,} COVID-19 slices of the {split} split {without:,} ({100 * without / n:.0f} %) show no lesion: they have "
        "the finding of their exam. A network that finds every lesion and nothing else has a sensitivity of "
        f"{1 - without / n:.2f} per slice."
    )


def guess_sentence(s: Samples) -> str:
    """What a network scores that calls every test slice what is most frequent in training."""
    train, test = (s.table.loc[s.table["split"] == split, "finding"] for split in ("train", "test"))
    most = train.value_counts().index[0]
    acc, covid = (test == most).mean(), (test == "covid").mean()
    f1 = 2 * covid / (1 + covid) if most == "covid" else 0.0
    return f"To call every slice {finding_name(most)} scores {acc:.3f} in ACC, {f1:.3f} in F1, 0 in G-mean and 0.5 in AUC."


def training_sentence(runs: Mapping[Cell, Run], table: str = "B.3") -> str:
    """From which weights, for how many epochs and on how many slices each row is trained, and whether that is enough."""
    groups: dict[tuple, list[str]] = {}
    for (row, _, _), run in runs.items():
        slices = len(run.training_ids) + len(run.method.meta_ids)
        names = groups.setdefault((start_of(run), run.method.training["epochs"], slices), [])
        if (name := labels(table)[row]) not in names:
            names.append(name)
    said = []
    for (start, epochs, slices), names in groups.items():
        start_s, are = ("start", "are") if len(names) > 1 else ("starts", "is")
        length = f"{epochs} epoch{'s' * (epochs != 1)} on {slices:,} slices"
        said.append(f"{listed(names)} {start_s} from {start} and {are} trained for {length}")
    text = (
        f"{'; '.join(said)}. The paper trains each network for {PAPER_EPOCHS} epochs from ImageNet weights."
    )
    early = [
        run for run in runs.values() if run.method.weights is None and run.method.training["epochs"] < SETTLED
    ]
    if not early:
        return text
    steps = max(
        ceil(len(r.training_ids) / r.method.training["batch_size"]) * r.method.training["epochs"]
        for r in early
    )
    return (
        f"{text} {steps:,} step{'s' * (steps != 1)} from random weights are hardly a beginning: the rows that had no more are "
        "computed as the paper's, but do not say which network is better. `comparison.epochs` and `comparison.slices` set "
        "their length, `slice_network.weights_folder` the folder where weights are looked for."
    )


RANDOM = "random weights"


def start_of(run: Run) -> str:
    """What a run starts from, in words."""
    kinds = {"imagenet": "ImageNet weights", "chexnet": "ChestX-ray weights"}
    start = kinds[run.method.weights.origin] if run.method.weights else RANDOM
    return f"{start} with contrastive pre-training" if run.method.encoder else start


def weights_sentences(runs: Mapping[Cell, Run]) -> list[str]:
    """Where the weights come from that some of the runs start from, each file once."""
    return list(dict.fromkeys(run.method.weights.sentence for run in runs.values() if run.method.weights))


def test_calls(s: Samples, folders: Mapping[Cell, Path], seed: int, table: str = "B.3") -> dict:
    """Label -> `slices.read` of the test slices, of all rows of one seed: for `deep.roc_curves`."""
    here = {cell: folder for cell, folder in folders.items() if cell[2] == seed}
    names = labels(table)
    return {names[row]: slice_metrics.read(t) for (row, _, _), t in predictions_of(s, here).items()}


test_calls.__test__ = False  # its name begins like that of a test


def spent(
    runs: Mapping[Cell, Run], folders: Mapping[Cell, Path], results: Mapping[str, pd.DataFrame]
) -> pd.DataFrame:
    """`cost.costs` of several tables, cells that stand in two of them once, with `epochs` and what each starts from, `start`.

    results: table -> of `slice_ablation.results`. The column becomes "dsn" where a network is supervised, else "baseline".
    """
    parts = []
    for table, scored in results.items():
        cells = set(scored.loc[scored["mean"].notna(), ["row", "column"]].itertuples(index=False, name=None))
        here = {cell: folder for cell, folder in folders.items() if cell[:2] in cells}
        parts.append(cost.costs(table, runs, here, scored, labels(table)))
    found = cost.together(*parts)
    first = {cell[:2]: run for cell, run in runs.items()}
    of = [first[row, column] for row, column in zip(found["row"], found["column"], strict=True)]
    plain = {False: "baseline", True: "dsn"}
    return found.assign(
        column=[plain[r.method.supervised] for r in of],
        start=[start_of(r) for r in of],
        epochs=[r.method.training["epochs"] for r in of],
    )


def spent_table(found: pd.DataFrame) -> HTML:
    """What each network started from, how long it was trained and what that took. found: of `spent`."""
    heads = [
        "",
        "",
        "Starts from",
        "Epochs",
        "Pre-training",
        "Training",
        "Slices seen",
        "FLOPs",
        "FLOPs<br>a slice",
        "F1",
    ]
    body = ""
    for r in found.itertuples():
        before = show.duration(r.before_hours) if r.before_hours else "none"
        score = "–" if pd.isna(r.f1) else f"{r.f1:.3f}"
        cells = [r.epochs, before, show.duration(r.compute_seconds / 3600), f"{r.exams_seen:,.0f}"]
        cells += [cost.amount(r.flops), cost.amount(r.flops / r.exams_seen), score]
        body += f"<tr><th class='row'>{escape(r.label)}</th><td>{show.column_head(r.column)}</td>"
        body += f"<td style='white-space:normal'>{escape(r.start)}</td>"
        body += "".join(f"<td>{escape(str(cell))}</td>" for cell in cells) + "</tr>"
    seeds = int(found["seeds"].max())
    means = f"Means over {seeds} seeds." if seeds > 1 else "One seed."
    caption = (
        f"<b>What each network started from, and what it cost here</b><br>{means} Slices seen and FLOPs are those of training "
        "without pre-training: counted, not measured, and the same on every machine."
    )
    head = "".join(f"<th>{h}</th>" for h in heads)
    return show.framed(caption, f"<tr>{head}</tr>", body)


def backbone_note(p) -> str:
    """On which backbone the methods of Table 3 stand that are no backbone themselves."""
    words = show.column_head
    own, paper = words(p.slice_network.backbone), words(PAPER_BACKBONE)
    return f"DSN-SAAL and Meta-Weight-Net have {own} for their backbone; DSN-SAAL of the paper has {paper}."


def with_parameters(results: pd.DataFrame, counted: pd.DataFrame) -> pd.DataFrame:
    """Table 4 whole: scores of `slice_ablation.results` and parameters of `b3_b4_networks.parameters`."""
    both = pd.concat([results[results["mean"].notna()], counted[counted["mean"].notna()]], ignore_index=True)
    return joined(both, "B.4")


def published_counts() -> pd.DataFrame:
    """What paper B had, its Table 2, as `slices.counts` gives ours: finding, split, patients (its cases), slices.

    >>> published_counts().iloc[0].to_dict()
    {'finding': 'covid', 'split': 'train', 'patients': 43, 'slices': 1256}
    """
    table = published.table("B.2").rename(columns={"row": "finding", "column": "split"})
    wide = table.pivot(index=["finding", "split"], columns="metric", values="value").astype(int)
    order = [(finding, split) for finding in ("covid", "cap", "non_pneumonia") for split in ("train", "test")]
    wide = wide.loc[order].rename(columns={"cases": "patients", "images": "slices"}).reset_index()
    return wide.rename_axis(columns=None)[["finding", "split", "patients", "slices"]]
