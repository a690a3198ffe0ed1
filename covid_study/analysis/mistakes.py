"""What a classifier of slices gets wrong, the surest mistakes first, and what these slices show (paper B, 5.4, Fig. 6)."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from IPython.display import HTML

from covid_study.figures.slices import name_of
from covid_study.phantom import cohort
from covid_study.report import show
from covid_study.samples.samples import Samples
from covid_study.scores.resamples import Resamples, over_seeds, patient_means
from covid_study.scores.slices import by_patient, read
from covid_study.tables.ablation import Cell

BINS = {  # share of the lung that lesions take on a slice: above, up to
    "no lesion": (-1.0, 0.0),
    "up to 2 %": (0.0, 0.02),
    "2 to 10 %": (0.02, 0.10),
    "above 10 %": (0.10, 1.0),
}


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
    most = s.table.groupby("exam_id")["lung_area_mm2"].max()
    told = told.join(facts[["lesion_area_mm2", "lesion_share"]])
    told["lung_share"] = (facts["lung_area_mm2"] / facts["exam_id"].map(most)).to_numpy()
    told["kind"] = kinds(p, s).loc[told.index]
    wrong = told[told["wrong"]].drop(columns="wrong").rename_axis("slice_id").reset_index()
    order = wrong.sort_values(["probability", "slice_id"], ascending=[False, True])
    return order.set_index("slice_id")


def mistakes_table(found: pd.DataFrame, most: int = 20) -> HTML:
    """The list of `mistakes` for a reader: the surest ones, `most` of them."""
    if found.empty:
        return HTML("<p>No test slice is called what it is not.</p>")
    top = found.head(most)
    shown = {
        "slice": top.index,
        "is": top["finding"].map(name_of),
        "called": top["called"].map(name_of),
        "probability": top["probability"].map("{:.2f}".format),
        "truth": top["truth"].map("{:.2f}".format),
    }
    if top["lesion_area_mm2"].notna().any():
        areas = zip(top["lesion_area_mm2"], top["lesion_share"], strict=True)
        shown["lesions"] = [area_text(area, share) for area, share in areas]
    if top["kind"].any():
        shown["case"] = top["kind"]
    said = "How probable the network finds what it calls a slice, and the truth"
    said += "; lesions on the slice, with their share of its lung." if "lesions" in shown else "."
    of = f" The {len(top)} surest of {len(found)}." if len(found) > len(top) else ""
    caption = f"<b>The mistakes, the surest first</b><br>{said}{of}"
    return HTML(
        f"{show.STYLE}<div class='study-table'><div class='caption'>{caption}</div></div>{_plain(pd.DataFrame(shown))}"
    )


def area_text(area_mm2: float, share: float) -> str:
    """The area of the lesions on a slice, and their share of the lung on it.

    >>> area_text(0.0, 0.0), area_text(420.0, 0.031), area_text(30.0, 0.002), area_text(float("nan"), float("nan"))
    ('none', '4.2 cm² (3 %)', '0.3 cm² (below 1 %)', 'not known')
    """
    if np.isnan(area_mm2):
        return "not known"
    if area_mm2 == 0:
        return "none"
    much = f"{100 * share:.0f} %" if share >= 0.01 else "below 1 %"
    return f"{area_mm2 / 100:.1f} cm² ({much})"


def counts(told: pd.DataFrame, also: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """How many slices of a finding are called another, and how many of these show no lesion.

    Args:
        told: what `called` says of a classifier. also: the same of another. found: `mistakes` of the first.

    Returns:
        A row a kind of mistake, the most frequent first: finding, called, slices, of (test slices of the finding), patients,
        probability (mean), no_lesion (NaN where the lesions are not known), also (made by the other classifier too).
    """
    rows = []
    for (finding, name), part in found.groupby(["finding", "called"], sort=False):
        known = part["lesion_share"].notna().all()
        rows.append(
            {
                "finding": finding,
                "called": name,
                "slices": len(part),
                "of": int((told["finding"] == finding).sum()),
                "patients": part["patient_id"].nunique(),
                "probability": part["probability"].mean(),
                "no_lesion": float((part["lesion_share"] == 0).sum()) if known else np.nan,
                "also": int((also.loc[part.index, "called"] == name).sum()),
            }
        )
    names = ["finding", "called", "slices", "of", "patients", "probability", "no_lesion", "also"]
    return pd.DataFrame(rows, columns=names).sort_values(
        ["slices", "finding", "called"], ascending=[False, True, True], ignore_index=True
    )


def counts_table(made: pd.DataFrame) -> HTML:
    """`counts` for a reader."""
    if made.empty:
        return HTML("<p>No test slice is called what it is not.</p>")
    shown = pd.DataFrame(
        {
            "is": made["finding"].map(name_of),
            "called": made["called"].map(name_of),
            "slices": [f"{row.slices} of {row.of}" for row in made.itertuples()],
            "patients": made["patients"],
            "mean probability": made["probability"].map("{:.2f}".format),
        }
    )
    if made["no_lesion"].notna().any():
        shown["without a lesion"] = made["no_lesion"].map("{:.0f}".format)
    shown["the baseline too"] = made["also"]
    return HTML(_plain(shown))


def _plain(table: pd.DataFrame) -> str:
    """A plain table whose lines stay lines."""
    text = table.to_html(index=False, border=0, classes="plain", justify="left")
    return f"<div style='white-space:nowrap;overflow-x:auto'>{text}</div>"


def counts_sentence(predictions: pd.DataFrame, found: pd.DataFrame, s: Samples) -> str:
    """How many slices and patients are mistaken, and how many of the mistaken COVID-19 slices show no lesion at all.

    Args:
        predictions: of a run. found: `mistakes` of it.
    """
    test = predictions[predictions["split"] == "test"]
    patients = read(by_patient(test))
    wrong = int((patients.p.argmax(1) != patients.y).sum())
    text = (
        f"{len(found)} of {len(test)} test slices are called what they are not; by the mean probability over their slices, "
        f"{wrong} of {len(patients.y)} patients."
    )
    shares = s.table.loc[test.loc[test["finding"] == "covid", "slice_id"], "lesion_share"]
    if shares.isna().any():
        return f"{text} Where the lesions lie on these slices is not known."
    missed = found[found["finding"] == "covid"]
    without = int((missed["lesion_share"] == 0).sum())
    return (
        f"{text} {without} of the {len(missed)} mistaken COVID-19 slices show no lesion at all; of all {len(shares)} COVID-19 "
        f"test slices it is {int((shares == 0).sum())}."
    )


def by_lesions(s: Samples, predictions: Mapping[Cell, pd.DataFrame], n: int = 1000) -> pd.DataFrame:
    """Sensitivity by how much of the lung lesions take on the slice, with intervals over patients.

    Returns:
        Tidy, for `show.side_by_side`: row (a bin of BINS), label, column (method), metric "sen", mean, sd, low, high, seeds.
        Bins without test slices are left out; no rows where the lesions are not known.
    """
    rows = []
    for (method, _, seed), table in predictions.items():
        told = called(table)
        told = told[told["finding"] == "covid"]
        shares = s.table.loc[told.index, "lesion_share"]
        for label, (above, up_to) in BINS.items():
            part = told[(shares > above) & (shares <= up_to)]
            if part.empty:
                continue
            right = (~part["wrong"]).to_numpy(float)
            draws = patient_means(right, part["patient_id"], n)
            ends = Resamples.interval(draws)
            slices = f"{label} ({len(part)} slice{'s' * (len(part) != 1)})"
            known = {"row": label, "label": slices, "column": method, "metric": "sen", "seed": seed}
            rows.append({**known, "value": right.mean(), "low": ends[0], "high": ends[1]})
    if not rows:
        return pd.DataFrame()
    frame = pd.DataFrame(rows)
    names = frame.drop_duplicates("row").set_index("row")["label"]
    table = over_seeds(frame.drop(columns="label"))
    table[["low", "high"]] = table[["low", "high"]].clip(0, 1)
    order = {label: place for place, label in enumerate(BINS)}
    table = table.sort_values("row", key=lambda row: row.map(order), kind="stable", ignore_index=True)
    return table.assign(label=table["row"].map(names))


def lesions_table(scored: pd.DataFrame) -> HTML:
    """`by_lesions` for a reader."""
    if scored.empty:
        return HTML("<p>Where the lesions lie on these slices is not known.</p>")
    title = "Sensitivity per slice, by how much of the lung is ill on it"
    return show.side_by_side(scored, None, metrics=["sen"], title=title, over="test patients")
