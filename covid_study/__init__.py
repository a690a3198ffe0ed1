"""Helpers of the covid-study notebooks: selecting negatives (paper A) and learning from few positives (paper B).

Importing the package imports nothing heavy; import the module you need (`from covid_study.ranking import emd`).
"""

from collections.abc import Callable
from importlib import import_module

__version__ = "0.1.0"


def handed_on(room: str, **places: str) -> Callable[[str], object]:
    """The `__getattr__` of a room that hands on names of its modules, and imports a module only when asked for its name.

    >>> handed_on("covid_study.cohort", find_exams="exam_layouts")("find_exams").__module__
    'covid_study.cohort.exam_layouts'
    """

    def get(name: str) -> object:
        if name not in places:
            raise AttributeError(f"module '{room}' has no attribute '{name}'")
        return getattr(import_module(f"{room}.{places[name]}"), name)

    return get
