"""What notebook 13 says of Tables 7 to 9: ours beside the paper's, what was reduced, who is ahead."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from IPython.display import HTML

from covid_study import paths
from covid_study.params import profiles
from covid_study.report import show
from covid_study.report.verdicts import listed
from covid_study.samples.samples import Samples
from covid_study.scores import published as papers, slices as slice_metrics
from covid_study.scores.old_claims import FAILS, FEWEST, HOLDS, MEAN, UNCLEAR
from covid_study.scores.slice_claims import COLUMN, OURS, WHOLE
from covid_study.tables import ablation_report as report, b3_b4_networks
from covid_study.tables.ablation import Cell
from covid_study.tables.b7_b9_public import ABOUT, AHEAD, FOLD, patients_known, table_of
from covid_study.tables.deep_report import RANDOM, start_of
from covid_study.tables.slice_ablation import labels
from covid_study.training.run import Run
from covid_study.training.slice_classifier import SliceClassifier

METRICS = {
    "B.7": ("acc", *(f"{m}_{c}" for m in ("sen", "pre") for c in ("non_pneumonia", "cap", "covid"))),
    "B.8": ("acc", "f1", "auc"),
    "B.9": ("acc", "f1", "auc", "pre", "sen"),
}
FROM_PAPER = "from the paper only"


def names(table: str | None) -> dict[str, str]:
    """Rows in words, as the table prints them where it has them."""
    return labels(table) if table else show.COLUMN_HEADS


def shown(joined: pd.DataFrame, table: str | None, s: Samples, patients: bool = False) -> HTML:
    """A table of ours beside the paper's, rows that only the paper has marked so; or ours alone per patient.

    joined: of `b7_b9_public.results`.
    """
    end = slice_metrics.PATIENT if patients else ""
    metrics = METRICS.get("B.8" if patients else table, METRICS["B.8"])
    title = ABOUT[table] if table else "The rows of Table 8, on these slices"
    beside = ", the paper's and ours" if table and not patients else ""
    over = "test patients" if patients_known(s) else "test pictures"
    own = joined[joined["mean"].notna()].drop(columns=["published", "published_sd", "in_paper"])
    return show.side_by_side(
        own if patients else joined,
        None if patients else table,
        title=f"{title}{beside}, per {'patient' if patients else 'slice'}",
        metrics=[metric + end for metric in metrics],
        decimals=max(3, papers.decimals(table) or 0) if table else 3,
        over=over,
        not_run=FROM_PAPER,
    )


def paper_only(table: str) -> HTML:
    """A table of the paper that is not run here, its numbers alone."""
    nothing = pd.DataFrame(columns=["row", "column", "metric", "mean"])
    return show.side_by_side(nothing, table, title=ABOUT[table], metrics=METRICS[table], not_run=FROM_PAPER)


def starts(runs: Mapping[Cell, Run], table: str | None) -> str:
    """From which weights, for how many epochs and on how many slices each network is trained, in words."""
    groups: dict[tuple, list[str]] = {}
    for (row, column, _), run in runs.items():
        if isinstance(run.method, SliceClassifier) and column in (COLUMN, WHOLE, f"{FOLD}1"):
            key = start_of(run), run.method.training["epochs"], len(run.training_ids)
            groups.setdefault(key, []).append(names(table)[row])
    said = []
    for (start, epochs, slices), rows in groups.items():
        rows = list(dict.fromkeys(rows))
        start_s = "start" if len(rows) > 1 else "starts"
        length = f"{epochs} epoch{'s' * (epochs != 1)} of {slices:,} slices"
        said.append(f"{listed(rows)} {start_s} from {start}, {length}")
    text = f"{'; '.join(said)}."
    if any(key[0].startswith(RANDOM) for key in groups):
        text += " Rows that start from random weights are no measure of those that do not."
    return text


def reduced(p, s: Samples, runs: Mapping[Cell, Run]) -> str:
    """In what these runs do less, or other, than `params/paper.yaml` asks for, which has the paper's settings.

    Of rows that the paper takes from other papers it says nothing: that file then has what our longest run does.
    """
    paper = profiles.load_profile(paths.root() / "params" / "paper.yaml")
    theirs, table, said = paper["public"], table_of(s.source), []
    own, rows = p.slice_network.backbone, {row for row, *_ in runs}

    def differs(what: str, ours, printed, form: str = "{}", whose: str = "paper") -> None:
        if ours != printed:
            said.append(f"{what} {form.format(ours)} ({whose}: {form.format(printed)})")

    differs("pictures of", s.data.shape[-1], theirs["size"], "{0} × {0} pixels")
    differs("backbone", *(show.column_head(name) for name in (own, paper["slice_network"]["backbone"])))
    for key, form in (
        ("epochs", "{}"),
        ("optimiser", "{}"),
        ("learning_rate", "{:g}"),
        ("weight_decay", "{:g}"),
    ):
        differs(key.replace("_", " "), getattr(p.slice_training, key), theirs["training"][key], form)
    if p.slice_training.augment:
        said.append("crops, flips and brightness at random (paper: none)")
    if table == "B.9":
        differs("folds", p.public.folds, theirs["folds"])
    if table == "B.7":
        differs("slices of each class in the second column", p.public.per_class, theirs["per_class"])
    seeds = {seed for row, _, seed in runs if row == OURS}
    differs("trainings of DSN-SAAL", len(seeds), len({*theirs["training"]["seeds"], *theirs["more_seeds"]}))
    if any(isinstance(run.method, SliceClassifier) and run.method.backbone != own for run in runs.values()):
        differs(
            "epochs of the other backbones", p.comparison.epochs, theirs["epochs"], whose="our longest run"
        )
        if p.comparison.slices is not None:
            said.append(f"at most {p.comparison.slices:,} training slices for the other backbones")
    if "self_trans" in rows:
        ours, longest = p.comparison.contrastive_epochs, theirs["contrastive_epochs"]
        differs("contrastive epochs of Self-Trans", ours, longest, whose="our longest run")
    if without := _random(runs):
        said.append(f"random first weights for {listed(without)} (paper: ImageNet's)")
    where = "" if table else "These slices are not the paper's. "
    if not said:
        return f"{where}The settings are the paper's, as far as it gives them."
    return f"{where}Reduced or changed against the paper: {'; '.join(said)}."


def _random(runs: Mapping[Cell, Run]) -> list[str]:
    """Backbones that start from random weights, in words."""
    backbones = {
        run.method.backbone for run in runs.values() if run.method.backbone and run.method.weights is None
    }
    return sorted(show.column_head(name) for name in backbones)


def auc_sentence(joined: pd.DataFrame, table: str | None) -> str:
    """The AUC of DSN-SAAL with its interval over patients and trainings, beside the paper's and that of Self-Trans."""
    areas = joined[(joined["metric"] == "auc") & (joined["column"] == COLUMN)].set_index("row")
    if areas.empty or pd.isna(areas.loc[OURS, "mean"]):
        return ""
    decimals = (papers.decimals(table) if table else None) or 3
    ours, seeds = areas.loc[OURS], int(areas.loc[OURS, "seeds"])
    known = pd.notna(ours["low"])
    interval = f"95 % interval {ours['low']:.2f} to {ours['high']:.2f}" if known else "no interval"
    said = [f"DSN-SAAL has an AUC of {ours['mean']:.3f} ({interval}, {seeds} training{'s' * (seeds != 1)})"]
    if pd.notna(ours["published"]):
        said.append(f"the paper prints {ours['published']:.{decimals}f}")
    if "self_trans" in areas.index:
        other = areas.loc["self_trans"]
        here = f"has {other['mean']:.3f} here" if pd.notna(other["mean"]) else "was not run"
        there = f", in the paper {other['published']:.{decimals}f}" if pd.notna(other["published"]) else ""
        said.append(f"Self-Trans {here}{there}")
    return f"{'; '.join(said)}."


def ahead_sentence(checked: pd.DataFrame, metric: str = "auc") -> str:
    """How many rows on equal terms DSN-SAAL is ahead of by one score, and how many not. checked: of `b7_b9_public.ahead`."""
    asked = checked["claim"].str.startswith(AHEAD)
    lines = checked[asked & (checked["metric"] == metric) & (checked["column"] != MEAN)]
    verdicts = lines["verdict"].tolist()
    name = report.NAMES[metric]
    if not set(verdicts) & {HOLDS, FAILS, UNCLEAR}:
        return f"With fewer than {FEWEST} test patients of a kind nothing is said of who is ahead."
    of = f"{len(lines)} row{'s' * (len(lines) != 1)} on equal terms"
    return (
        f"By {name} DSN-SAAL is ahead of {verdicts.count(HOLDS)} of the {of}, behind {verdicts.count(FAILS)}, and cannot be "
        f"told from {verdicts.count(UNCLEAR)}."
    )


def main_score(table: str | None) -> str:
    """The score that figures and the headline are about: the AUC, which Table 7 lacks."""
    return "acc" if table == "B.7" else "auc"


def called(said: Mapping[Cell, pd.DataFrame], table: str | None) -> dict:
    """Label -> `slices.read` of the test slices, all rows of the first seed and column, for the ROC curves."""
    _, column, seed = next(iter(said))
    return {
        names(table)[row]: slice_metrics.read(told[told["split"] == "test"])
        for (row, where, of), told in said.items()
        if of == seed and where == column
    }


def headline(p, s: Samples, table: str | None, joined: pd.DataFrame, checked: pd.DataFrame) -> str:
    """The notebook in one or two sentences."""
    where = ABOUT.get(table, "Pictures that are none of the paper's data sets")
    if p.slices.images is None:
        where = "Slices that stand in for the public data sets"
    who = ahead_sentence(checked, main_score(table))
    return " ".join(filter(None, [f"{where}: {len(s.table):,} slices.", auc_sentence(joined, table), who]))


def first(runs: Mapping[Cell, Run], row: str) -> Cell:
    """The first cell of a row."""
    return next(cell for cell in runs if cell[0] == row)


def history(runs: Mapping[Cell, Run], folders: Mapping[Cell, Path]) -> pd.DataFrame:
    """`b3_b4_networks.history` of the networks; what is fitted to features has none."""
    networks = {cell: run for cell, run in runs.items() if isinstance(run.method, SliceClassifier)}
    return b3_b4_networks.history(networks, {cell: folders[cell] for cell in networks})
