"""What a person is told when long work over many processes fails for want of memory or disk."""

import errno
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path

from covid_study.errors import StudyError


@contextmanager
def told(work: str, kept: str, folder: Path, workers: int, needs: str = "") -> Iterator[None]:
    """Turn a process that died and a full disk into errors that say what to do; all else passes.

    Args:
        work: what the processes did, e.g. "cut slices". kept: what is not lost, e.g. "the slices".
        folder: that is written. workers: processes. needs: how much disk, e.g. " needs about 3 MB"; "" where not known.

    Raises:
        StudyError: a process died, or the disk is full.

    >>> with told("cut slices", "the slices", Path("build/x"), 2):
    ...     raise OSError(errno.ENOSPC, "No space left on device")
    Traceback (most recent call last):
    ...
    covid_study.errors.StudyError: the disk is full: build/x. Free some space and call again; the slices done so far are kept.
    """
    try:
        yield
    except BrokenProcessPool:  # joblib's TerminatedWorkerError is one
        raise StudyError(
            f"a process that {work} died, most often because the memory was used up ({workers} worked at once). "
            f"Set study.workers to a smaller number in the profile and call again; {kept} done so far are kept."
        ) from None
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise StudyError(
            f"the disk is full: {folder}{needs}. Free some space and call again; {kept} done so far are kept."
        ) from None
