"""A machine within the machine: namespaces of its own for processes, mounts and network.

Whatever a node does to its machine (processes, mounts, interfaces, packet filters, kernel settings) is done in there,
and is gone the moment its first process is.
"""

import os
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from supervised import Supervised

HOST_ADDRESS = "10.222.0.1"
NODE_ADDRESS = "10.222.0.2"
PODS = "10.88.0.0/24"
CGROUP = "ticketsmith-node"
_LINK = "ts-host"

# kubelet wants these so and sets them for the whole machine: here it finds files that say so.
_KERNEL = {
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1_000_000,
    "kernel/keys/root_maxbytes": 25_000_000,
}

_BOOT = """\
set -eu
mount -t tmpfs tmpfs /run
mount -t overlay overlay -o lowerdir=/var,upperdir={folder}/var,workdir={folder}/var.work /var
for file in {folder}/kernel/*; do
  mount --bind "$file" "/proc/sys/$(basename "$file" | tr : /)"
done
ip link set lo up
echo 1 > /proc/sys/net/ipv4/ip_forward
trap "" CHLD  # whoever is orphaned in here is buried by the kernel
touch {folder}/booted
exec sleep infinity
"""


class Machine:
    """Boots on construction, ends with `stop`. Its address is NODE_ADDRESS, and the host's is HOST_ADDRESS."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._write_files()
        boot = ["sh", "-c", _BOOT.format(folder=shlex.quote(str(folder)))]
        kinds = ["--mount", "--net", "--pid", "--mount-proc", "--fork", "--kill-child"]
        self._shell = Supervised(["unshare", *kinds, "--", *boot], folder / "machine.log")
        try:
            self._shell.until((folder / "booted").exists, "booted")
            self._connect()
            for cgroup in _cgroups():
                cgroup.mkdir(exist_ok=True)
        except BaseException:
            self.stop()
            raise

    def start(self, *command: str | Path) -> Supervised:
        """Start a program in there. It ends with the machine."""
        log = self._folder / f"{Path(command[0]).name}.log"
        program = Supervised([*self._enter(), *command], log)
        program.name = Path(command[0]).name
        return program

    def run(self, *command: str | Path) -> str:
        """Carry out a command in there and return what it printed."""
        entered = [*self._enter(), *command]
        return subprocess.run(entered, capture_output=True, text=True, check=True).stdout

    def stop(self) -> None:
        """End everything in there at once."""
        with suppress(ProcessLookupError):
            os.kill(self._first_process(), 9)
        self._shell.wait()
        # The wire would go by itself, once the kernel gets around to it.
        with suppress(subprocess.CalledProcessError):
            _run("ip", "link", "delete", _LINK)
        for cgroup in _cgroups():
            _remove(cgroup)

    def _write_files(self) -> None:
        for name in ("var", "var.work", "kernel"):
            (self._folder / name).mkdir()
        for name, value in _KERNEL.items():
            (self._folder / "kernel" / name.replace("/", ":")).write_text(f"{value}\n")

    def _connect(self) -> None:
        """One wire to the host, which ends when either end does, and the way to the Pods over it."""
        there = str(self._first_process())
        host = ["ip", "link", "add", _LINK, "type", "veth", "peer", "name", "eth0", "netns", there]
        _run(*host)
        _run("ip", "address", "add", f"{HOST_ADDRESS}/30", "dev", _LINK)
        _run("ip", "link", "set", _LINK, "up")
        self.run("ip", "address", "add", f"{NODE_ADDRESS}/30", "dev", "eth0")
        self.run("ip", "link", "set", "eth0", "up")
        _run("ip", "route", "add", PODS, "via", NODE_ADDRESS)

    def _enter(self) -> list[str]:
        kinds = ["--mount", "--net", "--pid"]
        return ["nsenter", "--target", str(self._first_process()), *kinds, "--"]

    def _first_process(self) -> int:
        """Process id, seen from outside, of the one that everything in there ends with."""
        parent = self._shell.pid
        children = Path(f"/proc/{parent}/task/{parent}/children")
        found = children.read_text().split() if children.exists() else []
        if not found:
            raise ProcessLookupError(f"the machine is down:\n{self._shell.tail()}")
        return int(found[0])


def traces() -> set[str]:
    """What a machine could leave behind on this one: afterwards there is to be no more than before."""
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    kernel = [*_KERNEL, "net/ipv4/ip_forward"]
    return {
        *_run("ip", "-oneline", "-brief", "link").splitlines(),
        *_run("ip", "route").splitlines(),
        *_run("nft", "list", "tables").splitlines(),
        *(mount.split()[4] for mount in mounts),
        *(str(group) for group in _cgroups() if group.exists()),
        *_programs(),
        *(f"{name} {Path('/proc/sys', name).read_text()}" for name in kernel),
    }


def _programs() -> Iterator[str]:
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended
            name = (process / "comm").read_text().strip()
            if name.startswith(("containerd", "kubelet", "kube-proxy", "runc")):
                yield f"{name} {process.name}"


def _cgroups() -> Iterator[Path]:
    """Our group in every hierarchy: one on cgroup v2, one per controller before."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        if after.split()[0] in {"cgroup", "cgroup2"}:
            yield Path(before.split()[4]) / CGROUP


def _remove(cgroup: Path) -> None:
    """Remove a group and those below it; their last processes have just ended."""
    for folder, _, _ in os.walk(cgroup, topdown=False):
        Path(folder).rmdir()


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
