"""The sentences of the reports that draw a conclusion: built from the numbers, so that they are true of them.

A conclusion is drawn from an interval alone. Where there is none, the sentence says that nothing follows.
"""

import numpy as np
import pandas as pd

from covid_study.report.words import listed, percent, with_interval

PARTS = {"permutation": "the permutation", "horizontal": "horizontal turns", "vertical": "vertical turns"}


def side(row, reference: float = 0.0) -> str:
    """Where an interval lies: "above" the reference, "below" it, "on" it, or "unknown" without an interval.

    >>> side({"value": 0.6, "low": 0.52, "high": 0.7}, 0.5), side({"value": 0.6, "low": np.nan, "high": np.nan}, 0.5)
    ('above', 'unknown')
    """
    if np.isnan([row["value"], row["low"], row["high"]]).any():
        return "unknown"
    return "above" if row["low"] > reference else "below" if row["high"] < reference else "on"


def _two(value: float) -> str:
    return f"{value:.2f}".replace("-0.00", "0.00")


def pretext_learnt(tests: pd.DataFrame, variant: str) -> str:
    """Has the pretext task been learnt? Of `pretext_learnt.pretext_tests`, one variant."""
    part = tests[tests["variant"] == variant].set_index("part")
    if (part["learnt"] == "unknown").all():
        return f"{variant}: there is no validation exam with COVID-19, so nothing is known about what it has learnt."
    said = [
        f"{PARTS[name]} in {percent(row['accuracy'])} of cases (chance {percent(row['chance'])})"
        for name, row in part.iterrows()
    ]
    verdicts = []
    for grade, text in (
        ("learnt", "It has learnt {}."),
        ("barely", "It does {} better than by guessing, but barely."),
        ("no", "It has not learnt {}: guessing does as well."),
    ):
        names = [PARTS[name] for name in part.index[part["learnt"] == grade]]
        if names:
            verdicts.append(text.format(listed(names, "or" if grade == "no" else "and")))
    return f"{variant} tells {listed(said)} on exams it was not trained on. {' '.join(verdicts)}"


def probe_gain(probe: pd.DataFrame, variant: str, target: str) -> str:
    """Does the encoder know a finding better than an untrained one? Of `pretext_learnt.probe_table`."""
    rows = probe[probe["target"] == target].set_index(["variant", "metric"])
    auc, untrained = rows.loc[(variant, "auc")], rows.loc[("untrained", "auc")]
    gain = rows.loc[(variant, "gain")]
    if side(gain) == "unknown":
        return f"{target}: too few patients for an interval; nothing follows for what {variant} has taught the encoder."
    numbers = (
        f"(AUC {with_interval(auc)} against {with_interval(untrained)}, difference {with_interval(gain)})"
    )
    if side(gain) == "above":
        conclusion = f"the encoder knows it better after {variant} than untrained"
    elif side(gain) == "below":
        conclusion = f"the encoder knows it worse after {variant} than untrained"
    else:
        conclusion = f"it cannot be shown that {variant} has taught the encoder anything about it"
    return f"{target}: {conclusion} {numbers}."


def pretext_headline(tests: pd.DataFrame, probe: pd.DataFrame, variant: str) -> str:
    """Notebook 02 in one sentence."""
    part = tests[tests["variant"] == variant].set_index("part")
    if (part["learnt"] == "unknown").all():
        return f"{variant} ran; without a validation exam with COVID-19 nothing is known about what it has learnt."
    accuracies = [
        f"{PARTS[name]} {percent(row['accuracy'])} (chance {percent(row['chance'])})"
        for name, row in part.iterrows()
    ]
    text = f"{variant} on unseen exams tells {listed(accuracies)}"
    words = {"above": "better", "below": "worse", "on": "no better that could be shown"}
    gains = probe[(probe["variant"] == variant) & (probe["metric"] == "gain")]
    said = [
        f"{row['target'].replace(' against ', ' from ')} {words[side(row)]}"
        for row in gains.to_dict("records")
        if side(row) in words
    ]
    return text + (f". Than an untrained encoder, it tells {listed(said)}." if said else ".")


def ranking_means(
    evidence: pd.DataFrame, source: str, name: str, subject: str = "Difficulty from the"
) -> str:
    """Does difficulty put CAP before non-pneumonia? Of `ranking_meaning.cap_first`, one source of features.

    Args:
        source: of the evidence. name: the source in words.
    """
    row = evidence[(evidence["source"] == source) & (evidence["metric"] == "auc")].iloc[0]
    start = f"{subject} {name}"
    if np.isnan(row["value"]):
        return f"{start} cannot be judged: the archive lacks CAP or non-pneumonia exams."
    number = f"AUC of {with_interval(row)}"
    where = side(row, 0.5)
    if where == "unknown":
        return f"{start} puts CAP before non-pneumonia with an {number}; so few patients give no interval, nothing follows."
    if where == "above":
        strength = "only a little" if row["value"] < 0.6 else "something" if row["value"] < 0.75 else "much"
        return (
            f"{start} says {strength} about findings: it puts CAP before non-pneumonia with an {number}; the interval "
            "excludes 0.5."
        )
    if where == "below":
        return f"{start} is the wrong way round: it puts non-pneumonia before CAP, with an {number}; the interval excludes 0.5."
    return (
        f"{start} says nothing about findings that these exams could show: CAP before non-pneumonia with an {number}, and "
        "the interval includes 0.5, which is tossing a coin."
    )


def ranking_lead(evidence: pd.DataFrame, source: str, name: str, own: str = "pretext features") -> str:
    """Are the pretext features ahead of another source? Of `ranking_meaning.cap_first`."""
    row = evidence[(evidence["source"] == source) & (evidence["metric"] == "lead")].iloc[0]
    where = side(row)
    if where == "unknown":
        return f"Whether the {own} rank better than the {name} cannot be told from so few patients."
    words = {
        "above": f"The {own} put CAP first better than the {name} does",
        "below": f"The {name} puts CAP first better than the {own} do",
        "on": f"The {own} and the {name} cannot be told apart",
    }
    return f"{words[where]} (difference of AUC {with_interval(row)})."


def follows_load(evidence: pd.DataFrame, source: str, name: str) -> str:
    """Does difficulty follow the lesion load? Of `ranking_meaning.follows_load`."""
    rows = evidence[evidence["source"] == source].set_index("among")
    said = []
    for among, row in rows.iterrows():
        words = {
            "above": "grows with the lesion load",
            "below": "falls where the lesion load grows",
            "on": "does not follow the lesion load as far as these exams can show",
            "unknown": "cannot be compared with the lesion load",
        }[side(row)]
        number = "" if np.isnan(row["value"]) else f" (Spearman {with_interval(row)})"
        said.append(f"among {among} it {words}{number}")
    return f"Difficulty from the {name}: {'; '.join(said)}."


def agreements(table: pd.DataFrame) -> list[str]:
    """Which rankings agree on what is hard, a sentence a pair. `table` is of `ranking_meaning.agreement`.

    >>> agreements(pd.DataFrame([[1, 0.8], [0.8, 1]], index=["a", "b"], columns=["a", "b"]))
    ['a and b largely agree on what is hard (Spearman 0.80).']
    """
    said = []
    for i, first in enumerate(table.index):
        for second in table.columns[i + 1 :]:
            rho = float(table.loc[first, second])
            if np.isnan(rho):
                said.append(f"{first} and {second} cannot be compared.")
                continue
            words = "largely agree" if rho >= 0.7 else "agree in part" if rho >= 0.3 else "hardly agree"
            words = "contradict each other" if rho <= -0.3 else words
            said.append(f"{first} and {second} {words} on what is hard (Spearman {_two(rho)}).")
    return said
