"""Stop signals: honoured between two steps of training, after a checkpoint, and at once anywhere else."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interrupted(BaseException):
    """The process was told to stop. Its round is unfinished and may be started again."""

    def __init__(self, number: int, step: int | None = None) -> None:
        self.number = number
        where = "before training" if step is None else f"at step {step}, which is kept"
        super().__init__(
            f"stopped by {signal.Signals(number).name} {where}; start it again to go on"
        )

    @property
    def exit_code(self) -> int:
        """As shells count: 143 for SIGTERM, 130 for SIGINT."""
        return 128 + self.number


class StopSignals:
    """Listens for SIGTERM and SIGINT while used as a context manager in the main thread."""

    def __init__(self) -> None:
        self.noted: int | None = None
        """The signal that came while `deferred`."""
        self._deferred = False

    @contextmanager
    def listening(self) -> Iterator["StopSignals"]:
        """Handle the signals inside; the handlers that were there before come back at the end."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before = {number: signal.signal(number, self._heard) for number in SIGNALS}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Inside, a signal is only noted: the training loop looks at `noted` between two steps."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False

    def _heard(self, number: int, frame: FrameType | None) -> None:
        del frame
        if not self._deferred:
            raise Interrupted(number)
        self.noted = number
