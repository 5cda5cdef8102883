"""The test cluster itself: what it is, what it outlives, and that nothing stays behind."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cluster_access import ClusterAccess, Kubectl, eventually
from control_plane import ControlPlane
from supervised import Supervised
from tools.build import KUBERNETES

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bare"}}


def test_it_is_the_version_that_was_built(control_plane: ClusterAccess) -> None:
    if not isinstance(control_plane, ControlPlane):
        pytest.skip("the cluster given by --kubeconfig has a version of its own")
    assert control_plane.read("/version")["gitVersion"] == KUBERNETES.version


def test_a_namespace_takes_restricted_pods_only(kubectl: Kubectl) -> None:
    bare = json.dumps(POD | {"spec": {"containers": [{"name": "bare", "image": "none"}]}})
    refused = kubectl("create", "-f", "-", input=bare, check=False)
    assert refused.returncode == 1
    assert 'violates PodSecurity "restricted' in refused.stderr


def test_controllers_work(kubectl: Kubectl, namespace: str, control_plane: ClusterAccess) -> None:
    kubectl("create", "deployment", "idle", "--image=none")
    path = f"/apis/apps/v1/namespaces/{namespace}/replicasets"
    eventually(lambda: len(control_plane.read(path)["items"]) == 1, "the deployment is acted upon")


def test_data_and_address_outlive_a_restart_of_the_api_server(
    control_plane: ClusterAccess, kubectl: Kubectl
) -> None:
    before = control_plane.url
    kubectl("create", "configmap", "kept", "--from-literal=word=kept")
    control_plane.restart_api_server()
    assert control_plane.url == before
    assert kubectl("get", "configmap", "kept", "-o", "jsonpath={.data.word}").stdout == "kept"


def test_a_service_account_may_do_what_rbac_says(
    control_plane: ClusterAccess, kubectl: Kubectl, namespace: str
) -> None:
    kubectl("create", "serviceaccount", "reader")
    kubectl("create", "role", "read", "--verb=get,list", "--resource=configmaps")
    kubectl("create", "rolebinding", "read", "--role=read", f"--serviceaccount={namespace}:reader")
    config = control_plane.service_account_kubeconfig(namespace, "reader")
    reader = ClusterAccess(config, control_plane.folder)
    eventually(
        lambda: reader.kubectl("auth", "can-i", "list", "cm", "-n", namespace, check=False).returncode == 0,
        "it may list config maps",
    )  # fmt: skip
    assert reader.kubectl("get", "secrets", "-n", namespace, check=False).returncode == 1


def test_a_user_of_ones_own_and_the_audit_log(tmp_path: Path, control_plane: ClusterAccess) -> None:
    """A second control plane beside the session's: they share nothing."""
    if not isinstance(control_plane, ControlPlane):
        pytest.skip("the cluster given by --kubeconfig is audited by its owner")
    with ControlPlane(tmp_path / "second", audit=True) as second:
        ann = ClusterAccess(second.kubeconfig_for("ann", ["testers"]), tmp_path)
        assert "testers" in ann.kubectl("auth", "whoami").stdout
        assert ann.kubectl("get", "nodes", check=False).returncode == 1
        asked = [one for one in second.audited() if one["user"]["username"] == "ann"]
        assert ("list", 403) in [(one["verb"], one["responseStatus"]["code"]) for one in asked]


def test_nothing_stays_when_the_test_process_is_killed(tmp_path: Path) -> None:
    script = """
import sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from supervised import Supervised
child = Supervised(["sleep", "600"], Path(sys.argv[2]) / "log")
print(child.pid, flush=True)
time.sleep(600)
"""
    arguments = [sys.executable, "-c", script, str(Path(__file__).parent), str(tmp_path)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        # Only once setpriv has become the program is its wish known to the kernel.
        command = Path(f"/proc/{child}/cmdline")
        eventually(lambda: command.read_bytes().startswith(b"sleep"), "the child to begin")
        parent.send_signal(signal.SIGKILL)
    eventually(lambda: _has_ended(child), "the child has ended with its parent")


def test_a_program_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    program = Supervised([sys.executable, "-c", deaf], tmp_path / "log")
    program.until(lambda: "deaf" in program.tail(), "deaf")
    assert program.stop(grace_seconds=0.1) == -signal.SIGKILL


def test_a_start_that_fails_shows_the_programs_last_words(tmp_path: Path) -> None:
    program = Supervised(
        [sys.executable, "-c", "raise SystemExit('no etcd here')"], tmp_path / "log"
    )
    with pytest.raises(pytest.fail.Exception, match="ended with 1:\nno etcd here"):
        program.until(lambda: False, "ready")


def _has_ended(pid: int) -> bool:
    """Gone, or a zombie that nobody has collected yet."""
    status = Path(f"/proc/{pid}/status")
    try:
        return "State:\tZ" in status.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
