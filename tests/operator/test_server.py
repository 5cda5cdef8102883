"""server: the three pages, and what the kubelet concludes from them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from ticketsmith_operator.metrics.metrics import Metrics
from ticketsmith_operator.metrics.page import Page
from ticketsmith_operator.metrics.seen import Seen
from ticketsmith_operator.server import Health, serve
from ticketsmith_operator.settings import Settings

SETTINGS = Settings(bind="127.0.0.1", port=0)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def page(experiments: int = 0) -> Page:
    registry = CollectorRegistry()
    Metrics(registry)
    return Page(registry, lambda: (Seen("a", f"e{i}", None) for i in range(experiments)))


Ask = Callable[..., Awaitable[tuple[int, str, Mapping[str, str]]]]


def served(health: Health, page: Page, story: Callable[[Ask], Awaitable[None]]) -> None:
    """Serve, and let `story` ask for pages."""

    async def run() -> None:
        runner = await serve(SETTINGS, page, health)
        host, port = runner.addresses[0]

        async def ask(path: str, **headers: str) -> tuple[int, str, Mapping[str, str]]:
            async with session.get(f"http://{host}:{port}{path}", headers=headers) as answer:
                return answer.status, await answer.text(), answer.headers

        try:
            async with aiohttp.ClientSession() as session:
                await story(ask)
        finally:
            await runner.cleanup()

    asyncio.run(run())


def test_it_is_ready_once_everything_was_listed() -> None:
    health = Health(300.0)

    async def story(ask: Ask) -> None:
        status, text, _ = await ask("/readyz")
        assert (status, text.strip()) == (503, "The first list of everything is not finished yet.")
        health.listed()
        assert (await ask("/readyz"))[0] == 200

    served(health, page(), story)


def test_it_is_alive_while_resyncs_are_finished() -> None:
    clock = Clock()
    health = Health(10.0, clock)

    async def story(ask: Ask) -> None:
        assert (await ask("/healthz"))[0] == 200
        clock.now += 29.0
        health.resynced()
        clock.now += 29.9
        assert (await ask("/healthz"))[0] == 200
        clock.now += 0.2
        status, text, _ = await ask("/healthz")
        assert status == 503
        assert text.strip() == "No resync was finished for 30 s, more than 30 s: it has stalled."
        health.resynced()
        assert (await ask("/healthz"))[0] == 200

    served(health, page(), story)


def test_a_start_that_never_lists_is_not_alive_for_ever() -> None:
    clock = Clock()
    health = Health(10.0, clock)
    assert health.why_not_alive() is None
    clock.now += 31.0
    assert health.why_not_alive() is not None


def test_it_is_not_alive_without_its_parts() -> None:
    health = Health(300.0)
    alive = {"controller": True, "watch": True}
    for part in alive:
        health.watch(part, lambda part=part: alive[part])  # type: ignore[misc]
    assert health.why_not_alive() is None
    alive["watch"] = False
    assert health.why_not_alive() == "watch ended: a restart sets it going again."


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain; version=0.0.4"),
        ("*/*", "text/plain; version=0.0.4"),
        (
            "application/openmetrics-text;version=1.0.0,text/plain;q=0.5",
            "application/openmetrics-text",
        ),
    ],
)
@pytest.mark.parametrize("experiments", [0, 2000])
def test_metrics_come_in_the_format_that_is_asked_for(
    accept: str, content_type: str, experiments: int
) -> None:
    async def story(ask: Ask) -> None:
        status, text, headers = await ask("/metrics", Accept=accept)
        assert status == 200
        assert headers["Content-Type"].startswith(content_type)
        assert headers["Content-Encoding"] in {"gzip", "deflate"}
        pending = 'ticketsmith_experiments{namespace="a",phase="Pending"}'
        assert (f"{pending} {experiments}.0\n" in text) == bool(experiments)
        assert text.endswith("# EOF\n") == ("openmetrics" in content_type)
        assert "_created" not in text

    served(Health(300.0), page(experiments), story)


def test_there_are_no_other_pages() -> None:
    async def story(ask: Ask) -> None:
        assert (await ask("/"))[0] == 404
        assert (await ask("/metrics/x"))[0] == 404

    served(Health(300.0), page(), story)


def test_the_port_is_logged_so_that_a_free_one_can_be_found(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story(ask: Ask) -> None:
        assert (await ask("/readyz"))[0] == 503

    with caplog.at_level(logging.INFO):
        served(Health(300.0), page(), story)
    [record] = [r for r in caplog.records if r.message == "serving"]
    assert vars(record)["port"] > 0


def test_an_address_that_is_taken_is_told() -> None:
    async def run() -> None:
        runner = await serve(SETTINGS, page(), Health(300.0))
        taken = SETTINGS.model_copy(update={"port": runner.addresses[0][1]})
        try:
            with pytest.raises(OSError, match="in use"):
                await serve(taken, page(), Health(300.0))
        finally:
            await runner.cleanup()

    asyncio.run(run())
