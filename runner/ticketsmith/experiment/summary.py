"""The status as it is written at the end of a call of plan."""

from decimal import Decimal

from ticketsmith.experiment.best import best
from ticketsmith.experiment.book import Book
from ticketsmith.experiment.budget import ignored_limits
from ticketsmith.experiment.clock import rfc3339
from ticketsmith.experiment.conditions import conditions, readiness
from ticketsmith.experiment.endings import Ending
from ticketsmith.experiment.gates import higher_is_better, ranking_metric
from ticketsmith.experiment.ledger import arrange
from ticketsmith.experiment.pareto import pareto
from ticketsmith.experiment.standing import Standing, progress
from ticketsmith.experiment.status import ParetoPoint, Phase, Status, Usage


def summarize(
    book: Book,
    standing: Standing,
    ending: Ending | None,
    before: Status,
    generation: int | None,
    planned: int,
) -> Status:
    """The new status; `planned` counts all steps of the spec."""
    metric = ranking_metric(book.spec.gates)
    phase, reason, message = _phase(book, standing, ending)
    goes_on = ending is None and phase != "Suspended"
    ignored = ignored_limits(book.spec.limits, book.prices)
    accepted = "; ".join([f"{planned} rounds are planned at most", *ignored]) + "."
    chosen = standing.chosen
    is_old = chosen is not None and book.best is not None and book.best.artifact == chosen.key
    front = pareto(standing.tickets, higher_is_better(metric))
    rounds, ledger = arrange(book.rounds, book.finished, before.ledger, metric)
    return Status(
        observed_generation=generation,
        phase=phase,
        reason=reason,
        progress=progress(book, standing),
        conditions=conditions(
            before.conditions,
            book.now,
            generation,
            {
                "Accepted": ("True", "SpecAccepted", accepted),
                "Progressing": ("True" if goes_on else "False", reason, message),
                "Complete": ("True" if phase == "Succeeded" else "False", reason, message),
                **readiness(phase, reason, message),
            },
        ),
        rounds=rounds,
        ledger=ledger,
        best=best(standing.tickets, chosen, len(book.spec.seeds), book.speedup if is_old else None),
        pareto=tuple(
            ParetoPoint(round=t.name, sparsity=t.sparsity, metric=t.metric) for t in front
        ),
        usage=_usage(book),
        started_at=book.started_at,
        active_seconds=book.active_seconds,
        clock_since=book.clock_since,
        finished_at=None if ending is None else rfc3339(book.now),
        message=message,
    )


def _usage(book: Book) -> Usage:
    """What was spent, with the figure that people read."""
    usage = book.usage
    if usage.currency is None:
        return usage.model_copy(update={"spent": None})
    amount = "<0.01" if 0 < usage.cost < Decimal("0.01") else f"{usage.cost:.2f}"
    return usage.model_copy(update={"spent": f"{amount} {usage.currency}"})


def _phase(book: Book, standing: Standing, ending: Ending | None) -> tuple[Phase, str, str]:
    """Phase, reason and message."""
    if ending is not None:
        return ending.phase, ending.reason, ending.message
    if book.spec.suspend:
        return "Suspended", "Suspended", "Suspended: set spec.suspend to false to go on."
    if not book.rounds:
        return "Pending", "Waiting", "No round has found a place yet."
    if standing.cut_by_budget:
        message = "The budget admits no further round; what was won is being finished."
        return "Running", "BudgetReached", message
    running = len(book.running())
    rounds = "round runs" if running == 1 else "rounds run"
    message = f"{running} {rounds}, {progress(book, standing)} are settled."
    return "Running", "RoundsRunning", message
