"""`ticketsmith submit`, `status`, `logs` and `report` against a real API server."""

import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster_access import ClusterAccess, Kubectl, kubectl_program
from log_node import Log, LogNode
from operator_process import OperatorProcess
from process_kubelet import ProcessKubelet
from simulated_answer import plausible_answer
from supervised import Supervised

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

ROOT = Path(__file__).parents[2]
TICKETSMITH = [sys.executable, "-c", "from ticketsmith.cli import main; main()"]
EXPERIMENT = """\
apiVersion: ticketsmith.dev/v1alpha1
kind: PruningExperiment
metadata: {name: trial}
spec:
  model: {name: lenet300}
  training: {duration: 1ep}
  sparsities: {targets: [0.5]}
  controls: []
  seeds: [0]
  gates: [{metric: accuracy, maxDrop: 0.5}]
  benchmark: null
  limits: {parallelism: 2}
  artifacts: {uri: "file:///artifacts", persistentVolumeClaim: artifacts}
"""
KEY = "0123456789abcdef"
DENSE = {"name": "dense-s0", "arm": "dense", "seed": 0, "level": 0, "attempts": 1, "key": KEY}
TICKET = {
    "name": "ticket-s0-l01",
    "arm": "ticket",
    "seed": 0,
    "level": 1,
    "attempts": 1,
    "key": KEY,
}
RUNNING = {"state": "Running"}
DONE = {"state": "Done", "metrics": {"accuracy": 0.975}, "durationSeconds": 3.0}

Cli = Callable[..., subprocess.CompletedProcess[str]]
Write = Callable[..., None]


@pytest.fixture
def environment(experiments_crd: ClusterAccess) -> dict[str, str]:
    return os.environ | {
        "KUBECONFIG": str(experiments_crd.kubeconfig),
        "COLUMNS": "200",
        "NO_COLOR": "1",
    }


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "trial.yaml"
    path.write_text(EXPERIMENT)
    return path


@pytest.fixture
def ticketsmith(environment: dict[str, str], namespace: str, tmp_path: Path) -> Cli:
    """Run `ticketsmith ARGUMENTS -n NAMESPACE`."""

    def run(*arguments: str | Path, **more: Any) -> subprocess.CompletedProcess[str]:
        command, within = more.pop("command", TICKETSMITH), more.pop("within", namespace)
        return subprocess.run(
            [*command, *map(str, arguments), "-n", within],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            env=environment | more,
            timeout=300,
        )

    return run


@pytest.fixture
def watch(
    environment: dict[str, str], namespace: str, file: Path, tmp_path: Path
) -> Iterator[Callable[[], Supervised]]:
    """Start `ticketsmith submit FILE --watch`; returns once it watches."""
    started: list[Supervised] = []

    def start() -> Supervised:
        command = [*TICKETSMITH, "submit", file, "--watch", "-n", namespace]
        watcher = Supervised(command, tmp_path / "watch.log", environment)
        started.append(watcher)
        says(watcher, "Config Hash")
        return watcher

    yield start
    for watcher in started:
        watcher.stop()


@pytest.fixture
def write(kubectl: Kubectl) -> Write:
    """Write a status, as the operator does."""

    def write(*rounds: Mapping[str, Any], **fields: Any) -> None:
        status = {"phase": "Running", "progress": "0/3", "rounds": rounds, **fields}
        kubectl(
            "patch", "pex", "trial", "--subresource=status", "--type=merge", "-p",
            json.dumps({"status": status}),
        )  # fmt: skip

    return write


@pytest.fixture
def log_node(control_plane: ClusterAccess, tmp_path: Path) -> Iterator[LogNode]:
    with LogNode(control_plane, tmp_path) as node:
        yield node


def says(watcher: Supervised, words: str) -> None:
    watcher.until(lambda: words in watcher.log.read_text(), f"says {words!r}")


def refused(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """One sentence, no traceback."""
    assert done.returncode == code, done
    assert done.stderr.startswith("ticketsmith: "), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr


def existing(kubectl: Kubectl) -> dict[str, Any]:
    return dict(json.loads(kubectl("get", "pex", "trial", "-o", "json").stdout))


# --- submit --------------------------------------------------------------------------------------
def test_submitting_creates_the_experiment_and_names_the_next_commands(
    ticketsmith: Cli, kubectl: Kubectl, file: Path, namespace: str
) -> None:
    done = ticketsmith("submit", file)
    assert done.returncode == 0, done.stderr
    assert f"trial is submitted in namespace {namespace}" in done.stdout
    assert f"ticketsmith logs trial -n {namespace} --follow" in done.stdout
    assert existing(kubectl)["spec"]["limits"]["parallelism"] == 2


def test_submitting_an_unchanged_file_changes_nothing_and_says_so(
    ticketsmith: Cli, kubectl: Kubectl, file: Path
) -> None:
    ticketsmith("submit", file)
    before = existing(kubectl)
    done = ticketsmith("submit", file)
    assert (done.returncode, "trial is unchanged" in done.stdout) == (0, True), done
    after = existing(kubectl)
    for one in (before, after):
        # The first write after the creation stores the default of the status, and so makes a version.
        del one["metadata"]["resourceVersion"]
    assert after == before


def test_a_changed_limit_is_applied_and_named(
    ticketsmith: Cli, kubectl: Kubectl, file: Path
) -> None:
    ticketsmith("submit", file)
    file.write_text(EXPERIMENT.replace("parallelism: 2", "parallelism: 3"))
    dry = ticketsmith("submit", file, "--dry-run")
    assert "trial would change" in dry.stdout
    assert existing(kubectl)["spec"]["limits"]["parallelism"] == 2
    done = ticketsmith("submit", "--config", file)
    assert "trial is changed" in done.stdout
    assert "spec.limits.parallelism." in done.stdout
    assert existing(kubectl)["spec"]["limits"]["parallelism"] == 3


def test_a_change_of_an_immutable_field_is_refused_in_the_servers_words(
    ticketsmith: Cli, file: Path
) -> None:
    ticketsmith("submit", file)
    file.write_text(EXPERIMENT.replace("lenet300", "lenet5"))
    refused(ticketsmith("submit", file), 2, "trial.yaml", "spec.model", "immutable")


def test_a_field_that_another_manager_set_is_not_taken_over(
    ticketsmith: Cli, kubectl: Kubectl, file: Path
) -> None:
    argo = EXPERIMENT.replace("parallelism: 2", "parallelism: 7")
    kubectl("apply", "--server-side", "--field-manager=argocd-controller", "-f", "-", input=argo)
    done = ticketsmith("submit", file)
    refused(done, 2, "spec.limits.parallelism", "argocd-controller", "--force-conflicts", "Argo CD")
    assert existing(kubectl)["spec"]["limits"]["parallelism"] == 7


def test_a_bad_file_is_refused_before_the_cluster_is_asked(ticketsmith: Cli, file: Path) -> None:
    file.write_text(EXPERIMENT.replace("parallelism: 2", "parallelism: many"))
    refused(ticketsmith("submit", file, KUBECONFIG="/nowhere"), 2, "spec.limits.parallelism")


def test_the_script_submits_too(ticketsmith: Cli, file: Path) -> None:
    script = [sys.executable, str(ROOT / "scripts" / "submit_job.py")]
    done = ticketsmith("--config", file, "--dry-run", command=script)
    assert "trial would be created" in done.stdout, done.stderr


# --- watch ---------------------------------------------------------------------------------------
def test_a_watch_shows_every_round_as_a_local_run_does_and_exits_0(
    watch: Callable[[], Supervised], write: Write
) -> None:
    watcher = watch()
    write(DENSE | RUNNING)
    says(watcher, "dense-s0 | Training...")
    write(DENSE | DONE, TICKET | RUNNING, progress="1/3")
    says(watcher, "dense-s0 | Done in 3 s | Test Acc: 97.5% | 1/3 rounds")
    says(watcher, "ticket-s0-l01 | Pruning iteration 1 (sparsity: 50.0%)...")
    passed = TICKET | DONE | {"sparsity": 0.5, "gate": "passed"}
    write(DENSE | DONE, passed, progress="2/3")
    says(watcher, "Sparsity: 50.0% | Test Acc: 97.5% | Gate: passed")
    write(DENSE | DONE, passed, phase="Succeeded", progress="3/3", message="All rounds are done.")
    assert watcher.wait() == 0
    assert watcher.tail(1).startswith("Succeeded: All rounds are done.")


def test_a_watch_of_an_experiment_that_fails_exits_1_with_the_reason(
    watch: Callable[[], Supervised], write: Write
) -> None:
    watcher = watch()
    failed = DENSE | {"state": "Failed", "failures": 1, "message": "exit code 3: the loss is NaN"}
    write(failed, phase="Failed", reason="RoundFailed", message="dense-s0 failed.")
    assert watcher.wait() == 1
    assert "RoundFailed: dense-s0 failed after 1 attempt: exit code 3" in watcher.log.read_text()
    assert watcher.tail(1).startswith("Failed: dense-s0 failed.")


def test_a_watch_survives_a_restart_of_the_api_server(
    watch: Callable[[], Supervised], write: Write, control_plane: ClusterAccess
) -> None:
    watcher = watch()
    write(DENSE | RUNNING)
    says(watcher, "dense-s0 | Training...")
    control_plane.stop_api_server()
    says(watcher, "ClusterLost: ")
    control_plane.start_api_server()
    write(DENSE | DONE, phase="Succeeded", progress="3/3", message="Done.")
    assert watcher.wait(120) == 0
    assert "ClusterBack: " in watcher.log.read_text()


def test_ctrl_c_leaves_the_experiment_running_and_says_how_to_come_back(
    watch: Callable[[], Supervised], write: Write, kubectl: Kubectl
) -> None:
    watcher = watch()
    write(DENSE | RUNNING)
    says(watcher, "dense-s0 | Training...")
    watcher.signal(signal.SIGINT)
    assert watcher.wait() == 130
    assert "Watching ends; trial goes on." in watcher.log.read_text()
    assert "ticketsmith status trial" in watcher.log.read_text()
    assert existing(kubectl)["status"]["phase"] == "Running"


def test_an_experiment_that_is_deleted_ends_its_watch(
    watch: Callable[[], Supervised], kubectl: Kubectl
) -> None:
    watcher = watch()
    kubectl("delete", "pex", "trial")
    assert watcher.wait() == 3
    assert "trial was deleted" in watcher.log.read_text()


def test_a_watch_shows_epochs_from_the_log_of_the_pod(
    watch: Callable[[], Supervised], write: Write, kubectl: Kubectl, log_node: LogNode
) -> None:
    watcher = watch()
    log = Log([("2026-01-01T00:00:00.5Z", "a line of a library")], is_open=True)
    log_node.add_pod(existing(kubectl), "dense-s0", 1, log, "Running")
    write(DENSE | RUNNING)
    says(watcher, "dense-s0 | Training...")
    log.add("2026-01-01T00:00:01Z", progress(3))
    log.add("2026-01-01T00:00:02Z", progress(20))
    says(watcher, "dense-s0 | Epoch 20/20 | Loss: 0.243 | Val Acc: 85.3%")
    assert "a line of a library" not in watcher.log.read_text()


def test_an_experiment_runs_to_its_end_under_the_operator(
    experiments_crd: ClusterAccess,
    namespace: str,
    tmp_path: Path,
    file: Path,
    watch: Callable[[], Supervised],
    ticketsmith: Cli,
) -> None:
    text = EXPERIMENT.replace(
        '"file:///artifacts", persistentVolumeClaim: artifacts', "gs://bucket/x"
    )
    file.write_text(text)
    with (
        ProcessKubelet(experiments_crd.kubeconfig, tmp_path, simulate=plausible_answer),
        OperatorProcess(experiments_crd.kubeconfig, [namespace]),
    ):
        watcher = watch()
        assert watcher.wait(200) == 0, watcher.tail()
    told = watcher.log.read_text()
    for name in ("dense-s0", "ticket-s0-l01"):
        assert f"{name} | Done in" in told
    assert watcher.tail(1).startswith("Succeeded: ")
    assert "trial: Succeeded, 3/3 rounds" in ticketsmith("status", "trial").stdout


# --- status --------------------------------------------------------------------------------------
def test_status_shows_the_table_of_a_run_directory(
    ticketsmith: Cli, write: Write, file: Path
) -> None:
    ticketsmith("submit", file)
    write(DENSE | DONE, TICKET | RUNNING, progress="1/3", message="1 round runs.")
    shown = ticketsmith("status", "trial")
    assert shown.stdout.splitlines()[:2] == ["trial: Running, 1/3 rounds", "1 round runs."]
    assert "97.5%" in shown.stdout
    for form, read in (("json", json.loads), ("yaml", yaml.safe_load)):
        document = read(ticketsmith("status", "trial", "-o", form).stdout)
        assert document["status"]["progress"] == "1/3"
        assert "managedFields" not in document["metadata"]


def test_an_unknown_name_gets_the_nearest_ones(ticketsmith: Cli, file: Path) -> None:
    refused(ticketsmith("status", "trail", "--cluster"), 2, "has none at all", "kubectl get pex -A")
    ticketsmith("submit", file)
    refused(ticketsmith("status", "trail"), 2, "not a run directory", "did you mean trial?")
    refused(ticketsmith("logs", "trail"), 2, "did you mean trial?")
    refused(ticketsmith("status", "runs/trail"), 2, "not a run directory")


# --- logs ----------------------------------------------------------------------------------------
def progress(epoch: int) -> str:
    told = {"round": "dense-s0", "doing": "training", "iteration": epoch, "iterations": 20}
    return json.dumps(told | {"epoch": epoch, "epochs": 20, "loss": 0.2434, "accuracy": 0.853})


def test_logs_show_the_latest_attempt_or_the_one_that_is_named(
    ticketsmith: Cli, write: Write, file: Path, kubectl: Kubectl, log_node: LogNode
) -> None:
    ticketsmith("submit", file)
    write(DENSE | {"state": "Failed", "attempts": 2, "message": "exit code 4: out of memory"})
    for attempt in (1, 2):
        log = Log(
            [
                ("2026-01-01T00:00:00Z", f"attempt {attempt}"),
                ("2026-01-01T00:00:01Z", progress(attempt)),
            ]
        )
        log_node.add_pod(existing(kubectl), "dense-s0", attempt, log, "Failed")
    latest = ticketsmith("logs", "trial")
    epoch = "dense-s0 | Epoch {}/20 | Loss: 0.243 | Val Acc: 85.3%"
    assert latest.stdout.splitlines() == ["attempt 2", epoch.format(2)], latest
    every = ticketsmith("logs", "trial", "dense-s0", "--attempt", "all").stdout.splitlines()
    assert every == ["attempt 1", epoch.format(1), "attempt 2", epoch.format(2)]
    raw = ticketsmith("logs", "trial", "dense-s0", "--attempt", "1", "--raw").stdout.splitlines()
    assert raw == ["attempt 1", progress(1)]
    refused(ticketsmith("logs", "trial", "--attempt", "3"), 2, "attempts 1 to 2")
    refused(ticketsmith("logs", "trial", "dense-s1"), 2, "did you mean dense-s0?")
    kubectl("delete", "pods", "--all", "--force")
    gone = ticketsmith("logs", "trial", "dense-s0")
    refused(gone, 1, "is gone with its Pod", "exit code 4: out of memory")


def test_logs_follow_a_running_round_to_its_end(
    ticketsmith: Cli,
    write: Write,
    file: Path,
    kubectl: Kubectl,
    log_node: LogNode,
    environment: dict[str, str],
    namespace: str,
    tmp_path: Path,
) -> None:
    ticketsmith("submit", file)
    write(DENSE | RUNNING)
    log = Log([("2026-01-01T00:00:00Z", "first")], is_open=True)
    log_node.add_pod(existing(kubectl), "dense-s0", 1, log, "Running")
    command = [*TICKETSMITH, "logs", "trial", "--follow", "-n", namespace]
    follower = Supervised(command, tmp_path / "follow.log", environment)
    says(follower, "first")
    log.add("2026-01-01T00:00:00Z", "second")
    says(follower, "second")
    write(DENSE | DONE)
    log.add("2026-01-01T00:00:02Z", "last")
    log.close()
    assert follower.wait() == 0
    assert follower.log.read_text().split()[-3:] == ["first", "second", "last"]


# --- report --------------------------------------------------------------------------------------
def test_a_claim_that_is_out_of_reach_gets_a_remedy(
    ticketsmith: Cli, write: Write, file: Path, namespace: str
) -> None:
    ticketsmith("submit", file)
    refused(ticketsmith("report", "trial"), 2, "no finished round")
    write(DENSE | DONE)
    refused(
        ticketsmith("report", "trial"),
        2,
        "claim artifacts",
        f"kubectl cp -n {namespace}",
        "--store",
    )


def store_report(store: Path, page: bytes) -> None:
    """What a report round leaves behind."""
    folder = store / KEY
    folder.mkdir(parents=True)
    (folder / "report.html").write_bytes(page)
    files = {"report.html": hashlib.sha256(page).hexdigest()}
    (folder / "result.json").write_text(json.dumps({"key": KEY, "arm": "report", "files": files}))


def test_the_report_of_the_report_round_is_fetched_from_the_store(
    ticketsmith: Cli, write: Write, file: Path, tmp_path: Path
) -> None:
    page = b"<title>a report</title>"
    store_report(tmp_path / "store", page)
    ticketsmith("submit", file)
    write(
        DENSE | DONE,
        {"name": "report", "arm": "report", "state": "Done", "attempts": 1, "key": KEY},
    )
    done = ticketsmith("report", "trial", "--store", tmp_path / "store", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "report.html").read_bytes() == page


# --- what can be wrong with a cluster ------------------------------------------------------------
def test_a_namespace_that_is_not_there_or_not_the_files(ticketsmith: Cli, file: Path) -> None:
    done = ticketsmith("submit", file, within="nowhere")
    refused(done, 2, "there is no namespace nowhere", "kubectl create namespace nowhere")
    file.write_text(EXPERIMENT.replace("{name: trial}", "{name: trial, namespace: nowhere}"))
    refused(ticketsmith("submit", file), 2, "metadata.namespace is nowhere")


def test_each_way_of_being_turned_away_gets_one_sentence(
    experiments_crd: ClusterAccess,
    ticketsmith: Cli,
    kubectl: Kubectl,
    namespace: str,
    tmp_path: Path,
    file: Path,
) -> None:
    kubectl("create", "serviceaccount", "nobody")
    nobody = experiments_crd.service_account_kubeconfig(namespace, "nobody")
    refused(
        ticketsmith("submit", file, "--kubeconfig", nobody),
        3, "may not get pruningexperiments", namespace, "ticketsmith-user",
    )  # fmt: skip
    config = yaml.safe_load(experiments_crd.kubeconfig.read_text())

    def changed(name: str, **parts: Any) -> Path:
        path = tmp_path / name
        path.write_text(yaml.safe_dump(config | parts))
        return path

    expired = changed("expired", users=[{"name": "test", "user": {"token": "secret-token"}}])
    done = ticketsmith("status", "trial", "--kubeconfig", expired)
    refused(done, 3, "does not accept your credentials", experiments_crd.url)
    assert "secret-token" not in done.stderr
    cluster = config["clusters"][0]["cluster"] | {"server": "https://127.0.0.1:9"}
    away = changed("away", clusters=[{"name": "test", "cluster": cluster}])
    refused(ticketsmith("submit", file, "--kubeconfig", away), 3, "https://127.0.0.1:9", "refused")
    refused(ticketsmith("status", "trial", "--context", "tset"), 2, "did you mean test?")
    refused(ticketsmith("submit", file, KUBECONFIG="/nowhere"), 3, "no cluster is configured")


# --- as a plugin of kubectl ----------------------------------------------------------------------
def test_kubectl_finds_the_plugin_and_hands_its_flags_on(
    environment: dict[str, str], namespace: str, file: Path, tmp_path: Path
) -> None:
    program = shutil.which("kubectl-ticketsmith", path=str(Path(sys.executable).parent))
    assert program, "kubectl-ticketsmith is not installed beside python"
    path = {"PATH": f"{Path(program).parent}{os.pathsep}{os.environ['PATH']}"}

    def kubectl(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [kubectl_program(), *arguments],
            capture_output=True,
            text=True,
            check=False,
            env=environment | path,
            cwd=tmp_path,
        )

    assert program in kubectl("plugin", "list").stdout
    done = kubectl("ticketsmith", "submit", file, "--namespace", namespace, "--context", "test")
    assert "trial is submitted" in done.stdout, done
    assert "kubectl ticketsmith status trial" in done.stdout
    (tmp_path / "trial").mkdir()  # for the plugin a name is a cluster's, whatever lies here
    shown = kubectl("ticketsmith", "status", "trial", "-n", namespace)
    assert shown.stdout.startswith("trial: Pending"), shown


# --- the page about it ---------------------------------------------------------------------------
def test_the_page_about_clusters_is_run_as_it_stands_with_the_rights_it_shows(
    experiments_crd: ClusterAccess,
    kubectl: Kubectl,
    environment: dict[str, str],
    namespace: str,
    log_node: LogNode,
    tmp_path: Path,
) -> None:
    page = (ROOT / "docs" / "cluster.md").read_text()
    artifacts, pod, role = blocks(page, "yaml")
    kubectl("apply", "--dry-run=server", "-f", "-", input=pod)
    kubectl("apply", "-f", "-", input=role)
    kubectl("create", "serviceaccount", "ann")
    kubectl(
        "create", "rolebinding", "ann", "--role=ticketsmith-user", f"--serviceaccount={namespace}:ann"
    )  # fmt: skip
    config = yaml.safe_load(
        experiments_crd.service_account_kubeconfig(namespace, "ann").read_text()
    )
    config["contexts"][0]["context"]["namespace"] = namespace
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    spec = yaml.safe_load(EXPERIMENT)["spec"] | yaml.safe_load(artifacts)["spec"]
    document = yaml.safe_load(EXPERIMENT) | {"metadata": {"name": "digits-lenet300"}, "spec": spec}
    (tmp_path / "experiment.yaml").write_text(yaml.safe_dump(document))
    report_round = {"name": "report", "arm": "report", "attempts": 1, "key": KEY, "state": "Done"}
    store_report(tmp_path / "store", b"a report")
    beside = Path(sys.executable).parent
    path = f"{beside}{os.pathsep}{Path(kubectl_program()).parent}{os.pathsep}{os.environ['PATH']}"
    commands = [line for block in blocks(page, "sh") for line in block.splitlines()]
    assert len(commands) == 9

    def write(rounds: list[dict[str, Any]], **fields: Any) -> None:
        status = {"phase": "Running", "progress": "0/3", "rounds": rounds, **fields}
        kubectl(
            "patch", "pex", "digits-lenet300", "--subresource=status", "--type=merge", "-p",
            json.dumps({"status": status}),
        )  # fmt: skip

    for command in commands:
        words = shlex.split(command, comments=True)
        if "--watch" in words:
            write([DENSE | DONE, report_round], phase="Succeeded", message="Done.")
        done = subprocess.run(
            [shutil.which(words[0], path=path) or words[0], *words[1:]],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env=environment | {"KUBECONFIG": str(tmp_path / "kubeconfig"), "PATH": path},
            timeout=300,
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        if words == ["ticketsmith", "submit", "experiment.yaml"]:
            write([DENSE | RUNNING])
            found = json.loads(kubectl("get", "pex", "digits-lenet300", "-o", "json").stdout)
            log_node.add_pod(
                found, "dense-s0", 1, Log([("2026-01-01T00:00:00Z", "hello")]), "Running"
            )
    assert (tmp_path / "report" / "report.html").read_bytes() == b"a report"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
