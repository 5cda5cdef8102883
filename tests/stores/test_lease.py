"""One holder at a time, across machines: kept while it lives, taken over when it falls silent, noticed when lost."""

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from places import GcsPlace

from ticketsmith.stores import open_store
from ticketsmith.stores.base import Store
from ticketsmith.stores.gcs.lease import LostLease

KEY = "0123456789abcdef"
TAKER = """
import sys
from ticketsmith.stores import open_store
print("asking", flush=True)
with open_store(sys.argv[1]).exclusive("0123456789abcdef"):
    print("held", flush=True)
"""


@pytest.fixture
def store(gcs: GcsPlace) -> Store:
    return open_store(gcs.uri)


def lock(gcs: GcsPlace) -> str:
    return f"{gcs.prefix}{KEY}/.lock"


def until(reached: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.02)


def put(store: Store, content: bytes) -> str:
    file = store.scratch(KEY) / "w.bin"
    file.write_bytes(content)
    return store.put(KEY, "w.bin", file)


def stop_renewing(store: Store) -> Any:
    """Nothing is renewed any more, as if the process stood still."""
    lease = store._leases[KEY]  # type: ignore[attr-defined]
    lease._end.set()
    lease._thread.join()
    return lease


def test_a_holder_that_lives_keeps_its_lease_longer_than_its_length(
    gcs: GcsPlace, store: Store
) -> None:
    with store.exclusive(KEY):
        taker = subprocess.Popen(
            [sys.executable, "-c", TAKER, gcs.uri], stdout=subprocess.PIPE, text=True
        )
        assert taker.stdout is not None
        assert taker.stdout.readline() == "asking\n"
        writes: set[int | None] = set()
        # Every quarter of its length: after nine it has been held for more than two lengths.
        until(lambda: writes.add(gcs.server.generation(gcs.bucket, lock(gcs))) or len(writes) > 9)
        assert taker.poll() is None
        put(store, b"weights")
    assert taker.communicate(timeout=60)[0] == "held\n"
    assert gcs.server.generation(gcs.bucket, lock(gcs)) is None


def test_a_holder_that_lost_its_lease_writes_nothing_more(gcs: GcsPlace, store: Store) -> None:
    with store.exclusive(KEY):
        digest = put(store, b"before")
        gcs.server.overwrite(gcs.bucket, lock(gcs), b"somebody else")
        theirs = gcs.server.generation(gcs.bucket, lock(gcs))
        until(lambda: store._leases[KEY]._lost)  # type: ignore[attr-defined]
        for use in (
            lambda: store.create_text(KEY, "result.json", "x"),
            lambda: store.remove(KEY, "w.bin"),
            lambda: put(store, b"after"),
        ):
            with pytest.raises(LostLease, match="another process has taken"):
                use()
    assert gcs.files(KEY) == ["w.bin"]
    assert store.fetch(KEY, "w.bin", digest).read_bytes() == b"before"
    assert gcs.server.generation(gcs.bucket, lock(gcs)) == theirs


def test_a_lost_lease_is_worth_another_try() -> None:
    assert LostLease("").exit_code == 1


def test_an_object_another_has_replaced_costs_a_former_holder_its_lease(
    gcs: GcsPlace, store: Store
) -> None:
    """Also within the time in which it still believes in its lease."""
    with store.exclusive(KEY):
        put(store, b"mine")
        gcs.server.overwrite(gcs.bucket, lock(gcs), b"somebody else")
        gcs.overwrite(KEY, "w.bin", b"theirs")
        with pytest.raises(LostLease):
            put(store, b"mine again")
    assert gcs.content(KEY, "w.bin") == b"theirs"


def test_last_words_of_a_former_holder_do_not_cost_the_holder_its_lease(
    gcs: GcsPlace, store: Store
) -> None:
    with store.exclusive(KEY):
        put(store, b"mine")
        gcs.overwrite(KEY, "w.bin", b"last words")
        digest = put(store, b"mine again")
    assert store.fetch(KEY, "w.bin", digest).read_bytes() == b"mine again"


def test_a_holder_cut_off_for_longer_than_the_lease_goes_on_if_nobody_took_over(
    gcs: GcsPlace, store: Store
) -> None:
    with store.exclusive(KEY):
        lease = stop_renewing(store)
        before = gcs.server.generation(gcs.bucket, lock(gcs))
        lease._renewed_at -= 3600
        digest = put(store, b"weights")
        assert gcs.server.generation(gcs.bucket, lock(gcs)) != before
    assert store.fetch(KEY, "w.bin", digest).read_bytes() == b"weights"


WAITER_IN_ANOTHER_YEAR = (
    """
import sys, time
wrong = float(sys.argv[2])
now = time.time
time.time = lambda: now() + wrong
"""
    + TAKER
)


@pytest.mark.parametrize("seconds", [-3600.0, 3600.0])
def test_a_clock_that_is_wrong_by_an_hour_takes_over_neither_early_nor_never(
    gcs: GcsPlace, store: Store, seconds: float
) -> None:
    with store.exclusive(KEY):
        waiter = subprocess.Popen(
            [sys.executable, "-c", WAITER_IN_ANOTHER_YEAR, gcs.uri, str(seconds)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert waiter.stdout is not None
        assert waiter.stdout.readline() == "asking\n"
        writes: set[int | None] = set()
        until(lambda: writes.add(gcs.server.generation(gcs.bucket, lock(gcs))) or len(writes) > 5)
        assert waiter.poll() is None
        stop_renewing(store)
        assert waiter.communicate(timeout=60)[0] == "held\n"


def test_what_waiting_needs_is_tidied_away(gcs: GcsPlace, store: Store) -> None:
    gcs.server.overwrite(gcs.bucket, lock(gcs), b"a holder that died")
    with store.exclusive(KEY):
        assert gcs.everything() == [lock(gcs)]
    assert gcs.everything() == []
