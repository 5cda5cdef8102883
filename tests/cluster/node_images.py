"""The image store of the tests' node: kept between runs, because filling it with PyTorch's layers takes minutes.

`python tests/cluster/node_images.py` builds what is missing and fills it.
"""

import fcntl
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from images import CannotBuild, Images, build_images, run, stored
from supervised import Supervised
from tools.build import CACHE

ROOT = CACHE / "containerd"
_BLOBS = ROOT / "io.containerd.content.v1.content" / "blobs" / "sha256"
_NAMESPACE = "k8s.io"  # where kubelet's containerd looks


@contextmanager
def stocked(images: Images, folder: Path) -> Iterator[Path]:
    """containerd's root folder, holding these images and nothing else of ours. One node at a time may have it."""
    ROOT.mkdir(parents=True, exist_ok=True)
    with (CACHE / ".containerd.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _stock({images.base, images.operator, images.runner}, folder)
        yield ROOT


def _stock(wanted: set[str], folder: Path) -> None:
    """Bring the store in order with a containerd that runs nothing."""
    # A socket's path has at most 107 characters, and pytest's folders are longer.
    with tempfile.TemporaryDirectory() as short:
        socket = Path(short) / "containerd.sock"
        config = folder / "stock.toml"
        config.write_text(_config(Path(short), socket))
        # What unpacking mounts lies in a mount namespace that ends with it.
        unshare = ["unshare", "--mount", "--", "containerd", "--config", config]
        containerd = Supervised(unshare, folder / "stock.log")
        try:
            containerd.until(lambda: _answers(socket), "ready")
            present = set(_ctr(socket, "images", "list", "--quiet").split())
            for left_over in _ctr(socket, "containers", "list", "--quiet").split():
                _ctr(socket, "containers", "delete", left_over)
            for name in wanted - present:
                _import(socket, name)
            for name in present - wanted:
                _ctr(socket, "images", "delete", "--sync", name)
        finally:
            containerd.stop()


def _import(socket: Path, name: str) -> None:
    """Copy an image out of buildah's storage, without the layers that are here already."""
    with tempfile.TemporaryDirectory(dir=CACHE) as temporary:
        layout = Path(temporary)
        blobs = layout / "blobs" / "sha256"
        blobs.mkdir(parents=True)
        for blob in _BLOBS.glob("*"):
            (blobs / blob.name).symlink_to(blob)
        # Uncompressed, a layer has the same digest here and there; and no blob is written that is found.
        uncompressed = "--dest-oci-accept-uncompressed-layers"
        source, target = stored(name), f"oci:{layout}:{name}"
        run("skopeo", "--insecure-policy", "copy", "--quiet", uncompressed, source, target)
        new = [path for path in layout.rglob("*") if path.is_file() and not path.is_symlink()]
        names = [str(path.relative_to(layout)) for path in new]
        archive = ["tar", "--create", "--directory", layout, "--", *names]
        with subprocess.Popen(archive, stdout=subprocess.PIPE) as tar:
            _ctr(socket, "images", "import", "-", stdin=tar.stdout)
        if tar.returncode != 0:
            raise RuntimeError(f"tar ended with {tar.returncode}")


def _answers(socket: Path) -> bool:
    command = ["ctr", "--address", socket, "version"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _ctr(socket: Path, *arguments: str, stdin: IO[bytes] | None = None) -> str:
    return run("ctr", "--address", socket, "--namespace", _NAMESPACE, *arguments, stdin=stdin)


def _config(state: Path, socket: Path) -> str:
    return f"""\
version = 2
root = {json.dumps(str(ROOT))}
state = {json.dumps(str(state))}
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = {json.dumps(str(socket))}
"""


if __name__ == "__main__":
    try:
        with tempfile.TemporaryDirectory() as logs, stocked(build_images(), Path(logs)):
            pass
    except CannotBuild as reason:
        sys.exit(f"{reason}: the tests of a real node need it")
