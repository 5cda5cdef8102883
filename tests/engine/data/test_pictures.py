"""Image files: folders, archives, the cache of what was decoded, and CIFAR-10 made of them."""

import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ticketsmith.engine import data
from ticketsmith.engine.data import cifar10, pictures
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.experiment.spec import DatasetSpec

WritePicture = Callable[..., None]

CPU = torch.device("cpu")


def folder(root: Path, **options: object) -> data.Data:
    return data.load(DatasetSpec(name="image_folder", uri=str(root), options=options), CPU)


def test_a_folder_of_images(picture_folder: Path) -> None:
    loaded = folder(picture_folder)
    assert loaded.class_names == ("cat", "dog")
    assert loaded.input_shape == (3, 5, 6)
    assert [len(s) for s in (loaded.train, loaded.validation, loaded.test)] == [36, 4, 8]
    assert loaded.test.labels.tolist() == [0] * 4 + [1] * 4
    assert loaded.test.images[:, :, 0, 0].unique().tolist() == [255]
    assert loaded.test.images[:, 0, 1, 1].tolist() == [60, 61, 62, 63, 200, 201, 202, 203]
    assert data.shape(DatasetSpec(name="image_folder", uri=str(picture_folder))) is None


def test_its_own_validation_split_is_taken(
    picture_folder: Path, write_picture: WritePicture
) -> None:
    write_picture(picture_folder / "val" / "dog" / "a.png", (1, 2, 3))
    loaded = folder(picture_folder)
    assert len(loaded.train) == 40
    assert loaded.validation.labels.tolist() == [1]
    with pytest.raises(BadSpec, match=r"dataset\.options\.validation is 5"):
        folder(picture_folder, validation=5)


def test_images_of_different_sizes_need_a_size(
    picture_folder: Path, write_picture: WritePicture
) -> None:
    write_picture(picture_folder / "train" / "dog" / "large.jpeg", (9, 9, 9), (30, 20))
    with pytest.raises(BadSpec, match=r"large\.jpeg has 30x20 .* dataset\.options\.size"):
        folder(picture_folder)
    loaded = folder(picture_folder, size=8)
    assert loaded.input_shape == (3, 8, 8)
    assert loaded.source == "images of pets, JPEG"


def test_an_archive_gives_the_same_as_its_folder(picture_folder: Path, tmp_path: Path) -> None:
    archive = tmp_path / "pets.tar.xz"
    with tarfile.open(archive, "w:xz") as tar:
        tar.add(picture_folder, "anything/pets")
    from_archive, from_folder = folder(archive), folder(picture_folder)
    assert torch.equal(from_archive.train.images, from_folder.train.images)
    assert torch.equal(from_archive.test.labels, from_folder.test.labels)


def test_nothing_of_an_archive_is_written_outside_the_cache(
    picture_folder: Path, tmp_path: Path, cache_home: Path
) -> None:
    archive = tmp_path / "pets.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(picture_folder, "pets")
        tar.add(picture_folder / "train/cat/00.png", "../../train/cat/escaped.png")
    before = {path for path in tmp_path.rglob("*") if not path.is_relative_to(cache_home)}
    loaded = folder(archive)
    assert len(loaded.train) + len(loaded.validation) == 41
    after = {path for path in tmp_path.rglob("*") if not path.is_relative_to(cache_home)}
    assert before == after


def test_images_are_decoded_once_and_again_when_they_change(
    picture_folder: Path, write_picture: WritePicture, cache_home: Path
) -> None:
    told: list[tuple[int, int]] = []
    spec = DatasetSpec(name="image_folder", uri=str(picture_folder))

    def tell(done: int, of: int) -> None:
        told.append((done, of))

    first = data.load(spec, CPU, tell)
    assert told == [(48, 48)]
    again = data.load(spec, CPU, tell)
    assert len(told) == 1
    assert torch.equal(first.train.images, again.train.images)
    assert first.class_names == again.class_names
    write_picture(picture_folder / "train" / "cat" / "new.png", (1, 2, 3))
    assert len(data.load(spec, CPU, tell).train) > len(first.train) - 1
    assert told[1:] == [(49, 49)]
    assert len(list(cache_home.rglob("*.safetensors"))) == 2


def test_a_damaged_cache_is_made_anew(picture_folder: Path, cache_home: Path) -> None:
    folder(picture_folder)
    (kept,) = cache_home.rglob("*.safetensors")
    kept.write_bytes(kept.read_bytes()[:100])
    assert len(folder(picture_folder).test) == 8
    assert kept.stat().st_size > 1000


def test_a_cache_that_cannot_be_written_is_told(
    picture_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a file"))
    with pytest.raises(BadSpec, match="XDG_CACHE_HOME"):
        folder(picture_folder)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_told(picture_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ticketsmith.engine.data import cache

    def full(*_args: object, **_kwargs: object) -> None:
        with Path("/dev/full").open("wb", buffering=0) as file:
            file.write(b"x")

    monkeypatch.setattr(cache, "save_file", full)
    with pytest.raises(BadSpec, match="No space left"):
        folder(picture_folder)


def test_a_file_that_is_no_image_is_named(picture_folder: Path) -> None:
    (picture_folder / "test" / "cat" / "9.png").write_text("not a picture")
    with pytest.raises(BadSpec, match=r"test/cat/9\.png cannot be decoded"):
        folder(picture_folder)


def test_a_class_that_is_only_in_test_is_named(
    picture_folder: Path, write_picture: WritePicture
) -> None:
    write_picture(picture_folder / "test" / "bird" / "1.png", (1, 2, 3))
    with pytest.raises(BadSpec, match="'bird' in test but not in train"):
        folder(picture_folder)


def test_a_missing_place_or_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSpec, match=r"dataset\.uri is missing"):
        data.check(DatasetSpec(name="image_folder"))
    with pytest.raises(BadSpec, match=r"dataset\.uri .* train/<class>"):
        data.check(DatasetSpec(name="image_folder", uri=str(tmp_path)))
    for part in ("train", "test"):
        (tmp_path / part).mkdir()
    with pytest.raises(BadSpec, match="no images at train/"):
        folder(tmp_path)


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tar.xz").write_bytes(b"nothing")
    with pytest.raises(BadSpec, match=r"a\.tar\.xz cannot be read"):
        folder(tmp_path / "a.tar.xz")


@pytest.fixture
def small_cifar(tmp_path: Path, write_picture: WritePicture) -> Path:
    """Ten classes, 4 training and 1 test image each, in the archive's layout."""
    root = tmp_path / "tree"
    for label in cifar10.CLASSES:
        for number in range(4):
            write_picture(root / "train" / label / f"{number}.jpg", (number, 9, 9), (32, 32))
        write_picture(root / "test" / label / "0.jpg", (9, 9, 9), (32, 32))
    made = tmp_path / "data" / cifar10.ARCHIVE
    made.parent.mkdir()
    with tarfile.open(made, "w:xz") as tar:
        for split in ("train", "test"):
            tar.add(root / split, split)
    return made


def test_cifar10_from_its_archive_or_a_folder(
    small_cifar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKETSMITH_DATA", str(small_cifar.parent))
    for uri in (None, str(small_cifar), str(small_cifar.parent), str(tmp_path / "tree")):
        spec = DatasetSpec(name="cifar10", uri=uri, options={"validation": 10})
        loaded = data.load(spec, CPU)
        assert [len(s) for s in (loaded.train, loaded.validation, loaded.test)] == [30, 10, 10]
        assert loaded.input_shape == (3, 32, 32)
        assert loaded.source == "CIFAR-10, JPEG"
        assert loaded.augment == data.Augmentation(flip=True, padding=4)


def test_other_images_are_not_cifar10(picture_folder: Path) -> None:
    spec = DatasetSpec(name="cifar10", uri=str(picture_folder))
    with pytest.raises(BadSpec, match=r"cat, dog.* dataset\.name to image_folder"):
        data.load(spec, CPU)


def test_missing_cifar10_is_told_with_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar10, "_addresses", lambda: ["http://127.0.0.1:9/"])
    with pytest.raises(BadSpec, match=r"cifar10.*TICKETSMITH_DATA.*cifar10-images\.tar\.xz"):
        data.check(DatasetSpec(name="cifar10"))


def test_incomplete_batches_are_refused(tmp_path: Path) -> None:
    (tmp_path / cifar10.BATCHES).mkdir()
    with pytest.raises(BadSpec, match="incomplete or damaged"):
        data.load(DatasetSpec(name="cifar10", uri=str(tmp_path)), CPU)


@pytest.mark.slow
@pytest.mark.data
def test_the_real_cifar10(data_root: Path) -> None:
    loaded = data.load(DatasetSpec(name="cifar10", uri=str(data_root)), CPU)
    assert [len(s) for s in (loaded.train, loaded.validation, loaded.test)] == [45000, 5000, 10000]
    assert loaded.class_names == cifar10.CLASSES
    assert torch.bincount(loaded.validation.labels).tolist() == [500] * 10
    assert torch.bincount(loaded.test.labels).tolist() == [1000] * 10
    assert loaded.mean == pytest.approx([0.491, 0.482, 0.446], abs=0.002)
    assert loaded.std == pytest.approx([0.247, 0.243, 0.261], abs=0.003)


def test_an_archive_is_known_by_place_size_and_time(picture_folder: Path, tmp_path: Path) -> None:
    archive = tmp_path / "a.tar"
    archive.write_bytes(b"1")
    first = pictures.identity(archive)
    os.utime(archive, (1, 1))
    assert pictures.identity(archive) != first
