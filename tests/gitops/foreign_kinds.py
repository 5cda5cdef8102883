"""The kinds of Argo CD and Flux that examples/gitops uses, as CRDs that know no field but those used there.

Names and types are those of Argo CD 3 (manifests/crds) and Flux 2 (config/crd of its controllers), written down anew; a
field that is misspelt, or stands elsewhere, is refused as those refuse it.
"""

from typing import Any

Shape = Any
"""A type's name; a mapping of fields; [shape] for a list; {"*": shape} for a map; ... for anything."""

_SOURCE = {
    "repoURL": "string",
    "targetRevision": "string",
    "path": "string",
    "chart": "string",
    "helm": {"releaseName": "string", "valuesObject": ...},
}
_APPLICATION = {
    "project": "string",
    "source": _SOURCE,
    "destination": {"server": "string", "namespace": "string"},
    "syncPolicy": {
        "automated": {"prune": "boolean", "selfHeal": "boolean"},
        "managedNamespaceMetadata": {"labels": {"*": "string"}, "annotations": {"*": "string"}},
        "syncOptions": ["string"],
    },
}
_NAMED = {"apiVersion": "string", "kind": "string", "name": "string", "namespace": "string"}
_REFERENCE = {"kind": "string", "name": "string"}
_RETRIES = {"remediation": {"retries": "integer"}}

KINDS: dict[tuple[str, str, str], Shape] = {
    ("argoproj.io", "v1alpha1", "Application"): _APPLICATION,
    ("argoproj.io", "v1alpha1", "ApplicationSet"): {
        "goTemplate": "boolean",
        "goTemplateOptions": ["string"],
        "generators": [
            {
                "git": {
                    "repoURL": "string",
                    "revision": "string",
                    "directories": [{"path": "string", "exclude": "boolean"}],
                }
            }
        ],
        "syncPolicy": {"preserveResourcesOnDeletion": "boolean"},
        "template": {
            "metadata": {"name": "string", "annotations": {"*": "string"}},
            "spec": _APPLICATION,
        },
    },
    ("source.toolkit.fluxcd.io", "v1", "GitRepository"): {
        "interval": "string",
        "url": "string",
        "ref": {"branch": "string"},
    },
    ("source.toolkit.fluxcd.io", "v1", "OCIRepository"): {
        "interval": "string",
        "url": "string",
        "ref": {"tag": "string"},
        "layerSelector": {"mediaType": "string", "operation": "string"},
    },
    ("helm.toolkit.fluxcd.io", "v2", "HelmRelease"): {
        "interval": "string",
        "dependsOn": [{"name": "string"}],
        "releaseName": "string",
        "targetNamespace": "string",
        "chartRef": _REFERENCE,
        "install": {"createNamespace": "boolean", **_RETRIES},
        "upgrade": _RETRIES,
        "driftDetection": {"mode": "string"},
        "values": ...,
    },
    ("kustomize.toolkit.fluxcd.io", "v1", "Kustomization"): {
        "interval": "string",
        "retryInterval": "string",
        "timeout": "string",
        "dependsOn": [{"name": "string"}],
        "sourceRef": _REFERENCE,
        "path": "string",
        "prune": "boolean",
        "wait": "boolean",
        "healthChecks": [_NAMED],
        "healthCheckExprs": [
            {
                "apiVersion": "string",
                "kind": "string",
                "inProgress": "string",
                "failed": "string",
                "current": "string",
            }
        ],
    },
}


def crds() -> list[dict[str, Any]]:
    """Their CustomResourceDefinitions."""
    return [_crd(*kind, spec) for kind, spec in KINDS.items()]


def _crd(group: str, version: str, kind: str, spec: Shape) -> dict[str, Any]:
    singular = kind.lower()
    plural = f"{singular[:-1]}ies" if singular.endswith("y") else f"{singular}s"
    root = {"type": "object", "properties": {"spec": _schema(spec)}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "names": {"kind": kind, "plural": plural, "singular": singular},
            "scope": "Namespaced",
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": root},
                }
            ],
        },
    }


def _schema(shape: Shape) -> dict[str, Any]:
    if shape is ...:
        return {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    if isinstance(shape, str):
        return {"type": shape}
    if isinstance(shape, list):
        return {"type": "array", "items": _schema(shape[0])}
    if "*" in shape:
        return {"type": "object", "additionalProperties": _schema(shape["*"])}
    return {"type": "object", "properties": {name: _schema(one) for name, one in shape.items()}}
