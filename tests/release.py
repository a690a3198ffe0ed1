"""`make dist`: build a wheel, install it into an environment of its own and try it there. Nothing is fetched.

python tests/release.py FOLDER
"""

import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("covid_study", "notebooks", "params", "pyproject.toml", "README.md", "LICENSE", "CITATION.cff")
COMMANDS = (
    ["-c", "import covid_study; print(covid_study.__version__, covid_study.__file__)"],
    ["-m", "covid_study", "datasets", "list"],
    ["-m", "covid_study", "reproduce", "--help"],
    ["-m", "covid_study", "reproduce", "--profile", "smoke", "--times"],  # reads profiles and notebooks
)


def _pip(*arguments: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments], check=True
    )


def build(folder: Path) -> Path:
    """The wheel, made by the installed setuptools in a copy of the tree: it leaves its work in build/."""
    with tempfile.TemporaryDirectory() as copy:
        for part in PARTS:
            if (ROOT / part).is_dir():
                unwanted = shutil.ignore_patterns("__pycache__", ".*")
                shutil.copytree(ROOT / part, Path(copy, part), ignore=unwanted)
            else:
                shutil.copy(ROOT / part, copy)
        _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), copy)
    return max(folder.glob("covid_study-*.whl"), key=lambda file: file.stat().st_mtime)


def tried(wheel: Path, place: Path) -> list[str]:
    """What each of COMMANDS printed in a new environment that has the wheel, and the packages of this one.

    They run in a copy of what the wheel puts into share/covid-study.

    Raises: subprocess.CalledProcessError (one of them failed).
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    python = place / "bin" / "python"
    (site,) = place.glob("lib/python*/site-packages")
    (site / "others.pth").write_text(
        sysconfig.get_path("purelib")
    )  # what is editable there is not found through it
    _pip("--python", str(python), "install", "--no-deps", "--no-index", str(wheel))
    work = shutil.copytree(place / "share" / "covid-study", place / "work")
    how = {"cwd": work, "env": {"PATH": ""}, "check": True, "stdout": subprocess.PIPE, "text": True}
    return [subprocess.run([python, *command], **how).stdout for command in COMMANDS]


if __name__ == "__main__":
    made = build(Path(sys.argv[1]).resolve())
    with tempfile.TemporaryDirectory() as folder:
        print(tried(made, Path(folder, "environment"))[0], end="")
    print(f"{made.relative_to(Path.cwd())}: installed and tried")
