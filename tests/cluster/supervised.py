"""Programs the tests start: each ends with the test process, however that ends, and keeps its output in a file."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

# The kernel's "tell me when my parent dies" watches the thread that forked, so one that lives as long as the process
# starts everything.
_STARTER = ThreadPoolExecutor(1, thread_name_prefix="starter")


def dying_with_us(*command: str | Path) -> list[str | Path]:
    """`command`, to be killed by the kernel when the thread that starts it ends. Its process id stays its own."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.fail("setpriv is not on PATH: install util-linux")
    return [setpriv, "--pdeathsig", "KILL", "--", *command]


class Supervised:
    """One program, running from construction until `stop`. Its output goes to `log`, after what is there."""

    def __init__(
        self,
        command: Sequence[str | Path],
        log: Path,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        self.name = Path(command[0]).name
        self.log = log

        def start() -> subprocess.Popen[bytes]:
            with log.open("ab") as output:
                return subprocess.Popen(
                    dying_with_us(*command),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=os.environ if environment is None else environment,
                    cwd=folder,
                    start_new_session=True,  # Ctrl-C is for pytest, which then stops this in order
                )

        self._process = _STARTER.submit(start).result()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs. Minus the signal's number if one ended it."""
        return self._process.poll()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it still runs."""
        self._process.send_signal(number)

    def wait(self, seconds: float = 60.0) -> int:
        """Wait for its end and return the exit code."""
        return self._process.wait(seconds)

    def stop(self, grace_seconds: float = 20.0) -> int:
        """SIGTERM, then SIGKILL once `grace_seconds` are over; returns when it has gone."""
        self._process.terminate()
        try:
            return self._process.wait(grace_seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def tail(self, lines: int = 30) -> str:
        """The last lines of its output."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def until(self, condition: Callable[[], bool], what: str, seconds: float = 120.0) -> None:
        """Wait until `condition`; fail the test with the log's tail if the program ends or the time is over."""
        deadline = time.monotonic() + seconds
        while not condition():
            if self.exit_code is not None:
                pytest.fail(f"{self.name} ended with {self.exit_code}:\n{self.tail()}")
            if time.monotonic() > deadline:
                pytest.fail(f"{self.name}: not {what} within {seconds:g} s:\n{self.tail()}")
            time.sleep(0.05)
