"""Every test of this folder runs on the broker in memory and on a real nats-server."""

from collections.abc import AsyncIterator

import pytest

from engine.messaging.ports import Broker
from support.broker import Backend, memory_backend, nats_backend


@pytest.fixture(params=["memory", "nats"])
async def backend(request: pytest.FixtureRequest) -> AsyncIterator[Backend]:
    if request.param == "memory":
        async with memory_backend() as memory:
            yield memory
    else:
        async with nats_backend() as real:
            yield real


@pytest.fixture
async def broker(backend: Backend) -> AsyncIterator[Broker]:
    async with backend.client() as client:
        yield client
