"""Signs of life on core subjects: not stored, and lost while nobody listens."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from engine.messaging import subjects
from engine.messaging.link import Delivery, Link, UnansweredError

__all__ = ["CoreHeartbeats"]


class CoreHeartbeats:
    """Heartbeats over `engine.heartbeat.<worker>`, or whatever subject a name has."""

    def __init__(
        self, *, link: Link, subject: Callable[[str], str] = subjects.heartbeat_subject
    ) -> None:
        self._link = link
        self._subject = subject

    async def beat(self, worker: str, payload: bytes) -> None:
        try:
            await self._link.send(self._subject(worker), payload)
        except UnansweredError:
            return  # a heartbeat that cannot be sent is a heartbeat missed

    @asynccontextmanager
    async def listen(self, deliver: Callable[[str, bytes], None]) -> AsyncIterator[None]:
        def heard(delivery: Delivery) -> None:
            deliver(delivery.subject.rpartition(".")[2], delivery.payload)

        await self._link.connected()
        hush = await self._link.subscribe(self._subject("*"), heard)
        try:
            yield
        finally:
            await hush()
