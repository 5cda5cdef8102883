"""What the chart makes of each file in values/. `python tests/charts/rendered.py` writes golden/ anew.

golden/default.yaml is all of it; the others hold what differs from that, and name what is the same.
"""

import copy
import functools
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "cluster"))

from tools.build import HELM, KUBERNETES, binary

from ticketsmith import __version__

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CHART = ROOT / "charts" / "ticketsmith"
CRD_CHART = ROOT / "charts" / "ticketsmith-crds"
GOLDEN = HERE / "golden"
NAMES = [file.stem for file in sorted((HERE / "values").glob("*.yaml"))]
NAMESPACE = "ticketsmith"
MONITORING = [
    f"monitoring.coreos.com/v1/{kind}"
    for kind in ("ServiceMonitor", "PodMonitor", "PrometheusRule")
]

Document = dict[str, Any]


def values(name: str) -> Path:
    """The values file of that name."""
    return HERE / "values" / f"{name}.yaml"


def template(
    *arguments: str | Path,
    chart: Path = CHART,
    release: str = "ticketsmith",
    kinds: Sequence[str] = MONITORING,
) -> subprocess.CompletedProcess[str]:
    """Run `helm template` for a cluster that serves these kinds besides Kubernetes' own."""
    place = ("--namespace", NAMESPACE, "--kube-version", KUBERNETES.version)
    serves = [f"--api-versions={kind}" for kind in kinds]
    command = [binary("helm", HELM), "template", release, chart, *place, *serves, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def documents(
    *arguments: str | Path, chart: Path = CHART, release: str = "ticketsmith"
) -> list[Document]:
    """What `helm template` makes."""
    return copy.deepcopy(_documents(*arguments, chart=chart, release=release))


@functools.cache
def _documents(*arguments: str | Path, chart: Path, release: str) -> list[Document]:
    done = template(*arguments, chart=chart, release=release)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def made(name: str) -> list[Document]:
    """What the chart makes of a values file."""
    return documents("--values", values(name))


def called(document: Document) -> str:
    """Kind, namespace and name."""
    own = document["metadata"]
    return "/".join(
        (document["kind"], *([own["namespace"]] if "namespace" in own else []), own["name"])
    )


def find(found: list[Document], kind: str, name: str = "") -> Document:
    """The one document of a kind, and of a name if there are several."""
    (one,) = (
        each
        for each in found
        if each["kind"] == kind and (not name or each["metadata"]["name"] == name)
    )
    return one


def operator(found: list[Document]) -> Document:
    """The operator's container."""
    (container,) = find(found, "Deployment")["spec"]["template"]["spec"]["containers"]
    return dict(container)


def snapshot(name: str) -> list[Document]:
    """What is kept of it: what differs from the default, under a list of what does not."""
    default, ours = [[_short(one) for one in made(each)] for each in ("default", name)]
    if name == "default":
        return ours
    same = [called(one) for one in ours if one in default]
    return [{"asByDefault": same}, *(one for one in ours if one not in default)]


def kept(name: str) -> list[Document]:
    """What lies in golden/."""
    return list(yaml.safe_load_all((GOLDEN / f"{name}.yaml").read_text()))


def common_labels() -> dict[str, str]:
    """What every object of the release carries."""
    return {
        "app.kubernetes.io/name": "ticketsmith-operator",
        "app.kubernetes.io/instance": "ticketsmith",
        "app.kubernetes.io/version": __version__,
        "app.kubernetes.io/part-of": "ticketsmith",
        "app.kubernetes.io/managed-by": "Helm",
        "helm.sh/chart": f"ticketsmith-{__version__}",
    }


def _short(document: Document) -> Document:
    """Without what is kept, and tested, elsewhere: common labels, dashboards, alerts, the version."""
    text = yaml.safe_dump(document, sort_keys=False).replace(__version__, "VERSION")
    short: Document = yaml.safe_load(text)
    labels = document["metadata"].get("labels", {})
    short["metadata"]["labels"] = {k: v for k, v in labels.items() if k not in common_labels()}
    if document["kind"] == "PrometheusRule":
        short["spec"] = "(rules/)"
    if "-dashboard-" in document["metadata"]["name"]:
        short["data"] = {file: f"(dashboards/{file})" for file in document["data"]}
    return short


class _Dumper(yaml.SafeDumper):
    """Texts of several lines are written as such."""

    def represent_str(self, text: str) -> yaml.ScalarNode:
        return self.represent_scalar(
            "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
        )


_Dumper.add_representer(str, _Dumper.represent_str)


def write() -> None:
    """Write golden/ anew."""
    for file in GOLDEN.glob("*.yaml"):
        file.unlink()
    GOLDEN.mkdir(exist_ok=True)
    for name in NAMES:
        text = yaml.dump_all(snapshot(name), Dumper=_Dumper, sort_keys=False, width=120)
        (GOLDEN / f"{name}.yaml").write_text(text)


if __name__ == "__main__":
    write()
