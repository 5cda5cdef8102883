"""News: what may wait for company, and for how long."""

from ticketsmith.experiment.decision import Event
from ticketsmith_operator.controller.news import PATIENCE_SECONDS, News

STARTED = Event("Normal", "RoundStarted", "b starts")
DONE = Event("Normal", "RoundDone", "a is done")
NOW = 1_750_000_000.0


def news(*events: Event) -> News:
    """What waits one second after something was told."""
    return News(told_at=NOW - 1, waiting=list(events))


def test_the_first_news_is_told_at_once() -> None:
    assert News(waiting=[STARTED]).due(NOW) == 0.0
    assert News().due(NOW) is None


def test_rounds_that_come_and_go_wait_for_company() -> None:
    fresh = news(DONE, STARTED)
    assert fresh.due(NOW) == PATIENCE_SECONDS - 1
    assert fresh.due(NOW + PATIENCE_SECONDS) == 0.0


def test_whatever_else_happens_is_told_at_once_with_what_waited() -> None:
    fresh = news(DONE, Event("Warning", "GateFailed", "a fails the gate"))
    assert fresh.due(NOW) == 0.0
    assert [event.reason for event in fresh.take(NOW)] == ["RoundDone", "GateFailed"]
    assert fresh.due(NOW) is None


def test_a_full_event_does_not_wait() -> None:
    assert news(*[DONE] * 100).due(NOW) == 0.0


def test_the_time_counts_from_what_was_last_told() -> None:
    fresh = news(DONE)
    fresh.take(NOW)
    fresh.waiting.append(STARTED)
    assert fresh.due(NOW) == PATIENCE_SECONDS
