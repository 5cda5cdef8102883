"""The operator as a cluster runs it: a process of its own, configured by flags, seen through its log and its port."""

import contextlib
import json
import os
import signal
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from supervised import Supervised


class OperatorProcess:
    """`python -m ticketsmith_operator`, from construction until the end of the `with` block.

    Keyword arguments are fields of its settings: lease_seconds=3 becomes `--lease-seconds 3`, leader_election=True
    becomes `--leader-election`.
    """

    def __init__(self, kubeconfig: Path, namespaces: Iterable[str] = (), **flags: Any) -> None:
        handle, log = tempfile.mkstemp(".log", "operator-", kubeconfig.parent)
        os.close(handle)
        arguments = [word for one in namespaces for word in ("--namespace", one)]
        for name, value in {"bind": "127.0.0.1", "port": 0, **flags}.items():
            arguments += _flag(name, value)
        self.process = Supervised(
            [sys.executable, "-m", "ticketsmith_operator", *arguments],
            Path(log),
            os.environ | {"KUBECONFIG": str(kubeconfig), "PYTHONUNBUFFERED": "1"},
        )

    def __enter__(self) -> "OperatorProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stop()

    def kill(self) -> None:
        """End it as a lost machine would (SIGKILL); returns when it has gone."""
        self.process.signal(signal.SIGKILL)
        self.process.wait()

    def terminate(self) -> int:
        """End it as Kubernetes does (SIGTERM, then SIGKILL); returns the exit code."""
        return self.process.stop()

    def log_lines(self) -> list[dict[str, Any]]:
        """What it logged so far, a document a line; a line that is no JSON is {"message": line}."""
        return [_document(line) for line in self.process.log.read_text().splitlines()]

    @property
    def url(self) -> str:
        """Address of /metrics, /healthz and /readyz; waits until it is logged."""
        found: list[int] = []

        def said() -> bool:
            lines = self.log_lines()
            found.extend(line["port"] for line in lines if line.get("message") == "serving")
            return bool(found)

        self.process.until(said, "serving")
        return f"http://127.0.0.1:{found[-1]}"

    def read(self, path: str) -> tuple[int, str]:
        """Status and text of one of its pages; status 0 if it does not answer."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as answer:  # noqa: S310
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()
        except OSError:
            return 0, ""

    def wait_ready(self) -> "OperatorProcess":
        """Wait until it says that it is ready."""
        self.process.until(lambda: self.read("/readyz")[0] == 200, "ready")
        return self


def _flag(name: str, value: Any) -> list[str]:
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{flag}" if value else f"--no-{flag}"]
    return [f"--{flag}", str(value)]


def _document(line: str) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        if isinstance(document := json.loads(line), dict):
            return document
    return {"message": line}
