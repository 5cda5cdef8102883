"""The operator's port: /metrics for Prometheus, /healthz and /readyz for the kubelet."""

import logging
import time
from collections.abc import Callable

from aiohttp import hdrs, web

from ticketsmith_operator.metrics.page import Page
from ticketsmith_operator.settings import Settings

_LOG = logging.getLogger(__name__)
PATIENCE = 3
"""Resyncs that may be missed before the operator counts as stalled."""
_LARGE = 64 * 1024
"""Bytes above which a page is compressed in another thread."""


class Health:
    """What the operator knows of its own health. `now` is a clock that never goes back, in seconds."""

    def __init__(self, resync_seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self._patience = PATIENCE * resync_seconds
        self._now = now
        self._resynced_at = now()
        self._has_listed = False
        self._alive: dict[str, Callable[[], bool]] = {}

    def listed(self) -> None:
        """Everything was listed once: decisions are made on the whole picture."""
        self._has_listed = True

    def resynced(self) -> None:
        """A list of everything was finished just now."""
        self._resynced_at = self._now()

    def watch(self, part: str, is_alive: Callable[[], bool]) -> None:
        """Count `part`, e.g. "worker-3", as a part without which the operator is not healthy."""
        self._alive[part] = is_alive

    def why_not_ready(self) -> str | None:
        """One sentence; None if the operator is ready."""
        return None if self._has_listed else "The first list of everything is not finished yet."

    def why_not_alive(self) -> str | None:
        """One sentence; None if the operator is alive. A fresh start has as long as any resync."""
        dead = [part for part, is_alive in self._alive.items() if not is_alive()]
        if dead:
            return f"{', '.join(dead)} ended: a restart sets it going again."
        age = self._now() - self._resynced_at
        if age < self._patience:
            return None
        return f"No resync was finished for {age:.0f} s, more than {self._patience:.0f} s: it has stalled."


def application(page: Page, health: Health) -> web.Application:
    """The three pages."""

    async def metrics(request: web.Request) -> web.Response:
        text, content_type = await page.render(",".join(request.headers.getall(hdrs.ACCEPT, ())))
        headers = {hdrs.CONTENT_TYPE: content_type, hdrs.VARY: "Accept, Accept-Encoding"}
        response = web.Response(body=text, headers=headers, zlib_executor_size=_LARGE)
        response.enable_compression()
        return response

    async def healthz(_: web.Request) -> web.Response:
        return _verdict(health.why_not_alive())

    async def readyz(_: web.Request) -> web.Response:
        return _verdict(health.why_not_ready())

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    return app


async def serve(settings: Settings, page: Page, health: Health) -> web.AppRunner:
    """Serve until the runner's `cleanup()`; logs "serving" with the port. OSError if the address is taken."""
    runner = web.AppRunner(application(page, health), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.bind, settings.port).start()
    except OSError:
        await runner.cleanup()
        raise
    _LOG.info("serving", extra={"port": runner.addresses[0][1]})
    return runner


def _verdict(why_not: str | None) -> web.Response:
    return web.Response(status=200 if why_not is None else 503, text=(why_not or "ok") + "\n")
