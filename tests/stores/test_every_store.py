"""What every store must do, on each kind of place: whole files or none, one winner, damage named, one at a time."""

import errno
import hashlib
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from places import Place

from ticketsmith.experiment.problems import BadSpec
from ticketsmith.stores import open_store
from ticketsmith.stores.base import Store

KEY = "0123456789abcdef"
OTHER = "f" * 16


def one_sentence(problem: BaseException, *words: str) -> bool:
    text = str(problem)
    return "\n" not in text and all(word in text for word in words)


def python(code: str, *arguments: str) -> subprocess.Popen[str]:
    """A process of its own, which prints a line when it has got somewhere and may wait to be sent one."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def end(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        process.kill()
        process.communicate()


# --- texts ---------------------------------------------------------------------------------------
def test_a_text_is_created_once(store: Store, place: Place) -> None:
    assert store.create_text(KEY, "result.json", "first") is True
    assert store.create_text(KEY, "result.json", "second") is False
    assert store.read_text(KEY, "result.json") == "first"
    assert place.files(KEY) == ["result.json"]


def test_a_text_that_is_not_there_is_none(store: Store) -> None:
    assert store.read_text(KEY, "result.json") is None


@pytest.mark.parametrize(
    "text", ["", "plain", "a\nb\r\nc\r", "ünïcödé \u2028 \U0001f9e0 \0", "{}" * 100_000]
)
def test_a_text_comes_back_as_it_was(store: Store, place: Place, text: str) -> None:
    assert store.create_text(KEY, "a.json", text)
    assert place.content(KEY, "a.json").decode() == text
    assert store.read_text(KEY, "a.json") == text


RACE = """
import sys
from ticketsmith.stores import open_store
uri, mine = sys.argv[1:]
store = open_store(uri)
store.read_text("0" * 16, "result.json")
print("ready", flush=True)
sys.stdin.readline()
print(*[int(store.create_text(f"{n:016x}", "result.json", mine * 5000)) for n in range(60)])
"""


def test_of_several_processes_exactly_one_creates_each_text(store: Store, place: Place) -> None:
    racers = {mine: python(RACE, place.uri, mine) for mine in "abc"}
    assert [said(racer) for racer in racers.values()] == ["ready"] * 3
    for racer in racers.values():
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    won = {mine: racer.communicate(timeout=120)[0].split() for mine, racer in racers.items()}
    for n in range(60):
        (winner,) = (mine for mine in racers if won[mine][n] == "1")
        assert store.read_text(f"{n:016x}", "result.json") == winner * 5000


# --- files ---------------------------------------------------------------------------------------
def test_put_takes_what_was_written_in_scratch(store: Store) -> None:
    file = store.scratch(KEY) / "w.tmp"
    file.write_bytes(b"weights")
    digest = store.put(KEY, "weights.safetensors", file)
    assert digest == hashlib.sha256(b"weights").hexdigest()
    assert not file.exists()
    assert store.fetch(KEY, "weights.safetensors", digest).read_bytes() == b"weights"


def test_put_copies_what_lies_elsewhere_and_replaces(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "mine.bin"
    for content in (b"old", b"new", b""):
        file.write_bytes(content)
        store.put(KEY, "a.bin", file)
        assert store.fetch(KEY, "a.bin").read_bytes() == content
    assert file.exists()
    assert list(store.scratch(KEY).iterdir()) == []


def test_put_of_a_missing_file_leaves_the_old_one(store: Store, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"old")
    store.put(KEY, "a.bin", tmp_path / "x")
    with pytest.raises(BadSpec):
        store.put(KEY, "a.bin", store.scratch(KEY) / "nothing")
    assert store.fetch(KEY, "a.bin").read_bytes() == b"old"


WRITER = """
import sys
from ticketsmith.stores import open_store
store = open_store(sys.argv[1])
key = "0123456789abcdef"
for turn in range(10**9):
    content = bytes([turn % 251]) * 300_000
    file = store.scratch(key) / "w.tmp"
    file.write_bytes(content)
    store.put(key, "weights.bin", file)
    store.create_text(key, f"{turn}.json", chr(97 + turn % 26) * 300_000)
    print(turn, flush=True)
"""


@pytest.mark.parametrize("turns", [1, 3, 8])
def test_a_killed_writer_leaves_whole_files_only(place: Place, turns: int) -> None:
    writer = python(WRITER, place.uri)
    for _ in range(turns):
        said(writer)
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    assert "weights.bin" in place.files(KEY)
    for name in place.files(KEY):
        content = place.content(KEY, name)
        assert len(content) == 300_000
        assert len(set(content)) == 1


# --- damage --------------------------------------------------------------------------------------
def test_a_damaged_artifact_is_named_and_refused(
    store: Store, place: Place, tmp_path: Path
) -> None:
    (tmp_path / "x").write_bytes(b"weights")
    digest = store.put(KEY, "weights.safetensors", tmp_path / "x")
    place.overwrite(KEY, "weights.safetensors", b"wEights")
    with pytest.raises(BadSpec) as caught:
        store.fetch(KEY, "weights.safetensors", digest)
    found = hashlib.sha256(b"wEights").hexdigest()
    named = place.address(KEY, "weights.safetensors")
    assert one_sentence(caught.value, named, "damaged", found, digest, "remove")


def test_a_missing_artifact_is_named(store: Store, place: Place) -> None:
    with pytest.raises(BadSpec) as caught:
        store.fetch(KEY, "mask.safetensors")
    assert one_sentence(caught.value, place.address(KEY, "mask.safetensors"), "missing", "remove")


def test_a_text_that_is_no_text_is_named(store: Store, place: Place) -> None:
    place.overwrite(KEY, "a.json", b"\xff\xfe")
    with pytest.raises(BadSpec) as caught:
        store.read_text(KEY, "a.json")
    assert one_sentence(caught.value, place.address(KEY, "a.json"), "damaged", "remove")


# --- keys and names ------------------------------------------------------------------------------
def test_keys_are_those_with_something_stored(store: Store, place: Place) -> None:
    assert list(store.keys()) == []
    store.create_text(OTHER, "a.json", "x")
    store.create_text(OTHER, "b.json", "x")
    store.create_text(KEY, "a.json", "x")
    store.scratch("a" * 16)
    place.overwrite("no-key", "a.json", b"x")
    with store.exclusive("b" * 16):
        assert list(store.keys()) == [KEY, OTHER]


@pytest.mark.slow
def test_thousands_of_keys_are_listed_in_order(store: Store, place: Place) -> None:
    wanted = [f"{n:016x}" for n in range(2_500)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: place.overwrite(key, "result.json", b"{}"), reversed(wanted)))
    assert list(store.keys()) == wanted


def test_a_file_is_removed_and_may_be_gone_already(store: Store) -> None:
    store.create_text(KEY, "a.json", "x")
    store.remove(KEY, "a.json")
    store.remove(KEY, "a.json")
    assert store.read_text(KEY, "a.json") is None


@pytest.mark.parametrize(
    "key", ["", ".", "..", "../../etc", "0123456789ABCDEF", KEY + "\n", KEY + "/x", "a" * 15]
)
def test_what_is_no_key_is_refused(store: Store, key: str) -> None:
    for use in (
        lambda: store.read_text(key, "a"),
        lambda: store.create_text(key, "a", "x"),
        lambda: store.scratch(key),
        lambda: store.exclusive(key).__enter__(),
        lambda: store.fetch(key, "a"),
    ):
        with pytest.raises(BadSpec, match="not a key"):
            use()
    assert list(store.keys()) == []


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".lock", "../result.json", "a/b", "/etc/passwd", "a\0b", "a\n", "é"]
)
def test_what_is_no_name_is_refused(store: Store, tmp_path: Path, name: str) -> None:
    (tmp_path / "x").write_bytes(b"x")
    for use in (
        lambda: store.read_text(KEY, name),
        lambda: store.create_text(KEY, name, "x"),
        lambda: store.put(KEY, name, tmp_path / "x"),
        lambda: store.fetch(KEY, name),
        lambda: store.remove(KEY, name),
    ):
        with pytest.raises(BadSpec, match="not a name"):
            use()


# --- one at a time -------------------------------------------------------------------------------
HOLDER = """
import sys
from ticketsmith.stores import open_store
with open_store(sys.argv[1]).exclusive("0123456789abcdef"):
    print("held", flush=True)
    sys.stdin.readline()
"""
TAKER = """
import sys
from ticketsmith.stores import open_store
print("asking", flush=True)
with open_store(sys.argv[1]).exclusive("0123456789abcdef"):
    print("held", flush=True)
"""


def test_a_key_is_held_by_one_and_free_when_its_holder_is_killed(
    store: Store, place: Place
) -> None:
    holder = python(HOLDER, place.uri)
    assert said(holder) == "held"
    taker = python(TAKER, place.uri)
    try:
        assert said(taker) == "asking"
        with store.exclusive(OTHER):
            pass  # another key is free
        assert taker.poll() is None  # it waits
        holder.send_signal(signal.SIGKILL)
        assert taker.communicate(timeout=60)[0] == "held\n"
    finally:
        end(holder, taker)


CRITICAL = """
import sys
from pathlib import Path
from ticketsmith.stores import open_store
uri, notes = sys.argv[1:]
store = open_store(uri)
for _ in range(5):
    with store.exclusive("0123456789abcdef"):
        for word in ("in", "out"):
            with open(notes, "a") as file:
                print(word, file=file)
"""


def test_processes_that_want_the_same_key_follow_each_other(place: Place, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    many = [python(CRITICAL, place.uri, str(notes)) for _ in range(3)]
    try:
        for one in many:
            one.communicate(timeout=120)
    finally:
        end(*many)
    assert notes.read_text().split() == ["in", "out"] * 15


def test_an_error_inside_is_passed_on_and_frees_the_key(store: Store) -> None:
    with pytest.raises(OSError, match="inside"), store.exclusive(KEY):
        raise OSError(errno.ENOSPC, "inside")
    with store.exclusive(KEY):
        pass


# --- proof ---------------------------------------------------------------------------------------
def test_proof_of_writing_leaves_nothing(place: Place) -> None:
    store = open_store(place.uri, writable=True)
    assert list(store.keys()) == []
    assert place.everything() == []
