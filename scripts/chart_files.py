"""Writes what the charts, and what is made of them, repeat from elsewhere: `make charts`.

The CRD comes from the models, the version from `ticketsmith.__version__`, examples/cluster/operator.yaml, docs/chart.md
and what examples/gitops says of the charts from the charts. Named on the command line, it is those files only.
"""

import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "cluster"))

from tools.build import HELM, KUBERNETES, binary, build

from ticketsmith import __version__
from ticketsmith_operator.crd.__main__ import manifest

ROOT = Path(__file__).parents[1]
CHARTS = ROOT / "charts"
GITOPS = ROOT / "examples" / "gitops"
PINNING = (
    *(GITOPS / "argo-cd" / "apps" / name for name in ("crds.yaml", "operator.yaml")),
    *(GITOPS / "flux" / "operator" / name for name in ("crds.yaml", "operator.yaml")),
)
"""Files that ask for one version of a chart."""
KUBE_VERSION = KUBERNETES.version
"""helm takes a cluster it does not see for one of 2020, unless told."""
EXAMPLE = (
    "--set",
    "leaderElection.enabled=true",
    "--set",
    "prices.existingConfigMap=ticketsmith-prices",
)
EXAMPLE_HEADER = """\
# The operator for a whole cluster, for those without Helm:
#   kubectl apply --server-side -f crds/
#   kubectl apply -f examples/cluster/operator.yaml
# Its rights are the least it works with. Prices: examples/cluster/prices.yaml. It is made by `make charts`, as
#   helm template ticketsmith charts/ticketsmith --namespace ticketsmith --skip-tests \\
#     --set leaderElection.enabled=true --set prices.existingConfigMap=ticketsmith-prices
apiVersion: v1
kind: Namespace
metadata:
  name: ticketsmith
  labels:
    pod-security.kubernetes.io/enforce: restricted
"""
OF_HELM = re.compile(
    r"^ *(app\.kubernetes\.io/managed-by: Helm|helm\.sh/chart: .*|# Source: .*)\n", re.MULTILINE
)
"""Lines that would not be true of what kubectl applied."""


def crd_template() -> str:
    """The CRD as a template: it outlives the release, and may be annotated."""
    head = "metadata:\n  name: pruningexperiments.ticketsmith.dev\n"
    annotations = (
        "  annotations:\n"
        "    helm.sh/resource-policy: keep  # or uninstalling the chart would delete every experiment\n"
        "    {{- with .Values.annotations }}\n"
        "    {{- toYaml . | nindent 4 }}\n"
        "    {{- end }}\n"
    )
    escaped = manifest().replace("{{", '{{ "{{" }}')
    before, found, after = escaped.partition(head)
    if not found:
        raise SystemExit("the CRD does not begin as it did: its annotations have no place")
    return before + head + annotations + after


def chart_yaml(chart: str) -> str:
    """Chart.yaml with the version there is one of."""
    text = (CHARTS / chart / "Chart.yaml").read_text()
    text = re.sub(r"^version: .*$", f"version: {__version__}", text, flags=re.MULTILINE)
    return re.sub(r"^appVersion: .*$", f'appVersion: "{__version__}"', text, flags=re.MULTILINE)


def example() -> str:
    """What the chart makes by default, for those without Helm."""
    chart = CHARTS / "ticketsmith"
    place = ("--namespace", "ticketsmith", "--skip-tests", "--kube-version", KUBE_VERSION)
    rendered = _said("helm", "template", "ticketsmith", chart, *place, *EXAMPLE)
    return EXAMPLE_HEADER + OF_HELM.sub("", rendered)


def values_page() -> str:
    """docs/chart.md, from its template and the comments in values.yaml."""
    source = ("--chart-search-root", CHARTS / "ticketsmith", "--template-files", "chart.md.gotmpl")
    style = ("--sort-values-order", "file", "--log-level", "warning")
    return _said("helm-docs", *source, *style, "--dry-run").strip() + "\n"


def pinning(path: Path) -> str:
    """A file that asks for a chart, with the version there is one of."""
    asked = re.compile(r"^( *(?:targetRevision: |ref: \{tag: ))\d[^\s}]*", re.MULTILINE)
    return asked.sub(rf"\g<1>{__version__}", path.read_text())


def argo_cd_settings() -> str:
    """What Argo CD is told of an experiment's health: the chart's own script."""
    script = (CHARTS / "ticketsmith" / "files" / "argocd" / "health.lua").read_text()
    block = re.compile(r"(_PruningExperiment: \|\n)(?: {4}.*\n|\n)+")
    text = (GITOPS / "argo-cd" / "argocd-cm.yaml").read_text()
    return block.sub(lambda found: found[1] + textwrap.indent(script, " " * 4), text)


FILES: dict[Path, Callable[[], str]] = {
    CHARTS / "ticketsmith-crds" / "templates" / "pruningexperiments.yaml": crd_template,
    CHARTS / "ticketsmith-crds" / "Chart.yaml": lambda: chart_yaml("ticketsmith-crds"),
    CHARTS / "ticketsmith" / "Chart.yaml": lambda: chart_yaml("ticketsmith"),
    ROOT / "examples" / "cluster" / "operator.yaml": example,
    ROOT / "docs" / "chart.md": values_page,
    GITOPS / "argo-cd" / "argocd-cm.yaml": argo_cd_settings,
    **{path: partial(pinning, path) for path in PINNING},
}
"""In this order: the later ones are made of the earlier ones."""


def _said(program: str, *arguments: str | Path) -> str:
    build(HELM)
    command = [binary(program, HELM), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0 or done.stderr:  # helm-docs only warns of a chart that it passes over
        raise SystemExit(f"{program}: exit {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def main(names: list[str]) -> None:
    """Write the files, or those that are named."""
    for path, text in FILES.items():
        if not names or str(path.relative_to(ROOT)) in names:
            path.write_text(text())


if __name__ == "__main__":
    main(sys.argv[1:])
