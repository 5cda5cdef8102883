"""examples/gitops is a repository that works once its addresses are yours."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from argo_health import health
from kstatus import Verdict
from stories import STORIES, UNTOUCHED, changed, status

from ticketsmith import __version__
from ticketsmith.experiment.load import parse_experiment

ROOT = Path(__file__).parents[2]
REPOSITORY = ROOT / "examples" / "gitops"
FILES = sorted(REPOSITORY.rglob("*.yaml"))
HEALTH = "resource.customizations.health."
Document = dict[str, Any]


def documents(*files: Path) -> list[Document]:
    return [one for file in files or FILES for one in yaml.safe_load_all(file.read_text())]


def the(kind: str, name: str) -> Document:
    (found,) = [
        one
        for one in documents()
        if one["kind"] == kind and one.get("metadata", {}).get("name") == name
    ]
    return found


def values(part: Any, key: str) -> list[Any]:
    """Everything that stands under that key, at any depth."""
    if isinstance(part, list):
        return [found for one in part for found in values(one, key)]
    if not isinstance(part, dict):
        return []
    here = [part[key]] if key in part else []
    return here + [found for one in part.values() for found in values(one, key)]


def test_every_file_is_of_the_kinds_that_were_meant() -> None:
    kinds = {one["kind"] for one in documents()}
    assert kinds == {
        *("Application", "ApplicationSet", "ConfigMap", "Namespace", "PruningExperiment"),
        *("GitRepository", "OCIRepository", "HelmRelease", "Kustomization"),
    }


def test_crds_come_before_the_operator_and_the_operator_before_the_experiments() -> None:
    apps = documents(*sorted((REPOSITORY / "argo-cd" / "apps").glob("*.yaml")))
    waves = {
        one["metadata"]["name"]: one["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"]
        for one in apps
    }
    assert waves == {"ticketsmith-crds": "-2", "ticketsmith-operator": "-1", "experiments": "0"}
    releases = {
        one["metadata"]["name"]: one["spec"] for one in documents() if one["kind"] == "HelmRelease"
    }
    assert releases["ticketsmith"]["dependsOn"] == [{"name": "ticketsmith-crds"}]
    syncs = the("Kustomization", "ticketsmith-experiments")["spec"]
    assert syncs["dependsOn"] == [{"name": "ticketsmith-operator"}]


def test_every_path_leads_to_a_folder_of_the_repository() -> None:
    told = [path for one in documents() for path in values(one.get("spec", {}), "path")]
    paths = [path for path in told if "{{" not in path]
    assert len(paths) >= 4
    for path in paths:
        assert list(REPOSITORY.glob(path)), path


def test_every_address_of_the_repository_is_the_same_one() -> None:
    addresses = {
        address
        for one in documents()
        for key in ("repoURL", "url")
        for address in values(one, key)
        if "ghcr.io" not in address
    }
    assert addresses == {"https://git.example.com/research/ticketsmith.git"}


def test_charts_are_those_of_this_version() -> None:
    versions = [one["spec"]["ref"]["tag"] for one in documents() if one["kind"] == "OCIRepository"]
    versions += [
        one["spec"]["source"]["targetRevision"]
        for one in documents()
        if one["kind"] == "Application" and "chart" in one["spec"]["source"]
    ]
    assert len(versions) == 4
    assert set(versions) == {__version__}


def test_applications_are_applied_and_compared_by_the_server() -> None:
    apps = [one for one in documents() if one["kind"] == "Application"]
    apps.append(the("ApplicationSet", "experiments")["spec"]["template"])
    for app in apps:
        assert "ServerSideApply=true" in app["spec"]["syncPolicy"]["syncOptions"]
        assert "ignoreDifferences" not in app["spec"]
    compared = [
        app["metadata"].get("annotations", {})
        for app in apps
        if app["metadata"]["name"] != "ticketsmith"
    ]
    assert {one["argocd.argoproj.io/compare-options"] for one in compared} == {
        "ServerSideDiff=true"
    }


@pytest.mark.parametrize(
    "file", sorted((REPOSITORY / "experiments").glob("*/*.yaml")), ids=lambda file: file.name
)
def test_an_experiment_is_a_good_one_and_its_folder_lists_it(file: Path) -> None:
    folder = yaml.safe_load((file.parent / "kustomization.yaml").read_text())
    assert folder["namespace"] == file.parent.name
    assert "Prune=confirm" in folder["commonAnnotations"]["argocd.argoproj.io/sync-options"]
    if file.name == "kustomization.yaml":
        return
    assert file.name in folder["resources"]
    (body,) = documents(file)
    if body["kind"] == "PruningExperiment":
        assert parse_experiment(body).metadata.name == file.stem
        # Without server-side diff, Argo CD compares a list as a whole, defaults in it included.
        for toleration in body["spec"].get("runner", {}).get("tolerations", ()):
            assert "operator" in toleration


def test_argo_cd_is_given_the_chart_s_own_script() -> None:
    given = the("ConfigMap", "argocd-cm")["data"]
    script = (ROOT / "charts" / "ticketsmith" / "files" / "argocd" / "health.lua").read_text()
    assert given[f"{HEALTH}ticketsmith.dev_PruningExperiment"] == script


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({}, ("Progressing", "")),
        ({"status": {}}, ("Progressing", "")),
        ({"status": {"health": {"status": "Healthy"}}}, ("Healthy", "")),
        ({"status": {"health": {"status": "Degraded", "message": "no"}}}, ("Degraded", "no")),
    ],
)
def test_an_application_s_health_is_handed_on(told: Document, expected: tuple[str, str]) -> None:
    script = the("ConfigMap", "argocd-cm")["data"][f"{HEALTH}argoproj.io_Application"]
    assert health(script, told) == expected


def test_flux_is_content_once_an_experiment_is_taken_up_and_tells_of_a_failure(
    kstatus: Callable[..., list[Verdict]],
) -> None:
    (check,) = the("Kustomization", "ticketsmith-experiments")["spec"]["healthCheckExprs"]
    of_kind = {key: check.pop(key) for key in ("apiVersion", "kind")}
    stories = {name: story for name, (_, story) in STORIES.items()}
    assert {key: story[key] for story in stories.values() for key in of_kind} == of_kind
    verdicts = kstatus(
        [*stories.values(), UNTOUCHED, changed(stories["Running RoundsRunning"])], check
    )
    found = [one.status for one in verdicts]
    assert found.pop() == found.pop() == "InProgress"
    for (name, story), verdict in zip(stories.items(), found, strict=True):
        phase = status(story).phase
        content = {"Pending": "InProgress", "Failed": "Failed"}.get(phase, "Current")
        assert verdict == ("Failed" if "refused" in name else content), name


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / "docs" / page).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_the_pages_show_what_the_files_say() -> None:
    (shown,) = blocks("argo-cd.md", "yaml")
    key = f"{HEALTH}ticketsmith.dev_PruningExperiment"
    assert yaml.safe_load(shown)["data"] == {key: the("ConfigMap", "argocd-cm")["data"][key]}
    (shown,) = blocks("flux.md", "yaml")
    spec = the("Kustomization", "ticketsmith-experiments")["spec"]
    assert yaml.safe_load(shown)["spec"].items() <= spec.items()


def rows(page: str, head: str) -> list[list[str]]:
    """Cells of the table with that heading."""
    lines = (ROOT / "docs" / page).read_text().partition(f"| {head} |")[2].partition("\n\n")[0]
    table = [line for line in lines.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1:]]


def test_flux_s_page_has_every_verdict() -> None:
    told = {
        (phase, ready, besides, verdict)
        for phases, ready, besides, verdict in rows("flux.md", "phase")
        for phase in phases.split(", ")
    }
    for name, (verdict, story) in STORIES.items():
        found = {one.type: one.status for one in status(story).conditions}
        besides = " ".join(kind for kind in ("Reconciling", "Stalled") if kind in found)
        phase = "any" if "refused" in name else status(story).phase
        assert (phase, found["Ready"], besides, verdict) in told, name


def test_argo_cd_s_page_has_every_health() -> None:
    script = the("ConfigMap", "argocd-cm")["data"][f"{HEALTH}ticketsmith.dev_PruningExperiment"]
    told = {
        phase: said
        for said, phases, _ in rows("argo-cd.md", "health")
        for phase in phases.split(", ")
    }
    for name, (_, story) in STORIES.items():
        if "refused" not in name:
            assert health(script, story)[0] == told[status(story).phase]


def test_the_readme_names_every_file() -> None:
    readme = (REPOSITORY / "README.md").read_text()
    named = set(re.findall(r"[\w/-]+\.yaml", readme))
    relative = {str(file.relative_to(REPOSITORY)) for file in FILES}
    assert {path for path in relative if "vision" not in path} <= named
    assert all(list(REPOSITORY.rglob(name)) for name in named)
