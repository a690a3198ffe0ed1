"""What is fuzzed: every reader of the study, with small valid inputs of its kind and the folder that it looks for.

`TARGETS` maps a name to a `Target`; `edited` damages an input as files are damaged: bits that flip, parts that are cut, lost,
put in or repeated, numbers that are too large, negative or none.
"""

import io
import json
import random
import re
import resource
import tempfile
import traceback
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import dataset_trees
import numpy as np
import SimpleITK as sitk
from chest_pictures import chest as slice_of_a_chest
from dicom_factory import chest, write_frames, write_series
from PIL import Image

from covid_study import paths
from covid_study.cohort.exam_layouts import find_exams
from covid_study.cohort.picture_layouts import find_images
from covid_study.ct.files import read_volume
from covid_study.ct.pictures import read_image
from covid_study.errors import StudyError
from covid_study.params.profiles import changed, load_profile
from covid_study.study import dependencies, execute, notebook as notebooks

PROFILE = paths.root() / "params" / "smoke.yaml"
SMOKE = load_profile(PROFILE)
HU = chest(8, 24, 24)  # as few slices as an exam may have: headers are what takes time
SERIES = {"SeriesInstanceUID": "1.2.3", "StudyInstanceUID": "1.2.4"}


@dataclass(frozen=True)
class Target:
    """A reader: the file it reads, below a folder that `make` fills; valid inputs; `read`, called with that file."""

    file: str
    seeds: Callable[[], list[bytes]]
    read: Callable[[Path], object]
    make: Callable[[Path], object] = lambda folder: None


def rows(*lines: str) -> Callable[[], list[bytes]]:
    """One input: these lines."""
    return lambda: ["\n".join(lines).encode()]


def volumes(suffix: str, compressed: tuple[bool, ...] = (False,)) -> Callable[[], list[bytes]]:
    """A chest in a volume format, as int16 and as float32."""

    def seeds() -> list[bytes]:
        found = []
        with tempfile.TemporaryDirectory() as folder:
            for kind in (np.int16, np.float32):
                for how in compressed:
                    file = Path(folder, f"volume{suffix}")
                    sitk.WriteImage(sitk.GetImageFromArray(HU.astype(kind)), str(file), useCompression=how)
                    found.append(file.read_bytes())
        return found

    return seeds


def beside(header: str, data: str) -> Callable[[Path], object]:
    """Puts the file with the voxels where a detached header looks for it."""

    def make(folder: Path) -> None:
        sitk.WriteImage(sitk.GetImageFromArray(HU), str(folder / header))
        assert (folder / data).is_file()

    return make


def slices() -> list[bytes]:
    """A DICOM slice, plain and with tags that HU rests on."""
    with tempfile.TemporaryDirectory() as folder:
        plain = write_series(Path(folder, "a"), HU, **SERIES)[3]
        padded = write_series(Path(folder, "b"), HU, PixelPaddingValue=63536, NumberOfFrames="1", **SERIES)[3]
        return [plain.read_bytes(), padded.read_bytes()]


def frames() -> list[bytes]:
    """The series as an enhanced CT."""
    with tempfile.TemporaryDirectory() as folder:
        return [write_frames(Path(folder, "frames.dcm"), HU).read_bytes()]


def series(folder: Path) -> None:
    """The other slices of the series."""
    write_series(folder, HU, **SERIES)[3].unlink()


def pictures() -> list[bytes]:
    """A slice in every format and kind of values."""
    grey = Image.fromarray(slice_of_a_chest(0, 40))
    deep = Image.fromarray(slice_of_a_chest(0, 40).astype(np.uint16) * 200)
    floats = Image.fromarray(slice_of_a_chest(0, 40).astype(np.float32))
    kinds = [
        *((image, "PNG", {}) for image in (grey, deep, grey.convert("RGBA"), grey.convert("P"))),
        *((image, "TIFF", {}) for image in (grey, deep, floats)),
        (grey, "TIFF", {"compression": "tiff_lzw"}),
        (grey, "TIFF", {"save_all": True, "append_images": [grey]}),
        (grey, "JPEG", {}),
        (grey, "BMP", {}),
    ]
    found = []
    for image, kind, options in kinds:
        image.save(stream := io.BytesIO(), kind, **options)
        found.append(stream.getvalue())
    return found


def profiles() -> list[bytes]:
    """A profile, and YAML with aliases, merge keys and tags."""
    text = PROFILE.read_bytes()
    return [
        text,
        b"a: &a [1, 2]\nstudy: {<<: {name: x}, seeds: *a}\ncohort: !!set {x, y}\nslices: 2020-01-01\n",
    ]


RECORD = {
    "status": "done",
    "parts": {"the notebook": "ab", "the code": "cd"},
    "seconds": 12.5,
    "finished": "2026-01-01 10:00",
    "facts": {"commit": "abc", "processor": "some"},
    "said": {"headline": {"text": "F1 is 0.5", "device": "cpu"}, "left_out": [], "cohort": {}},
    "error": None,
    "for_people": False,
    "templates": "ef",
}


def record(file: Path) -> None:
    """What a run asks of the record of a notebook's last one."""
    parts = {"the notebook": "ab", "the code": "other"}
    found = notebooks.Notebook("01_a", file, {}, (), parts, file.parent, file, notebooks.read_record(file))
    found.status(), found.why_stale(), found.said.get("headline")


def notebook(file: Path) -> None:
    """What a run asks of a notebook before anything runs."""
    content = notebooks.read_notebook(file)
    found = notebooks.Notebook("01_a", file, content, (), {}, file.parent, file, None)
    found.title, dependencies.notebook_key(content), dependencies.imported(content)
    execute.injected("01_a", content, load_profile(PROFILE))


def exam_files(folder: Path) -> None:
    """The files that the exam table names."""
    for name in "ab":
        dataset_trees.volume(folder / f"{name}.nii.gz")


def picture_files(folder: Path) -> None:
    """The files that the image table names."""
    for i, name in enumerate("abcd"):
        dataset_trees.picture(folder / f"{name}.png", i)


TARGETS = {
    "exams": Target(
        "exams.csv",
        rows(
            "exam_id,patient_id,path,finding,centre,split",
            "a,p,a.nii.gz,covid,A,train",
            'b,"q, r",b.nii.gz,cap,,test',
        ),
        lambda file: (dependencies.exams_key(str(file)), find_exams(file)),
        exam_files,
    ),
    "images": Target(
        "images.csv",
        rows(
            "path;finding;patient_id;split",
            *("a.png;covid;p;train", "b.png;normal;q;train", "c.png;COVID-19;r;test", "d.png;cap;s;test"),
        ),
        find_images,
        picture_files,
    ),
    "dicom": Target("slice.dcm", slices, lambda file: read_volume(file.parent), series),
    "frames": Target("frames.dcm", frames, read_volume),
    "nifti": Target("volume.nii", volumes(".nii"), read_volume),
    "nifti-gz": Target("volume.nii.gz", volumes(".nii.gz", (True,)), read_volume),
    "nrrd": Target("volume.nrrd", volumes(".nrrd", (False, True)), read_volume),
    "nhdr": Target("volume.nhdr", volumes(".nhdr"), read_volume, beside("volume.nhdr", "volume.raw")),
    "mha": Target("volume.mha", volumes(".mha", (False, True)), read_volume),
    "mhd": Target("volume.mhd", volumes(".mhd"), read_volume, beside("volume.mhd", "volume.raw")),
    "picture": Target("slice.png", pictures, read_image),
    "split-list": Target(
        "Data-split/COVID/trainCT_COVID.txt",
        rows(*(f"covid train%{i}.png" for i in range(4))),
        lambda file: find_images(file.parents[2]),
        dataset_trees.covid_ct,
    ),
    "patients": Target(
        "Meta-data/COVID-CT-MetaInfo.csv",
        rows("File name,Patient ID", "covid train%0.png,Patient 1", '"covid train%1.png",1'),
        lambda file: find_images(file.parents[1]),
        dataset_trees.covid_ct,
    ),
    "covidx-ct": Target(
        "train_COVIDx_CT-2A.txt",
        rows(*(f"{p}_{i}_7_000{i}.png {c} 4 6 36 44" for c, p in enumerate(("Normal", "CP", "NCP")) for i in range(2))),
        lambda file: find_images(file.parent),
        dataset_trees.covidx_ct,
    ),
    "stoic": Target(
        "metadata/reference.csv",
        rows("PatientID,probCOVID,probSevere", "100,0,0", "101,1,0", "102,0,0", "103,1,1"),
        lambda file: find_exams(file.parents[1]),
        dataset_trees.stoic,
    ),
    "params": Target("mine.yaml", profiles, load_profile),
    "set": Target(
        "set.txt",
        rows("training.epochs=2 'sampling.shares=[0.1, 0.5]' cohort.phantom.seed=3"),
        lambda file: changed(deepcopy(SMOKE), file.read_text("utf-8", errors="replace")),
    ),
    "record": Target("01_a.json", rows(json.dumps(RECORD, indent=1)), record),
    "notebook": Target(
        "01_a.ipynb", lambda: [(paths.root() / "notebooks" / "03_ranking.ipynb").read_bytes()], notebook
    ),
}  # fmt: skip

LARGEST = 2**20  # KiB more than before
MESSAGE = 600  # characters of an error for people


class Fuzzed:
    """One target in a folder of its own."""

    def __init__(self, name: str, folder: Path):
        self.name, self.target = name, TARGETS[name]
        self.file = folder / self.target.file
        self.target.make(folder)
        self.file.parent.mkdir(parents=True, exist_ok=True)

    def corpus(self) -> list[bytes]:
        """Inputs that once found something."""
        folder = Path(__file__).with_name("corpus") / self.name
        return [file.read_bytes() for file in sorted(folder.iterdir())] if folder.is_dir() else []

    def wrong(self, data: bytes) -> str:
        """What is wrong with how an input is read, and in which function; empty where nothing is."""
        self.file.write_bytes(data)
        before = _peak()
        try:
            self.target.read(self.file)
        except StudyError as error:
            if len(str(error)) > MESSAGE:
                place = traceback.extract_tb(error.__traceback__)[-1]
                return f"{place.name}: a message of more than {MESSAGE} characters"
        except Exception as error:
            ours = [f for f in traceback.extract_tb(error.__traceback__) if "covid_study" in f.filename]
            return f"{ours[-1].name}: {type(error).__name__}" if ours else type(error).__name__
        more = _peak() - before
        return f"{more / 2**10:.0f} MiB" if more > LARGEST else ""


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


# ------------------------------------------------------------------------------------------------ damage

NUMBERS = (
    0,
    1,
    2,
    127,
    128,
    255,
    2**15 - 1,
    2**15,
    2**16 - 1,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63 - 1,
    2**64 - 1,
)
WORDS = (b"0", b"-1", b"1e999", b"nan", b"inf", b"99999999999999999999", b"1e-320", b"", b"\x00", b"\n", b"\r", b'"', b",",
         b";", b"\t", b"../", b"/", b"~", b"[", b"{", b": ", b"&a ", b"*a", b"<<: ", b"!!python/name:os.system ", b"\xff\xfe",
         b"\xef\xbb\xbf", b"None", b"null", b"true", b"'", b"#", b"%", b"\\", b"LIST", b"LOCAL")  # fmt: skip
KINDS = ("flip", "cut", "lose", "put in", "repeat", "binary number", "text number")


def edited(data: bytes, edits: list[tuple[str, int]]) -> bytes:
    """A damaged input; each edit is a kind and a number that decides where and how.

    >>> edited(b"size: 512", [("text number", 3)]), edited(b"abcdef", [("cut", 0)])
    (b'size: 99999999999999999999', b'abc')
    """
    for kind, number in edits:
        data = _edited(data, kind, random.Random(number))
    return data


def _edited(data: bytes, kind: str, chance: random.Random) -> bytes:
    # half of the damage goes into the head, where most formats say what follows
    length = min(len(data), 400) if chance.random() < 0.5 else len(data)
    at = chance.randrange(length + 1)
    end = min(len(data), at + chance.choice((1, 2, 4, 16, 200)))
    if kind == "flip":
        flipped = bytes(value ^ (1 << chance.randrange(8)) for value in data[at : at + 1])
        return data[:at] + flipped + data[at + 1 :]
    if kind == "cut":
        return data[:at]
    if kind == "lose":
        return data[:at] + data[end:]
    if kind == "put in":
        return data[:at] + chance.choice(WORDS) + data[at:]
    if kind == "repeat":
        return data[:end] + data[at:end] * chance.choice((1, 2, 1000)) + data[end:]
    if kind == "binary number":
        width = chance.choice((1, 2, 4, 8))
        number = (chance.choice(NUMBERS) % 256**width).to_bytes(width, chance.choice(("little", "big")))
        return data[:at] + number + data[at + width :]
    places = list(re.finditer(rb"-?\d+(\.\d+)?", data[:4000]))
    place = chance.choice(places).span() if places else (at, at)
    return data[: place[0]] + chance.choice(WORDS) + data[place[1] :]
