"""Does a ranking mean anything? The numbers behind notebook 03, found before any classifier is trained."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from covid_study import paths
from covid_study.analysis.pretext_learnt import tidy_over_seeds
from covid_study.pretext.probes import asked, untrained_encoder
from covid_study.pretext.train import features as encoder_features
from covid_study.report.words import percent, period
from covid_study.runtime.artefacts import artefact
from covid_study.samples.samples import Samples
from covid_study.scores import binary, claims
from covid_study.scores.resamples import Resamples, auc_difference, auc_interval, spearman_interval
from covid_study.tables import volume_steps

SOURCES = {
    "pretext": "pretext features",
    "untrained": "untrained encoder",
    "hu_histogram": "lung HU histogram",
}
PANELS = {"auc": "CAP before non-pneumonia", "lead": "Lead of the pretext features"}
RankingsBySeed = dict[tuple[str, int], pd.DataFrame]  # (source, seed) -> what rank_negatives returns


def ranked_untrained(p, v: Samples, seed: int = 0) -> pd.DataFrame:
    """The archive ranked by the features of an encoder that has learnt nothing: the reference for the pretext task."""
    positives, negatives = volume_steps.archive(v)
    network = p.network.model_dump()
    config = {
        "volumes": v.key,
        "positives": positives,
        "negatives": negatives,
        "network": network,
        "seed": seed,
        **volume_steps.ranking_rule(p),
    }

    def values(exams: list[str]) -> np.ndarray:
        return encoder_features(untrained_encoder(network, seed).to(v.data.device), v.of(exams))

    def compute(folder: Path) -> None:
        volume_steps.rank_archive(p, v, folder, values)

    modules = ["pretext.probes", "pretext.train", "ranking.order_free"]
    folder = artefact(paths.build(p.study.name) / "ranking", "untrained", config, modules, compute)
    return pd.read_parquet(folder / "ranking.parquet")


def rankings(p, v: Samples) -> RankingsBySeed:
    """The archive ranked from every source of features; the HU histogram knows no seed."""
    seeds = p.study.seeds
    found = {("pretext", s): volume_steps.ranked(p, v, "pretext", s).ranking for s in seeds}
    found |= {("untrained", s): ranked_untrained(p, v, s) for s in seeds}
    found["hu_histogram", seeds[0]] = volume_steps.ranked(p, v, "hu_histogram").ranking
    return found


def scored(found: RankingsBySeed, exams: pd.DataFrame, n: int = 1000) -> claims.Scored:
    """How well difficulty puts CAP before non-pneumonia, on resamples of the patients: see `cap_first`.

    Returns:
        Cells (source, "cap", seed) with `auc`; `fewest`: patients with CAP or with non-pneumonia, the fewer.
    """
    values, draws, fewest = {}, {}, 0
    for (source, seed), ranking in found.items():
        ranking = ranking[asked(exams.loc[ranking.index, "finding"], "cap")]
        here = exams.loc[ranking.index]
        cap, hard = (here["finding"] == "cap").to_numpy(int), -ranking["difficulty"].to_numpy()
        drawn = Resamples(cap, here["patient_id"], n)
        fewest = drawn.fewest
        if fewest:
            cell = (source, "cap", seed)
            values[cell] = {"auc": binary.classification_scores(cap, hard)["auc"]}
            draws[cell] = drawn.draws(partial(_auc, cap, hard))
    return claims.Scored(values, draws, fewest)


def _auc(cap: np.ndarray, hard: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    return {"auc": binary.weighted_scores(cap, hard, 0.5, weights)["auc"]}


def cap_first(found: RankingsBySeed, exams: pd.DataFrame, n: int = 1000) -> pd.DataFrame:
    """How well difficulty puts CAP before non-pneumonia: AUC, and how far the pretext features are ahead of the others.

    CAP is what a classifier takes for COVID-19; a difficulty that means something puts it first. A small difficulty
    value is hard (eq. 5), so the score is its negative. Patients are resampled with all their exams.

    Args:
        found: of `rankings`. exams: indexed by exam id, with finding and patient_id. n: resamples.

    Returns:
        A row a source: `source`, `metric` ("auc", or "lead": AUC of the pretext features minus this source's), `value`,
        `low`, `high`, `seeds`.
    """
    rows = []
    for (source, seed), ranking in found.items():
        ranking = ranking[asked(exams.loc[ranking.index, "finding"], "cap")]
        here = exams.loc[ranking.index]
        cap, patients = (here["finding"] == "cap").astype(int), here["patient_id"]
        key = {"row": source, "seed": seed}
        auc = auc_interval(cap, -ranking["difficulty"], patients, n=n)
        rows.append({**key, "metric": "auc", **auc._asdict()})
        if source != "pretext":
            first = -found["pretext", seed].loc[ranking.index, "difficulty"]
            lead = auc_difference(cap, first, -ranking["difficulty"], patients, n=n)
            rows.append({**key, "metric": "lead", **lead._asdict()})
    return tidy_over_seeds(rows).rename(columns={"row": "source"})


def follows_load(found: RankingsBySeed, load: pd.Series, exams: pd.DataFrame) -> pd.DataFrame:
    """Does difficulty follow the share of the lungs that is ill? Spearman's correlation, larger is better.

    Among all negatives, and among CAP alone, where it cannot come from telling CAP from the rest.

    Args:
        found: of `rankings`. load: share of the lungs that is ill, by exam id. exams: indexed by exam id, with finding.

    Returns:
        `source`, `among` ("all negatives", "CAP alone"), `value`, `low`, `high`, `seeds`.
    """
    rows = []
    for (source, seed), ranking in found.items():
        finding = exams["finding"].loc[ranking.index]
        for among, kept in (("all negatives", finding != "covid"), ("CAP alone", finding == "cap")):
            part = ranking.loc[kept, "difficulty"]
            found_here = spearman_interval(-part, load.loc[part.index])
            rows.append(
                {"row": source, "column": among, "metric": "rho", "seed": seed, **found_here._asdict()}
            )
    return tidy_over_seeds(rows).rename(columns={"row": "source", "column": "among"})


def lesion_load(p) -> pd.Series | None:
    """Share of the lungs that is ill, by exam id: the phantom's truth; None for real exams, where nobody knows it."""
    if p.cohort.exams is not None:
        return None
    return volume_steps.store(p).table.set_index("exam_id")["lesion_share"]


def made_of(ranked: volume_steps.Ranked) -> pd.DataFrame:
    """What the soft labels were made of: one row of counts, shares and the time it took, pre-training included."""
    negatives, positives = ranked.soft_labels.shape
    return pd.DataFrame(
        {
            "negatives": [f"{negatives:,}"],
            "positives": f"{positives:,}",
            "features": f"{ranked.features.shape[1]:,}",
            "of them zero": percent((ranked.features.to_numpy() == 0).mean()),
            "distances": f"{negatives * positives:,}",
            "zero distances": percent((ranked.soft_labels.to_numpy() == 0).mean()),
            "took": period(ranked.seconds / 3600),
        },
        index=["the archive"],
    )


def agreement(found: RankingsBySeed) -> pd.DataFrame:
    """Spearman's correlation between the difficulties of every two rankings, a square table."""
    several = len({seed for _, seed in found}) > 1
    names = {
        (source, seed): SOURCES[source] + (f", seed {seed}" if several and source != "hu_histogram" else "")
        for source, seed in found
    }
    columns = pd.DataFrame({names[key]: ranking["difficulty"] for key, ranking in found.items()})
    return columns.corr(method="spearman")


def spread(values: pd.Series, n: int = 5) -> list[str]:
    """Exams at even steps of rank, from the largest value to the smallest.

    >>> spread(pd.Series([1.0, 5.0, 3.0, 2.0, 4.0], index=list("abcde")), 3)
    ['b', 'c', 'a']
    """
    ordered = values.sort_values(ascending=False, kind="stable").index
    places = np.unique(np.linspace(0, len(ordered) - 1, min(n, len(ordered))).round().astype(int))
    return [str(ordered[i]) for i in places]


def drawn(ranking: pd.DataFrame, chosen: dict[str, list[str]], finding: pd.Series) -> pd.DataFrame:
    """What each strategy takes from the archive, beside the whole archive: findings and mean ranks, a row a strategy."""
    rows = {}
    for name, exams in {"the archive": list(ranking.index), **chosen}.items():
        part = ranking.loc[exams]
        rows[name.replace("_", " ")] = {
            "exams": len(exams),
            "CAP (%)": 100 * (finding.loc[exams] == "cap").mean(),
            "mean joint rank": part["joint_rank"].mean(),
            "mean difficulty rank": part["difficulty_rank"].mean(),
            "mean diversity rank": part["diversity_rank"].mean(),
        }
    return pd.DataFrame(rows).T.astype({"exams": int}).round(1)
