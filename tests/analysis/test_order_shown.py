"""What is drawn and tabled of `order.measured` are its numbers."""

import numpy as np

from covid_study.analysis.order import Ordering, order_free_variants, random_orders
from covid_study.analysis.order_shown import KINDS, costs, points, table
from tests.orders import planted
from tests.ranking.test_order_free import exams


def test_every_random_order_is_a_point_and_every_variant_one():
    found = points(Ordering(*planted()))
    assert found.groupby("kind").size().to_dict() == {k: 9 if k.startswith("shuffled") else 3 for k in KINDS}
    joint = found[found["track"] == "joint"].set_index("kind")["rho"]
    assert joint["shuffled both"].tolist() == [0.5, 0.7, 0.6] and joint["variant both"] == 0.4


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
    assert table(shuffles, variants).loc["both shuffled", "Diversity"] == "–"
    assert costs(variants).loc["both: no order left", "linear programmes"] == "3"
