"""The embedded data set, and what every data set undergoes."""

import pytest
import torch
from sklearn.datasets import load_digits

from ticketsmith.engine import data
from ticketsmith.engine.data.prepare import resized, statistics, with_channels
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.experiment.spec import DatasetSpec

CPU = torch.device("cpu")


def digits(**options: object) -> data.Data:
    return data.load(DatasetSpec(options=options), CPU)


def test_sizes_types_and_names() -> None:
    loaded = digits()
    assert [len(s) for s in (loaded.train, loaded.validation, loaded.test)] == [1150, 287, 360]
    assert loaded.train.images.dtype == torch.uint8
    assert loaded.train.labels.dtype == torch.int64
    assert loaded.input_shape == (1, 8, 8)
    assert loaded.class_names == tuple("0123456789")
    assert loaded.num_classes == 10
    assert loaded.augment is None
    assert (loaded.input_shape, 10) == data.shape(DatasetSpec())


def test_the_images_are_scikit_learns_each_once() -> None:
    loaded = digits()
    mine = torch.cat([s.images.flatten(1) for s in (loaded.train, loaded.validation, loaded.test)])
    original = torch.from_numpy(load_digits().data * 255 / 16).add(0.5).floor().byte()
    assert mine.max() == 255
    assert sorted(map(tuple, mine.tolist())) == sorted(map(tuple, original.tolist()))


def test_every_class_is_in_every_split_in_its_share() -> None:
    loaded = digits()
    shares = [
        torch.bincount(s.labels) / len(s) for s in (loaded.train, loaded.validation, loaded.test)
    ]
    assert (shares[0] - shares[1]).abs().max() < 0.005
    assert (shares[0] - shares[2]).abs().max() < 0.005


def test_the_splits_do_not_depend_on_random_state() -> None:
    first = digits()
    torch.manual_seed(1234)
    again = digits()
    assert torch.equal(first.validation.images, again.validation.images)
    assert torch.equal(first.test.labels, again.test.labels)


def test_mean_and_deviation_are_the_training_splits_own() -> None:
    loaded = digits()
    pixels = loaded.train.images.double() / 255
    assert loaded.mean == pytest.approx([float(pixels.mean())], abs=1e-12)
    assert loaded.std == pytest.approx([float(pixels.std(correction=0))], abs=1e-12)


def test_statistics_are_per_channel_and_survive_a_constant_one() -> None:
    images = torch.zeros(4, 2, 3, 3, dtype=torch.uint8)
    images[:2, 0] = 255
    mean, std = statistics(images)
    assert mean == (0.5, 0.0)
    assert std == (0.5, 1.0)


def test_limit_takes_some_training_images_and_leaves_the_rest_alone() -> None:
    whole, few = digits(), digits(limit=100)
    assert len(few.train) == 100
    kept = set(map(tuple, whole.train.images.flatten(1).tolist()))
    assert all(tuple(image) in kept for image in few.train.images.flatten(1).tolist())
    assert torch.equal(whole.test.images, few.test.images)
    assert torch.equal(whole.validation.images, few.validation.images)
    assert len(few.train.labels.unique()) == 10
    assert len(digits(limit=10**6).train) == 1150


def test_validation_size_grayscale_and_augment_do_what_they_say() -> None:
    loaded = digits(validation=37, size=28, grayscale=False, augment=True)
    assert len(loaded.validation) == 37
    assert len(loaded.train) == 1400
    assert loaded.input_shape == (3, 28, 28)
    assert torch.equal(loaded.train.images[:, 0], loaded.train.images[:, 2])
    assert loaded.augment == data.Augmentation(flip=True, padding=4)
    spec = DatasetSpec(options={"size": 28, "grayscale": False})
    assert data.shape(spec) == (loaded.input_shape, 10)


def test_shrinking_averages_areas_and_keeps_flat_images_flat() -> None:
    flat = torch.full((2, 1, 8, 8), 77, dtype=torch.uint8)
    assert resized(flat, 5).unique().tolist() == [77]
    assert resized(flat, 20).unique().tolist() == [77]
    checkers = (torch.arange(16).view(-1, 1) + torch.arange(16)).remainder(2).mul(200).byte()
    small = resized(checkers.view(1, 1, 16, 16), 4)
    assert (small.float() - 100).abs().max() <= 3


def test_grey_is_luminance() -> None:
    colours = torch.tensor([[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 9, 9]]).byte()
    grey = with_channels(colours.view(4, 3, 1, 1), grayscale=True)
    assert grey.flatten().tolist() == [76, 150, 29, 9]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"name": "digit"}, ["dataset.name", "'digit'", "digits"]),
        ({"name": "imagenet"}, ["dataset.name", "'imagenet'", "image_folder"]),
        ({"options": {"sise": 3}}, ["dataset.options.sise", "size", "validation"]),
        ({"options": {"validation": 0}}, ["dataset.options.validation", "0"]),
        ({"options": {"validation": "many"}}, ["dataset.options.validation", "'many'"]),
        ({"options": {"augment": "yes"}}, ["dataset.options.augment", "'yes'"]),
        ({"options": {"size": -1}}, ["dataset.options.size", "-1"]),
        ({"uri": "file:///tmp"}, ["dataset.uri", "leave"]),
    ],
)
def test_a_wrong_spec_is_refused_in_one_sentence(spec: dict[str, object], words: list[str]) -> None:
    with pytest.raises(BadSpec) as refused:
        data.check(DatasetSpec.model_validate({"name": "digits"} | spec))
    assert "\n" not in str(refused.value)
    assert all(word in str(refused.value) for word in words), str(refused.value)


def test_more_validation_images_than_there_are_is_refused() -> None:
    with pytest.raises(BadSpec, match=r"dataset\.options\.validation is 1437.*between 1 and 1436"):
        digits(validation=1437)


def test_names_are_taken_in_any_case() -> None:
    data.check(DatasetSpec(name="Digits"))
    assert data.names() == ["digits", "mnist", "cifar10", "image_folder"]
