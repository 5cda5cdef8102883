"""What is particular to a store in a folder: addresses, file systems that refuse, and volumes many Pods share."""

import errno
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ticketsmith.experiment.problems import BadSpec, Unavailable
from ticketsmith.stores import open_store
from ticketsmith.stores.directory import DirectoryStore

KEY = "0123456789abcdef"


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "store")


def visible(store: DirectoryStore, key: str = KEY) -> list[str]:
    return sorted(p.name for p in (store.root / key).iterdir() if not p.name.startswith("."))


def one_sentence(problem: BaseException, *words: str) -> bool:
    text = str(problem)
    return "\n" not in text and all(word in text for word in words)


# --- texts ---------------------------------------------------------------------------------------
@settings(deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
def test_texts_come_back_as_they_were(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    store = DirectoryStore(tmp_path_factory.mktemp("texts"))
    assert store.create_text(KEY, "a.json", text)
    assert (store.root / KEY / "a.json").read_bytes().decode() == text
    assert store.read_text(KEY, "a.json") == text


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


def test_a_link_that_was_made_though_it_is_refused_counts_as_made(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As NFS does where the server's answer is lost and the request sent again."""
    link = os.link

    def link_and_forget(source: Path, target: Path) -> None:
        link(source, target)
        raise FileExistsError(errno.EEXIST, "there already", str(target))

    monkeypatch.setattr(os, "link", link_and_forget)
    assert store.create_text(KEY, "result.json", "mine") is True
    assert store.create_text(KEY, "result.json", "theirs") is False
    assert store.read_text(KEY, "result.json") == "mine"


# --- volumes that many Pods share ----------------------------------------------------------------
def test_two_stores_never_write_the_same_unfinished_file(tmp_path: Path) -> None:
    """Where a volume's locks do not reach from node to node, two Pods may be at one key."""
    one, other = DirectoryStore(tmp_path), DirectoryStore(tmp_path)
    (one.scratch(KEY) / "w.bin").write_bytes(b"one")
    (other.scratch(KEY) / "w.bin").write_bytes(b"other")
    digest = one.put(KEY, "w.bin", one.scratch(KEY) / "w.bin")
    assert one.fetch(KEY, "w.bin", digest).read_bytes() == b"one"
    other.put(KEY, "w.bin", other.scratch(KEY) / "w.bin")
    assert one.fetch(KEY, "w.bin").read_bytes() == b"other"


def test_what_a_killed_process_left_unfinished_goes_with_the_next_holder(tmp_path: Path) -> None:
    left = DirectoryStore(tmp_path).scratch(KEY) / "half.bin"
    left.write_bytes(b"x")
    store = DirectoryStore(tmp_path)
    store.create_text(KEY, "a.json", "x")
    with store.exclusive(KEY):
        assert not left.exists()
    assert visible(store) == ["a.json"]


def test_in_a_volume_given_to_a_group_everything_is_open_to_it(
    tmp_path: Path, private_umask: None
) -> None:
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume").chmod(0o2770)
    store = DirectoryStore(tmp_path / "volume" / "experiments")
    fill(store)
    for path in store.root.rglob("*"):
        wanted = 0o070 if path.is_dir() else 0o060
        assert path.stat().st_mode & 0o077 == wanted, path


def test_a_folder_of_ones_own_stays_as_the_umask_says(tmp_path: Path, private_umask: None) -> None:
    store = DirectoryStore(tmp_path / "store")
    fill(store)
    assert all(stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 for path in store.root.rglob("*"))


def fill(store: DirectoryStore) -> None:
    with store.exclusive(KEY):
        file = store.scratch(KEY) / "w.bin"
        file.write_bytes(b"weights")
        store.put(KEY, "w.bin", file)
        store.create_text(KEY, "result.json", "{}")


@pytest.fixture
def private_umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


GO_ON_AS = """
import os, sys
from pathlib import Path
from ticketsmith.stores.directory import DirectoryStore
root, user, name = sys.argv[1:]
os.setgroups([])
os.setgid(4242)
os.setuid(int(user))
os.umask(0o077)
store = DirectoryStore(Path(root) / "store")
with store.exclusive("0123456789abcdef"):
    before = store.read_text("0123456789abcdef", "checkpoint.bin")
    file = store.scratch("0123456789abcdef") / "checkpoint.bin"
    file.write_text(name)
    store.put("0123456789abcdef", "checkpoint.bin", file)
print(before)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may act as other users")
def test_a_pod_of_another_user_in_the_group_goes_on_where_the_first_stopped() -> None:
    volume = Path(tempfile.mkdtemp())
    try:
        os.chown(volume, 0, 4242)
        volume.chmod(0o2770)
        said = [
            subprocess.run(
                [sys.executable, "-c", GO_ON_AS, str(volume), user, f"by {user}"],
                capture_output=True,
                text=True,
                check=True,
            ).stdout.strip()
            for user in ("10001", "10002", "10001")
        ]
        assert said == ["None", "by 10001", "by 10002"]
    finally:
        shutil.rmtree(volume)


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


@pytest.mark.parametrize("uri", ["s3://b", "az://b", "http://x/y", "", "  ", "file://"])
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
from ticketsmith.experiment.problems import BadSpec, Unavailable
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
from ticketsmith.experiment.problems import BadSpec, Unavailable
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


def test_a_store_without_permission_is_told(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir(mode=0o500)
    command = [sys.executable, "-c", READ_ONLY, str(tmp_path)]
    if os.geteuid() == 0:  # root may write anywhere, unless that is taken from it
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--", *command]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert f"{tmp_path}/store" in told
    assert "permission is denied; change its permissions" in told
    assert len(told.splitlines()) == 1


def test_a_share_that_is_away_may_be_tried_again(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(handle: int) -> None:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    monkeypatch.setattr(os, "fsync", away)
    with pytest.raises(Unavailable) as caught:
        store.create_text(KEY, "a.json", "x")
    assert one_sentence(caught.value, "a.json", "try again later")
    assert caught.value.exit_code == 1  # so the round is retried
    assert visible(store) == []


def test_a_file_system_without_locks_is_told(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(handle: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(BadSpec) as caught, store.exclusive(KEY):
        pytest.fail("there is no lock")
    assert one_sentence(caught.value, "cannot lock files", "without nolock")
