"""What Flux makes of resources: by kstatus, or by the healthCheckExprs of a Kustomization."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from tools.build import KSTATUS, NotBuilt, binary


@dataclass(frozen=True)
class Verdict:
    """Its word on one resource."""

    status: str
    """InProgress, Current, Failed or Terminating."""
    message: str


def compute(
    resources: Sequence[Mapping[str, Any]], expressions: Mapping[str, str] | None = None
) -> list[Verdict]:
    """The verdict on each, by Flux's own code; NotBuilt if the program is not there."""
    question: dict[str, Any] = {"resources": resources}
    if expressions is not None:
        question["expressions"] = expressions
    done = subprocess.run(
        [binary("kstatus", KSTATUS)],
        input=json.dumps(question),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [Verdict(**one) for one in json.loads(done.stdout)]


def require() -> None:
    """The program is not built: a failure in CI, a skip elsewhere."""
    try:
        binary("kstatus", KSTATUS)
    except NotBuilt as absent:
        if os.environ.get("CI"):
            pytest.fail(str(absent))
        pytest.skip(str(absent))
