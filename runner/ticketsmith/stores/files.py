"""Writing files so that a crash leaves the old one or the new one, never a part; and telling what went wrong."""

import errno
import fcntl
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ticketsmith.experiment.problems import BadSpec, Unavailable

_REMEDY = {
    errno.ENOSPC: "the disk is full; free some space or choose another folder",
    errno.EDQUOT: "your disk quota is used up; free some space or choose another folder",
    errno.EROFS: "the file system is read-only; choose another folder or mount it for writing",
    errno.EACCES: "permission is denied; change its permissions or choose another folder",
    errno.EPERM: "permission is denied; change its permissions or choose another folder",
    errno.ENOTDIR: "a file stands where a folder is needed; remove it or choose another folder",
    errno.EEXIST: "a file stands where a folder is needed; remove it or choose another folder",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter folder",
    errno.ENOLCK: "the file system cannot lock files; mount it with locks (NFS: version 4, without nolock)",
    errno.ENOSYS: "the file system lacks what a store needs; mount one with locks and renames",
    errno.EOPNOTSUPP: "the file system lacks what a store needs; mount one with locks and renames",
}
_PASSING = {
    errno.EIO,
    errno.EREMOTEIO,
    errno.ESTALE,
    errno.ETIMEDOUT,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.ENETDOWN,
    errno.ENETUNREACH,
    errno.ECONNRESET,
    errno.ECONNREFUSED,
    errno.ENOTCONN,
}
"""What a network share says while its server is away."""
_NO_HARD_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}


@contextmanager
def told(doing: str, path: Path) -> Iterator[None]:
    """Turn an OSError inside into a Problem: `cannot <doing> <path>: what is wrong; what helps`.

    It is a BadSpec; Unavailable where a network share is away, since then trying again may help.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _PASSING:
            raise Unavailable(
                f"cannot {doing} {path}: {error.strerror}; the file system is away, try again later"
            ) from error
        remedy = _REMEDY.get(error.errno or 0, f"{error.strerror or error}; choose another folder")
        raise BadSpec(f"cannot {doing} {path}: {remedy}") from error


def sha256_of(file: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Have a file's bytes, or a folder's names, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, each open to its group where `share` says so. OSError if that fails."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    try:
        folder.mkdir()
    except FileExistsError:
        if not folder.is_dir():
            raise
    else:
        share(folder)


def share(path: Path) -> None:
    """Open what this process made to the group of the folder it lies in, if that folder is a shared one.

    Shared is what its group may write and hands its group on, as Kubernetes prepares a volume for a Pod's fsGroup:
    Pods of other users go on there where this one stopped, whatever its umask.
    """
    folder = path.parent.stat().st_mode
    if folder & stat.S_ISGID and folder & stat.S_IWGRP:
        mode = path.stat().st_mode
        path.chmod(stat.S_IMODE(mode) | (0o070 if stat.S_ISDIR(mode) else 0o060))


@contextmanager
def aside(target: Path, text: str) -> Iterator[Path]:
    """`text` in a finished, synced file beside `target`; whatever is still there at the end is removed."""
    handle, name = tempfile.mkstemp(prefix=".", suffix=".aside", dir=target.parent)
    path = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        path.chmod(
            0o666 & ~_umask()
        )  # mkstemp makes it private; artifacts are for others to read too
        share(path)
        yield path
    finally:
        path.unlink(missing_ok=True)


def write_text(target: Path, text: str) -> None:
    """Replace `target` whole: a reader sees the old text or the new one. OSError if that fails."""
    with aside(target, text) as path:
        path.replace(target)
    sync(target.parent)


def create_text(target: Path, text: str) -> bool:
    """Write `target` whole unless it exists; of several at once exactly one wins. OSError if that fails."""
    with aside(target, text) as path:
        created = _claim(path, target)
    if created:
        sync(target.parent)
    return created


def _claim(path: Path, target: Path) -> bool:
    try:
        os.link(path, target)
    except FileExistsError:
        # A network share may carry out a link, lose the answer, and refuse the repetition.
        return path.samefile(target)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
    else:
        return True
    # Network shares without hard links: a lock makes looking and renaming one step.
    with locked(target.parent / ".create"):
        if target.exists():
            return False
        path.replace(target)
        return True


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold an exclusive lock on `path`, waiting for it, else BlockingIOError. It ends with the process, however that
    ends. Who holds it may remove the file: others then lock the next one, or get FileNotFoundError with its folder."""
    handle = _lock(path, wait)
    while not _is_at(path, handle):
        os.close(handle)
        handle = _lock(path, wait)
    try:
        yield
    finally:
        with suppress(OSError):
            os.close(handle)


def _lock(path: Path, wait: bool) -> int:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        with suppress(PermissionError):  # another user made it
            share(path)
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BaseException:
        os.close(handle)
        raise
    return handle


def _is_at(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
