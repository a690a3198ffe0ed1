"""What notebook 07 shows beside Table VI: what each strategy trains on, what it costs, and how sure the paper can be."""

import pandas as pd
from IPython.display import HTML

from covid_study.report import show
from covid_study.report.verdicts import listed, percent
from covid_study.scores import published as papers
from covid_study.tables.ablation_report import claims_table, in_points

WORDS = {"none": "no strategy", "oversampling": "oversampling", "ohem": "OHEM", "focal": "focal loss"}
INDEX = ["trained on", "strategy"]


def exposure_table(exposure: pd.DataFrame) -> pd.DataFrame:
    """`a6_online.exposure` for a reader, beside how much longer an epoch is by the paper's own counts."""
    theirs = exposure.apply(_papers_epoch, axis=1)
    line = exposure["line"].map(lambda x: "none of its own" if pd.isna(x) else percent(x))
    return (
        pd.DataFrame(
            {
                "trained on": exposure["row"].map(_head),
                "strategy": exposure["column"].map(WORDS),
                "negatives": exposure["negatives"],
                "positives": exposure["positives"],
                "exams an epoch": exposure["exams"],
                "times as long": exposure["longer"].map(_two),
                "times as long in the paper": theirs.map(_two),
                "positive in an epoch": exposure["positive"].map(percent),
                "says COVID-19 above": line,
            }
        )
        .set_index(INDEX)
        .rename_axis([None, None])
    )  # names would take a line of their own


def _papers_epoch(line: pd.Series) -> float:
    """An epoch of the paper against one without a strategy, from its counts of exams."""
    negatives = papers.sizes("A.III").get(line["row"])
    if negatives is None or line["column"] != "oversampling":
        return 1.0 if negatives is not None else float("nan")
    counts = papers.table("A.II").set_index(["row", "column"])["value"]
    positives = counts["positive", "train"]
    return 2 * max(negatives, positives) / (negatives + positives)


def relative(spent: pd.DataFrame) -> pd.DataFrame:
    """How many times the cost of no strategy on the same exams each strategy costs, the classifier alone; and in the paper.

    spent: what `cost.costs` returns for Table VI.

    Returns:
        row, column, seconds, exams, hours (the paper's): each 1 without a strategy.
    """
    paper = papers.table("A.VI").query("metric == 'hours'").set_index(["row", "column"])["value"]
    hours = paper.reindex(pd.MultiIndex.from_frame(spent[["row", "column"]])).to_numpy()
    frame = spent[["row", "column"]].assign(
        seconds=spent["compute_seconds"], exams=spent["exams_seen"], hours=hours
    )
    plain = frame[frame["column"] == "none"].set_index("row")
    for name in ("seconds", "exams", "hours"):
        frame[name] = frame[name] / frame["row"].map(plain[name])
    return frame


def relative_table(times: pd.DataFrame) -> pd.DataFrame:
    """`relative` for a reader."""
    heads = {"exams": "exams seen", "seconds": "classifier's time", "hours": "training period in the paper"}
    shown = {head: times[name].map(_two) for name, head in heads.items()}
    rows = {"trained on": times["row"].map(_head), "strategy": times["column"].map(WORDS)}
    return pd.DataFrame(rows | shown).set_index(INDEX).rename_axis([None, None])


def _head(row: str) -> str:
    return show.column_head(row).replace(" ", "\N{NO-BREAK SPACE}")


def _two(x: float) -> str:
    return "–" if pd.isna(x) else f"{x:.2f}"


def apart(spent: pd.DataFrame) -> pd.DataFrame:
    """The two rows of Table VI as tables of their own, so that `cost.pareto` gives each a colour."""
    return spent.assign(table="A.VI, " + spent["row"].map(show.column_head))


def costs_sentence(times: pd.DataFrame) -> str:
    """Does oversampling pay with a longer training, and are OHEM and focal loss free (paper A, V-F)? Of `relative`."""
    by = {strategy: part for strategy, part in times.groupby("column", sort=False) if strategy != "none"}
    if (by["oversampling"]["exams"] > 1).all():
        start = "Oversampling sees more exams than the other strategies, as in the paper"
    else:
        start = "Oversampling does not see more exams everywhere here, where positives are less rare"
    said = [
        f"{WORDS[strategy]} {_range(part['exams'])} times the exams in {_range(part['seconds'])} times the time"
        for strategy, part in by.items()
    ]
    paper = [
        f"{WORDS[strategy]} {_range(part['hours'])} times"
        for strategy, part in by.items()
        if part["hours"].notna().all()
    ]
    theirs = f" In the paper: {listed(paper)} the period without a strategy." if paper else ""
    return f"{start}. Against no strategy on the same exams: {listed(said)}.{theirs}"


def _range(values: pd.Series) -> str:
    ends = list(dict.fromkeys(f"{x:.2f}" for x in (values.min(), values.max())))
    return " to ".join(ends)


def paper_uncertainty() -> str:
    """How wide the paper's own F1 would have been under each strategy, beside the gains that it reports."""
    found = papers.intervals("A.VI").query("metric == 'f1'")
    value = papers.table("A.VI").query("metric == 'f1'").set_index(["row", "column"])["value"]
    strategies = [s for s in WORDS if s != "none"]
    gain = [value[row, s] - value[row, "none"] for row in ("all", "56%") for s in strategies]
    width = (found["high"] - found["low"]) / 2
    return (
        f"The paper gives no intervals. Its {papers.TEST_POSITIVES['A']} positive test exams leave each F1 score of the table "
        f"uncertain by {in_points(width.min(), sign=False)} to {in_points(width.max(), sign=False)} points either way; the "
        f"gains over no strategy that it reports are {in_points(min(gain), sign=False)} to "
        f"{in_points(max(gain), sign=False)} points. Both classifiers of a comparison met the same exams, so that a "
        "difference is surer than the two scores, but by how much cannot be known from the printed numbers."
    )


def counts_note(exposure: pd.DataFrame) -> str:
    """How many negatives and positives stand behind the two rows of the table here."""
    rows = exposure.drop_duplicates("row")
    said = [f"{show.column_head(r.row)} is {_counted(r.negatives, 'negative')}" for r in rows.itertuples()]
    return f"Here {listed(said)}, beside {_counted(rows['positives'].iloc[0], 'positive')}."


def _counted(n: int, of: str) -> str:
    return f"{n:,} {of}{'' if n == 1 else 's'}"


def moves_table(moved: pd.DataFrame) -> HTML:
    """`online_claims.moves` for a reader, also where nothing is expected."""
    if moved.empty:
        return HTML(
            "<p>No strategy moves the line the same way on both training sets: nothing is expected.</p>"
        )
    title = "Do precision and recall move as the line of each strategy says?"
    return claims_table(moved, title, over="both")
