"""Which public data sets are there, and what xDNN compares their slices with (notebook 13)."""

from pathlib import Path

import numpy as np
import pandas as pd

from covid_study import paths
from covid_study.cohort.findings import classes_of
from covid_study.cohort.picture_layouts import find_data_set
from covid_study.datasets import catalogue, check as dataset_checks
from covid_study.report.words import finding_name
from covid_study.rivals.feature_classifiers import explained
from covid_study.samples.samples import Samples

COMPARED = 4  # test slices


def data_sets(p) -> pd.DataFrame:
    """The data sets that the study can read: what each is used for, its size and terms, and whether it is there.

    What `slices.images` names is looked at where it lies.
    """
    given, rows = p.slices.images and paths.root() / Path(p.slices.images).expanduser(), {}
    source = find_data_set(given)[0] if given else ""
    for dataset in catalogue.catalogue().values():
        if dataset.kind == "own":
            continue
        place = given if dataset.name == source else catalogue.place(dataset)
        here = dataset_checks.look(place, dataset) + " (given as DATA)" * (dataset.name == source)
        facts = (dataset.name, dataset.used_for, dataset.size, dataset.terms, here)
        rows[dataset.title] = [text.replace("`", "") for text in facts]
    return pd.DataFrame.from_dict(rows, orient="index", columns=["name", "used for", "size", "terms", "here"])


def prototypes(s: Samples, folder: Path) -> tuple[dict[str, list], dict[str, list]]:
    """Test slices, the nearest prototype of each class beside them, for `pictures.montage`: why xDNN decides as it does.

    Choice: of COVID-19 and of the rest, in turn, the slices at even places in the order of how sure the decision is.

    Args:
        folder: of a run of xDNN.
    """
    found = explained(folder).set_index(["slice_id", "finding"])
    wide = found["similarity"].unstack()
    classes = classes_of(wide.columns)
    surer = wide["covid"] - wide.drop(columns="covid").max(axis=1)
    ill = s.table.loc[wide.index, "finding"] == "covid"
    rows, captions = {}, {}
    for group in (surer[ill].sort_values(), surer[~ill].sort_values()):
        places = np.linspace(0, len(group) - 1, min(len(group), COMPARED // 2) + 2).round().astype(int)[1:-1]
        for name in dict.fromkeys(group.index[places]):
            nearest = [found.loc[(name, finding)] for finding in classes]
            best = max(range(len(classes)), key=lambda k: nearest[k]["similarity"])
            row = f"_{name}"
            rows[row] = [name, *(near["prototype"] for near in nearest)]
            captions[row] = [f"{finding_name(s.table.loc[name, 'finding'])}, to be decided"] + [
                f"{finding_name(of)}: {near['similarity']:.3f}{', decides' * (k == best)}"
                for k, (of, near) in enumerate(zip(classes, nearest, strict=True))
            ]
    return rows, captions
