"""Chains, frames and campaign definitions, each told in terms of one log.

A `Log` is a stream with compare-and-swap by subject. `messaging.jetstream` has the real one and
`messaging.memory` the one for tests; what stands here is the same for both.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from engine.domain.ids import PARTITIONS, is_campaign_id, partition_of
from engine.errors import BrokerError, ConflictError, FencedError
from engine.messaging import subjects, traces, wire
from engine.messaging.commit import MovedOnError
from engine.messaging.group import GroupCommit
from engine.messaging.link import Delivery
from engine.messaging.parts import LARGEST
from engine.messaging.ports import Deliver, Follower, Message
from engine.messaging.streams import MAX_ENTRY, MAX_FRAME

__all__ = [
    "Bury",
    "Log",
    "LogCampaigns",
    "LogChain",
    "LogFrames",
    "OnStored",
    "Publisher",
    "Sharing",
    "partition_token",
]

Bury = Callable[[str, str, bytes], None]
"""Called with (origin, reason, payload) of what could not be read."""
OnStored = Callable[[int, Delivery], None]
"""Called with (sequence, delivery), in order. What was stored in parts comes whole."""


class Log(Protocol):
    """One stream."""

    async def commit(self, subject: str, payload: bytes, *, expected: int) -> int:
        """Store over sequence `expected` of a subject, however long the broker is away.

        Raises:
            MovedOnError: the subject has another newest message.
        """
        ...

    async def store_many(self, entries: Sequence[tuple[str, bytes, int]]) -> int:
        """Store (subject, payload, expected) of different subjects, all of them or none.

        Returns the last's sequence; those before it have the ones before.

        Raises:
            MovedOnError: one of the subjects has another newest message.
            BrokerError: it may or may not have been stored.
        """
        ...

    async def publish(self, subject: str, payload: bytes) -> int:
        """Store, whatever came before; a retry may store twice. Raises BrokerError."""
        ...

    async def get(self, subject: str) -> Message | None:
        """Return the newest message of a subject. Raises BrokerError."""
        ...

    async def get_sequence(self, sequence: int) -> Message | None:
        """Return the message at a sequence. Raises BrokerError."""
        ...

    def scan(
        self,
        filters: Sequence[str],
        *,
        after: int = 0,
        until: int | None = None,
        newest_only: bool = False,
    ) -> AsyncIterator[tuple[int, Delivery]]:
        """Iterate (sequence, delivery) of what is stored now."""
        ...

    def read(self, subject: str, *, after: int, until: int) -> AsyncIterator[tuple[int, Delivery]]:
        """Iterate as `scan` what one subject has up to a sequence: fewer round trips, no more."""
        ...

    def follow(
        self,
        deliver: OnStored,
        *,
        filters: Sequence[str],
        after: int | None,
        newest_only: bool = False,
        opened: bool = True,
        wants_more: Callable[[], bool] | None = None,
    ) -> AbstractAsyncContextManager[Follower]:
        """Deliver messages as they come. A message whose delivery raises is buried.

        Not `opened`: does not wait until it reads, nor tell then why it cannot. While `wants_more`
        says no, nothing is asked for: what is on its way still comes.
        """
        ...


class Sharing(Protocol):
    """Followers of single subjects that read together."""

    def follow(
        self,
        deliver: OnStored,
        *,
        subject: str,
        after: int,
        wants_more: Callable[[], bool],
        opened: bool,
    ) -> AbstractAsyncContextManager[Follower]:
        """Deliver the messages of a subject as they come, as `Log.follow`."""
        ...


class Publisher(Protocol):
    """Publishing with a bounded window of unacknowledged messages."""

    async def publish(self, subject: str, payload: bytes, headers: Mapping[str, str]) -> None:
        """Hand over a message; returns when there is room. Raises BrokerError."""
        ...

    async def flush(self) -> None:
        """Return once everything published has been stored. Raises BrokerError."""
        ...


def partition_token(subject: str) -> int:
    """Return the partition that a subject of the engine names in its third token; -1 for none.

    >>> partition_token("$KV.engine_campaigns.25.spring-shoes")
    25
    >>> partition_token("engine.changes.google.1234567890")
    -1
    """
    token = subject.split(".", 3)[2]
    return -1 if subject.startswith(_WITHOUT_PARTITION) else int(token)


_WITHOUT_PARTITION = ("engine.changes.", "engine.orders.", "engine.breaker.", "engine.reported.")


def _on_stored(deliver: Deliver) -> OnStored:
    def stored(sequence: int, delivery: Delivery) -> None:
        deliver(Message(partition_token(delivery.subject), sequence, delivery.payload))

    def stored_traced(sequence: int, delivery: Delivery) -> None:
        trace = (delivery.headers or {}).get(traces.TRACEPARENT, "")
        deliver(Message(partition_token(delivery.subject), sequence, delivery.payload, trace))

    return stored if traces.active() is None else stored_traced


class LogChain:
    """Decision chains in ENGINE_DECISIONS. `largest` is the most bytes that a record may have."""

    def __init__(self, *, log: Log, largest: Callable[[], int] = lambda: LARGEST) -> None:
        self._log = log
        self._largest = largest

    @property
    def largest(self) -> int:
        return self._largest()

    async def head(self, partition: int) -> Message | None:
        return await self._log.get(subjects.decisions_subject(partition))

    async def append(self, partition: int, payload: bytes, *, expected: int) -> int:
        _check_size("a record", payload, self.largest)
        subject = subjects.decisions_subject(partition)
        try:
            return await self._log.commit(subject, payload, expected=expected)
        except MovedOnError as error:
            raise FencedError(partition, expected) from error

    async def read(
        self, partition: int, *, after: int = 0, until: int | None = None
    ) -> AsyncIterator[Message]:
        if until is None:
            head = await self.head(partition)
            until = 0 if head is None else head.sequence
        if until <= after:
            return
        subject = subjects.decisions_subject(partition)
        async for sequence, delivery in self._log.read(subject, after=after, until=until):
            yield Message(partition, sequence, delivery.payload)

    @asynccontextmanager
    async def follow(
        self, deliver: Deliver, *, partitions: Sequence[int] | None = None, after: int | None = 0
    ) -> AsyncIterator[Follower]:
        filters = _filters(subjects.decisions_subject, partitions)
        async with self._log.follow(_on_stored(deliver), filters=filters, after=after) as follower:
            yield follower


class LogFrames:
    """Metric frames in ENGINE_METRICS. With `sharing`, single partitions are read together."""

    def __init__(self, *, log: Log, publisher: Publisher, sharing: Sharing | None = None) -> None:
        self._log = log
        self._publisher = publisher
        self._sharing = sharing

    async def publish(self, partition: int, frame: bytes, *, message_id: str) -> None:
        _check_size("a frame", frame, MAX_FRAME)
        subject = subjects.metrics_subject(partition)
        headers, tracing = {wire.MESSAGE_ID: message_id}, traces.active()
        if tracing is None:
            await self._publisher.publish(subject, frame, headers)
            return
        about = {"messaging.destination.name": subject, "messaging.message.id": message_id}
        with tracing.span("publish samples", kind="producer", attributes=about):
            await self._publisher.publish(subject, frame, traces.mark(headers))

    async def flush(self) -> None:
        await self._publisher.flush()

    @asynccontextmanager
    async def follow(
        self,
        deliver: Deliver,
        *,
        partitions: Sequence[int] | None = None,
        after: int | None = 0,
        opened: bool = True,
        wants_more: Callable[[], bool] = lambda: True,
    ) -> AsyncIterator[Follower]:
        filters = _filters(subjects.metrics_subject, partitions)
        is_one = partitions is not None and len(set(partitions)) == 1
        if self._sharing is not None and is_one and after is not None:
            following = self._sharing.follow(
                _on_stored(deliver),
                subject=filters[0],
                after=after,
                wants_more=wants_more,
                opened=opened,
            )
        else:
            following = self._log.follow(
                _on_stored(deliver),
                filters=filters,
                after=after,
                opened=opened,
                wants_more=wants_more,
            )
        async with following as follower:
            yield follower


class LogCampaigns:
    """Definitions and lifecycle in the bucket engine_campaigns."""

    def __init__(self, *, log: Log) -> None:
        self._log = log
        self._writes = GroupCommit(log=log)

    async def get(self, campaign: str) -> Message | None:
        if not is_campaign_id(campaign):
            return None
        found = await self._log.get(subjects.campaign_subject(partition_of(campaign), campaign))
        return found if found is not None and found.payload else None

    async def put(self, campaign: str, payload: bytes, *, expected: int) -> int:
        if not is_campaign_id(campaign):
            raise BrokerError(f"no subject can be named after campaign {campaign!r}")
        _check_size(f"campaign {campaign}: an entry", payload, MAX_ENTRY)
        subject = subjects.campaign_subject(partition_of(campaign), campaign)
        try:
            return await self._writes.commit(subject, payload, expected=expected)
        except MovedOnError as error:
            raise ConflictError(f"campaign {campaign}", expected) from error

    async def get_control(self, partition: int, name: str) -> Message | None:
        found = await self._log.get(subjects.control_subject(partition, name))
        return found if found is not None and found.payload else None

    async def put_control(self, partition: int, name: str, payload: bytes, *, expected: int) -> int:
        _check_size(f"{name}: an entry", payload, MAX_ENTRY)
        subject = subjects.control_subject(partition, name)
        try:
            return await self._writes.commit(subject, payload, expected=expected)
        except MovedOnError as error:
            raise ConflictError(f"{name} of partition {partition}", expected) from error

    async def all(self, *, partitions: Sequence[int] | None = None) -> AsyncIterator[Message]:
        filters = _filters(subjects.campaign_subject, partitions)
        async for sequence, delivery in self._log.scan(filters, newest_only=True):
            if delivery.payload:  # without: somebody deleted the key with another tool
                partition = partition_token(delivery.subject)
                yield Message(partition, sequence, delivery.payload)

    async def history(self, campaign: str) -> AsyncIterator[Message]:
        if not is_campaign_id(campaign):
            return
        partition = partition_of(campaign)
        filters = [subjects.campaign_subject(partition, campaign)]
        async for sequence, delivery in self._log.scan(filters):
            if delivery.payload:
                yield Message(partition, sequence, delivery.payload)

    @asynccontextmanager
    async def follow(
        self,
        deliver: Deliver,
        *,
        partitions: Sequence[int] | None = None,
        after: int | None = 0,
        with_history: bool = False,
        controls: bool = False,
        opened: bool = True,
    ) -> AsyncIterator[Follower]:
        subject = subjects.entry_subject if controls else subjects.campaign_subject
        filters = _filters(subject, partitions)
        async with self._log.follow(
            _on_stored(deliver),
            filters=filters,
            after=after,
            newest_only=after == 0 and not with_history,
            opened=opened,
        ) as follower:
            yield follower


def _check_size(what: str, payload: bytes, most: int) -> None:
    """Refuse here what the broker would refuse for good, so that both brokers refuse alike."""
    if len(payload) > most:
        raise BrokerError(f"{what} may have {most} bytes, found {len(payload)}")


def _filters(subject: Callable[[int | str], str], partitions: Sequence[int] | None) -> list[str]:
    """Return the subjects of some partitions: one wildcard where it is all of them."""
    if partitions is None or len(set(partitions)) == PARTITIONS:
        return [subject("*")]
    if not partitions:
        return [subject("none")]  # to the server an empty list of filters means everything
    return [subject(partition) for partition in sorted(set(partitions))]
