"""Signals that ask a run to stop, as something one can wait for."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupt:
    """Counts the signals that came while `listening`; `sign` is readable when one came."""

    def __init__(self) -> None:
        self.sign, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.received: list[signal.Signals] = []

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals inside. A signal that was ignored before (nohup) stays ignored."""
        before = {
            number: signal.signal(number, self._heard)
            for number in _SIGNALS
            if signal.getsignal(number) is not signal.SIG_IGN
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def clear(self) -> None:
        """Take what `sign` announced; `received` keeps it."""
        try:
            os.read(self.sign, 512)
        except BlockingIOError:
            return

    @property
    def exit_code(self) -> int:
        """As shells count: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + self.received[0]

    def _heard(self, number: int, frame: FrameType | None) -> None:
        del frame
        self.received.append(signal.Signals(number))
        os.write(self._write, b"!")
