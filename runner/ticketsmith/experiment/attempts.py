"""What becomes of a round when an attempt at it is seen to run, to end, or to run for too long."""

import math

from ticketsmith.experiment.best import measured_speedup, measured_throughput
from ticketsmith.experiment.book import Book
from ticketsmith.experiment.clock import rfc3339, unix
from ticketsmith.experiment.contract import ExitCode, RoundError, RoundResult
from ticketsmith.experiment.decision import Observed, Stop
from ticketsmith.experiment.endings import Ending
from ticketsmith.experiment.gates import ends_branch, judge
from ticketsmith.experiment.status import RoundStatus
from ticketsmith.experiment.steps import BENCHMARK, round_name

_WORDS = 300
"""Characters kept of an attempt's last words."""


def observe(book: Book, seen: Observed) -> Ending | None:
    """Enter one observation into the book; the ending, if it ends the experiment.

    Whatever speaks of another attempt than the latest, or of a settled round, is old news and changes nothing, but
    for an earlier attempt that is still there: it is to go before the next one starts.
    """
    known = book.rounds.get(seen.name)
    if known is None or known.state not in {"Running", "Waiting"}:
        return None
    is_there = seen.state in {"queued", "running"}
    if not is_there:
        book.lingering.discard((seen.name, seen.attempt))
    if seen.attempt != known.attempts:
        if is_there and seen.attempt < known.attempts:
            book.lingering.add((seen.name, seen.attempt))
        return None
    if is_there:
        _is_there(book, known, seen)
        return None
    result = _result(known, seen)
    if known.state == "Waiting":
        # Its attempt was stopped and charged. It may have ended well just before; else nothing is new.
        return _is_done(book, known, result, 0.0) if result is not None else None
    if known.started_at is None and seen.started_at is not None:
        book.begin(seen.started_at)
    seconds = _seconds(book, known, seen)
    if result is not None:
        return _is_done(book, known, result, seconds)
    if seen.state == "interrupted":
        book.end_attempt(known.name, seconds, state="Waiting")
        book.tell(
            "RoundInterrupted",
            f"{known.name} was interrupted and will be started again",
            known.name,
        )
        return None
    return _has_failed(book, known, seconds, _last_words(seen), _exit_code(seen))


def enforce_round_deadline(book: Book, known: RoundStatus) -> Ending | None:
    """Stop the running attempt if it has had its time; the ending, if that was its last attempt."""
    limit = book.spec.limits.round_deadline_seconds
    seconds = book.elapsed(known)
    if limit is None or known.started_at is None or seconds < limit:
        return None
    book.stops.append(Stop(known.name, known.attempts, "RoundDeadlineExceeded"))
    book.lingering.add((known.name, known.attempts))
    words = f"it ran longer than limits.roundDeadlineSeconds ({limit})"
    return _has_failed(book, known, seconds, words, None)


def _is_there(book: Book, known: RoundStatus, seen: Observed) -> None:
    if known.state == "Waiting":
        book.lingering.add((known.name, seen.attempt))
    elif seen.state == "queued":
        if known.started_at is not None:  # it had a place and lost it; what it did there is charged
            book.end_attempt(known.name, _seconds(book, known, seen), state="Running")
    elif known.started_at is None and seen.started_at is not None:
        book.begin(seen.started_at)
        book.change(known.name, started_at=rfc3339(seen.started_at))


def _is_done(book: Book, known: RoundStatus, result: RoundResult, seconds: float) -> Ending | None:
    figures = dict(result.metrics)
    if known.name == BENCHMARK and book.best is not None:
        figures |= measured_throughput(result.timings, book.best.artifact)
    metrics = {name: round(value, 12) for name, value in figures.items() if math.isfinite(value)}
    sparsity = None if result.sparsity is None else round(result.sparsity, 9)
    done = book.end_attempt(
        known.name, seconds, state="Done", metrics=metrics, sparsity=sparsity, message=None
    )
    book.finished.append(known.name)
    if known.name == BENCHMARK and book.spec.benchmark is not None and book.best is not None:
        smallest = min(book.spec.benchmark.batch_sizes)
        book.speedup = measured_speedup(result.timings, book.best.artifact, smallest)
    if known.seed is None or not known.level:
        book.tell("RoundDone", f"{known.name} is done{_figures(done)}", known.name)
        return None
    return _judge(book, done)


def _judge(book: Book, done: RoundStatus) -> Ending | None:
    """Hold a ticket or control to the gates; only a ticket's failure has consequences."""
    gates = book.spec.gates
    dense = book.rounds[round_name("dense", done.seed or 0, 0)]
    failures = judge(gates, dense.metrics, done.metrics)
    is_ticket = done.arm == "ticket"
    if gates:
        book.change(
            done.name,
            gate="failed" if failures else "passed",
            ends_branch=is_ticket and ends_branch(failures),
        )
    verdict = "" if not gates else ", which fails the gate" if failures else ", within the gate"
    book.tell("RoundDone", f"{done.name} is done{_figures(done)}{verdict}", done.name)
    if not failures or not is_ticket:
        return None
    message = f"{done.name} fails the gate: {failures[0].message}"
    book.warn("GateFailed", message, done.name)
    if any(failure.gate.on_fail == "fail" for failure in failures):
        return Ending("Failed", "GateFailed", f"{message}; onFail: fail ends the experiment.")
    return None


def _has_failed(
    book: Book, known: RoundStatus, seconds: float, words: str, exit_code: int | None
) -> Ending | None:
    failures = known.failures + 1
    final = exit_code is not None and ExitCode.is_final(exit_code)
    said = words if exit_code is None else f"exit code {exit_code}: {words}"
    if not final and failures <= book.spec.limits.retries:
        book.end_attempt(known.name, seconds, state="Waiting", failures=failures, message=said)
        left = book.spec.limits.retries - failures
        book.warn(
            "RoundRetried",
            f"{known.name} failed and is tried again ({left} more retries are left): {said}",
            known.name,
        )
        return None
    book.end_attempt(known.name, seconds, state="Failed", failures=failures, message=said)
    book.finished.append(known.name)
    tries = f"{known.attempts} attempt{'s' if known.attempts > 1 else ''}"
    message = f"{known.name} failed after {tries}: {said}"
    book.warn("RoundFailed", message, known.name)
    if exit_code == ExitCode.BROKEN_NUMBERS and known.arm in {"reinit", "random"}:
        return None  # a control that diverges is an answer, if a negative one
    return Ending("Failed", "RoundFailed", f"{message}.")


def _result(known: RoundStatus, seen: Observed) -> RoundResult | None:
    """The attempt's result, if it is one of this very round."""
    answer = seen.answer
    if seen.state != "done" or not isinstance(answer, RoundResult) or answer.key != known.key:
        return None
    return answer


def _seconds(book: Book, known: RoundStatus, seen: Observed) -> float:
    """Wall-clock time of the attempt; 0 if it never began."""
    begun = unix(known.started_at) if known.started_at else seen.started_at
    ended = book.now if seen.finished_at is None else seen.finished_at
    return 0.0 if begun is None else ended - begun


def _exit_code(seen: Observed) -> int | None:
    if seen.exit_code is not None:
        return seen.exit_code
    return seen.answer.exit_code if isinstance(seen.answer, RoundError) else None


def _last_words(seen: Observed) -> str:
    if seen.state == "done":
        return (
            "it ended without a result of its own (result.json or the answer is missing or foreign)"
        )
    told = seen.answer.message if isinstance(seen.answer, RoundError) else seen.message
    text = told or ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:_WORDS].rstrip(".") if lines else "it left no last words"


def _figures(done: RoundStatus) -> str:
    """What a reader of events wants to see first."""
    accuracy = done.metrics.get("accuracy")
    said = f" with accuracy {accuracy:.4f}" if accuracy is not None else ""
    return said + (f" at sparsity {done.sparsity:.1%}" if done.sparsity is not None else "")
