"""The runs of Table 5 of paper B: each loss on the backbone alone, deep supervision alone, and DSN-SAAL."""

from collections.abc import Mapping

import pandas as pd

from covid_study.report.verdicts import listed
from covid_study.samples.samples import Samples
from covid_study.scores import published as papers
from covid_study.scores.old_claims import FAILS, HOLDS, MEAN, TOO_FEW, UNCLEAR
from covid_study.scores.slice_claims import COLUMN, OURS
from covid_study.tables import slice_steps
from covid_study.tables.ablation import Cell
from covid_study.tables.slice_ablation import labels, mean_confusion
from covid_study.training.run import Run

LOSSES = ("ce", "focal", "class_balanced", "sce", "saal")
PARTS = {
    "dsn": ("B.4", "vgg16_bn", "dsn"),
    OURS: ("B.3", OURS, COLUMN),
}  # rows of ours, where the paper has them


def runs(p, s: Samples) -> dict[Cell, Run]:
    """The runs of Table 5, and of what its text compares them with (paper B, 5.2), seed by seed.

    Rows: ce, focal, class_balanced, sce, saal (one stage, so one beta) on the backbone of `slice_network`; dsn
    (cross-entropy at six stages) and dsn_saal (both). Those of Tables 3, 4 and 6 with the same settings are the same runs.
    """
    cells: dict[Cell, Run] = {}
    for seed in p.slice_training.seeds:
        cells |= {(loss, COLUMN, seed): slice_steps.run(p, s, seed, loss=loss) for loss in LOSSES}
        cells["dsn", COLUMN, seed] = slice_steps.run(p, s, seed, supervised=True)
        cells[OURS, COLUMN, seed] = slice_steps.dsn_saal(p, s, seed)
    return cells


def with_parts(joined: pd.DataFrame) -> pd.DataFrame:
    """The results with what the paper prints of DSN and of DSN-SAAL in its Tables 4 and 3.

    joined: of `slice_ablation.results` for Table 5.
    """
    found = joined.copy()
    for row, (name, their_row, their_column) in PARTS.items():
        table = papers.table(name)
        values = table[(table["row"] == their_row) & (table["column"] == their_column)]
        values = values.set_index("metric")["value"]
        here = (found["row"] == row) & found["metric"].isin(values.index)
        metric = found.loc[here, "metric"]
        found.loc[here, "published"] = metric.map(values)
        found.loc[here, "published_sd"] = (metric + "_sd").map(values)
        found.loc[here, "in_paper"] = True
    return found


def trained(p, s: Samples) -> str:
    """What every row is trained on and for how long, in words."""
    backbone, slices = p.slice_network.backbone, len(slice_steps.ids(s, "train"))
    seeds, epochs = len(p.slice_training.seeds), p.slice_training.epochs
    theirs = "the paper's backbone" if backbone == "vgg16_bn" else "the paper's is VGG-16"
    images = papers.table("B.2").query("column == 'train' and metric == 'images'")["value"].sum()
    return (
        f"Every row trains {labels('B.5')[backbone]} ({theirs}) on {slices:,} slices of {p.slices.size} × {p.slices.size} "
        f"pixels (the paper on {images:,.0f}) for {epochs} epoch{'s' * (epochs > 1)}, with {seeds} seed{'s' * (seeds > 1)}."
    )


def confusions(predictions: Mapping[Cell, pd.DataFrame], rows: tuple[str, ...]) -> dict[str, pd.DataFrame]:
    """What the test slices of each class are called under some losses, a mean over seeds: row -> confusion matrix.

    predictions: of `slice_ablation.predictions_of`.
    """
    of = {row: [table for cell, table in predictions.items() if cell[0] == row] for row in rows}
    return {row: mean_confusion(tables) for row, tables in of.items() if tables}


def best(joined: pd.DataFrame, metrics: tuple[str, ...] = ("acc", "f1", "gmean")) -> str:
    """Which loss scores highest here and in the paper, deep supervision aside, in words."""
    names, parts = labels("B.5"), []
    heads = {"acc": "ACC", "f1": "F1", "gmean": "G-mean"}
    rows = joined[joined["row"].isin(LOSSES)]
    for metric in metrics:
        scores = rows[rows["metric"] == metric].set_index("row")
        ours = scores["mean"].dropna()
        top = listed([names[r] for r in LOSSES if r in ours and ours[r] > ours.max() - 5e-4])  # as printed
        parts.append(f"{heads[metric]} {top} ({ours.max():.3f}; in the paper {names[scores['published'].idxmax()]}, "
                     f"{scores['published'].max():.3f})")  # fmt: skip
    return f"Of the five losses on the backbone alone the highest score is: by {'; by '.join(parts)}."


def claims(checked: pd.DataFrame) -> list[tuple[str, pd.DataFrame, str]]:
    """The two claims of Section 5.2, a table each: title, lines of `slice_claims.check`, what its columns are."""
    parts = {
        "saal": ("SAAL against the other losses", "all"),
        "both": ("DSN-SAAL against its parts", "both"),
    }
    return [(title, checked[checked["claim"] == key], over) for key, (title, over) in parts.items()]


def headline(checked: pd.DataFrame, factors: str) -> str:
    """Table 5 in one sentence. checked: of `slice_claims.check`. factors: what alpha did, a sentence."""
    lines = checked[(checked["claim"] == "saal") & (checked["metric"] == "f1") & (checked["column"] != MEAN)]
    verdicts = lines["verdict"].tolist()
    said = (
        f"By F1 per slice SAAL is ahead of {verdicts.count(HOLDS)} of the {len(lines)} other losses, behind"
    )
    said += f" {verdicts.count(FAILS)}, and cannot be told from {verdicts.count(UNCLEAR)}."
    if TOO_FEW in verdicts:
        said = "There are too few test patients to say whether SAAL is ahead of the other losses."
    return f"{said} {factors}"
