"""The loop and its processes, with stand-in rounds: order, parallelism, retries, signals, deaths, going on."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from drive import drive
from stand_in import calls

from ticketsmith.experiment.problems import BadSpec
from ticketsmith.experiment.spec import PruningExperiment
from ticketsmith.experiment.status import RoundStatus, Status
from ticketsmith.local import attempt as attempts
from ticketsmith.local.machine import Machine
from ticketsmith.local.rundir import RunDirectory

Make = Callable[..., PruningExperiment]
DRIVE = Path(__file__).with_name("drive.py")
ROUNDS = 2 + 2 * 2 * 2 + 2
"""Dense, tickets and a control at two levels for two seeds; benchmark and report."""


def status_of(experiment: PruningExperiment) -> Status:
    assert experiment.status is not None
    return experiment.status


def rounds_of(experiment: PruningExperiment) -> dict[str, RoundStatus]:
    return {known.name: known for known in status_of(experiment).rounds}


def what_counts(experiment: PruningExperiment) -> dict[str, object]:
    """Everything a result is, without times and attempts."""
    return {
        name: (known.state, known.key, known.metrics, known.gate, known.sparsity)
        for name, known in rounds_of(experiment).items()
        if known.arm != "report"  # its key covers the times of the whole run
    }


def most_at_once(runs: Path) -> int:
    running, most = 0, 0
    for _, what, *_ in sorted(calls(runs), key=lambda call: float(call[2])):
        running += {"begins": 1, "ends": -1}.get(what, 0)
        most = max(most, running)
    return most


def children_of(pid: int) -> list[int]:
    """Every process below `pid`, by /proc."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                parents[int(entry.name)] = int(
                    (entry / "stat").read_text().rpartition(")")[2].split()[1]
                )
            except OSError:
                continue
    found, wanted = [], {pid}
    while wanted:
        wanted = {child for child, parent in parents.items() if parent in wanted}
        found += wanted
    return found


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(true: Callable[[], object], seconds: float = 300.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


def start_held(experiment: PruningExperiment, folder: Path) -> subprocess.Popen[str]:
    """Start a driver whose tickets hold half-way, until the file is removed."""
    (folder / "runs").mkdir()
    (folder / "runs" / "hold").touch()
    file = folder / "experiment.yaml"
    file.write_text(yaml.safe_dump(experiment.document()))
    return subprocess.Popen(
        [sys.executable, str(DRIVE), str(file), str(folder / "runs")],
        stdout=subprocess.PIPE,
        text=True,
    )


def kept_counts(runs: Path) -> dict[str, int]:
    """How far every round had counted, by key."""
    return {f.parent.name: int(f.read_text()) for f in (runs / "store").glob("*/count")}


def assert_resumed(
    names: set[str], counts: dict[str, int], ended: PruningExperiment, later: list[list[str]]
) -> None:
    """The rounds went on exactly where their checkpoints were."""
    for name in names:
        count = counts.get(rounds_of(ended)[name].key or "", 0)
        assert [name, f"from={count}"] in [call[:2] for call in later]


def test_a_run_from_beginning_to_end(tmp_path: Path, make: Make) -> None:
    ended = drive(make(), tmp_path)
    status = status_of(ended)
    assert (status.phase, status.reason, status.progress) == (
        "Succeeded",
        "AllRoundsDone",
        f"{ROUNDS}/{ROUNDS}",
    )
    assert status.best is not None
    assert status.best.level == 2
    begun = [name for name, what, *_ in calls(tmp_path) if what == "begins"]
    assert len(begun) == len(set(begun)) == ROUNDS
    run = RunDirectory(tmp_path, make())
    assert run.read() == ended
    assert sorted(p.name for p in (run.path / "logs").iterdir()) == sorted(
        f"{n}.1.log" for n in begun
    )
    assert '"accuracy"' in run.log("dense-s0", 1).read_text()
    events = (run.path / "events.log").read_text()
    assert events.count(" RoundDone ") == ROUNDS


@pytest.mark.parametrize(("limit", "cores"), [(1, 4), (3, 2), (None, 2)])
def test_parallelism_is_respected_and_threads_are_shared(
    tmp_path: Path, make: Make, limit: int | None, cores: int
) -> None:
    places = limit or cores
    limits = {"parallelism": limit} if limit else {}
    drive(make(limits=limits, meet=min(2, places)), tmp_path, machine=Machine(cores=cores))
    assert min(2, places) <= most_at_once(tmp_path) <= places
    threads = {call[4] for call in calls(tmp_path) if call[0] not in ("benchmark", "report")}
    assert threads == {str(max(1, cores // places))}
    assert {call[4] for call in calls(tmp_path) if call[0] == "benchmark"} == {str(cores)}


def test_a_gpu_takes_one_round_at_a_time() -> None:
    assert Machine(cores=16, gpus=1).capacity == 1
    assert Machine(cores=16).capacity == 16


def test_a_killed_round_is_tried_again_and_its_end_is_told(tmp_path: Path, make: Make) -> None:
    ended = drive(
        make(trouble={"ticket-s0-l01": ["kill"], "dense-s1": ["exit:7", "raise"]}), tmp_path
    )
    assert status_of(ended).phase == "Succeeded"
    assert rounds_of(ended)["ticket-s0-l01"].attempts == 2
    assert rounds_of(ended)["dense-s1"].attempts == 3
    events = (RunDirectory(tmp_path, ended).path / "events.log").read_text()
    assert "its process was killed (SIGKILL), as the system does when memory runs out" in events
    assert "the stand-in was told to break" in events
    assert "dense-s1.2.log" in events


def test_a_round_that_always_dies_fails_the_run_with_its_last_words(
    tmp_path: Path, make: Make
) -> None:
    ended = drive(make(limits={"retries": 1}, trouble={"dense-s0": ["raise"] * 9}), tmp_path)
    status = status_of(ended)
    assert (status.phase, status.reason) == ("Failed", "RoundFailed")
    assert "the stand-in was told to break" in (status.message or "")
    assert rounds_of(ended)["dense-s0"].attempts == 2


def test_a_failed_run_is_tried_anew_and_its_done_rounds_answer(tmp_path: Path, make: Make) -> None:
    trouble = {"ticket-s1-l02": ["raise"]}
    failed = drive(make(limits={"retries": 0}, trouble=trouble), tmp_path)
    assert status_of(failed).phase == "Failed"
    counted = [call for call in calls(tmp_path) if call[1].startswith("from=")]
    ended = drive(make(limits={"retries": 0}, trouble=trouble), tmp_path)
    assert status_of(ended).phase == "Succeeded"
    again = [call[0] for call in calls(tmp_path) if call[1].startswith("from=")][len(counted) :]
    assert "dense-s0" not in again
    assert "ticket-s1-l02" in again


@pytest.mark.slow
def test_kill_9_of_the_driver_leaves_no_child_and_is_gone_on_from(
    tmp_path: Path, make: Make
) -> None:
    experiment = make(steps=6)
    driver = start_held(experiment, tmp_path)
    runs = tmp_path / "runs"
    wait_until(lambda: any(call[1] == "holds" for call in calls(runs)))
    below = children_of(driver.pid)
    working = {int(call[3]) for call in calls(runs)} & set(below)
    assert working
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    wait_until(lambda: not any(is_alive(pid) for pid in below))
    before = calls(runs)
    counts = kept_counts(runs)

    (runs / "hold").unlink()
    ended = drive(experiment, runs)
    assert status_of(ended).phase == "Succeeded"
    # What was done is not counted again, and what was half done goes on from its checkpoint.
    finished = {call[0] for call in before if call[1] == "ends"}
    resumed = [call for call in calls(runs)[len(before) :] if call[1].startswith("from=")]
    assert finished
    assert not finished & {call[0] for call in resumed}
    half_done = {call[0] for call in before} - finished
    assert half_done
    assert_resumed(half_done, counts, ended, resumed)
    whole = drive(experiment, tmp_path / "undisturbed")
    assert what_counts(ended) == what_counts(whole)
    assert all(rounds_of(ended)[name].failures == 0 for name in half_done)


@pytest.mark.slow
def test_ctrl_c_keeps_checkpoints_and_state(tmp_path: Path, make: Make) -> None:
    experiment = make(steps=6)
    driver = start_held(experiment, tmp_path)
    runs = tmp_path / "runs"
    wait_until(lambda: any(call[1] == "holds" for call in calls(runs)))
    driver.send_signal(signal.SIGINT)
    assert driver.communicate()[0] == "Suspended\n"
    stopped = {call[0] for call in calls(runs) if call[1] == "stops"}
    assert stopped
    stored = RunDirectory(runs, experiment).read()
    assert stored is not None
    assert status_of(stored).phase == "Suspended"
    assert stored.spec.suspend is False
    assert {known.state for known in status_of(stored).rounds} == {"Done", "Waiting"}

    before, counts = len(calls(runs)), kept_counts(runs)
    assert max(counts.values()) > 0
    (runs / "hold").unlink()
    ended = drive(experiment, runs)
    assert status_of(ended).phase == "Succeeded"
    assert_resumed(stopped, counts, ended, calls(runs)[before:])


@pytest.mark.slow
def test_a_stubborn_round_is_killed_after_its_grace(
    tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "GRACE_SECONDS", 0.2)
    limits = {"roundDeadlineSeconds": 1, "retries": 0}
    trouble = {"dense-s0": ["stubborn"]}
    ended = drive(make(limits=limits, trouble=trouble, steps=10**6, seconds=0.01), tmp_path)
    assert status_of(ended).phase == "Failed"
    assert not [pid for pid in {int(call[3]) for call in calls(tmp_path)} if is_alive(pid)]


def test_a_second_driver_is_refused_with_the_first_ones_pid(tmp_path: Path, make: Make) -> None:
    run = RunDirectory(tmp_path, make())
    with run.locked(), pytest.raises(BadSpec) as caught, RunDirectory(tmp_path, make()).locked():
        pass
    assert f"process {os.getpid()}" in str(caught.value)
    with run.locked():
        pass


def test_a_suspended_experiment_starts_nothing(tmp_path: Path, make: Make) -> None:
    ended = drive(make(suspend=True), tmp_path)
    assert status_of(ended).phase == "Suspended"
    assert calls(tmp_path) == []
    assert status_of(drive(make(), tmp_path)).phase == "Succeeded"


def test_a_damaged_resource_is_named(tmp_path: Path, make: Make) -> None:
    drive(make(), tmp_path)
    run = RunDirectory(tmp_path, make())
    run.resource.write_text('{"half": ')
    with pytest.raises(BadSpec) as caught:
        drive(make(), tmp_path)
    assert str(run.resource) in str(caught.value)
    assert "remove it" in str(caught.value)
