"""What a notebook says to the index page: its headline, its cohort, the exams that were left out, a word of caution.

Each function shows something in the notebook and leaves the same as data in the notebook's outputs, under a media
type of its own, where `read` finds it once the notebook has run.
"""

from __future__ import annotations

import base64
import html
import io
import os
import platform
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

HEADLINE = "application/vnd.covid-study.headline+json"
COHORT = "application/vnd.covid-study.cohort+json"
LEFT_OUT = "application/vnd.covid-study.left-out+json"
CAUTION = "application/vnd.covid-study.caution+json"
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
    finding test
    cap     2 exams, 1 patient
    """
    splits = [s for s in ("train", "validation", "test", "") if (exams["split"] == s).any()]
    rows = []
    for finding in dict.fromkeys(exams["finding"]):
        cells = [exams[(exams["finding"] == finding) & (exams["split"] == split)] for split in splits]
        counts = [f"{_count(len(c), 'exam')}, {_count(c['patient_id'].nunique(), 'patient')}" for c in cells]
        rows.append([str(finding), *counts])
    columns = ["finding", *(s or "no split" for s in splits)]
    widths = [max(len(r[i]) for r in [columns, *rows]) for i in range(len(columns))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in [columns, *rows]]
    _show(COHORT, {"columns": columns, "rows": rows}, _table(columns, rows), "\n".join(lines))


def left_out(exams: pd.DataFrame) -> None:
    """Show the exams that could not be used (columns exam_id, problem, remedy); the index repeats the list.

    >>> import pandas as pd
    >>> left_out(pd.DataFrame(columns=["exam_id", "problem", "remedy"]))
    No exam was left out.
    """
    keys = ("exam_id", "problem", "remedy")
    rows = [{k: str(row.get(k, "")) for k in keys} for row in exams.to_dict("records")]
    if not rows:
        _show(LEFT_OUT, rows, "<p>No exam was left out.</p>", "No exam was left out.")
        return
    text = "\n".join(f"{r['exam_id']}: {r['problem']}. What to do: {r['remedy']}." for r in rows)
    _show(LEFT_OUT, rows, _table(["exam", "why", "what to do"], [list(r.values()) for r in rows]), text)


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
    text = (
        f"With {_count(training, 'exam')} for training and {_count(positives, 'COVID-19 exam')} to test on, "
        "this run shows that every step works; it proves nothing about accuracy."
    )
    _show(CAUTION, {"text": text}, f'<p class="state"><b>{html.escape(text)}</b></p>', text)


def read(notebook: Mapping[str, Any]) -> dict[str, Any]:
    """What an executed notebook (its JSON) said: headline, cohort and left_out, each the last one or None.

    A caution is added to the text of the headline.
    """
    said: dict[str, Any] = {"headline": None, "cohort": None, "left_out": None}
    kinds = {HEADLINE: "headline", COHORT: "cohort", LEFT_OUT: "left_out", CAUTION: "caution"}
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            said.update(
                {kinds[kind]: value for kind, value in output.get("data", {}).items() if kind in kinds}
            )
    warned = said.pop("caution", None)
    if warned and said["headline"]:
        said["headline"] = {**said["headline"], "text": f"{said['headline']['text']} {warned['text']}"}
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
    return f"{name}, {_count(cores or 1, 'core')}"


def _count(number: int, of: str) -> str:
    return f"{number} {of}{'' if number == 1 else 's'}"


def _table(columns: list[str], rows: list[list[str]]) -> str:
    def line(values: list[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(v)}</{tag}>" for v in values) + "</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f'<table class="plain"><thead>{line(columns, "th")}</thead><tbody>{body}</tbody></table>'


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
