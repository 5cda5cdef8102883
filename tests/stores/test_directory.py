"""The directory store: whole files or none, one winner, damage named, refusals in one sentence."""

import errno
import hashlib
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ticketsmith.experiment.problems import BadSpec
from ticketsmith.stores import open_store
from ticketsmith.stores.directory import DirectoryStore

KEY = "0123456789abcdef"
OTHER = "f" * 16


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "store")


def visible(store: DirectoryStore, key: str = KEY) -> list[str]:
    return sorted(p.name for p in (store.root / key).iterdir() if not p.name.startswith("."))


def one_sentence(problem: BaseException, *words: str) -> bool:
    text = str(problem)
    return "\n" not in text and all(word in text for word in words)


def python(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True
    )


# --- texts ---------------------------------------------------------------------------------------
def test_create_text_creates_once(store: DirectoryStore) -> None:
    assert store.create_text(KEY, "result.json", "first") is True
    assert store.create_text(KEY, "result.json", "second") is False
    assert store.read_text(KEY, "result.json") == "first"
    assert visible(store) == ["result.json"]
    assert [p.name for p in (store.root / KEY).iterdir()] == ["result.json"]


def test_a_text_that_is_not_there_is_none(store: DirectoryStore) -> None:
    assert store.read_text(KEY, "result.json") is None


@settings(deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
def test_texts_come_back_as_they_were(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    store = DirectoryStore(tmp_path_factory.mktemp("texts"))
    assert store.create_text(KEY, "a.json", text)
    assert (store.root / KEY / "a.json").read_bytes().decode() == text
    assert store.read_text(KEY, "a.json") == text


RACE = """
import sys
from ticketsmith.stores import open_store
root, mine = sys.argv[1:]
store = open_store(root)
print("ready", flush=True)
sys.stdin.readline()
print(*[int(store.create_text(f"{n:016x}", "result.json", mine * 5000)) for n in range(60)])
"""


def test_of_two_processes_exactly_one_creates_each_text(store: DirectoryStore) -> None:
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, str(store.root), mine],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for mine in "ab"
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    won = [[int(x) for x in racer.communicate()[0].split()] for racer in racers]
    assert [a + b for a, b in zip(*won, strict=True)] == [1] * 60
    for n, a_won in enumerate(won[0]):
        assert store.read_text(f"{n:016x}", "result.json") == ("a" if a_won else "b") * 5000


def test_create_text_without_hard_links(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    assert store.create_text(KEY, "result.json", "first") is True
    assert store.create_text(KEY, "result.json", "second") is False
    assert store.read_text(KEY, "result.json") == "first"
    assert visible(store) == ["result.json"]


# --- files ---------------------------------------------------------------------------------------
def test_put_moves_what_was_written_in_scratch(store: DirectoryStore) -> None:
    file = store.scratch(KEY) / "w.tmp"
    file.write_bytes(b"weights")
    digest = store.put(KEY, "weights.safetensors", file)
    assert digest == hashlib.sha256(b"weights").hexdigest()
    assert not file.exists()
    assert store.fetch(KEY, "weights.safetensors", digest).read_bytes() == b"weights"


def test_put_copies_what_lies_elsewhere_and_replaces(store: DirectoryStore, tmp_path: Path) -> None:
    file = tmp_path / "mine.bin"
    for content in (b"old", b"new"):
        file.write_bytes(content)
        store.put(KEY, "a.bin", file)
        assert store.fetch(KEY, "a.bin").read_bytes() == content
    assert file.read_bytes() == b"new"
    assert list(store.scratch(KEY).iterdir()) == []


def test_put_of_a_missing_file_leaves_the_old_one(store: DirectoryStore, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"old")
    store.put(KEY, "a.bin", tmp_path / "x")
    with pytest.raises(BadSpec):
        store.put(KEY, "a.bin", store.scratch(KEY) / "nothing")
    assert store.fetch(KEY, "a.bin").read_bytes() == b"old"


WRITER = """
import sys
from pathlib import Path
from ticketsmith.stores import open_store
store = open_store(sys.argv[1])
key = "0123456789abcdef"
print("ready", flush=True)
for turn in range(10**9):
    content = bytes([turn % 251]) * 300_000
    file = store.scratch(key) / "w.tmp"
    file.write_bytes(content)
    store.put(key, "weights.bin", file)
    store.create_text(key, f"{turn}.json", chr(97 + turn % 26) * 300_000)
"""


@pytest.mark.parametrize("wait", [0.0, 0.013, 0.031, 0.08])
def test_a_killed_writer_leaves_whole_files_only(store: DirectoryStore, wait: float) -> None:
    writer = python(WRITER, str(store.root))
    assert writer.stdout is not None
    writer.stdout.readline()
    time.sleep(wait)
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    writer.stdout.close()
    for file in (store.root / KEY).iterdir() if (store.root / KEY).exists() else []:
        if file.is_file() and not file.name.startswith("."):
            content = file.read_bytes()
            assert len(content) == 300_000
            assert len(set(content)) == 1


# --- damage --------------------------------------------------------------------------------------
def test_a_damaged_artifact_is_named_and_refused(store: DirectoryStore, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"weights")
    digest = store.put(KEY, "weights.safetensors", tmp_path / "x")
    path = store.root / KEY / "weights.safetensors"
    path.write_bytes(b"wEights")
    with pytest.raises(BadSpec) as caught:
        store.fetch(KEY, "weights.safetensors", digest)
    found = hashlib.sha256(b"wEights").hexdigest()
    assert one_sentence(caught.value, str(path), "damaged", found, digest, f"remove {path.parent}")


def test_a_missing_artifact_is_named(store: DirectoryStore) -> None:
    with pytest.raises(BadSpec) as caught:
        store.fetch(KEY, "mask.safetensors")
    assert one_sentence(
        caught.value, str(store.root / KEY / "mask.safetensors"), "missing", "remove"
    )


def test_a_text_that_is_no_text_is_named(store: DirectoryStore) -> None:
    store.create_text(KEY, "a.json", "x")
    (store.root / KEY / "a.json").write_bytes(b"\xff\xfe")
    with pytest.raises(BadSpec) as caught:
        store.read_text(KEY, "a.json")
    assert one_sentence(caught.value, "a.json", "damaged")


# --- keys and names ------------------------------------------------------------------------------
def test_keys_are_those_with_something_stored(store: DirectoryStore) -> None:
    assert list(store.keys()) == []
    store.create_text(OTHER, "a.json", "x")
    store.create_text(KEY, "a.json", "x")
    store.scratch("a" * 16)
    with store.exclusive("b" * 16):
        pass
    (store.root / "no-key").mkdir()
    (store.root / ("c" * 16)).write_text("a file")
    assert list(store.keys()) == [KEY, OTHER]


def test_remove(store: DirectoryStore) -> None:
    store.create_text(KEY, "a.json", "x")
    store.remove(KEY, "a.json")
    store.remove(KEY, "a.json")
    assert store.read_text(KEY, "a.json") is None


@pytest.mark.parametrize(
    "key", ["", ".", "..", "../../etc", "0123456789ABCDEF", KEY + "\n", KEY + "/x", "a" * 15]
)
def test_what_is_no_key_is_refused(store: DirectoryStore, key: str) -> None:
    for use in (
        lambda: store.read_text(key, "a"),
        lambda: store.create_text(key, "a", "x"),
        lambda: store.scratch(key),
        lambda: store.exclusive(key).__enter__(),
        lambda: store.fetch(key, "a"),
    ):
        with pytest.raises(BadSpec, match="not a key"):
            use()
    assert not store.root.exists()


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".lock", "../result.json", "a/b", "/etc/passwd", "a\0b", "a\n", "é"]
)
def test_what_is_no_name_is_refused(store: DirectoryStore, tmp_path: Path, name: str) -> None:
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


# --- exclusive -----------------------------------------------------------------------------------
HOLDER = """
import sys, time
from ticketsmith.stores import open_store
with open_store(sys.argv[1]).exclusive("0123456789abcdef"):
    print("held", flush=True)
    time.sleep(60)
"""
TAKER = """
import sys
from ticketsmith.stores import open_store
print("asking", flush=True)
with open_store(sys.argv[1]).exclusive("0123456789abcdef"):
    print("held", flush=True)
"""


def test_exclusive_waits_and_ends_with_its_process(store: DirectoryStore) -> None:
    holder = python(HOLDER, str(store.root))
    taker: subprocess.Popen[str] | None = None
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with store.exclusive(OTHER):
            pass  # another key is free
        taker = python(TAKER, str(store.root))
        assert taker.stdout is not None
        assert taker.stdout.readline() == "asking\n"
        with suppress(subprocess.TimeoutExpired):
            taker.wait(0.3)
        assert taker.poll() is None  # it waits
        holder.send_signal(signal.SIGKILL)
        assert taker.communicate(timeout=30)[0] == "held\n"
    finally:
        for process in (holder, taker):
            if process is not None:
                process.kill()
                process.communicate()


def test_an_error_inside_exclusive_is_passed_on_and_unlocks(store: DirectoryStore) -> None:
    with pytest.raises(OSError, match="inside"), store.exclusive(KEY):
        raise OSError(errno.ENOSPC, "inside")
    with store.exclusive(KEY):
        pass


# --- addresses -----------------------------------------------------------------------------------
def test_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    wanted = (tmp_path / "runs" / "store").as_uri()
    for uri in ("runs/store", str(tmp_path / "runs/store"), wanted, "file://runs/store"):
        assert open_store(uri).uri == wanted
    assert open_store(wanted.replace("store", "a%20b")).uri.endswith("/a%20b")
    assert (
        open_store(open_store("with space#and?more").uri).uri
        == open_store("with space#and?more").uri
    )
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "uri", ["gs://bucket/prefix", "s3://b", "az://b", "http://x/y", "", "  ", "file://"]
)
def test_other_addresses_are_refused_with_what_is_supported(uri: str) -> None:
    with pytest.raises(BadSpec) as caught:
        open_store(uri)
    assert one_sentence(caught.value, "file:///path")


# --- a world that refuses ------------------------------------------------------------------------
def on_a_file_system(options: str, folder: Path, code: str) -> str:
    """What `code` prints where `folder` is a file system of its own, in a namespace of its own."""
    script = 'mount -t tmpfs -o "$1" tmpfs "$2" && exec "$3" -c "$4" "$2"'
    arguments = ["sh", "-c", script, "sh", options, str(folder), sys.executable, code]
    spaces = ["/usr/bin/env", "unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*spaces, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount a file system in a namespace")
    return subprocess.run([*spaces, *arguments], capture_output=True, text=True, check=True).stdout


FILL = """
import sys, tempfile
from pathlib import Path
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.stores.directory import DirectoryStore
store = DirectoryStore(Path(sys.argv[1]) / "store")
key = "0123456789abcdef"
elsewhere = tempfile.NamedTemporaryFile()
elsewhere.write(b"x" * 200_000)
elsewhere.flush()
for use in (
    lambda: store.put(key, "big.bin", Path(elsewhere.name)),
    lambda: store.create_text(key, "big.json", "x" * 200_000),
    lambda: store.prove_writable() or store.create_text(key, "small.json", "x"),
):
    try:
        print(use())
    except BadSpec as problem:
        print(problem)
print(sorted(p.name for p in (store.root / key).iterdir() if not p.name.startswith(".")))
"""


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    put, created, small, left = on_a_file_system("size=64k", tmp_path, FILL).splitlines()
    assert "big.bin" in put
    assert "big.json" in created
    for told in (put, created):
        assert "the disk is full; free some space" in told
    assert small == "True"  # what was begun gave its room back
    assert left == "['small.json']"


READ_ONLY = """
import sys
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.stores import open_store
try:
    open_store(sys.argv[1] + "/store", writable=True)
except BadSpec as problem:
    print(problem)
"""


def test_a_read_only_store_is_told(tmp_path: Path) -> None:
    told = on_a_file_system("ro", tmp_path, READ_ONLY)
    assert f"{tmp_path}/store" in told
    assert "read-only; choose another folder or mount it for writing" in told
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "permission"),
        (errno.EDQUOT, "quota"),
    ],
)
def test_a_refusing_file_system_is_told(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    store.create_text(KEY, "there.json", "x")

    def refuse(handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(BadSpec) as caught:
        store.create_text(KEY, "a.json", "x")
    assert one_sentence(caught.value, "a.json", words, "choose another folder")
    assert visible(store) == ["there.json"]
    assert [p.name for p in (store.root / KEY).iterdir()] == ["there.json"]


def test_a_file_where_the_store_should_be(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("not a folder")
    with pytest.raises(BadSpec) as caught:
        open_store(str(tmp_path / "store"), writable=True)
    assert one_sentence(
        caught.value, str(tmp_path / "store"), "file stands where a folder is needed"
    )
    with pytest.raises(BadSpec):
        DirectoryStore(tmp_path / "store").create_text(KEY, "a", "x")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_store_without_permission(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir(mode=0o500)
    with pytest.raises(BadSpec, match="permission is denied"):
        open_store(str(tmp_path / "store"), writable=True)


def test_proof_of_writing_leaves_nothing(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"), writable=True)
    assert list((tmp_path / "store").iterdir()) == []
    assert list(store.keys()) == []
