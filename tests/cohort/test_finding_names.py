"""Names of findings are read whole: what is positive, what is negative, what can be read in two ways, what is not known."""

import itertools

import pytest
from hypothesis import given, strategies as st

from covid_study.cohort.finding_names import meanings, unclear
from covid_study.cohort.findings import parse_class, parse_finding

CASES = (str.lower, str.upper, str.title)
BETWEEN = ("", " ", "_", "-", ".", " - ", "__")


def written(*words):
    """The words with every separator, in every case."""
    return {case(sep.join(words)) for sep in BETWEEN for case in CASES}


@pytest.mark.parametrize("covid", ["covid", "covid-19", "SARS-CoV-2", "nCoV", "coronavirus"])
@pytest.mark.parametrize(
    "words, finding",
    [
        ("{}", "covid"),
        ("{} positive", "covid"),
        ("positive {}", "covid"),
        ("CT {} cases", "covid"),
        ("{} pneumonia", "covid"),
        ("{} negative", "other"),
        ("{} neg patients", "other"),
        ("negative {}", "other"),
        ("no {}", "other"),
        ("non {} scans", "other"),
        ("CT not {}", "other"),
        ("without {}", "other"),
        ("{} free", "other"),
    ],
)
def test_for_and_against_covid_in_any_order_case_and_separator(covid, words, finding):
    for name in written(*words.format(covid).split(" ")):
        assert parse_finding(name) == finding, name
        assert parse_class(name) == ("covid" if finding == "covid" else "non_covid"), name


@pytest.mark.parametrize(
    "words, finding",
    [
        ("pneumonia", "cap"),
        ("CAP subjects", "cap"),
        ("community acquired pneumonia", "cap"),
        ("bacterial pneumonia", "cap"),
        ("other pneumonia", "cap"),
        ("no pneumonia", "non_pneumonia"),
        ("non pneumonia", "non_pneumonia"),
        ("pneumonia negative", "non_pneumonia"),
        ("healthy controls", "non_pneumonia"),
        ("normal", "non_pneumonia"),
        ("other", "other"),
        ("negative", "other"),
    ],
)
def test_other_findings(words, finding):
    assert {parse_finding(name) for name in written(*words.split())} == {finding}


@pytest.mark.parametrize(
    "name, finding, of_pictures",
    [
        ("CTNonCOVID", "other", "non_covid"),
        ("1_COVID", "covid", "covid"),
        ("COVID+", "covid", "covid"),
        ("COVID (-)", "other", "non_covid"),
        ("pneumonia, no COVID", "cap", "non_covid"),
        ("Normal (COVID negative)", "non_pneumonia", "non_covid"),
        ("Normal", "non_pneumonia", "Normal"),
        ("abnormal", None, "abnormal"),
        ("coronary", None, "coronary"),
        ("P001", None, "P001"),
        *((name, None, None) for name in ("suspected COVID", "COVID_0", "post-COVID", "covid_and_normal", "NonCOVD_COVID")),
    ],
)  # fmt: skip
def test_what_is_read_whole_and_what_is_not(name, finding, of_pictures):
    assert parse_finding(name) == finding and parse_class(name) == of_pictures


@pytest.mark.parametrize(
    "name, could_mean, of_pictures",
    [
        ("non-COVID pneumonia", "cap or other", "non_covid"),
        ("COVID/Normal", "covid or non_pneumonia", None),
        ("COVID-", "covid or other", None),
        ("non COVID negative", "covid or other", None),
        ("positive_negative_COVID", "covid or other", None),
        ("covid without pneumonia", "covid or non_pneumonia", None),
        ("capnormal", "cap or non_pneumonia", "capnormal"),
    ],
)
def test_a_name_with_two_meanings_lists_both(name, could_mean, of_pictures):
    assert parse_finding(name) is None and f"(it could mean {could_mean})" in unclear(name)
    assert parse_class(name) == of_pictures


@pytest.mark.parametrize("name", ["!COVID", "~covid", "COVID?", "COVID (?)", "COVID-19 suspected"])
def test_a_sign_or_word_that_may_turn_a_name_around_leaves_it_without_a_meaning(name):
    assert meanings(name) == set() and parse_finding(name) is None and parse_class(name) is None


SLIPS = {
    "healty": "healthy",
    "cpa": "cap",
    "COVID-19 positve": "positive",
    "COVID19 negatve": "negative",
    "Covdi": "covid",
}


def test_hints_are_for_slips_and_never_turn_a_name_around():
    assert {name: unclear(name) for name in SLIPS} == {k: f" (did you mean {v}?)" for k, v in SLIPS.items()}
    assert {
        unclear(n) for n in ("abnormal", "anormal", "unhealthy", "post COVID", "tumour", "apneumonia", "")
    } == {""}


@given(
    st.lists(
        st.sampled_from(["covid", "non", "negative", "positive", "cap", "normal", "pneumonia", "ct"]),
        max_size=6,
    )
)
def test_separators_never_change_what_a_name_means(words):
    assert len({frozenset(meanings(sep.join(words))) for sep in BETWEEN}) == 1


@given(st.text(max_size=300))
def test_any_text_is_read(text):
    assert parse_class(text) != "" or not text.strip()
    assert unclear(text) == "" or unclear(text)[0] == " "


def test_no_pair_of_names_that_differ_by_a_denial_is_one_finding():
    subjects = {"covid": "other", "pneumonia": "non_pneumonia"}
    denials = ("non-{}", "no {}", "not_{}", "without {}", "{} negative", "neg. {}", "{}(-)", "{}_neg")
    for (subject, denied), denial in itertools.product(subjects.items(), denials):
        assert parse_finding(denial.format(subject)) == denied != parse_finding(subject)
