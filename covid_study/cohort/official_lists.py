"""What the lists of a data set say against its files: pictures in two lists, in none, or not there."""

from collections.abc import Collection

import pandas as pd

STRONGER = ("train", "validation", "test")  # of two lists the later one keeps a picture


def listed_once(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The table with each picture once, and a sentence where lists share pictures.

    Choice: a picture that stands in two lists stays where it is tested, so that the test list is whole and nothing tested
    was trained on.

    Args:
        table: slice_id, split.

    >>> table, notes = listed_once(pd.DataFrame({"slice_id": ["a", "a", "b"], "split": ["train", "test", "train"]}))
    >>> table["split"].tolist(), notes[0][:50]
    (['train', 'test'], '1 image stands in more than one list (a): it stays')
    """
    twice = table.loc[table["slice_id"].duplicated(keep=False), ["slice_id", "split"]].drop_duplicates()
    shared = twice.loc[twice["slice_id"].duplicated(), "slice_id"].unique()
    order = table["split"].map(STRONGER.index)
    kept = table.loc[order.sort_values(kind="stable").index].drop_duplicates("slice_id", keep="last")
    if not len(shared):
        return kept, []
    stands = "stands" if len(shared) == 1 else "stand"
    return kept, [
        f"{some(shared)} {stands} in more than one list{first(shared)}: it stays in the test list, else in the validation "
        "list, and leaves the others."
    ]


def against_files(listed: Collection[str], there: Collection[str]) -> list[str]:
    """Sentences on pictures that are listed and not there, and on those that are there and in no list.

    Choice: a listed picture that is not there stays in the table; reading it then fails by name, or leaves it out with its
    reason (`cohort.on_bad_exam`). A picture in no list takes no part.

    >>> against_files(["a", "b"], ["b", "c"])
    ['1 listed image is not there (a).', '1 image is in no list and takes no part (c).']
    """
    there, listed = set(there), set(listed)
    missing, spare = sorted(listed - there), sorted(there - listed)
    notes = []
    if missing:
        notes.append(
            f"{some(missing, 'listed image')} {'is' if len(missing) == 1 else 'are'} not there{first(missing)}."
        )
    if spare:
        verb = "is in no list and takes" if len(spare) == 1 else "are in no list and take"
        notes.append(f"{some(spare)} {verb} no part{first(spare)}.")
    return notes


def both_sides(table: pd.DataFrame) -> list[str]:
    """A sentence on patients whom the authors' own lists put on more than one side.

    Choice: they stay where their authors put them, for scores on a published split are compared with published scores; but
    they are counted, and said wherever the notes of the slices are shown.

    Args:
        table: patient_id ("" where it is not known), split.

    >>> both_sides(pd.DataFrame({"patient_id": ["a", "a", "b", "b"], "split": ["train", "test", "test", "test"]}))[0][:54]
    '1 of 2 patients lies on more than one side of the auth'
    """
    known = table[(table["patient_id"] != "") & (table["split"] != "")]
    sides = known.groupby("patient_id")["split"].nunique()
    patients = sorted(sides.index[sides > 1])
    if not patients:
        return []
    tested = known[known["patient_id"].isin(patients) & (known["split"] == "test")]
    return [
        f"{len(patients):,} of {len(sides):,} patients {'lies' if len(patients) == 1 else 'lie'} on more than one side of the "
        f"authors' split{first(patients)}, with {len(tested):,} images in the test list: scores look better than they are. "
        "The split is kept as published."
    ]


def some(names: Collection[str], what: str = "image") -> str:
    """A count with its noun.

    >>> some("ab"), some("a", "list")
    ('2 images', '1 list')
    """
    return f"{len(names):,} {what}{'s' * (len(names) != 1)}"


def first(names: Collection[str], count: int = 3) -> str:
    """The first names in brackets.

    >>> first(["a", "b", "c", "d"])
    ' (a, b, c and 1 more)'
    """
    shown = list(names)[:count]
    more = f" and {len(names) - len(shown):,} more" if len(names) > len(shown) else ""
    return f" ({', '.join(map(str, shown))}{more})"
