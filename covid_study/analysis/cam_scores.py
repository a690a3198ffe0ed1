"""How the networks of paper B differ in where they look: means over slices, and paired differences (paper B, 5.4)."""

import pandas as pd

from covid_study.analysis.cam import LAYERS, METRICS, REFERENCES
from covid_study.report.decided import between, points
from covid_study.report.results import from_scored
from covid_study.report.words import column_head, finding_name, metric_head
from covid_study.scores import claims
from covid_study.scores.resamples import patient_means

METHODS = ("baseline", "dsn", "dsn_saal")
NAMES = {row: column_head(row) for row in METHODS} | REFERENCES
HEADS = {metric: metric_head(metric) for metric in METRICS}
PAIRS = (
    ("dsn_saal", "baseline"),
    ("dsn", "baseline"),
    ("dsn_saal", "dsn"),
    ("dsn_saal", "even_lungs"),
    ("baseline", "even_lungs"),
)


def scored(found: pd.DataFrame, layer: str = "last", n: int = 1000) -> claims.Scored:
    """Means over slices, as they are and on the same n resamples of the patients, for every method.

    Args:
        found: of `cam.evidence`; without rows no truth is known.

    Returns:
        Cells (method, finding, seed) with METRICS; no draws with fewer than two patients. `fewest`: of the findings, the fewest
        patients.
    """
    if found.empty:
        return claims.Scored({}, {}, 0)
    values, draws, of = {}, {}, found[found["layer"] == layer]
    for (row, finding, seed), part in of.groupby(["row", "finding", "seed"], sort=False):
        part = part.sort_values("slice_id")  # the same slices for all, and the same resamples
        means = patient_means(part[list(METRICS)], part["patient_id"], n)
        values[row, finding, seed] = {metric: float(part[metric].mean()) for metric in METRICS}
        draws[row, finding, seed] = dict(zip(METRICS, means.T, strict=True))
    return claims.Scored(values, draws, int(of.groupby("finding")["patient_id"].nunique().min()))


def scores(found: pd.DataFrame, n: int = 1000) -> pd.DataFrame:
    """Mean shares and hits of every method, with 95 % intervals over patients and, of several, seeds.

    Returns:
        Tidy: layer, row, label, column (finding), metric, mean, sd, low, high, seeds. No rows where no truth is known.
    """
    if found.empty:
        return found
    parts = [from_scored(scored(found, layer, n)).assign(layer=layer) for layer in found["layer"].unique()]
    joined, order = pd.concat(parts), list(NAMES)
    joined = joined.sort_values("row", key=lambda row: row.map(order.index), kind="stable", ignore_index=True)
    return joined.assign(label=joined["row"].map(NAMES))


def differences(found: pd.DataFrame, n: int = 1000) -> pd.DataFrame:
    """Paired differences between methods on the same slices of the same resampled patients.

    Returns:
        Tidy: layer, finding, patients, one, other, metric, difference, low, high, seeds.
    """
    rows = []
    for (layer, finding), part in () if found.empty else found.groupby(["layer", "finding"], sort=False):
        of = scored(part, layer, n)
        for one, other in PAIRS:
            for metric in METRICS:
                line = claims.paired_difference(of, [((one, finding), (other, finding))], metric)
                line = {key: line[key] for key in ("difference", "low", "high", "seeds")}
                known = {"layer": layer, "finding": finding, "patients": of.fewest}
                rows.append({**known, "one": one, "other": other, "metric": metric, **line})
    return pd.DataFrame(rows)


def differences_shown(found: pd.DataFrame) -> pd.DataFrame:
    """`differences` for a reader, in points: a row a pair of methods and score, a column a layer and finding."""
    ends = found[["difference", "low", "high"]].itertuples(index=False)
    named = found.assign(
        pair=found["one"].map(NAMES) + " less " + found["other"].map(NAMES),
        score=found["metric"].map(HEADS),
        on=found["finding"].map(finding_name) + ", " + found["layer"].map(LAYERS),
        text=[points(d) + f" ({between(low, high)})" * pd.notna(low) for d, low, high in ends],
    )
    shown = named.pivot(index=["pair", "score"], columns="on", values="text")
    order = pd.MultiIndex.from_frame(named[["pair", "score"]].drop_duplicates())
    return shown.reindex(order).rename_axis(index=[None, None], columns=None)


def blank(found: pd.DataFrame, sides: dict[str, int]) -> pd.DataFrame:
    """Pixels a side of the maps of each layer, and the share of each method's that are 0 everywhere.

    >>> found = pd.DataFrame({"layer": "last", "row": ["dsn", "dsn_saal"], "blank": [True, False]})
    >>> blank(found, {"last": 3}).iloc[0].tolist()
    [3.0, 1.0, 0.0]
    """
    table = pd.DataFrame({"pixels a side": pd.Series(sides)})
    if len(found):
        shares = found[found["row"].isin(METHODS)].groupby(["layer", "row"])["blank"].mean().unstack()
        table = table.join(shares.rename(columns=NAMES))
    return table.rename(index=LAYERS)
