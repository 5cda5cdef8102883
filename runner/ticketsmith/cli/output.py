"""Where a command writes: people read one stream, programs another."""

import json
from enum import StrEnum
from typing import Any

import yaml
from rich.console import Console


class Form(StrEnum):
    """What -o takes."""

    JSON = "json"
    YAML = "yaml"


def people(form: Form | None) -> Console:
    """The console for people: standard output, unless that is promised to a program."""
    return Console(stderr=form is not None, highlight=False, markup=False, emoji=False)


def write(document: Any, form: Form) -> None:
    """The document on standard output, whole and alone."""
    if form is Form.JSON:
        print(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        print(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), end="")


def say(console: Console, *lines: str) -> None:
    """Lines for people, never wrapped or coloured by what they happen to contain."""
    for line in lines:
        console.print(line, soft_wrap=True)
