"""How a round's Job looks on a cluster: Kubernetes' words, typed, so that a slip is refused before a Pod is made."""

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from ticketsmith.experiment.base import Document

_DNS_NAME: Final = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_KEY: Final = re.compile(rf"({_DNS_NAME}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?")
_OWN_RESOURCES: Final = ("cpu", "memory", "ephemeral-storage")


def _label_key(key: str) -> str:
    # A schema cannot say this of a mapping's keys, so that it is not a pattern.
    if not _KEY.fullmatch(key):
        raise ValueError(f"{key!r} is no label key: write name or domain/name")
    return key


def _resource_name(name: str) -> str:
    if "/" not in name and name not in _OWN_RESOURCES and not name.startswith("hugepages-"):
        known = ", ".join(_OWN_RESOURCES)
        raise ValueError(
            f"{name!r} is no resource of a container: write {known}, or vendor/name, e.g. nvidia.com/gpu"
        )
    return name


DnsName = Annotated[str, Field(min_length=1, max_length=253, pattern=f"^{_DNS_NAME}$")]
QueueName = Annotated[str, Field(min_length=1, max_length=63, pattern=f"^{_DNS_NAME}$")]
LabelKey = Annotated[str, Field(min_length=1, max_length=317), AfterValidator(_label_key)]
LabelValue = Annotated[
    str, Field(max_length=63, pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$")
]
ResourceName = Annotated[LabelKey, AfterValidator(_resource_name)]
Quantity = Annotated[
    str,
    Field(
        max_length=64,
        pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|[eE][-+]?[0-9]{1,2})?$",
    ),
]
Amount = Annotated[int, Field(ge=0, le=10**15)] | Quantity
"""An amount in Kubernetes' notation: 1, 500m, 16Gi."""


class ResourcesSpec(Document):
    """What the container asks of its node."""

    requests: dict[ResourceName, Amount] = Field({}, max_length=16)
    """Amounts set aside for it, e.g. {cpu: 4, memory: 16Gi}."""
    limits: dict[ResourceName, Amount] = Field({}, max_length=16)
    """Amounts it may not exceed, e.g. {nvidia.com/gpu: 1, memory: 16Gi}."""


class TolerationSpec(Document):
    """A taint the Pods tolerate."""

    key: LabelKey | None = None
    """Key of the taint; left out with operator Exists it is every taint."""
    operator: Literal["Exists", "Equal"] = "Equal"
    """Exists, or Equal to value."""
    value: LabelValue | None = None
    """Value of the taint, for Equal."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Effect of the taint; left out it is every effect."""
    toleration_seconds: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    """With NoExecute: how long the Pod stays after the taint appeared."""

    @model_validator(mode="after")
    def _agrees(self) -> "TolerationSpec":
        if self.operator == "Exists" and self.value:
            raise ValueError(
                "operator Exists takes no value: remove value or write operator: Equal"
            )
        if self.operator == "Equal" and not self.key:
            raise ValueError("operator Equal needs a key: add key or write operator: Exists")
        if self.toleration_seconds is not None and self.effect != "NoExecute":
            raise ValueError("tolerationSeconds is for effect NoExecute: write that or remove it")
        return self


class KeyReference(Document):
    """A key of a Secret or ConfigMap in the experiment's namespace."""

    name: DnsName
    """Name of the Secret or ConfigMap."""
    key: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]
    """Its key."""
    optional: bool = False
    """Whether the Pod starts without it."""


class EnvSource(Document):
    """Where an environment variable's value comes from; exactly one."""

    secret_key_ref: KeyReference | None = None
    """A key of a Secret."""
    config_map_key_ref: KeyReference | None = None
    """A key of a ConfigMap."""

    @model_validator(mode="after")
    def _is_one(self) -> "EnvSource":
        if (self.secret_key_ref is None) == (self.config_map_key_ref is None):
            raise ValueError("give exactly one of secretKeyRef and configMapKeyRef")
        return self


class EnvSpec(Document):
    """One environment variable of the container."""

    name: Annotated[str, Field(max_length=253, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    """Its name; TICKETSMITH_ROUND, TICKETSMITH_STORE and TICKETSMITH_ANSWER are the operator's, and so is what begins
    with TICKETSMITH_ROUND. HOME, TMPDIR, TICKETSMITH_DEVICE and TICKETSMITH_THREADS may be set otherwise."""
    value: Annotated[str, Field(max_length=16_384)] | None = None
    """Its value in plain text; a secret belongs in valueFrom."""
    value_from: EnvSource | None = None
    """Where the value comes from instead."""

    @model_validator(mode="after")
    def _agrees(self) -> "EnvSpec":
        if self.value is not None and self.value_from is not None:
            raise ValueError("give value or valueFrom, not both")
        if self.name in {"TICKETSMITH_STORE", "TICKETSMITH_ANSWER"} or self.name.startswith(
            "TICKETSMITH_ROUND"
        ):
            raise ValueError(f"{self.name} is set by the operator: choose another name")
        return self


class VolumeSpec(Document):
    """A volume mounted into the container; exactly one source."""

    name: Annotated[str, Field(max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
    """Its name; artifacts and scratch are the operator's."""
    mount_path: Annotated[str, Field(max_length=1024, pattern=r"^/[^:]*$")]
    """Where it is mounted: not at, above or below /scratch, /dev, /proc, /sys or another volume."""
    read_only: bool = True
    """Whether the container may only read it."""
    persistent_volume_claim: DnsName | None = None
    """Source: a claim, e.g. one that holds data sets."""
    secret: DnsName | None = None
    """Source: a Secret, e.g. a key of an object store."""
    config_map: DnsName | None = None
    """Source: a ConfigMap."""

    @model_validator(mode="after")
    def _is_one(self) -> "VolumeSpec":
        sources = (self.persistent_volume_claim, self.secret, self.config_map)
        if sum(source is not None for source in sources) != 1:
            raise ValueError("give exactly one of persistentVolumeClaim, secret and configMap")
        if self.name in {"artifacts", "scratch"}:
            raise ValueError(f"the name {self.name} is the operator's: choose another")
        return self


class RunnerSpec(Document):
    """How a round's Job looks on a cluster; one machine ignores it."""

    image: Annotated[str, Field(min_length=1, max_length=1024, pattern=r"^\S+$")] | None = None
    """Image of the runner; null takes the operator's default."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """When the image is pulled; null leaves it to Kubernetes."""
    image_pull_secrets: tuple[DnsName, ...] = Field((), max_length=16)
    """Names of Secrets for the image's registry."""
    resources: ResourcesSpec = ResourcesSpec()
    """Container resources (requests and limits), e.g. {limits: {nvidia.com/gpu: 1}}. A round computes with as many
    threads as whole CPUs it may use (the limit, else the request), and with one where neither is given."""
    node_selector: dict[LabelKey, LabelValue] = Field({}, max_length=32)
    """Labels a node must carry; prices are matched on them."""
    tolerations: tuple[TolerationSpec, ...] = Field((), max_length=32)
    """Taints the Pods tolerate. Where GPUs are asked for, the taint NoSchedule of their vendor (nvidia.com/gpu or
    amd.com/gpu) is tolerated too, unless a toleration here speaks of it."""
    priority_class_name: DnsName | None = None
    """Priority class of the Pods."""
    service_account_name: DnsName | None = None
    """Service account of the Pods, e.g. for Workload Identity; its token is not mounted."""
    queue_name: QueueName | None = None
    """Kueue LocalQueue that admits the Jobs."""
    env: tuple[EnvSpec, ...] = Field((), max_length=64)
    """Further environment variables of the container, in Kubernetes' form."""
    volumes: tuple[VolumeSpec, ...] = Field((), max_length=16)
    """Further volumes: data sets, keys of object stores."""
    scratch_size: Quantity | None = None
    """Largest size of the scratch volume, e.g. 20Gi; null sets no limit of its own."""
    termination_grace_seconds: int = Field(60, ge=1, le=3600)
    """What a round that is stopped gets for its checkpoint before it is killed."""
