"""What the pictures give away: what a classifier could score with and learn nothing about the disease."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import HTML
from joblib import Parallel, delayed

from covid_study.analysis.leaks.burnt_text import by_class, colour_boxes, text_boxes
from covid_study.analysis.leaks.duplicates import COLUMNS, details, pairs, perceptual_hash
from covid_study.analysis.leaks.headers import WORDS, HeaderTree, header, tree
from covid_study.cohort.file_kinds import PICTURE_SUFFIXES as SUFFIXES
from covid_study.cohort.slices import in_drawn_order
from covid_study.ct.pictures import read_image
from covid_study.report import show
from covid_study.runtime.progress import progress
from covid_study.samples.samples import Samples
from covid_study.scores.resamples import Interval

MOST = 5000  # pictures that are looked at
SMALLEST = 128  # pixels a side of slices that are hashed as the network gets them
NOTHING, FOUND, UNKNOWN = "nothing found", "found", "not known"
CHECKS = {
    "split": "one picture on both sides of the split",
    "classes": "one picture with two findings",
    "within": "one picture of two patients on one side",
    "patients": "patients on both sides of the split",
    "header": "the file alone tells COVID-19",
    "colour": "marks in colour",
    "text": "text or marks in grey near the edge",
}
SHORT = {
    "split": "test slices have a near-duplicate in training",
    "classes": "slices are one picture with a slice of another finding",
    "within": "slices are one picture with a slice of another patient of their side",
    "patients": "patients are on both sides of the split",
    "header": "for COVID-19 from the file alone, whatever the picture shows",
    "colour": "pictures have marks in colour",
    "text": "pictures have text or marks near the edge",
}
CLEAN = "Of what was looked for, nothing was found that would make scores too good."


@dataclass(frozen=True)
class Leaks:
    """What was looked for and what was found.

    `checks`: index as in `CHECKS`; check, found, of (numbers; of the header the AUC, of nothing), verdict, sentence.
    `pairs`: see `duplicates.pairs`. `headers`: index slice_id, the facts of each file, and the boxes of marks and text, as
    lists; empty where the slices are no picture files. `tree`: of the header. `notes`: what was not looked at.
    """

    checks: pd.DataFrame
    pairs: pd.DataFrame
    headers: pd.DataFrame
    tree: HeaderTree
    notes: tuple[str, ...] = field(default=())

    def sentence(self) -> str:
        """What a reader of a score must know, in two or three sentences."""
        verdicts = self.checks["verdict"]
        found = [f"{self.number(name)} {SHORT[name]}" for name in CHECKS if verdicts[name] == FOUND]
        open_ = [CHECKS[name] for name in CHECKS if verdicts[name] == UNKNOWN]
        said = [f"To be known with a score: {'; '.join(found)}." if found else CLEAN]
        if verdicts["header"] == FOUND:
            said.append(
                "The classes come from different sources: a score may be of the source, not of the disease."
            )
        if open_:
            said.append(f"Not known: {', '.join(open_)}.")
        return " ".join([*said, *self.notes])

    def number(self, name: str) -> str:
        """What a check found, of how many: "2 of 203", "AUC 0.99"."""
        row = self.checks.loc[name]
        return f"AUC {row['found']:.2f}" if name == "header" else f"{row['found']:,.0f} of {row['of']:,.0f}"


def report(s: Samples, near: int, seed: int = 0) -> Leaks:
    """Look for duplicates, patients on both sides, headers that tell the class, marks and text (asked for beside Tables 7-9).

    Choice: the files are looked at as they were published, whole. Slices that were cut out of exams have no files of their
    own: they are hashed as the network gets them, and what only a file can give away is not known.

    Choice: of more than 5,000 slices whole patients are drawn until there are so many, and a note says so.

    Args:
        near: bits in which the hashes of near-duplicates may differ. seed: of the interval, the folds and who is drawn.

    Raises:
        ExamError: a picture is no longer there, or damaged now.
    """
    table, notes = _drawn(s.table, seed)
    pictures = all(Path(path).suffix.lower() in SUFFIXES for path in table["path"])
    if pictures:
        jobs = (delayed(_of_file)(path, name) for name, path in table["path"].items())
        looked = Parallel(n_jobs=-1, backend="threading", return_as="generator")(jobs)
        seen = list(progress(looked, "looking for leaks", len(table)))
        headers = pd.DataFrame([one["facts"] for one in seen], index=table.index)
        headers["marks"], headers["text"] = ([one[name] for one in seen] for name in ("marks", "text"))
        found_tree = tree(headers[list(WORDS)], table, seed)
    else:
        images = s.of(table.index).cpu().numpy()
        seen = [_of_slice(image) for image in images]
        headers = pd.DataFrame(index=table.index)
        nothing = Interval(np.nan, np.nan, np.nan, "the slices have no picture files of their own")
        found_tree = HeaderTree(nothing)
    compared = pictures or s.data.shape[-1] >= SMALLEST
    if compared:
        hashes, fine = (np.array([one[name] for one in seen]) for name in ("hash", "fine"))
        found = pairs(table, hashes, fine, [one["content"] for one in seen], near)
    else:
        found = pd.DataFrame(columns=list(COLUMNS))
    rows = {
        **_of_pairs(found, table, compared),
        "patients": _of_patients(s.table),
        "header": _of_tree(found_tree),
        **{name: _of_marks(name, headers, table) for name in ("colour", "text")},
    }
    checks = pd.DataFrame.from_dict(rows, orient="index", columns=["found", "of", "verdict", "sentence"])
    checks.insert(0, "check", checks.index.map(CHECKS))
    return Leaks(checks.loc[list(CHECKS)], found, headers, found_tree, tuple(notes))


def _drawn(table: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, list[str]]:
    if len(table) <= MOST:
        return table, []
    return in_drawn_order(table, seed).iloc[:MOST], [
        f"Of {len(table):,} slices {MOST:,} were looked at, drawn by patient: there may be more duplicates than were found."
    ]


def _of_file(path: str, slice_id: str) -> dict:
    grey = read_image(path, slice_id)
    facts, colours, digest = header(path)
    content = (digest, _digest(grey))
    marks = colour_boxes(colours) if facts["colours"] else np.zeros((0, 4), int)
    found = {"facts": facts, "marks": marks.tolist(), "text": text_boxes(grey).tolist()}
    return found | {"hash": perceptual_hash(grey), "fine": details(grey), "content": content}


def _of_slice(image: np.ndarray) -> dict:
    return {"hash": perceptual_hash(image), "fine": details(image), "content": ("", _digest(image))}


def _digest(image: np.ndarray) -> str:
    return hashlib.blake2b(repr(image.shape).encode() + image.tobytes()).hexdigest()


def _of_pairs(found: pd.DataFrame, table: pd.DataFrame, compared: bool) -> dict[str, tuple]:
    """The three checks on pairs: found, of, verdict, sentence."""
    tested = table.index[table["split"] == "test"]
    if not compared:
        why = f"Slices below {SMALLEST} pixels a side are too coarse to tell a duplicate from another chest."
        return {name: (np.nan, len(table), UNKNOWN, why) for name in ("split", "classes", "within")}
    across, mixed = found[found["kind"] == "split"], found[found["classes"].astype(bool)]
    within = found[(found["kind"] == "patients")]
    count = len(_members(across) & set(tested))
    two = len(_members(mixed))
    twice = len(_members(within))
    exact = int((across["same"] != "").sum())
    other = int(across["classes"].astype(bool).sum())
    taught = (
        "a network can know their finding by heart"
        if not other
        else f"{other} under the other finding, which makes the score worse, the others known by heart"
        if other < len(across)
        else "under the other finding, which makes the score worse"
    )
    return {
        "split": _row(
            count,
            len(tested),
            f"{_many(count, 'test slice')} of {len(tested):,} {'has' if count == 1 else 'have'} a near-duplicate among the "
            f"training slices ({exact} of {_many(len(across), 'pair')} alike to the last pixel): {taught}.",
            "No test slice has a near-duplicate among the training slices.",
        ),
        "classes": _row(
            two,
            len(table),
            f"{_many(len(mixed), 'pair')} of slices {'shows' if len(mixed) == 1 else 'show'} one picture under two "
            "findings: at least one label of each is wrong.",
            "No picture has two findings.",
        ),
        "within": _row(
            twice,
            len(table),
            f"{_many(twice, 'slice')} of {len(table):,} {'is' if twice == 1 else 'are'} one picture with a slice of another "
            "patient on the same side: they count double, or two names are one patient.",
            "No two patients of a side share a picture.",
        ),
    }


def _members(found: pd.DataFrame) -> set[str]:
    return set(found["first"]) | set(found["second"])


def _of_patients(table: pd.DataFrame) -> tuple:
    patients = table["patient_id"].nunique()
    if patients == len(table) and (table["patient_id"] == table.index).all():
        why = "Who the patients are is not known: slices of one patient may lie on both sides."
        return np.nan, 0, UNKNOWN, why
    count = int((table.groupby("patient_id")["split"].nunique() > 1).sum())
    return _row(
        count,
        patients,
        f"{_many(count, 'patient')} of {patients:,} {'has' if count == 1 else 'have'} slices in training and test alike.",
        "No patient is on both sides of the split.",
    )


def _of_tree(found: HeaderTree) -> tuple:
    auc = found.auc
    if found.model is None or np.isnan(auc.low):
        note = auc.note or "too few patients for an interval"
        return auc.value, np.nan, UNKNOWN, f"Whether the file alone tells COVID-19 is not known: {note}."
    best = found.alone.iloc[0]
    said = (
        f"The file alone, without what it shows, tells COVID-19 with an AUC of {auc.value:.2f} "
        f"[{auc.low:.2f}, {auc.high:.2f}]"
    )
    if auc.low <= 0.5:
        return auc.value, np.nan, NOTHING, f"{said}, which may be chance."
    said += (
        f", most of it {WORDS[best['fact']]} ({best['auc']:.2f}): the classes come from different sources. A network does not "
        "see the file, but it sees what the sources left in the picture."
    )
    return auc.value, np.nan, FOUND, said


def _of_marks(name: str, headers: pd.DataFrame, table: pd.DataFrame) -> tuple:
    if headers.empty:
        return np.nan, len(table), UNKNOWN, "Slices that were cut out of exams are not searched for drawings."
    has = (headers["marks" if name == "colour" else "text"].map(len) > 0).to_numpy()
    what = "marks in colour" if name == "colour" else "text or marks near the edge"
    with_, without, p = by_class(has, table["finding"] == "covid", table["patient_id"])
    shares = f"{with_:.0%} of the patients with COVID-19, {without:.0%} of the others".replace("%", " %")
    unsure = (
        "" if name == "colour" else " Some may be ribs or vessels; arrows on the lungs are not searched for."
    )
    tells = "" if np.isnan(p) else f" (p {'below 0.001' if p < 0.001 else f'{p:.3f}'})"
    count = f"{_many(int(has.sum()), 'picture')} of {len(has):,} {'has' if has.sum() == 1 else 'have'}"
    found = f"{count} {what}: {shares}{tells}.{unsure}"
    return _row(int(has.sum()), len(has), found, f"No picture has {what}.")


def _row(count: int, of: int, found: str, nothing: str) -> tuple:
    return count, of, FOUND if count else NOTHING, found if count else nothing


def _many(count: int, of: str) -> str:
    return f"{count:,} {of}{'' if count == 1 else 's'}"


def table(found: Leaks, names: Sequence[str] = tuple(CHECKS)) -> HTML:
    """The checks for a reader, with the rules of the header's tree below."""
    head = "".join(f"<th>{name}</th>" for name in ("Looked for", "Found", "Verdict", "What it means"))
    body = ""
    for name in names:
        row = found.checks.loc[name]
        number = "–" if np.isnan(row["found"]) else found.number(name)
        cells = f"<th class='row'>{escape(row['check'])}</th><td>{number}</td><td>{row['verdict']}</td>"
        meaning = f"<td style='white-space:normal;text-align:left!important;min-width:24em'>{escape(row['sentence'])}</td>"
        body += f"<tr>{cells}{meaning}</tr>"
    rules = "".join(f"<li>{escape(rule)}</li>" for rule in found.tree.rules)
    asked = "The file alone, as a tree of at most three questions, on the slices that train it:"
    below = f"<div class='small'>{asked}<ul>{rules}</ul></div>"
    caption = "<b>What the pictures give away</b><br>" + escape(" ".join(found.notes))
    return show.framed(caption, f"<tr>{head}</tr>", body, below=below if rules else "")
