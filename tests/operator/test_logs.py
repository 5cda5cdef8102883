"""logs: a document a line, and never more in it than is named."""

import json
import subprocess
import sys
from datetime import datetime
from typing import Any

SET_UP = (
    "import logging; from ticketsmith_operator.logs import set_up; set_up({form!r}, {level!r})\n"
)


def logged(code: str, form: str = "json", level: str = "info") -> list[str]:
    """What a process that runs `code` after set_up leaves on stderr; stdout must stay empty."""
    done = subprocess.run(
        [sys.executable, "-c", SET_UP.format(form=form, level=level) + code],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == ""
    return done.stderr.splitlines()


def documents(code: str, level: str = "info") -> list[dict[str, Any]]:
    return [json.loads(line) for line in logged(code, level=level)]


def test_a_record_is_one_document_with_what_is_attached() -> None:
    [line] = documents(
        "logging.getLogger('a.b').info('%s starts', 'ticket-s0-l01', extra={"
        "'namespace': 'team', 'experiment': 'mnist', 'round': 'ticket-s0-l01', 'attempt': 2})"
    )
    assert datetime.fromisoformat(line.pop("time")).utcoffset() is not None
    assert line == {
        "level": "info",
        "logger": "a.b",
        "message": "ticket-s0-l01 starts",
        "namespace": "team",
        "experiment": "mnist",
        "round": "ticket-s0-l01",
        "attempt": 2,
    }


def test_what_is_not_given_is_left_out_and_what_is_not_named_is_never_written() -> None:
    [line] = documents(
        "logging.warning('odd', extra={'env': {'TOKEN': 's3cret'}, 'spec': 's3cret', 'port': 8080})"
    )
    assert line.keys() == {"time", "level", "logger", "message", "port"}


def test_an_exception_is_one_field_of_the_same_line() -> None:
    [line] = documents(
        "try:\n  raise ValueError('what\\nelse')\nexcept ValueError:\n  logging.exception('a line\\nmore')"
    )
    assert line["message"] == "a line\nmore"
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("ValueError: what\nelse")


def test_a_document_that_cannot_be_read_does_not_end_in_the_log() -> None:
    [line] = documents(
        "from ticketsmith.experiment.placement import EnvSpec\n"
        "try:\n  EnvSpec.model_validate({'name': 'TOKEN', 'value': ['s3cret']})\n"
        "except ValueError:\n  logging.exception('refused')"
    )
    assert "EnvSpec" in line["exception"]
    assert "s3cret" not in line["exception"]


def test_libraries_are_heard_from_warnings_on() -> None:
    lines = documents(
        "for name in ('kopf.objects', 'kopf._core', 'aiohttp.access', 'asyncio', 'ticketsmith_operator.x'):\n"
        "  logging.getLogger(name).info('chatter'); logging.getLogger(name).warning('trouble')"
    )
    heard = [(line["logger"], line["message"]) for line in lines]
    assert [name for name, message in heard if message == "chatter"] == ["ticketsmith_operator.x"]
    assert len([name for name, message in heard if message == "trouble"]) == 5


def test_the_level_holds_for_libraries_too() -> None:
    lines = documents(
        "logging.getLogger('kopf').warning('no'); logging.getLogger('mine').warning('no')\n"
        "logging.getLogger('kopf').error('yes'); logging.getLogger('mine').error('yes')",
        level="error",
    )
    assert [line["message"] for line in lines] == ["yes", "yes"]


def test_python_warnings_are_documents_too() -> None:
    [line] = documents("import warnings; warnings.warn('old ways')")
    assert line["level"] == "warning"
    assert "old ways" in line["message"]


def test_plain_is_a_line_for_eyes() -> None:
    [line] = logged("logging.info('it starts', extra={'round': 'dense-s0'})", form="plain")
    assert line.endswith("INFO    root: it starts round=dense-s0")
