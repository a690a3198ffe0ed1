"""AUC within and between centres, against pairs counted one by one; a shift between centres is what is lost."""

from itertools import product
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from covid_study.analysis import centres
from covid_study.scores import claims
from covid_study.tables.table import Table

RNG = np.random.default_rng(5)
Y, P, OF = RNG.integers(0, 2, 40), RNG.random(40).round(1), RNG.choice(list("abc"), 40)


def counted(y, p, of, alike):
    """The share of pairs that are in the right order; ties count half."""
    pairs = [
        (i, j) for i, j in product(np.flatnonzero(y), np.flatnonzero(1 - y)) if not alike or of[i] == of[j]
    ]
    return np.mean([(p[i] > p[j]) + (p[i] == p[j]) / 2 for i, j in pairs])


def test_pairs_are_counted_as_one_by_one_and_weights_repeat_exams():
    weights = RNG.integers(0, 3, (5, 40)).astype(float)
    found = centres.within(Y, P, OF, weights)
    for row, w in enumerate(weights.astype(int)):
        again = [np.repeat(x, w) for x in (Y, P, OF)]
        assert found["auc"][row] == pytest.approx(counted(*again, alike=False))
        assert found["auc_within"][row] == pytest.approx(counted(*again, alike=True))


def planted(shift: float) -> Table:
    """A row whose scores are moved from centre to centre, and one that is not; as good within a centre."""
    ids = [f"e{i}" for i in range(120)]
    label, centre = np.arange(120) % 2, np.arange(120) // 2 % 3
    exams = pd.DataFrame({"exam_id": ids, "patient_id": ids, "split": "test", "label": label})
    rng = np.random.default_rng(0)
    p = 0.3 + 0.1 * label + rng.normal(0, 0.05, (3, 120))
    said = {("rubiks_cube_pro", "all", s): exams.assign(probability=p[s]) for s in range(3)}
    said |= {("rubiks_cube", "all", s): exams.assign(probability=p[s] + shift * centre) for s in range(3)}
    table = pd.DataFrame({"centre": centre.astype(str)}, index=ids)
    return Table("A.VII", samples=SimpleNamespace(table=table), planted=said)


def test_the_claim_holds_where_whole_cubes_move_between_centres_and_not_where_they_do_not():
    claim = claims.of_table("A.VII-centres")
    (moved,) = claims.decide(centres.scored(planted(0.15)), claim)["verdict"]
    (still,) = claims.decide(centres.scored(planted(0.0)), claim)["verdict"]
    assert (moved, still) == (claims.HOLDS, claims.NO_EFFECT)


def test_one_class_a_centre_says_nothing():
    table = planted(0.1)
    table.samples.table["centre"] = (np.arange(120) % 2).astype(str)
    assert centres.scored(table).values == {}
    assert claims.decide(centres.scored(table), claims.of_table("A.VII-centres"))["verdict"].tolist() == [
        "open"
    ]


def test_centres_that_nobody_knows_are_no_centre():
    assert centres.both(np.array([1, 0, 1, 0]), np.array(["", "", "a", "a"])) == ["a"]
    assert np.isnan(centres.within(Y, P, np.full(40, ""), np.ones((1, 40)))["auc_lost"]).all()
