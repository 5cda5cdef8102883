"""Real rounds as processes, with their artifacts in a bucket: killed, resumed, and equal to the last bit."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from places import GcsPlace
from tripping_proxy import TrippingProxy, times

from ticketsmith.experiment.contract import TrainRound, read_answer

TASK = TrainRound.model_validate(
    {
        "name": "dense-s0-l00",
        "experiment": "test",
        "runnerVersion": "0.1.0",
        "arm": "dense",
        "seed": 0,
        "level": 0,
        "sparsity": 0.0,
        "model": {"name": "lenet300"},
        "dataset": {"name": "digits"},
        "training": {
            "duration": "60ep",
            "evaluateEvery": "10ep",
            "batchSize": 100,
            "optimizer": {"name": "adam", "lr": 0.0012},
        },
        "rewind": "20it",
    }
)


class Round:
    """A process that carries the round out."""

    def __init__(self, folder: Path, store: str, **variables: str) -> None:
        self._out, self._answer = folder / "out", folder / "answer.json"
        folder.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "ticketsmith.round", "--progress", "json"]
        with self._out.open("w") as out:
            self.process = subprocess.Popen(
                [*command, "--store", store, "--answer", self._answer],
                env=os.environ
                | {"TICKETSMITH_THREADS": "1", "TICKETSMITH_DEVICE": "cpu"}
                | {"TICKETSMITH_ROUND": TASK.model_dump_json()}
                | variables,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def told(self) -> list[dict[str, Any]]:
        text = self._out.read_text()
        lines = text[: text.rfind("\n") + 1].splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def train_to(self, step: int) -> None:
        """Wait until it has come so far."""
        end = time.monotonic() + 300
        while not any(line.get("iteration", 0) >= step for line in self.told()):
            assert time.monotonic() < end, self._out.read_text()
            assert self.process.poll() is None, self._out.read_text()
            time.sleep(0.002)

    def end(self) -> Any:
        """Wait for its end; the answer."""
        assert self.process.wait(300) == 0, self._out.read_text()
        return read_answer(self._answer.read_text())


@pytest.mark.slow
def test_a_round_killed_midway_resumes_from_the_bucket_to_the_same_bits(
    gcs: GcsPlace, tmp_path: Path
) -> None:
    straight = Round(tmp_path / "a", str(tmp_path / "store")).end()
    killed = Round(tmp_path / "b", gcs.uri, TICKETSMITH_CHECKPOINT_SECONDS="0.05")
    killed.train_to(200)
    killed.process.send_signal(signal.SIGKILL)
    killed.process.wait()
    assert "checkpoint.safetensors" in gcs.files(TASK.key)
    assert "result.json" not in gcs.files(TASK.key)
    resumed = Round(tmp_path / "c", gcs.uri)
    answer = resumed.end()
    assert any(line.get("resumedAt", 0) > 0 for line in resumed.told())
    for name in ("weights.safetensors", "rewind.safetensors"):
        assert answer.files[name] == straight.files[name]
    assert answer.metrics == straight.metrics
    assert gcs.files(TASK.key) == sorted([*answer.files, "result.json"])
    assert gcs.server.generation(gcs.bucket, f"{gcs.prefix}{TASK.key}/.lock") is None
    again = Round(tmp_path / "d", gcs.uri)
    assert again.end() == answer
    assert again.told() == []


@pytest.mark.slow
def test_a_round_told_to_stop_lets_the_key_go_and_leaves_nothing_on_the_node(
    gcs: GcsPlace, tmp_path: Path
) -> None:
    (tmp_path / "scratch").mkdir()
    stopped = Round(tmp_path / "a", gcs.uri, TMPDIR=str(tmp_path / "scratch"))
    stopped.train_to(50)
    inside = [path.parts[-2:] for path in (tmp_path / "scratch").rglob("*") if path.is_dir()]
    assert any(key == TASK.key for key, _ in inside)
    stopped.process.send_signal(signal.SIGTERM)
    assert stopped.process.wait(300) == 143
    assert list((tmp_path / "scratch").glob("ticketsmith-*")) == []
    assert "checkpoint.safetensors" in gcs.files(TASK.key)
    assert gcs.server.generation(gcs.bucket, f"{gcs.prefix}{TASK.key}/.lock") is None


@pytest.mark.slow
def test_a_round_rides_out_a_service_that_stumbles(
    gcs: GcsPlace, proxy: TrippingProxy, tmp_path: Path
) -> None:
    proxy.trip = times(6, 503, lambda request: request.writes and len(proxy.asked) > 8)
    answer = Round(tmp_path / "a", gcs.uri, TICKETSMITH_CHECKPOINT_SECONDS="1").end()
    assert answer.outcome == "done"
    assert gcs.files(TASK.key) == sorted([*answer.files, "result.json"])


@pytest.mark.slow
def test_a_bucket_that_refuses_ends_the_round_for_good_and_one_that_is_away_does_not(
    gcs: GcsPlace, proxy: TrippingProxy, tmp_path: Path
) -> None:
    for status, code in ((403, 2), (503, 1)):
        proxy.trip = lambda request, status=status: status  # type: ignore[misc]
        found = Round(tmp_path / str(status), gcs.uri, TICKETSMITH_RETRY_SECONDS="1")
        assert found.process.wait(300) == code
        said = read_answer((tmp_path / str(status) / "answer.json").read_text())
        assert said.outcome == "error"
        assert gcs.uri in said.message
