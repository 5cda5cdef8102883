"""`ticketsmith run` on a small real experiment: lines, resource, a second run, Ctrl-C, the old names."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

Run = Callable[..., subprocess.CompletedProcess[str]]
pytestmark = pytest.mark.slow


def run_directory(folder: Path, name: str = "tiny") -> Path:
    (found,) = (folder / "runs").glob(f"{name}_*")
    return found


def matches(lines: list[str], *patterns: str) -> None:
    """The lines hold the patterns, in this order."""
    rest = iter(lines)
    for pattern in patterns:
        assert any(re.fullmatch(pattern, line) for line in rest), f"no {pattern!r} in {lines}"


def test_a_run_says_the_lines_people_know_and_a_second_answers_from_disk(
    here: Run, experiment: Path
) -> None:
    done = here("run", "tiny.yaml", "--price", "3600")
    assert done.returncode == 0, done.stderr
    matches(
        done.stdout.splitlines(),
        r"Initialized Run: runs/tiny_[0-9a-f]{8}",
        r"Config Hash: [0-9a-f]{8}",
        r"Device: (cpu|cuda) \(.+\); \d+ rounds? at once, \d+ threads? each",
        r"dense-s0 \| Training\.\.\.",
        r"dense-s0 \| Epoch 2/2 \| Loss: \d\.\d{3} \| Val Acc: \d+\.\d%",
        r"dense-s0 \| Done in .+ \| Test Acc: \d+\.\d% \| 1/5 rounds.*",
        r"ticket-s0-l01 \| Pruning iteration 1 \(sparsity: 50\.0%\)\.\.\.",
        r"ticket-s0-l01 \| Done .+ \| Sparsity: 50\.0% \(25,100 of 50,200 weights removed\) \| .+ Gate: passed .+",
        r"Training complete\. Artifacts saved to runs/tiny_[0-9a-f]{8}/",
        r"Executive Report generated: runs/tiny_[0-9a-f]{8}/report/executive_summary\.md",
        r"Quality Plot: runs/tiny_[0-9a-f]{8}/report/report_plot\.png",
        r"Full Report: runs/tiny_[0-9a-f]{8}/report/report\.html",
        r"Succeeded: .+ \(.+ of work, \d+\.\d{4} USD\)",
    )
    folder = run_directory(experiment.parent)
    assert (folder / "experiment.yaml").read_text() == experiment.read_text()
    for name in ("report.html", "executive_summary.md", "report_plot.png"):
        assert (folder / "report" / name).stat().st_size > 0

    before = (folder / "resource.json").read_bytes()
    logs = sorted((folder / "logs").iterdir())
    again = here("run", "tiny.yaml", "-o", "json")
    assert again.returncode == 0
    assert "Answered from disk" in again.stderr
    resource = json.loads(again.stdout)
    assert resource["status"]["phase"] == "Succeeded"
    assert resource["status"]["usage"]["currency"] == "USD"
    assert (folder / "resource.json").read_bytes() == before
    assert sorted((folder / "logs").iterdir()) == logs

    # Another file for the same work starts rounds, and every one answers from the store.
    other = experiment.with_name("other.yaml")
    other.write_text(experiment.read_text().replace("name: tiny", "name: other"))
    shared = here("run", "other.yaml", "-o", "yaml", "--no-report")
    assert shared.returncode == 0, shared.stderr
    keys = {r["name"]: r["key"] for r in yaml.safe_load(shared.stdout)["status"]["rounds"]}
    first = {r["name"]: r["key"] for r in resource["status"]["rounds"]}
    assert {k: v for k, v in keys.items() if k != "report"} == {
        k: v for k, v in first.items() if k != "report"
    }

    planned = here("plan", "tiny.yaml", "-o", "json", "--no-calibrate")
    assert [r["done"] for r in json.loads(planned.stdout)["rounds"]] == [
        True,
        True,
        True,
        False,
        False,
    ]
    assert "ticket-s0-l01" in here("status", str(folder)).stdout


def test_the_old_names_do_the_same(ticketsmith: Run, experiment: Path) -> None:
    trained = ticketsmith("--config", "tiny.yaml", "-o", "json", module="ticketsmith.train")
    assert trained.returncode == 0, trained.stderr
    status = json.loads(trained.stdout)["status"]
    assert [known["name"] for known in status["rounds"]] == ["dense-s0"]
    assert re.match(r"The dense network reaches \d\d\.\d\d% on the test set", status["message"])
    pruned = ticketsmith("--config", "tiny.yaml", "-o", "json", "-q", module="ticketsmith.prune")
    assert pruned.returncode == 0, pruned.stderr
    rounds = {known["name"]: known for known in json.loads(pruned.stdout)["status"]["rounds"]}
    assert rounds["dense-s0"]["key"] == status["rounds"][0]["key"]
    assert rounds["dense-s0"]["metrics"] == status["rounds"][0]["metrics"]
    store = experiment.parent / "runs" / "store" / rounds["ticket-s0-l01"]["key"]
    for module in ("ticketsmith.benchmark_cli", "ticketsmith.benchmark_speed"):
        timed = ticketsmith(str(store), "--repeats", "5", "--batch-sizes", "1", module=module)
        assert timed.returncode == 0, timed.stderr
        assert "interleaved repeats" in timed.stdout
    reported = ticketsmith("--runs-prefix", "runs", "--out", "out", module="ticketsmith.report")
    assert reported.returncode == 0, reported.stderr
    assert "Executive Report generated: out/executive_summary.md" in reported.stdout


def test_a_run_whose_gate_nothing_passes_fails_and_still_reports(
    here: Run, experiment: Path
) -> None:
    text = experiment.read_text().replace("maxDrop: 0.5", "worst: 1.0")
    experiment.write_text(text)
    done = here("run", "tiny.yaml", "-o", "json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["status"]["reason"] == "NoTicketPassed"
    assert "Gate: failed" in done.stderr
    assert "Full Report: " in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_cut_short_goes_on_and_ends_the_same(
    here: Run, experiment: Path, number: signal.Signals
) -> None:
    folder = experiment.parent
    text = experiment.read_text().replace("duration: 2ep", "duration: 200ep")
    experiment.write_text(text.replace("controls: [random]", "controls: []"))
    process = subprocess.Popen(
        [sys.executable, "-m", "ticketsmith.prune", "--config", "tiny.yaml"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "TICKETSMITH_CHECKPOINT_SECONDS": "0.2"},
    )
    end = time.monotonic() + 300
    while not list((folder / "runs").glob("store/*/checkpoint.safetensors")):
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.02)
    os.killpg(process.pid, number)  # Ctrl-C goes to the terminal's whole foreground group
    out, errors = process.communicate()
    status = json.loads((run_directory(folder) / "resource.json").read_text())["status"]
    if number == signal.SIGINT:
        assert process.returncode == 130, errors
        assert "Traceback" not in out + errors
        assert "the same command goes on from here" in out
        assert status["phase"] == "Suspended"
        assert "Suspended" in here("status", str(run_directory(folder))).stdout
    else:
        assert status["phase"] == "Running"

    done = here("run", "tiny.yaml", "-o", "json", "--no-report")
    assert done.returncode == 0, done.stderr
    assert "Going on where it stopped: " in done.stderr
    rounds = json.loads(done.stdout)["status"]["rounds"]
    assert any(known["attempts"] > 1 for known in rounds)
    assert all(known["failures"] == 0 for known in rounds)

    here("run", "tiny.yaml", "--runs", "undisturbed", "--no-report", "-q")
    for known in rounds:
        if known["arm"] in ("dense", "ticket"):
            files = [results_of(folder / runs, known["key"]) for runs in ("runs", "undisturbed")]
            assert files[0] == files[1]


def results_of(runs: Path, key: str) -> dict[str, str]:
    """SHA-256 of what a round computed."""
    files = json.loads((runs / "store" / key / "result.json").read_text())["files"]
    return {name: sha for name, sha in files.items() if name.endswith("safetensors")}
