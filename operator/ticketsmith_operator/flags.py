"""The command line: every setting is a flag, with its description from where it is defined."""

import argparse
from collections.abc import Sequence
from typing import get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from ticketsmith_operator.settings import Settings

_EPILOG = """\
examples:
  python -m ticketsmith_operator                                   the whole cluster, from inside it
  python -m ticketsmith_operator --namespace team-a --namespace team-b
  KUBECONFIG=~/.kube/config python -m ticketsmith_operator --log-format plain

environment: KUBECONFIG (default outside a cluster: ~/.kube/config), POD_NAMESPACE (the operator's own namespace).
"""
_SINGULAR = {"namespaces": "namespace"}
"""Flags that may be given several times, one value each."""


def read_settings(arguments: Sequence[str] | None) -> Settings:
    """The settings that a command line asks for. SystemExit 2 with one sentence if a value is wrong."""
    parser = _parser()
    given = {
        name: value
        for name, value in vars(parser.parse_args(arguments)).items()
        if value is not None
    }
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = str(first["loc"][0])
        parser.error(f"{flag(field)} {first['input']}: {_said(first['msg'])}")


def _said(message: str) -> str:
    """What is wrong; a validator of ours says it in its own sentence."""
    own = message.removeprefix("Value error, ")
    return own if own != message else message.lower()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ticketsmith_operator",
        description="Watch PruningExperiments and carry out their plan, a Job a round.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for name, field in Settings.model_fields.items():
        _add(parser, name, field)
    return parser


def _add(parser: argparse.ArgumentParser, name: str, field: FieldInfo) -> None:
    told = (field.description or "").replace("%", "%%")
    default = f" (default: {field.default})" if field.default not in ((), None, False) else ""
    text = told + default
    if field.annotation is bool:
        action = argparse.BooleanOptionalAction
        parser.add_argument(flag(name), dest=name, action=action, default=None, help=text)
    elif get_origin(field.annotation) is tuple:
        parser.add_argument(flag(name), dest=name, action="append", metavar="NAME", help=text)
    else:
        parser.add_argument(flag(name), dest=name, metavar="VALUE", help=text)


def flag(name: str) -> str:
    """A setting as it is given on the command line."""
    return "--" + _SINGULAR.get(name, name).replace("_", "-")
