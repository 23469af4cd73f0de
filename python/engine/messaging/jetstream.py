"""One JetStream stream as a `Log`: compare-and-swap, direct gets, scans and followers."""

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple, TypeVar

import msgspec

from engine.clock import Clock
from engine.errors import BrokerError
from engine.messaging import traces, wire
from engine.messaging.background import beside
from engine.messaging.commit import MovedOnError, Newest, commit
from engine.messaging.deadline import Deadline
from engine.messaging.link import Delivery, Link, RefusedError, UnansweredError
from engine.messaging.logs import Bury, OnStored, partition_token
from engine.messaging.parts import Joiner, cut, part_header, part_of
from engine.messaging.ports import Follower, Message
from engine.messaging.reader import BATCH, PATIENCE_S, OnMessage, Reader
from engine.messaging.tail import Tail

__all__ = ["JetStreamLog"]

_T = TypeVar("_T")

READ_S = 5.0  # how long a read waits for a broker that is away
SCAN_S = 2 * PATIENCE_S  # and a scan for the next message: its reader may need another consumer
BATCH_S = 10.0  # for a batch to be stored: many messages, each synced to the disk
MOST_AT_ONCE = 256  # messages that one direct get answers with
MOST_BYTES_AT_ONCE = 2 * 2**20  # of many partitions at once: see `snapshots.CHUNKS_AT_ONCE`
ANSWER_S = 2.0
AGAIN_S = 0.05  # between two questions to a broker that is away


class _Put(NamedTuple):
    """One message of an atomic batch."""

    subject: str
    payload: bytes
    headers: Mapping[str, str]


class JetStreamLog:
    """A stream of the broker. What is larger than `largest()` is stored in parts (None: never)."""

    def __init__(
        self,
        *,
        link: Link,
        clock: Clock,
        stream: str,
        bury: Bury,
        largest: Callable[[], int] | None = None,
    ) -> None:
        self._link = link
        self._clock = clock
        self._stream = stream
        self._bury = bury
        self._largest = largest

    @property
    def writer(self) -> str:
        return self._link.writer

    async def reachable(self) -> bool:
        """Return once the broker is there; whether it had been away."""
        if self._link.is_connected:
            return False
        await self._link.connected()
        return True

    async def store(self, subject: str, payload: bytes, *, expected: int) -> int:
        """Store over sequence `expected`; see `commit.CasLog`."""
        expects = {wire.EXPECTED_SEQUENCE: str(expected)}
        mark = traces.mark({wire.WRITER: self._link.writer})
        if self._largest is None or len(payload) <= self._largest():
            answer = await self._link.request(subject, payload, headers=expects | mark)
        else:
            parts = cut(payload, self._largest())
            puts = [
                _Put(subject, part, mark | part_header(number, len(parts)))
                for number, part in enumerate(parts, 1)
            ]
            # The server knows the first as the one to check: of another it would say "busy".
            puts[0] = puts[0]._replace(headers={**expects, **puts[0].headers})
            answer = await self._publish_batch(puts)
        return _stored(subject, wire.puback(answer), expected=expected)

    async def store_many(self, entries: Sequence[tuple[str, bytes, int]]) -> int:
        """Store (subject, payload, expected) of different subjects, all of them or none.

        Returns the last's sequence; those before it have the ones before. Raises as `store`.
        """
        mark = {wire.WRITER: self._link.writer}
        puts = [
            _Put(subject, payload, mark | {wire.EXPECTED_SEQUENCE: str(expected)})
            for subject, payload, expected in entries
        ]
        subject, _, expected = entries[-1]
        return _stored(subject, wire.puback(await self._publish_batch(puts)), expected=expected)

    async def _publish_batch(self, puts: Sequence[_Put]) -> Delivery:
        """Publish as one atomic batch and return the answer to it (ADR-50)."""
        batch = secrets.token_hex(12)
        for number, put in enumerate(puts, 1):
            headers = {wire.BATCH_ID: batch, wire.BATCH_SEQUENCE: str(number), **put.headers}
            if number < len(puts):
                await self._link.send(put.subject, put.payload, headers=headers)
        headers |= {wire.BATCH_COMMIT: "1"}
        return await self._link.request(
            puts[-1].subject, puts[-1].payload, headers=headers, timeout_s=BATCH_S
        )

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
        payload = found.data
        number, count = part_of(wire.headers_of(found.hdrs))
        for sequence in range(found.seq - 1, found.seq - number, -1):
            before = await self._link.request(
                f"$JS.API.STREAM.MSG.GET.{self._stream}", b'{"seq":%d}' % sequence
            )
            payload = wire.answer(subject, before, wire.StoredMessage).message.data + payload
        if number != count:
            raise BrokerError(f"{subject}: sequence {found.seq} is part {number} of {count}")
        return Newest(found.seq, payload, wire.header_of(found.hdrs, wire.WRITER))

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

        def take(sequence: int, delivery: Delivery) -> None:
            ready.append((sequence, delivery))
            stirred.set()

        joiner = Joiner(take)
        reader = Reader(
            link=self._link,
            clock=self._clock,
            stream=self._stream,
            filters=filters,
            after=after,
            deliver=lambda _, sequence, delivery: joiner.add(sequence, delivery),
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

    async def read(
        self, subject: str, *, after: int, until: int
    ) -> AsyncIterator[tuple[int, Delivery]]:
        """Iterate what a subject has behind `after` and up to `until`, by direct gets (ADR-31).

        A round trip for MOST_AT_ONCE messages, where a consumer takes five before the first.

        Raises:
            BrokerError: the broker stayed away for READ_S.
        """
        ready: list[tuple[int, Delivery]] = []
        joiner = Joiner(lambda sequence, delivery: ready.append((sequence, delivery)))
        position, asked_until = after, self._clock.monotonic() + READ_S
        while position < until:
            got = await self._get_many(subject, after=position, until=until)
            for sequence, delivery in got:
                position = sequence
                if sequence <= until:
                    joiner.add(sequence, delivery)
            for one in ready:
                yield one
            ready.clear()
            if got:
                asked_until = self._clock.monotonic() + READ_S
            elif self._clock.monotonic() >= asked_until:
                # Not the leader's fault: it has told of `until`. Its copies have it in a moment.
                raise UnansweredError(f"{subject}: nothing up to {until} after {position}")
            else:
                await self._clock.sleep(AGAIN_S)

    async def _get_many(
        self, subject: str, *, after: int, until: int
    ) -> list[tuple[int, Delivery]]:
        """Return the next messages of a subject; none where there are none, or nobody answers."""
        request = msgspec.json.encode(
            {
                "seq": after + 1,
                "next_by_subj": subject,
                "batch": MOST_AT_ONCE,
                "max_bytes": MOST_BYTES_AT_ONCE,
            }
        )
        got: list[tuple[int, Delivery]] = []
        ended: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()

        def heard(delivery: Delivery) -> None:
            headers = delivery.headers or {}
            is_message = not wire.status_of(delivery) and "Nats-Sequence" in headers
            if is_message:
                sequence = int(headers["Nats-Sequence"])
                got.append((sequence, delivery._replace(subject=headers["Nats-Subject"])))
            if not ((is_message and sequence < until) or ended.done()):
                ended.set_result(delivery)

        direct = f"$JS.API.DIRECT.GET.{self._stream}"
        reply = self._link.expect(heard)
        deadline = Deadline(ended, direct, timeout_s=ANSWER_S)
        try:
            await self._link.send(direct, request, reply=reply)
            await ended
        except UnansweredError:
            pass  # what has come counts; the rest is asked for again
        finally:
            deadline.cancel()
            self._link.forget(reply)
        return got

    @asynccontextmanager
    async def follow(
        self,
        deliver: OnStored,
        *,
        filters: Sequence[str],
        after: int | None,
        newest_only: bool = False,
        opened: bool = True,
        wants_more: Callable[[], bool] | None = None,
    ) -> AsyncIterator[Follower]:
        """Deliver messages as they come. A message whose delivery raises is buried."""
        joiner = Joiner(deliver)

        def take(_subject: str, sequence: int, delivery: Delivery) -> None:
            joiner.add(sequence, delivery)

        reader = Reader(
            link=self._link,
            clock=self._clock,
            stream=self._stream,
            filters=filters,
            after=after,
            deliver=take,
            newest_only=newest_only,
            wants_more=wants_more,
            on_failure=self._bury_undelivered,
        )
        async with beside(reader.run(), name=f"follow {self._stream}"):
            if opened or after is None:
                await reader.opened()
            yield reader

    def shared_reader(
        self,
        *,
        filters: Sequence[str],
        after: int,
        deliver: OnMessage,
        wants_more: Callable[[], bool],
        stepped_back: Callable[[int], None],
        tails: Sequence[Tail],
    ) -> Reader:
        """Return a reader for several followers of what is never stored in parts."""
        return Reader(
            link=self._link,
            clock=self._clock,
            stream=self._stream,
            filters=filters,
            after=after,
            deliver=deliver,
            wants_more=wants_more,
            stepped_back=stepped_back,
            tails=tails,
            on_failure=self._bury_undelivered,
        )

    def _bury_undelivered(self, delivery: Delivery, error: Exception) -> None:
        self._bury(delivery.subject, f"{type(error).__name__}: {error}", delivery.payload)

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
            await self._clock.sleep(AGAIN_S)

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


def _stored(subject: str, ack: wire.PubAck, *, expected: int) -> int:
    """Return the sequence that a store was given. Raises as `JetStreamLog.store`."""
    if ack.error is None:
        return ack.seq
    if ack.error.err_code == wire.WRONG_SEQUENCE:
        raise MovedOnError(subject, expected)
    if wire.is_transient(ack.error):
        raise UnansweredError(f"{subject}: {ack.error.description} ({ack.error.err_code})")
    raise RefusedError(subject, ack.error.err_code, ack.error.description)
