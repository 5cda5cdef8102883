"""`ticketsmith list` and `ticketsmith compare` against a real API server."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import yaml
from cluster_access import ClusterAccess, Kubectl

from ticketsmith.cli.app import carry_out
from ticketsmith.cli.on_cluster import PLUGIN

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

Cli = Callable[..., CompletedProcess[str]]


def experiment(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "ticketsmith.dev/v1alpha1",
        "kind": "PruningExperiment",
        "metadata": {"name": name},
        "spec": {
            "model": {"name": "lenet300"},
            "sparsities": {"targets": [0.5]},
            "seeds": [0, 1],
            "artifacts": {"uri": "file:///artifacts", "persistentVolumeClaim": "artifacts"},
            **spec,
        },
    }


def status(dense: float, ticket: float, **more: Any) -> dict[str, Any]:
    """Two seeds, a little apart."""
    rounds: list[dict[str, Any]] = []
    for seed in (0, 1):
        done = {"seed": seed, "state": "Done", "attempts": 1, "key": f"{seed:016x}"}
        rounds.append(done | {"name": f"dense-s{seed}", "arm": "dense", "level": 0})
        rounds[-1]["metrics"] = {"accuracy": dense + seed / 100}
        rounds.append(done | {"name": f"ticket-s{seed}-l01", "arm": "ticket", "level": 1})
        rounds[-1] |= {"sparsity": 0.5, "gate": "passed"}
        rounds[-1]["metrics"] = {"accuracy": ticket + seed / 50}
    best = {"round": "ticket-s0-l01", "level": 1, "sparsity": 0.5, "metric": ticket, "drop": 0.01}
    best |= {"seedsPassed": 2, "seeds": 2}
    return {"phase": "Succeeded", "progress": "7/7", "rounds": rounds, "best": best, **more}


@pytest.fixture
def submit(kubectl: Kubectl, experiments_crd: ClusterAccess) -> Callable[..., None]:
    """Put an experiment there, with a status as an operator would write it."""

    def put(name: str, said: dict[str, Any] | None = None, **spec: Any) -> None:
        kubectl("apply", "--server-side", "-f", "-", input=json.dumps(experiment(name, **spec)))
        if said is not None:
            patch = json.dumps({"status": said})
            kubectl("patch", "pex", name, "--subresource=status", "--type=merge", "-p", patch)

    return put


@pytest.fixture
def two_contexts(experiments_crd: ClusterAccess, tmp_path: Path) -> Path:
    """A kubeconfig that knows the cluster as lab, and as prod/west."""
    config = yaml.safe_load(experiments_crd.kubeconfig.read_text())
    [context] = config["contexts"]
    config["contexts"] = [context | {"name": "lab"}, context | {"name": "prod/west"}]
    config["current-context"] = "lab"
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(config))
    return file


@pytest.fixture
def cli(
    two_contexts: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Cli:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KUBECONFIG", str(two_contexts))

    def run(*arguments: str, program: str = "ticketsmith") -> CompletedProcess[str]:
        code = carry_out(list(arguments), program)
        out, err = capsys.readouterr()
        return CompletedProcess(arguments, code, out, err)

    return run


def names(done: CompletedProcess[str]) -> list[str]:
    return [line.split()[0] for line in done.stdout.splitlines()[1:]]


def test_a_namespace_or_every_one_and_several_contexts_are_listed(
    cli: Cli, submit: Callable[..., None], namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ticketsmith.cluster.kube._PAGE", 1)  # so that there are several pages
    submit("first", status(0.98, 0.97))
    submit("second")
    done = cli("list", "-n", namespace)
    assert (done.returncode, sorted(names(done))) == (0, ["first", "second"])
    [line] = [line for line in done.stdout.splitlines() if line.startswith("first")]
    assert line.split()[1:6] == [f"lab/{namespace}", "Succeeded", "7/7", "50.0%", "98.00%"]
    assert "Pending" in cli("list", "-n", namespace, "--phase", "pending").stdout
    every = json.loads(cli("list", "-A", "-o", "json").stdout)
    assert f"lab/{namespace}/first" in {one["reference"] for one in every["experiments"]}
    both = cli("list", "-n", namespace, "--context", "lab", "--context", "prod/west")
    assert sorted(names(both)) == ["first", "first", "second", "second"]
    # For kubectl's plugin a list is a cluster's, without a word more.
    assert sorted(names(cli("list", "-n", namespace, program=PLUGIN))) == ["first", "second"]
    assert cli("list").stdout == "No experiments in runs.\n"


def test_one_that_cannot_be_read_is_named_beside_the_others(
    cli: Cli, submit: Callable[..., None], namespace: str
) -> None:
    submit("good", status(0.98, 0.97))
    submit("odd", status(0.98, 0.97, ledger=["no such line"]))
    done = cli("list", "-n", namespace)
    assert (done.returncode, names(done)) == (0, ["good"])
    assert f"lab/{namespace}/odd cannot be read: status.ledger" in done.stderr


def test_without_the_right_to_list_the_remedy_fits_what_was_asked(
    experiments_crd: ClusterAccess, cli: Cli, kubectl: Kubectl, namespace: str
) -> None:
    kubectl("create", "serviceaccount", "nobody")
    nobody = str(experiments_crd.service_account_kubeconfig(namespace, "nobody"))
    one = cli("list", "-n", namespace, "--kubeconfig", nobody)
    assert one.returncode == 3
    assert f"may not list pruningexperiments in namespace {namespace}" in one.stderr
    every = cli("list", "-A", "--kubeconfig", nobody)
    assert every.returncode == 3
    assert "in all namespaces: name one with -n, or ask" in every.stderr


def test_experiments_of_a_cluster_are_compared_by_what_their_statuses_hold(
    cli: Cli, submit: Callable[..., None], namespace: str
) -> None:
    submit("first", status(0.98, 0.97))
    submit("second", status(0.96, 0.93), pruning={"scope": "layer"})
    done = cli("compare", f"prod/west/{namespace}/first", f"{namespace}/second")
    assert done.returncode == 0, done.stderr
    assert "Read from its status alone" in done.stdout
    assert "the artifacts of first lie on the claim artifacts" in done.stdout
    assert "spec.pruning.scope   global   layer" in done.stdout
    [line] = [line for line in done.stdout.splitlines() if line.startswith("50.0%")]
    assert "paired, 2 seeds" in line
    told = json.loads(cli("compare", "first", "second", "-n", namespace, "-o", "json").stdout)
    second = told["levels"][1]["experiments"][1]
    assert second["gain"]["mean"] == pytest.approx(-0.04)
    assert second["drop"]["mean"] == pytest.approx(0.025)
    absent = cli("compare", "first", "third", "-n", namespace)
    assert absent.returncode == 2
    assert "third is not a run in runs, and namespace" in absent.stderr
    assert absent.stderr.count("\n") == 1
