"""What the cloud guides apply: a real API server takes it, and the chart takes their values."""

import json
import subprocess
from pathlib import Path

import pytest
from cluster_access import ClusterAccess
from guides import EXAMPLES, GUIDES, ROOT

GUIDE = pytest.mark.parametrize("name", sorted(GUIDES))


@pytest.mark.slow
@pytest.mark.cluster
@GUIDE
def test_the_api_server_takes_every_manifest(name: str, cluster: ClusterAccess) -> None:
    """One after the other, since those in a namespace need the namespace; it is removed afterwards."""
    kubectl = cluster.kubectl
    files = {file.stem: file for file in (EXAMPLES / name).glob("*.yaml") if file.stem != "values"}
    kubectl("apply", "-f", files.pop("namespace"))
    try:
        for file in files.values():
            place = ("--namespace", "experiments") if file.stem == "experiment" else ()
            told = kubectl("apply", "--dry-run=server", *place, "-f", file)
            assert "(server dry run)" in told.stdout
            assert "Warning" not in told.stderr
    finally:
        kubectl("delete", "namespace", "experiments")


@GUIDE
def test_the_chart_takes_the_values(name: str, helm: Path) -> None:
    """Its schema refuses what it does not know."""
    values = EXAMPLES / name / "values.yaml"
    command = [helm, "template", "ticketsmith", ROOT / "charts" / "ticketsmith"]
    done = subprocess.run(
        [*command, "--kube-version", "1.34.0", "--values", values],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "artifacts-uri" in done.stdout
    schema = json.loads((ROOT / "charts" / "ticketsmith" / "values.schema.json").read_text())
    assert schema["additionalProperties"] is False
