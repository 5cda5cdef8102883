"""Fixed choices: the same for everybody, fair to every class."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ticketsmith.engine.data import Split
from ticketsmith.engine.data.split import hold_out, shuffled

PINNED = [3, 9, 4, 2, 6, 5, 0, 7, 1, 8]


def test_a_permutation_is_the_same_everywhere_and_always() -> None:
    assert shuffled(10, "validation").tolist() == PINNED
    assert shuffled(10, "test").tolist() != PINNED


@settings(max_examples=50, deadline=None)
@given(labels=st.lists(st.integers(0, 4), min_size=2, max_size=80), data=st.data())
def test_held_out_images_are_each_class_in_its_share(
    labels: list[int], data: st.DataObject
) -> None:
    count = data.draw(st.integers(1, len(labels) - 1))
    split = Split(torch.arange(len(labels)).view(-1, 1, 1, 1).byte(), torch.tensor(labels))
    held, rest = hold_out(split, count, "validation")
    assert len(held) == count
    indices = [part.images.flatten().tolist() for part in (held, rest)]
    assert sorted(indices[0] + indices[1]) == list(range(len(labels)))
    assert all(part == sorted(part) for part in indices)
    for label in range(5):
        share = labels.count(label) * count / len(labels)
        assert abs(int((held.labels == label).sum()) - share) < 1
