"""A small data set with one fault of each kind, so that a reader sees how each is found, and a test that it is."""

from collections.abc import Collection
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from covid_study.samples.samples import Samples

FAULTS = ("duplicate", "patient", "mode", "text")
EACH = {"train": 7, "test": 4}  # pictures of a class, each of a patient of its own
SIZE, LETTERS = 256, 16  # pixels
PLACES = {True: ("CT_COVID", "COVID"), False: ("CT_NonCOVID", "NonCOVID")}


def planted(folder: Path, s: Samples, faults: Collection[str] = FAULTS) -> Path:
    """Write a handful of slices as COVID-CT is laid out, with faults: what they are, `leaks.report` must find.

    duplicate: a COVID-19 slice of the test list trains too, scaled by 0.7 and as JPEG, under another patient's name.
    patient: a slice of the training list belongs to a patient of the test list.
    mode: COVID-19 is stored as RGBA, the rest as grey, as SARS-CoV-2 CT-scan's classes differ.
    text: words are burnt into half of the COVID-19 slices.

    Args:
        folder: to write to; made where it is missing. s: at least one slice of each class on each side.

    Returns:
        folder, for `slices.images`.
    """
    folder = Path(folder)
    for covid, (pictures, name) in PLACES.items():
        (folder / "Images-processed" / pictures).mkdir(parents=True, exist_ok=True)
        (folder / "Data-split" / name).mkdir(parents=True, exist_ok=True)
        people = []
        lists = {"train": [], "val": [], "test": []}
        for split, most in EACH.items():
            chosen = s.table.index[(s.table["split"] == split) & ((s.table["finding"] == "covid") == covid)][
                :most
            ]
            for n, image in enumerate(s.of(chosen).cpu().numpy()):
                file = f"{name.lower()}_{split}_{n}.png"
                picture = Image.fromarray(image).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
                if "text" in faults and covid and n % 2 == 0:
                    _write_on(picture, f"No. {n + 1}")
                patient = f"{name} {split} {n}"
                lists[split].append(file)
                if "duplicate" in faults and covid and split == "test" and n == 1:
                    _again(picture, folder / "Images-processed" / pictures / "again.jpg", "mode" in faults)
                    lists["train"].append("again.jpg")
                    people.append(("again.jpg", "another patient"))
                if "mode" in faults and covid:
                    picture = picture.convert("RGBA")
                picture.save(folder / "Images-processed" / pictures / file)
                people.append((file, patient))
        if "patient" in faults and not covid:
            tested = next(patient for file, patient in people if file == lists["test"][0])
            people = [(file, tested if file == lists["train"][0] else patient) for file, patient in people]
        for split, files in lists.items():
            (folder / "Data-split" / name / f"{split}{pictures}.txt").write_text("\n".join(files) + "\n")
        _write_people(folder / "Meta-data", name, people)
    return folder


def _write_on(picture: Image.Image, text: str) -> None:
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(LETTERS)
    left, top, right, bottom = draw.textbbox((4, 4), text, font=font)
    draw.rectangle((left - 4, top - 4, right + 4, bottom + 4), fill=0)  # as a scanner writes it: on black
    draw.text((4, 4), text, fill=255, font=font)


def _again(picture: Image.Image, file: Path, colour: bool) -> None:
    size = round(0.7 * SIZE)
    small = picture.resize((size, size), Image.Resampling.BILINEAR)
    (small.convert("RGB") if colour else small).save(file, quality=70)


def _write_people(folder: Path, name: str, people: list[tuple[str, str]]) -> None:
    """Whose picture each is; the two published files do not name their columns alike."""
    folder.mkdir(parents=True, exist_ok=True)
    if name == "COVID":
        lines = ["File name,Patient ID", *(f"{file},{patient}" for file, patient in people)]
    else:
        lines = [
            ",image name,patient id",
            *(f"{n},{file},{patient}" for n, (file, patient) in enumerate(people)),
        ]
    (folder / f"{name}-CT-MetaInfo.csv").write_text("\n".join(lines) + "\n")
