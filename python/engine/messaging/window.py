"""Publishing into a stream with a bounded window of unacknowledged messages.

Fire and forget into JetStream loses messages silently when its queue fills (400,000 sent, 249,585
stored, in the prototype); waiting for each answer reaches 3,000 messages a second. So: up to
`WINDOW` on their way, each kept until the broker has said that it stored it.

After a reconnect everything unacknowledged is sent again in the order of publishing, which with
message ids keeps the order within a partition. Only a single message refused for a while ("busy")
can come to stand behind later ones.

What was acknowledged in the last second is sent again too: on a stream with `persist_mode: async`
a killed server had acknowledged it some milliseconds before it was written. (Seen: 6 frames of
36,000 lost by one kill -9.) The message ids keep the rest from being stored twice.
"""

import asyncio
from collections import deque
from collections.abc import Mapping

import structlog

from engine.clock import Clock
from engine.errors import BrokerError
from engine.messaging import wire
from engine.messaging.link import Delivery, Link, UnansweredError

__all__ = ["WINDOW", "PublishWindow"]

WINDOW = 256
ANSWER_S = 2.0  # after which an unanswered message is sent again
BUSY_WAIT_S = 0.1  # after which a refused one is
# How much of what was acknowledged is kept, to be sent again: the server writes within some 10 ms.
KEPT_S = 1.0
KEPT_BYTES = 32 * 1024 * 1024

_log = structlog.get_logger(__name__)


class _Entry:
    """A message on its way."""

    __slots__ = (
        "acknowledged_at",
        "due_at",
        "has_room",
        "headers",
        "number",
        "payload",
        "reply",
        "subject",
    )

    def __init__(self, *, subject: str, payload: bytes, headers: Mapping[str, str]) -> None:
        self.subject = subject
        self.payload = payload
        self.headers = headers
        self.reply = ""
        self.number = 0
        self.due_at = 0.0
        self.acknowledged_at = 0.0
        self.has_room = True


class PublishWindow:
    """Publishes until stored; `run` sends again what was not answered, until cancelled."""

    def __init__(self, *, link: Link, clock: Clock, size: int = WINDOW) -> None:
        self._link = link
        self._clock = clock
        self._room = asyncio.Semaphore(size)
        self._on_the_way: dict[int, _Entry] = {}
        self._acknowledged: deque[_Entry] = deque()
        self._acknowledged_bytes = 0
        self._number = 0
        self._connection = link.connection
        self._failure: BrokerError | None = None
        self._stirred = asyncio.Event()
        self._emptied = asyncio.Event()

    @property
    def on_the_way(self) -> int:
        """Return how many messages are not acknowledged yet."""
        return len(self._on_the_way)

    async def publish(self, subject: str, payload: bytes, headers: Mapping[str, str]) -> None:
        """Hand over a message; returns when there is room in the window.

        Raises:
            BrokerError: the broker has refused an earlier message for good.
        """
        await self._room.acquire()
        try:
            self._raise_failure()
        except BaseException:
            self._room.release()
            raise
        entry = _Entry(subject=subject, payload=payload, headers=headers)
        self._number += 1
        entry.number = self._number
        self._take(entry)
        if len(self._on_the_way) == 1:
            self._stirred.set()  # `run` may be waiting without a limit
        await self._send(entry)
        self._raise_failure()

    async def flush(self) -> None:
        """Return once everything published has been stored. Raises BrokerError as `publish`."""
        while self._on_the_way or self._connection != self._link.connection:
            self._emptied.clear()
            await self._emptied.wait()
        self._raise_failure()

    async def run(self) -> None:
        """Send again what was lost or refused, until cancelled."""
        stop = self._link.on_change(self._stirred.set)
        try:
            while True:
                self._stirred.clear()
                await self._send_what_is_due()
                try:
                    async with asyncio.timeout(BUSY_WAIT_S if self._on_the_way else None):
                        await self._stirred.wait()
                except TimeoutError:
                    continue
        finally:
            stop()

    async def _send_what_is_due(self) -> None:
        if not self._link.is_connected:
            return
        is_new_connection = self._link.connection != self._connection
        if is_new_connection:
            self._connection = self._link.connection
            self._take_back_what_may_be_lost()
        now = self._clock.monotonic()
        for entry in list(self._on_the_way.values()):
            if entry.number in self._on_the_way and (is_new_connection or entry.due_at <= now):
                await self._send(entry)
        if not self._on_the_way:
            self._emptied.set()

    def _take_back_what_may_be_lost(self) -> None:
        """Put what was acknowledged last back on its way, in the order of publishing.

        It takes no room in the window: its publishers have long gone on.
        """
        waiting = list(self._on_the_way.values())
        again = sorted(self._acknowledged, key=lambda entry: entry.number)
        self._acknowledged.clear()
        self._acknowledged_bytes = 0
        self._on_the_way.clear()
        for entry in again:
            entry.has_room = False
            self._take(entry)
        self._on_the_way.update((entry.number, entry) for entry in waiting)

    def _take(self, entry: _Entry) -> None:
        entry.reply = self._link.expect(lambda delivery: self._answered(entry, delivery))
        self._on_the_way[entry.number] = entry

    async def _send(self, entry: _Entry) -> None:
        entry.due_at = self._clock.monotonic() + ANSWER_S
        try:
            await self._link.send(
                entry.subject, entry.payload, reply=entry.reply, headers=entry.headers
            )
        except UnansweredError:
            return  # `run` sends it after the reconnect
        except BrokerError as error:
            self._refused(entry, error)

    def _answered(self, entry: _Entry, delivery: Delivery) -> None:
        if entry.number not in self._on_the_way:
            return
        if wire.status_of(delivery) == 503:  # nobody keeps this stream just now
            entry.due_at = self._clock.monotonic() + BUSY_WAIT_S
            return
        try:
            ack = wire.puback(delivery)
        except UnansweredError as error:
            _log.warning("frame_answer_not_understood", reason=str(error))
            return
        if ack.error is None:
            self._settled(entry)
            self._keep(entry)
        elif wire.is_transient(ack.error):
            entry.due_at = self._clock.monotonic() + BUSY_WAIT_S
        else:
            what = f"{entry.subject}: {ack.error.description} ({ack.error.err_code})"
            self._refused(entry, BrokerError(what))

    def _settled(self, entry: _Entry) -> None:
        del self._on_the_way[entry.number]
        self._link.forget(entry.reply)
        if entry.has_room:
            self._room.release()
        if not self._on_the_way:
            self._emptied.set()

    def _keep(self, entry: _Entry) -> None:
        """Keep an acknowledged message for a while; its age counts from the newest one's.

        (Not from now: a server that is dead acknowledges nothing, however late that is noticed.)
        """
        entry.acknowledged_at = self._clock.monotonic()
        kept = self._acknowledged
        kept.append(entry)
        self._acknowledged_bytes += len(entry.payload)
        oldest_at = entry.acknowledged_at - KEPT_S
        while kept and (
            kept[0].acknowledged_at < oldest_at or self._acknowledged_bytes > KEPT_BYTES
        ):
            self._acknowledged_bytes -= len(kept.popleft().payload)

    def _refused(self, entry: _Entry, error: BrokerError) -> None:
        self._failure = self._failure or error
        self._settled(entry)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
