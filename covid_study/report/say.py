"""What a notebook says to the index page: its headline, its cohort, the exams that were left out, a word of caution.

Each function shows something in the notebook and leaves the same as data in the notebook's outputs, under a media
type of its own, where `read` finds it once the notebook has run.
"""

from __future__ import annotations

import base64
import html
import io
import json
import os
import platform
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covid_study.report.words import counted, metric_head

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

HEADLINE = "application/vnd.covid-study.headline+json"
COHORT = "application/vnd.covid-study.cohort+json"
LEFT_OUT = "application/vnd.covid-study.left-out+json"
NOTE = "application/vnd.covid-study.note+json"
CAUTION = "application/vnd.covid-study.caution+json"
CLAIMS = "application/vnd.covid-study.claims+json"
FIGURE = "application/vnd.covid-study.figure+json"  # of figures.output
FEW_TRAINING, FEW_POSITIVES = 30, 10  # fewer exams for training, or fewer positives to test on, prove nothing
THUMBNAIL_WIDTH = 640  # pixels, twice what the index shows


def headline(text: str, figure: Figure | None = None) -> None:
    """Say the notebook's result in one sentence; the index page repeats it.

    Args:
        text: one sentence, plain text, its numbers taken from the results.
        figure: a Matplotlib figure that the index shows small; it is not shown here once more.

    >>> headline("Difficulty puts CAP before non-pneumonia with an AUC of 0.64.")
    Difficulty puts CAP before non-pneumonia with an AUC of 0.64.
    """
    data = {"text": text, "figure": None if figure is None else _thumbnail(figure), "device": device_used()}
    _show(HEADLINE, data, f'<p class="headline">{html.escape(text)}</p>', text)


def cohort(exams: pd.DataFrame) -> None:
    """Show how many exams and patients of each finding are in each split of an exam table; the index repeats it.

    >>> import pandas as pd
    >>> cohort(pd.DataFrame({"exam_id": list("ab"), "patient_id": list("pp"), "finding": "cap", "split": "test"}))
    finding               test
        cap 2 exams, 1 patient
    """
    splits = [s for s in ("train", "validation", "test", "") if (exams["split"] == s).any()]
    of = exams.groupby(["finding", "split"])
    number, patients = of.size(), of["patient_id"].nunique()
    columns = ["finding", *(s or "no split" for s in splits)]
    rows = [
        [str(finding), *(f"{counted(number.get((finding, s), 0), 'exam')}, {counted(patients.get((finding, s), 0), 'patient')}"
                         for s in splits)]
        for finding in dict.fromkeys(exams["finding"])
    ]  # fmt: skip
    _show(COHORT, {"columns": columns, "rows": rows}, *_table(columns, rows))


def left_out(exams: pd.DataFrame) -> None:
    """Show the exams that could not be used (columns name, problem, remedy); the index repeats the list.

    >>> import pandas as pd
    >>> left_out(pd.DataFrame(columns=["name", "problem", "remedy"]))
    No exam was left out.
    """
    keys = {"exam_id": "name", "problem": "problem", "remedy": "remedy"}
    rows = [{k: str(row.get(column, "")) for k, column in keys.items()} for row in exams.to_dict("records")]
    if not rows:
        _show(LEFT_OUT, rows, "<p>No exam was left out.</p>", "No exam was left out.")
        return
    _show(LEFT_OUT, rows, *_table(["exam", "why", "what to do"], [list(row.values()) for row in rows]))


def notes(texts: Iterable[str]) -> None:
    """Show what a reader of the scores must know of a cohort or of pictures, a paragraph a note, as plain text.

    >>> notes(["Of 9 pictures 2 are not there: <a>.png, b.png."])
    Of 9 pictures 2 are not there: <a>.png, b.png.
    """
    for text in texts:
        _show(NOTE, {"text": text}, f'<p class="note">{html.escape(text)}</p>', text)


def caution(exams: pd.DataFrame) -> None:
    """Say in plain words that a small cohort proves nothing about accuracy; the index says so after the headline.

    Shows nothing where there are 30 exams for training or more, and 10 positives or more in the test split.

    Args:
        exams: the exam table, with finding and split.

    >>> import pandas as pd
    >>> caution(pd.DataFrame({"finding": ["covid", "cap", "covid"], "split": ["train", "train", "test"]}))
    With 2 exams for training and 1 COVID-19 exam to test on, this run shows that every step works; it proves nothing about
    accuracy.
    """
    training = int((exams["split"] == "train").sum())
    positives = int(((exams["split"] == "test") & (exams["finding"] == "covid")).sum())
    if training >= FEW_TRAINING and positives >= FEW_POSITIVES:
        return
    _warn(
        f"With {counted(training, 'exam')} for training and {counted(positives, 'COVID-19 exam')} to test on, "
        "this run shows that every step works; it proves nothing about accuracy."
    )


def gates(found: pd.DataFrame) -> None:
    """Show what a table's baseline must score to mean anything; one that does not is said aloud, here and on the index.

    Args:
        found: of `slice_rows.gates`.

    >>> import pandas as pd
    >>> columns = ["gate", "score", "low", "high", "found", "passed"]
    >>> gates(pd.DataFrame([("baseline", "acc", 0.7, 1, 0.58, False)], columns=columns))
    The comparison means nothing here: ACC of the baseline is 58.0, not 70 to 100.
    >>> gates(pd.DataFrame([("baseline", "acc", 0.7, 1, 0.75, True)], columns=columns))
    Gates passed: ACC of the baseline is 75.0, of 70 to 100.
    """
    said = {
        passed: [
            f"{metric_head(r.score)} of the {r.gate} is {100 * r.found:.1f}, {asked} {100 * r.low:g} to {100 * r.high:g}"
            for r in found[found["passed"] == passed].itertuples()
        ]
        for passed, asked in ((True, "of"), (False, "not"))
    }
    if said[False]:
        _warn(f"The comparison means nothing here: {'; '.join(said[False])}.")
    else:
        notes([f"Gates passed: {'; '.join(said[True])}."])


def claims(decided: pd.DataFrame, title: str = "") -> None:
    """Show what became of the claims about a table; the scoreboard of the index repeats them, each with a link to here.

    decided: of `scores.claims.decide`.
    """
    from covid_study.report import show  # takes pandas, which the commands of the study do without

    lines = [line | show.in_words(line) for line in json.loads(decided.to_json(orient="records"))]
    links = "".join(f'<a id="claim-{html.escape(line["key"])}"></a>' for line in lines)
    text = decided[["key", "verdict"]].to_string(index=False)
    _show(CLAIMS, lines, links + show.claims_table(decided, title, [show.RULE]).to_html(), text)


def _warn(text: str) -> None:
    """A caution, here and after the headline on the index."""
    _show(CAUTION, {"text": text}, f'<p class="state"><b>{html.escape(text)}</b></p>', text)


def read(notebook: Mapping[str, Any]) -> dict[str, Any]:
    """What an executed notebook (its JSON) said: headline, cohort and left_out, each the last one or None; all its
    claims; what it warned of.

    Cautions are added to the text of the headline.
    """
    said: dict[str, Any] = {"headline": None, "cohort": None, "left_out": None}
    kinds = {HEADLINE: "headline", COHORT: "cohort", LEFT_OUT: "left_out"}
    found = [output.get("data", {}) for cell in notebook["cells"] for output in cell.get("outputs", [])]
    for data in found:
        said.update({kinds[kind]: value for kind, value in data.items() if kind in kinds})
    said["claims"] = [line for data in found for line in data.get(CLAIMS, [])]
    said["warned"] = " ".join(data[CAUTION]["text"] for data in found if CAUTION in data)
    if said["headline"]:
        text = f"{said['headline']['text']} {said['warned']}".rstrip()
        said["headline"] = {**said["headline"], "text": text}
    return said


def device_used() -> str:
    """The GPU, where this process has used one; the CPU otherwise. Imports nothing to find out."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        return torch.cuda.get_device_name()
    return cpu()


def cpu() -> str:
    """The processor's name and the cores that may be used."""
    name = platform.processor() or platform.machine()
    try:
        found = re.search(
            r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE
        )
        name = found.group(1).strip() if found else name
    except OSError:  # not Linux
        pass
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name}, {counted(cores or 1, 'core')}"


def _table(columns: list[str], rows: list[list[str]]) -> tuple[str, str]:
    """Rows of text as HTML and as lines."""
    import pandas as pd

    from covid_study.report import show  # takes pandas, which the commands of the study do without

    frame = pd.DataFrame(rows, columns=columns)
    return show.table(frame, index=False).to_html(), frame.to_string(index=False)


def _thumbnail(figure: Figure) -> str:
    buffer = io.BytesIO()
    dpi = THUMBNAIL_WIDTH / figure.get_size_inches()[0]
    figure.savefig(buffer, format="png", dpi=dpi, bbox_inches="tight", facecolor="white")
    return base64.b64encode(buffer.getvalue()).decode()


def _show(kind: str, data: Any, as_html: str, as_text: str) -> None:
    if "IPython" in sys.modules:
        from IPython import get_ipython
        from IPython.display import display

        if get_ipython() is not None:
            display({kind: data, "text/html": as_html, "text/plain": as_text}, raw=True)
            return
    print(as_text)
