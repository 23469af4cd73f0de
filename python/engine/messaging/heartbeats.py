"""Signs of life on core subjects: not stored, and lost while nobody listens.

Beside them the server's own word that a connection has ended, where it is granted: a process that
was killed is known to be gone within milliseconds, and not by the heartbeats that do not come.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec

from engine.errors import BrokerError
from engine.messaging import subjects
from engine.messaging.granted import ask
from engine.messaging.link import Delivery, Link, RefusedError, UnansweredError
from engine.messaging.permissions import disconnected

__all__ = ["CoreHeartbeats", "connection_lost"]

# What ends with the process on the other side. Not a server that stops, nor one that has given a
# silent or slow client up: that client is alive, and comes back by itself.
_ENDED = frozenset({"Client Closed", "Read Error", "Write Error"})


class _Server(msgspec.Struct, frozen=True):
    id: str


class _Client(msgspec.Struct, frozen=True):
    id: int


class _Disconnected(msgspec.Struct, frozen=True):
    server: _Server
    client: _Client
    reason: str = ""


_decoder = msgspec.json.Decoder(_Disconnected)


def connection_lost(payload: bytes) -> str:
    """Return the connection that an event of the server is about, "" where nobody need be gone."""
    try:
        event = _decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ""  # another event, or another version's
    return f"{event.server.id}/{event.client.id}" if event.reason in _ENDED else ""


class CoreHeartbeats:
    """Heartbeats over `engine.heartbeat.<worker>`, or whatever subject a name has."""

    def __init__(
        self, *, link: Link, subject: Callable[[str], str] = subjects.heartbeat_subject
    ) -> None:
        self._link = link
        self._subject = subject

    @property
    def connection(self) -> str:
        return self._link.identity

    async def beat(self, worker: str, payload: bytes) -> None:
        try:
            await self._link.send(self._subject(worker), payload)
        except UnansweredError:
            return  # a heartbeat that cannot be sent is a heartbeat missed

    @asynccontextmanager
    async def listen(
        self,
        deliver: Callable[[str, bytes], None],
        *,
        lost: Callable[[str], None] | None = None,
    ) -> AsyncIterator[None]:
        def heard(delivery: Delivery) -> None:
            deliver(delivery.subject.rpartition(".")[2], delivery.payload)

        await self._link.connected()
        async with AsyncExitStack() as stack:
            stack.push_async_callback(await self._link.subscribe(self._subject("*"), heard))
            if lost is not None:
                await self._hear_of_losses(lost, stack)
            yield

    async def _hear_of_losses(self, lost: Callable[[str], None], stack: AsyncExitStack) -> None:
        def heard(delivery: Delivery) -> None:
            if connection := connection_lost(delivery.payload):
                lost(connection)

        try:
            granted = await ask(self._link)
            subject = disconnected(granted.account)
            if granted.may_subscribe(subject):
                stack.push_async_callback(await self._link.subscribe(subject, heard))
        except (UnansweredError, RefusedError, BrokerError):
            return  # a broker that does not tell: silence tells, some time later
