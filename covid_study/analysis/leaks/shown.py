"""What gives the class away, for `pictures.grid` and `intervals.points`: one picture twice, burnt text, the file alone."""

import pandas as pd

from covid_study.analysis.leaks.headers import WORDS, header
from covid_study.analysis.leaks.report import Leaks
from covid_study.figures.pictures import some
from covid_study.figures.style import COLOURS, OUTLINE, SKY
from covid_study.figures.tile import Tile
from covid_study.report.words import finding_name
from covid_study.samples.samples import Samples

WORSE = {
    "split": "on both sides",
    "classes": "two findings",
    "patients": "two patients",
    "patient": "one patient, one side",
}
KEYS = {"in colour": SKY, "text or mark near the edge": OUTLINE}


def pairs(s: Samples, found: Leaks, most: int = 6) -> dict[str, list[Tile]]:
    """Pairs of slices that are one picture, the worst first, as the network gets them: two pairs a line."""
    tiles = []
    for pair in found.pairs.head(most).itertuples():
        worse = WORSE[pair.kind] + (", two findings" if pair.classes and pair.kind != "classes" else "")
        said = f"{worse}; {pair.distance} bits apart, agreement {pair.agreement:.2f}"
        for name, text in ((pair.first, said), (pair.second, "")):
            row, image = s.table.loc[name], s.of([name])[0].cpu().numpy()
            colour = COLOURS["covid"] if row["finding"] == "covid" else "black"
            about = f"{finding_name(row['finding'])}, {row['split']}"
            tiles.append(Tile(image, "\n".join(filter(None, [about, *text.split("; ")])), colour=colour))
    return _in_lines(tiles)


def burnt_in(s: Samples, found: Leaks, most: int = 8) -> dict[str, list[Tile]]:
    """Pictures with marks in colour or text near the edge, what was found framed: as published, four a line."""
    if found.headers.empty:
        return {}
    marked = found.headers[(found.headers["marks"].map(len) + found.headers["text"].map(len)) > 0]
    tiles = []
    for name in some(marked.index, most):
        row = marked.loc[name]
        boxes = {SKY: row["marks"], OUTLINE: row["text"]}
        _, colours, _ = header(s.table.loc[name, "path"])
        tiles.append(Tile(colours, finding_name(s.table.loc[name, "finding"]), boxes=boxes))
    return _in_lines(tiles)


def _in_lines(tiles: list[Tile]) -> dict[str, list[Tile]]:
    return {f"_{n}": tiles[n : n + 4] for n in range(0, len(tiles), 4)}


def facts(found: Leaks) -> pd.DataFrame:
    """What the file alone says of the class: label, auc, low, high of all facts in one small tree, and of each alone.

    Each is of a tree trained on the training split and scored on the test split; empty where none could be.
    """
    columns = ["label", "auc", "low", "high"]
    if not found.tree.rules:
        return pd.DataFrame(columns=columns)
    every = pd.DataFrame([("all of them", *found.tree.auc[:3])], columns=columns)
    alone = found.tree.alone.assign(label=found.tree.alone["fact"].map(WORDS))
    return pd.concat([every, alone.reindex(columns=columns)], ignore_index=True)
