"""Calls to the API server that are cancelled: by their task's owner, or by somebody else."""

import asyncio
from typing import Any

import pytest
from kubernetes.aio.client import Configuration

from ticketsmith_operator.kube.base import JOBS, KubeError
from ticketsmith_operator.kube.client import ApiKube


def test_a_cancelled_helper_of_a_call_is_no_end_of_the_task(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def cut_off(*_: Any, **__: Any) -> None:
        helper = asyncio.create_task(asyncio.sleep(60))
        asyncio.get_running_loop().call_soon(helper.cancel)
        await helper

    async def scene() -> None:
        kube = ApiKube(Configuration(host="http://127.0.0.1:1"))
        monkeypatch.setattr(kube._api.rest_client, "request", cut_off)
        with pytest.raises(KubeError, match="cut off"):
            await kube.get(JOBS, "ns", "one")
        await kube.close()

    asyncio.run(scene())


def test_a_cancelled_task_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: Any, **__: Any) -> None:
        await asyncio.sleep(60)

    async def scene() -> None:
        kube = ApiKube(Configuration(host="http://127.0.0.1:1"))
        monkeypatch.setattr(kube._api.rest_client, "request", never)
        call = asyncio.create_task(kube.get(JOBS, "ns", "one"))
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await kube.close()

    asyncio.run(scene())
