"""Small trees in the layouts of the public data sets; each function fills the folder `root` and returns it.

A test plants its faults itself: it removes a file, adds a line to a list.
"""

from pathlib import Path

import numpy as np
import SimpleITK as sitk
from dicom_factory import chest, write_series
from PIL import Image

LISTS = {"train": "train", "validation": "val", "test": "test"}  # our word -> the data sets'


def picture(file: Path, seed: int, size: tuple[int, int] = (48, 40)) -> None:
    """Write a grey picture, (y, x) pixels, that no other seed gives."""
    file.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(1, 255, size, dtype=np.uint8)
    Image.fromarray(values).save(file)


def volume(file: Path) -> None:
    """Write a small volume file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.GetImageFromArray(chest()), str(file))


def text(file: Path, *lines: str) -> None:
    """Write lines to a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def covid_ct(root: Path, n: int = 4) -> Path:
    """COVID-CT: n pictures of each class in each list, two pictures a patient, the two files of patients as published."""
    for c, kind in enumerate(("COVID", "NonCOVID")):
        patients = []
        for k, name in enumerate(LISTS.values()):
            files = [f"{kind.lower()} {name}%{i}.png" for i in range(n)]
            for i, file in enumerate(files):
                picture(root / "Images-processed" / f"CT_{kind}" / file, seed=1000 * c + 100 * k + i)
                patients.append((file, f"{kind} {name} {i // 2}"))
            text(root / "Data-split" / kind / f"{name}CT_{kind}.txt", *files)
        rows = [f"{i},{file},{patient}" for i, (file, patient) in enumerate(patients)]
        if kind == "COVID":  # the two files do not name their columns alike
            text(
                root / "Meta-data" / "COVID-CT-MetaInfo.csv",
                "File name,Patient ID",
                *(r.partition(",")[2] for r in rows),
            )
        else:
            text(root / "Meta-data" / "NonCOVID-CT-MetaInfo.csv", ",image name,patient id", *rows)
    return root


def sars_cov_2(root: Path, n: int = 6) -> Path:
    """SARS-CoV-2 CT-scan: two folders of n pictures, no patients, no split."""
    for c, (folder, name) in enumerate((("COVID", "Covid"), ("non-COVID", "Non-Covid"))):
        for i in range(1, n + 1):
            picture(root / folder / f"{name} ({i}).png", seed=1000 * c + i)
    return root


def covidx_ct(root: Path, version: str = "2A", n: int = 2) -> Path:
    """COVIDx-CT 1, 2A, 2B or 3A: n patients of each class in each list, two slices each, with bounding boxes.

    2B has a list of its own for training only, and a patient of MosMedData in it.
    """
    names = {"1": "COVIDx-CT"}.get(version, f"COVIDx_CT-{version}")
    folder = {"1": "COVIDx-CT", "2B": "2A_images"}.get(version, f"{version}_images")
    for k, split in enumerate(LISTS.values()):
        lines = []
        for c, prefix in enumerate(("Normal", "CP", "NCP")):
            for patient in range(n):
                for i in range(2):
                    file = f"{prefix}_{100 * k + patient}_{7 + patient}_{i:04d}.png"
                    picture(root / folder / file, seed=1000 * c + 100 * k + 10 * patient + i)
                    lines.append(f"{file} {c} 4 6 36 44")
        if version == "2B":
            names = "COVIDx_CT-2B" if split == "train" else "COVIDx_CT-2A"
            if split == "train":
                picture(root / folder / "study_0255-0007.png", seed=9999)
                lines.append("study_0255-0007.png 2 4 6 36 44")
        text(root / f"{split}_{names}.txt", *lines)
    return root


def covid19_diag(root: Path, n: int = 3) -> Path:
    """COVID19-Diag: train and test, a folder a class, n cases each as folders with two slices."""
    for k, split in enumerate(("train", "test")):
        for c, kind in enumerate(("COVID-19", "Normal", "Bacterial Pneumonia")):
            for case in range(n):
                for i in range(2):
                    seed = 1000 * c + 100 * k + 10 * case + i
                    picture(root / split / kind / f"case{10 * k + case}" / f"{i}.png", seed)
    return root


def covid_ct_md(root: Path, n: int = 2) -> Path:
    """COVID-CT-MD: n patients of each class as DICOM, and the files that lie beside the class folders."""
    for folder, prefix in (
        ("COVID-19 subjects", "P"),
        ("CAP subjects", "cap"),
        ("Normal subjects", "normal"),
    ):
        for i in range(1, n + 1):
            write_series(root / folder / f"{prefix}{i:03d}", chest(2), seed=i)
    text(root / "Index.csv", "Label Index,Diagnosis,Folder/ID,Relative Path")
    for name in ("Slice-level-labels.npy", "Lobe-level-labels.npy"):
        np.save(root / name, np.zeros((2, 2)))
    text(root / "Clinical-data.csv", "Folder,Diagnosis")
    return root


def mosmeddata(root: Path, n: int = 2) -> Path:
    """MosMedData COVID19_1110: n studies of each of the five categories, a mask, the registry."""
    for category in range(5):
        for i in range(1, n + 1):
            volume(root / "studies" / f"CT-{category}" / f"study_{10 * category + i:04d}.nii.gz")
    volume(root / "masks" / "study_0011_mask.nii.gz")
    text(root / "dataset_registry.xlsx", "no real workbook")
    return root


def stoic(root: Path, n: int = 2) -> Path:
    """STOIC's public training set: 2 n patients, every other with a positive RT-PCR."""
    rows = []
    for i in range(2 * n):
        volume(root / "data" / "mha" / f"{100 + i}.mha")
        rows.append(f"{100 + i},{i % 2},0")
    text(root / "metadata" / "reference.csv", "PatientID,probCOVID,probSevere", *rows)
    return root
