"""Epochs: every image once, order and augmentation decided by (seed, epoch) alone, exact arithmetic."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ticketsmith.engine.data import Augmentation, Batches, Data, Split, evaluation_batches
from ticketsmith.engine.data.batches import augmented, draw


def made(count: int = 50, *, channels: int = 2, size: int = 8, augment: bool = True) -> Data:
    """Random images; the label of each is its index, so that a batch tells which ones it holds."""
    generator = torch.Generator().manual_seed(5)
    images = torch.randint(
        256, (count, channels, size, size), dtype=torch.uint8, generator=generator
    )
    split = Split(images, torch.arange(count))
    return Data(
        name="made",
        source="made",
        train=split,
        validation=split,
        test=split,
        class_names=tuple(map(str, range(count))),
        mean=tuple(0.3 + 0.1 * n for n in range(channels)),
        std=tuple(0.2 + 0.1 * n for n in range(channels)),
        augment=Augmentation(flip=True, padding=4) if augment else None,
    )


def batches(data: Data, size: int = 7, *, seed: int = 0, augment: bool = True) -> Batches:
    return Batches(data.train, data, size, seed=seed, augment=augment)


def equal(left: list[tuple[Tensor, Tensor]], right: list[tuple[Tensor, Tensor]]) -> bool:
    return len(left) == len(right) and all(
        torch.equal(a, b)
        for one, other in zip(left, right, strict=True)
        for a, b in zip(one, other, strict=True)
    )


@settings(max_examples=30, deadline=None)
@given(count=st.integers(1, 60), size=st.integers(1, 70), epoch=st.integers(0, 5))
def test_an_epoch_has_every_image_exactly_once(count: int, size: int, epoch: int) -> None:
    of = batches(made(count, channels=1, size=2), size)
    seen = [labels for _, labels in of.epoch(epoch)]
    assert len(seen) == len(of)
    assert all(len(labels) == size for labels in seen[:-1])
    assert sorted(torch.cat(seen).tolist()) == list(range(count))


def test_order_and_augmentation_depend_on_seed_and_epoch_alone() -> None:
    data = made()
    one, other = batches(data), batches(data)
    list(other.epoch(0))
    torch.manual_seed(99)
    torch.rand(3)
    assert equal(list(one.epoch(3)), list(other.epoch(3)))


def test_epochs_and_seeds_differ_in_order_and_in_augmentation() -> None:
    data = made()
    orders = {
        tuple(torch.cat([labels for _, labels in batches(data, seed=seed).epoch(epoch)]).tolist())
        for seed in range(3)
        for epoch in range(3)
    }
    assert len(orders) == 9
    by_label = [
        torch.cat([x for x, _ in shown])[torch.cat([y for _, y in shown]).argsort()]
        for shown in (list(batches(data).epoch(epoch)) for epoch in (0, 1))
    ]
    changed = (by_label[0] != by_label[1]).flatten(1).any(1)
    assert changed.float().mean() > 0.9


@pytest.mark.parametrize("start", [0, 1, 4, 7, 8])
def test_a_later_start_goes_on_bit_for_bit(start: int) -> None:
    of = batches(made())
    assert equal(list(of.epoch(2, start)), list(of.epoch(2))[start:])


def test_nothing_is_changed_without_augmentation() -> None:
    data = made()
    for images, labels in batches(data, augment=False).epoch(0):
        back = (
            images * torch.tensor(data.std).view(1, -1, 1, 1)
            + torch.tensor(data.mean).view(1, -1, 1, 1)
        ) * 255
        assert torch.equal(back.round().byte(), data.train.images[labels])


def test_data_that_asks_for_no_augmentation_gets_none() -> None:
    data = made(augment=False)
    assert equal(list(batches(data).epoch(0)), list(batches(data, augment=False).epoch(0)))


def test_normalising_is_subtracting_the_mean_and_dividing_by_the_deviation() -> None:
    data = made()
    (images, labels), *_ = batches(data, augment=False).epoch(0)
    assert images.dtype == torch.float32
    assert labels.dtype == torch.int64
    mean, std = (
        torch.tensor(v, dtype=torch.float64).view(1, -1, 1, 1) for v in (data.mean, data.std)
    )
    exact = (data.train.images[labels].double() / 255 - mean) / std
    torch.testing.assert_close(images.double(), exact, atol=1e-6, rtol=1e-6)


def test_flip_and_crop_equal_a_loop_over_pixels() -> None:
    images = made(30, channels=3, size=6).train.images
    drawn = draw(Augmentation(flip=True, padding=2), 30, torch.Generator().manual_seed(1))
    assert 0 < int(drawn.flip.sum()) < 30
    assert set(drawn.top.tolist()) == set(drawn.left.tolist()) == set(range(5))
    result = augmented(images, drawn, 2)
    for n in range(30):
        for y in range(6):
            for x in range(6):
                row = y + int(drawn.top[n]) - 2
                column = (5 - x if drawn.flip[n] else x) + int(drawn.left[n]) - 2
                inside = 0 <= row < 6 and 0 <= column < 6
                expected = images[n, :, row, column] if inside else torch.zeros(3).byte()
                assert torch.equal(result[n, :, y, x], expected)


def test_without_flip_nothing_is_mirrored() -> None:
    drawn = draw(Augmentation(flip=False, padding=4), 100, torch.Generator().manual_seed(1))
    assert not drawn.flip.any()


def test_what_befalls_an_image_does_not_depend_on_the_batch_size() -> None:
    data = made()
    small, large = (torch.cat([x for x, _ in batches(data, size).epoch(1)]) for size in (3, 50))
    assert torch.equal(small, large)


def test_evaluation_goes_through_the_split_in_order() -> None:
    data = made(10)
    data = replace(data, test=data.train.take(torch.tensor([4, 2, 9])))
    shown = list(evaluation_batches(data.test, data, 2))
    assert [labels.tolist() for _, labels in shown] == [[4, 2], [9]]
    training = {
        int(y): x
        for xs, ys in batches(data, augment=False).epoch(0)
        for x, y in zip(xs, ys, strict=True)
    }
    assert torch.equal(shown[1][0][0], training[9])
