"""A real Prometheus of one's own: scrapes what it is pointed at, judges rules, answers queries. Loopback only."""

import json
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from cluster_access import eventually
from control_plane import free_ports
from supervised import Supervised

Labels = Mapping[str, str]


class NotInstalled(Exception):
    """There is no such program on PATH; the sentence says what to install."""


class QueryError(Exception):
    """What Prometheus says of a query it does not answer."""


@dataclass(frozen=True)
class Series:
    """One series of an answer: its labels, and its samples as (Unix seconds, value). An instant query gives one."""

    labels: Labels
    samples: tuple[tuple[float, float], ...]

    @property
    def value(self) -> float:
        """The latest value."""
        return self.samples[-1][1]


def program(name: str = "prometheus") -> str:
    """Path of `prometheus` or `promtool`."""
    if found := shutil.which(name):
        return found
    raise NotInstalled(f"{name} is not on PATH: install Debian's package prometheus")


class Prometheus:
    """Runs from `start` to `stop`, or within a `with` block; its configuration and data lie in `folder`.

    It scrapes and judges rules every `interval_seconds`. `rules` are files as Prometheus reads them. Labels that a
    target gives itself are honoured, as the chart's monitors ask for: a series keeps its experiment's namespace.
    """

    def __init__(
        self, folder: Path, *, interval_seconds: int = 1, rules: Iterable[Path] = ()
    ) -> None:
        self._folder = folder
        self._interval = interval_seconds
        self._rules = tuple(rules)
        self.port = free_ports(1)[0]

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "Prometheus":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until it is ready. NotInstalled if there is none."""
        prometheus = program()
        targets = self._folder / "targets"
        targets.mkdir(parents=True)
        every = f"{self._interval}s"
        files = [{"files": [str(targets / "*.json")], "refresh_interval": every}]
        configuration = {
            "global": {
                "scrape_interval": every,
                "scrape_timeout": every,
                "evaluation_interval": every,
            },
            "rule_files": [str(path.resolve()) for path in self._rules],
            "scrape_configs": [
                {"job_name": "files", "honor_labels": True, "file_sd_configs": files}
            ],
        }
        file = self._folder / "prometheus.yml"
        file.write_text(yaml.safe_dump(configuration))
        self.process = Supervised(
            [
                prometheus,
                f"--config.file={file}",
                f"--storage.tsdb.path={self._folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{self.port}",
            ],
            self._folder / "prometheus.log",
            folder=self._folder,
        )
        try:
            self.process.until(self._is_ready, "ready")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop it; its data stays."""
        self.process.stop()

    # --- what it scrapes -------------------------------------------------------------------------
    def scrape(self, job: str, *urls: str, **labels: str) -> None:
        """Scrape `/metrics` below these addresses as that job, with these labels, instead of those given before."""
        addresses = [url.removeprefix("http://").rstrip("/") for url in urls]
        groups = [{"targets": addresses, "labels": {"job": job, **labels}}]
        file = self._folder / "targets" / f"{job}.json"
        aside = file.with_suffix(".new")
        aside.write_text(json.dumps(groups))
        aside.replace(file)

    def wait_scraped(self, job: str) -> None:
        """Wait until every target of that job was scraped well, and at least one was."""

        def is_up() -> bool:
            ups = [series.value for series in self.query(f"up{{job={json.dumps(job)}}}")]
            return bool(ups) and all(ups)

        eventually(is_up, f"Prometheus scraped {job}")

    def wait_until(self, query: str, seconds: float = 120.0) -> list[Series]:
        """Wait until a query has an answer that is not empty."""
        eventually(lambda: bool(self.query(query)), f"Prometheus answers {query}", seconds)
        return self.query(query)

    # --- what it answers -------------------------------------------------------------------------
    def query(self, query: str, at: float | None = None) -> list[Series]:
        """The answer at Unix time `at`, or now. QueryError with Prometheus' words if there is none."""
        when = {} if at is None else {"time": repr(at)}
        data = self.get("/api/v1/query", query=query, **when)
        if data["resultType"] == "scalar":
            return [Series({}, _samples([data["result"]]))]
        return [Series(one["metric"], _samples([one["value"]])) for one in data["result"]]

    def query_range(self, query: str, start: float, end: float, step: float) -> list[Series]:
        """The answers from `start` to `end` (Unix seconds), one every `step` seconds."""
        span = {"start": repr(start), "end": repr(end), "step": repr(step)}
        data = self.get("/api/v1/query_range", query=query, **span)
        return [Series(one["metric"], _samples(one["values"])) for one in data["result"]]

    def label_values(self, label: str, *selectors: str) -> list[str]:
        """The values of a label, of the series that match one of the selectors, of all if there is none."""
        path = f"/api/v1/label/{label}/values"
        return [str(value) for value in self.get(path, **{"match[]": selectors})]

    def alerts(self) -> list[dict[str, Any]]:
        """Every alert that is pending or fires now."""
        return list(self.get("/api/v1/alerts")["alerts"])

    def get(self, path: str, **query: str | Sequence[str]) -> Any:
        """The data at a path of its API."""
        address = f"{self.url}{path}?{urllib.parse.urlencode(query, doseq=True)}"
        try:
            with urllib.request.urlopen(address, timeout=30) as answer:  # noqa: S310
                return json.loads(answer.read())["data"]
        except urllib.error.HTTPError as refused:
            raise QueryError(json.loads(refused.read())["error"]) from None

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except OSError:
            time.sleep(0.05)
            return False


def _samples(pairs: Iterable[tuple[float, str]]) -> tuple[tuple[float, float], ...]:
    return tuple((float(moment), float(value)) for moment, value in pairs)
