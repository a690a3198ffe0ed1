"""The chart and the tables of the order of channels and positives show the numbers, and say where there are too few exams."""

import matplotlib

matplotlib.use("Agg")
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

from covid_study.analysis.order import order_free_variants, random_orders  # noqa: E402
from covid_study.figures.ordering import correlations, costs, table  # noqa: E402
from tests.ranking.test_order_free import exams  # noqa: E402


def planted(shuffles_rho=(0.5, 0.7, 0.6), variant_rho=0.4, negatives=160):
    shuffles = pd.DataFrame(
        {"shuffled": s, "track": t, "order": k, "rho": 1.0 if (s, t) == ("positives", "difficulty") else r, "kept": r}
        for s in ("channels", "positives", "both")
        for t in ("difficulty", "diversity", "joint")
        for k, r in enumerate(shuffles_rho)
    ).assign(selected=90, negatives=negatives, positives=60)  # fmt: skip
    variants = pd.DataFrame(
        {"variant": v, "track": t, "rho": 1.0 if v == "listed" else variant_rho, "kept": 0.75,
         "change": 0.3 if v == "listed" else np.nan if t == "joint" else 2e-16}
        for v in ("listed", "channels", "positives", "both")
        for t in ("difficulty", "diversity", "joint")
    ).assign(selected=37, negatives=66, positives=60, programmes=7875, seconds=12.34, seconds_whole=3210.0)  # fmt: skip
    return shuffles, variants


def texts(figure):
    return [t.get_text() for t in figure.findobj(matplotlib.text.Text) if t.get_text()]


def test_every_random_order_is_a_point_and_every_variant_a_marker():
    figure = correlations(*planted())
    assert isinstance(figure, Figure) and len(figure.axes) == 3
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["Difficulty", "Diversity", "Joint rank"]
    difficulty, _, joint = figure.axes
    points = [
        strip.get_offsets()[:, 0].tolist() for strip in joint.collections if len(strip.get_offsets()) == 3
    ]
    assert points == [[0.5, 0.7, 0.6]] * 3
    medians = [c.get_segments()[0][0, 0] for c in joint.collections if hasattr(c, "get_segments")]
    assert medians == [0.6] * 3
    assert [line.get_xdata()[0] for line in joint.lines if len(line.get_xdata()) == 1] == [0.4] * 3
    shown = [t.get_text() for t in difficulty.texts]
    assert shown == ["0.60", "1.00", "0.60", "0.40", "0.40", "0.40"]
    low, high = joint.get_xlim()
    assert low < 0.4 and high > 1


def test_the_title_says_what_is_seen():
    said = " ".join(texts(correlations(*planted())))
    assert "the joint rank correlates 0.60 with the listed one" in said
    assert "3 random orders, 160 negatives" in said and "66 negatives" in said
    assert "correlates 0.90" in " ".join(texts(correlations(*planted((0.9, 0.91, 0.8)))))


def test_too_few_exams_are_said_to_be_too_few():
    assert any("nothing follows" in t for t in texts(correlations(*planted(negatives=9))))
    unknown = texts(correlations(*planted((np.nan,) * 3, np.nan)))
    assert any("nothing follows" in t for t in unknown)
    assert (
        sum("all values are equal" in t for t in unknown) == 6 * 3 - 1
    )  # difficulty, positives shuffled: planted
    assert not any("nan" in t for t in unknown)


def test_negative_correlations_are_inside():
    low, _ = correlations(*planted((-0.8, 0.1, 0.2))).axes[0].get_xlim()
    assert low < -0.8


def test_the_table_holds_medians_and_ranges():
    shown = table(*planted())
    assert shown.loc["both shuffled", "Joint rank"] == "0.60 [0.50, 0.70]"
    assert shown.loc["positives shuffled", "Difficulty"] == "1.00 [1.00, 1.00]"
    assert shown.loc["both shuffled", "stay selected (%)"] == "60 [50, 70]"
    assert shown.loc["both: no order left", "Joint rank"] == "0.40"
    assert shown.loc["both: no order left", "selected"] == "37 of 66"
    assert len(shown) == 6
    assert table(*planted((np.nan,) * 3, np.nan)).loc["both shuffled", "Joint rank"] == "–"


def test_the_table_of_costs():
    _, variants = planted()
    shown = costs(variants)
    assert shown.index.tolist()[0] == "as listed" and shown.loc["as listed", "largest change"] == "3e-01"
    row = shown.loc["both: no order left"]
    assert (row["linear programmes"], row["seconds"], row["largest change"]) == ("7,875", "12.34", "2e-16")
    assert row["seconds, whole archive"] == "3,210.0"
    unknown = costs(variants.assign(seconds=np.nan, seconds_whole=np.nan, change=0.0))
    assert (unknown["seconds"] == "–").all() and (unknown["largest change"] == "0").all()


def test_one_positive_and_two_negatives_as_measured():
    near, far = exams(0, n_positives=1, n_negatives=2)
    shuffles, variants = random_orders(near, far, 2, 1), order_free_variants(near, far, 400, 1)
    assert any("nothing follows" in t for t in texts(correlations(shuffles, variants)))
    assert table(shuffles, variants).loc["both shuffled", "Diversity"] == "–"
    assert costs(variants).loc["both: no order left", "linear programmes"] == "3"
