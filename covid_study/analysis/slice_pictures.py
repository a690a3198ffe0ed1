"""Slices chosen for the pictures of paper B's notebooks."""

from covid_study.cohort.findings import classes_of
from covid_study.ct.pictures import read_image
from covid_study.ct.to_slice import preprocess_slice, resize
from covid_study.figures.pictures import some
from covid_study.samples.cohorts import loader
from covid_study.samples.samples import Samples


def examples(s: Samples, each: int = 6, split: str = "train") -> dict[str, list[str]]:
    """Finding -> ids of slices to show, COVID-19 first: each of another patient, at another height.

    Where the lesions are known they go from the fewest to the most.

    Args:
        each: how many of a finding, at most.
    """
    found = {}
    table = s.table[s.table["split"] == split].sort_index()
    for finding in classes_of(table["finding"]):
        of = table[table["finding"] == finding]
        grouped = of.groupby("patient_id")
        one = of[grouped.cumcount() == grouped.ngroup() % grouped["split"].transform("size")]
        one = one.sort_values("lesion_share", kind="stable")
        found[finding] = some(one.index, each)
    return found


def typical(s: Samples) -> str:
    """A COVID-19 training slice to explain things on: much lung, and of those the most lesions, where that is known."""
    table = s.table[(s.table["finding"] == "covid") & (s.table["split"] == "train")].sort_index()
    if table["lung_area_mm2"].notna().any():
        table = table[table["lung_area_mm2"] >= 0.7 * table["lung_area_mm2"].max()]
    return table["lesion_share"].fillna(0).idxmax()


def step_by_step(p, s: Samples, slice_id: str) -> dict:
    """A slice through the steps of paper B, 3.1, for `pictures.steps`.

    Raises:
        ExamError: its exam or image is no longer there.
    """
    row = s.table.loc[slice_id]
    size = s.data.shape[-1]
    if p.slices.images is not None:
        grey = read_image(row["path"], slice_id)
        return {"pictures": {"the image": grey, "the network's input": resize(grey, size)}, "title": slice_id}
    volume, truth = loader(p)(row)
    z = int(slice_id.rpartition("/")[2])
    done = preprocess_slice(volume.hu[z], volume.spacing_mm[1:], size, p.slices.crop, steps=True)
    outline = None if truth is None else truth["lesions"][z]
    return {"pictures": done.steps, "outline": outline, "title": f"Slice {slice_id}"}
