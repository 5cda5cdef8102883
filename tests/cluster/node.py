"""A node that really runs containers: containerd, kubelet and kube-proxy, on a machine of their own (node_machine)."""

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from control_plane import ControlPlane
from images import CannotBuild, Images, build_images
from node_images import stocked
from node_machine import CGROUP, HOST_ADDRESS, NODE_ADDRESS, PODS, Machine, traces
from supervised import Supervised
from tools.build import NotBuilt, binary

NAME = "node"
GPUS = 8
_API_SERVER_FLAGS = (
    "--kubelet-preferred-address-types=InternalIP",
    "--endpoint-reconciler-type=none",  # it takes 20 s to stop; there is one server, and its address is known
)
_NEEDS = ("containerd", "runc", "ctr", "nft", "conntrack", "ip", "nsenter", "unshare")
_CNI = Path("/usr/lib/cni")


def lacking() -> str:
    """What this machine lacks for a node, in one sentence; empty if nothing."""
    if os.geteuid() != 0:
        return "a node needs root"
    if missing := [program for program in _NEEDS if shutil.which(program) is None]:
        return f"{', '.join(missing)} cannot be found: install the Debian packages of a node"
    if not (_CNI / "bridge").exists():
        return f"{_CNI / 'bridge'} is not there: install containernetworking-plugins"
    return ""


class Node:
    """A control plane and its one node, as a context manager.

    The control plane listens on the wire between the node's machine and this one, and nowhere else. Pods reach it, the
    node and each other; there is no way out of there. One at a time is up on this machine: a second one waits. It fails
    the test if it leaves anything behind.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held = ExitStack()
        self.images: Images
        """Names of the images it holds."""
        self.control_plane: ControlPlane
        self.machine: Machine
        """Where its programs run."""

    def __enter__(self) -> "Node":
        try:
            self._start()
        except BaseException:
            self._held.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def _start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self.images = build_images()
        root = self._held.enter_context(stocked(self.images, self._folder))
        self._held.callback(_expect_no_more_than, traces())
        self.machine = machine = Machine(self._folder / "machine")
        self._held.callback(machine.stop)
        plane = ControlPlane(
            self._folder / "plane", address=HOST_ADDRESS, api_server_flags=_API_SERVER_FLAGS
        )
        self.control_plane = self._held.enter_context(plane)
        # The first to go: an API server with clients left takes its time to stop.
        self._held.callback(machine.stop)
        plane.kubectl("apply", "-f", "-", input=json.dumps(_api_server_endpoint(plane.url)))
        self._start_containerd(machine, root)
        kubelet = self._start_kubelet(machine)
        self._start_proxy(machine)
        kubelet.until(self._is_ready, "ready")
        self._add_gpus(kubelet)

    def _start_containerd(self, machine: Machine, root: Path) -> None:
        networks = self._folder / "networks"
        networks.mkdir()
        (networks / "pods.conflist").write_text(json.dumps(_NETWORK))
        config = self._folder / "containerd.toml"
        config.write_text(_containerd_config(root, networks, self.images.base))
        containerd = machine.start("containerd", "--config", config)
        containerd.until(lambda: "containerd successfully booted" in containerd.tail(200), "booted")

    def _start_kubelet(self, machine: Machine) -> Supervised:
        config = self._folder / "kubelet.json"
        config.write_text(json.dumps(_kubelet_config(self._folder)))
        identity = self.control_plane.kubeconfig_for(f"system:node:{NAME}", ["system:nodes"])
        command = (
            binary("kubelet"),
            f"--config={config}",
            f"--kubeconfig={identity}",
            f"--root-dir={self._folder / 'kubelet'}",
            f"--hostname-override={NAME}",
            f"--node-ip={NODE_ADDRESS}",
        )
        kubelet = machine.start(*command)
        while _met_no_containers(kubelet):
            time.sleep(0.2)
            kubelet = machine.start(*command)
        return kubelet

    def _start_proxy(self, machine: Machine) -> None:
        identity = self.control_plane.kubeconfig_for("system:kube-proxy")
        machine.start(
            binary("kube-proxy"),
            f"--kubeconfig={identity}",
            f"--hostname-override={NAME}",
            f"--cluster-cidr={PODS}",
            "--proxy-mode=nftables",  # iptables' legacy tables and nft's get in each other's way
            "--conntrack-max-per-core=0",
        )

    def _is_ready(self) -> bool:
        nodes = self.control_plane.read("/api/v1/nodes")["items"]
        conditions = [one for node in nodes for one in node["status"].get("conditions", [])]
        return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)

    def _add_gpus(self, kubelet: Supervised) -> None:
        """GPUs that can be scheduled on, though there are none: kubelet leaves alone what it did not count."""
        path = "/status/capacity/nvidia.com~1gpu"
        patch = [{"op": "add", "path": path, "value": str(GPUS)}]
        self.control_plane.kubectl(
            "patch", "node", NAME, "--subresource=status", "--type=json", "-p", json.dumps(patch)
        )

        def allocatable() -> bool:
            node = self.control_plane.read(f"/api/v1/nodes/{NAME}")
            return bool(node["status"]["allocatable"].get("nvidia.com/gpu") == str(GPUS))

        kubelet.until(allocatable, "offering its GPUs")


def _met_no_containers(kubelet: Supervised) -> bool:
    """Whether it ended because containerd, which says that it has booted, had not yet got everything ready for it:
    then it is started again, as by systemd."""
    deadline = time.monotonic() + 60
    while "Started kubelet" not in kubelet.log.read_text(errors="replace"):
        if kubelet.exit_code is not None:
            return "server is not initialized yet" in kubelet.tail(2)
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    return False


@contextmanager
def node_for_tests(request: pytest.FixtureRequest, folder: Path) -> Iterator[Node]:
    """A node. What this machine lacks for one is a failure in CI, and a skip elsewhere."""
    if request.config.getoption("--kubeconfig") is not None:
        pytest.skip("the cluster given by --kubeconfig has no images built here")
    absent = pytest.fail if os.environ.get("CI") else pytest.skip
    if reason := lacking():
        absent(reason)
    with ExitStack() as held:
        try:
            binary("kubelet")
            node = held.enter_context(Node(folder))
        except (NotBuilt, CannotBuild) as problem:
            absent(str(problem))
        yield node


def _expect_no_more_than(before: set[str]) -> None:
    if left := traces() - before:
        pytest.fail(f"the node left behind: {sorted(left)}")


_NETWORK = {
    "cniVersion": "1.0.0",
    "name": "pods",
    "plugins": [
        {
            "type": "bridge",
            "bridge": "pods0",
            "isGateway": True,
            "isDefaultGateway": True,
            "ipam": {"type": "host-local", "ranges": [[{"subnet": PODS}]]},
        },
        {"type": "loopback"},
    ],
}


def _api_server_endpoint(url: str) -> dict[str, object]:
    """Where the service `kubernetes` leads to, through which Pods speak to the API server."""
    labels = {"kubernetes.io/service-name": "kubernetes"}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": labels},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [HOST_ADDRESS], "conditions": {"ready": True}}],
        "ports": [{"name": "https", "port": urlsplit(url).port, "protocol": "TCP"}],
    }


def _containerd_config(root: Path, networks: Path, sandbox_image: str) -> str:
    quoted = {name: json.dumps(str(path)) for name, path in {"root": root, "net": networks}.items()}
    return f"""\
version = 2
root = {quoted["root"]}
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = {json.dumps(sandbox_image)}
# Without CAP_SYS_RESOURCE a sandbox's OOM score cannot be lowered, and it would not start.
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = {json.dumps(str(_CNI))}
conf_dir = {quoted["net"]}
"""


def _kubelet_config(folder: Path) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_ADDRESS,
        # Only the API server's side of the wire can ask.
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{CGROUP}",
        "cgroupsPerQOS": False,
        "enforceNodeAllocatable": [],
        "failCgroupV1": False,
        "failSwapOn": False,
        # How full the machine's disk is, is not for tests to fall over: no image and no Pod is evicted for it.
        "evictionHard": {
            "memory.available": "0%",
            "nodefs.available": "0%",
            "imagefs.available": "0%",
        },
        "imageGCHighThresholdPercent": 100,
        "clusterDNS": ["127.0.0.1"],  # there is none: refused at once
        "podLogsDir": str(folder / "pod-logs"),
        "volumePluginDir": str(folder / "volume-plugins"),
        "readOnlyPort": 0,
        "healthzPort": 0,
    }
