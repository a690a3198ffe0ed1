"""Every table of a page in one look (pandas Styler), and the table of the verdicts."""

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from covid_study.report.references import references
from covid_study.report.words import metric_head, value_text
from covid_study.scores import claims

RULE = (
    "holds: the 95 % interval over patients and seeds lies above zero (an AUC's above one half, a ratio's above 1). fails: it "
    f"lies below. no effect: it holds zero and lies within {100 * claims.MARGIN:.0f} points of it. open: all else, and what "
    f"rests on fewer than {claims.SEEDS} seeds or {claims.PATIENTS} patients of a class. Counts are decided by counting. "
    "After Holm: what is left of it by Holm's correction over the paper's claims, where that is less."
)
# the colours have names in `templates/style.css`, where they follow the reader's light or dark; a notebook has them as here
LOOK = {
    "": "border-collapse: collapse; font-size: 12.5px; line-height: 1.3; font-variant-numeric: tabular-nums; margin: 0 0 1em; "
    "border-bottom: 1.5px solid",
    "caption": "caption-side: top; text-align: left; white-space: pre-line; padding: 0 0 .5em; color: inherit",
    "caption::first-line": "font-weight: 600",
    "th": "border: 0; padding: 2px 8px; vertical-align: top; text-align: left; background: none",
    "td": "border: 0; padding: 2px 8px; vertical-align: top; text-align: right; background: none",
    "thead th": "border: 0; text-align: center; font-weight: 600",
    "thead th.blank": "border: 0",
    "thead tr:first-child th": "border-top: 1.5px solid currentColor",
    "thead tr:last-child th": "border-bottom: 1px solid currentColor",
    "tbody tr": "background: none",
    "tbody th": "font-weight: 600; max-width: 16em",
    "tbody th.level1": "font-weight: 400; font-size: 10.5px; white-space: nowrap; opacity: .68",
    ".top": "border-top: 1px solid rgba(128,128,128,.28)",
    ".ours": "font-weight: 600",
    ".words": "text-align: left; white-space: normal; min-width: 12em; max-width: 30em",
    ".short": "white-space: nowrap",
    ".left": "text-align: left",
    ".narrow": "text-align: left; min-width: 0",
    ".between": "font-size: 10.5px; opacity: .68; white-space: nowrap",
    ".paper": "color: var(--theirs, #0072b2); white-space: nowrap",
    ".holds": "color: var(--holds, #00704f); font-weight: 600",
    ".fails": "color: var(--fails, #b34700); font-weight: 600",
    ".no-effect": "color: var(--no-effect, #0072b2); font-weight: 600",
    ".open": "opacity: .68",
}


def table(
    frame: pd.DataFrame, title: str = "", notes: Sequence[str] = (), *, index: bool = True, **form
) -> Styler:
    """Any frame in the look of the study, its text escaped: opens offline, prints in black and white.

    Args:
        frame: as it is to be read; its index and columns may have levels. Numbers have the digits that `form` says.
        title: the first line of the caption. notes: the lines after it.
        index: whether to show it. form: of `Styler.format`, e.g. formatter, or precision (3 unless given).

    >>> shown = table(pd.DataFrame({"AUC": [0.613, None]}, index=["a", "<b>"]), "Probes", precision=2)
    >>> [text in shown.to_html() for text in (">0.61<", ">–<", "&lt;b&gt;", ">Probes<")]
    [True, True, True, True]
    """
    # a line a seed: pandas gives classes only to lines that have a name of their own
    if not frame.index.is_unique:
        frame, index = frame.reset_index(drop=not index), False
    styler = frame.rename_axis(index=_escaped(frame.index), columns=_escaped(frame.columns)).style
    styler = styler.format(**{"na_rep": "–", "escape": "html", "thousands": ",", "precision": 3, **form})
    styler = styler.format_index(escape="html").format_index(escape="html", axis="columns")
    styler = styler.set_table_styles([{"selector": where, "props": props} for where, props in LOOK.items()])
    styler = styler.set_table_attributes('class="tex2jax_ignore mathjax_ignore"')  # in Jupyter a $ stays a $
    if title or notes:
        styler = styler.set_caption(escape("\n".join(filter(None, [title, *notes])), quote=False))
    kinds = [[_kind(column) for _, column in frame.items()]] * len(frame)
    styler = styler.set_td_classes(pd.DataFrame(kinds, index=frame.index, columns=frame.columns))
    return styler if index else styler.hide(axis="index")


def _kind(column: pd.Series) -> str:
    """The classes of a column's cells: by how long its texts are, and whether they are words."""
    texts = [text for text in column if isinstance(text, str)]
    longest = max(map(len, texts), default=0)
    if longest > 24:
        return "words"
    named = bool(texts) and all(text[:1].isalpha() for text in texts)
    return " ".join(filter(None, ["short" if longest < 9 else "", "left" if named else ""]))


def _escaped(axis: pd.Index) -> list[str | None]:
    """The names of an axis, which `Styler.format_index` leaves as they are."""
    return [None if name is None else escape(str(name)) for name in axis.names]


NARROW = [{"selector": "td, th", "props": "padding: 2px 5px"}]  # of thirteen columns


def brier(found: pd.DataFrame) -> Styler:
    """The Brier score of each classifier with its interval, and what to compare it with. found: of `calibration.brier`."""
    lines = found.to_dict("records")
    shown = pd.DataFrame(
        {
            "Brier score": [f"{line['brier']:.3f}" for line in lines],
            "95 %": [_ends(line) for line in lines],
            "of a constant": found["of_the_share"].to_numpy(),
            "mean probability": found["said"].to_numpy(),
            "share of COVID-19": found["share"].to_numpy(),
            "trainings": found["seeds"].to_numpy(),
        },
        index=list(found["label"]),
    )
    return table(shown, "Brier score of COVID-19 against the rest")


def _ends(line: Mapping) -> str:
    return "" if pd.isna(line["low"]) else f"{line['low']:.3f} to {line['high']:.3f}"


def claims_table(decided: pd.DataFrame, title: str = "", notes: Sequence[str] = ()) -> Styler:
    """A line a claim: what the paper says and by how much, the difference here, the verdict, and what would close an open one.

    Beside them what Holm's correction leaves of a verdict, where that is less, and the verdicts of the runs that are kept as
    references, where they are by the same score.

    decided: of `scores.claims.decide`. Differences are in percentage points, ratios and counts as they are.
    """
    lines, own = decided.to_dict("records"), {key: claim.score for key, claim in claims.read().items()}
    said = list(map(in_words, lines))
    shown = pd.DataFrame(
        {
            "claim": [line["text"] for line in lines],
            "in": [f"{line['table']}, {line['place']}" for line in lines],
            "by": [one["by"] for one in said],
            "paper": [one["theirs"] for one in said],
            "here": [one["here"] for one in said],
            "95 %": [one["between"] for one in said],
            "seeds": [line["seeds"] for line in lines],
            "patients": [line["fewest"] for line in lines],
            "verdict": [line["verdict"] for line in lines],
            "after Holm": [line["adjusted"] if line["adjusted"] != line["verdict"] else "" for line in lines],
            "by AUC": [one["auc_said"] for one in said],
            "to close it": [line["needs"] or "" for line in lines],
        }
    )
    if not shown["after Holm"].any():
        shown = shown.drop(columns="after Holm")
    for name, kept in references().items():
        texts = [kept.get(line["key"], "") if own.get(line["key"]) == line["score"] else "" for line in lines]
        if any(texts):
            shown.insert(shown.columns.get_loc("verdict") + 1, f"in {name}", texts)
    classes = pd.DataFrame("", index=shown.index, columns=shown.columns)
    classes[["by", "by AUC", "to close it"]], classes["paper"], classes["95 %"] = "narrow", "paper", "between"
    classes["verdict"] = shown["verdict"].astype(str).str.replace(" ", "-")  # an empty table has no text
    styler = table(shown, title, notes, index=False).set_td_classes(classes)
    return styler.set_table_styles(NARROW, overwrite=False)


def in_words(line: Mapping) -> dict[str, str]:
    """A claim's score and numbers as a reader wants them: by, here, theirs (the paper's), between, auc_here, auc_said."""
    auc = auc_text(line)
    return {
        "by": metric_head(line["score"]),
        "here": amount_text(line, "difference"),
        "theirs": amount_text(line, "published"),
        "between": between_text(line),
        "auc_here": auc,
        "auc_said": f"{line['by_auc']}, {auc}" if auc else "",
    }


def between_text(line: Mapping) -> str:
    """The ends of a claim's interval."""
    return " to ".join(filter(None, [amount_text(line, "low"), amount_text(line, "high")]))


def auc_text(line: Mapping) -> str:
    """AUC's difference between a claim's cells with its interval; nothing where it says nothing of the claim.

    >>> auc_text({"score": "f1", "kind": "difference", "auc": 0.01, "auc_low": -0.01, "auc_high": 0.02})
    '+1.0 (-1.0 to +2.0)'
    """
    here, low, high = (amount_text(line, of) for of in ("auc", "auc_low", "auc_high"))
    return f"{here} ({low} to {high})" if here else ""


def amount_text(line: Mapping, of: str) -> str:
    """A difference in points with its sign, an AUC, a ratio or a count as it is; nothing where it is not known.

    >>> kinds = {"difference": -0.042, "auc": 0.1, "ratio": 2.0}  # an AUC is compared with one half
    >>> [amount_text({"score": "f1", "kind": kind, "x": x}, "x") for kind, x in kinds.items()]
    ['-4.2', '0.60', '2.00 ×']
    """
    value = line.get(of, np.nan)
    if pd.isna(value):
        return ""
    if line["kind"] == "count":
        return value_text(line["score"], value)
    if line["kind"] in ("auc", "ratio"):
        return f"{0.5 + value:.2f}" if line["kind"] == "auc" else f"{value:.2f} ×"
    return points(value)


def points(difference: float) -> str:
    """A difference of fractions in percentage points, with its sign.

    >>> points(0.0421), points(-1e-4), points(float("nan"))
    ('+4.2', '0.0', '')
    """
    text = "" if pd.isna(difference) else f"{100 * difference:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text
