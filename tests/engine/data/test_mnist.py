"""MNIST's own files, wherever they lie; the real ones where they are there."""

import contextlib
import functools
import hashlib
import http.server
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest
import torch
from torchvision.datasets import MNIST

from ticketsmith.engine import data
from ticketsmith.engine.data import mnist
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.experiment.spec import DatasetSpec

CPU = torch.device("cpu")
NOWHERE = ["http://127.0.0.1:9/"]
SMALL = {"validation": 10}

MakeMnist = Callable[..., Path]


@pytest.mark.parametrize("place", ["mnist", ".", "MNIST/raw", "mnist/MNIST/raw"])
@pytest.mark.parametrize("ending", [".gz", ""])
def test_the_files_are_found_in_every_usual_place(
    tmp_path: Path, make_mnist: MakeMnist, place: str, ending: str
) -> None:
    make_mnist(tmp_path / "root" / place, ending)
    for uri in (str(tmp_path / "root"), (tmp_path / "root").as_uri()):
        loaded = data.load(DatasetSpec(name="mnist", uri=uri, options=SMALL), CPU)
        assert [len(s) for s in (loaded.train, loaded.validation, loaded.test)] == [30, 10, 10]
        assert loaded.input_shape == (1, 28, 28)
        assert loaded.test.labels.tolist() == list(range(10))


def test_the_environment_names_the_folder(
    tmp_path: Path, make_mnist: MakeMnist, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_mnist(tmp_path / "mnist")
    monkeypatch.setenv("TICKETSMITH_DATA", str(tmp_path))
    data.check(DatasetSpec(name="MNIST"))


def test_a_uri_without_the_files_is_refused_even_if_they_are_elsewhere(
    tmp_path: Path, make_mnist: MakeMnist, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_mnist(tmp_path / "mnist")
    monkeypatch.setenv("TICKETSMITH_DATA", str(tmp_path))
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadSpec, match=r"dataset\.uri .*empty.* train-images-idx3-ubyte"):
        data.check(DatasetSpec(name="mnist", uri=str(tmp_path / "empty")))


@pytest.mark.parametrize(
    ("uri", "words"),
    [("gs://bucket/mnist", "not a local path"), ("/does/not/exist", "does not exist")],
)
def test_a_uri_that_is_no_place_here_is_refused(uri: str, words: str) -> None:
    with pytest.raises(BadSpec, match=rf"dataset\.uri '{uri}' .*{words}"):
        data.check(DatasetSpec(name="mnist", uri=uri))


def test_without_data_and_network_the_sentence_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mnist, "_mirrors", lambda: NOWHERE)
    with pytest.raises(BadSpec) as refused:
        data.check(DatasetSpec(name="mnist"))
    for word in ("dataset.uri", "TICKETSMITH_DATA", "train-images-idx3-ubyte"):
        assert word in str(refused.value)


@pytest.mark.parametrize("damage", [b"", b"\x1f\x8bnonsense", b"\0\0\x0d\x01\0\0\0\x01abcd"])
def test_a_damaged_file_is_named(tmp_path: Path, make_mnist: MakeMnist, damage: bytes) -> None:
    make_mnist(tmp_path, "")
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(damage)
    with pytest.raises(BadSpec, match="t10k-labels-idx1-ubyte"):
        data.load(DatasetSpec(name="mnist", uri=str(tmp_path), options=SMALL), CPU)


def test_a_truncated_file_is_named(tmp_path: Path, make_mnist: MakeMnist) -> None:
    make_mnist(tmp_path)
    file = tmp_path / "train-images-idx3-ubyte.gz"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(BadSpec, match=r"train-images-idx3-ubyte\.gz cannot be read"):
        data.load(DatasetSpec(name="mnist", uri=str(tmp_path), options=SMALL), CPU)


@pytest.mark.data
def test_the_real_training_images_are_bit_exact(data_root: Path) -> None:
    images = mnist.read_idx(data_root / "mnist" / "train-images-idx3-ubyte.gz")
    head = bytes([0, 0, 8, 3]) + b"".join(n.to_bytes(4, "big") for n in images.shape)
    digest = hashlib.sha256(head + images.numpy().tobytes()).hexdigest()
    assert digest.startswith("ba891046")
    assert digest.endswith("5776db")


@pytest.mark.data
def test_the_real_data_set(data_root: Path) -> None:
    loaded = data.load(DatasetSpec(name="mnist", uri=str(data_root)), CPU)
    assert [len(s) for s in (loaded.train, loaded.validation, loaded.test)] == [55000, 5000, 10000]
    assert loaded.mean == pytest.approx([0.1307], abs=0.001)
    assert loaded.std == pytest.approx([0.3081], abs=0.001)
    assert loaded.test.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]


@pytest.mark.data
def test_files_are_downloaded_once_where_they_are_missing(
    data_root: Path, cache_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            asked.append(self.path)

        def copyfile(self, source: IO[bytes], outputfile: IO[bytes]) -> None:
            with contextlib.suppress(BrokenPipeError):  # torchvision asks first and hangs up
                super().copyfile(source, outputfile)

    files = sorted((data_root / "mnist").glob("*.gz"), key=lambda file: "train" not in file.name)
    resources = [(file.name, hashlib.md5(file.read_bytes()).hexdigest()) for file in files]  # noqa: S324
    serve = functools.partial(Handler, directory=str(data_root / "mnist"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(MNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
        monkeypatch.setattr(MNIST, "resources", resources)
        loaded = data.load(DatasetSpec(name="mnist"), CPU)
        server.shutdown()
    assert len(loaded.test) == 10000
    assert set(asked) == {f"/{file.name}" for file in files}
    assert (cache_home / "ticketsmith" / "torchvision" / "MNIST" / "raw").is_dir()
    data.check(DatasetSpec(name="mnist"))  # needs no server any more
