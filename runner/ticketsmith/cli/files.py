"""Read an experiment file: YAML (or JSON), one document, no key twice. Each refusal is one sentence."""

import errno
import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from ticketsmith.experiment.load import parse_experiment
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.experiment.spec import PruningExperiment

_UNREADABLE = {
    errno.ENOENT: "there is no such file; name an experiment file, or make one with `ticketsmith init`",
    errno.EISDIR: "this is a folder; name the experiment file in it",
    errno.EACCES: "permission to read it is denied; change its permissions",
}
LARGEST = 1 << 20
"""Bytes: what an API server takes too; a file beyond it is not an experiment."""


def read_experiment(file: Path) -> tuple[PruningExperiment, str]:
    """The experiment in `file`, and the text as it stands there. BadSpec begins with the file's name."""
    try:
        with file.open("rb") as stream:
            content = stream.read(LARGEST + 1)
    except OSError as error:
        reason = _UNREADABLE.get(error.errno or 0, f"{error.strerror}; name a readable file")
        raise BadSpec(f"{file}: {reason}") from error
    if len(content) > LARGEST:
        raise BadSpec(f"{file}: it is larger than {LARGEST} bytes, so it is no experiment file")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise BadSpec(f"{file}: byte {error.start} is not UTF-8 text; save it as UTF-8") from error
    try:
        return parse_experiment(read_yaml(text)), text
    except BadSpec as problem:
        raise BadSpec(f"{file}: {problem}") from problem


def read_yaml(text: str) -> Any:
    """One YAML document as plain values; BadSpec for anything else."""
    try:
        documents = list(yaml.load_all(text, Loader=_StrictLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise BadSpec(f"{where}{error.problem or 'this is not YAML'}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadSpec(f"this is not YAML ({str(error).splitlines()[0]})") from error
    documents = [document for document in documents if document is not None]
    if not documents:
        raise BadSpec("the file is empty; `ticketsmith init` writes one to begin from")
    if len(documents) > 1:
        raise BadSpec(f"it holds {len(documents)} documents; keep one experiment in a file")
    return documents[0]


class _StrictLoader(yaml.SafeLoader):
    """Plain values only; of a key that stands twice, YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        problem=f"the key {key.value!r} stands twice; remove one of them",
                        problem_mark=key.start_mark,
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


# YAML 1.1 takes 1e-3 for a text, `no` for false and 2026-01-02 for a date. People, and clusters, read YAML 1.2.
_OTHERWISE = {"tag:yaml.org,2002:float", "tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp"}
_StrictLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _OTHERWISE]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+.0123456789"),
)
