"""Damaged inputs: nothing comes out of a reader but its values or a StudyError in few words, in seconds and little memory.

`make fuzz` feeds the same readers hundreds of thousands of them; what once found something lies in fuzz/corpus.
"""

import pytest
from hypothesis import given, settings, strategies as st

from fuzz.targets import KINDS, TARGETS, Fuzzed, edited

EDITS = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 2**32 - 1)), min_size=1, max_size=4)


@pytest.fixture(scope="module", params=TARGETS)
def fuzzed(request, tmp_path_factory):
    return Fuzzed(request.param, tmp_path_factory.mktemp("fuzzed"))


def test_the_inputs_are_valid(fuzzed):
    for data in fuzzed.target.seeds()[:1]:
        fuzzed.file.write_bytes(data)
        fuzzed.target.read(fuzzed.file)


def test_what_once_found_something(fuzzed):
    assert [wrong for data in fuzzed.corpus() if (wrong := fuzzed.wrong(data))] == []


@settings(max_examples=30, deadline=10_000, derandomize=True, database=None)
@given(seed=st.integers(0, 20), edits=EDITS)
def test_a_damaged_input_is_refused_or_read(fuzzed, seed, edits):
    seeds = fuzzed.target.seeds() if not hasattr(fuzzed, "seeds") else fuzzed.seeds
    fuzzed.seeds = seeds  # some are made by a library: once
    assert fuzzed.wrong(edited(seeds[seed % len(seeds)], edits)) == ""
