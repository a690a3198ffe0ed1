"""Does a ranking of slices mean anything? Asked of difficulty before any classifier is trained on what it chose."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from covid_study.pretext.probes import probe_scores
from covid_study.samples.samples import Samples
from covid_study.scores.resamples import Interval, auc_interval
from covid_study.tables import slice_ranking
from covid_study.tables.selection_and_supervision import left, shares
from covid_study.tables.table import column as share_name

QUESTIONS = {
    "cap": "CAP before non-pneumonia",
    "mistaken": "like COVID-19 to a probe before unlike",
}
RankingsByShare = dict[tuple[str, str], pd.DataFrame]  # (source, share) -> of `slice_ranking.ranked`


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
        return Interval(np.nan, np.nan, np.nan, "too few patients for a probe")
    table = s.table.loc[probe.index]
    return auc_interval((table["finding"] == "covid").astype(int), probe, table["patient_id"], n=n)


def rankings(p, s: Samples) -> RankingsByShare:
    """The rankings to be asked: by `slice_selection.features` at every share, by the other source at the largest one.

    The shares are those of the COVID-19 slices, drawn with the first seed.
    """
    seed, source = p.slice_training.seeds[0], p.slice_selection.features
    asked = [(source, share) for share in shares(p)]
    asked += [(other, shares(p)[0]) for other in slice_ranking.SOURCES if other != source]
    return {
        (by, share_name(share)): slice_ranking.ranked(p, s, left(s, share, seed)[0], by)[0]
        for by, share in asked
    }


def evidence(s: Samples, probe: pd.Series, rankings: RankingsByShare, n: int = 1000) -> pd.DataFrame:
    """Two questions to the difficulty of each ranking, as AUCs with 95 % intervals over patients; 0.5 is a coin.

    Does it put CAP before non-pneumonia (asked where there are both)? CAP is what is taken for COVID-19. And does it put
    patients first who look like COVID-19 to a linear probe? The probe knows labels, which the ranking does not, but never
    those of the slice's own patient.

    Choice: alike are the negative patients whose slices score more on average than the median of these patients.

    Args:
        probe: of `probed`. rankings: of `rankings`. n: resamples.

    Returns:
        source, share, question (a key of QUESTIONS), value, low, high; NaN without an interval.
    """
    rows = []
    for (source, share), ranking in rankings.items():
        table, hard = s.table.loc[ranking.index], -ranking["difficulty"]
        either = table["finding"].isin(["cap", "non_pneumonia"])
        alike, asked = _of_patients(probe.loc[ranking.index], table["patient_id"]), {}
        if table.loc[either, "finding"].nunique() == 2:
            asked["cap"] = (table["finding"] == "cap")[either]
        if alike is not None:
            asked["mistaken"] = alike
        for question, target in asked.items():
            patients = table.loc[target.index, "patient_id"]
            found = auc_interval(target.astype(int), hard.loc[target.index], patients, n=n)
            key = {"source": source, "share": share, "question": question}
            rows.append(key | {"value": found.value, "low": found.low, "high": found.high})
    return pd.DataFrame(rows, columns=["source", "share", "question", "value", "low", "high"])


def _of_patients(scores: pd.Series, patients: pd.Series) -> pd.Series | None:
    """Whether the patient of each slice looks like COVID-19; None where the probe says nothing."""
    if scores.isna().any():
        return None
    means = scores.groupby(patients).mean()
    return patients.map(means > means.median())


def extremes(s: Samples, ranking: pd.DataFrame, positives: Sequence[str], each: int = 6) -> dict:
    """Slices to show: some positives, then the hardest, the easiest and the most diverse negatives, a patient once a row.

    Returns:
        Name of a row -> at most `each` slice ids, the most extreme first.
    """
    hardest, diverse = (ranking.sort_values(f"{by}_rank").index for by in ("difficulty", "diversity"))
    patients = s.table["patient_id"]
    evenly = np.linspace(0, len(positives) - 1, min(each, len(positives))).round().astype(int)
    some = pd.Index(sorted(positives)[i] for i in np.unique(evenly))
    rows = {"covid": some, "hardest": hardest, "easiest": hardest[::-1], "most diverse": diverse}
    return {name: list(ids[~patients.loc[ids].duplicated().to_numpy()][:each]) for name, ids in rows.items()}
