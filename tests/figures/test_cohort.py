"""The figures of a cohort count exams, slices and voxels."""

import numpy as np
import pandas as pd
import pytest

from covid_study.figures import cohort, style


def widths(ax):
    return [bar.get_width() for bar in ax.patches]


def test_bars_are_as_long_as_exams_and_slices_are_many():
    rows = [(f"n{i}", "cap" if i < 15 else "other", "train" if i < 30 else "test") for i in range(40)]
    exams = pd.DataFrame(rows, columns=["exam_id", "finding", "split"]).assign(
        patient_id=lambda t: t["exam_id"]
    )
    (ax,) = cohort.exams(exams).axes
    names = ["CAP, train", "Other or unknown, train", "Other or unknown, test"]
    assert widths(ax) == [15, 15, 10] and [t.get_text() for t in ax.get_yticklabels()] == names
    counts = [("covid", "train", 9, 300), ("CP", "test", 1, 100)]
    counts = pd.DataFrame(counts, columns=["finding", "split", "patients", "slices"])
    figure = cohort.slices({"Here": counts, "The paper": counts[:1]})
    assert [widths(ax) for ax in figure.axes] == [[300, 100], [300]]


def test_findings_that_are_not_ours_have_colours_of_their_own():
    findings = ["covid", "non_covid", "CP"]
    assert len({style.colour_of(f, findings) for f in findings}) == 3


def test_each_mask_is_a_point_and_the_medians_are_lines():
    facts = {"finding": ["covid"] * 3 + ["cap"] * 2, "kind": ["typical"] * 3 + ["mimic"] * 2}
    facts = pd.DataFrame(facts | {"dice": [0.9, 0.96, 0.99, 0.94, 0.97]})
    (ax,) = cohort.dice(facts).axes
    points = [marks.get_offsets()[:, 0].tolist() for marks in ax.collections if len(marks.get_offsets()) > 1]
    assert sorted(np.concatenate(points)) == sorted(facts["dice"])
    lines = [c.get_segments()[0][0, 0] for c in ax.collections if len(getattr(c, "get_segments", list)())]
    assert lines == pytest.approx([0.96, 0.955]) and ax.get_xlim()[0] < 0.9


@pytest.mark.parametrize("exams", [1, 3])
def test_densities_are_per_cent_of_ten_hounsfield_units(exams):
    histograms = pd.DataFrame(np.full((exams, 10), 0.1), index=list("abc")[:exams])
    (ax,) = cohort.lung_densities(histograms, pd.Series("cap", index=histograms.index), (-1000, 0)).axes
    np.testing.assert_allclose(ax.lines[0].get_ydata(), 1.0)
    before = np.linspace(-999, 99, 5000)
    (ax,) = cohort.densities_before_and_after({"exam": {"before": before, "after": before - 0.5}}).axes
    np.testing.assert_allclose(ax.lines[0].get_ydata().sum() * 2, 100, rtol=0.01)
