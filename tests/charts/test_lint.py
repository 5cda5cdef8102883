"""The charts are sound to helm, and what is made of elsewhere is fresh."""

import subprocess
from pathlib import Path
from typing import Any

import chart_files
import pytest
import yaml
from rendered import CHART, CRD_CHART, NAMES, ROOT, Document, documents, operator, values
from tools.build import KUBERNETES

from ticketsmith import __version__

pytestmark = pytest.mark.usefixtures("helm")


@pytest.mark.parametrize("name", NAMES)
def test_helm_finds_nothing_to_say_against_it(helm: Path, name: str) -> None:
    _lint(helm, CHART, "--values", values(name))


def test_nor_against_the_resource_s_chart(helm: Path) -> None:
    _lint(helm, CRD_CHART)


def _lint(helm: Path, chart: Path, *arguments: str | Path) -> None:
    command = [helm, "lint", "--strict", "--quiet", "--kube-version", KUBERNETES.version, chart]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", chart_files.FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_made_of_elsewhere_is_fresh(path: Path) -> None:
    assert path.read_text() == chart_files.FILES[path](), "stale: run make charts"


def test_charts_and_images_have_the_version_there_is_one_of() -> None:
    for chart in (CHART, CRD_CHART):
        about = yaml.safe_load((chart / "Chart.yaml").read_text())
        assert (about["version"], about["appVersion"]) == (__version__, __version__)
    container = operator(documents())
    assert container["image"] == f"ghcr.io/ticketsmith/operator:{__version__}"
    assert f"--image=ghcr.io/ticketsmith/runner:{__version__}" in container["args"]


def test_the_resource_s_chart_is_the_resource_that_stays() -> None:
    crd = yaml.safe_load((ROOT / "crds" / "ticketsmith.dev_pruningexperiments.yaml").read_text())
    assert _crd() == crd | {"metadata": crd["metadata"] | {"annotations": {KEEP: "keep"}}}
    wave = {"argocd.argoproj.io/sync-wave": "-2"}
    annotated = _crd("--set-json", 'annotations={"argocd.argoproj.io/sync-wave": "-2"}')
    assert annotated["metadata"]["annotations"] == {KEEP: "keep", **wave}


KEEP = "helm.sh/resource-policy"


def _crd(*arguments: str) -> Document:
    (crd,) = documents(*arguments, chart=CRD_CHART)
    return crd


def test_both_charts_are_described_alike() -> None:
    def about(chart: Path) -> dict[str, Any]:
        text = (chart / "Chart.yaml").read_text()
        return {
            k: v
            for k, v in yaml.safe_load(text).items()
            if k in {"kubeVersion", "home", "sources", "type"}
        }

    assert about(CHART) == about(CRD_CHART)
