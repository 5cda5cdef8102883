"""Rounds as real processes: exit codes, answers, kill -9, SIGTERM."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ticketsmith.experiment.contract import RoundError, RoundResult, TrainRound, read_answer
from ticketsmith.round import run_round
from ticketsmith.stores.base import Store

ZYGOTE = Path(__file__).with_name("zygote.py")
Answer = Callable[[], RoundResult | RoundError]


class Zygote:
    """The process that forks rounds; see zygote.py."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(ZYGOTE)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._read() == "ready"

    def ask(self, **request: Any) -> int:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return int(self._read())

    def end(self) -> None:
        self._process.communicate(timeout=30)

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@dataclass
class Started:
    """A round's process."""

    zygote: Zygote
    pid: int
    out: Path
    err: Path

    def told(self) -> list[dict[str, Any]]:
        """Its progress so far."""
        text = self.out.read_text()
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def wait_for(self, reached: Callable[[dict[str, Any]], bool]) -> None:
        end = time.monotonic() + 60
        while not any(reached(line) for line in self.told()):
            assert time.monotonic() < end, self.err.read_text()
            time.sleep(0.002)

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def ended(self) -> tuple[int, str]:
        """Its exit code (negative: the signal that killed it) and what it said on standard error."""
        status = self.zygote.ask(wait=self.pid)
        return os.waitstatus_to_exitcode(status), self.err.read_text()


Start = Callable[..., Started]


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    found = Zygote(os.environ | {"OMP_NUM_THREADS": "1"})
    yield found
    found.end()


@pytest.fixture
def start(tmp_path: Path, zygote: Zygote, process_environment: dict[str, str]) -> Start:
    """Starts a round's process with its spec in the environment; the answer goes to `answer.json`."""
    count = 0

    def run(
        task: TrainRound | str,
        *,
        store: str = "store",
        answer: str | None = None,
        memory: int = 0,
        **variables: str,
    ) -> Started:
        nonlocal count
        count += 1
        text = task if isinstance(task, str) else task.model_dump_json()
        out, err = tmp_path / f"out{count}", tmp_path / f"err{count}"
        out.touch()
        arguments = ["--progress", "json", "--store", str(tmp_path / store)]
        pid = zygote.ask(
            arguments=[*arguments, "--answer", answer or str(tmp_path / "answer.json")],
            environment=process_environment | {"TICKETSMITH_ROUND": text} | variables,
            out=str(out),
            err=str(err),
            memory=memory,
        )
        return Started(zygote, pid, out, err)

    return run


@pytest.fixture
def answer(tmp_path: Path) -> Answer:
    return lambda: read_answer((tmp_path / "answer.json").read_text())


def test_the_module_runs_a_round_from_files_and_says_so_in_plain_lines(
    make_round: Any, tmp_path: Path, process_environment: dict[str, str], answer: Any
) -> None:
    spec = tmp_path / "round.json"
    spec.write_text(make_round(training={"duration": "2ep"}).model_dump_json())
    found = subprocess.run(
        [
            sys.executable,
            "-m",
            "ticketsmith.round",
            "--spec",
            "round.json",
            "--store",
            "s",
            "--answer",
            "answer.json",
        ],
        cwd=tmp_path,
        env=process_environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (found.returncode, found.stdout) == (0, "")
    assert "dense-s0-l00  training  epoch " in found.stderr
    assert answer().outcome == "done"


def test_a_done_round_exits_0_and_answers_at_once_the_second_time(
    make_round: Any, start: Start, answer: Any
) -> None:
    task = make_round(training={"duration": "2ep"})
    process = start(task)
    assert process.ended() == (0, "")
    first = answer()
    assert first.outcome == "done"
    assert len(json.dumps(first.document())) < 4096
    doing = [line["doing"] for line in process.told()]
    assert (doing[0], doing[-1]) == ("loading", "saving")
    again = start(task)
    assert again.ended() == (0, "")
    assert again.told() == []
    assert answer() == first


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"training": {"optimizer": {"name": "adam", "lr": -1}}}, "optimizer.lr"),
        ({"sparsty": 0.5}, "sparsty"),
        ({"training": {"duration": "0it"}}, "duration"),
        ({"model": {"name": "lenet30"}}, "lenet300"),
        ({"dataset": {"name": "mnist", "uri": "/nowhere/at/all"}}, "/nowhere/at/all"),
    ],
)
def test_a_wrong_spec_exits_2_with_one_sentence(
    make_round: Any, start: Start, answer: Any, changes: dict[str, Any], words: str
) -> None:
    document = json.loads(make_round().model_dump_json())
    for name, value in changes.items():
        document[name] = document.get(name, {}) | value if isinstance(value, dict) else value
    code, err = start(json.dumps(document)).ended()
    assert code == 2
    assert answer().exit_code == 2
    assert words in answer().message
    assert "Traceback" not in err
    assert "\n" not in answer().message


def test_no_spec_at_all_exits_2(start: Start, answer: Any) -> None:
    assert start("").ended()[0] == 2
    assert "TICKETSMITH_ROUND" in answer().message


def test_broken_numbers_exit_3_with_step_and_tensor(
    make_round: Any, start: Start, answer: Any
) -> None:
    optimizer = {"name": "sgd", "lr": 100, "momentum": 0.9, "weightDecay": 10}
    task = make_round(training={"duration": "400ep", "optimizer": optimizer})
    code, err = start(task).ended()
    assert code == 3
    assert "Traceback" not in err
    said = answer()
    assert said.exit_code == 3
    assert "at step " in said.message
    assert "first tensor that is not finite is" in said.message
    assert "fc" in said.message


def test_too_large_a_network_exits_4_with_bytes(make_round: Any, start: Start, answer: Any) -> None:
    """VGG-11's weights take 0.5 GB; with gradients and Adam's state they need four times that."""
    dataset = {"name": "digits", "options": {"size": 32, "grayscale": False}}
    task = make_round(model={"name": "vgg11"}, dataset=dataset)
    code, err = start(task, memory=700_000_000).ended()
    assert (code, answer().exit_code) == (4, 4), err
    assert re.search(
        r"at least [\d,]{9,} bytes .* and [\d,]+ are available on cpu", answer().message
    )
    assert "Traceback" not in err


def test_a_full_disk_is_told_in_a_sentence(make_round: Any, start: Start) -> None:
    code, err = start(make_round(training={"duration": "1it"}), answer="/dev/full").ended()
    assert code == 2
    assert "/dev/full: the disk is full" in err
    assert "Traceback" not in err


def test_a_store_that_cannot_be_written_exits_2_and_names_it(
    make_round: Any, start: Start, answer: Any, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    code, err = start(make_round(), store="file/store").ended()
    assert code == 2
    assert str(tmp_path / "file") in answer().message
    assert "Traceback" not in err


def test_an_unforeseen_error_exits_1_with_a_traceback_and_last_words(
    make_round: Any, store: Store, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    def bang(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("out of the blue")

    monkeypatch.setattr("ticketsmith.engine.conduct.train", bang)
    code, said = run_round(make_round(), store, lambda _: None)
    assert (code, said.outcome) == (1, "error")
    assert said == RoundError(exit_code=1, message="ZeroDivisionError: out of the blue")
    assert "Traceback" in capfd.readouterr().err


def test_sigterm_leaves_a_checkpoint_and_exits_143(
    make_round: Any, start: Start, answer: Any
) -> None:
    task = make_round(training={"duration": "200ep", "evaluateEvery": "50ep"})
    process = start(task)
    process.wait_for(lambda line: line.get("iteration", 0) > 0)
    process.send(signal.SIGTERM)
    code, err = process.ended()
    assert code == 143
    assert "Traceback" not in err
    assert "start it again" in answer().message
    again = start(task)
    assert again.ended()[0] == 0
    assert any(line.get("resumedAt", 0) > 0 for line in again.told())


def test_kill_9_ten_times_and_the_weights_are_the_same_bits(
    make_round: Any, start: Start, answer: Any
) -> None:
    """Killed wherever it stands, also while it writes, ten times over; then left alone to the end."""
    training = {
        "duration": "150ep",
        "evaluateEvery": "10ep",
        "select": "bestValidation",
        "optimizer": {"name": "adam", "lr": 0.002},
    }
    task = make_round(training=training, rewind="20it")
    assert start(task, store="straight").ended()[0] == 0
    straight = answer()
    random.seed(0)
    resumed_at = set()
    for _ in range(10):
        process = start(task, TICKETSMITH_CHECKPOINT_SECONDS="0.01")
        process.wait_for(lambda line: line["doing"] == "training")
        time.sleep(random.random() * 0.15)
        process.send(signal.SIGKILL)
        assert process.ended()[0] == -signal.SIGKILL
        resumed_at |= {line.get("resumedAt") for line in process.told()}
    assert start(task).ended()[0] == 0
    resumed = answer()
    assert len(resumed_at) > 5
    for name in ("weights.safetensors", "final.safetensors", "rewind.safetensors"):
        assert resumed.files.get(name) == straight.files.get(name)
    assert resumed.metrics == straight.metrics


@pytest.mark.parametrize(
    "variable", ["TICKETSMITH_THREADS", "TICKETSMITH_CHECKPOINT_SECONDS", "TICKETSMITH_DEVICE"]
)
def test_a_setting_that_makes_no_sense_is_named(
    make_round: Any, start: Start, answer: Any, variable: str
) -> None:
    code, err = start(make_round(), **{variable: "-3"}).ended()
    assert code == 2
    assert variable in answer().message
    assert "Traceback" not in err
