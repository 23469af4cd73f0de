"""Frames on their way to the broker, held back while it is away."""

import asyncio
from collections import deque
from typing import NamedTuple

import structlog

from engine.clock import Clock
from engine.errors import BrokerError
from engine.messaging.ports import Frames

__all__ = ["OutFrame", "Outbox"]

_log = structlog.get_logger()
_RETRY_SECONDS = 0.2


class OutFrame(NamedTuple):
    """One frame, ready to publish."""

    partition: int
    message_id: str
    payload: bytes


class Outbox:
    """Publishes frames in order and loses none: one that is not stored stays at the front."""

    def __init__(self, *, frames: Frames, clock: Clock, capacity: int) -> None:
        self._frames = frames
        self._clock = clock
        self._capacity = capacity
        self._held: deque[OutFrame] = deque()
        self._more = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def is_full(self) -> bool:
        return len(self._held) >= self._capacity

    def __len__(self) -> int:
        return len(self._held)

    def put(self, frames: list[OutFrame]) -> None:
        """Take frames over. One step may pass the capacity; ask `is_full` before the next."""
        self._held.extend(frames)
        if self._held:
            self._empty.clear()
            self._more.set()

    async def run(self) -> None:
        """Publish what is put in, until cancelled."""
        while True:
            await self._more.wait()
            while self._held:
                await self._publish(self._held[0])
                self._held.popleft()
            self._more.clear()
            self._empty.set()

    async def drained(self) -> None:
        """Return once all that was put in has been stored. Wants `run` to be running."""
        await self._empty.wait()
        await self._frames.flush()

    async def _publish(self, frame: OutFrame) -> None:
        while True:
            try:
                await self._frames.publish(
                    frame.partition, frame.payload, message_id=frame.message_id
                )
            except BrokerError as error:
                # The same bytes under the same id: stored once, however often they are sent.
                _log.warning("frame_held_back", held=len(self._held), reason=str(error))
                await self._clock.sleep(_RETRY_SECONDS)
            else:
                return
