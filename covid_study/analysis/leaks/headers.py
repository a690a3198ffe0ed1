"""What a picture's file says without its contents, and how well that alone tells COVID-19 from the rest."""

import hashlib
import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, UnidentifiedImageError
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.tree import DecisionTreeClassifier

from covid_study.ct.pictures import read_image
from covid_study.scores.resamples import Interval, auc_interval

DEPTH, LEAF, FOLDS = 3, 5, 5
KINDS = {"JPEG": (".jpg", ".jpeg"), "PNG": (".png",), "BMP": (".bmp",), "TIFF": (".tif", ".tiff")}
NAMED = ("mode", "format")  # facts that are names; all others are numbers
UNITS = {"width": " pixels", "height": " pixels", "bytes": " bytes", "bits_a_pixel": " bits"}
WORDS = {
    "mode": "the colour mode",
    "format": "the file format",
    "wrong_suffix": "a suffix of another format",
    "width": "the width",
    "height": "the height",
    "aspect": "width by height",
    "bytes": "the size of the file",
    "bits_a_pixel": "the size of the file a pixel",
    "dpi": "a resolution in the file",
    "exif": "EXIF data in the file",
    "icc": "a colour profile in the file",
    "colours": "channels that differ",
}


@dataclass(frozen=True)
class HeaderTree:
    """How well the header alone tells COVID-19: `auc` on slices that it was not trained on.

    `rules` in words, one a leaf; `alone`: fact, auc (of a tree on that fact only), the best first. Without rules nothing is
    known, and `auc.note` says why.
    """

    auc: Interval
    rules: tuple[str, ...] = ()
    alone: pd.DataFrame | None = None


def header(path: str | os.PathLike) -> tuple[dict, np.ndarray, str]:
    """The facts of one picture's file, its colours, and the digest of its bytes.

    Returns:
        The facts of `WORDS`; uint8 (y, x, 3); text.

    Raises:
        OSError: not there, or not a picture.
    """
    path = Path(path)
    size = path.stat().st_size
    with warnings.catch_warnings(), _opened(path) as image:
        warnings.simplefilter("ignore", UserWarning)  # of metadata that do not matter here
        facts = {
            "mode": image.mode,
            "format": image.format,
            "wrong_suffix": int(path.suffix.lower() not in KINDS.get(image.format, (path.suffix.lower(),))),
            "width": image.width,
            "height": image.height,
            "aspect": image.width / image.height,
            "bytes": size,
            "bits_a_pixel": 8 * size / (image.width * image.height),
            "dpi": int("dpi" in image.info),
            "exif": int(len(image.getexif()) > 0),
            "icc": int("icc_profile" in image.info),
        }
        colours = np.asarray(image.convert("RGB"))
    first = colours[..., 0]
    facts["colours"] = sum(int((colours[..., n] != first).any()) for n in (1, 2))  # 0: all channels are one
    return facts, colours, hashlib.blake2b(path.read_bytes()).hexdigest()


def _opened(path: Path) -> Image.Image:
    """A picture, of the kinds of TIFF that Pillow lacks, too."""
    try:
        return Image.open(path)
    except UnidentifiedImageError:
        image = Image.fromarray(read_image(path).astype(np.float32))
        image.format = "TIFF"
        return image


def tree(facts: pd.DataFrame, table: pd.DataFrame, seed: int = 0) -> HeaderTree:
    """A small decision tree on the facts alone, trained on the training split and scored on the test split.

    Choice: depth 3 and five slices a leaf, so that its rules can be read. A split with one side only is scored in five folds
    by patient. Slices of a patient stay together in the interval.

    Args:
        facts: a row a slice, columns of `WORDS`. table: slice table in the same order.

    >>> facts = pd.DataFrame({"mode": ["RGBA"] * 10 + ["L"] * 10})
    >>> table = pd.DataFrame({"finding": ["covid"] * 10 + ["cap"] * 10, "split": ["train"] * 6 + ["test"] * 4
    ...                       + ["train"] * 6 + ["test"] * 4, "patient_id": list("abcdefghijklmnopqrst")})
    >>> found = tree(facts, table)
    >>> found.auc[:3], found.rules[0]
    ((1.0, 1.0, 1.0), 'mode is RGBA: 100 % COVID-19 of 6 pictures')
    """
    y = (table["finding"] == "covid").to_numpy(int)
    varied = [name for name in WORDS if name in facts and facts[name].nunique() > 1]
    if not varied:
        return HeaderTree(Interval(note="all files are alike in these facts"))
    train = (table["split"] == "train").to_numpy()
    for name, side in (("training", train), ("test", ~train)):
        if side.any() and len(set(y[side])) < 2:
            return HeaderTree(Interval(note=f"the {name} split has one class only"))
    x = _numbers(facts, varied)
    if train.all() or not train.any():
        fewest = table.groupby(y)["patient_id"].nunique()
        if len(fewest) < 2 or fewest.min() < FOLDS:
            return HeaderTree(Interval(note=f"no split, and fewer than {FOLDS} patients of a class"))
        folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
        parts, fitted = list(folds.split(x, y, table["patient_id"])), np.ones(len(y), bool)
    else:
        parts, fitted = [(np.flatnonzero(train), np.flatnonzero(~train))], train
    scored = np.concatenate([test for _, test in parts])
    patients = table["patient_id"].to_numpy()[scored]

    def probability(columns: list[str]) -> np.ndarray:
        return np.concatenate([_fit(x.iloc[a][columns], y[a], seed).predict_proba(x.iloc[b][columns].to_numpy())[:, 1]
                               for a, b in parts])  # fmt: skip

    rows = []
    for name in varied:
        of_fact = [column for column in x if column == name or column.startswith(f"{name} is ")]
        rows.append((name, auc_interval(y[scored], probability(of_fact), patients, n=1).value))
    model = _fit(x.loc[fitted], y[fitted], seed)
    return HeaderTree(
        auc_interval(y[scored], probability(list(x)), patients, seed=seed),
        tuple(_rules(model, list(x))),
        pd.DataFrame(rows, columns=["fact", "auc"]).sort_values("auc", ascending=False, ignore_index=True),
    )


def _fit(x: pd.DataFrame, y: np.ndarray, seed: int) -> DecisionTreeClassifier:
    model = DecisionTreeClassifier(max_depth=DEPTH, min_samples_leaf=LEAF, random_state=seed)
    return model.fit(x.to_numpy(), y)


def _numbers(facts: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """The facts as numbers: a column a mode and a format."""
    columns = {}
    for name in names:
        values = {f"{name} is {value}": facts[name] == value for value in sorted(set(facts[name]))}
        columns |= values if name in NAMED else {name: facts[name]}
    return pd.DataFrame(columns, dtype=float)


def _rules(model: DecisionTreeClassifier, columns: list[str]) -> list[str]:
    """Each leaf in words, the one with most COVID-19 first."""
    inner, leaves = model.tree_, []

    def walk(node: int, conditions: tuple[str, ...]) -> None:
        if inner.children_left[node] < 0:
            # the share of each class is in `value`, the number of pictures in `n_node_samples`
            leaves.append((float(inner.value[node][0][-1]), int(inner.n_node_samples[node]), conditions))
            return
        name, at = columns[inner.feature[node]], float(inner.threshold[node])
        walk(inner.children_left[node], (*conditions, _condition(name, at, False)))
        walk(inner.children_right[node], (*conditions, _condition(name, at, True)))

    walk(0, ())
    leaves.sort(key=lambda leaf: (-leaf[0], -leaf[1]))
    return [
        f"{' and '.join(conditions) or 'all'}: {share:.0%} COVID-19 of {count:,} pictures".replace("%", " %")
        for share, count, conditions in leaves
    ]


def _condition(name: str, at: float, above: bool) -> str:
    if " is " in name:
        return name if above else name.replace(" is ", " is not ")
    if name in ("wrong_suffix", "dpi", "exif", "icc"):
        return WORDS[name] if above else f"no {WORDS[name].removeprefix('a ')}"
    side = "above" if above else "up to"
    return f"{WORDS[name].removeprefix('the ')} {side} {at:,.4g}{UNITS.get(name, '')}"
