"""What is classified in paper B's notebooks: how many slices of whom, what they show, and what a guess would score."""

import pandas as pd

from covid_study.cohort.slices import counts
from covid_study.report import results as tidy
from covid_study.report.words import column_head
from covid_study.samples.samples import Samples
from covid_study.scores import published


def table_2(s: Samples) -> pd.DataFrame:
    """Patients and slices of each finding and split beside Table 2, as `tidy.join_published` (paper B, 4.1.1)."""
    ours = counts(s.table).rename(columns={"patients": "cases", "slices": "images"})
    found = ours.melt(["finding", "split"], ["cases", "images"], "metric", "mean")
    found = found.rename(columns={"finding": "row", "split": "column"})
    return tidy.join_published(found.assign(label=found["row"].map(column_head)), "B.2", "B.2")


def facts(s: Samples) -> pd.DataFrame:
    """The slices in numbers: one column, `here`.

    The highest sensitivity is that of a network that finds every lesion and nothing else; it is not known for real exams. A
    guess calls every test slice what is most frequent in training.
    """
    test, train = (s.table[s.table["split"] == split] for split in ("test", "train"))
    lesions = test.loc[test["finding"] == "covid", "lesion_share"]
    most = train["finding"].value_counts().index[0]
    covid = (test["finding"] == "covid").mean()
    rows = {
        "slices": len(s.table),
        "exams or pictures": s.table["exam_id"].nunique(),
        "patients": s.table["patient_id"].nunique(),
        "pixels a side (paper: 224)": s.data.shape[-1],
        "left out": len(s.left_out),
        "COVID-19 test slices": len(lesions),
        "of them without a lesion": "not known" if lesions.isna().any() else int((lesions == 0).sum()),
        "highest sensitivity possible": "not known"
        if lesions.isna().any()
        else f"{(lesions > 0).mean():.3f}",
        "ACC of a guess": f"{(test['finding'] == most).mean():.3f}",
        "F1 of a guess": f"{2 * covid / (1 + covid) if most == 'covid' else 0:.3f}",
    }
    return pd.DataFrame({"here": rows})


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
