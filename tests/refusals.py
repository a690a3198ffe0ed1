"""One way to ask whether an error is of its kind and names what a person needs."""

from collections.abc import Callable

import pytest


def refused(error: type[Exception], call: Callable, *words) -> str:
    """The message of the error that `call` raises, which holds all the words."""
    with pytest.raises(error) as caught:
        call()
    for word in words:
        assert str(word) in str(caught.value), str(caught.value)
    return str(caught.value)
