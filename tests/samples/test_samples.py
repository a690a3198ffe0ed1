"""Samples: found by id whatever the order, or told."""

import pytest
import torch
from tiny_runs import CPU, SHAPE, noise

from covid_study.errors import StudyError
from covid_study.samples.samples import Chosen


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


class Noted:
    """A tensor that notes which rows were taken of it."""

    def __init__(self, data):
        self.data, self.taken = data, []

    def __getitem__(self, rows):
        self.taken.append(rows.tolist())
        return self.data[rows]


def test_of_the_host_the_next_batch_alone_is_fetched_ahead_and_each_once():
    data, rows = torch.arange(10).view(10, 1) ** 2, torch.tensor([9, 3, 5, 0, 7])
    there, batches = Noted(data), torch.tensor([4, 0, 2, 1, 3]).split([2, 2, 1])
    chosen = Chosen(there, rows, CPU)
    for number, batch in enumerate(chosen.coming(batches)):
        assert torch.equal(chosen[batch], data[rows[batch]])
        assert len(there.taken) <= number + 2
    assert there.taken == [[7, 9], [5, 3], [0]]
    assert chosen[torch.tensor([1])].item() == 9 and len(there.taken) == 4  # what nobody announced


def test_what_lies_on_the_host_is_never_placed_elsewhere_as_a_whole():
    there = torch.device("meta")
    samples = noise()
    assert samples.placed(there).data.device == samples.placed(there).device == there
    host = type(samples)(samples.table, samples.data, samples.key, at=CPU).placed(there)
    assert host.data is samples.data and host.device == there
    assert host.chosen(["cap-1"]).to(CPU).data is samples.data
    assert host.chosen(["cap-1"])[:].device == there
