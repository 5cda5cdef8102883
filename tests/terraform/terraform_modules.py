"""What the Terraform examples say, as plain documents: strings without quotes, blocks as lists."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import hcl2

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "terraform"
NAMES = ("aks", "gke")


@dataclass(frozen=True)
class Item:
    """A resource or data source."""

    kind: str
    type: str
    name: str
    body: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.type}.{self.name}"


@dataclass(frozen=True)
class Module:
    """One example."""

    name: str

    @property
    def folder(self) -> Path:
        return FOLDER / self.name

    @cached_property
    def text(self) -> str:
        """All of its code."""
        return "\n".join(file.read_text() for file in sorted(self.folder.glob("*.tf")))

    @cached_property
    def blocks(self) -> dict[str, list[Any]]:
        """Every top-level block by its kind."""
        return _plain(hcl2.loads(self.text))

    @cached_property
    def items(self) -> list[Item]:
        """Its resources and data sources."""
        return [
            Item(kind, type_, name, body)
            for kind in ("resource", "data")
            for block in self.blocks.get(kind, [])
            for type_, named in block.items()
            for name, body in named.items()
        ]

    def resources(self, type_: str) -> list[Item]:
        """Resources of that type; there is at least one."""
        found = [item for item in self.items if (item.kind, item.type) == ("resource", type_)]
        assert found, f"{self.name} has no {type_}"
        return found

    def named(self, kind: str) -> dict[str, dict[str, Any]]:
        """Variables or outputs by their names."""
        return {name: body for block in self.blocks[kind] for name, body in block.items()}


def every(name: str, body: Any) -> Iterator[Any]:
    """Every value of that name, however deep."""
    if isinstance(body, dict):
        for key, value in body.items():
            if key == name:
                yield value
            yield from every(name, value)
    elif isinstance(body, list):
        for value in body:
            yield from every(name, value)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        kept = (pair for pair in value.items() if not re.fullmatch(r"__\w+__", pair[0]))
        return {_plain(key): _plain(inner) for key, inner in kept}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, str) and re.fullmatch(r'".*"', value, re.DOTALL):
        return value[1:-1]
    return value
