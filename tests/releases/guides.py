"""The cloud guides' commands, word by word, and the files they name."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
GUIDES = {name: ROOT / "docs" / "cloud" / f"{name}.md" for name in ("aks", "gke")}
EXAMPLES = ROOT / "examples" / "cloud"


@dataclass(frozen=True)
class Command:
    """One line of a guide."""

    line: str

    @property
    def words(self) -> list[str]:
        return shlex.split(self.line)

    @property
    def tool(self) -> str:
        return self.words[0]

    @property
    def path(self) -> list[str]:
        """What comes before the first flag: the command, and whatever it is told without a flag."""
        rest = self.words[1:]
        first = next((i for i, word in enumerate(rest) if word.startswith("-")), len(rest))
        return rest[:first]

    @property
    def flags(self) -> set[str]:
        """The flags of the line, and those of the flags files that it names."""
        named = {word.partition("=")[0] for word in self.words if word.startswith("--")}
        for file in re.findall(r"--flags-file=(\S+)", self.line):
            named |= set(flags_of(ROOT / file))
        return named


def commands(guide: Path) -> Iterator[Command]:
    """Every command in the guide's shell blocks."""
    for block in re.findall(r"^```sh\n(.*?)^```", guide.read_text(), re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if line.strip():
                yield Command(line)


def flags_of(file: Path) -> dict[str, object]:
    """What a flags file of gcloud sets; one that sets a flag more than once is a list."""
    told = yaml.safe_load(file.read_text())
    merged: dict[str, object] = {}
    for part in told if isinstance(told, list) else [told]:
        merged |= part
    return merged
