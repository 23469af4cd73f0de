"""Dead letters: what could not be read, kept with its origin and the reason.

`bury` only puts into a bounded queue; a task beside the broker publishes from it. When the queue
is full the oldest is given up, and counted: unreadable messages must never hold back a round.
"""

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator
from typing import NamedTuple
from urllib.parse import quote, unquote

import msgspec
import structlog

from engine.clock import Clock
from engine.errors import BrokerError
from engine.messaging import subjects, wire
from engine.messaging.jetstream import JetStreamLog
from engine.messaging.link import Link, RefusedError, UnansweredError
from engine.messaging.ports import DeadLetter

__all__ = ["JetStreamDeadLetters", "Letter", "dead_letter", "letter"]

QUEUE = 1024
MAX_PAYLOAD = 256 * 1024  # bytes kept of a letter
MAX_REASON = 500  # characters
ORIGIN = "Engine-Origin"
REASON = "Engine-Reason"

_log = structlog.get_logger(__name__)


_NO_SUCH_SEQUENCE = 10043


class _Removed(msgspec.Struct, frozen=True):
    success: bool = False


class Letter(NamedTuple):
    """A dead letter as it is published."""

    subject: str
    headers: dict[str, str]
    payload: bytes


def letter(origin: str, reason: str, payload: bytes) -> Letter:
    """Return what is published for a payload that could not be read.

    The origin, most often a subject, becomes part of the subject with whatever a subject may not
    hold replaced; the headers keep both texts whole (percent-encoded: headers are one line).
    """
    tokens = [re.sub(r"[^A-Za-z0-9_-]", "_", token) for token in origin.split(".")]
    name = ".".join(token for token in tokens if token)[:200].strip(".") or "unknown"
    if len(payload) > MAX_PAYLOAD:
        reason = f"{reason} (first {MAX_PAYLOAD} of {len(payload)} bytes)"
    headers = {ORIGIN: quote(origin[:MAX_REASON]), REASON: quote(reason[-MAX_REASON:])}
    return Letter(subjects.dead_subject(name), headers, payload[:MAX_PAYLOAD])


def dead_letter(
    sequence: int, headers: dict[str, str], payload: bytes, *, at: float = 0.0
) -> DeadLetter:
    """Return a published letter as readers see it."""
    origin, reason = unquote(headers.get(ORIGIN, "")), unquote(headers.get(REASON, ""))
    return DeadLetter(sequence, origin, reason, payload, at)


class JetStreamDeadLetters:
    """Dead letters in ENGINE_DEAD."""

    def __init__(self, *, link: Link, clock: Clock) -> None:
        self._link = link
        self._clock = clock
        self._queue: deque[Letter] = deque()
        self._stirred = asyncio.Event()
        self.given_up = 0

    def bury(self, origin: str, reason: str, payload: bytes) -> None:
        if len(self._queue) >= QUEUE:
            self._queue.popleft()
            self.given_up += 1
        self._queue.append(letter(origin, reason, payload))
        self._stirred.set()

    async def run(self) -> None:
        """Publish what is buried, until cancelled."""
        while True:
            self._stirred.clear()
            while self._queue:
                await self._publish(self._queue[0])
            await self._stirred.wait()

    async def _publish(self, first: Letter) -> None:
        try:
            await self._link.request(first.subject, first.payload, headers=first.headers)
        except UnansweredError:
            await self._clock.sleep(0.5)
            return
        except BrokerError as error:
            self.given_up += 1
            _log.error("dead_letter_given_up", subject=first.subject, error=str(error))
        if self._queue and self._queue[0] is first:
            self._queue.popleft()

    async def drain(self, *, within_s: float = 5.0) -> None:
        """Return once everything buried before has been published, or after a while."""
        until = self._clock.monotonic() + within_s
        while self._queue and self._link.is_connected and self._clock.monotonic() < until:
            await self._clock.sleep(0.01)

    async def all(self) -> AsyncIterator[DeadLetter]:
        log = JetStreamLog(
            link=self._link, clock=self._clock, stream=subjects.DEAD_STREAM, bury=self.bury
        )
        async for sequence, delivery in log.scan([subjects.dead_subject(">")]):
            ack = wire.parse_ack_subject(delivery.reply)
            at = ack.stored_at_ns / 1e9 if ack is not None else 0.0
            yield dead_letter(sequence, dict(delivery.headers or {}), delivery.payload, at=at)

    async def remove(self, sequence: int) -> None:
        request = b'{"seq":%d,"no_erase":true}' % sequence
        subject = f"$JS.API.STREAM.MSG.DELETE.{subjects.DEAD_STREAM}"
        try:
            delivery = await self._link.request(subject, request)
            wire.answer(f"dead letter {sequence}", delivery, _Removed)
        except RefusedError as error:
            if error.code not in (wire.MESSAGE_NOT_FOUND, _NO_SUCH_SEQUENCE):
                raise
