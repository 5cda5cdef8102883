"""Batches of every shape users have."""

import re
from collections import namedtuple
from typing import Any

import pytest
import torch
from torch import nn

from lottery_tickets.running.batches import batches, device_of, move, samples, size

Pair = namedtuple("Pair", "inputs targets")
X, Y = torch.arange(12.0).reshape(4, 3), torch.arange(4)


@pytest.mark.parametrize(
    "batch",
    [X, (X, Y), [X, Y], Pair(X, Y), {"input_ids": X, "labels": Y, "use_cache": False}, ([X, X], Y)],
)
def test_a_batch_is_counted_moved_and_cut_in_its_own_nesting(batch: Any) -> None:
    assert size(batch) == 4
    assert isinstance(move(batch, "cpu"), type(batch))
    found = list(samples(batch))
    assert len(found) == 4
    assert [size(one) for one in found] == [1] * 4
    assert type(found[0]) is type(batch)


def test_exactly_as_many_samples_as_asked_for() -> None:
    loader = [(X, Y), (X + 100, Y), (X + 200, Y)]
    found = list(batches(loader, num_samples=6))
    assert [size(one) for one in found] == [4, 2]
    assert torch.equal(found[1][0], X[:2] + 100)  # type: ignore[index]
    assert [size(one) for one in batches(loader)] == [4, 4, 4]


def test_whole_batches_make_up_the_number_without_touching_the_next() -> None:
    def loader() -> Any:
        yield X, Y
        raise AssertionError("asked for a batch that was not needed")

    assert len(list(batches(loader(), num_samples=4))) == 1


@pytest.mark.parametrize(
    ("loader", "count", "words"),
    [
        ([], None, "dataloader gave no batch"),
        ([X], 5, "dataloader holds 4 samples, fewer than num_samples 5: ask for 4 or give more"),
        ([X], 0, "num_samples is 0: use 1 or more"),
        ([(X, Y[:2])], 4, "tensors of [2, 4] samples"),
        ([("a", "b")], 4, "a batch holds a tuple"),
    ],
)
def test_a_wrong_loader_is_told_in_a_sentence(loader: Any, count: int | None, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        list(batches(loader, num_samples=count))


def test_the_device_is_that_of_the_first_tensor() -> None:
    assert device_of(nn.Linear(2, 2, device="meta")) == torch.device("meta")
    assert device_of(nn.ReLU()) == torch.device("cpu")
