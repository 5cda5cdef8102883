"""What a page shows: its code blocks, the commands in them, and their words as a shell would make them."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


def blocks(language: str, text: str) -> list[str]:
    """The code blocks of that language."""
    return [fence.code for fence in fences(text) if fence.language == language]


class Fence(NamedTuple):
    """A code block of any language."""

    language: str
    code: str
    line: int
    """Of the page, on which its fence stands; from 1."""


def fences(text: str) -> Iterator[Fence]:
    """Every code block, in order."""
    for found in re.finditer(r"^```(\w+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        yield Fence(found[1], found[2], text[: found.start()].count("\n") + 1)


def commands(text: str, language: str = "sh") -> Iterator[str]:
    """Every command line, without its comment; a backslash at its end continues it."""
    for block in blocks(language, text):
        for line in block.replace("\\\n", " ").splitlines():
            command = line.split("#")[0].strip()
            if command:
                yield command


def expand(line: str, folder: Path) -> list[str]:
    """The words after the first, with the shell's * expanded in that folder."""
    words: list[str] = []
    for word in shlex.split(line)[1:]:
        found = sorted(str(path) for path in folder.glob(word)) if "*" in word else []
        words += found or [word]
    return words
