"""What notebook 13 says of its pictures: which data sets there are, what is classified here."""

from html import escape
from pathlib import Path

import numpy as np
from IPython.display import HTML

from covid_study import paths
from covid_study.cohort.findings import classes_of
from covid_study.cohort.picture_layouts import find_data_set
from covid_study.datasets import catalogue, check as dataset_checks
from covid_study.report import show
from covid_study.report.words import finding_name
from covid_study.rivals.feature_classifiers import explained
from covid_study.samples.samples import Samples
from covid_study.tables import b7_b9_public
from covid_study.tables.b7_b9_public import ABOUT, FEW, patients_known


def data_sets(p) -> HTML:
    """The data sets that the study can read, as a table: what each is, its terms, where it is expected, whether it is there.

    What `slices.images` names is looked at where it lies.
    """
    given, body = p.slices.images and paths.root() / Path(p.slices.images).expanduser(), ""
    source = find_data_set(given)[0] if given else ""
    for dataset in catalogue.catalogue().values():
        if dataset.kind == "own":
            continue
        place = given if dataset.name == source else catalogue.place(dataset)
        here = dataset_checks.look(place, dataset) + " (given as DATA)" * (dataset.name == source)
        cells = [text.replace("`", "") for text in (dataset.used_for, dataset.size, dataset.terms, here)]
        body += f"<tr><th class='row'>{escape(dataset.title)}<br><span class='small'>{escape(dataset.name)}</span></th>"
        body += "".join(f"<td class='words'>{escape(cell)}</td>" for cell in cells) + "</tr>"
    heads = "".join(f"<th>{head}</th>" for head in ("", "Used for", "Size", "Terms", "Here"))
    where = escape(str(catalogue.place(catalogue.find("covid-ct")).parent.name))
    caption = f"<b>The data sets</b><br>Each is expected in <code>{where}/</code>, below the name that stands under its title."
    style = (
        "<style>.study-table td.words{white-space:normal;text-align:left!important;max-width:18em}</style>"
    )
    return show.framed(caption, f"<tr>{heads}</tr>", body, style)


def pictures_sentence(p, s: Samples, table: str | None) -> str:
    """What is classified here, and which of the three tables it is run for."""
    patients = f"{s.table['patient_id'].nunique():,} patients" if patients_known(s) else "patients not known"
    size = s.data.shape[-1]
    text = f"{len(s.table):,} slices ({patients}), {size} pixels a side (paper: 224)."
    missing = len(s.left_out)
    out = [f"{missing:,} could not be used:"] if missing else []
    if p.slices.images is None:
        start = (
            "No pictures are given (`slices.images`, `make reproduce DATA=...`): the slices of notebooks 09 and 10 stand in, "
            "with their trainings. None of the three data sets is here, so that no number of the paper stands beside ours."
        )
    elif table:
        start = f"The pictures are laid out as those of {ABOUT[table]}: that table is run."
    else:
        start = (
            "These pictures are none of the three data sets of the paper: the rows of Table 8 are run on them, and the paper's "
            "numbers are shown apart."
        )
    return " ".join([start, text, *s.notes, *out])


def protocol_sentence(p, s: Samples, table: str | None) -> str:
    """On which slices each row is trained and tested."""
    parts = b7_b9_public.divisions(p, s, table)
    train, test = next(iter(parts.values()))
    if table == "B.9":
        by = (
            "by patient"
            if patients_known(s)
            else (
                "by picture, as no patients are known: pictures of one patient may lie on both sides, which makes every score "
                "too good"
            )
        )
        return (
            f"{len(parts)} folds {by}. Each picture is tested once, by a training that has not seen it; the {len(s.table):,} "
            "answers together are one repeat of a row."
        )
    text = f"Trained on {len(train):,} slices, tested on {len(test):,}; no choice is made by the test slices."
    if table == "B.7":
        most = "all" if p.public.per_class is None else f"at most {p.public.per_class:,}"
        text += f" In the second column {len(parts[FEW][0]):,} of these train, {most} of each class."
    return text


def prototypes(s: Samples, folder: Path, compared: int = 4) -> tuple[dict[str, list], dict[str, list]]:
    """Test slices, the nearest prototype of each class beside them, for `pictures.montage`: why xDNN decides as it does.

    Choice: of COVID-19 and of the rest, in turn, the slices at even places in the order of how sure the decision is.

    Args:
        folder: of a run of xDNN. compared: test slices.
    """
    found = explained(folder).set_index(["slice_id", "finding"])
    wide = found["similarity"].unstack()
    classes = classes_of(wide.columns)
    surer = wide["covid"] - wide.drop(columns="covid").max(axis=1)
    ill = s.table.loc[wide.index, "finding"] == "covid"
    rows, captions = {}, {}
    for group in (surer[ill].sort_values(), surer[~ill].sort_values()):
        places = np.linspace(0, len(group) - 1, min(len(group), compared // 2) + 2).round().astype(int)[1:-1]
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
