""".github/data/fetch: what the tests read comes from its makers, and is compared before it is used."""

import gzip
import hashlib
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / ".github" / "data"
MNIST = [line.split()[1] for line in (SOURCE / "MNIST.sha256").read_text().splitlines()]
ARCHIVE = "cifar-10-python.tar.gz"


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """A mirror with small files, and a copy of the script that expects just those."""
    copy, mirror = tmp_path / "script", tmp_path / "mirror"
    shutil.copytree(SOURCE, copy)
    mirror.mkdir()
    expected = []
    for name in MNIST:
        content = f"the content of {name}".encode()
        (mirror / f"{name}.gz").write_bytes(gzip.compress(content))
        expected.append(f"{hashlib.sha256(content).hexdigest()}  {name}")
    (copy / "MNIST.sha256").write_text("\n".join(expected) + "\n")
    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / "cifar-10-batches-py" / "batches.meta").write_text("ten classes")
    with tarfile.open(mirror / ARCHIVE, "w:gz") as archive:
        archive.add(tmp_path / "cifar-10-batches-py", "cifar-10-batches-py")
    digest = hashlib.sha256((mirror / ARCHIVE).read_bytes()).hexdigest()
    (copy / "CIFAR10.sha256").write_text(f"{digest}  {ARCHIVE}\n")
    return mirror


def fetch(mirror: Path, target: Path) -> subprocess.CompletedProcess[str]:
    address = mirror.as_uri()
    return subprocess.run(
        [mirror.parent / "script" / "fetch", target],
        env=os.environ | {"MNIST_MIRROR": address, "CIFAR10_MIRROR": address},
        capture_output=True,
        text=True,
        check=False,
    )


def test_both_data_sets_are_where_the_tests_look(mirror: Path, tmp_path: Path) -> None:
    target = tmp_path / "a folder" / "data"
    assert fetch(mirror, target).returncode == 0
    assert sorted(file.name for file in target.iterdir()) == [
        "cifar-10-batches-py",
        ARCHIVE,
        "mnist",
    ]
    assert {file.name for file in (target / "mnist").iterdir()} == {f"{name}.gz" for name in MNIST}
    assert (target / "cifar-10-batches-py" / "batches.meta").read_text() == "ten classes"


def test_what_is_there_is_not_fetched_again_and_still_compared(
    mirror: Path, tmp_path: Path
) -> None:
    target = tmp_path / "data"
    assert fetch(mirror, target).returncode == 0
    for file in mirror.iterdir():
        file.unlink()
    assert fetch(mirror, target).returncode == 0
    (target / "mnist" / f"{MNIST[0]}.gz").write_bytes(gzip.compress(b"something else"))
    done = fetch(mirror, target)
    assert done.returncode == 1
    assert MNIST[0] in done.stderr


@pytest.mark.parametrize(
    "wrong",
    [gzip.compress(b"not MNIST"), b"no gzip at all", b""],
    ids=["another", "no gzip", "empty"],  # the first one holds the time at which it was packed
)
def test_what_is_not_it_is_refused_and_not_kept(mirror: Path, tmp_path: Path, wrong: bytes) -> None:
    (mirror / f"{MNIST[1]}.gz").write_bytes(wrong)
    done = fetch(mirror, tmp_path / "data")
    assert done.returncode == 1
    assert f"{MNIST[1]}.gz" in done.stderr
    assert "SHA-256" in done.stderr
    assert not (tmp_path / "data" / "mnist" / f"{MNIST[1]}.gz").exists()
    assert not list((tmp_path / "data").glob(".fetch*"))


def test_an_archive_that_is_not_it_is_not_unpacked(mirror: Path, tmp_path: Path) -> None:
    (mirror / ARCHIVE).write_bytes(b"not CIFAR-10")
    assert fetch(mirror, tmp_path / "data").returncode == 1
    assert not (tmp_path / "data" / "cifar-10-batches-py").exists()


@pytest.mark.data
def test_the_sums_are_those_of_the_real_mnist(data_root: Path) -> None:
    for line in (SOURCE / "MNIST.sha256").read_text().splitlines():
        digest, name = line.split()
        with gzip.open(data_root / "mnist" / f"{name}.gz") as file:
            assert hashlib.sha256(file.read()).hexdigest() == digest
