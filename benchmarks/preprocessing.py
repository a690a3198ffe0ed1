"""How fast is preprocessing? `python benchmarks/preprocessing.py` measures it beside the chains of MONAI and TorchIO.

From a folder of DICOM to the uint8 volume that is stored (paper A, IV-F2): lungs, 1 x 1 x 5 mm, crop, window, zero outside
the lungs, 256 x 192 x 56. The others get our lung mask, our grid and our smoothing, and give our volume: correlation 0.9999,
and what is left is where each Gaussian ends. `Spacingd` as it is gives another (0.93): the centre of the first voxel stays
where it was, in ours its edge (with `scale_extent` it moves as far the wrong way), and nothing is smoothed (alone, on our
grid: 0.994, a row here).

Every side runs in fresh worker processes, a core and a thread each, one and two at once; seconds are of the exams, not of
the imports; peak memory is of a worker beyond what it had before its first exam. TorchIO only where it is installed;
`--before` adds another working tree's package. Results: preprocessing-<machine>.json.
"""

import argparse
import itertools
import json
import multiprocessing
import os
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
from covid_study.ct.to_volume import FIELD_OF_VIEW_MM, MARGIN_MM, preprocess
from covid_study.phantom import cohort

SPACING = np.array([1.0, 1.0, 5.0])  # x, y, z
SIZE = [round(mm / step) for mm, step in zip(FIELD_OF_VIEW_MM, SPACING, strict=True)]
FULL = {"matrix": 512, "thickness_mm": (1.6, 1.6), "rounds": 3}
THREADS = [f"{name}_NUM_THREADS" for name in ("OMP", "OPENBLAS", "MKL", "ITK_GLOBAL_DEFAULT")]
QUICK = {"matrix": 96, "thickness_mm": (6.0, 6.0), "rounds": 1}
PACKAGES = ("numpy", "scipy", "SimpleITK", "pydicom", "monai", "torch")


def ours(folder: Path) -> np.ndarray:
    """This package."""
    volume = read_volume(folder)
    return preprocess(volume.hu, volume.spacing_mm).image


def before(folder: Path, tree: str) -> np.ndarray:
    """This package as another working tree has it."""
    if tree not in sys.path:
        for name in [n for n in sys.modules if n.split(".")[0] == "covid_study"]:
            del sys.modules[name]
        sys.path.insert(0, tree)
    from covid_study.ct import files, to_volume

    volume = files.read_volume(folder)
    return to_volume.preprocess(volume.hu, volume.spacing_mm).image


def our_mask(hu: np.ndarray, voxel: np.ndarray) -> np.ndarray:
    """Our lung mask of HU (x, y, z)."""
    return lung_mask(hu.transpose(2, 1, 0).astype(np.int16), tuple(voxel[::-1].tolist())).transpose(2, 1, 0)


def grid(affine: np.ndarray, shape: tuple[int, ...], voxel: np.ndarray) -> tuple[list[int], np.ndarray]:
    """Our grid of an image: how many voxels, and where they lie; the edge of the first stays in place."""
    new = affine.copy()
    new[:3, :3] = affine[:3, :3] / voxel * SPACING
    new[:3, 3] += affine[:3, :3] / voxel @ (SPACING - voxel) / 2
    return [round(n * old / to) for n, old, to in zip(shape, voxel, SPACING, strict=True)], new


def monai(folder: Path, smooth: bool = True) -> np.ndarray:
    """MONAI's transforms, cropped before the costly ones; (x, y, z)."""
    import torch
    from monai import transforms as mt

    sample = mt.LoadImaged("image", reader="PydicomReader", ensure_channel_first=True)({"image": folder})
    hu = sample["image"]
    voxel = np.array(hu.pixdim, float)
    sample["lungs"] = hu.new_tensor(our_mask(hu[0].numpy(), voxel)[None])
    size, affine = grid(hu.affine.numpy(), hu.shape[1:], voxel)
    spare = np.ceil((np.array(MARGIN_MM) + 2 * SPACING) / voxel).astype(int).tolist()
    sample = mt.CropForegroundd(["image", "lungs"], "lungs", margin=spare, allow_smaller=True)(sample)
    first, last = (-0.5,) * 3, np.array(sample["image"].shape[1:]) - 0.5  # the part of our grid that is left
    first, last = (
        (np.linalg.solve(affine, sample["image"].affine.numpy()) @ [*c, 1])[:3] for c in (first, last)
    )
    first, last = np.maximum(np.ceil(first), 0), np.minimum(np.floor(last) + 1, size)
    affine[:3, 3] += affine[:3, :3] @ first
    if smooth:
        sigma = 0.4 * np.maximum(SPACING**2 - voxel**2, 0) ** 0.5 / voxel
        sample["image"] = mt.GaussianSmooth(sigma.tolist(), approx="scalespace")(sample["image"])
    where = {"dst_affine": torch.tensor(affine), "spatial_size": (last - first).astype(int).tolist()}
    for key, mode in (("image", "bilinear"), ("lungs", "nearest")):
        sample[key] = mt.SpatialResample(mode, "border", dtype=torch.float32)(sample[key], **where)
    chain = mt.Compose(
        [
            mt.CropForegroundd(["image", "lungs"], "lungs", margin=[9, 9, 1], allow_smaller=True),
            mt.ScaleIntensityRanged("image", -1350, 150, 0, 1, clip=True),
            mt.MaskIntensityd("image", mask_key="lungs"),
            mt.ResizeWithPadOrCropd("image", SIZE),
        ]
    )
    return (chain(sample)["image"][0].numpy() * 255).round().astype(np.uint8).transpose(2, 1, 0)


def torchio(folder: Path) -> np.ndarray:
    """TorchIO's transforms; its Gaussian is wider by 6 %; (x, y, z)."""
    import torchio as tio

    read = tio.ScalarImage(folder)
    voxel = np.array(read.spacing)
    lungs = our_mask(read.data[0].numpy(), voxel)
    subject = tio.Subject(
        image=tio.ScalarImage(tensor=read.data.float(), affine=read.affine),
        lungs=tio.LabelMap(tensor=lungs[None].astype(np.uint8), affine=read.affine),
    )
    chain = tio.Compose(
        [
            tio.Resample(grid(read.affine, read.spatial_shape, voxel), antialias=True),
            tio.RescaleIntensity((0, 1), in_min_max=(-1350, 150)),
            tio.Mask("lungs"),
            tio.CropOrPad(SIZE, mask_name="lungs"),
        ]
    )
    done = chain(subject)["image"].data[0].numpy()
    return (done * 255).round().astype(np.uint8).transpose(2, 1, 0)


SIDES = {
    "ours": ours,
    "MONAI": monai,
    "MONAI, unsmoothed": partial(monai, smooth=False),
    "TorchIO": torchio,
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


def work(side, small: Path, folder: Path, exams: int, barrier, results, core: int) -> None:
    """In a worker: imports and a small exam first, then the exams; seconds and bytes beyond what it had before."""
    if hasattr(os, "sched_setaffinity"):  # our own threads that read ahead, too
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[core]})
    side(small)
    at_first, seconds = peak(), []
    for _ in range(exams):
        barrier.wait()  # a round is over when the last worker is
        started = time.perf_counter()
        image = side(folder)
        barrier.wait()
        seconds.append(time.perf_counter() - started)
    results.put((seconds, peak() - at_first, image))


def peak() -> int:
    """The most memory of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def measure(side, workers: int, small: Path, folder: Path, exams: int) -> tuple[dict, np.ndarray]:
    """Seconds an exam of `workers` at once, a number a round, and the largest memory of one."""
    context = multiprocessing.get_context("forkserver")  # a child of this process would begin with its peak
    barrier, results = context.Barrier(workers), context.Queue()
    given = (side, small, folder, exams, barrier, results)
    running = [context.Process(target=work, args=(*given, core), daemon=True) for core in range(workers)]
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
    parser.add_argument("--before", type=Path, help="a working tree of another commit, measured as well")
    options = parser.parse_args()
    os.environ |= dict.fromkeys(THREADS, "1")
    plan = QUICK if options.quick else FULL
    sides = dict(SIDES)
    if not find_spec("torchio"):
        print("TorchIO is not installed: left out")
        del sides["TorchIO"]
    if options.before:
        sides["before"] = partial(before, tree=str(options.before.resolve()))
    with tempfile.TemporaryDirectory() as made:
        small, folder = Path(made) / "small", Path(made) / "exam"
        write_exam(small, QUICK)
        size = write_exam(folder, plan)
        rows, images = [], {}
        for workers in (1, 2):
            for side in sides:
                run, images[side] = measure(sides[side], workers, small, folder, plan["rounds"])
                rows.append(summary(side, workers, run, rows, size))
                print(json.dumps(short(rows[-1])), flush=True)
    results = {
        "machine": machine(None, PACKAGES + ("torchio",) * ("TorchIO" in sides)),
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
