"""docs/cloud: every command has the flags it uses, runs in any shell, and names files that are there and right."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from guides import EXAMPLES, GUIDES, ROOT, Command, commands, flags_of
from terraform_modules import Module

from ticketsmith import __version__
from ticketsmith.experiment.check import check
from ticketsmith.experiment.decision import World
from ticketsmith.experiment.load import parse_experiment
from ticketsmith.experiment.plan import plan
from ticketsmith_operator.render.job import render_job, unrenderable
from ticketsmith_operator.settings import Settings

RECORDED = json.loads(Path(__file__).with_name("flags.json").read_text())
COMMANDS = [command for guide in sorted(GUIDES) for command in commands(GUIDES[guide])]
GUIDE = pytest.mark.parametrize("name", sorted(GUIDES))
EACH = pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.line[:60])


def recorded(command: Command) -> list[str] | None:
    """The flags of a command of gcloud or az."""
    known = RECORDED[command.tool]["commands"]
    words = command.path
    while words:
        if " ".join(words) in known:
            return known[" ".join(words)]
        words = words[:-1]
    return None


@EACH
def test_it_uses_flags_that_there_are(command: Command) -> None:
    assert command.tool in {
        "az",
        "cp",
        "gcloud",
        "gh",
        "helm",
        "kubectl",
        "kubelogin",
        "terraform",
        "ticketsmith",
    }
    if command.tool in RECORDED:
        flags = recorded(command)
        assert flags is not None, "not recorded: run tests/releases/record_flags.py"
        assert command.flags - set(flags) == set()


@EACH
def test_any_shell_reads_it_alike(command: Command) -> None:
    """No variable, no single quote, no continuation; what PowerShell or cmd read otherwise stands in double quotes."""
    assert not re.search(r"""[$`'\\;&|<>%^!*()\[\]{}#~]""", command.line)
    bare = re.sub(r'"[^"]*"', "", command.line)
    assert not re.search(r",|(?<!\S)@", bare), "PowerShell takes these for its own"
    assert "://" not in bare or re.search(r"\b(gs|oci)://", bare)


@EACH
def test_the_files_it_names_are_there(command: Command) -> None:
    for path in re.findall(r"examples/[\w./-]+", command.line):
        if not path.endswith("terraform.tfvars"):  # made by the line itself
            assert (ROOT / path).exists(), path


@GUIDE
def test_every_file_is_used_and_the_values_to_change_are_told(name: str) -> None:
    guide = GUIDES[name].read_text()
    flags = [file for file in (EXAMPLES / name).rglob("*") if file.is_file()]
    assert flags
    told = guide + "".join(file.read_text() for file in flags)
    assert [file for file in flags if f"{file.relative_to(ROOT)}" not in told] == []
    placeholders = {
        "gke": ["my-project", "123456789012", "owner/name", "987654321", "012345-6789AB-CDEF01"],
        "aks": ["myticketsmith", "me@example.com", "00000000-0000-0000-0000-000000000000"],
    }[name]
    for placeholder in placeholders:
        assert f"`{placeholder}`" in guide


def test_flags_files_hold_what_gcloud_reads() -> None:
    files = sorted((EXAMPLES / "gke" / "flags").glob("*.yaml"))
    assert len(files) > 8
    for file in files:
        flags = flags_of(file)
        assert flags, file
        for flag, value in flags.items():
            assert re.fullmatch(r"--[a-z][a-z0-9-]*[a-z0-9]", flag), f"{file}: {flag}"
            assert value is None or isinstance(value, (str, int, dict)), f"{file}: {flag}"


def test_the_pool_of_the_files_is_the_pool_of_terraform() -> None:
    flags = flags_of(EXAMPLES / "gke" / "flags" / "gpu-pool.yaml")
    assert flags["--num-nodes"] == flags["--total-min-nodes"] == 0
    assert "--enable-autoscaling" in flags
    assert "--enable-private-nodes" in flags
    (pool,) = (
        item for item in Module("gke").resources("google_container_node_pool") if item.name == "gpu"
    )
    variables = Module("gke").named("variable")
    (node,) = pool.body["node_config"]
    assert flags["--accelerator"]["type"] == variables["gpu_type"]["default"]
    assert flags["--accelerator"]["gpu-driver-version"] == "default"
    assert flags["--machine-type"] == variables["gpu_machine_type"]["default"]
    assert flags["--total-max-nodes"] == variables["gpu_max_nodes"]["default"]
    assert set(flags["--node-taints"]) == taints("gke")
    assert flags["--workload-metadata"] == node["workload_metadata_config"][0]["mode"]
    (azure,) = (one for one in COMMANDS if one.line.startswith("az aks nodepool add"))
    assert "--min-count 0" in azure.line
    assert "--enable-node-public-ip" not in azure.line


def test_the_bucket_of_the_files_is_the_bucket_of_terraform() -> None:
    flags = flags_of(EXAMPLES / "gke" / "flags" / "bucket.yaml")
    assert {"--uniform-bucket-level-access", "--public-access-prevention"} <= set(flags)
    (rule,) = json.loads((ROOT / flags["--lifecycle-file"]).read_text())["rule"]
    (bucket,) = Module("gke").resources("google_storage_bucket")
    (theirs,) = bucket.body["lifecycle_rule"]
    assert rule["condition"] == {
        "age": theirs["condition"][0]["age"],
        "matchesSuffix": theirs["condition"][0]["matches_suffix"],
    }


def test_principals_have_the_projects_number() -> None:
    for name in ("rounds-may-write", "github-may-push"):
        member = str(flags_of(EXAMPLES / "gke" / "flags" / f"{name}.yaml")["--member"])
        assert re.match(
            r"principal(Set)?://iam\.googleapis\.com/projects/\d{12}/locations/global/", member
        )


def test_google_believes_one_repository_and_only_what_was_merged() -> None:
    flags = flags_of(EXAMPLES / "gke" / "flags" / "github-provider.yaml")
    condition = str(flags["--attribute-condition"])
    assert condition.splitlines() == [condition]
    assert [part.strip("()").split(" == ")[0] for part in condition.split(" && ")] == [
        "assertion.repository",
        "assertion.repository_id",
        "assertion.event_name",
        "assertion.ref",
    ]
    for claim in (
        '== "owner/name"',
        '== "push"',
        '== "refs/heads/main"',
        'startsWith("refs/tags/v")',
    ):
        assert claim in condition


@GUIDE
def test_the_experiment_is_a_good_one_and_is_bounded(name: str) -> None:
    experiment = parse_experiment(yaml.safe_load((EXAMPLES / name / "experiment.yaml").read_text()))
    assert list(check(experiment.spec)) == []
    limits = experiment.spec.limits
    assert limits.deadline_seconds
    assert limits.round_deadline_seconds
    assert limits.max_gpu_hours
    assert experiment.spec.training.precision == "fp32", "a T4 has no bf16"


@GUIDE
def test_its_rounds_come_to_the_gpu_nodes_and_into_the_namespace(name: str) -> None:
    document = yaml.safe_load((EXAMPLES / name / "experiment.yaml").read_text())
    pod = first_pod(name)
    assert taints(name) <= {one["key"] for one in pod["tolerations"]}
    claims = {
        one["persistentVolumeClaim"]["claimName"]
        for one in pod["volumes"]
        if "persistentVolumeClaim" in one
    }
    assert claims == ({"ticketsmith-artifacts"} if name == "aks" else set())
    runner = document["spec"]["runner"]
    outputs = (ROOT / "examples" / "terraform" / name / "outputs.tf").read_text()
    for label in runner["nodeSelector"]:
        assert f'"{label}"' in outputs
    namespace, *others = documents(EXAMPLES / name / "namespace.yaml")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    (quota,) = (one for one in others if one["kind"] == "ResourceQuota")
    assert (
        int(quota["spec"]["hard"]["requests.nvidia.com/gpu"])
        >= document["spec"]["limits"]["parallelism"]
    )
    accounts = {one["metadata"]["name"] for one in others if one["kind"] == "ServiceAccount"}
    assert runner.get("serviceAccountName") in accounts | {None}


def test_the_share_of_the_files_is_the_share_of_terraform() -> None:
    volume, claim = documents(EXAMPLES / "aks" / "volume.yaml")
    values = yaml.safe_load((EXAMPLES / "aks" / "values.yaml").read_text())
    assert values["artifacts"]["persistentVolumeClaim"] == claim["metadata"]["name"]
    attributes = volume["spec"]["csi"]["volumeAttributes"]
    (share,) = Module("aks").resources("azurerm_storage_share")
    assert attributes["shareName"] == share.body["name"]
    assert attributes["protocol"] == "nfs"
    assert "nodeStageSecretRef" not in volume["spec"]["csi"], "there is no key"


def taints(name: str) -> set[str]:
    """Keys of the taints of the GPU pool, as Terraform has them."""
    if name == "aks":
        text = (ROOT / "examples" / "terraform" / "aks" / "cluster.tf").read_text()
        return set(re.findall(r'"([\w./]+)=\w+:NoSchedule"', text))
    text = (ROOT / "examples" / "terraform" / "gke" / "cluster.tf").read_text()
    return set(re.findall(r'key += "([\w./-]+)"', text))


def first_pod(name: str) -> dict[str, Any]:
    """Of the experiment's first round, as an operator installed with these values makes it."""
    document = yaml.safe_load((EXAMPLES / name / "experiment.yaml").read_text())
    values = yaml.safe_load((EXAMPLES / name / "values.yaml").read_text())
    document["metadata"] |= {
        "namespace": "experiments",
        "uid": "00000000-0000-4000-8000-000000000000",
    }
    document["spec"]["artifacts"] = values["artifacts"]
    experiment = parse_experiment(document)
    assert unrenderable(experiment) is None
    world = World(now=0.0, runner_version=__version__, machine="a node", capacity=1)
    start = plan(experiment, (), world).start[0]
    return render_job(start, experiment, Settings())["spec"]["template"]["spec"]


def documents(file: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(file.read_text()))
