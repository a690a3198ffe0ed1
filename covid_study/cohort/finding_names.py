"""What the name of a finding means, read word by word: "COVID-19 negative", "CT_NonCOVID", "pneumonia, no COVID".

Choice: a name means something only where each of its words is known. A part of a name decides nothing, for "negative", "non",
"suspected" or "versus" in the rest may turn it around. What cannot be read whole, or in two ways, is left to its user.
"""

import os
import re
import unicodedata
from functools import cache

_KINDS = {  # what a word is: its spellings without blanks and dashes
    "covid": "covid covid19 covid2019 coronavirus corona sarscov sarscov2 ncov 2019ncov ncov2019 ncp",
    "cap": "cap communityacquiredpneumonia bacterial bp",
    "pneumonia": "pneumonia pneumonias pneumonic",
    "normal": "normal normals healthy control controls",
    "other": "other others",
    "not": "non not no without wo",
    "negative": "negative negatives neg free excluded (-)",
    "positive": "positive positives pos confirmed yes +",
    "": "ct ctscan ctscans chest lung lungs the with for of class classes group cohort data set dataset image images picture "
    "pictures slice slices scan scans exam exams case cases patient patients subject subjects diagnosis finding label test "
    "tested pcr rt infection disease",
}
_WORDS = {word: kind for kind, words in _KINDS.items() for word in words.split()}
_LONGEST = max(map(len, _WORDS))
_MEAN = {"covid": "covid", "cap": "cap", "pneumonia": "cap", "normal": "non_pneumonia", "other": "other"}
_DENIED = {
    "covid": {"other"},
    "pneumonia": {"non_pneumonia"},
    "cap": {"covid", "non_pneumonia", "other"},
    "normal": {"covid", "cap", "other"},
    "other": {"covid", "cap", "non_pneumonia"},
}
MENTION = re.compile(r"covid|ncov|sars|corona(virus)?(?![a-z])|(?<![a-z])ncp(?![a-z])")


def meanings(text: str) -> set[str]:
    """The findings that a name may mean: none where a word of it is not known, several where it can be read in two ways.

    >>> meanings("COVID-19 positive cases"), meanings("negative_COVID"), meanings("not pneumonia"), meanings("abnormal")
    ({'covid'}, {'other'}, {'non_pneumonia'}, set())
    >>> sorted(meanings("COVID vs. CAP")), sorted(meanings("COVID, CAP")), sorted(meanings("non-COVID pneumonia"))
    ([], ['cap', 'covid'], ['cap', 'other'])
    """
    found = {finding for kinds in _readings(str(text)) for finding in _meant(kinds)}
    # what may be a minus sign, or a dash that was forgotten
    return (
        found | {"other"}
        if found == {"covid"} and re.search(r"[-\u2010-\u2015\u2212]\s*$", str(text))
        else found
    )


def is_known(text: str) -> bool:
    """Whether every word of a name is known, so that it names nobody.

    >>> is_known("COVID-19 cases"), is_known("Doe_Jane")
    (True, False)
    """
    return bool(_readings(str(text)))


def mentions_covid(text: str) -> bool:
    """Whether a name speaks of COVID-19, for or against."""
    return bool(MENTION.search("".join(_chunks(text, "")))) or any("covid" in k for k in _readings(str(text)))


def unclear(text: str) -> str:
    """Why a name has no meaning, for the end of an error message: what it could mean, or what may be mistyped in it.

    Choice: a slip is one letter that is wrong, missing or too many, or two that changed places, and never the first, so that
    no hint turns a name around ("unhealthy", "abnormal").

    >>> unclear("COVID-19 positve"), unclear("COVID or CAP"), unclear("unhealthy"), unclear("COVID / CAP")
    (' (did you mean positive?)', '', '', ' (it could mean cap or covid)')
    """
    if found := sorted(meanings(text)):
        return f" (it could mean {' or '.join(found)})"
    for word in _chunks(text):
        near = [w for w, kind in _WORDS.items() if kind and (len(w) > 3 or w == "cap") and _one_slip(word, w)]
        if near and word not in _WORDS:
            return f" (did you mean {near[0]}?)"
    return ""


def _chunks(text: str, between: str = " ") -> list[str]:
    """The runs of letters, of digits and the signs of a name, in lower case; CamelCase is two."""
    text = unicodedata.normalize("NFKC", str(text))
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", between, text).casefold()
    return re.findall(r"[^\W\d_]+|\d+|\(-\)|[+!?~¬≠]", text)


@cache
def _readings(text: str) -> frozenset[tuple[str, ...]]:
    """Every way to read a name as a row of known words: their kinds."""
    chunks = _chunks(text)
    chunks = chunks[1:] if chunks and chunks[0].isdigit() and chunks[1:2] != ["ncov"] else chunks  # "1_COVID"
    whole, starts = "".join(chunks), {0}
    if not whole or len(whole) > 100:
        return frozenset()
    for chunk in chunks:
        starts.add(max(starts) + len(chunk))
    ways: list[set[tuple[str, ...]]] = [{()}, *(set() for _ in whole)]  # to read the first so many letters
    for end in range(1, len(whole) + 1):
        for start in range(max(0, end - _LONGEST), end):
            kind = _WORDS.get(whole[start:end])
            # a short word that says nothing stands alone, else it would eat the beginning of others
            if kind is not None and (
                kind or end - start > 3 or {start, end} <= starts or whole[start:end] == "ct"
            ):
                ways[end] |= {(*way, kind) if kind else way for way in ways[start]}
    return frozenset(ways[-1])


def _meant(kinds: tuple[str, ...]) -> set[str]:
    """What a row of words means: "not" belongs to what follows it, "negative" and "positive" to what goes before."""
    places = [n for n, kind in enumerate(kinds) if kind in _MEAN]
    if not places:
        return {"other"} if kinds == ("negative",) else set()
    signs: dict[int, set[bool]] = {n: set() for n in places}
    for n, kind in enumerate(kinds):
        if kind in ("not", "negative", "positive"):
            before, after = [m for m in places if m < n][-1:], [m for m in places if m > n][:1]
            (place,) = (after or before) if kind == "not" else (before or after)
            doubled = kind != "positive" and False in signs[place]
            signs[place] |= {True, False} if doubled else {kind == "positive"}
    yes = {kinds[n] for n in places if signs[n] in (set(), {True})}
    no = {kinds[n] for n in places if signs[n] == {False}}
    both = {kinds[n] for n in places if len(signs[n]) == 2}
    if both:
        pass
    elif yes == {"pneumonia"} and kinds[:3] == ("not", "covid", "pneumonia"):
        return {"cap", "other"}  # a pneumonia that is not COVID-19, or no pneumonia of COVID-19
    elif yes in ({"pneumonia"}, {"cap"}, {"cap", "pneumonia"}, {"other", "pneumonia"}) and no <= {"covid"}:
        return {"cap"}
    elif yes in ({"covid"}, {"covid", "pneumonia"}) and not no:
        return {"covid"}
    elif yes == {"normal"} and no <= {"covid", "pneumonia"} or not yes and no == {"covid", "pneumonia"}:
        return {"non_pneumonia"}
    elif yes == {"other"} and no <= {"covid"}:
        return {"other"}
    return {_MEAN[kind] for kind in yes | both}.union(*(_DENIED[kind] for kind in no | both))


def _one_slip(a: str, b: str) -> bool:
    """Whether one slip of the hand makes one word of the other, with the first letter the same."""
    head = os.path.commonprefix([a, b])
    a, b = a[len(head) :], b[len(head) :]
    tail = os.path.commonprefix([a[::-1], b[::-1]])
    a, b = a[: len(a) - len(tail)], b[: len(b) - len(tail)]
    return bool(head) and (max(len(a), len(b)) <= 1 or (len(a) == 2 and a == b[::-1]))
