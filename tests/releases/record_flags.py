"""Writes flags.json: which flags gcloud and az have for the commands of the guides, by their own --help.

Neither is a Python package that the tests could ask for, and asking needs no account and reaches no cloud:

    python tests/releases/record_flags.py [AZ]      # AZ: az, if it is not on PATH
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from guides import GUIDES, Command, commands

TARGET = Path(__file__).with_name("flags.json")


def _help(program: str, words: list[str]) -> str | None:
    """What `program WORDS --help` prints; nothing if there is no such command."""
    done = subprocess.run(
        [program, *words, "--help"], capture_output=True, text=True, check=False, timeout=120
    )
    text = re.sub(r"\x1b\[[\d;]*m|.\x08", "", done.stdout)
    return text if done.returncode == 0 and ("SYNOPSIS" in text or "Arguments" in text) else None


def _command(program: str, tool: str, command: Command) -> tuple[str, str]:
    """The words that are the command, as its help has them, and that help."""
    words = command.path
    while words:
        if (text := _help(program, words)) is not None:
            named = re.search(rf"^\s+{tool} ([a-z -]+?)\s(?:-|:)\s", text, re.MULTILINE)
            assert named is not None, text[:400]
            return " ".join(named[1].split()), text
        words = words[:-1]
    raise SystemExit(f"{tool} knows nothing of: {command.line}")


def _flags(text: str) -> list[str]:
    found = set(re.findall(r"(?<![\w-])--(?!\[)[a-z][a-z0-9-]*[a-z0-9]", text))
    for name in re.findall(r"--\[no-\]([a-z0-9-]+)", text):
        found |= {f"--{name}", f"--no-{name}"}
    if (
        "GCLOUD" in text
    ):  # its switches can be said with "no" before them, which the help tells in words only
        found |= {f"--no-{flag[2:]}" for flag in found if flag.startswith("--enable-")}
    return sorted(found)


def _main(programs: dict[str, str]) -> None:
    recorded = {}
    for tool, program in programs.items():
        said = subprocess.run(
            [program, "version"], capture_output=True, text=True, check=True
        ).stdout
        number = re.search(r'(?:SDK |"azure-cli": ")([\d.]+)', said)
        assert number is not None
        there = dict(
            _command(program, tool, command)
            for guide in GUIDES.values()
            for command in commands(guide)
            if command.tool == tool
        )
        recorded[tool] = {
            "version": number[1],
            "commands": {words: _flags(text) for words, text in sorted(there.items())},
        }
    text = json.dumps(recorded, separators=(",", ":"))
    TARGET.write_text(re.sub(r'(?="[^"]+":\["--)', "\n", text) + "\n")


if __name__ == "__main__":
    az = sys.argv[1] if sys.argv[1:] else shutil.which("az")
    gcloud = shutil.which("gcloud")
    if az is None or gcloud is None:
        raise SystemExit("gcloud and az must both be there")
    _main({"gcloud": gcloud, "az": az})
