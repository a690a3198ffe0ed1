"""What the pictures give away: what a classifier could score with and learn nothing about the disease, in one table."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from covid_study.analysis.leaks.burnt_text import by_class, colour_boxes, text_boxes
from covid_study.analysis.leaks.duplicates import COLUMNS, details, pairs, perceptual_hash
from covid_study.analysis.leaks.headers import WORDS, HeaderTree, header, tree
from covid_study.cohort.file_kinds import is_picture
from covid_study.cohort.slices import in_drawn_order
from covid_study.ct.pictures import read_image
from covid_study.runtime.progress import progress
from covid_study.samples.samples import Samples
from covid_study.scores.resamples import Interval

MOST = 5000  # pictures that are looked at
SMALLEST = 128  # pixels a side of slices that are hashed as the network gets them
NOTHING, FOUND, UNKNOWN = "nothing found", "found", "not known"
CHECKS = {  # what is looked for, what is counted, what it does to a score
    "split": (
        "one picture on both sides of the split",
        "test slices",
        "too good: known by heart; under the other finding too bad",
    ),
    "classes": ("one picture with two findings", "slices", "at least one label of each pair is wrong"),
    "within": (
        "one picture of two patients on one side",
        "slices",
        "they count double, or two names are one patient",
    ),
    "patients": ("patients on both sides of the split", "patients", "too good"),
    "header": (
        "the file alone tells COVID-19",
        "AUC",
        "the classes come from different sources: it may be of the source, not of the disease",
    ),
    "colour": ("marks in colour", "pictures", "a mark may tell the class"),
    "text": (
        "text or marks in grey near the edge",
        "pictures",
        "a mark may tell the class; some may be ribs or vessels",
    ),
}


@dataclass(frozen=True)
class Leaks:
    """What was looked for and what was found.

    `checks`: index as in `CHECKS`; found, of (numbers; of the header its AUC, of nothing), verdict, detail. `pairs`: see
    `duplicates.pairs`. `headers`: index slice_id, the facts of each file, and the boxes of marks and text, as lists; empty
    where the slices are no picture files. `tree`: of the header. `slices`: how many there are, of which so many were looked
    at: `looked_at`.
    """

    checks: pd.DataFrame
    pairs: pd.DataFrame
    headers: pd.DataFrame
    tree: HeaderTree
    slices: int
    looked_at: int

    def table(self) -> pd.DataFrame:
        """The checks for a reader: looked for, found, verdict, detail, what it does to a score."""
        lines = []
        for name, (looked_for, counted, effect) in CHECKS.items():
            found, of, verdict, detail = self.checks.loc[name]
            number = f"AUC {found:.2f}" if name == "header" else f"{found:,.0f} of {of:,.0f} {counted}"
            number = "" if np.isnan(found) else number
            lines.append((looked_for, number, verdict, detail, effect if verdict == FOUND else ""))
        heads = ["looked for", "found", "verdict", "detail", "what it does to a score"]
        return pd.DataFrame(lines, columns=heads)


def find(s: Samples, near: int, seed: int = 0) -> Leaks:
    """Look for duplicates, patients on both sides, headers that tell the class, marks and text (asked for beside Tables 7-9).

    Choice: the files are looked at as they were published, whole. Slices that were cut out of exams have no files of their
    own: they are hashed as the network gets them, and what only a file can give away is not known.

    Choice: of more than 5,000 slices whole patients are drawn until there are so many.

    Args:
        near: bits in which the hashes of near-duplicates may differ. seed: of the interval, the folds and who is drawn.

    Raises:
        ExamError: a picture is no longer there, or damaged now.
    """
    table = s.table if len(s.table) <= MOST else in_drawn_order(s.table, seed).iloc[:MOST]
    pictures = all(is_picture(Path(path)) for path in table["path"])
    if pictures:
        jobs = (delayed(_of_file)(path, name) for name, path in table["path"].items())
        looked = Parallel(n_jobs=-1, backend="threading", return_as="generator")(jobs)
        seen = list(progress(looked, "looking for leaks", len(table)))
        headers = pd.DataFrame([one["facts"] for one in seen], index=table.index)
        headers["marks"], headers["text"] = ([one[name] for one in seen] for name in ("marks", "text"))
        found_tree = tree(headers[list(WORDS)], table, seed)
    else:
        seen = [_of_slice(image) for image in s.of(table.index).cpu().numpy()]
        headers = pd.DataFrame(index=table.index)
        found_tree = HeaderTree(Interval(note="the slices have no picture files of their own"))
    compared = pictures or s.data.shape[-1] >= SMALLEST
    found = pd.DataFrame(columns=list(COLUMNS))
    if compared:
        hashes, fine = (np.array([one[name] for one in seen]) for name in ("hash", "fine"))
        found = pairs(table, hashes, fine, [one["content"] for one in seen], near)
    rows = _of_pairs(found, table, compared) | {
        "patients": _of_patients(s.table),
        "header": _of_tree(found_tree),
        "colour": _of_marks(headers, "marks", table),
        "text": _of_marks(headers, "text", table),
    }
    checks = pd.DataFrame.from_dict(rows, orient="index", columns=["found", "of", "verdict", "detail"])
    return Leaks(checks, found, headers, found_tree, len(s.table), len(table))


def _of_file(path: str, slice_id: str) -> dict:
    grey = read_image(path, slice_id)
    facts, colours, digest = header(path)
    marks = colour_boxes(colours).tolist() if facts["colours"] else []
    return _of_slice(grey, digest) | {"facts": facts, "marks": marks, "text": text_boxes(grey).tolist()}


def _of_slice(image: np.ndarray, file: str = "") -> dict:
    pixels = hashlib.blake2b(repr(image.shape).encode() + image.tobytes()).hexdigest()
    return {"hash": perceptual_hash(image), "fine": details(image), "content": (file, pixels)}


def _of_pairs(found: pd.DataFrame, table: pd.DataFrame, compared: bool) -> dict[str, tuple]:
    """The three checks on pairs: found, of, verdict, detail."""
    if not compared:
        why = f"below {SMALLEST} pixels a side too coarse to tell a duplicate from another chest"
        return dict.fromkeys(("split", "classes", "within"), (np.nan, len(table), UNKNOWN, why))
    tested = table.index[table["split"] == "test"]
    kinds = {
        "split": (found[found["kind"] == "split"], tested),
        "classes": (found[found["classes"].astype(bool)], table.index),
        "within": (found[found["kind"] == "patients"], table.index),
    }
    rows = {}
    for name, (of_kind, among) in kinds.items():
        members = set(among) & ({*of_kind["first"]} | {*of_kind["second"]})
        same, other = int((of_kind["same"] != "").sum()), int(of_kind["classes"].astype(bool).sum())
        detail = f"pairs: {len(of_kind)}; alike to the last pixel: {same}; of two findings: {other}"
        rows[name] = _row(len(members), len(among), detail)
    return rows


def _of_patients(table: pd.DataFrame) -> tuple:
    patients = table["patient_id"].nunique()
    if patients == len(table) and (table["patient_id"] == table.index).all():
        return np.nan, 0, UNKNOWN, "who the patients are is not known"
    return _row(int((table.groupby("patient_id")["split"].nunique() > 1).sum()), patients, "")


def _of_tree(found: HeaderTree) -> tuple:
    auc = found.auc
    if not found.rules or np.isnan(auc.low):
        return auc.value, np.nan, UNKNOWN, auc.note or "too few patients for an interval"
    best = found.alone.iloc[0]
    detail = (
        f"95 % interval {auc.low:.2f} to {auc.high:.2f}; most by {WORDS[best['fact']]} ({best['auc']:.2f})"
    )
    return auc.value, np.nan, FOUND if auc.low > 0.5 else NOTHING, detail


def _of_marks(headers: pd.DataFrame, name: str, table: pd.DataFrame) -> tuple:
    if headers.empty:
        return np.nan, len(table), UNKNOWN, "slices cut out of exams are not searched for drawings"
    has = (headers[name].map(len) > 0).to_numpy()
    covid, rest, p = by_class(has, table["finding"] == "covid", table["patient_id"])
    detail = f"patients with COVID-19: {100 * covid:.0f} %; others: {100 * rest:.0f} %; p {p:.3g}"
    return _row(int(has.sum()), len(has), detail)


def _row(count: int, of: int, detail: str) -> tuple:
    return count, of, FOUND if count else NOTHING, detail if count else ""
