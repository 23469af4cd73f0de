"""A broker inside the process, for tests: the same ports, the same promises, and faults on demand.

Several `MemoryBroker`s on one `MemoryServer` are several clients of one nats-server. What differs
from it: nothing is on disk, nothing ages, and time passes only by the clock that is handed in.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple, TypeVar

import structlog

from engine.clock import Clock, SystemClock
from engine.messaging import subjects, traces, wire
from engine.messaging.background import beside
from engine.messaging.commit import MovedOnError, Newest, commit
from engine.messaging.dead import Letter, dead_letter, letter
from engine.messaging.journal import LogJournal
from engine.messaging.link import Delivery, UnansweredError
from engine.messaging.logs import (
    Bury,
    LogCampaigns,
    LogChain,
    LogFrames,
    OnStored,
    partition_token,
)
from engine.messaging.parts import Joiner, cut, part_header, part_of
from engine.messaging.ports import DeadLetter, Follower, Message, StreamSize
from engine.messaging.snapshots import LogSnapshots
from engine.messaging.streams import MAX_RECORD
from engine.messaging.window import WINDOW

__all__ = ["MemoryBroker", "MemoryServer"]

READ_S = 5.0

_T = TypeVar("_T")

_log = structlog.get_logger(__name__)


class _Entry(NamedTuple):
    sequence: int
    delivery: Delivery


class _Stream:
    """Messages in order. `keep` is how many of each subject stay (None: all)."""

    def __init__(self, keep: int | None = None) -> None:
        self.entries: dict[int, _Entry] = {}  # by sequence, ascending
        self.by_subject: dict[str, deque[int]] = {}
        self.last = 0
        self._keep = keep
        self._ids: dict[str, int] = {}

    def add(self, subject: str, payload: bytes, headers: Mapping[str, str]) -> int:
        message_id = headers.get(wire.MESSAGE_ID)
        if message_id is not None and message_id in self._ids:
            return self._ids[message_id]
        self.last += 1
        self.entries[self.last] = _Entry(self.last, Delivery(subject, "", headers, payload))
        kept = self.by_subject.setdefault(subject, deque())
        kept.append(self.last)
        if self._keep is not None and len(kept) > self._keep:
            del self.entries[kept.popleft()]
        if message_id is not None:
            self._ids[message_id] = self.last
        return self.last

    def newest(self, subject: str) -> _Entry | None:
        kept = self.by_subject.get(subject)
        return self.entries[kept[-1]] if kept else None

    def after(
        self, sequence: int, filters: Sequence[str], *, newest_only: bool = False
    ) -> list[_Entry]:
        patterns = [pattern.split(".") for pattern in filters]
        return [
            entry
            for entry in self.entries.values()
            if entry.sequence > sequence
            and _matches(entry.delivery.subject, patterns)
            and not (newest_only and self.by_subject[entry.delivery.subject][-1] != entry.sequence)
        ]


class MemoryServer:
    """What the brokers share, and the faults that tests ask for."""

    def __init__(self) -> None:
        self.is_up = True
        self.outages = 0
        self.streams = {
            subjects.METRICS_STREAM: _Stream(),
            subjects.DECISIONS_STREAM: _Stream(),
            subjects.CAMPAIGNS_STREAM: _Stream(keep=8),
            subjects.STATE_STREAM: _Stream(keep=3),
            subjects.DEAD_STREAM: _Stream(),
            subjects.CHANGES_STREAM: _Stream(),
            subjects.REPORTED_STREAM: _Stream(keep=3),
        }
        self.listeners: list[Callable[[str, bytes], None]] = []
        self.mourners: list[Callable[[str], None]] = []
        self.gateway_listeners: list[Callable[[str, bytes], None]] = []
        self._requests_to_lose = 0
        self._answers_to_lose = 0
        self._reads_to_lose = 0
        self._changed = asyncio.Event()

    def disconnect(self) -> None:
        """Be away: nothing is stored, read or delivered until `reconnect`."""
        self.outages += 1
        self.is_up = False
        self.stir()

    def tell_lost(self, connection: str) -> None:
        """Tell whoever wants to know that the client of a connection is gone."""
        for lost in list(self.mourners):
            asyncio.get_running_loop().call_soon(lost, connection)

    def reconnect(self) -> None:
        """Be back, with everything that was stored."""
        self.is_up = True
        self.stir()

    def lose_requests(self, count: int = 1) -> None:
        """Do not get the next stores: their outcome is unknown, and they are not stored."""
        self._requests_to_lose += count

    def lose_answers(self, count: int = 1) -> None:
        """Store the next stores and lose the answer: their outcome is unknown."""
        self._answers_to_lose += count

    def lose_reads(self, count: int = 1) -> None:
        """Do not answer the next reads."""
        self._reads_to_lose += count

    def store(
        self,
        stream: str,
        subject: str,
        payload: bytes,
        headers: Mapping[str, str],
        *,
        expected: int | None = None,
    ) -> int:
        """Store a message. Raises MovedOnError, UnansweredError."""
        return self.store_batch(stream, [(subject, payload, headers, expected)])

    def store_batch(
        self, stream: str, batch: Sequence[tuple[str, bytes, Mapping[str, str], int | None]]
    ) -> int:
        """Store (subject, payload, headers, expected), all or none; return the last's sequence.

        Raises as `store`.
        """
        self._be_there()
        if self._requests_to_lose:
            self._requests_to_lose -= 1
            raise UnansweredError(f"{batch[0][0]}: no answer")
        log = self.streams[stream]
        for subject, _, _, expected in batch:
            newest = log.newest(subject)
            if expected is not None and expected != (newest.sequence if newest else 0):
                raise MovedOnError(subject, expected)
        sequence = 0
        for subject, payload, headers, _ in batch:
            sequence = log.add(subject, payload, headers)
        self.stir()
        if self._answers_to_lose:
            self._answers_to_lose -= 1
            raise UnansweredError(f"{batch[0][0]}: no answer")
        return sequence

    def read(self, stream: str) -> _Stream:
        """Return a stream for reading. Raises UnansweredError."""
        self._be_there()
        if self._reads_to_lose:
            self._reads_to_lose -= 1
            raise UnansweredError(f"{stream}: no answer")
        return self.streams[stream]

    def stir(self) -> None:
        """Wake everybody who waits for a change."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def changed(self) -> None:
        """Return after the next change of anything."""
        await self._changed.wait()

    def _be_there(self) -> None:
        if not self.is_up:
            raise UnansweredError("the broker is away")


class MemoryBroker:
    """One client of a `MemoryServer`."""

    def __init__(
        self,
        *,
        server: MemoryServer | None = None,
        name: str = "memory",
        clock: Clock | None = None,
    ) -> None:
        self.server = server or MemoryServer()
        self.name = name
        self._clock = clock or SystemClock()
        self.dead_letters = _MemoryDeadLetters(server=self.server)
        self.chain = LogChain(log=self._stream(subjects.DECISIONS_STREAM))
        self.frames = LogFrames(
            log=self._stream(subjects.METRICS_STREAM),
            publisher=_MemoryPublisher(server=self.server, stream=subjects.METRICS_STREAM),
        )
        self.campaigns = LogCampaigns(log=self._stream(subjects.CAMPAIGNS_STREAM))
        self.snapshots = LogSnapshots(log=self._stream(subjects.STATE_STREAM))
        name = f"memory/{id(self):x}"
        self.heartbeats = _MemoryHeartbeats(
            server=self.server, listeners=self.server.listeners, client=name
        )
        self.gateways = _MemoryHeartbeats(
            server=self.server, listeners=self.server.gateway_listeners, client=name
        )
        self.journal = LogJournal(
            changes=self._stream(subjects.CHANGES_STREAM),
            reported=self._stream(subjects.REPORTED_STREAM),
        )

    @property
    def is_connected(self) -> bool:
        return self.server.is_up

    async def connected(self) -> None:
        """Return once the broker answers."""
        while not self.server.is_up:
            await self.server.changed()

    async def sizes(self, streams: Sequence[str]) -> list[StreamSize]:
        return [self._size(name) for name in streams if name in self.server.streams]

    def _size(self, name: str) -> StreamSize:
        stream = self.server.read(name)
        held = [entry.delivery.payload for entry in stream.entries.values()]
        first = next(iter(stream.entries), stream.last + 1)
        return StreamSize(name, len(held), sum(map(len, held)), first, stream.last, None, None)

    def _stream(self, name: str) -> "_MemoryLog":
        return _MemoryLog(
            server=self.server,
            stream=name,
            clock=self._clock,
            # Not the name: two processes may be given the same one.
            writer=f"{self.name}-{id(self):x}",
            bury=self.dead_letters.bury,
        )


class _MemoryLog:
    """A stream as a `Log`."""

    def __init__(
        self, *, server: MemoryServer, stream: str, clock: Clock, writer: str, bury: Bury
    ) -> None:
        self.writer = writer
        self._server = server
        self._stream = stream
        self._clock = clock
        self._bury = bury

    async def reachable(self) -> bool:
        was_up = self._server.is_up
        while not self._server.is_up:
            await self._server.changed()
        return not was_up

    async def store(self, subject: str, payload: bytes, *, expected: int) -> int:
        parts, mark = cut(payload, MAX_RECORD), traces.mark({wire.WRITER: self.writer})
        batch = [
            (subject, part, mark | part_header(i, len(parts)), expected if i == 1 else None)
            for i, part in enumerate(parts, 1)
        ]
        return self._server.store_batch(self._stream, batch)

    async def store_many(self, entries: Sequence[tuple[str, bytes, int]]) -> int:
        mark = {wire.WRITER: self.writer}
        batch = [(subject, payload, mark, expected) for subject, payload, expected in entries]
        return self._server.store_batch(self._stream, batch)

    async def newest(self, subject: str) -> Newest | None:
        stream = self._server.read(self._stream)
        entry = stream.newest(subject)
        if entry is None:
            return None
        writer = (entry.delivery.headers or {}).get(wire.WRITER, "")
        number, _ = part_of(entry.delivery.headers)
        parts = range(entry.sequence - number + 1, entry.sequence + 1)
        payload = b"".join(stream.entries[part].delivery.payload for part in parts)
        return Newest(entry.sequence, payload, writer)

    async def commit(self, subject: str, payload: bytes, *, expected: int) -> int:
        return await commit(self, subject, payload, expected=expected, clock=self._clock)

    async def publish(self, subject: str, payload: bytes) -> int:
        return await self._asked(lambda: self._server.store(self._stream, subject, payload, {}))

    async def get(self, subject: str) -> Message | None:
        await self._asked(lambda: self._server.read(self._stream))
        found = await self.newest(subject)
        return (
            None
            if found is None
            else Message(partition_token(subject), found.sequence, found.payload)
        )

    async def get_sequence(self, sequence: int) -> Message | None:
        stream = await self._asked(lambda: self._server.read(self._stream))
        entry = stream.entries.get(sequence)
        return None if entry is None else _message(entry)

    async def scan(
        self,
        filters: Sequence[str],
        *,
        after: int = 0,
        until: int | None = None,
        newest_only: bool = False,
    ) -> AsyncIterator[tuple[int, Delivery]]:
        stream = await self._asked(lambda: self._server.read(self._stream))
        whole: list[tuple[int, Delivery]] = []
        joiner = Joiner(lambda sequence, delivery: whole.append((sequence, delivery)))
        for entry in stream.after(after, filters, newest_only=newest_only):
            if until is None or entry.sequence <= until:
                joiner.add(*entry)
        for one in whole:
            yield one

    def read(self, subject: str, *, after: int, until: int) -> AsyncIterator[tuple[int, Delivery]]:
        return self.scan([subject], after=after, until=until)

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
        while opened and not self._server.is_up:
            await self._server.changed()
        follower = _MemoryFollower(
            server=self._server,
            stream=self._server.streams[self._stream],
            filters=filters,
            after=after,
            newest_only=newest_only,
            deliver=deliver,
            wants_more=wants_more or (lambda: True),
            bury=self._bury,
        )
        async with beside(follower.run(), name=f"follow {self._stream}"):
            yield follower

    async def _asked(self, ask: Callable[[], _T]) -> _T:
        until = self._clock.monotonic() + READ_S
        while True:
            try:
                return ask()
            except UnansweredError:
                if self._clock.monotonic() >= until:
                    raise
            await self._clock.sleep(0.02)


class _MemoryFollower:
    """Delivers from a task of its own, as the real one does."""

    def __init__(
        self,
        *,
        server: MemoryServer,
        stream: _Stream,
        filters: Sequence[str],
        after: int | None,
        newest_only: bool,
        deliver: OnStored,
        wants_more: Callable[[], bool],
        bury: Bury,
    ) -> None:
        self.position = stream.last if after is None else after
        self._server = server
        self._stream = stream
        self._filters = list(filters)
        self._newest_only = newest_only
        self._joiner = Joiner(deliver)
        self._wants_more = wants_more
        self._bury = bury

    def go_on(self) -> None:
        self._server.stir()

    @property
    def lag(self) -> int | None:
        return len(self._pending()) if self._server.is_up else None

    async def caught_up(self, *, up_to: int | None = None) -> None:
        stored = self._stream.last if up_to is None else min(up_to, self._stream.last)
        while self._server_is_away() or any(e.sequence <= stored for e in self._pending()):
            await self._server.changed()

    async def run(self) -> None:
        while True:
            delivered = 0
            if not self._server_is_away():
                pending = self._pending()
                self._newest_only = False
                for entry in pending:
                    if not self._wants_more():
                        break
                    self._hand_over(entry)
                    delivered += 1
            if delivered:
                self._server.stir()
            else:
                await self._server.changed()

    def _hand_over(self, entry: _Entry) -> None:
        try:
            self._joiner.add(*entry)
        except Exception as error:  # one bad message must not end the reading
            _log.error("message_not_delivered", subject=entry.delivery.subject, error=repr(error))
            reason = f"{type(error).__name__}: {error}"
            self._bury(entry.delivery.subject, reason, entry.delivery.payload)
        self.position = entry.sequence

    def _pending(self) -> list[_Entry]:
        return self._stream.after(self.position, self._filters, newest_only=self._newest_only)

    def _server_is_away(self) -> bool:
        return not self._server.is_up


class _MemoryPublisher:
    """Keeps what the broker has not stored yet, a window of it, in order."""

    def __init__(self, *, server: MemoryServer, stream: str) -> None:
        self._server = server
        self._stream = stream
        self._waiting: deque[tuple[str, bytes, Mapping[str, str]]] = deque()

    async def publish(self, subject: str, payload: bytes, headers: Mapping[str, str]) -> None:
        while len(self._waiting) >= WINDOW and not self._store_waiting():
            await self._server.changed()
        self._waiting.append((subject, payload, headers))
        self._store_waiting()

    async def flush(self) -> None:
        while not self._store_waiting():
            await self._server.changed()

    def _store_waiting(self) -> bool:
        while self._waiting and self._server.is_up:
            try:
                self._server.store(self._stream, *self._waiting[0])
            except UnansweredError:
                continue  # the message id keeps a second try from being stored twice
            self._waiting.popleft()
        return not self._waiting


class _MemoryDeadLetters:
    def __init__(self, *, server: MemoryServer) -> None:
        self._server = server

    def bury(self, origin: str, reason: str, payload: bytes) -> None:
        buried: Letter = letter(origin, reason, payload)
        stream = self._server.streams[subjects.DEAD_STREAM]
        stream.add(buried.subject, buried.payload, buried.headers)
        self._server.stir()

    async def drain(self, *, within_s: float = 5.0) -> None:
        """Return once everything buried before has been published: at once."""

    async def all(self) -> AsyncIterator[DeadLetter]:
        for entry in list(self._server.streams[subjects.DEAD_STREAM].entries.values()):
            headers = dict(entry.delivery.headers or {})
            yield dead_letter(entry.sequence, headers, entry.delivery.payload)

    async def remove(self, sequence: int) -> None:
        self._server.streams[subjects.DEAD_STREAM].entries.pop(sequence, None)


class _MemoryHeartbeats:
    def __init__(
        self,
        *,
        server: MemoryServer,
        listeners: list[Callable[[str, bytes], None]],
        client: str,
    ) -> None:
        self.client = client
        self._server = server
        self._listeners = listeners

    @property
    def connection(self) -> str:
        return f"{self.client}/{self._server.outages}"

    async def beat(self, worker: str, payload: bytes) -> None:
        if self._server.is_up:
            loop = asyncio.get_running_loop()
            for deliver in self._listeners:
                loop.call_soon(deliver, worker, payload)

    @asynccontextmanager
    async def listen(
        self,
        deliver: Callable[[str, bytes], None],
        *,
        lost: Callable[[str], None] | None = None,
    ) -> AsyncIterator[None]:
        self._listeners.append(deliver)
        if lost is not None:
            self._server.mourners.append(lost)
        try:
            yield
        finally:
            self._listeners.remove(deliver)
            if lost is not None:
                self._server.mourners.remove(lost)


def _message(entry: _Entry) -> Message:
    delivery = entry.delivery
    return Message(partition_token(delivery.subject), entry.sequence, delivery.payload)


def _matches(subject: str, patterns: Sequence[Sequence[str]]) -> bool:
    tokens = subject.split(".")
    return any(_fits(tokens, pattern) for pattern in patterns)


def _fits(tokens: Sequence[str], pattern: Sequence[str]) -> bool:
    for i, want in enumerate(pattern):
        if want == ">":
            return len(tokens) > i
        if i >= len(tokens) or want not in ("*", tokens[i]):
            return False
    return len(tokens) == len(pattern)
