"""Samples: found by id whatever the order, or told."""

import pytest
import torch
from tiny_runs import SHAPE, noise

from covid_study.errors import StudyError


def test_samples_come_in_the_order_asked_for():
    volumes, asked = noise(), ["non-5", "covid-0", "cap-3"]
    names = list(volumes.table.index)
    assert volumes.rows(asked).tolist() == [names.index(exam) for exam in asked]
    assert torch.equal(volumes.of(asked)[1], volumes.data[0])
    assert volumes.of([]).shape == (0, *SHAPE)
    few = volumes.only([*asked, "covid-0"])
    assert (
        list(few.table.index) == asked and torch.equal(few.data, volumes.of(asked)) and few.key == volumes.key
    )


def test_a_sample_that_is_not_in_the_store_is_an_error():
    with pytest.raises(StudyError, match="2 exams.*'covid-99'"):
        noise().of(["cap-1", "covid-99", "cap-77"])


def test_labels_are_those_of_the_findings_in_any_order():
    one, table = noise(), noise().table
    assert one.labels == type(one)(table.iloc[::-1], one.data, "x").labels
    changed = table.assign(finding=["cap", *table["finding"].iloc[1:]])
    assert type(one)(changed, one.data, one.key).labels != one.labels
