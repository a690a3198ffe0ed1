"""What SAAL learns: alpha and the betas over the epochs of its trainings, and what they do (paper B, 3.3 and 3.4)."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from covid_study.analysis.class_weights import alpha_text, apart, one_minus, raw, reaches, weights
from covid_study.losses.by_stage import slice_loss
from covid_study.tables.ablation import Cell
from covid_study.tables.slice_ablation import labels
from covid_study.training.run import Run
from covid_study.training.slice_classifier import STAGES, network_of

VISIBLE = 0.01  # weights that are less apart than this are the same to any training


def start(run: Run, counts: Sequence[int]) -> dict[str, float]:
    """What a run with SAAL starts from, alpha and the betas: drawn as its training draws them, after the network.

    counts: training slices of each class, in any order: nothing is drawn from them.
    """
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(run.seed)
        network_of(run)
        loss = slice_loss("saal", run.method.losses, counts, STAGES if run.method.supervised else 1)
        betas = {f"beta_{i}": float(beta) for i, beta in enumerate(loss.betas, start=1)}
        return {"alpha": float(loss.alpha), "raw_alpha": float(loss.raw_alpha), **betas}


def factors(runs: Mapping[Cell, Run], folders: Mapping[Cell, Path], counts: Sequence[int]) -> pd.DataFrame:
    """Both factors of every run with SAAL, alpha and the betas, before its training (epoch 0) and after each epoch.

    Args:
        counts: training slices of each class.

    Returns:
        row, seed, epoch, steps (of the optimiser, so far), loss (NaN in epoch 0), alpha, raw_alpha (alpha is its sigmoid),
        beta_1 to beta_6; where there is one stage only beta_1 is known.
    """
    parts = []
    for (row, _, seed), run in runs.items():
        if run.method.loss != "saal":
            continue
        history = pd.read_csv(Path(folders[row, _, seed]) / "history.csv")
        known = ["epoch", "loss", "alpha", "raw_alpha", *(c for c in history if c.startswith("beta_"))]
        whole = pd.concat([pd.DataFrame([{"epoch": 0} | start(run, counts)]), history[known]])
        batches = -(-len(run.training_ids) // run.method.training["batch_size"])
        parts.append(whole.assign(row=row, seed=seed, steps=whole["epoch"] * batches))
    return pd.concat(parts, ignore_index=True)


def summary(found: pd.DataFrame, counts: Sequence[int]) -> pd.DataFrame:
    """What each run's alpha and betas did, and how far alpha is from where the weights of the classes differ.

    Args:
        found: of `factors`. counts: training slices of each class.

    Returns:
        A row a run: row, seed, steps, start and end (of alpha), betas and betas_end (their mean), fell (betas that fell),
        stages, unweighted (the loss without its weights, CE + beta RCE of all stages, mean over the epochs), apart (of the
        weights, at the end), scale (of the whole loss, end against start, by alpha alone), speed (of
        raw alpha, a step) and more (steps until the weights are 1 % apart at that speed; 0: they are, infinite: never).
    """
    rows, target = [], reaches(VISIBLE, counts)

    def level(raw_alpha: float) -> float:
        return weights(np.array([one_minus(raw_alpha)]), counts).mean()

    for (row, seed), run in found.groupby(["row", "seed"], sort=False):
        first, last = run.iloc[0], run.iloc[-1]
        names = [c for c in run if c.startswith("beta_") and np.isfinite(last[c])]
        speed = (last["raw_alpha"] - first["raw_alpha"]) / last["steps"]
        way = raw(target) - last["raw_alpha"] if np.isfinite(target) else np.inf
        more = 0.0 if way <= 0 else way / speed if speed > 0 else np.inf
        rows.append(
            {"row": row, "seed": seed, "steps": int(last["steps"]), "start": first["alpha"], "end": last["alpha"]}
            | {"betas": first[names].mean(), "betas_end": last[names].mean()}
            | {"fell": int((last[names] < first[names]).sum()), "stages": len(names)}
            | {"unweighted": (run["loss"] / run["raw_alpha"].map(level)).mean()}
            | {"apart": apart(one_minus(last["raw_alpha"]), counts)}
            | {"scale": level(last["raw_alpha"]) / level(first["raw_alpha"])}
            | {"speed": speed, "more": more}
        )  # fmt: skip
    return pd.DataFrame(rows)


def summary_shown(table: pd.DataFrame) -> pd.DataFrame:
    """`summary` for a reader."""
    names = labels("B.5")
    shown = {
        "loss": table["row"].map(names),
        "seed": table["seed"],
        "steps": table["steps"],
        "alpha, first": table["start"].map("{:.3f}".format),
        "last": table["end"].map("{:.3f}".format),
        "betas (mean), first": table["betas"].map("{:.3f}".format),
        "last ": table["betas_end"].map("{:.3f}".format),
        "betas that fell": [f"{r.fell} of {r.stages}" for r in table.itertuples()],
        "weights apart by": table["apart"].map(lambda x: share_text(x).replace("less than", "<")),
        "steps until 1 %": table["more"].map(steps_text),
    }
    return pd.DataFrame(shown).set_index("loss").rename_axis(None)


def share_text(share: float) -> str:
    """A share in per cent, small ones by their bound.

    >>> share_text(0.0), share_text(0.0123), share_text(1.73)
    ('less than 0.01 %', '1.2 %', '173 %')
    """
    if share < 1e-4:
        return "less than 0.01 %"
    return f"{100 * share:.2g} %" if share < 0.995 else f"{100 * share:.0f} %"


def steps_text(steps: float) -> str:
    """Steps in two digits.

    >>> steps_text(12345.0), steps_text(0.0), steps_text(float("inf"))
    ('12,000', 'there', 'never')
    """
    if steps == 0:
        return "there"
    return f"{float(f'{steps:.2g}'):,.0f}" if np.isfinite(steps) else "never"


def sentences(table: pd.DataFrame, counts: Sequence[int]) -> list[str]:
    """What alpha and the betas did, plainly: a sentence a loss, and which way gradient descent went. Of `summary`."""
    said = []
    for row, runs in table.groupby("row", sort=False):
        of = f"on average over {len(runs)} trainings " if len(runs) > 1 else ""
        text = (
            f"{labels('B.5')[row]}: {of}alpha went from {runs['start'].mean():.3f} to {runs['end'].mean():.3f} in "
            f"{runs['steps'].iloc[0]:,} steps, the betas from {runs['betas'].mean():.3f} to {runs['betas_end'].mean():.3f}. "
            f"The weights of the classes ended {share_text(runs['apart'].max())} apart{' at most' * (len(runs) > 1)}: "
        )
        said.append(text + _conclusion(runs, counts))
    up, runs = int((table["end"] > table["start"]).sum()), len(table)
    said.append(
        f"The loss can be lowered without learning anything, by alpha towards 1 and the betas towards 0: alpha rose in {up} of "
        f"{runs} training{'s' * (runs > 1)}, {table['fell'].sum()} of {table['stages'].sum()} betas fell. By alpha alone the "
        f"loss came to {_range(table['scale'])} of what it had been."
    )
    return said


def _conclusion(runs: pd.DataFrame, counts: Sequence[int]) -> str:
    if runs["apart"].max() >= VISIBLE:
        if runs["apart"].min() < VISIBLE:
            return "in some trainings SAAL weighs the classes differently, in others not."
        return f"at counts of {min(counts):,} to {max(counts):,} so small an alpha is enough to weigh the classes differently."
    start = "SAAL does not rebalance here, it is (1 − alpha) (CE + beta RCE) for every class."
    if np.isnan(reaches(VISIBLE, counts)):
        return f"{start} No alpha could change that, so alike are the counts."
    limit = alpha_text(reaches(VISIBLE, counts))
    if not np.isfinite(runs["more"]).any():
        return f"{start} They would be 1 % apart from alpha = {limit} on, and alpha moved away from there."
    more = runs.loc[np.isfinite(runs["more"]), "more"].median()
    times = more / runs["steps"].iloc[0]
    return (
        f"{start} They would be 1 % apart from alpha = {limit} on; at the mean speed of the training that is "
        f"{steps_text(more)} steps away, {times:.2g} times as many as were made."
    )


def _range(values: pd.Series) -> str:
    ends = dict.fromkeys(f"{100 * x:.0f}" for x in (values.min(), values.max()))
    return f"{' to '.join(ends)} %"


def in_short(table: pd.DataFrame) -> str:
    """Whether SAAL weighs the classes differently, in one sentence. Of `summary`."""
    most, trainings = table["apart"].max(), f"{len(table)} training{'s' * (len(table) > 1)}"
    word = "are practically the same" if most < VISIBLE else "do differ"
    bound = "" if most < 1e-4 else "at most "
    at_end = f"{bound}{share_text(most)} apart at the end of its {trainings}"
    return f"The weights that SAAL learns for the classes {word}: {at_end}."
