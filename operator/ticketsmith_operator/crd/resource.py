"""The whole CustomResourceDefinition: names, columns and schema."""

from typing import Any, Final

from ticketsmith.experiment.base import KIND
from ticketsmith.experiment.spec import ExperimentSpec, PruningExperiment
from ticketsmith.experiment.status import UNSEEN, Status
from ticketsmith_operator.crd.rules import NAME
from ticketsmith_operator.crd.schema import Schema, structural
from ticketsmith_operator.names import GROUP, PLURAL, VERSION

COLUMNS: Final = (
    ("Phase", "string", ".status.phase", 0),
    ("Progress", "string", ".status.progress", 0),
    ("Best sparsity", "number", ".status.best.sparsity", 0),
    ("Drop", "number", ".status.best.drop", 0),
    ("Speedup", "number", ".status.best.speedup", 0),
    ("Cost", "string", ".status.usage.spent", 0),
    ("Age", "date", ".metadata.creationTimestamp", 0),
    ("Reason", "string", ".status.reason", 1),
    ("Message", "string", ".status.message", 1),
)
"""Name, type, path and priority of what `kubectl get pex` prints; priority 1 is printed with -o wide."""


def definition() -> dict[str, Any]:
    """The manifest to install."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": ["pex"],
                "categories": ["all"],
            },
            "scope": "Namespaced",
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [
                        {
                            "name": name,
                            "type": kind,
                            "jsonPath": path,
                            **({"priority": priority} if priority else {}),
                        }
                        for name, kind, path, priority in COLUMNS
                    ],
                    "schema": {"openAPIV3Schema": _resource()},
                }
            ],
        },
    }


def _resource() -> Schema:
    fields = PruningExperiment.model_fields
    return {
        "description": PruningExperiment.__doc__,
        "type": "object",
        "properties": {
            "apiVersion": {"description": fields["api_version"].description, "type": "string"},
            "kind": {"description": fields["kind"].description, "type": "string"},
            "metadata": {"type": "object"},
            "spec": structural(ExperimentSpec),
            "status": structural(Status) | {"default": {"observedGeneration": UNSEEN}},
        },
        "required": ["spec"],
        "x-kubernetes-validations": [NAME.document()],
    }
