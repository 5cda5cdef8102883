"""Watching that breaks off begins anew in the same process: kopf must leave that process alone."""

import asyncio
import signal
from typing import Any

import kopf
import pytest

from ticketsmith_operator.handlers import kopf_settings


def test_no_kill_is_left_behind_for_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever `kopf.operator` ends, however it ends, kopf arms a SIGKILL that only the end of the loop disarms."""
    killed: list[Any] = []
    monkeypatch.setattr(signal, "pthread_kill", lambda *given: killed.append(given))

    async def breaks_off(settings: kopf.OperatorSettings) -> None:
        # Nobody asks kopf's own tasks what became of them, which asyncio would tell of later, among other tests.
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        with pytest.raises(kopf.LoginError):
            await kopf.operator(
                registry=kopf.OperatorRegistry(), settings=settings, clusterwide=True
            )
        await asyncio.sleep(0.2)

    armed = kopf.OperatorSettings()
    armed.process.ultimate_exiting_timeout = 0.05
    asyncio.run(breaks_off(armed))
    assert killed, "this kopf arms none any more: the setting can go"
    killed.clear()
    asyncio.run(breaks_off(kopf_settings()))
    assert kopf_settings().process.ultimate_exiting_timeout is None
    assert not killed
