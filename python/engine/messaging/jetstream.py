"""One JetStream stream as a `Log`: compare-and-swap, direct gets, scans and followers."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from engine.clock import Clock
from engine.errors import BrokerError
from engine.messaging import wire
from engine.messaging.background import beside
from engine.messaging.commit import MovedOnError, Newest, commit
from engine.messaging.link import Delivery, Link, RefusedError, UnansweredError
from engine.messaging.logs import Bury, partition_token
from engine.messaging.ports import Deliver, Follower, Message
from engine.messaging.reader import BATCH, PATIENCE_S, Reader

__all__ = ["JetStreamLog"]

_T = TypeVar("_T")

READ_S = 5.0  # how long a read waits for a broker that is away
SCAN_S = 2 * PATIENCE_S  # and a scan for the next message: its reader may need another consumer


class JetStreamLog:
    """A stream of the broker."""

    def __init__(self, *, link: Link, clock: Clock, stream: str, bury: Bury) -> None:
        self._link = link
        self._clock = clock
        self._stream = stream
        self._bury = bury

    @property
    def writer(self) -> str:
        return self._link.writer

    async def store(self, subject: str, payload: bytes, *, expected: int) -> int:
        """Store over sequence `expected`; see `commit.CasLog`."""
        headers = {wire.EXPECTED_SEQUENCE: str(expected), wire.WRITER: self._link.writer}
        ack = wire.puback(await self._link.request(subject, payload, headers=headers))
        if ack.error is None:
            return ack.seq
        if ack.error.err_code == wire.WRONG_SEQUENCE:
            raise MovedOnError(subject, expected)
        if wire.is_transient(ack.error):
            raise UnansweredError(f"{subject}: {ack.error.description} ({ack.error.err_code})")
        raise RefusedError(subject, ack.error.err_code, ack.error.description)

    async def newest(self, subject: str) -> Newest | None:
        """Return the newest message as the stream's leader knows it: never an older one."""
        request = b'{"last_by_subj":"%s"}' % subject.encode()
        delivery = await self._link.request(f"$JS.API.STREAM.MSG.GET.{self._stream}", request)
        try:
            found = wire.answer(subject, delivery, wire.StoredMessage).message
        except RefusedError as error:
            if error.code == wire.MESSAGE_NOT_FOUND:
                return None
            raise
        return Newest(found.seq, found.data, wire.header_of(found.hdrs, wire.WRITER))

    async def commit(self, subject: str, payload: bytes, *, expected: int) -> int:
        """Store over `expected`, however long the broker is away. Raises MovedOnError."""
        return await commit(self, subject, payload, expected=expected, clock=self._clock)

    async def get(self, subject: str) -> Message | None:
        """Return the newest message of a subject, as the stream's leader knows it.

        Not by a direct get, which any replica answers: one that has just been started again has
        none of the stream for a moment, and says that there is no message.

        Raises:
            BrokerError: the broker stayed away for READ_S.
        """
        newest = await self._patiently(lambda: self.newest(subject))
        if newest is None:
            return None
        return Message(partition_token(subject), newest.sequence, newest.payload)

    async def get_sequence(self, sequence: int) -> Message | None:
        """Return the message at a sequence, from any replica. Raises as `get`."""
        request = b'{"seq":%d}' % sequence
        return self._direct(await self._asked(f"$JS.API.DIRECT.GET.{self._stream}", request))

    async def publish(self, subject: str, payload: bytes) -> int:
        """Store a message, come what may before it; a retry may store it twice. Raises as `get`."""
        ack = wire.puback(await self._asked(subject, payload))
        if ack.error is not None:
            raise RefusedError(subject, ack.error.err_code, ack.error.description)
        return ack.seq

    async def scan(
        self,
        filters: Sequence[str],
        *,
        after: int = 0,
        until: int | None = None,
        newest_only: bool = False,
    ) -> AsyncIterator[tuple[int, Delivery]]:
        """Iterate (sequence, delivery) of what is stored now; at most a few batches in memory.

        What is stored is what the leader says: the consumer may be on a replica that lags behind.

        Raises:
            BrokerError: nothing arrived for SCAN_S.
        """
        ready: deque[tuple[int, Delivery]] = deque()
        stirred = asyncio.Event()

        def take(_subject: str, sequence: int, delivery: Delivery) -> None:
            ready.append((sequence, delivery))
            stirred.set()

        reader = Reader(
            link=self._link,
            clock=self._clock,
            stream=self._stream,
            filters=filters,
            after=after,
            deliver=take,
            newest_only=newest_only,
            wants_more=lambda: len(ready) < 4 * BATCH,
        )
        async with beside(reader.run(), name=f"scan {self._stream}"):
            await self._within_patience(reader.opened())
            newest = until if until is not None else await self._newest_stored(reader)
            while True:
                while ready:
                    sequence, delivery = ready.popleft()
                    if until is not None and sequence > until:
                        return
                    yield sequence, delivery
                if reader.position >= newest:
                    return
                reader.go_on()
                stirred.clear()
                if reader.lag == 0:  # it lags, or what we wait for has aged out meanwhile
                    newest = min(newest, await self._newest_stored(reader))
                if reader.position < newest and not ready:
                    await self._within_patience(stirred.wait())

    @asynccontextmanager
    async def follow(
        self,
        deliver: Deliver,
        *,
        filters: Sequence[str],
        after: int | None,
        newest_only: bool = False,
    ) -> AsyncIterator[Follower]:
        """Deliver messages as they come. A message whose delivery raises is buried."""

        def take(subject: str, sequence: int, delivery: Delivery) -> None:
            deliver(Message(partition_token(subject), sequence, delivery.payload))

        def bury(delivery: Delivery, error: Exception) -> None:
            self._bury(delivery.subject, f"{type(error).__name__}: {error}", delivery.payload)

        reader = Reader(
            link=self._link,
            clock=self._clock,
            stream=self._stream,
            filters=filters,
            after=after,
            deliver=take,
            newest_only=newest_only,
            on_failure=bury,
        )
        async with beside(reader.run(), name=f"follow {self._stream}"):
            await reader.opened()
            yield reader

    async def _newest_stored(self, reader: Reader) -> int:
        return await self._patiently(reader.newest_stored)

    async def _within_patience(self, arriving: Awaitable[object]) -> None:
        try:
            async with asyncio.timeout(SCAN_S):
                await arriving
        except TimeoutError:
            raise UnansweredError(f"{self._stream}: nothing arrived in {SCAN_S} s") from None

    async def _asked(self, subject: str, payload: bytes = b"") -> Delivery:
        """Ask, and again while the broker is away, READ_S at most."""
        return await self._patiently(lambda: self._link.request(subject, payload))

    async def _patiently(self, ask: Callable[[], Awaitable[_T]]) -> _T:
        until = self._clock.monotonic() + READ_S
        while True:
            try:
                return await ask()
            except UnansweredError:
                if self._clock.monotonic() >= until:
                    raise
            await self._clock.sleep(0.1)

    def _direct(self, delivery: Delivery) -> Message | None:
        if wire.status_of(delivery) == 404:
            return None
        headers = delivery.headers or {}
        try:
            subject, sequence = headers["Nats-Subject"], int(headers["Nats-Sequence"])
        except (KeyError, ValueError):
            found = dict(headers)
            raise BrokerError(f"{self._stream}: no direct get, answered {found}") from None
        return Message(partition_token(subject), sequence, delivery.payload)
