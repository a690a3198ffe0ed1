"""The errors a person can act on: they say which file, exam or key, what was expected and what to do."""

MOST = 600  # characters of a message that a person reads


class StudyError(Exception):
    """An error for the person who runs the study; its message stands without a traceback.

    What a file holds may be of any length: a message that became too long keeps its beginning and its end.
    """

    def __init__(self, message: str = ""):
        self.whole, half = message, MOST // 2 - 3
        super().__init__(message if len(message) <= MOST else f"{message[:half]} ... {message[-half:]}")


class ParameterError(StudyError):
    """A key or value of a params file or a parameters cell is wrong."""


class CohortError(StudyError):
    """The exam table as a whole cannot be used: no positives, a patient on two sides, an exam listed twice."""

    table = None  # whose names stand in the message, where they do


class ExamError(StudyError):
    """One exam cannot be used; `on_bad_exam` decides whether it is left out or stops the run.

    >>> str(ExamError("P001", "12 of 13 slices", "restore the missing file"))
    'exam P001: 12 of 13 slices. What to do: restore the missing file.'
    """

    def __init__(self, exam_id: str, problem: str, remedy: str):
        self.said = (
            f"{problem.rstrip('.')}. What to do: {remedy.rstrip('.')}."  # where the exam is named already
        )
        super().__init__(f"exam {exam_id}: {self.said}")
        self.exam_id, self.problem, self.remedy = exam_id, problem, remedy

    def __reduce__(self):  # so that a worker process can hand it back whole
        return type(self), (self.exam_id, self.problem, self.remedy)
