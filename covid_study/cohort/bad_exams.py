"""An exam or image that cannot be used: listed and left out, or the end of the run; with the names of its files, or without."""

from dataclasses import dataclass

from covid_study.cohort.identity import anonymous
from covid_study.errors import ExamError


@dataclass(frozen=True)
class BadExams:
    """How they are told. stop: raise the error of the first; named: with the names of its files, see `identity`.

    What was computed before stays in either case.

    >>> BadExams().listed(ExamError("P001", "no lungs", "look at it"), "/ct/P001")
    {'name': 'P001', 'problem': 'no lungs', 'remedy': 'look at it'}
    """

    stop: bool = False
    named: bool = True

    def told(self, error: ExamError, path: str) -> ExamError:
        """The error of the exam at `path`, as it may be read."""
        return error if self.named else anonymous(error, path)

    def listed(self, error: ExamError, path: str) -> dict[str, str]:
        """What is listed of the exam at `path`.

        Raises:
            ExamError: its error, where the run stops at it.
        """
        error = self.told(error, path)
        if self.stop:
            raise error from None  # what it was made of names files
        return {"name": error.exam_id, "problem": error.problem, "remedy": error.remedy}


LISTED = BadExams()
