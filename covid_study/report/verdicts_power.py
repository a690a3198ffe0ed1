"""Which differences of F1 can be told apart: those that the paper prints, and sentences built from the numbers of `power`."""

import re
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from covid_study.report.show import column_head
from covid_study.report.verdicts import listed
from covid_study.scores import power, published as papers
from covid_study.scores.old_claims import CLAIMS, FEWEST
from covid_study.scores.power import APART, CHANCE, EXAMS, TRAINING, UNKNOWN, UNLIKE
from covid_study.scores.power_marks import SCORES, Scored, marks
from covid_study.scores.power_spread import Spread

TABLES = ("A.III", "A.IV", "A.V", "A.VI", "A.VII")
CLAIMED = ("A.III", "A.V")  # the text says which of their rows is better
SPREAD = (
    "runs",
    "F1 of the middle run",
    "deviation of F1, measured",
    "simulated",
    "by the test exams",
    "by the trainings",
    "correlation, positives",
    "correlation, negatives",
)
Place = tuple[str, str, str]  # table, row and column


def of_published(spread: Spread | None, n: int = 1000) -> pd.DataFrame:
    """The differences between the rows of Tables III to VII of paper A, marked for its test and one run a row.

    Choice: the paper's runs are taken to differ as ours do at the largest selection.

    Returns:
        As `marks`: each row against the row above, Table IV against the same selection in Table III, in Table VI
        each online strategy also against none, and the claims that the text makes about F1.
    """
    cells, words = {}, {}
    for name in TABLES:
        printed = papers.table(name)
        for r in printed[printed["metric"].isin(SCORES)].to_dict("records"):
            cells.setdefault((name, r["row"], r["column"]), {})[r["metric"]] = r["value"]
            words[name, r["row"]] = r["label"]
    pairs = []
    for table, (name, row, column), other in _published_pairs(list(cells)):
        above = words[other[:2]]
        if other[2] != column:
            above += f", {'ALL' if other[2] == 'all' else 'no strategy'}"
        label = words[name, row]
        pairs.append((table, label, above, column, cells[name, row, column], cells[other]))
    return marks(pairs, Scored(*power.paper_test()), spread, n)


def _published_pairs(places: list[Place]) -> Iterator[tuple[str, Place, Place]]:
    for name in TABLES:
        here = [place for place in places if place[0] == name]
        rows = list(dict.fromkeys(row for _, row, _ in here))
        for above, row in zip(rows, rows[1:], strict=False):
            yield from ((name, place, (name, above, place[2])) for place in here if place[1] == row)
        if name == "A.IV":
            yield from ((name, p, ("A.III", "random" if p[2] == "all" else "both", p[2])) for p in here)
        if name == "A.VI":
            yield from (("A.VI, online", p, (*p[:2], "none")) for p in here if p[2] != "none")
    for name in CLAIMED:
        columns = [c for c in papers.sizes(name).index if c != "all"]
        for claim in (c for c in CLAIMS[name] if "f1" in c.metrics):
            if name == "A.V" and claim.key == "long_tail":
                continue  # the same runs as both tracks against random in Table III
            for column in {"largest": columns[-1:], "smaller": columns[:-1]}.get(claim.sizes, columns):
                one = (name, claim.one, column)
                yield f"{name}, claims", one, (name, claim.other, claim.against or column)


def spread_table(spreads: Mapping[str, Spread | None], n: int = 1000) -> pd.DataFrame:
    """How far apart the runs of each size lie, and how much of it the test exams and the trainings explain; text.

    The two parts and their sum are simulated, the sum to be held beside what was measured.
    """
    rows = {}
    for column, spread in spreads.items():
        name = column.replace("%", " %")
        if spread is None:
            rows[name] = dict.fromkeys(SPREAD, "–")
            continue
        same, large = (spread.rates, spread.rates, spread), 10**6
        exams = spread.positives, spread.negatives
        alone = power.simulate(*same, *exams, n=n, training=False)
        both = power.simulate(*same, *exams, n=n)
        trained = power.simulate(*same, large, round(large * exams[1] / exams[0]), n=n)
        parts = (found.std() / np.sqrt(2) for found in (both, alone, trained))
        points = [f"{100 * x:.1f}" for x in (spread.rates.f1(*exams), spread.sd, *parts)]
        values = [f"{spread.runs}, {spread.by}", *points, *(f"{r:.2f}" for r in spread.correlation)]
        rows[name] = dict(zip(SPREAD, values, strict=True))
    return pd.DataFrame(rows).T.rename_axis(columns="share of the negatives")


def _points(x: float) -> str:
    return f"{100 * x:.1f}"


def claimed_gains() -> list[float]:
    """The gains in F1 over random selections that the text of Section V-D gives, from the note on Table III.

    >>> claimed_gains()
    [0.029, 0.028, 0.028]
    """
    notes = papers.table("A.III").query("row == 'both' and metric == 'f1' and note != ''")["note"]
    said = notes.iloc[0].split(";")[0]
    return [round(float(x) / 100, 4) for x in re.findall(r"\d+\.\d+", said)]


def spread_sentence(spreads: Mapping[str, Spread | None], n: int = 1000) -> str:
    """What is known of how runs differ, from what, and where the simulation does not give the deviation of F1 measured.

    Choice: it does not where one is more than 1.5 times the other.
    """
    known = [s for s in spreads.values() if s is not None]
    if not known:
        return (
            f"With fewer than {FEWEST} test exams of a class, or fewer than two runs of a size, nothing is known here of how "
            "runs differ: nothing can be said about which differences are chance."
        )
    text = "How trainings differ is measured between the seeds of each row."
    if known[-1].by == "rows":
        text = (
            "With one seed, how trainings differ is measured between the rows of a size, which differ by method too: it is an "
            "upper bound on what the seed does."
        )
    for s in known:
        found = power.simulate(s.rates, s.rates, s, s.positives, s.negatives, n=n).std() / np.sqrt(2)
        if not s.sd / 1.5 <= found <= 1.5 * s.sd:
            text += (
                f" At {column_head(s.column)} the simulation gives a deviation of {_points(found)} points where "
                f"{_points(s.sd)} were measured: its marks there are not to be relied on."
            )
    return text


def smallest_sentence(found: power.Measured) -> str:
    """The smallest difference that the paper's test finds in 80 % of the cases, with one run a row."""
    positives, negatives = power.paper_test()
    at = found.sizes[found.sizes["positives"] == positives].set_index("case")["smallest"]
    start = (
        f"With {positives} positives, {negatives} negatives and one run a row, as in the paper, a test finds"
    )
    unlike = f"{_points(at[UNLIKE])} points"
    if "1 seed" not in at:
        return (
            f"{start} a difference of F1 in 80 % of the cases from {unlike}, if the two classifiers share no mistakes and "
            "every training gives the same classifier; what shared mistakes and other trainings change, these runs cannot say."
        )
    return (
        f"{start} a difference of F1 in 80 % of the cases from {_points(at['1 seed'])} points, if runs differ as they do here: "
        f"from {_points(at[EXAMS])} points were every training to give the same classifier. Two such classifiers that share no "
        f"mistakes need {unlike}."
    )


def needed_sentence(found: power.Measured) -> str:
    """The test positives that the smallest gain in the paper's text needs, by seeds."""
    gain, ratio = min(claimed_gains()), np.divide(*power.paper_test()[::-1])
    lines = {case: part for case, part in found.sizes.groupby("case", sort=False)}
    start = f"A difference of {_points(gain)} points, the smallest gain that the paper's text gives,"
    ratio = f"{ratio:.1f} negatives to each"
    if EXAMS not in lines:
        return (
            f"{start} takes {count(power.needed(lines[UNLIKE], gain))} test positives, {ratio}, where two classifiers share no "
            "mistakes; what trainings do and seeds help is not known here."
        )
    never, enough = {}, []
    for case, part in lines.items():
        exams = power.needed(part, gain)
        if case not in (UNLIKE, EXAMS) and np.isinf(exams):
            never[case] = _points(np.sqrt(power.fit(part)[1]))
        elif case not in (UNLIKE, EXAMS):
            enough.append(f"with {case} it takes {count(exams)}")
    if never:
        least = f"the least that any number finds: {listed(list(never.values()))} points"
        enough.insert(0, f"with {listed(list(never))} no number is enough ({least})")
    alone = count(power.needed(lines[EXAMS], gain))
    return (
        f"{start} takes {alone} test positives, {ratio}, were every training to give the same classifier. As trainings differ "
        f"here, {listed(enough)}."
    )


def count(exams: float) -> str:
    """A number of test positives to two digits.

    >>> count(173.8), count(3399.8), count(4e6), count(np.inf)
    ('about 170', 'about 3,400', 'more than 25,600', 'more than 25,600')
    """
    if exams > power.POSITIVES[-1]:
        return f"more than {power.POSITIVES[-1]:,}"
    return f"about {float(f'{exams:.2g}'):,.0f}"


def marks_sentence(marked: pd.DataFrame, of: str) -> str:
    """How many differences can be told apart. `of`: which they are, in words."""
    if marked.empty:
        return f"There are no {of}."
    counts = marked["mark"].value_counts()
    known = len(marked) - counts.get(UNKNOWN, 0)
    if not known:
        return f"Of {len(marked)} {of} nothing can be said from these runs."
    kinds = [
        (APART, "can be told from chance"),
        (TRAINING, "may be another training"),
        (CHANCE, "may be other test exams"),
    ]
    said = [f"{counts[kind]} {words}" for kind, words in kinds if kind in counts]
    rest = f" Of {len(marked) - known} more nothing can be said." if known < len(marked) else ""
    stray = max(1, round((1 - power.LEVEL) * known))
    return (
        f"Of {known} {of}, {listed(said)}. Without any true difference, about {stray} would be expected to look as if told "
        f"from chance.{rest}"
    )


def published_sentences(marked: pd.DataFrame) -> str:
    """The verdict on the rows of the paper's tables, and on what its claims compare. Of `of_published`."""
    claims = marked["table"].str.endswith("claims")
    return "\n\n".join(
        [
            marks_sentence(marked[~claims], "published differences in Tables III to VII"),
            marks_sentence(
                marked[claims], "differences that the paper's claims about Tables III and V rest on"
            ),
        ]
    )
