"""What a classifier of slices gets wrong, the surest mistakes first, and what these slices show (paper B, 5.4, Fig. 6)."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import pandas as pd

from covid_study.figures.pictures import lesions_text
from covid_study.phantom import cohort
from covid_study.report.words import finding_name
from covid_study.samples.samples import Samples
from covid_study.scores import claims
from covid_study.scores.resamples import Resamples
from covid_study.scores.slices import by_patient, read

# the share of the lung that lesions take on a slice, up to
BINS = {"no lesion": 0.0, "up to 2 % of it": 0.02, "2 to 10 % of it": 0.10, "above 10 % of it": 1.0}


def kinds(p, s: Samples) -> pd.Series:
    """The kind of case of each slice's exam, e.g. "early" COVID-19; empty for exams and images that are not the phantom's."""
    if p.slices.images is not None or p.cohort.exams is not None:
        return pd.Series("", index=s.table.index)
    return s.table["exam_id"].map(lambda name: cohort.kind_of(name, p.cohort.phantom.seed))


def called(predictions: pd.DataFrame) -> pd.DataFrame:
    """What each test slice is called.

    Args:
        predictions: of a run, with `p_<class>` for each class.

    Returns:
        Index slice_id: patient_id, finding, called (what is most likely), probability (of that), truth (the probability of
        what it is), wrong.

    >>> t = pd.DataFrame({"slice_id": ["a"], "patient_id": "x", "finding": "cap", "split": "test"})
    >>> called(t.assign(p_covid=0.7, p_cap=0.3)).to_numpy().tolist()
    [['x', 'cap', 'covid', 0.7, 0.3, True]]
    """
    test = predictions[predictions["split"] == "test"].sort_values("slice_id", ignore_index=True)
    found = read(test)
    classes = np.array(found.classes, dtype=object)
    named = classes[found.p.argmax(1)] if len(found.p) else classes[:0]
    return pd.DataFrame(
        {
            "patient_id": test["patient_id"].to_numpy(),
            "finding": test["finding"].to_numpy(dtype=object),
            "called": named,
            "probability": found.p.max(1, initial=0),
            "truth": found.p[np.arange(len(test)), found.y],
            "wrong": named != test["finding"].to_numpy(dtype=object),
        },
        index=pd.Index(test["slice_id"], name="slice_id"),
    )


def mistakes(p, s: Samples, predictions: pd.DataFrame) -> pd.DataFrame:
    """The test slices that are called what they are not, the surest first (paper B, 5.4, Fig. 6).

    Returns:
        Index slice_id: what `called` says, and lesion_area_mm2, lesion_share (of the lung; NaN where the lesions are not
        known), lung_share (lung on the slice, of the most on a chosen slice of its exam; NaN unknown), kind.
    """
    told = called(predictions)
    facts = s.table.loc[told.index]
    told = told.join(facts[["lesion_area_mm2", "lesion_share"]])
    told["lung_share"] = lung_share(s, told.index)
    told["kind"] = kinds(p, s).loc[told.index]
    wrong = told[told["wrong"]].drop(columns="wrong").rename_axis("slice_id").reset_index()
    order = wrong.sort_values(["probability", "slice_id"], ascending=[False, True])
    return order.set_index("slice_id")


def listed(found: pd.DataFrame) -> pd.DataFrame:
    """The list of `mistakes` for a reader, lesions and kinds of case where they are known."""
    shown = found[["finding", "called"]].map(finding_name).rename(columns={"finding": "is"})
    shown = shown.assign(probability=found["probability"], truth=found["truth"])
    if found["lesion_area_mm2"].notna().any():
        shown["lesions, cm²"], shown["of the lung"] = found["lesion_area_mm2"] / 100, found["lesion_share"]
    return shown.assign(case=found["kind"]) if found["kind"].any() else shown


def counts(told: pd.DataFrame, also: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """How many slices of a finding are called another, and how many of these show no lesion.

    Args:
        told: what `called` says of a classifier. also: the same of another. found: `mistakes` of the first.

    Returns:
        A row a kind of mistake, the most frequent first: finding, called, slices, of (test slices of the finding), patients,
        probability (mean), no_lesion (NaN where the lesions are not known), also (made by the other classifier too).
    """
    found = found.assign(also=also.loc[found.index, "called"] == found["called"])
    by = found.groupby(["finding", "called"])
    table = by.agg(
        slices=("finding", "size"),
        patients=("patient_id", "nunique"),
        probability=("probability", "mean"),
        no_lesion=("lesion_share", lambda share: (share == 0).sum() if share.notna().all() else np.nan),
        also=("also", "sum"),
    ).reset_index()
    table.insert(3, "of", table["finding"].map(told["finding"].value_counts()))
    return table.sort_values("slices", ascending=False, kind="stable", ignore_index=True)


def patients_mistaken(predictions: pd.DataFrame) -> tuple[int, int]:
    """How many test patients are called what they are not by the mean probability over their slices, and of how many."""
    patients = read(by_patient(predictions[predictions["split"] == "test"]))
    return int((patients.p.argmax(1) != patients.y).sum()), len(patients.y)


def by_lesions(s: Samples, predictions: Mapping[claims.Cell, pd.DataFrame], n: int = 1000) -> claims.Scored:
    """Sensitivity to COVID-19 by how much of the lung lesions take on the slice: cells (a bin of BINS, method, seed)."""
    return _recognised(predictions, lambda ids: _bins(s.table.loc[ids, "lesion_share"]), {"covid": "sen"}, n)


def by_position(s: Samples, predictions: Mapping[claims.Cell, pd.DataFrame], n: int = 1000) -> claims.Scored:
    """Sensitivity to COVID-19 and to CAP, `sen_cap`, at the ends of the lungs and in their middle (paper B, 5.4, Fig. 6b).

    Choice: a slice is from an end where it shows at most half as much lung as the slice of its exam that shows most.
    """
    return _recognised(
        predictions,
        lambda ids: pd.cut(lung_share(s, ids), [-1.0, 0.5, 1.0], labels=["ends", "middle"]),
        {"covid": "sen", "cap": "sen_cap"},
        n,
    )


def lung_share(s: Samples, ids: pd.Index) -> pd.Series:
    """Lung on some slices, of the most on a chosen slice of the same exam; NaN where it is not known."""
    most = s.table.groupby("exam_id")["lung_area_mm2"].max()
    facts = s.table.loc[ids]
    return facts["lung_area_mm2"] / facts["exam_id"].map(most)


def _recognised(
    predictions: Mapping[claims.Cell, pd.DataFrame],
    parts_of: Callable[[pd.Index], pd.Series],
    findings: Mapping[str, str],
    n: int,
) -> claims.Scored:
    """How many of the test slices of some findings are called rightly, part by part, on the same resamples of their patients.

    Args:
        parts_of: slice ids -> the part that each belongs to, categorical; NaN where it is not known.
        findings: finding -> what its score is called.

    Returns:
        Cells (part, method, seed); those without test slices are left out. `fewest`: of the patients with a slice in the first
        part, and those with one in another, the fewer.
    """
    values: dict[claims.Cell, dict] = {}
    draws: dict[claims.Cell, dict] = {}
    fewest = []
    for (method, _, seed), table in predictions.items():
        every = called(table)
        for finding, score in findings.items():
            told = every[every["finding"] == finding]
            part, right = parts_of(told.index), (~told["wrong"]).to_numpy(float)
            drawn = Resamples(np.zeros(len(told)), told["patient_id"], n, classes=1)
            first = part == part.cat.categories[0]
            sides = first, part.notna() & ~first
            fewest += [told.loc[side, "patient_id"].nunique() for side in sides]
            for label in part.cat.categories:
                here = (part == label).to_numpy()
                if not here.any():
                    continue
                values.setdefault((label, method, seed), {})[score] = right[here].mean()
                with np.errstate(invalid="ignore"):  # a draw may hold no patient of a part
                    of_part = drawn.draws(partial(_mean, here, right, score))
                draws.setdefault((label, method, seed), {}).update(of_part)
    return claims.Scored(values, draws, min(fewest, default=0))


def _mean(here: np.ndarray, right: np.ndarray, score: str, weights: np.ndarray) -> dict[str, np.ndarray]:
    return {score: weights[:, here] @ right[here] / weights[:, here].sum(axis=1)}


def slices_by_lesions(s: Samples, predictions: pd.DataFrame) -> dict[str, int]:
    """Test slices with COVID-19 of each bin of BINS."""
    test = predictions[(predictions["split"] == "test") & (predictions["finding"] == "covid")]
    shares = s.table.loc[test["slice_id"], "lesion_share"]
    return _bins(shares).value_counts(sort=False).to_dict()


def _bins(shares: pd.Series) -> pd.Series:
    return pd.cut(shares, [-1.0, *BINS.values()], labels=list(BINS))


def surest(found: pd.DataFrame, each: int) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """The surest mistakes for `pictures.montage` (paper B, Fig. 6): slice ids and captions, a row a kind of mistake.

    Args:
        found: of `mistakes`. each: slices of a row, at most.
    """
    rows, captions = {}, {}
    for (finding, name), part in found.groupby(["finding", "called"], sort=True):
        row, part = f"{finding_name(finding)},\ncalled {finding_name(name)}", part.head(each)
        rows[row], captions[row] = list(part.index), []
        for line in part.itertuples():
            said = f"{line.probability:.2f}; the truth {line.truth:.2f}"
            if not np.isnan(line.lesion_share):
                said += f"\n{lesions_text(line.lesion_share)}" + f", {line.kind}" * bool(line.kind)
            captions[row].append(said)
    return rows, captions
