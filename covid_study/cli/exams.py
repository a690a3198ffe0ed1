"""The commands for models and for exams of one's own: export, predict, explain."""

import json
from pathlib import Path

import click

from covid_study.cli.output import answer, as_json, working
from covid_study.errors import StudyError

NO_DEVICE = "Research software, not a medical device."

burnt_in = click.option(
    "--burnt-in", is_flag=True, help="Read exams whose header says that text is burnt into the pixels."
)


@click.command()
@click.argument("run")
@click.option("--table", required=True, help="A table of the run, such as A.III or B.6.")
@click.option("--row", required=True, help="A row of that table, such as both.")
@click.option("--column", help="A column, such as 56%; may be left out where the row has one only.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The folder to write.")
@as_json
def export(run: str, table: str, row: str, column: str | None, output: Path, as_json: bool) -> None:
    """Write the classifiers of a row and column of RUN, all seeds, as a model that others can use.

    The folder holds model.safetensors (weights, no pickle), model.json (what they are, read and were scored) and README.md.

    \b
    Examples:
      covid-study export demo --table A.III --row both --column 56% -o model/
    """
    from covid_study.models.export import export as write

    with working():
        model = write(run, table, row, column, output)
    size = sum(file.stat().st_size for file in model.folder.iterdir()) / 1e6
    said = f"{output}: {model.about['name']}, {len(model.seeds)} networks, {size:.1f} MB. {NO_DEVICE}"
    answer(model.about, said, as_json)


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("exams", nargs=-1, required=True)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Write the table there (.csv, .json) instead."
)
@click.option(
    "--overlay",
    type=click.Path(path_type=Path),
    help="A folder: a picture of each exam and where was looked.",
)
@click.option("--workers", type=click.IntRange(min=1), help="Exams at once; default: one a core.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1, mps or auto.")
@burnt_in
@as_json
def predict(
    model: Path,
    exams: tuple[str, ...],
    output: Path | None,
    overlay: Path | None,
    workers: int | None,
    device: str,
    burnt_in: bool,
    as_json: bool,
) -> None:
    """Say how likely each of EXAMS shows COVID-19, by the MODEL that `export` wrote: one row an exam.

    EXAMS are DICOM folders, NIfTI, NRRD or MHA files, folders of such, or pictures. An exam that cannot be used has its reason
    in the column error, and does not stop the others; the status is then 1. Research software, not a medical device.

    \b
    Examples:
      covid-study predict model/ exams/*/ -o predictions.csv --overlay maps/
    """
    from covid_study.models.model import NOTICE, read
    from covid_study.models.predict import How, predict as ask
    from covid_study.runtime.artefacts import write_text

    if output and output.suffix not in (".csv", ".json"):
        raise StudyError(f"-o {output}: give a name that ends in .csv or .json.")
    with working():
        found = ask(read(model), exams, How(device, burnt_in, overlay), workers)
    rows = found.drop(columns="notice").astype(object)
    rows = rows.where(rows.notna(), None).to_dict("records")  # pandas' own JSON ends at 15 digits
    told, table = {"notice": NOTICE, "exams": rows}, found.to_csv(index=False)
    failed = int((found["error"] != "").sum())
    if output:
        text = json.dumps(told, indent=1) if output.suffix == ".json" else table
        write_text(output, text)
        told = {"output": output, "exams": len(found), "failed": failed, "notice": NOTICE}
        table = f"{output}: {len(found)} exams, {failed} of them failed. {NO_DEVICE}"
    answer(told, table.rstrip("\n"), as_json)
    click.get_current_context().exit(int(failed > 0))


@click.command()
@click.argument("exam", type=click.Path(path_type=Path))
@click.option(
    "--model", type=click.Path(path_type=Path), help="Show what this model would see; else as in the papers."
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="The picture to write; default: explained.png."
)
@burnt_in
@as_json
def explain(exam: Path, model: Path | None, output: Path | None, burnt_in: bool, as_json: bool) -> None:
    """Why was EXAM left out, or read as it was? Checks, geometry, HU, the lung mask and what a network would see.

    EXAM is a DICOM folder, a volume file, a picture or a folder of pictures. The status is 1 where it cannot be used.

    \b
    Examples:
      covid-study explain exams/P001 -o P001.png
    """
    from covid_study.models.explain import explain as look

    with working():
        found = look(exam, output or Path("explained.png"), model, burnt_in)
    answer(found.about, found.text, as_json)
    click.get_current_context().exit(int(not found.usable))
