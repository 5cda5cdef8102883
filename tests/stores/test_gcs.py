"""What is particular to a store in Cloud Storage: a network that breaks, services that refuse, credentials."""

import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from places import GcsPlace
from tripping_proxy import Request, Trip, TrippingProxy, times

from ticketsmith.experiment.problems import BadSpec, Problem, Unavailable
from ticketsmith.stores import open_store
from ticketsmith.stores.base import Store

KEY = "0123456789abcdef"
LARGE = os.urandom(20 * 2**20)
"""Goes in two requests of a resumable upload."""


@pytest.fixture
def store(gcs: GcsPlace) -> Store:
    return open_store(gcs.uri)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives up what fails all the time after a second."""
    monkeypatch.setenv("TICKETSMITH_RETRY_SECONDS", "1")


def put(store: Store, content: bytes, name: str = "weights.bin") -> str:
    file = store.scratch(KEY) / name
    file.write_bytes(content)
    return store.put(KEY, name, file)


def writes(request: Request) -> bool:
    return request.writes


def always(trip: Trip) -> Callable[[Request], Trip]:
    return lambda request: trip


# --- a network that breaks -----------------------------------------------------------------------
@pytest.mark.parametrize("skipped", [0, 1], ids=["first request", "second request"])
def test_a_torn_upload_shows_nothing_and_goes_on(
    proxy: TrippingProxy, gcs: GcsPlace, store: Store, skipped: int
) -> None:
    seen: list[list[str]] = []
    sent = 0

    def trip(request: Request) -> Trip:
        nonlocal sent
        if len(request.body) < 2**20:
            return None
        sent += 1
        seen.append(gcs.files(KEY))
        return "cut" if skipped < sent <= skipped + 2 else None

    proxy.trip = trip
    digest = put(store, LARGE)
    assert sent == 4  # two requests, and the torn ones again: what had arrived was not sent anew
    assert seen == [[]] * 4
    assert store.fetch(KEY, "weights.bin", digest).read_bytes() == LARGE


def test_an_upload_torn_for_good_leaves_the_old_object(
    proxy: TrippingProxy, gcs: GcsPlace, store: Store, impatient: None
) -> None:
    old = put(store, b"old")
    proxy.trip = lambda request: "cut" if request.writes else None
    with pytest.raises(Unavailable, match="cannot be reached"):
        put(store, LARGE)
    proxy.trip = always(None)
    assert store.fetch(KEY, "weights.bin", old).read_bytes() == b"old"
    again = store.scratch(KEY) / "weights.bin"  # what could not be stored is not lost
    digest = store.put(KEY, "weights.bin", again)
    assert store.fetch(KEY, "weights.bin", digest).read_bytes() == LARGE


def test_an_upload_session_that_is_forgotten_begins_anew(
    proxy: TrippingProxy, gcs: GcsPlace, store: Store
) -> None:
    proxy.trip = times(1, 410, lambda request: "upload_id" in request.path)
    digest = put(store, LARGE)
    assert store.fetch(KEY, "weights.bin", digest).read_bytes() == LARGE


def test_a_write_whose_answer_is_lost_is_recognised_as_ones_own(
    proxy: TrippingProxy, store: Store
) -> None:
    proxy.trip = times(1, "mute", writes)
    assert store.create_text(KEY, "result.json", "mine") is True
    assert store.create_text(KEY, "result.json", "theirs") is False
    proxy.trip = times(1, "mute", writes)
    digest = put(store, b"weights")
    assert store.fetch(KEY, "weights.bin", digest).read_bytes() == b"weights"


def test_a_torn_download_leaves_nothing_or_goes_on(
    proxy: TrippingProxy, store: Store, tmp_path: Path
) -> None:
    digest = put(store, b"weights")
    proxy.trip = times(2, "mute", lambda request: "/download/" in request.path)
    assert store.fetch(KEY, "weights.bin", digest).read_bytes() == b"weights"


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 507])
def test_a_service_that_stumbles_is_asked_again(
    proxy: TrippingProxy, store: Store, status: int
) -> None:
    proxy.trip = times(2, status, lambda request: True)
    assert store.create_text(KEY, "result.json", "x") is True
    assert store.read_text(KEY, "result.json") == "x"


@pytest.mark.parametrize("status", [429, 503, 507])
def test_a_service_that_stays_away_may_be_tried_again_later(
    proxy: TrippingProxy, gcs: GcsPlace, store: Store, impatient: None, status: int
) -> None:
    proxy.trip = always(status)
    for use in every_use(store):
        with pytest.raises(Unavailable) as caught:
            use()
        assert str(status) in str(caught.value)
        assert gcs.uri in str(caught.value)
        assert "\n" not in str(caught.value)
        assert caught.value.exit_code == 1  # so the round is retried
    assert gcs.everything() == []


def test_a_network_that_is_gone_is_told(
    gcs: GcsPlace, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9")  # nobody listens there
    with pytest.raises(Unavailable, match="cannot be reached; check the network"):
        open_store(gcs.uri, writable=True)


# --- services that refuse ------------------------------------------------------------------------
def every_use(store: Store) -> list[Callable[[], object]]:
    return [
        lambda: store.create_text(KEY, "a.json", "x"),
        lambda: store.read_text(KEY, "a.json"),
        lambda: put(store, b"x"),
        lambda: store.fetch(KEY, "a.json"),
        lambda: store.remove(KEY, "a.json"),
        lambda: list(store.keys()),
        lambda: store.exclusive(KEY).__enter__(),
    ]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "use Workload Identity, or set GOOGLE_APPLICATION_CREDENTIALS"),
        (403, "permission is denied; grant the service account roles/storage.objectUser"),
    ],
)
def test_a_refusal_is_told_with_what_helps(
    proxy: TrippingProxy, gcs: GcsPlace, store: Store, status: int, words: str
) -> None:
    proxy.trip = always(status)
    for use in every_use(store):
        with pytest.raises(BadSpec) as caught:
            use()
        assert words in str(caught.value)
        assert gcs.uri in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_missing_bucket_is_told_before_anything_is_done(gcs: GcsPlace) -> None:
    missing = open_store("gs://no-such-bucket/x")
    for use in (
        lambda: open_store("gs://no-such-bucket/x", writable=True),
        lambda: missing.exclusive(KEY).__enter__(),
        lambda: put(missing, LARGE),
        lambda: list(missing.keys()),
    ):
        with pytest.raises(BadSpec, match="there is no such bucket; create it or correct"):
            use()


def test_an_upload_session_is_not_shown_to_anyone(
    proxy: TrippingProxy, store: Store, impatient: None
) -> None:
    """Its address lets whoever knows it write the object."""
    proxy.trip = lambda request: 503 if "upload_id" in request.path else None
    with pytest.raises(Unavailable) as caught:
        put(store, LARGE)
    shown = "".join(traceback.format_exception(caught.value))
    assert "upload_id" not in shown
    assert any("upload_id" in request.path for request in proxy.asked)


# --- credentials ---------------------------------------------------------------------------------
@pytest.fixture
def nobody(gcs: GcsPlace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine of no account's."""
    monkeypatch.delenv("STORAGE_EMULATOR_HOST")
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize("key", [None, "", "SECRET", '{"type": "service_account", "x": "SECRET"}'])
def test_credentials_that_are_missing_or_broken_are_told_and_not_shown(
    key: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if key is not None:
        (tmp_path / "key.json").write_text(key)
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    with pytest.raises(BadSpec) as caught:
        open_store("gs://bucket/x", writable=True)
    assert "Workload Identity" in str(caught.value)
    assert "GOOGLE_APPLICATION_CREDENTIALS" in str(caught.value)
    assert "SECRET" not in "".join(traceback.format_exception(caught.value))


WITHOUT_GOOGLE = """
import sys
sys.modules["google.cloud.storage"] = None
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.stores import open_store
store = open_store("gs://bucket/x")
for use in (store.prove_writable, store.exclusive("0" * 16).__enter__):
    try:
        use()
    except BadSpec as problem:
        print(problem)
"""


def test_without_the_extra_one_sentence_tells_how_to_get_it() -> None:
    found = subprocess.run(
        [sys.executable, "-c", WITHOUT_GOOGLE], capture_output=True, text=True, check=True
    )
    said = found.stdout.splitlines()
    assert len(said) == 2
    assert all("pip install 'ticketsmith[gcs]'" in line for line in said)


def test_nothing_of_googles_is_imported_before_a_bucket_is_used() -> None:
    code = (
        "import sys; from ticketsmith.stores import open_store; open_store('gs://bucket/x');"
        "print([name for name in sys.modules if name.startswith('google')])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


# --- addresses -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("uri", "wanted"),
    [
        ("gs://bucket", "gs://bucket"),
        ("gs://bucket/", "gs://bucket"),
        ("gs://my.bucket_1/a/b/", "gs://my.bucket_1/a/b"),
        ("gs://bucket/with space/é#1?x%20", "gs://bucket/with space/é#1?x%20"),
    ],
)
def test_addresses_are_taken_literally(uri: str, wanted: str) -> None:
    assert open_store(uri).uri == wanted


@pytest.mark.parametrize("prefix", ["", "p/", "with space/é#1?x%20/"])
def test_objects_lie_below_the_prefix(gcs: GcsPlace, prefix: str) -> None:
    place = GcsPlace(gcs.server, gcs.bucket, prefix)
    store = open_store(place.uri)
    store.create_text(KEY, "result.json", "x")
    assert place.everything() == [f"{prefix}{KEY}/result.json"]
    assert list(store.keys()) == [KEY]


@pytest.mark.parametrize(
    "uri",
    [
        "gs://",
        "gs:///x",
        "gs://B/x",
        "gs://-bucket",
        "gs://b",
        "gs://bucket/a//b",
        "gs://bucket/../x",
        "gs://bucket/a\nb",
        "gs://bucket/" + "x" * 901,
    ],
)
def test_what_is_no_bucket_or_prefix_is_refused(uri: str) -> None:
    with pytest.raises(BadSpec, match="write gs://bucket"):
        open_store(uri)


@pytest.mark.parametrize("uri", ["gs://id:SECRET@bucket/x", "s3://id:SECRET@bucket/x"])
def test_a_key_in_an_address_is_not_repeated(uri: str) -> None:
    with pytest.raises(BadSpec) as caught:
        open_store(uri)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("variable", ["TICKETSMITH_LEASE_SECONDS", "TICKETSMITH_RETRY_SECONDS"])
@pytest.mark.parametrize("text", ["0", "-3", "inf", "nan", "soon"])
def test_a_setting_that_makes_no_sense_is_named(
    store: Store, monkeypatch: pytest.MonkeyPatch, variable: str, text: str
) -> None:
    monkeypatch.setenv(variable, text)
    with pytest.raises(BadSpec, match=variable), store.exclusive(KEY):
        pytest.fail("held all the same")


# --- local files ---------------------------------------------------------------------------------
def test_local_files_lie_below_tmpdir_and_go_when_the_key_is_let_go(
    gcs: GcsPlace, store: Store, tmp_path: Path
) -> None:
    with store.exclusive(KEY):
        digest = put(store, b"weights")
        for path in (store.scratch(KEY), store.fetch(KEY, "weights.bin", digest)):
            assert path.is_relative_to(tmp_path / "tmp")
    assert list((tmp_path / "tmp").iterdir()) == []
    assert store.fetch(KEY, "weights.bin", digest).read_bytes() == b"weights"


def test_a_copy_that_is_not_what_it_was_is_not_kept(
    gcs: GcsPlace, store: Store, tmp_path: Path
) -> None:
    digest = put(store, b"weights")
    gcs.overwrite(KEY, "weights.bin", b"other")
    with pytest.raises(Problem):
        store.fetch(KEY, "weights.bin", digest)
    assert [path for path in (tmp_path / "tmp").rglob("*") if path.is_file()] == []
