"""Tell OpenTelemetry what came to an end. Whatever becomes of that, the operator goes on."""

import logging
from collections.abc import Collection
from typing import Protocol

from ticketsmith.experiment.status import Status
from ticketsmith_operator.metrics.changes import changed, outcome_of
from ticketsmith_operator.tracing.spans import Change, Span, moments, spans

_LOG = logging.getLogger(__name__)


class Exporter(Protocol):
    """Takes spans, at once and without a word."""

    def emit(self, uid: str, span: Span) -> None:
        """Have a span of the experiment with this uid sent some time soon."""
        ...

    def close(self) -> None:
        """Send what waits, if that takes no long; then send no more."""
        ...


class Traces:
    """One trace for each experiment."""

    def __init__(self, exporter: Exporter) -> None:
        self._exporter = exporter
        self._begun: dict[tuple[str, str], float] = {}
        """When the first attempt began of rounds that are to be tried again, by uid and name. May be lost."""

    def decided(self, uid: str, change: Change) -> None:
        """A status was written in place of another."""
        try:
            begun = {name: at for (of, name), at in self._begun.items() if of == uid}
            for span in spans(change, begun):
                self._exporter.emit(uid, span)
            self._remember(uid, change)
        except Exception:
            # Nobody's experiment must wait for the sake of its trace.
            name = change.experiment.metadata.name
            _LOG.exception("a change of %s could not be traced", name)

    def forget(self, uids: Collection[str]) -> None:
        """Drop what was kept for experiments that are not among these."""
        for key in [one for one in self._begun if one[0] not in uids]:
            del self._begun[key]

    def close(self) -> None:
        """Send what waits, if that takes no long."""
        self._exporter.close()

    def _remember(self, uid: str, change: Change) -> None:
        for old, one in changed(change.before or Status(), change.after):
            if one.state in {"Done", "Failed", "Stopped"}:
                self._begun.pop((uid, one.name), None)
            elif outcome_of(old, one, change.after.phase) and (old is None or old.attempts == 1):
                self._begun[uid, one.name] = moments(change, old, one)[0]
