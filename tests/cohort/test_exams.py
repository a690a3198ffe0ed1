"""The exam table: each fault has a message, and splits keep their promises on any cohort (hypothesis)."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from refusals import refused

from covid_study.cohort import exams, splits
from covid_study.cohort.findings import FINDINGS
from covid_study.cohort.splits import SPLITS
from covid_study.errors import CohortError, ParameterError


def table_of(*rows) -> pd.DataFrame:
    """Rows of (exam, patient, finding[, split])."""
    rows = [(e, p, exams.PHANTOM, f, "", *(s or [""])) for e, p, f, *s in rows]
    return pd.DataFrame(rows, columns=list(exams.COLUMNS))


def cohort(**patients_by_finding) -> pd.DataFrame:
    """One exam a patient."""
    return table_of(*((f"{f}{i}",) * 2 + (f,) for f, n in patients_by_finding.items() for i in range(n)))


SIX = cohort(covid=2, cap=2, non_pneumonia=2)
TWO_SIDES = table_of(
    *(("a", "p1", "covid", "train"), ("b", "p1", "covid", "test"), ("c", "p2", "cap", "train"), ("d", "p3", "cap", "test"))
)  # fmt: skip


def changed(**cells) -> pd.DataFrame:
    """SIX with some cells changed: column=(row, value)."""
    table = SIX.copy()
    for column, (row, value) in cells.items():
        table.loc[row, column] = value
    return table


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (SIX[:0], ["no exams"]),
        (cohort(cap=3), ["no positives"]),
        (cohort(covid=3), ["no negatives"]),
        (SIX.drop(columns=["finding", "path"]), ["path, finding"]),
        (SIX.replace({"finding": {"cap": "cpa"}}), ["exam cap0", "'cpa'", "did you mean cap?", "exam cap1"]),
        (SIX.assign(split="tran"), ["'tran'", "did you mean train?"]),
        (
            changed(finding=(0, "flu"), patient_id=(1, ""), path=(2, " "), exam_id=(3, "")),
            ["'flu'", "exam covid1 has no patient_id", "exam cap0 has no path", "row 4 has no exam_id"],
        ),
        (pd.concat([SIX, SIX[:1]]), ["covid0", "2 times"]),
        (TWO_SIDES, ["patient p1", "train, test", "a, b"]),
        (SIX.assign(split=["train"] * 5 + [""]), ["1 of 6", "non_pneumonia1"]),
        (SIX.assign(path=[f"/nowhere/{i}" for i in range(6)]), ["none of the 6", "/nowhere/0"]),
    ],
)
def test_all_that_is_wrong_is_said_at_once(table, words):
    refused(CohortError, partial(exams.check_exams, table), *words)


def test_one_place_twice_is_named_and_one_missing_file_is_the_readers(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    paths = [str(tmp_path / p) for p in ("a", "b", "c", "./x/../a", "link", "d")]
    refused(CohortError, lambda: exams.check_exams(SIX.assign(path=paths)), "covid0, cap1, non_pneumonia0")
    paths[3:5] = ["e", "f"]
    table = exams.check_exams(SIX.assign(path=paths)[["finding", "path", "patient_id", "exam_id"]])
    assert list(table.columns) == list(exams.COLUMNS) and (table.split == "").all()


# ---------------------------------------------------------------------------------------------- CSV


def test_csv_as_people_write_it(tmp_path):
    file = tmp_path / "exams.csv"
    rows = "007;p1; a/b c ;COVID-19;Training;50\n8;;x;Normal;val;\n"
    file.write_text(f"\ufeffExam ID; Patient-ID;Path;Finding;Split;Age\n{rows}")
    table = exams.read_table(file)
    assert list(table.columns) == list(exams.COLUMNS)
    assert table.values.tolist() == [
        ["007", "p1", "a/b c", "covid", "", "train"],
        ["8", "", "x", "non_pneumonia", "", "validation"],
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("sep", [",", ";", "\t"])
def test_csv_in_every_dress(tmp_path, encoding, sep):
    """Byte order marks, separators, quotes, blank rows, rows that end in a separator, line ends."""
    rows = [
        ["exam_id", "patient_id", "path", "finding"],
        ["a", '"p, 1"', '"x;y\ty"', "covid", ""],
        [],
        ["", "", "", ""],
        ["b", "é", "b", "CAP"],
    ]
    mark = "\ufeff" if encoding[-2:] in ("le", "be") else ""
    file = tmp_path / "exams.csv"
    file.write_bytes((mark + "\r\n".join(map(sep.join, rows))).encode(encoding))
    found = exams.read_table(file)[list(exams.COLUMNS[:4])].values.tolist()
    assert found == [["a", "p, 1", "x;y\ty", "covid"], ["b", "é", "b", "cap"]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", ["UTF-8"]),
        (b"exam_id,patient,path,findings\n", ["'findings'", "did you mean 'finding'?"]),
        (b"exam_id,path,finding\n", ["'patient_id' is missing"]),
        (b"exam_id,patient_id,path,finding,splt\n", ["did you mean 'split'?"]),
        (b"Exam ID,exam_id,patient_id,path,finding\n", ["'exam_id' stands there twice"]),
        (b"exam_id,patient_id,path,finding,SPLIT,split \n", ["'split' stands there twice"]),
        (b"a,b\n1,2,3,4\n5\n", []),
        (np.random.default_rng(0).bytes(2000), ["UTF-8"]),
        (None, ["does not exist"]),
    ],
)
def test_csv_with_faults(tmp_path, text, words):
    file = tmp_path / "exams.csv"
    if text is not None:
        file.write_bytes(text)
    refused(CohortError, lambda: exams.read_table(file), file, "What to do", *words)


# ---------------------------------------------------------------------------------------------- splits


def test_six_exams_leave_a_positive_and_negatives_in_train_and_test():
    table = exams.split_exams(SIX)
    assert pd.crosstab(table.finding, table.split).values.tolist() == [[1, 1]] * 3
    given_split = ["train", "test"] * 3
    assert exams.split_exams(SIX.assign(split=given_split)).split.tolist() == given_split


def test_the_papers_proportions():
    table = exams.split_exams(cohort(covid=305, cap=890, non_pneumonia=1480), seed=3)
    shares = pd.crosstab(table.finding, table.split, normalize="index")[list(SPLITS)]
    np.testing.assert_allclose(shares, [[0.75, 0.05, 0.20]] * 3, atol=0.004)
    table = cohort(covid=20, cap=20)
    assert not exams.split_exams(table, seed=0).split.equals(exams.split_exams(table, seed=1).split)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (
            table_of(("a", "p", "covid"), ("b", "p", "covid"), ("c", "q", "cap"), ("d", "r", "cap")),
            "patient p ",
        ),
        (cohort(covid=4, cap=1), "patient cap0 "),
    ],
)
def test_one_positive_or_negative_patient_is_too_few(table, words):
    refused(CohortError, lambda: exams.split_exams(table), words, "What to do")


def test_few_patients_and_patients_of_both_kinds():
    table = exams.split_exams(cohort(covid=2, cap=1, non_pneumonia=1))
    assert set(table.split[table.finding != "covid"]) == {"train", "test"}
    rows = [("a", "A", "covid"), ("b", "A", "cap"), ("c", "B", "covid"), ("d", "C", "cap")]
    table = exams.split_exams(table_of(*rows)).set_index("exam_id").split
    assert table.a == table.b == table.d != table.c or table.a == table.b != table.d == table.c


@pytest.mark.parametrize(
    "fractions", [(0.75, 0.05), (0.5, 0.2, 0.2), (1.2, -0.4, 0.2), (0.0, 0.5, 0.5), (0.9, 0.1, 0.0)]
)
def test_fractions_that_are_none(fractions):
    refused(ParameterError, lambda: exams.split_exams(SIX, fractions), "fractions")


cohorts = st.lists(
    st.tuples(st.integers(0, 40), st.sampled_from(FINDINGS)), min_size=4, max_size=120
).map(lambda rows: table_of(*((f"e{i}", f"p{p}", f) for i, (p, f) in enumerate(rows))))  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(cohorts, st.integers(0, 5), st.sampled_from([(0.75, 0.05, 0.20), (0.6, 0.2, 0.2), (0.8, 0.0, 0.2)]))
def test_split_invariants(table, seed, fractions):
    positive = table.finding == "covid"
    if min(table.patient_id[positive].nunique(), table.patient_id[~positive].nunique()) < 2:
        with pytest.raises(CohortError):
            exams.split_exams(table, fractions, seed)
        return
    try:
        split = exams.split_exams(table, fractions, seed)
    except CohortError as error:  # patients of both kinds only may leave no way
        assert table.groupby("patient_id").finding.nunique().max() > 1 and "no split by patient" in str(error)
        return
    assert split.groupby("patient_id").split.nunique().max() == 1  # a patient lies on one side
    for side in ("train", "test"):
        assert set((split.finding == "covid")[split.split == side]) == {True, False}
    assert split.split.isin(SPLITS).all() and (fractions[1] > 0 or (split.split != "validation").all())
    shuffled = exams.split_exams(table.sample(frac=1, random_state=seed), fractions, seed)
    pd.testing.assert_series_equal(  # the order of the rows does not matter
        shuffled.set_index("exam_id").split.sort_index(), split.set_index("exam_id").split.sort_index()
    )
    pd.testing.assert_frame_equal(exams.split_exams(split), split)  # what is split stays split


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=10, max_size=80), st.integers(0, 5))
def test_shares_are_exact_to_a_patient_or_two(visits, seed):
    rows = [(f"{f}-{p}-{v}", f"{f}-{p}", f) for f in FINDINGS for p, n in enumerate(visits) for v in range(n)]
    split = exams.split_exams(table_of(*rows), seed=seed)
    counts = pd.crosstab(split.finding, split.split)[list(SPLITS)].to_numpy()
    assert np.abs(counts - np.outer([sum(visits)] * 4, (0.75, 0.05, 0.20))).max() <= 2 * max(visits)


def test_a_stratum_of_four_or_fewer_leaves_validation_empty_however_many_exams_each_has():
    ids = pd.Series(["p0"] * 25 + ["p1"] * 7 + ["p2"])
    for salt in map(str, range(20)):
        assert (
            "validation" not in splits.allocate(ids, ids.map(lambda _: 0), (0.75, 0.05, 0.2), salt).values()
        )
