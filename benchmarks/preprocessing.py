"""How fast is preprocessing? `python benchmarks/preprocessing.py` measures it beside what a MONAI or TorchIO user would write.

From a folder of DICOM to the uint8 volume that is stored (paper A, IV-F2): lungs, 1 x 1 x 5 mm, crop, window, zero outside the
lungs, 256 x 192 x 56. Every side runs in fresh worker processes of one thread each, one and two at once; seconds are of the
exams, not of the imports; peak memory is of a worker beyond what it had before its first exam. TorchIO only where it is
installed. Results: preprocessing-<machine>.json.
"""

import argparse
import itertools
import json
import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pydicom
from machine import machine, short, slug
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from covid_study import paths
from covid_study.ct.files import read_volume
from covid_study.ct.lungs import lung_mask
from covid_study.ct.to_volume import FIELD_OF_VIEW_MM, preprocess
from covid_study.phantom import cohort

SPACING = (1.0, 1.0, 5.0)  # x, y, z
FULL = {"matrix": 512, "thickness_mm": (1.6, 1.6), "rounds": 3}
QUICK = {"matrix": 96, "thickness_mm": (6.0, 6.0), "rounds": 1}
PACKAGES = ("numpy", "scipy", "SimpleITK", "pydicom", "monai", "torch")


def ours(folder: Path) -> np.ndarray:
    """This package."""
    volume = read_volume(folder)
    return preprocess(volume.hu, volume.spacing_mm).image


def monai(folder: Path, own_mask: bool = True) -> np.ndarray:
    """The same steps of MONAI, without our smoothing; with our mask, else with a threshold, as a user has it."""
    from monai import transforms as mt

    load = mt.LoadImaged("image", reader="PydicomReader", ensure_channel_first=True)
    sample = load({"image": folder})
    hu = sample["image"]
    if own_mask:  # (x, y, z) in MONAI
        voxel = tuple(float(v) for v in hu.pixdim)
        mask = lung_mask(hu[0].numpy().transpose(2, 1, 0).astype(np.int16), voxel[::-1])
        mask = hu.new_tensor(mask.transpose(2, 1, 0)[None])
    else:
        mask = (hu < -400).to(hu.dtype)
    sample["lungs"] = mask
    size = [round(f / s) for f, s in zip(FIELD_OF_VIEW_MM, SPACING, strict=True)]
    chain = mt.Compose(
        [
            mt.Spacingd(["image", "lungs"], SPACING, mode=("bilinear", "nearest"), padding_mode="border"),
            mt.CropForegroundd(["image", "lungs"], "lungs", margin=[9, 9, 1], allow_smaller=True),
            mt.ScaleIntensityRanged("image", -1350, 150, 0, 1, clip=True),
            mt.MaskIntensityd("image", mask_key="lungs"),
            mt.ResizeWithPadOrCropd("image", size),
        ]
    )
    return (chain(sample)["image"][0].numpy() * 255).round().astype(np.uint8).transpose(2, 1, 0)


def torchio(folder: Path) -> np.ndarray:
    """The same of TorchIO, with a threshold."""
    import torchio as tio

    image = tio.ScalarImage(folder)
    lungs = tio.LabelMap(tensor=(image.data < -400).to(image.data.dtype), affine=image.affine)
    size = [round(f / s) for f, s in zip(FIELD_OF_VIEW_MM, SPACING, strict=True)]
    chain = tio.Compose(
        [
            tio.Resample(SPACING),
            tio.Clamp(-1350, 150),
            tio.RescaleIntensity((0, 1), in_min_max=(-1350, 150)),
            tio.Mask("lungs"),
            tio.CropOrPad(size, mask_name="lungs"),
        ]
    )
    done = chain(tio.Subject(image=image, lungs=lungs))["image"].data[0].numpy()
    return (done * 255).round().astype(np.uint8).transpose(2, 1, 0)


SIDES = {
    "ours": ours,
    "MONAI, our mask": monai,
    "MONAI, threshold": partial(monai, own_mask=False),
    "TorchIO, threshold": torchio,
}


def write_exam(folder: Path, plan: dict) -> int:
    """One phantom exam as uncompressed DICOM; its bytes in HU of 16 bits."""
    volume = cohort.make_exam("covid-0002-a", 0, plan["matrix"], plan["thickness_mm"]).volume
    folder.mkdir()
    series, study = generate_uid(), generate_uid()
    for n, plane in enumerate(volume.hu):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        header = pydicom.Dataset()
        header.file_meta = meta
        values = {
            "SOPClassUID": CTImageStorage, "SOPInstanceUID": meta.MediaStorageSOPInstanceUID, "Modality": "CT",
            "StudyInstanceUID": study, "SeriesInstanceUID": series, "InstanceNumber": n + 1, "PatientID": "phantom",
            "ImagePositionPatient": [0.0, 0.0, n * volume.spacing_mm[0]], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
            "PixelSpacing": [f"{mm:.8f}" for mm in volume.spacing_mm[1:]], "Rows": plane.shape[0],
            "Columns": plane.shape[1], "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2",
            "BitsAllocated": 16, "BitsStored": 16, "HighBit": 15, "PixelRepresentation": 1, "RescaleIntercept": "0",
            "RescaleSlope": "1", "PixelData": plane.tobytes(),
        }  # fmt: skip
        for name, value in values.items():
            setattr(header, name, value)
        header.save_as(folder / f"{n:04}.dcm", enforce_file_format=True)
    return volume.hu.nbytes


def work(side: str, small: Path, folder: Path, exams: int, barrier, results) -> None:
    """In a worker: imports and a small exam first, then the exams; seconds and bytes beyond what it had before."""
    import torch

    torch.set_num_threads(1)
    SIDES[side](small)
    before, seconds = peak(), []
    for _ in range(exams):
        barrier.wait()  # a round is over when the last worker is
        started = time.perf_counter()
        image = SIDES[side](folder)
        barrier.wait()
        seconds.append(time.perf_counter() - started)
    results.put((seconds, peak() - before, image))


def peak() -> int:
    """The most memory of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def measure(side: str, workers: int, small: Path, folder: Path, exams: int) -> tuple[dict, np.ndarray]:
    """Seconds an exam of `workers` at once, a number a round, and the largest memory of one."""
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(workers), context.Queue()
    given = (side, small, folder, exams, barrier, results)
    running = [context.Process(target=work, args=given, daemon=True) for _ in range(workers)]
    for process in running:
        process.start()
    found = [results.get(timeout=600) for _ in running]
    for process in running:
        process.join()
    seconds = [max(round_) / workers for round_ in zip(*(f[0] for f in found), strict=True)]
    return {"seconds": seconds, "memory": max(f[1] for f in found)}, found[0][2]


def main() -> int:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a small exam, seconds: does everything run?")
    parser.add_argument("--out", type=Path, default=paths.root() / "benchmarks" / "results")
    options = parser.parse_args()
    plan = QUICK if options.quick else FULL
    sides = [s for s in SIDES if not s.startswith("TorchIO") or find_spec("torchio")]
    if len(sides) < len(SIDES):
        print("TorchIO is not installed: left out")
    with tempfile.TemporaryDirectory() as made:
        small, folder = Path(made) / "small", Path(made) / "exam"
        write_exam(small, QUICK)
        size = write_exam(folder, plan)
        rows, images = [], {}
        for workers in (1, 2):
            for side in sides:
                run, images[side] = measure(side, workers, small, folder, plan["rounds"])
                rows.append(summary(side, workers, run, rows, size))
                print(json.dumps(short(rows[-1])), flush=True)
    results = {
        "machine": machine(None, PACKAGES),
        "command": " ".join(["python benchmarks/preprocessing.py", *sys.argv[1:]]),
        "quick": options.quick,
        "exam": {"bytes": size, "slices": size // 2 // plan["matrix"] ** 2, "matrix": plan["matrix"]},
        "left_out": [s for s in SIDES if s not in sides],
        "sides": rows,
        "correlation_with_ours": {s: alike(images[s], images["ours"]) for s in sides},
    }
    options.out.mkdir(parents=True, exist_ok=True)
    name = f"preprocessing-{slug(results['machine'])}{'-quick' * options.quick}.json"
    (options.out / name).write_text(json.dumps(short(results), indent=1) + "\n")
    print(options.out / name)
    return 0


def alike(one: np.ndarray, other: np.ndarray) -> float:
    """Correlation of two volumes, a voxel of difference in where the centre is rounded to aside."""
    shifts = itertools.product((-1, 0, 1), repeat=3)
    return max(float(np.corrcoef(np.roll(one, s, (0, 1, 2)).ravel(), other.ravel())[0, 1]) for s in shifts)


def summary(side: str, workers: int, run: dict, rows: list[dict], size: int) -> dict:
    """Medians of one side, and how many times as long as ours it took."""
    median = statistics.median(run["seconds"])
    own = next(
        (r["seconds_an_exam"] for r in rows if r["side"] == "ours" and r["workers"] == workers), median
    )
    return {
        "side": side,
        "workers": workers,
        "seconds_an_exam": median,
        "lowest": min(run["seconds"]),
        "highest": max(run["seconds"]),
        "ratio": median / own,
        "memory_in_exams": run["memory"] / size,
    }


if __name__ == "__main__":
    sys.exit(main())
