"""Processes that start in milliseconds: forked from a server that has already imported what a round needs.

A child never outlives its driver: it watches the driver's sentinel and ends itself, so that even `kill -9` of the
driver leaves nothing running behind.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import ParamSpec, TypeVar, cast

from ticketsmith.experiment.problems import Problem

PRELOAD = ["ticketsmith.engine.carry_out", "ticketsmith.benchmark.carry_out", "ticketsmith.round"]
"""What every child needs. Importing it takes seconds (torch), so the server does it once; the driver never."""

P = ParamSpec("P")
R = TypeVar("R")


def context() -> ForkServerContext:
    """The start method of all children; its server starts with the first of them."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(PRELOAD)
    return found


def spawn(target: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> ForkServerProcess:
    """Start `target` in a child that ends with this process. To be called from the main thread."""
    _start_server()
    process = context().Process(target=_child, args=(target, args, kwargs), daemon=True)
    process.start()
    return process


def _start_server() -> None:
    """Start the server, if it does not run yet, deaf to Ctrl-C: while it imports, it would die of it aloud."""
    context()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGINT, before)


def call(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run `function` in a child and return what it returns. A Problem it raises is raised here."""
    receive, send = context().Pipe(duplex=False)
    process = spawn(_answer, send, function, args, kwargs)
    send.close()
    try:
        succeeded, value = receive.recv()
    except EOFError:
        process.join()
        raise RuntimeError(
            f"{function.__name__} ended with exit code {process.exitcode} instead of an answer"
        ) from None
    process.join()
    if not succeeded:
        raise cast("Problem", value)
    return cast("R", value)


def send_output_to(log: Path) -> None:
    """Have everything this process prints from now on, by whatever library, go to the end of `log`."""
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)


def _child(
    target: Callable[..., object], args: tuple[object, ...], kwargs: dict[str, object]
) -> None:
    # Ctrl-C goes to the terminal's foreground group; what it means for a round, the driver decides.
    os.setpgid(0, 0)
    driver = multiprocessing.parent_process()
    if driver is not None:
        threading.Thread(target=_end_with, args=(driver.sentinel,), daemon=True).start()
    target(*args, **kwargs)


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


def _answer(
    send: Connection,
    function: Callable[..., object],
    args: tuple[object, ...],
    kwargs: dict[str, object],
) -> None:
    try:
        send.send((True, function(*args, **kwargs)))
    except Problem as problem:
        send.send((False, problem))
