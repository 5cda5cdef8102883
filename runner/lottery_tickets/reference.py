"""The public names as a page, made from their docstrings: python -m lottery_tickets.reference."""

import ast
import importlib
import inspect
import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from types import FunctionType
from typing import Any

import lottery_tickets

_HEAD = """\
<!-- Made by `make docs` from the library's docstrings; do not edit. -->

# The library's names

Every public name of `lottery_tickets`, and what it is in a line. The docstrings say more: arguments, shapes, units,
errors, and the paper with its section. `…` stands for arguments that have defaults. The [tour](../library.md) shows
them at work.
"""

SECTIONS: Mapping[str, tuple[str, ...]] = {
    "Masks": ("masks", "pruning_mask", "enforcing", "modules"),
    "Choosing the weights": ("magnitude_pruning", "prune", "levels", "lamp", "selection"),
    "Scores": ("scores",),
    "Patterns": ("patterns",),
    "Channels": ("channels",),
    "Finding tickets": ("finding", "early_bird"),
    "Judging tickets": ("judging",),
    "Planning memory": ("sizing",),
}
"""Heading -> modules of the library; a name stands where its module does."""


def reference() -> str:
    """The page, in Markdown.

    Raises:
        LookupError: A public name says nothing of itself, or its module belongs to no section.
    """
    rows: dict[str, list[str]] = {heading: [] for heading in SECTIONS}
    for name in lottery_tickets.__all__:
        module = _home(name)
        meaning = _first_sentence(_said(name, module)).replace("|", "\\|")
        path = Path(inspect.getfile(module)).relative_to(Path(lottery_tickets.__file__).parents[2])
        rows[_section(name, module)].append(
            f"| `{name}{_call(getattr(lottery_tickets, name))}` | {meaning} | [{path.name}](../../{path}) |\n"
        )
    tables = [
        f"\n## {heading}\n\n| name | what it is | source |\n| --- | --- | --- |\n{''.join(found)}"
        for heading, found in rows.items()
        if found
    ]
    return _HEAD + "".join(tables)


def _home(name: str) -> Any:
    """The module that defines the name; of an alias of types, the one that the package imports it from."""
    value = getattr(lottery_tickets, name)
    if isinstance(value, FunctionType | type):
        return importlib.import_module(value.__module__)
    for node in ast.walk(ast.parse(inspect.getsource(lottery_tickets))):
        if isinstance(node, ast.ImportFrom) and any(one.name == name for one in node.names):
            return importlib.import_module(str(node.module))
    raise LookupError(f"{name} is no function or class, and is imported from nowhere")


def _said(name: str, module: Any) -> str:
    """Its docstring; of an alias, the string that follows its assignment."""
    value = getattr(lottery_tickets, name)
    found = inspect.getdoc(value) if isinstance(value, FunctionType | type) else None
    if found is None:
        body = ast.parse(inspect.getsource(module)).body
        for node, after in pairwise(body):
            if not isinstance(node, ast.Assign) or ast.unparse(node.targets[0]) != name:
                continue
            if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                found = inspect.cleandoc(str(after.value.value))
    if not found:
        raise LookupError(f"{name} has no docstring")
    return found


def _first_sentence(docstring: str) -> str:
    summary = " ".join(docstring.split("\n\n")[0].split())
    return re.split(r"(?<=\.) (?=[A-Z])", summary)[0]


def _call(value: Any) -> str:
    """Its arguments: those that must be given, and a mark for the others."""
    if not isinstance(value, FunctionType):
        return ""
    parts, optional, keywords = [], False, False
    for parameter in inspect.signature(value).parameters.values():
        if parameter.default is not parameter.empty or parameter.kind is parameter.VAR_KEYWORD:
            optional = True
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not keywords:
            parts.append("*")
            keywords = True
        parts.append(parameter.name)
    return f"({', '.join(parts + ['…'] * optional)})"


def _section(name: str, module: Any) -> str:
    own = module.__name__.split(".")[1]
    for heading, modules in SECTIONS.items():
        if own in modules:
            return heading
    raise LookupError(f"{name} is of {own}, which no section names: add it to SECTIONS")


if __name__ == "__main__":
    print(reference(), end="")
