"""The Pod of a round: what runs, where, with which rights. Held to the *restricted* Pod Security Standard."""

from typing import Any, Final

from ticketsmith.experiment.decision import Start
from ticketsmith.experiment.placement import ResourcesSpec, RunnerSpec
from ticketsmith.experiment.spec import ExperimentSpec
from ticketsmith_operator.names import CONTAINER
from ticketsmith_operator.render.environment import environment
from ticketsmith_operator.render.mounts import mounts
from ticketsmith_operator.render.resources import gpu_resources

USER: Final = 65532
"""The user and group of the runner image: distroless' nonroot."""


def pod_spec(start: Start, spec: ExperimentSpec, image: str) -> dict[str, Any]:
    """The spec of the Pod that carries out one attempt."""
    runner = spec.runner
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": runner.termination_grace_seconds,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            # Or every start of a Pod would walk through all artifacts of the claim.
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        **_given(
            serviceAccountName=runner.service_account_name,
            priorityClassName=runner.priority_class_name,
            nodeSelector=runner.node_selector,
            tolerations=_tolerations(runner),
            imagePullSecrets=[{"name": name} for name in runner.image_pull_secrets],
        ),
        "containers": [_container(start, spec, image)],
        "volumes": [mount.volume() for mount in mounts(spec)],
    }


def _container(start: Start, spec: ExperimentSpec, image: str) -> dict[str, Any]:
    return {
        "name": CONTAINER,
        "image": spec.runner.image or image,
        **_given(imagePullPolicy=spec.runner.image_pull_policy),
        "command": ["python", "-m", "ticketsmith.round"],
        "args": ["--progress", "json"],
        "env": environment(start, spec),
        **_given(resources=_resources(spec.runner.resources)),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "volumeMounts": [mount.volume_mount() for mount in mounts(spec)],
    }


def _resources(wanted: ResourcesSpec) -> dict[str, dict[str, str]]:
    written = {"requests": wanted.requests, "limits": wanted.limits}
    return {
        kind: {name: str(amount) for name, amount in amounts.items()}
        for kind, amounts in written.items()
        if amounts
    }


def _tolerations(runner: RunnerSpec) -> list[dict[str, Any]]:
    """The user's, and that of the taint which keeps others off the nodes whose GPUs are asked for.

    Some clusters add the latter to a Pod by themselves, others leave the Pod unschedulable.
    """
    theirs = [one.document() for one in runner.tolerations]
    spoken_of = {one.key for one in runner.tolerations}
    vendors = {name.split("/")[0] for name in gpu_resources(runner.resources.limits)}
    taints = sorted(f"{vendor}/gpu" for vendor in vendors)
    return theirs + [
        {"key": taint, "operator": "Exists", "effect": "NoSchedule"}
        for taint in taints
        if taint not in spoken_of
    ]


def _given(**fields: Any) -> dict[str, Any]:
    """The fields that say anything."""
    return {name: value for name, value in fields.items() if value}
