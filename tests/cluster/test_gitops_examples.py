"""examples/gitops on a real API server: all of it is taken as it stands, and the commands of the pages run."""

import functools
import json
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from cluster_access import ClusterAccess, eventually
from helm import CHARTS, Helm
from tools.build import KUBERNETES

sys.path.insert(0, str(Path(__file__).parents[1] / "gitops"))

from foreign_kinds import crds

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).parents[2]
REPOSITORY = ROOT / "examples" / "gitops"
STRICT = ("--server-side", "--validate=strict")
OURS = sorted(path for path in REPOSITORY.rglob("*.yaml") if "experiments" not in path.parts)


@pytest.fixture(scope="module")
def cluster(experiments_crd: ClusterAccess) -> Iterator[ClusterAccess]:
    """One that has Argo CD's and Flux's kinds, and the namespaces that they live in."""
    foreign = json.dumps({"apiVersion": "v1", "kind": "List", "items": crds()})
    experiments_crd.kubectl("apply", "--server-side", "-f", "-", input=foreign)
    names = [f"crd/{one['metadata']['name']}" for one in crds()]
    served = ("wait", "--for=condition=Established", "--timeout=60s", *names)
    eventually(lambda: experiments_crd.kubectl(*served, check=False).returncode == 0, "their CRDs")
    for name in ("argocd", "flux-system"):
        experiments_crd.make_namespace(name, {})
    yield experiments_crd
    experiments_crd.kubectl("delete", "namespace", "argocd", "flux-system", "--wait=false")
    experiments_crd.kubectl("delete", "--wait=false", *names)


@pytest.mark.parametrize("file", OURS, ids=lambda file: str(file.relative_to(REPOSITORY)))
def test_the_api_server_takes_it(cluster: ClusterAccess, file: Path) -> None:
    cluster.kubectl("apply", *STRICT, "--dry-run=server", "-f", file)


def test_a_misspelt_field_would_be_noticed(cluster: ClusterAccess) -> None:
    wrong = (REPOSITORY / "argo-cd" / "root.yaml").read_text().replace("selfHeal", "selfheal")
    refused = cluster.kubectl(
        "apply", *STRICT, "--dry-run=server", "-f", "-", input=wrong, check=False
    )
    assert "selfheal" in refused.stderr


@pytest.mark.parametrize(
    "folder", sorted((REPOSITORY / "experiments").iterdir()), ids=lambda path: path.name
)
def test_a_folder_s_experiments_are_taken_as_argo_cd_and_flux_build_them(
    cluster: ClusterAccess, folder: Path
) -> None:
    built = cluster.kubectl("kustomize", folder).stdout
    git = ("--server-side", "--field-manager=argocd-controller")
    cluster.kubectl("apply", *git, "--validate=strict", "-f", "-", input=built)
    found = json.loads(cluster.kubectl("get", "pex", "-n", folder.name, "-o", "json").stdout)
    assert len(found["items"]) == built.count("kind: PruningExperiment")
    for one in found["items"]:
        assert "Prune=confirm" in one["metadata"]["annotations"]["argocd.argoproj.io/sync-options"]
    assert cluster.kubectl("diff", *git, "-f", "-", input=built).stdout == ""
    cluster.kubectl("delete", "namespace", folder.name, "--wait=false")


@pytest.mark.parametrize(
    ("file", "kind", "path"),
    [
        ("argo-cd/apps/operator.yaml", "Application", ("source", "helm", "valuesObject")),
        ("flux/operator/operator.yaml", "HelmRelease", ("values",)),
    ],
)
def test_the_chart_takes_the_values(
    cluster: ClusterAccess, file: str, kind: str, path: tuple[str, ...]
) -> None:
    (body,) = [
        one for one in yaml.safe_load_all((REPOSITORY / file).read_text()) if one["kind"] == kind
    ]
    values = functools.reduce(lambda part, key: part[key], path, body["spec"])
    rendered = Helm(cluster)(
        "template",
        "ticketsmith",
        CHARTS / "ticketsmith",
        *("--kube-version", KUBERNETES.version),
        values=values,
    ).stdout
    assert f"--artifacts-uri={values['artifacts']['uri']}" in rendered


def commands(page: str) -> list[list[str]]:
    """What is to be typed, in the page's order, `kubectl` and comments left out."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / "docs" / page).read_text(), re.M | re.S)
    lines = [line for block in blocks for line in block.splitlines()]
    words = [shlex.split(line, comments=True) for line in lines]
    return [one[1:] for one in words if one and one[0] == "kubectl"]


@pytest.mark.parametrize("page", ["argo-cd.md", "flux.md"])
def test_the_commands_of_the_page_run_one_after_the_other(
    cluster: ClusterAccess, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    # Argo CD comes with a ConfigMap of this name, and what else is in it stays.
    there = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "argocd-cm", "namespace": "argocd"},
        "data": {"url": "https://argo-cd.example.com"},
    }
    cluster.kubectl("apply", "-f", "-", input=json.dumps(there))
    told = commands(page)
    assert told
    for words in told:
        cluster.kubectl(*words)
    settings = cluster.get("configmap", "argocd-cm", "-n", "argocd")["data"]
    assert settings["url"] == "https://argo-cd.example.com"
    if page == "argo-cd.md":
        assert "resource.customizations.health.ticketsmith.dev_PruningExperiment" in settings
        cluster.get("application", "ticketsmith", "-n", "argocd")
    else:
        cluster.get("kustomizations.kustomize.toolkit.fluxcd.io", "-n", "flux-system")
