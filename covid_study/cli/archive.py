"""`covid-study rank` and `select`: which exams of an archive are worth training on (paper A, IV-C to E)."""

import math
import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args, get_type_hints

import click
import pandas as pd

from covid_study.cli.output import answer, as_json, working
from covid_study.errors import StudyError
from covid_study.ranking.archive import Rule, rank_file
from covid_study.ranking.emd import Mass
from covid_study.ranking.feature_table import open_features
from covid_study.ranking.order_free import VARIANTS
from covid_study.ranking.rank import DIVERSITY_PAIRS
from covid_study.ranking.rivals import RIVALS
from covid_study.ranking.sampling import STRATEGIES, check_size, select as drawn
from covid_study.ranking.strata import select_by_stratum
from covid_study.runtime.artefacts import fingerprint, source_key, write_atomically
from covid_study.runtime.disk import writing
from covid_study.runtime.executors import is_executor
from covid_study.runtime.manifest import sha256_of

DISTANCES = get_args(get_type_hints(Rule)["distance"])
A_FILE = click.Path(path_type=Path)
WEIGHT = click.FloatRange(0)
COUNTED = ("joint", "difficulty", "diversity")


@click.command()
@click.argument("features", type=A_FILE)
@click.option("--positives", required=True, metavar="FILE|COLUMN=VALUE", help="The exams of the disease.")
@click.option(
    "-o", "--output", type=A_FILE, default=Path("ranking.parquet"), show_default=True, help="Parquet or CSV."
)
@click.option("--ids", type=A_FILE, help="The table of ids of an NPY file, a row a row.")
@click.option("--id", "id_column", help="Its column of ids.  [default: the index, exam_id, or the first]")
@click.option(
    "--columns", multiple=True, help="Features, by name or pattern; else all columns of numbers. Repeatable."
)
@click.option("--distance", type=click.Choice(DISTANCES), default="emd", show_default=True,
              help="Between exams and between soft labels; order_free is emd without an order, and slow.")  # fmt: skip
@click.option("--without", type=click.Choice([v for v in VARIANTS if v != "listed"]), default="both", show_default=True,
              help="Whose order order_free does without.")  # fmt: skip
@click.option("--mass", type=click.Choice(get_args(Mass)), default="partial", show_default=True,
              help="What emd moves; normalised has a closed form, and is fast.")  # fmt: skip
@click.option("--alpha", type=WEIGHT, default=0.5, show_default=True, help="Weight of difficulty.")
@click.option("--beta", type=WEIGHT, default=0.5, show_default=True, help="Weight of diversity.")
@click.option("--pairs", type=click.IntRange(1), default=DIVERSITY_PAIRS, show_default=True,
              help="Most distances of the diversity; beyond, the others met are drawn.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of that draw.")
@click.option(
    "--executor",
    default="in_process",
    show_default=True,
    help="in_process, dask, or a Dask scheduler's address.",
)
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda, for what has a form for it.")
@as_json
def rank(
    features: Path, positives: str, output: Path, ids: Path | None, id_column: str | None, columns: tuple[str, ...],
    executor: str, device: str, as_json: bool, **rule: Any,
) -> None:  # fmt: skip
    """Rank the exams of FEATURES by difficulty, diversity and both.

    FEATURES is a table with a row an exam: Parquet, CSV, or NPY with --ids. Its columns of numbers are features, which must
    not be negative; other columns go along. All but the positives are ranked. Stopped at any moment, the same command goes on.

    \b
    Examples:
      covid-study rank features.parquet --positives finding=covid
      covid-study rank features.csv --positives positives.txt --distance hellinger -o ranking.csv
      covid-study rank features.npy --ids exams.csv --positives finding=covid --mass normalised --json
    """
    started, given = time.monotonic(), Rule(diversity_pairs=rule.pop("pairs"), **rule)
    _check_output(output)
    if not 0 < given.alpha + given.beta < math.inf:
        raise click.UsageError("--alpha and --beta: numbers, one of them above 0.")
    if not is_executor(executor):
        raise click.UsageError(
            f"--executor {executor}: in_process, dask, or a scheduler's address (tcp://host:8786)."
        )
    with working(), writing(output.parent):
        column = "" if Path(positives).expanduser().is_file() else positives.partition("=")[0]
        table = open_features(features, ids, id_column, columns, [column])
        near = table.positives(positives)
        what = {"columns": table.columns, "positives": near, **asdict(given)}
        files = {"features": str(features), "ids": str(ids) if ids else None, "id": id_column}
        hashes = [sha256_of(file) for file in (features, ids) if file]
        key = fingerprint([what, hashes, table.about.index.name, source_key(["ranking.archive"])])
        work = output.with_name(f".{output.name}.{key}")
        ranking = rank_file(table, near, given, work, executor, device)
        ranking.attrs = {"ranked": {**what, **files, "sha256": hashes}}
        _write(ranking, output)
        for folder in output.parent.glob(f".{output.name}.{'?' * len(key)}"):  # those of other options, too
            shutil.rmtree(folder)
    best = list(map(str, ranking["joint_rank"].nsmallest(5).index))
    found = {
        "ranking": output,
        "exams": len(ranking),
        "positives": len(near),
        "features": len(table.columns),
        **asdict(given),
    }
    said = (
        f"{output}: {len(ranking):,} exams ranked by {len(table.columns)} features against {len(near)} positives; the best are "
        f"{', '.join(best)}."
    )
    answer({**found, "best": best, "seconds": round(time.monotonic() - started, 1)}, said, as_json)


@click.command()
@click.argument("ranking", type=A_FILE)
@click.option("-n", "--size", type=int, required=True, help="How many exams.")
@click.option(
    "-o", "--output", type=A_FILE, default=Path("chosen.csv"), show_default=True, help="Parquet or CSV."
)
@click.option("--strategy", type=click.Choice(STRATEGIES), default="long_tail", show_default=True,
              help="How the ranking is drawn from; the paper's is long_tail.")  # fmt: skip
@click.option("--rival", type=click.Choice([name for name in RIVALS if name != "stratified"]),
              help="Somebody else's rule in its place, by the same features.")  # fmt: skip
@click.option("--stratify", metavar="COLUMN", help="Every value of it keeps its share of the archive.")
@click.option("--by", type=click.Choice(COUNTED), default="joint", show_default=True,
              help="The track whose ranks count.")  # fmt: skip
@click.option("--exponent", type=WEIGHT, default=1.0, show_default=True, help="Of the long tail.")
@click.option(
    "--width",
    type=click.FloatRange(0, min_open=True),
    default=0.3,
    show_default=True,
    help="Of the normal bell.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the draw.")
@click.option("--features", type=A_FILE, help="For a rival, where the file has moved since it was ranked.")
@as_json
def select(
    ranking: Path, size: int, output: Path, strategy: str, rival: str | None, stratify: str | None, seed: int,
    features: Path | None, as_json: bool, **how: Any,
) -> None:  # fmt: skip
    """Choose exams of RANKING, what `covid-study rank` wrote, to train on.

    \b
    Examples:
      covid-study select ranking.parquet --size 200
      covid-study select ranking.parquet --size 200 --strategy top --by difficulty -o hardest.csv
      covid-study select ranking.parquet --size 200 --stratify centre --seed 1
      covid-study select ranking.parquet --size 200 --rival k_center --json
    """
    _check_output(output)
    with working(), writing(output.parent):
        table = _read(ranking)
        check_size(size, len(table))
        stratum = _stratum(table, stratify, ranking)
        if rival:
            near, archive = _features(table, ranking, features)
            chosen = select_by_stratum(
                lambda part, take, one: RIVALS[rival](archive.loc[part.index], near, take, one, part["difficulty"]),
                table, stratum, size, seed,
            )  # fmt: skip
        else:
            chosen = select_by_stratum(
                lambda part, take, one: drawn(part, strategy, take, one, **how), table, stratum, size, seed
            )
        _write(table.loc[chosen], output)
    rule = rival or f"{strategy}, {how['by']}"
    found = {
        "selection": output,
        "size": size,
        "archive": len(table),
        "rule": rival or strategy,
        "stratify": stratify,
    }
    said = f"{output}: {size:,} of {len(table):,} exams ({rule}{f', by {stratify}' if stratify else ''})."
    answer({**found, "seed": seed, "exams": list(map(str, chosen))}, said, as_json)


def _stratum(table: pd.DataFrame, column: str | None, file: Path) -> pd.Series | None:
    if column is None:
        return None
    if column not in table:
        raise StudyError(f"{file} has no column {column} to stratify by. It has {', '.join(table.columns)}.")
    return table[column].astype(str)


def _features(table: pd.DataFrame, file: Path, moved: Path | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Features of the positives and of the archive, from where they were ranked."""
    made = table.attrs.get("ranked")
    if made is None:
        raise StudyError(
            f"{file} does not say by which features it was ranked. What to do: rank into a Parquet file."
        )
    ids, held = Path(made["ids"]) if made["ids"] else None, moved or Path(made["features"])
    features = open_features(held, ids, made["id"], made["columns"])
    if made["sha256"] != [sha256_of(one) for one in (held, ids) if one]:
        raise StudyError(f"{held} is not what it was when {file} was made of it: rank it again.")
    lost = table.index.difference(features.about.index).union(
        pd.Index(made["positives"]).difference(features.about.index)
    )
    if len(lost):
        raise StudyError(
            f"{features.known_by} lacks {len(lost)} exams of {file}, {lost[0]} first: rank it again."
        )
    return features.rows(made["positives"]), features.rows(list(table.index))


def _read(file: Path) -> pd.DataFrame:
    """A ranking, indexed by exam id."""
    if not file.is_file():
        raise StudyError(f"{file} does not exist. What to do: make it with covid-study rank.")
    try:
        if file.suffix == ".csv":
            names = pd.read_csv(file, nrows=0).columns
            words = {
                name: str for name in names if name.partition("_")[0] not in COUNTED
            }  # ids of people, centres
            table = pd.read_csv(file, dtype=words).set_index(names[0])
        else:
            table = pd.read_parquet(file)
    except ValueError as error:
        raise StudyError(
            f"{file} cannot be read ({error}). What to do: make it with covid-study rank."
        ) from error
    lacking = [name for name in ("difficulty", "joint_rank") if name not in table]
    if lacking:
        raise StudyError(
            f"{file} is no ranking: it has no {lacking[0]}. What to do: make it with covid-study rank."
        )
    return table


def _check_output(file: Path) -> None:
    if file.suffix not in (".parquet", ".csv"):
        raise click.UsageError(f"{file}: write to a file that ends in .parquet or .csv.")


def _write(table: pd.DataFrame, file: Path) -> None:
    write_atomically(file, table.to_csv if file.suffix == ".csv" else table.to_parquet)
