"""Several calls to the API server at once, every one of them tried."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

from ticketsmith_operator.kube.base import KubeError


async def together(calls: Iterable[Coroutine[Any, Any, object]]) -> list[KubeError]:
    """Wait for all of them; what failed, in their order.

    A call that was cancelled by itself has failed too: when watching breaks off, kopf cancels every task of the loop
    that is younger than the watching, and must not end the worker that waits for one.

    Raises:
        Exception: The first failure that is no KubeError, once all have ended.
    """
    failures = []
    for done in await asyncio.gather(*calls, return_exceptions=True):
        if isinstance(done, asyncio.CancelledError):
            failures.append(KubeError("a call was cut off"))
        elif isinstance(done, KubeError):
            failures.append(done)
        elif isinstance(done, BaseException):
            raise done
    return failures
