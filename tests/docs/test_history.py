"""docs/history.md runs as it stands and prints tables of that shape; docs/tracing.md names what there is."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ticketsmith.experiment.load import parse_experiment

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "history.md").read_text()
TRACING = (ROOT / "docs" / "tracing.md").read_text()
EXAMPLE, _, REST = PAGE.partition("\n## list\n")


def blocks(language: str, text: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def lines(text: str) -> list[str]:
    """Commands that are shown."""
    return [line for block in blocks("sh", text) for line in block.splitlines()]


def shape(output: str) -> list[str]:
    """Heads of tables, with the names of what stands below them."""
    found = []
    for line in output.splitlines():
        cells = re.split(r" {3,}", line.strip())
        if len(cells) > 1:
            is_head = cells[0] in {"NAME", "Field", "Sparsity", "Figure"}
            found.append(" | ".join(cells) if is_head else cells[0])
    return found


@pytest.mark.slow
def test_the_example_runs_and_prints_what_is_shown(tmp_path: Path) -> None:
    """Trained for a moment only: what is learnt differs, what is told of it does not."""
    (shown,) = blocks("yaml", EXAMPLE)
    whole = yaml.safe_load(shown)
    assert parse_experiment(whole).metadata.name == "digits-global"
    quick = shown.replace("duration: 8ep", "duration: 1ep").replace("maxDrop: 0.02", "maxDrop: 0.9")
    assert quick != shown
    (tmp_path / "global.yaml").write_text(quick)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    printed = []
    for line in lines(EXAMPLE):
        command = f"{line} --no-report" if line.startswith("ticketsmith run ") else line
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=500,
            env=os.environ | {"PATH": path},
        )
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        printed.append(done.stdout)
    *_, listed, compared = printed
    shown_list, shown_comparison = blocks("text", EXAMPLE)
    assert shape(listed) == shape(shown_list)
    assert shape(compared) == shape(shown_comparison)
    assert (tmp_path / "comparison.html").stat().st_size > 10_000


def test_the_other_commands_shown_are_understood() -> None:
    """Their flags exist; the places they name do not."""
    from typer.main import get_command

    from ticketsmith.cli.app import app

    split = [shlex.split(line, comments=True) for line in lines(REST)]
    shown = [words for words in split if words[0] == "ticketsmith"]
    assert len(shown) == 6
    group = get_command(app)
    for _, verb, *arguments in shown:
        words = arguments[: arguments.index(">")] if ">" in arguments else arguments
        command = group.commands[verb]  # type: ignore[attr-defined]
        command.make_context(verb, words, resilient_parsing=False)


def test_every_column_is_explained() -> None:
    (listed, _) = blocks("text", EXAMPLE)
    columns = set(listed.splitlines()[0].split()) - {"NAME"}
    assert set(re.findall(r"^\| ([A-Z]+) \|", REST, re.MULTILINE)) == columns


def test_every_attribute_of_a_span_is_explained() -> None:
    source = "".join(
        file.read_text()
        for file in (ROOT / "operator" / "ticketsmith_operator" / "tracing").glob("*.py")
    )
    emitted = {name.rstrip(".") for name in re.findall(r'"(?:ticketsmith|k8s)\.([\w.]+)', source)}
    cells = re.findall(r"^\| (`[^|]+) \|", TRACING, re.MULTILINE)
    explained = {
        re.sub(r"^(ticketsmith|k8s)?\.", "", name)
        for cell in cells
        for name in re.findall(r"`([\w.]+)`", cell)
        if "." in name
    }
    assert {re.sub(r"^metric$", "metric.accuracy", name) for name in emitted} == explained
