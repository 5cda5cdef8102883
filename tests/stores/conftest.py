"""A folder and a bucket to keep artifacts in."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# What lies beside the tests is imported by its name, by their processes too.
sys.path.insert(0, str(Path(__file__).parents[1] / "cluster"))
sys.path.insert(0, str(Path(__file__).parent))

from fake_gcs import FakeGcs
from places import DirectoryPlace, GcsPlace, Place
from tools.build import NotBuilt
from tripping_proxy import TrippingProxy

from ticketsmith.stores import open_store
from ticketsmith.stores.base import Store


@pytest.fixture(scope="session")
def gcs_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeGcs]:
    """The server. Its program is not built: a failure in CI, a skip elsewhere."""
    try:
        server = FakeGcs(tmp_path_factory.mktemp("gcs") / "log")
    except NotBuilt as absent:
        if os.environ.get("CI"):
            pytest.fail(str(absent))
        pytest.skip(str(absent))
    yield server
    server.stop()


@pytest.fixture
def gcs(gcs_server: FakeGcs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> GcsPlace:
    """A bucket of the test's own. This process and those it starts find it; leases and retries are short."""
    (tmp_path / "tmp").mkdir()
    for name, value in {
        "STORAGE_EMULATOR_HOST": gcs_server.url,
        "TICKETSMITH_LEASE_SECONDS": "2",
        "TICKETSMITH_RETRY_SECONDS": "20",
        "TMPDIR": str(tmp_path / "tmp"),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("tempfile.tempdir", None)
    return GcsPlace(gcs_server, gcs_server.new_bucket(), "a prefix/é/")


@pytest.fixture(params=["directory", "gcs"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Each kind of place in turn."""
    if request.param == "gcs":
        found: Place = request.getfixturevalue("gcs")
        return found
    return DirectoryPlace(tmp_path / "store")


@pytest.fixture
def store(place: Place) -> Store:
    """A store in that place."""
    return open_store(place.uri)


@pytest.fixture
def proxy(gcs: GcsPlace, monkeypatch: pytest.MonkeyPatch) -> Iterator[TrippingProxy]:
    """Stands between this process and the server."""
    between = TrippingProxy(gcs.server.port)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", between.url)
    yield between
    between.stop()
