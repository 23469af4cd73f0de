"""The two brokers that the contract suite runs on, behind one face: clients, and outages."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from engine.clock import SystemClock
from engine.messaging.embedded import EmbeddedServer, embedded_server
from engine.messaging.memory import MemoryBroker, MemoryServer
from engine.messaging.nats import NatsBroker, connect

__all__ = ["Backend", "MemoryBackend", "NatsBackend", "memory_backend", "nats_backend"]


class Backend(Protocol):
    """A broker that can be taken away and brought back."""

    def client(self, name: str = "test") -> AbstractAsyncContextManager[MemoryBroker | NatsBroker]:
        """Return a connection of its own."""
        ...

    async def down(self) -> None:
        """Take the broker away, without a farewell."""
        ...

    async def up(self) -> None:
        """Bring it back with what it had stored."""
        ...


class MemoryBackend:
    """Brokers in this process."""

    def __init__(self) -> None:
        self.server = MemoryServer()

    @asynccontextmanager
    async def client(self, name: str = "test") -> AsyncIterator[MemoryBroker]:
        broker = MemoryBroker(server=self.server, name=name)
        yield broker
        self.server.tell_lost(broker.heartbeats.connection)

    async def down(self) -> None:
        self.server.disconnect()

    async def up(self) -> None:
        self.server.reconnect()


class NatsBackend:
    """A real nats-server, killed with -9 and started again."""

    def __init__(self, server: EmbeddedServer) -> None:
        self.server = server

    @asynccontextmanager
    async def client(self, name: str = "test") -> AsyncIterator[NatsBroker]:
        async with connect(self.server.url, name=name, clock=SystemClock()) as broker:
            yield broker

    async def down(self) -> None:
        await self.server.kill()

    async def up(self) -> None:
        await self.server.start()


@asynccontextmanager
async def memory_backend() -> AsyncIterator[MemoryBackend]:
    """Run a backend in memory."""
    yield MemoryBackend()


@asynccontextmanager
async def nats_backend() -> AsyncIterator[NatsBackend]:
    """Run a backend on a nats-server of its own, with an empty store."""
    async with embedded_server(name="contract") as server:
        yield NatsBackend(server)
