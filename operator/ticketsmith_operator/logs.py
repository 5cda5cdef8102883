"""What the operator logs: a JSON document a line on stderr, or plain text for a person at a terminal.

Only the fields named here are ever written, so nothing a caller or a library attaches to a record (a resource, its
environment variables) can end in a log by accident.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final, Literal

FIELDS: Final = ("namespace", "experiment", "round", "attempt", "port")
"""What may be attached to a record by `extra={...}`."""
_CHATTER: Final = ("kopf", "aiohttp", "asyncio", "kubernetes")
"""Libraries that are heard from warnings on."""


class JsonFormatter(logging.Formatter):
    """One record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Time, level, logger and message; then what is attached; then the exception, if there is one."""
        document: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_attached(record),
        }
        if record.exc_info:
            document["exception"] = self.formatException(record.exc_info)
        return json.dumps(document, ensure_ascii=False, default=str)


class PlainFormatter(logging.Formatter):
    """One record as a line of text, with its traceback below."""

    def format(self, record: logging.LogRecord) -> str:
        """As `JsonFormatter.format`, for eyes."""
        attached = "".join(f" {name}={value}" for name, value in _attached(record).items())
        line = (
            f"{_time(record)} {record.levelname:<7} {record.name}: {record.getMessage()}{attached}"
        )
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def set_up(
    form: Literal["json", "plain"], level: Literal["debug", "info", "warning", "error"]
) -> None:
    """Send every record from `level` on to stderr, in place of whatever was set up before."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else PlainFormatter())
    least = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(level=least, handlers=[handler], force=True)
    logging.captureWarnings(True)
    for library in _CHATTER:
        logging.getLogger(library).setLevel(max(least, logging.WARNING))


def _time(record: logging.LogRecord) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _attached(record: logging.LogRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
