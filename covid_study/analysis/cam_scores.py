"""How the networks of paper B differ in where they look: means over slices, and paired differences (paper B, 5.4)."""

from collections.abc import Mapping
from html import escape

import numpy as np
import pandas as pd
from IPython.display import HTML

from covid_study.analysis.cam import LAYERS, METRICS, REFERENCES
from covid_study.figures.slices import name_of
from covid_study.report import show
from covid_study.scores import old_claims as claims
from covid_study.scores.resamples import Resamples, over_seeds, patient_means
from covid_study.tables.ablation import Cell
from covid_study.tables.ablation_report import in_points
from covid_study.tables.deep_report import PAPER_EPOCHS, PAPER_SIZE, start_of, weights_sentences
from covid_study.tables.slice_ablation import labels
from covid_study.training.run import Run

HEADS = {
    "in_lungs": "Share of the map on the lungs",
    "in_lesions": "Share of the map on lesions",
    "pointing": "Maximum on a lesion",
}
METHODS = {"baseline": "Baseline (CE)", "dsn": "DSN", "dsn_saal": "DSN-SAAL"}
NAMES = METHODS | {"baseline": "the baseline", "even_lungs": "a map that is even over the lungs"}
UNKNOWN = "Where the lesions lie on these slices is not known: their maps can be looked at, but not measured."
PAIRS = (
    ("dsn_saal", "baseline"),
    ("dsn", "baseline"),
    ("dsn_saal", "dsn"),
    ("dsn_saal", "even_lungs"),
    ("baseline", "even_lungs"),
)


def networks_sentence(runs: Mapping[Cell, Run], sides: Mapping[str, int], size: int) -> str:
    """Which networks are looked into, and how many pixels their maps have.

    Args:
        sides: layer -> pixels a side, of `cam.map_side`. size: pixels a side of a slice.
    """
    run = next(iter(runs.values()))
    name, epochs = labels("B.3").get(run.method.backbone, run.method.backbone), run.method.training["epochs"]
    return " ".join(
        [
            f"Here: {name} from {start_of(run)}, {epochs} epoch{'s' * (epochs != 1)}, slices of {size} x {size} pixels.",
            *weights_sentences(runs),
            f"The maps of the last layer have {sides['last']} x {sides['last']} pixels, those of the fourth stage "
            f"{sides['fourth']} x {sides['fourth']}. The paper: VGG-16 from ImageNet weights, {PAPER_EPOCHS} epochs, "
            f"{PAPER_SIZE} x {PAPER_SIZE}, whose last maps have {PAPER_SIZE // 16} x {PAPER_SIZE // 16}.",
        ]
    )


def resample(found: pd.DataFrame, n: int = 1000) -> claims.Resampled:
    """Means over slices, as they are and on the same n resamples of the patients, for every method.

    Args:
        found: `evidence` of one layer and one finding.

    Returns:
        Cells (method, finding, seed); no draws with fewer than two patients.
    """
    values, draws = {}, {}
    for (row, finding, seed), part in found.groupby(["row", "finding", "seed"], sort=False):
        part = part.sort_values("slice_id")  # the same slices for all, and the same resamples
        means = patient_means(part[list(METRICS)], part["patient_id"], n)
        cell = (row, finding, seed)
        values[cell] = {metric: float(part[metric].mean()) for metric in METRICS}
        draws[cell] = dict(zip(METRICS, means.T, strict=True))
    return claims.Resampled(values, draws, found["patient_id"].nunique())


def scores(found: pd.DataFrame, n: int = 1000) -> pd.DataFrame:
    """Mean shares and hits of every method, with 95 % intervals over patients and, of several, seeds.

    Args:
        found: of `evidence`. n: resamples.

    Returns:
        Tidy: layer, row, label, column (finding), metric, mean, sd, low, high, seeds; for `show.side_by_side`. No rows where
        no truth is known; so `differences`.
    """
    if found.empty:
        return found
    parts = []
    for (layer, _), part in found.groupby(["layer", "finding"], sort=False):
        resampled = resample(part, n)
        for (row, finding, seed), values in resampled.values.items():
            for metric, value in values.items():
                drawn = resampled.draws[row, finding, seed][metric]
                ends = Resamples.interval(drawn)
                known = {"row": row, "column": finding, "metric": metric, "seed": seed, "value": value}
                parts.append({"layer": layer, **known, "low": ends[0], "high": ends[1]})
    table = pd.DataFrame(parts)
    of_layers = [
        over_seeds(part.drop(columns="layer")).assign(layer=layer)
        for layer, part in table.groupby("layer", sort=False)
    ]
    joined = pd.concat(of_layers, ignore_index=True)
    joined[["low", "high"]] = joined[["low", "high"]].clip(0, 1)
    order = {row: place for place, row in enumerate([*METHODS, *REFERENCES])}
    joined = joined.sort_values("row", key=lambda row: row.map(order), kind="stable", ignore_index=True)
    return joined.assign(label=joined["row"].map(METHODS | REFERENCES))


def differences(found: pd.DataFrame, n: int = 1000) -> pd.DataFrame:
    """Paired differences between methods on the same slices of the same resampled patients.

    Returns:
        Tidy: layer, finding, patients, one, other, metric, difference, low, high, seeds, verdict (on `one` being higher).
    """
    if found.empty:
        return found
    rows = []
    for (layer, finding), part in found.groupby(["layer", "finding"], sort=False):
        resampled = resample(part, n)
        for one, other in PAIRS:
            for metric in METRICS:
                line = claims.paired_difference(resampled, [((one, finding), (other, finding))], metric)
                told = claims.verdict(line["low"], line["high"], resampled.fewest)
                known = {"layer": layer, "finding": finding, "patients": resampled.fewest}
                rows.append({**known, "one": one, "other": other, "metric": metric, **line, "verdict": told})
    return pd.DataFrame(rows)


def scores_tables(scored: pd.DataFrame) -> HTML:
    """`scores` for a reader, a table a layer."""
    if scored.empty:
        return HTML(f"<p>{UNKNOWN}</p>")
    made = [
        show.side_by_side(
            scored[scored["layer"] == layer].drop(columns="layer"),
            None,
            metrics=METRICS,
            title=f"Where the maps of the {name} lie",
            over="test patients",
        ).to_html()
        for layer, name in LAYERS.items()
    ]
    return HTML("".join(made))


def differences_table(found: pd.DataFrame) -> HTML:
    """`differences` for a reader: a block a pair of methods, a line a score, a column a layer and finding."""
    if found.empty:
        return HTML(f"<p>{UNKNOWN}</p>")
    groups = list(dict.fromkeys(zip(found["layer"], found["finding"], strict=True)))
    heads = [f"{name_of(finding)}<br><span class='small'>{LAYERS[layer]}</span>" for layer, finding in groups]
    body = ""
    for (one, other), pair in found.groupby(["one", "other"], sort=False):
        text = escape(f"{METHODS[one]} less {NAMES[other]}")
        body += f"<tr><td colspan='{len(groups) + 1}' style='text-align:left!important;font-weight:600'>{text}</td></tr>"
        for metric, lines in pair.groupby("metric", sort=False):
            by = {(r["layer"], r["finding"]): r for r in lines.to_dict("records")}
            cells = "".join(f"<td>{_difference(by[group])}</td>" for group in groups)
            body += f"<tr><th class='row' style='font-weight:400'>{HEADS[metric]}</th>{cells}</tr>"
    caption = (
        "<b>Paired differences</b><br>Percentage points, with 95 % intervals over the same resampled test patients; bold where "
        f"the whole interval lies on one side of zero and there are {claims.FEWEST} patients or more."
    )
    head = "".join(f"<th>{head}</th>" for head in ["", *heads])
    return show.framed(caption, f"<tr>{head}</tr>", body)


def _difference(line: Mapping) -> str:
    if np.isnan(line["difference"]):
        return "–"
    text = _points(line).removesuffix(" points")
    if line["verdict"] in (claims.HOLDS, claims.FAILS):
        text = f"<b>{text}</b>"
    return text if np.isnan(line["low"]) else f"{text}<br><span class='small'>{_interval(line)}</span>"


def sentence(found: pd.DataFrame, layer: str = "last") -> str:
    """What paper B, 5.4 says of Fig. 7, against the maps of COVID-19 slices: one sentence.

    Args:
        found: of `differences`; without rows the truth is not known.
    """
    if found.empty:
        return UNKNOWN
    line = found.query("layer == @layer and finding == 'covid' and one == 'dsn_saal' and other == 'baseline'")
    if line.empty:
        return (
            "No COVID-19 test slice shows a lesion: nothing can be said of where the networks look on them."
        )
    lungs, lesions = (line[line["metric"] == metric].iloc[0] for metric in ("in_lungs", "in_lesions"))
    maps = f"maps of DSN-SAAL, drawn from the {LAYERS[layer]},"
    if claims.TOO_FEW in (lungs["verdict"], lesions["verdict"]):
        n = int(lungs["patients"])
        return (
            f"With {n} test patient{'s' * (n != 1)} whose COVID-19 slices show a lesion it cannot be said whether the {maps} "
            f"lie more on the lungs ({_points(lungs)}) and the lesions ({_points(lesions)}) than those of the baseline."
        )
    told = {
        claims.HOLDS: "more on the {0} than",
        claims.FAILS: "less on the {0} than",
        claims.UNCLEAR: "on the {0} as far as can be told like",
    }
    said = [
        f"{told[row['verdict']].format(what)} those of the baseline ({_points(row)}, 95 % interval {_interval(row)})"
        for row, what in ((lungs, "lungs"), (lesions, "lesions"))
    ]
    return f"On COVID-19 slices the {maps} lie {' and '.join(said)}."


def _points(line: Mapping) -> str:
    return f"{in_points(line['difference'])} points"


def _interval(line: Mapping) -> str:
    return f"{in_points(line['low'])} to {in_points(line['high'])}"


def level_sentence(scored: pd.DataFrame) -> str:
    """How much of the maps lies on lesions, against what maps give that know nothing, or all; COVID-19, the last layer."""
    if scored.empty or "covid" not in set(scored["column"]):
        return ""
    part = scored.query("layer == 'last' and column == 'covid' and metric == 'in_lesions'")
    share = {row: f"{100 * mean:.1f} %" for row, mean in zip(part["row"], part["mean"], strict=True)}
    return (
        f"On lesions of COVID-19 lie {share['baseline']} of the baseline's maps, {share['dsn']} of those of DSN and "
        f"{share['dsn_saal']} of those of DSN-SAAL; it would be {share['even_slice']} of a map that is even over the slice, "
        f"{share['even_lungs']} of one that is even over the lungs, and {share['true_lesions']} of the true lesions drawn as "
        "coarsely as the maps."
    )


def blank_sentence(found: pd.DataFrame) -> str:
    """How many maps are 0 everywhere.

    >>> found = pd.DataFrame({"row": ["dsn", "dsn_saal"], "blank": [True, False]})
    >>> blank_sentence(found)
    'Maps that are 0 everywhere, because nothing on the slice speaks for its class: DSN 100 %, DSN-SAAL 0 %.'
    """
    if found.empty:
        return ""
    shares = found[found["row"].isin(METHODS)].groupby("row", sort=False)["blank"].mean()
    said = ", ".join(f"{METHODS[row]} {100 * share:.0f} %" for row, share in shares.items())
    return f"Maps that are 0 everywhere, because nothing on the slice speaks for its class: {said}."
