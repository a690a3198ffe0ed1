"""What a claim of a paper is: an estimand over the cells of a table, and the papers' own number for it; `claims.yaml`.

Adding one takes ten lines of YAML; the fields of `Claim` say what each may hold.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field

from covid_study.scores import published as papers
from covid_study.scores.binary import GAP

Term = tuple[int, tuple[str, str], str]  # +1 or -1, row and column, score


class Cells(BaseModel):
    """Cells of a table: a row and a column, several of them, or one of the words of `_named`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    row: str | tuple[str, ...] = "same"
    column: str | tuple[str, ...] = "same"
    but_not: tuple[str, ...] = ()

    def of(self, ran: Sequence[tuple[str, str]], beside: tuple[str, str] = ("", "")) -> list[tuple[str, str]]:
        """The cells that are meant, of those that ran; `beside` is the cell that they are compared with."""
        names = [[n for n in dict.fromkeys(cell[i] for cell in ran) if n not in self.but_not] for i in (0, 1)]
        rows, columns = (
            _named(word, here, other)
            for word, here, other in zip((self.row, self.column), names, beside, strict=True)
        )
        return list(product(rows, columns))


def _named(word: str | tuple[str, ...], here: Sequence[str], beside: str) -> Sequence[str]:
    """Rows or columns by name: "same" as beside it, "every", "others" (all but that one); of the sizes of a selection,
    named in per cent: "sizes" (below 100), "largest", "smallest", "smaller" (all but the largest), "below" (the next one)."""
    sizes = sorted((n for n in here if n.endswith("%") and n != "100%"), key=lambda n: float(n[:-1]))
    words = {
        "same": [beside],
        "every": here,
        "others": [n for n in here if n != beside],
        "sizes": sizes,
        "largest": sizes[-1:],
        "smallest": sizes[:1],
        "smaller": sizes[:-1] or sizes,
        "below": sizes[: sizes.index(beside)][-1:] if beside in sizes else [],
    }
    return word if isinstance(word, tuple) else words.get(word, [word])


class Contrast(BaseModel):
    """Cells that are said to score higher, and what they are compared with; by another score where one is named.

    With a score alone, it is the same cells by that score.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    higher: Cells = Cells()
    lower: Cells | None = None
    score: str | None = None


class Printed(BaseModel):
    """Two printed cells, (table, row, column), where a claim's own rows are printed elsewhere or under other names."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    higher: tuple[str, str, str]
    lower: tuple[str, str, str]


class Claim(BaseModel):
    """A claim of a paper.

    `score`: the one that the paper judges by. `higher` and `lower`: see `Cells`. `less`: another contrast, whose difference is
    taken from the first. `kind`: "difference" of scores; "ratio", of times; "count", by which the `higher` exceed the `lower`
    by `at_most`; "auc", of one cell, whose difference is that to one half. `each`: of several differences it is the least that
    counts, else their mean. `published`: "computed" from the published table, a number, two printed cells, or none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    key: str = Field(pattern=r"^[ABS]\d+[a-z]?$")
    table: str
    place: str
    text: str
    score: str
    kind: Literal["difference", "ratio", "count", "auc"] = "difference"
    higher: Cells
    lower: Cells | None = None
    less: Contrast | None = None
    at_most: float | None = None
    each: bool = False
    published: Literal["computed"] | float | Printed | None = "computed"

    def lines(self, ran: Sequence[tuple[str, str]], but_not: Iterable[str] = ()) -> list[list[Term]]:
        """Each difference that the claim speaks of, as signed cells, of the cells (row, column) that ran.

        but_not: rows that a word such as "others" does not take.

        >>> read()["A18"].lines([("random", "14%"), ("random", "56%"), ("top", "14%"), ("top", "56%")])
        [[(1, ('random', '14%'), 'f1'), (-1, ('top', '14%'), 'f1')]]
        """
        ran = [cell for cell in ran if cell[0] not in set(but_not)]
        found = [
            [*first, *((-sign, *rest) for sign, *rest in second)]
            for one in self.higher.of(ran, ("", "") if self.lower is None else self._literal)
            for first in _terms(one, self.lower, self.score, ran)
            for second in self._less(one, first, ran)
        ]
        return [line for line in found if {cell for _, cell, _ in line} <= set(ran)]

    @property
    def _literal(self) -> tuple[str, str]:
        """The row and column of `lower` by name, for "others" on the higher side."""
        return tuple(x if isinstance(x, str) else "" for x in (self.lower.row, self.lower.column))

    def _less(
        self, one: tuple[str, str], first: list[Term], ran: Sequence[tuple[str, str]]
    ) -> list[list[Term]]:
        if self.less is None:
            return [[]]
        if self.less.higher == Cells() and self.less.lower is None and self.less.score:
            return [[(sign, cell, self.less.score) for sign, cell, _ in first]]
        others, score = self.less.higher.of(ran, one), self.less.score or self.score
        return [line for other in others for line in _terms(other, self.less.lower, score, ran)]

    def theirs(self) -> list[float]:
        """The published difference (ratio, count) of each line; empty where the paper prints none."""
        if isinstance(self.published, float) or self.published is None:
            return [] if self.published is None else [self.published]
        if isinstance(self.published, Printed):
            one, other = (
                _printed(c[0])[c[1:], self.score] for c in (self.published.higher, self.published.lower)
            )
            return [one / other if self.kind == "ratio" else one - other]
        printed = _printed(self.table)
        ran = list(dict.fromkeys(cell for cell, _ in printed))
        sums = (
            [(sign, printed.get((cell, score), np.nan)) for sign, cell, score in line]
            for line in self.lines(ran)
        )
        found = [
            a[0][1] / a[1][1] if self.kind == "ratio" else sum(sign * value for sign, value in a)
            for a in sums
        ]
        return [x for x in found if np.isfinite(x)]

    @property
    def printed(self) -> float:
        """The published difference, joined as the claim's are: of ratios the geometric mean, of counts the largest."""
        found = self.theirs()
        if not found:
            return np.nan
        joined = {"ratio": lambda x: np.exp(np.mean(np.log(x))), "count": np.max}
        return float(np.min(found) if self.each else joined.get(self.kind, np.mean)(found))


def _terms(one: tuple[str, str], lower: Cells | None, score: str, ran) -> list[list[Term]]:
    if lower is None:
        return [[(1, one, score)]]
    return [[(1, one, score), (-1, other, score)] for other in lower.of(ran, one)]


@lru_cache
def _printed(name: str) -> dict[tuple[tuple[str, str], str], float]:
    table = papers.table(name)
    cells = zip(table["row"], table["column"], strict=True)
    found = dict(zip(zip(cells, table["metric"], strict=True), table["value"], strict=True))
    both = [cell for cell, score in found if score == "precision" and (cell, "recall") in found]
    return found | {(cell, GAP): abs(found[cell, "precision"] - found[cell, "recall"]) for cell in both}


@lru_cache
def read() -> dict[str, Claim]:
    """All claims by key, in the order of `claims.yaml`.

    >>> read()["A2"].text
    'Negatives selected by both tracks score higher than as many random ones'
    """
    text = Path(__file__).with_name("claims.yaml").read_text(encoding="utf-8")
    return {key: Claim(key=key, **entry) for key, entry in yaml.safe_load(text).items()}


def of_table(name: str) -> list[Claim]:
    """The claims about a table, e.g. "A.III" or "B.3".

    >>> [claim.key for claim in of_table("A.IV")]
    ['A13', 'A14']
    """
    return [claim for claim in read().values() if claim.table == name]
