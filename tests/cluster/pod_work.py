"""What goes on inside a container: a real process, or the pretence of one."""

import asyncio
import contextlib
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Protocol

from pod_container import Container
from pod_status import End
from supervised import dying_with_us

KILLED = 128 + signal.SIGKILL
LOG_LIMIT = 2048
"""Bytes of a log that stand in for a missing termination message."""
TERMINATED = 128 + signal.SIGTERM


class Work(Protocol):
    """Goes on from when it is made."""

    began: float
    """Unix seconds, taken just before it began."""

    async def wait(self) -> End:
        """How it ended."""
        ...

    async def stop(self, grace_seconds: float) -> End:
        """Ask it to end, kill it once the grace is over, and say how it ended."""
        ...

    async def kill(self) -> None:
        """End it now, and all that it started."""
        ...


class LocalProcess:
    """The container's command, run on this machine. It dies with the thread that made it."""

    def __init__(
        self, began: float, process: asyncio.subprocess.Process, container: Container, log: Path
    ) -> None:
        self.began = began
        self._process = process
        self._container = container
        self._log = log

    @classmethod
    async def begin(cls, container: Container, log: Path) -> "LocalProcess":
        """Start it; FileNotFoundError if there is no such program."""
        program = shutil.which(container.command[0], path=container.environment.get("PATH"))
        if program is None:
            raise FileNotFoundError(
                f'exec: "{container.command[0]}": executable file not found in $PATH'
            )
        began = time.time()
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *dying_with_us(program, *container.command[1:]),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                env=dict(container.environment),
                cwd=container.folder,
                start_new_session=True,
            )
        return cls(began, process, container, log)

    async def wait(self) -> End:
        """How it ended; a signal's number counts from 128, as in a container."""
        code = await self._process.wait()
        self._signal_group(signal.SIGKILL)  # PID 1 of a container takes everything with it
        source = self._container.termination_log
        if code != 0 and self._container.falls_back_to_log and not source.stat().st_size:
            source = self._log
        message = source.read_bytes()[-LOG_LIMIT:] if source is self._log else source.read_bytes()
        return End(code if code >= 0 else 128 - code, message.decode(errors="replace"))

    async def stop(self, grace_seconds: float) -> End:
        """SIGTERM to the command alone, as a container runtime does, SIGKILL to all."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), grace_seconds)
        await self.kill()
        return await self.wait()

    async def kill(self) -> None:
        """SIGKILL."""
        self._signal_group(signal.SIGKILL)
        await self._process.wait()

    def _signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


class Pretence:
    """No process: it ends by itself after some seconds, or never."""

    def __init__(self, end: End, after: float | None, *, stubborn: bool = False) -> None:
        self.began = time.time()
        self._end = end
        self._after = after
        self._stubborn = stubborn

    async def wait(self) -> End:
        """The end it was made with."""
        await asyncio.sleep(3600 * 24 if self._after is None else self._after)
        return self._end

    async def stop(self, grace_seconds: float) -> End:
        """At once, unless it is stubborn."""
        if self._stubborn:
            await asyncio.sleep(grace_seconds)
            return End(KILLED)
        return End(TERMINATED)

    async def kill(self) -> None:
        """There is nothing to kill."""
