"""leadership: one acts, the others stand by, and nobody trusts another machine's clock."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest

from ticketsmith_operator.controller.leadership import (
    Acquire,
    Always,
    Leadership,
    Record,
    Renew,
    Wait,
    claim,
    decide,
    look,
)
from ticketsmith_operator.kube.base import (
    AlreadyThere,
    Body,
    Conflict,
    Kube,
    KubeError,
    NotThere,
    Resource,
)

SECONDS = 15.0


class Leases:
    """An API server that keeps one lease. `before` is called before every request and may raise."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.version = 0
        self.before: Callable[[str], None] = lambda verb: None
        self.writes: list[str] = []

    @property
    def holder(self) -> str | None:
        return None if self.lease is None else self.lease["spec"].get("holderIdentity")

    async def get(self, what: Resource, namespace: str, name: str) -> Body:
        self.before("get")
        if self.lease is None:
            raise NotThere("there is no such lease", code=404)
        return {**self.lease, "spec": dict(self.lease["spec"])}

    async def create(self, what: Resource, namespace: str, body: Body) -> Body:
        self.before("create")
        if self.lease is not None:
            raise AlreadyThere("it is there", code=409)
        return self._put("create", body)

    async def replace(
        self, what: Resource, namespace: str, body: Body, *, subresource: str = ""
    ) -> Body:
        self.before("replace")
        if self.lease is None:
            raise NotThere("there is no such lease", code=404)
        if body["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
            raise Conflict("it was changed", code=409)
        return self._put("replace", body)

    def _put(self, verb: str, body: Body) -> Body:
        self.version += 1
        self.writes.append(verb)
        metadata = {**body["metadata"], "resourceVersion": str(self.version)}
        self.lease = {**body, "metadata": metadata}
        return self.lease

    def pages(
        self, what: Resource, namespace: str | None, selector: str = ""
    ) -> AsyncIterator[Body]:
        raise NotImplementedError

    async def patch(self, what: Resource, namespace: str, name: str, patch: Body) -> Body:
        raise NotImplementedError

    async def delete(
        self, what: Resource, namespace: str, name: str, *, uid: str | None = None
    ) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        pass


class Hour:
    """A time that tests move."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def contender(kube: Kube, me: str, clock: Callable[[], float], wall: float = 1.75e9) -> Leadership:
    return Leadership(
        kube, "system", "operator", me, SECONDS, monotonic=clock, wall=lambda: wall + clock()
    )


def spec(holder: str | None, **more: Any) -> Mapping[str, Any]:
    return {"holderIdentity": holder, "leaseDurationSeconds": 15, **more}


@pytest.mark.parametrize(
    ("lease", "now", "step"),
    [
        (None, 0.0, Acquire()),
        (Record({}, 0.0), 0.0, Acquire()),
        (Record(spec(""), 0.0), 1.0, Acquire()),
        (Record(spec("me"), 0.0), 1.0, Renew()),
        (Record(spec("me"), 0.0), 100.0, Renew()),
        (Record(spec("you"), 0.0), 1.0, Wait(14.0)),
        (Record(spec("you"), 0.0), 15.0, Acquire()),
        (Record(spec("you", leaseDurationSeconds=60), 0.0), 15.0, Wait(45.0)),
        (Record({"holderIdentity": "you"}, 0.0), 10.0, Wait(5.0)),
        # Its holder's clock is an hour off, either way: the record alone counts, by our clock.
        (Record(spec("you", renewTime="1999-01-01T00:00:00.000000Z"), 0.0), 1.0, Wait(14.0)),
        (Record(spec("you", renewTime="2999-01-01T00:00:00.000000Z"), 0.0), 15.0, Acquire()),
    ],
)
def test_a_lease_is_taken_when_nobody_holds_it_any_more(
    lease: Record | None, now: float, step: Acquire | Renew | Wait
) -> None:
    assert decide(lease, "me", now, SECONDS) == step


def test_only_a_record_that_changed_counts_as_a_sign_of_life() -> None:
    first = look({"spec": spec("you", renewTime="a")}, None, 10.0)
    assert (
        look({"metadata": {"labels": {}}, "spec": spec("you", renewTime="a")}, first, 20.0) == first
    )
    assert look({"spec": spec("you", renewTime="b")}, first, 20.0).since == 20.0


def test_a_claim_counts_the_changes_of_leader_and_keeps_what_it_does_not_know() -> None:
    first = claim({}, "a", 15.0, 0.0)
    assert first == {
        "holderIdentity": "a",
        "leaseDurationSeconds": 15,
        "acquireTime": "1970-01-01T00:00:00.000000Z",
        "renewTime": "1970-01-01T00:00:00.000000Z",
        "leaseTransitions": 0,
    }
    renewed = claim(first, "a", 15.0, 5.5)
    assert renewed == {**first, "renewTime": "1970-01-01T00:00:05.500000Z"}
    taken = claim({**renewed, "strategy": "x"}, "b", 1.2, 60.0)
    assert taken["leaseTransitions"] == 1
    assert taken["acquireTime"] == "1970-01-01T00:01:00.000000Z"
    assert taken["leaseDurationSeconds"] == 2
    assert taken["strategy"] == "x"


def test_the_first_leads_and_the_second_stands_by_until_the_first_is_silent() -> None:
    async def story() -> None:
        kube, clock = Leases(), Hour()
        one, two = contender(kube, "one", clock), contender(kube, "two", clock)
        assert await one.turn() == pytest.approx(SECONDS / 3)
        assert await two.turn() < SECONDS / 3
        assert (one.leads, two.leads) == (True, False)
        for _ in range(10):  # it renews: the other waits for ever
            clock.now += SECONDS / 3
            await one.turn()
            await two.turn()
            assert (one.leads, two.leads) == (True, False)
        while not two.leads:  # it fell silent
            clock.now += 1.0
            await two.turn()
            assert not (one.leads and two.leads)
        assert kube.holder == "two"
        await one.turn()
        assert (one.leads, two.leads) == (False, True)

    asyncio.run(story())


@pytest.mark.parametrize("skew", [-3600.0, 3600.0])
def test_clocks_that_are_an_hour_apart_change_nothing(skew: float) -> None:
    async def story() -> None:
        kube, clock = Leases(), Hour()
        one, two = contender(kube, "one", clock), contender(kube, "two", clock, 1.75e9 + skew)
        for _ in range(12):
            await one.turn()
            await two.turn()
            clock.now += SECONDS / 3
        assert kube.holder == "one"
        assert kube.lease is not None
        assert kube.lease["spec"]["leaseTransitions"] == 0

    asyncio.run(story())


def test_a_leader_stops_before_another_may_start_though_it_never_gets_to_look() -> None:
    async def story() -> None:
        kube, clock = Leases(), Hour()
        one = contender(kube, "one", clock)
        await one.turn()
        clock.now += SECONDS * 2 / 3 - 0.001
        assert one.leads
        clock.now += 0.002
        assert not one.leads

    asyncio.run(story())


def test_the_time_a_renewal_took_counts_against_the_leader() -> None:
    async def story() -> None:
        kube, clock = Leases(), Hour()
        one = contender(kube, "one", clock)

        def slow(verb: str) -> None:
            clock.now += 2.0

        kube.before = slow
        begun = clock.now
        wait = await one.turn()
        assert clock.now + wait == pytest.approx(begun + SECONDS / 3)
        clock.now = begun + SECONDS * 2 / 3
        assert not one.leads

    asyncio.run(story())


@pytest.mark.parametrize(
    "error", [KubeError("it does not answer"), Conflict("changed", code=409), TimeoutError()]
)
def test_a_leader_that_cannot_renew_tries_again_soon_and_leads_on_while_it_may(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        kube, clock = Leases(), Hour()
        one = contender(kube, "one", clock)
        await one.turn()

        def refuse(verb: str) -> None:
            if verb == "replace":
                raise error

        kube.before = refuse
        clock.now += SECONDS / 3
        assert await one.turn() < SECONDS / 3
        assert one.leads
        clock.now += SECONDS / 3
        await one.turn()
        assert not one.leads
        kube.before = lambda verb: None
        await one.turn()
        assert one.leads

    asyncio.run(story())
    assert re.search(r"the lease operator was not had: \w+", caplog.text)


def test_of_two_that_find_no_lease_one_leads() -> None:
    async def story() -> None:
        kube, clock = Leases(), Hour()
        all_of_them = [contender(kube, str(number), clock) for number in range(3)]
        barrier = asyncio.Barrier(3)
        get = kube.get

        async def together(what: Resource, namespace: str, name: str) -> Body:
            try:
                return await get(what, namespace, name)
            finally:
                await barrier.wait()

        kube.get = together  # type: ignore[method-assign]
        await asyncio.gather(*(one.turn() for one in all_of_them))
        assert sum(one.leads for one in all_of_them) == 1
        assert kube.writes == ["create"]
        # The same for a lease that has expired.
        clock.now += 2 * SECONDS
        late = [contender(kube, f"late-{number}", clock) for number in range(3)]
        await asyncio.gather(*(one.turn() for one in late))
        assert not any(one.leads for one in late)
        clock.now += SECONDS
        await asyncio.gather(*(one.turn() for one in late))
        assert sum(one.leads for one in late) == 1
        assert kube.writes == ["create", "replace"]

    asyncio.run(story())


def test_waiting_ends_with_leading() -> None:
    async def story() -> None:
        kube, clock = Leases(), Hour()
        one = contender(kube, "one", clock)
        waiting = asyncio.create_task(one.wait_to_lead())
        await asyncio.sleep(0)
        assert not waiting.done()
        await one.turn()
        await waiting
        clock.now += SECONDS
        again = asyncio.create_task(one.wait_to_lead())
        await asyncio.sleep(0)
        assert not again.done()
        await one.turn()
        await again
        await Always().wait_to_lead()
        assert Always().leads

    asyncio.run(story())


def test_a_clean_end_gives_the_lease_up_and_the_next_need_not_wait() -> None:
    async def story() -> None:
        kube, clock = Leases(), Hour()
        one, two = contender(kube, "one", clock), contender(kube, "two", clock)
        running = asyncio.create_task(one.run())
        await one.wait_to_lead()
        await two.turn()
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        assert not one.leads
        assert kube.holder == ""
        await two.turn()
        assert two.leads

    asyncio.run(story())


def test_one_that_stands_by_leaves_the_lease_alone_when_it_ends() -> None:
    async def story() -> None:
        kube, clock = Leases(), Hour()
        one, two = contender(kube, "one", clock), contender(kube, "two", clock)
        await one.turn()
        running = asyncio.create_task(two.run())
        await asyncio.sleep(0)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        assert kube.holder == "one"
        assert kube.writes == ["create"]

    asyncio.run(story())
