"""How much a ranking depends on the order of channels and positives: what is drawn and tabled of `order.measured`."""

import pandas as pd

from covid_study.analysis.order import Ordering
from covid_study.figures.ranking import TRACKS

SHUFFLED = {
    "channels": "channels shuffled",
    "positives": "positives shuffled",
    "both": "both shuffled",
}
VARIANTS = {
    "channels": "channels by correlation",
    "positives": "positives by likeness",
    "both": "both: no order left",
}
KINDS = {f"shuffled {key}": text for key, text in SHUFFLED.items()}
KINDS |= {f"variant {key}": text for key, text in VARIANTS.items()}


def points(found: Ordering) -> pd.DataFrame:
    """A line an order or a variant, and a track, for `ranking.orders`: kind (of KINDS), track, rho."""
    parts = [
        frame.assign(kind=f"{column} " + frame[column])[["kind", "track", "rho"]]
        for frame, column in ((found.shuffles, "shuffled"), (found.variants, "variant"))
    ]
    points = pd.concat(parts, ignore_index=True)
    return points[points["kind"].isin(KINDS)]


def table(shuffles: pd.DataFrame, variants: pd.DataFrame) -> pd.DataFrame:
    """The numbers of the chart, and what stays selected by the joint rank, as text: a row an order or a variant.

    shuffles, variants: of `order.Ordering`. Of random orders: median [smallest, largest].
    """
    lines = [(name, shuffles[shuffles["shuffled"] == key]) for key, name in SHUFFLED.items()]
    lines += [(name, variants[variants["variant"] == key]) for key, name in VARIANTS.items()]
    rows = {}
    for name, part in lines:
        joint = part[part["track"] == "joint"]
        rows[name] = {
            title: _range(part.loc[part["track"] == track, "rho"]) for track, title in TRACKS.items()
        }
        rows[name]["stay selected (%)"] = _range(100 * joint["kept"], ".0f")
        rows[name]["selected"] = f"{joint['selected'].iloc[0]:,} of {joint['negatives'].iloc[0]:,}"
    return pd.DataFrame(rows).T


def costs(variants: pd.DataFrame) -> pd.DataFrame:
    """What a ranking with or without an order takes, and how much it changes in another order; text, a row a variant.

    variants: of `order.Ordering`.
    """
    rows = {}
    for key, name in {"listed": "as listed", **VARIANTS}.items():
        part = variants[variants["variant"] == key]
        first = part.iloc[0]
        rows[name] = {
            "negatives": f"{first['negatives']:,}",
            "positives": f"{first['positives']:,}",
            "linear programmes": f"{first['programmes']:,}",
            "seconds": _number(first["seconds"], ",.2f"),
            "seconds, whole archive": _number(first["seconds_whole"], ",.1f"),
            "largest change": _number(part["change"].max(), ".0e").replace("0e+00", "0"),
        }
    return pd.DataFrame(rows).T


def _range(values: pd.Series, form: str = ".2f") -> str:
    known = values.dropna()
    if known.empty:
        return "–"
    middle, low, high = (format(x, form) for x in (known.median(), known.min(), known.max()))
    return middle if len(values) == 1 else f"{middle} [{low}, {high}]"


def _number(value: float, form: str) -> str:
    return "–" if pd.isna(value) else format(value, form)
