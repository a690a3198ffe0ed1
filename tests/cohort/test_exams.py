"""The exam table: each fault has a message, and splits keep their promises on any cohort (hypothesis)."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from covid_study.cohort import exams
from covid_study.errors import CohortError, ParameterError


def table_of(*rows) -> pd.DataFrame:
    """Rows of (exam, patient, finding[, split])."""
    rows = [(e, p, exams.PHANTOM, f, "", *(s or [""])) for e, p, f, *s in rows]
    return pd.DataFrame(rows, columns=list(exams.COLUMNS))


def cohort(**patients_by_finding) -> pd.DataFrame:
    """One exam a patient."""
    return table_of(*((f"{f}{i}",) * 2 + (f,) for f, n in patients_by_finding.items() for i in range(n)))


SIX = cohort(covid=2, cap=2, non_pneumonia=2)


def refused(table, *words):
    """The check fails with one message that holds all the words."""
    with pytest.raises(CohortError) as caught:
        exams.check_exams(table)
    for word in words:
        assert word in str(caught.value), str(caught.value)


# ---------------------------------------------------------------------------------------------- checks


def test_a_good_table_passes_and_keeps_its_columns_in_order():
    table = exams.check_exams(SIX[["finding", "path", "patient_id", "exam_id"]])
    assert list(table.columns) == list(exams.COLUMNS) and (table.split == "").all()


def test_no_exams_no_positives_no_negatives():
    refused(SIX[:0], "no exams")
    refused(cohort(cap=3), "no positives")
    refused(cohort(covid=3), "no negatives")


def test_columns_missing():
    refused(SIX.drop(columns=["finding", "path"]), "no column path, finding")


def test_unknown_finding_and_split_name_the_exam_and_the_nearest():
    refused(SIX.replace({"finding": {"cap": "cpa"}}), "exam cap0", "'cpa'", "did you mean cap?", "exam cap1")
    refused(SIX.assign(split="tran"), "'tran'", "did you mean train?")


def test_all_that_is_wrong_is_said_at_once():
    table = SIX.copy()
    table.loc[0, "finding"], table.loc[1, "patient_id"], table.loc[2, "path"], table.loc[3, "exam_id"] = (
        "flu",
        "",
        " ",
        "",
    )
    refused(table, "'flu'", "exam covid1 has no patient_id", "exam cap0 has no path", "row 4 has no exam_id")


def test_one_exam_listed_twice_by_id_or_by_path(tmp_path):
    refused(pd.concat([SIX, SIX[:1]]), "covid0 is listed 2 times")
    (tmp_path / "a").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    paths = [
        tmp_path / "a",
        tmp_path / "b",
        tmp_path / "c",
        tmp_path / "." / "x" / ".." / "a",
        tmp_path / "link",
        tmp_path / "d",
    ]
    refused(
        SIX.assign(path=[str(p) for p in paths]), "covid0, cap1, non_pneumonia0 are the same file or folder"
    )


def test_a_patient_on_two_sides_is_named():
    rows = [
        ("a", "p1", "covid", "train"),
        ("b", "p1", "covid", "test"),
        ("c", "p2", "cap", "train"),
        ("d", "p3", "cap", "test"),
    ]
    refused(table_of(*rows), "patient p1", "both sides of a split (train, test)", "(a, b)")


def test_split_of_some_exams_only():
    refused(SIX.assign(split=["train"] * 5 + [""]), "1 of 6 exams have no split (non_pneumonia1)")


def test_no_file_at_all_is_the_tables_fault_one_is_the_readers(tmp_path):
    paths = [str(tmp_path / f"{i}") for i in range(6)]
    refused(SIX.assign(path=paths), "none of the 6 paths exists", paths[0])
    (tmp_path / "0").touch()
    table = exams.check_exams(SIX.assign(path=paths))
    assert list(exams.missing_files(table).index) == list(SIX.exam_id[1:])


# ---------------------------------------------------------------------------------------------- CSV


def test_table_written_and_read_again(tmp_path):
    table = exams.split_exams(SIX)
    file = exams.write_table(table, tmp_path / "new" / "exams.csv")
    pd.testing.assert_frame_equal(exams.check_exams(exams.read_table(file)), table)
    assert [f.name for f in file.parent.iterdir()] == ["exams.csv"]


def test_csv_as_people_write_it(tmp_path):
    file = tmp_path / "exams.csv"
    file.write_bytes(
        "\ufeffExam ID; Patient-ID;Path;Finding;Split;Age\n007;p1; a/b c"
        " ;COVID-19;Training;50\n8;;x;Normal;val;\n".encode()
    )
    table = exams.read_table(file)
    assert table.exam_id.tolist() == ["007", "8"] and table.path[0] == "a/b c" and table.patient_id[1] == ""
    assert table.finding.tolist() == ["covid", "non_pneumonia"] and table.split.tolist() == [
        "train",
        "validation",
    ]
    assert list(table.columns) == list(exams.COLUMNS)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "is empty"),
        ("exam_id,patient,path,findings\n", "did you mean 'finding'?"),
        ("exam_id,path,finding\n", "column 'patient_id' is missing"),
        ("exam_id,patient_id,path,finding,splt\n", "did you mean 'split'?"),
        ("a,b\n1,2,3,4\n5\n", "exams.csv"),
    ],
)
def test_csv_with_faults(tmp_path, text, word):
    (tmp_path / "exams.csv").write_text(text)
    with pytest.raises(CohortError, match="exams.csv") as caught:
        exams.read_table(tmp_path / "exams.csv")
    assert word in str(caught.value)


def test_csv_absent_or_no_text(tmp_path):
    with pytest.raises(CohortError, match="does not exist"):
        exams.read_table(tmp_path / "exams.csv")
    (tmp_path / "exams.csv").write_bytes(np.random.default_rng(0).bytes(2000))
    with pytest.raises(CohortError, match="cannot be read as CSV"):
        exams.read_table(tmp_path / "exams.csv")


# ---------------------------------------------------------------------------------------------- splits


def test_six_exams_leave_a_positive_and_negatives_in_train_and_test():
    table = exams.split_exams(SIX)
    assert pd.crosstab(table.finding, table.split).values.tolist() == [[1, 1]] * 3


def test_the_papers_proportions():
    table = exams.split_exams(cohort(covid=305, cap=890, non_pneumonia=1480), seed=3)
    shares = pd.crosstab(table.finding, table.split, normalize="index")[list(exams.SPLITS)]
    np.testing.assert_allclose(shares, [[0.75, 0.05, 0.20]] * 3, atol=0.004)


def test_a_filled_split_is_kept():
    given_split = ["train", "test"] * 3
    assert exams.split_exams(SIX.assign(split=given_split)).split.tolist() == given_split


def test_one_positive_or_negative_patient_is_too_few():
    two_of_one = table_of(("a", "p", "covid"), ("b", "p", "covid"), ("c", "q", "cap"), ("d", "r", "cap"))
    with pytest.raises(
        CohortError, match=r"only patient p has positives.*at least two patients with positives"
    ):
        exams.split_exams(two_of_one)
    with pytest.raises(CohortError, match=r"only patient cap0 has negatives"):
        exams.split_exams(cohort(covid=4, cap=1))


def test_one_cap_and_one_healthy_patient_are_split_as_negatives():
    table = exams.split_exams(cohort(covid=2, cap=1, non_pneumonia=1))
    assert set(table.split[table.finding != "covid"]) == {"train", "test"}


def test_patients_of_both_kinds():
    rows = [("a", "A", "covid"), ("b", "A", "cap"), ("c", "B", "covid"), ("d", "C", "cap")]
    table = exams.split_exams(table_of(*rows)).set_index("exam_id").split
    assert table.a == table.b == table.d != table.c or table.a == table.b != table.d == table.c


@pytest.mark.parametrize(
    "fractions", [(0.75, 0.05), (0.5, 0.2, 0.2), (1.2, -0.4, 0.2), (0.0, 0.5, 0.5), (0.9, 0.1, 0.0)]
)
def test_fractions_that_are_none(fractions):
    with pytest.raises(ParameterError, match="fractions"):
        exams.split_exams(SIX, fractions)


cohorts = st.lists(
    st.tuples(st.integers(0, 40), st.sampled_from(exams.FINDINGS)), min_size=4, max_size=120
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
    assert split.split.isin(exams.SPLITS).all() and (fractions[1] > 0 or (split.split != "validation").all())
    shuffled = exams.split_exams(table.sample(frac=1, random_state=seed), fractions, seed)
    pd.testing.assert_series_equal(  # the order of the rows does not matter
        shuffled.set_index("exam_id").split.sort_index(), split.set_index("exam_id").split.sort_index()
    )
    pd.testing.assert_frame_equal(exams.split_exams(split), split)  # what is split stays split


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=10, max_size=80), st.integers(0, 5))
def test_shares_are_exact_to_a_patient_or_two(visits, seed):
    rows = [
        (f"{f}-{p}-{v}", f"{f}-{p}", f)
        for f in exams.FINDINGS
        for p, n in enumerate(visits)
        for v in range(n)
    ]
    split = exams.split_exams(table_of(*rows), seed=seed)
    counts = pd.crosstab(split.finding, split.split)[list(exams.SPLITS)].to_numpy()
    assert np.abs(
        counts - np.outer([sum(visits)] * len(exams.FINDINGS), (0.75, 0.05, 0.20))
    ).max() <= 2 * max(visits)


def test_seeds_differ():
    table = cohort(covid=20, cap=20)
    assert not exams.split_exams(table, seed=0).split.equals(exams.split_exams(table, seed=1).split)
