"""The tutorial's page, its files, and its commands."""

import os
import re
import subprocess
import sys
from pathlib import Path

import yaml
from shown import blocks, expand

from ticketsmith.experiment.load import parse_experiment

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tutorial.md").read_text()
HERE, _, ON_A_CLUSTER = PAGE.partition("\n## The same file on a cluster\n")
PROGRAM = Path(sys.executable).with_name("ticketsmith")


def ticketsmith(line: str, folder: Path, **environment: str) -> str:
    """Run it as a reader would; what it printed."""
    words = [str(PROGRAM), *expand(line, folder)]
    done = subprocess.run(
        words,
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def write_files(folder: Path) -> None:
    """The YAML blocks, under the names that the text gives them."""
    names = re.findall(r"[Ww]rite `(\w+\.yaml)`", HERE)
    for name, block in zip(names, blocks("yaml", HERE), strict=True):
        parse_experiment(yaml.safe_load(block))
        (folder / name).write_text(block)
