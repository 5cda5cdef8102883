"""How one operator is set up: read once, from the flags it was started with."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from ticketsmith import __version__
from ticketsmith.experiment.base import Document


def _traces_url(given: str) -> str:
    """The whole URL that spans are posted to."""
    parts = urlsplit(given)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("name a URL like http://otel-collector:4318")
    if "@" in parts.netloc:
        raise ValueError("credentials belong into OTEL_EXPORTER_OTLP_HEADERS, not into the URL")
    return given if parts.path.strip("/") else parts._replace(path="/v1/traces").geturl()


class Settings(Document):
    """Everything an administrator chooses. `python -m ticketsmith_operator --help` shows the flags."""

    namespaces: tuple[str, ...] = ()
    """Namespaces served; none is the whole cluster."""
    image: Annotated[str, Field(min_length=1)] = f"ghcr.io/ticketsmith/runner:{__version__}"
    """Runner image of experiments that name none."""
    artifacts_uri: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    """Artifact store of experiments that name none, e.g. gs://bucket/prefix, or file:///artifacts with a claim."""
    artifacts_claim: str | None = None
    """Claim, in each experiment's namespace, that is mounted at that file:// URI."""
    prices: str | None = None
    """File with the price list (a mounted ConfigMap); none: cost stays unknown."""
    capacity: int = Field(4, ge=1, le=10_000)
    """Rounds of one experiment at once where limits.parallelism does not say."""
    workers: int = Field(8, ge=1, le=256)
    """Experiments reconciled at once."""
    resync_seconds: float = Field(300.0, gt=0)
    """How often everything is listed anew, in case an event was never seen."""
    port: int = Field(8080, ge=0, le=65535)
    """Port of /metrics, /healthz and /readyz; 0 picks a free one and logs it."""
    bind: str = "0.0.0.0"  # noqa: S104  # kubelet and Prometheus come from outside the Pod
    """Address that port is bound to."""
    leader_election: bool = False
    """Whether only the holder of a Lease acts, so that several replicas can stand by."""
    lease_namespace: str | None = None
    """Namespace of the Lease; none is the operator's own."""
    lease_name: Annotated[str, Field(min_length=1)] = "ticketsmith-operator"
    """Name of the Lease."""
    lease_seconds: float = Field(15.0, ge=1)
    """How long a leader that fell silent is still believed to lead."""
    job_managed_by: str | None = None
    """spec.managedBy of every Job: another controller carries them out and hands the answer in the message of the
    Complete condition."""
    missing_grace_seconds: float = Field(5.0, ge=0)
    """How long a Job that the status speaks of may be missing before its attempt is given up: another replica may be
    about to make it."""
    start_grace_seconds: float = Field(120.0, ge=0)
    """How long a Pod whose image or configuration cannot be had is waited for."""
    traces_endpoint: Annotated[str, AfterValidator(_traces_url)] | None = None
    """OTLP/HTTP receiver of OpenTelemetry traces, e.g. http://otel-collector:4318 (/v1/traces is added where the URL
    names no path); none: what OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or OTEL_EXPORTER_OTLP_ENDPOINT says, else no
    traces."""
    log_format: Literal["json", "plain"] = "json"
    """json, a document a line, or plain."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """debug, info, warning or error."""
