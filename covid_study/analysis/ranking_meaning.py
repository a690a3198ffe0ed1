"""Does a ranking of exams or of slices mean anything? Asked before any classifier is trained on what it chose.

CAP is what is taken for COVID-19: a difficulty that means something puts it before non-pneumonia. A small difficulty is hard
(eq. 5), so the score is its negative. Patients are resampled with all their exams or slices.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd

from covid_study.analysis.pretext_learnt import values_over_seeds
from covid_study.figures.pictures import some
from covid_study.networks import ct_encoder
from covid_study.pretext.probes import asked, probe_scores
from covid_study.report.results import from_scored
from covid_study.report.words import percent, period
from covid_study.samples import volume_store
from covid_study.samples.samples import Samples
from covid_study.scores import binary, claims
from covid_study.scores.closed_form import spearman_interval
from covid_study.scores.resamples import Interval, Resamples, auc_interval
from covid_study.tables import a3_ranking, slice_ranking, volume_steps
from covid_study.tables.selection_and_supervision import left, shares
from covid_study.tables.table import column as share_name

SOURCES = {
    "pretext": "pretext features",
    "untrained": "untrained encoder",
    "hu_histogram": "lung HU histogram",
    "ct_encoder": "chest-CT encoder",
}
PANELS = {"auc": "CAP before non-pneumonia", "lead": "Lead of the pretext features"}
QUESTIONS = ("cap", "mistaken")  # of slices: CAP before non-pneumonia; like COVID-19 to a probe before unlike
RankingsBySeed = dict[tuple[str, int], pd.DataFrame]  # (source, seed) -> what rank_negatives returns
RankingsByShare = dict[tuple[str, str], pd.DataFrame]  # (source, share) -> the same of slices


def sources(p, seeds: list[int]) -> list[tuple[str, int]]:
    """Every source of features and seed; the HU histogram and the chest-CT encoder, where it is installed, know no seed."""
    wanted = [(source, seed) for source in ("pretext", "untrained") for seed in seeds]
    wanted.append(("hu_histogram", p.study.seeds[0]))
    if p.ranking.features == "ct_encoder" or ct_encoder.find():
        wanted.append(("ct_encoder", p.study.seeds[0]))
    return wanted


def rankings(p, v: Samples) -> RankingsBySeed:
    """The archive ranked from every source of features, with every seed that Table III selects by."""
    seeds = a3_ranking.seeds(p)
    # side by side, before each ranking asks for its own
    volume_steps.pretexts(p, v, ["rubiks_cube_pro"], seeds)
    wanted = sources(p, seeds)
    return {(source, seed): volume_steps.ranked(p, v, source, seed).ranking for source, seed in wanted}


def _asked(ranking: pd.DataFrame, table: pd.DataFrame, target: pd.Series | None = None) -> tuple:
    """Truth 0 or 1, hardness and patient of those that are asked: by `target` (bool, by id), or whether they are CAP."""
    if target is None:
        finding = table.loc[ranking.index, "finding"]
        target = (finding == "cap")[asked(finding, "cap")]
    hard = -ranking.loc[target.index, "difficulty"]
    return target.to_numpy(int), hard.to_numpy(), table.loc[target.index, "patient_id"]


def hard_first(
    ranking: pd.DataFrame, table: pd.DataFrame, target: pd.Series | None = None, n: int = 1000
) -> Interval:
    """How well difficulty puts what is asked for before the rest: an AUC; 0.5 is a coin.

    Args:
        ranking: of `rank.rank_negatives`. table: of the exams or slices, with finding and patient_id.
        target: bool, of those asked, by id; None: whether they are CAP.

    >>> table = pd.DataFrame({"patient_id": list("abcd")}, index=list("abcd"))
    >>> ranking = pd.DataFrame({"difficulty": [1.0, 2.0, 3.0, 4.0]}, index=list("abcd"))
    >>> hard_first(ranking, table, pd.Series([True, True, False, False], index=list("abcd")), n=9).value
    1.0
    """
    return auc_interval(*_asked(ranking, table, target), n=n)


def scored(found: RankingsBySeed, exams: pd.DataFrame, n: int = 1000) -> claims.Scored:
    """How well difficulty puts CAP before non-pneumonia, on resamples of the patients.

    Args:
        found: of `rankings`. exams: indexed by exam id, with finding and patient_id. n: resamples.

    Returns:
        Cells (source, "cap", seed) with `auc`; `fewest`: patients with CAP or with non-pneumonia, the fewer.
    """
    values, draws, fewest = {}, {}, 0
    for (source, seed), ranking in found.items():
        cap, hard, patients = _asked(ranking, exams)
        drawn = Resamples(cap, patients, n)
        fewest = drawn.fewest
        if fewest:
            values[source, "cap", seed] = {"auc": binary.classification_scores(cap, hard)["auc"]}
            draws[source, "cap", seed] = drawn.draws(partial(_auc, cap, hard))
    return claims.Scored(values, draws, fewest)


def _auc(cap: np.ndarray, hard: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    return {"auc": binary.weighted_scores(cap, hard, 0.5, weights)["auc"]}


def cap_first(of: claims.Scored) -> pd.DataFrame:
    """`scored` as a table: the AUCs, and how far the pretext features are ahead of the others.

    Returns:
        A row a source: `source`, `metric` ("auc", or "lead": AUC of the pretext features minus this source's), `value`,
        `low`, `high`, `seeds`.
    """
    aucs = from_scored(of).rename(columns={"row": "source", "mean": "value"})
    columns = ["source", "metric", "value", "low", "high", "seeds"]
    leads = [
        claims.paired_difference(of, [(("pretext", "cap"), (source, "cap"))], "auc") | {"source": source}
        for source in aucs["source"]
        if source != "pretext"
    ]
    ahead = pd.DataFrame(leads).rename(columns={"difference": "value"}).assign(metric="lead")
    return pd.concat([aucs, ahead.reindex(columns=columns)], ignore_index=True)[columns]


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
            rho = spearman_interval(-part, load.loc[part.index])
            rows.append({"source": source, "among": among, "metric": "rho", "seed": seed, **rho._asdict()})
    return values_over_seeds(rows)


def lesion_load(p) -> pd.Series | None:
    """Share of the lungs that is ill, by exam id: the phantom's truth; None for real exams, where nobody knows it."""
    if p.cohort.exams is not None:
        return None
    return volume_store.store(p).table.set_index("exam_id")["lesion_share"]


def made_of(ranked: volume_steps.Ranked) -> pd.DataFrame:
    """What the soft labels were made of: one row of counts, shares and the time it took, pre-training included."""
    negatives, positives = ranked.soft_labels.shape
    error = ranked.ranking["diversity_error"].max()
    facts = {
        "negatives": negatives,
        "positives": positives,
        "features": ranked.features.shape[1],
        "of them zero": percent((ranked.features.to_numpy() == 0).mean()),
        "distances": negatives * positives,
        "zero distances": percent((ranked.soft_labels.to_numpy() == 0).mean()),
        "diversity": "over all others" if error == 0 else f"over some others, ± {error:.2g} at most",
        "took": period(ranked.seconds / 3600),
    }
    return pd.DataFrame(facts, index=["the archive"])


def agreement(found: RankingsBySeed) -> pd.DataFrame:
    """Spearman's correlation between the difficulties of two sources, a square table: the median over pairs of seeds.

    Of a source with itself over two of its seeds, NaN where it has one.
    """
    each = pd.DataFrame({key: ranking["difficulty"] for key, ranking in found.items()}).corr("spearman")
    pairs = each.where(~np.eye(len(each), dtype=bool)).stack([0, 1], future_stack=True)
    order = [source for source in SOURCES if source in each.columns.levels[0]]
    of_sources = pairs.groupby(level=[0, 2]).median().unstack().reindex(order, columns=order)
    return of_sources.rename(index=SOURCES, columns=SOURCES)


def spread(values: pd.Series, n: int = 5) -> list[str]:
    """Exams at even steps of rank, from the largest value to the smallest.

    >>> spread(pd.Series([1.0, 5.0, 3.0, 2.0, 4.0], index=list("abcde")), 3)
    ['b', 'c', 'a']
    """
    return some(values.sort_values(ascending=False, kind="stable").index, n)


def probed(s: Samples, features: pd.DataFrame) -> pd.Series:
    """How much each training slice looks like COVID-19 to a linear probe that has not seen its patient.

    See `probes.probe_scores`; larger is more alike, NaN where there are too few patients.

    Args:
        features: (n, D), by slice id, e.g. those of the backbone.
    """
    table = s.table.loc[features.index]
    target = (table["finding"] == "covid").to_numpy()
    scores = probe_scores(features.to_numpy(), target, table["patient_id"].to_numpy())
    return pd.Series(scores, index=features.index)


def probe_auc(s: Samples, probe: pd.Series, n: int = 1000) -> Interval:
    """How well the probe itself tells COVID-19 slices from the others: what its word is worth. probe: of `probed`."""
    if probe.isna().any():
        return Interval(note="too few patients for a probe")
    table = s.table.loc[probe.index]
    return auc_interval((table["finding"] == "covid").astype(int), probe, table["patient_id"], n=n)


def rankings_of_slices(p, s: Samples) -> RankingsByShare:
    """The rankings to be asked: by `slice_selection.features` at every share, by the other source at the largest one.

    The shares are those of the COVID-19 slices, drawn with the first seed.
    """
    seed, source = p.slice_training.seeds[0], p.slice_selection.features
    wanted = [(source, share) for share in shares(p)]
    wanted += [(other, shares(p)[0]) for other in slice_ranking.SOURCES if other != source]
    return {
        (by, share_name(share)): slice_ranking.ranked(p, s, left(s, share, seed)[0], by)[0]
        for by, share in wanted
    }


def evidence(s: Samples, probe: pd.Series, rankings: RankingsByShare, n: int = 1000) -> pd.DataFrame:
    """Two questions to the difficulty of each ranking, as AUCs with 95 % intervals over patients; 0.5 is a coin.

    Does it put CAP before non-pneumonia (asked where there are both)? And does it put patients first who look like COVID-19 to
    a linear probe? The probe knows labels, which the ranking does not, but never those of the slice's own patient.

    Choice: alike are the negative patients whose slices score more on average than the median of these patients.

    Args:
        probe: of `probed`. rankings: of `rankings_of_slices`. n: resamples.

    Returns:
        source, share, question (of QUESTIONS), value, low, high; NaN without an interval.
    """
    rows = []
    for (source, share), ranking in rankings.items():
        alike = _of_patients(probe[ranking.index], s.table["patient_id"])
        there = len(set(_asked(ranking, s.table)[0])) == 2, alike is not None
        for question, target, known in zip(QUESTIONS, (None, alike), there, strict=True):
            if known:
                rows.append((source, share, question, *hard_first(ranking, s.table, target, n)[:3]))
    return pd.DataFrame(rows, columns=["source", "share", "question", "value", "low", "high"])


def _of_patients(scores: pd.Series, patients: pd.Series) -> pd.Series | None:
    """Whether the patient of each slice looks like COVID-19; None where the probe says nothing."""
    if scores.isna().any():
        return None
    patients = patients[scores.index]
    means = scores.groupby(patients).mean()
    return patients.map(means > means.median())


def extremes(s: Samples, ranking: pd.DataFrame, positives: Sequence[str], each: int = 6) -> dict:
    """Slices to show: some positives, then the hardest, the easiest and the most diverse negatives, a patient once a row.

    Returns:
        Name of a row -> at most `each` slice ids, the most extreme first.
    """
    hardest, diverse = (ranking.sort_values(f"{by}_rank").index for by in ("difficulty", "diversity"))
    patients, covid = s.table["patient_id"], pd.Index(some(sorted(positives), each))
    rows = {"covid": covid, "hardest": hardest, "easiest": hardest[::-1], "most diverse": diverse}
    return {name: list(ids[~patients.loc[ids].duplicated().to_numpy()][:each]) for name, ids in rows.items()}
