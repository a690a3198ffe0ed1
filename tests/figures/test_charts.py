"""Every figure draws from small data, on awkward data too, and shows what it should."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import pytest  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

from covid_study.figures import charts, ct, ranking as figures_ranking, results as figures_results
from covid_study.report import show  # noqa: E402
from covid_study.scores import published, resamples

RNG = np.random.default_rng(0)
IDS = [f"n{i}" for i in range(40)]
FINDINGS = pd.Series(["cap"] * 15 + ["non_pneumonia"] * 25, index=IDS)
SHARES = (published.sizes("A.III") / 1785).to_dict()


def texts(figure):
    return [t.get_text() for t in figure.findobj(matplotlib.text.Text) if t.get_text()]


def volume(shape=(8, 12, 16), dtype=np.uint8):
    return RNG.integers(0, 255, shape).astype(dtype)


def ranking():
    frame = pd.DataFrame({"difficulty": RNG.random(40), "diversity": RNG.random(40)}, index=IDS)
    frame["joint_rank"] = np.arange(1, 41)
    return frame


def results(rows=("random", "both", "hu_histogram")):
    found = [
        {"row": r, "column": c, "metric": m, "mean": 0.7, "low": 0.6, "high": 0.8}
        for r in rows
        for c in ("14%", "56%")
        for m in ("f1", "hours", "auc")
    ]
    return show.join_published(
        pd.DataFrame(found, columns=["row", "column", "metric", "mean", "low", "high"]), "A.III"
    )


PICTURE = ("exam 1", volume(), (5.0, 1.0, 1.0))
HISTORY = pd.DataFrame(
    {"epoch": [0, 1, 2], "loss": [3, 2, 1.0], "train_loss": [3, 1.5, 0.5], "permutation": [0.01, 0.2, 0.4]}
)
PANELS = {"Loss": {"training": "train_loss", "validation": "loss"}, "Permutation": {"": "permutation"}}
COHORT = pd.DataFrame(
    {"exam_id": IDS, "patient_id": IDS, "finding": FINDINGS.values, "split": ["train"] * 30 + ["test"] * 10}
)
CURVES = {
    "random": (np.array([1, 0, 1, 0]), np.array([0.9, 0.8, 0.4, 0.1])),
    "one class": (np.zeros(3), np.zeros(3)),
}
DRAWN = {
    "cohort": lambda: charts.cohort_overview(COHORT),
    "curves": lambda: charts.learning_curves(HISTORY, PANELS, {"Permutation": 0.01}, "Pretext"),
    "variants": lambda: charts.learning_curves(HISTORY.assign(variant="Pro"), PANELS),
    "one epoch": lambda: charts.learning_curves(HISTORY[:1], PANELS),
    "probe": lambda: charts.probe_curve(
        pd.DataFrame({"epoch": [0, 5], "value": [0.5, 0.6], "low": [0.4, np.nan], "high": 0.7})
    ),
    "probe without interval": lambda: charts.probe_curve(
        pd.DataFrame({"epoch": [0], "value": [0.3], "variant": ["Pro"]})
    ),
    "forest": lambda: charts.forest(
        pd.DataFrame({"label": ["a", "b"], "value": 0.6, "low": np.nan, "high": 0.7}), "AUC"
    ),
    "soft labels": lambda: figures_ranking.soft_labels(RNG.random((6, 9)), list("abcdef"), ["cap"] * 6),
    "scatter": lambda: figures_ranking.ranking_scatter(ranking(), FINDINGS, IDS[:5]),
    "selections": lambda: figures_ranking.selections(
        ranking(), {"top": IDS[:5], "long_tail": IDS[3:9]}, FINDINGS
    ),
    "four archived": lambda: figures_ranking.selections(ranking()[:4], {"top": IDS[:1]}, FINDINGS),
    "difficulty": lambda: figures_ranking.difficulty_by_finding(
        ranking()["difficulty"], FINDINGS, resamples.Interval(np.nan, np.nan, np.nan)
    ),
    "load": lambda: figures_ranking.difficulty_against_load(
        ranking()["difficulty"], pd.Series(0.0, index=IDS), FINDINGS, resamples.Interval(0.3, 0.1, 0.5)
    ),
    "score": lambda: figures_results.score_by_size(results(), SHARES, title="F1"),
    "score of ours": lambda: figures_results.score_by_size(results(), SHARES, metric="auc"),
    "time": lambda: figures_results.time_by_size(results(), SHARES),
    "nothing run": lambda: figures_results.score_by_size(results(()), SHARES),
    "no time": lambda: figures_results.time_by_size(results(()), SHARES),
    "pr and roc": lambda: figures_results.precision_recall_and_roc(CURVES),
    "steps": lambda: ct.preprocessing_steps(
        [
            PICTURE,
            ("mask", volume() > 90, (5, 1, 1)),
            ("scan", np.full((3, 4, 5), -700, np.int16), (5, 1, 1)),
        ],
        slices=[(1, 2), (3, 4), (0, 0)],
    ),
    "montage": lambda: ct.exam_montage([PICTURE] * 5, columns=3, title="Exams", findings=["cap"] * 5),
    "cubes": lambda: ct.rubiks_cubes(
        {"original": volume(), "masked": volume()}, {"masked": list("abcdefgh")}
    ),
    "easy to hard": lambda: ct.easy_to_hard(PICTURE, [PICTURE] * 3, [PICTURE] * 2),
}


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.filterwarnings("error::UserWarning")
def test_every_figure_draws_and_is_shown_once(name):
    figure = DRAWN[name]()
    assert isinstance(figure, Figure)
    assert not plt.get_fignums(), "an open figure would be shown a second time in a notebook"
    width, height = figure.get_size_inches()
    assert 2 < width <= 11.5 and 1.2 < height < 14
    assert texts(figure)


def test_drawing_leaves_the_callers_style_alone():
    before = plt.rcParams["axes.spines.top"]
    DRAWN["probe"]()
    assert plt.rcParams["axes.spines.top"] == before


def test_grey_values_are_the_lung_window():
    hu = np.array([-2000, -1350, -600, 150, 3000], np.int16)
    assert ct.to_grey(hu).tolist() == [0, 0, 0.5, 1, 1]
    assert ct.to_grey(np.array([0, 255], np.uint8)).tolist() == [0, 1]
    assert ct.to_grey(np.array([False, True])).tolist() == [0, 1]
    assert ct.to_grey(np.array([0.0, 0.25])).tolist() == [0, 0.25]


def test_coronal_slices_stand_with_the_head_up_and_axial_ones_face_up():
    v = np.zeros((4, 3, 5), np.uint8)
    v[-1], v[:, 0] = 200, 100
    fig, (axial, coronal) = plt.subplots(1, 2)
    ct.show_slice(axial, v, axis=0, index=0)
    ct.show_slice(coronal, v, (5, 1, 1), axis=1, index=2)
    assert axial.get_ylim()[0] > axial.get_ylim()[1], "anterior, y = 0, is above"
    assert coronal.get_ylim()[0] < coronal.get_ylim()[1], "cranial, the last z, is above"
    assert coronal.get_aspect() == 5
    plt.close(fig)


def test_cube_labels_lie_on_their_cubes():
    """Cube 4 (counted from 0) is the upper, anterior, right one: first panel, top left."""
    figure = ct.rubiks_cubes({"original": volume((8, 12, 16))})
    top_left = {t.get_text(): t.get_position() for t in figure.axes[0].texts}
    assert set(top_left) == {"5", "6", "7", "8"}
    assert top_left["5"][0] < 8 <= top_left["6"][0] and top_left["5"][1] < 6 <= top_left["7"][1]


def test_soft_labels_start_at_zero_degrees():
    figure = figures_ranking.soft_labels(np.array([[1.0, 2, 3, 4]]), ["a"])
    first = figure.axes[0].patches[0]
    assert first.get_x() == pytest.approx(0) and first.get_height() == 1


def test_selected_exams_are_counted_by_finding():
    figure = figures_ranking.selections(ranking(), {"top": IDS[:20]}, FINDINGS, bins=4)
    bars = figure.axes[0].containers
    assert sum(b.get_height() for b in bars[0]) == 15 and sum(b.get_height() for b in bars[1]) == 5


def test_selected_exams_of_unknown_cause_are_counted_too():
    findings = FINDINGS.replace("non_pneumonia", "other")
    figure = figures_ranking.selections(ranking(), {"top": IDS[:20]}, findings, bins=4)
    assert [sum(b.get_height() for b in bars) for bars in figure.axes[0].containers] == [15, 5]
    assert "selected, Other or unknown" in [t.get_text() for t in figure.legends[0].get_texts()]
    four = np.resize(["covid", "cap", "non_pneumonia", "other"], len(COHORT))
    bars = charts.cohort_overview(COHORT.assign(finding=four)).axes[0].patches
    edges = sorted((b.get_y(), b.get_y() + b.get_height()) for b in bars)
    assert len(bars) == 4 * 2
    assert all(low >= before - 1e-9 for (_, before), (low, _) in zip(edges, edges[1:], strict=False))


def test_rows_that_the_paper_lacks_are_marked_and_its_values_shown():
    figure = DRAWN["score"]()
    assert texts(figure).count("not in the paper") == 1
    assert "the paper" in texts(figure)
    assert "the paper" not in texts(DRAWN["score of ours"]())


def test_the_cohort_counts_exams_and_patients():
    assert "15 exams, 15 patients" in texts(DRAWN["cohort"]())
    assert "The cohort: 40 exams of 40 patients" in texts(DRAWN["cohort"]())
