"""The figure of notebook 14: every classifier and every gain at its place."""

import pytest

from covid_study.figures import slice_selection as charts
from tests.tables.test_selection_and_supervision import judged


def test_marks_stand_at_the_scores_and_at_the_gains():
    effects, scored = judged(choosing_saal=1.0)
    figure = charts.answer(scored, effects, title="A title")
    ce, saal, gains = figure.axes
    value = scored.set_index(["row", "metric", "column"])["mean"]
    for ax, loss in ((ce, "ce"), (saal, "saal")):
        drawn = [list(line.get_ydata()) for line in ax.lines]
        for line, negatives in zip(drawn, ("all", "random", "dual_track"), strict=True):
            assert line == [value[f"{negatives}_{loss}", "gmean", share] for share in ("100%", "50%")]
    assert [t.get_text() for t in gains.get_xticklabels()] == ["100 %", "50 %", "mean"]
    line = effects[effects["metric"] == "gmean"].set_index(["claim", "column"])["difference"]
    drawn = {row.get_label(): row for row in gains.lines}
    interaction = gains.lines[2].get_ydata()
    assert interaction[2] == pytest.approx(100 * line["interaction", "mean"])
    assert len(drawn) == 4  # three gains and zero
