"""The Job that stands where an attempt's own is missing. Pure.

Only the API server knows whether a Job is there: memory may be stale, and another replica may be about to make it. A
placeholder of the same name settles it. Either it is refused, because the Job is there after all, or it is made, and
then the Job cannot appear any more. It is suspended and never runs.
"""

from typing import Any

from ticketsmith_operator.controller.views import ExperimentView
from ticketsmith_operator.names import CONTAINER, VOID, job_name, labels, owner


def placeholder(view: ExperimentView, round_name: str, attempt: int, image: str) -> dict[str, Any]:
    """Manifest of the placeholder of one attempt."""
    namespace, name = view.key
    marks = labels(name, view.uid, round_name, attempt)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "namespace": namespace,
            "name": job_name(name, view.uid, round_name, attempt),
            "labels": marks,
            "annotations": {
                VOID: "its own Job was missing; this one only keeps the name and never runs"
            },
            "ownerReferences": [owner(name, view.uid)],
        },
        "spec": {
            "suspend": True,
            "backoffLimit": 0,
            "template": {
                "metadata": {"labels": marks},
                "spec": {
                    "restartPolicy": "Never",
                    "automountServiceAccountToken": False,
                    "securityContext": {
                        "runAsNonRoot": True,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [
                        {
                            "name": CONTAINER,
                            "image": image,
                            "command": ["false"],
                            "resources": {"limits": {"cpu": "1m", "memory": "1Mi"}},
                            "securityContext": {
                                "allowPrivilegeEscalation": False,
                                "capabilities": {"drop": ["ALL"]},
                                "readOnlyRootFilesystem": True,
                            },
                        }
                    ],
                },
            },
        },
    }
