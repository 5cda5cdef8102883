"""The entry point of a round: reads a RoundSpec, carries it out, writes the Answer, and exits with its code."""

import argparse
import errno
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from ticketsmith.engine.stopping import Interrupted, StopSignals
from ticketsmith.experiment.contract import (
    ROUND_VARIABLE,
    BenchmarkRound,
    ExitCode,
    ReportRound,
    RoundError,
    RoundResult,
    TrainRound,
    read_round,
    write_answer,
)
from ticketsmith.experiment.envelope import unpack
from ticketsmith.experiment.problems import BadSpec, Problem
from ticketsmith.experiment.results import Progress
from ticketsmith.stores import open_store
from ticketsmith.stores.base import Store
from ticketsmith.stores.files import told, write_text

AnyRound = TrainRound | BenchmarkRound | ReportRound
Tell = Callable[[Progress], None]

STORE_VARIABLE = "TICKETSMITH_STORE"
STORE_DEFAULT = "runs/store"
ANSWER_VARIABLE = "TICKETSMITH_ANSWER"
TERMINATION_LOG = Path("/dev/termination-log")
_IN_PLACE = {errno.EBUSY, errno.EXDEV, errno.EACCES, errno.EPERM, errno.EROFS}
EPILOG = f"""\
example:
  python -m ticketsmith.round --spec round.json --store runs/store --answer answer.json

exit codes:
  0    done
  2    the spec is wrong, or what it names is missing: trying again would not help
  3    loss or weights stopped being finite: trying again would not help
  4    does not fit in memory: trying again would not help
  130, 143  stopped by SIGINT or SIGTERM after a checkpoint: start it again to go on
  other     may be tried again

environment: {ROUND_VARIABLE} (the spec as JSON), {STORE_VARIABLE}, {ANSWER_VARIABLE}, TICKETSMITH_DATA,
TICKETSMITH_DEVICE (cpu, cuda), TICKETSMITH_THREADS, TICKETSMITH_CHECKPOINT_SECONDS (default 30, or ten times what
saving takes), TICKETSMITH_LEASE_SECONDS (60) and TICKETSMITH_RETRY_SECONDS (300) of a bucket.
"""


def run_round(
    task: AnyRound, store: Store, progress: Tell, *, debug: bool = False
) -> tuple[int, RoundResult | RoundError]:
    """Carry out `task` and say how its process is to exit. Never raises for a failure of the round.

    While it works, SIGTERM and SIGINT end it after a checkpoint (exit code 143 or 130, to be started again).
    """
    stop = StopSignals()
    try:
        with stop.listening():
            return ExitCode.DONE, _dispatch(task, store, progress, stop)
    except Interrupted as interrupted:
        return _error(interrupted.exit_code, str(interrupted))
    except Problem as problem:
        if debug:
            traceback.print_exc()
        return _error(problem.exit_code, str(problem))
    except Exception as error:
        traceback.print_exc()
        return _error(1, f"{type(error).__name__}: {error}")


def main(arguments: list[str] | None = None) -> int:
    """Run one round as a process does; returns the exit code."""
    options = _parser().parse_args(arguments)
    tell = json_lines(sys.stdout) if options.progress == "json" else plain_lines(sys.stderr)
    try:
        task = _read(options.spec)
        store = open_store(options.store)
        code, answer = run_round(task, store, tell, debug=options.debug)
    except Problem as problem:
        code, answer = _error(problem.exit_code, str(problem))
    if isinstance(answer, RoundError):
        print(answer.message, file=sys.stderr)
    try:
        _deliver(write_answer(answer), options.answer)
    except BadSpec as problem:
        print(problem, file=sys.stderr)
        return code or int(problem.exit_code)
    return code


def plain_lines(stream: IO[str]) -> Tell:
    """Progress as log lines for people."""

    def tell(progress: Progress) -> None:
        parts = [progress.round, progress.doing]
        if progress.iterations:
            parts.append(f"epoch {progress.epoch:.1f}/{progress.epochs:g}")
            parts.append(f"step {progress.iteration}/{progress.iterations}")
        if progress.loss is not None:
            parts.append(f"loss {progress.loss:.4f}")
        if progress.accuracy is not None:
            parts.append(f"validation accuracy {progress.accuracy:.4f}")
        if progress.resumed_at is not None:
            parts.append(f"resumed at step {progress.resumed_at}")
        print("  ".join(parts), file=stream, flush=True)

    return tell


def json_lines(stream: IO[str]) -> Tell:
    """Progress as one JSON document a line, for drivers."""

    def tell(progress: Progress) -> None:
        print(progress.model_dump_json(exclude_none=True), file=stream, flush=True)

    return tell


def _dispatch(task: AnyRound, store: Store, progress: Tell, stop: StopSignals) -> RoundResult:
    # Imported here: a report needs no torch, and training no fonts.
    match task:
        case TrainRound():
            from ticketsmith.engine.carry_out import carry_out as train

            return train(task, store, progress=progress, stop=stop)
        case BenchmarkRound():
            from ticketsmith.benchmark.carry_out import carry_out as benchmark

            return benchmark(task, store, progress=progress)
        case ReportRound():
            from ticketsmith.report.carry_out import carry_out as report

            return report(task, store, progress=progress)


def _read(spec: Path | None) -> AnyRound:
    source = ROUND_VARIABLE if spec is None else str(spec)
    if spec is None:
        try:
            text = unpack(os.environ)
        except ValueError as error:
            raise BadSpec(f"{ROUND_VARIABLE} is damaged: {error}: start the round again") from error
        if not text:
            raise BadSpec(f"there is no round to do: set {ROUND_VARIABLE} or give --spec FILE")
    else:
        with told("read", spec):
            text = spec.read_text(encoding="utf-8")
    try:
        return read_round(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "the document"
        raise BadSpec(f"{source}: {field}: {first['msg']}: correct it and start again") from error


def _deliver(text: str, target: Path | None) -> None:
    """Leave the answer where the driver looks for it; BadSpec if that cannot be written."""
    if target is None:
        print(text)
        return
    with told("write the answer to", target):
        if target.is_file() or not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                write_text(target, text)
            except OSError as error:
                # Kubernetes mounts the termination log: a mount point cannot be renamed over, and its
                # folder takes no other file from a user who is not root.
                if error.errno not in _IN_PLACE:
                    raise
            else:
                return
        target.write_text(text, encoding="utf-8")


def _error(code: int, message: str) -> tuple[int, RoundError]:
    return code, RoundError(exit_code=code, message=message)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ticketsmith.round",
        description="Carry out one round of an experiment and write its answer.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    environ = os.environ
    parser.add_argument(
        "--spec",
        type=Path,
        metavar="FILE",
        help=f"RoundSpec as JSON (default: ${ROUND_VARIABLE})",
    )
    parser.add_argument(
        "--store",
        default=environ.get(STORE_VARIABLE) or STORE_DEFAULT,
        metavar="URI",
        help=f"artifact store (default: ${STORE_VARIABLE}, else {STORE_DEFAULT})",
    )
    parser.add_argument(
        "--answer",
        type=Path,
        default=_answer_file(environ.get(ANSWER_VARIABLE)),
        metavar="FILE",
        help=f"where the answer goes (default: ${ANSWER_VARIABLE}, else {TERMINATION_LOG} if it is"
        " there, else standard output)",
    )
    parser.add_argument(
        "--progress",
        choices=("plain", "json"),
        default="plain",
        help="plain lines on standard error, or a JSON document a line on standard output",
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of every failure")
    return parser


def _answer_file(named: str | None) -> Path | None:
    if named:
        return Path(named)
    return TERMINATION_LOG if TERMINATION_LOG.exists() else None


if __name__ == "__main__":
    sys.exit(main())
