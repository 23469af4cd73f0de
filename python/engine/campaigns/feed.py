"""Samples into metric frames: many rows a message, one partition and one unit of money a frame."""

from types import TracebackType
from typing import Self

from engine.campaigns.repository import PATIENCE_S, answered_within
from engine.core.frames import MOST_ROWS, FrameWriter
from engine.domain.ids import partition_of
from engine.domain.metrics import Sample
from engine.domain.money import unit_micros
from engine.messaging.ports import Frames

__all__ = ["Feed"]


class Feed:
    """Frames samples and publishes them; `async with` sends what is left and waits for all.

    `producer` must be a name that no other process start has: with the sequence, which rises by
    one a frame in each partition, it tells a frame that was sent twice from a new one.
    """

    def __init__(self, *, frames: Frames, producer: str) -> None:
        self._frames = frames
        self._producer = producer
        self._writer = FrameWriter(producer=producer)
        self._waiting: dict[tuple[int, int], list[Sample]] = {}  # by partition and unit
        self.sent = 0  # frames
        self.published = 0  # samples

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            for batch in list(self._waiting):
                await self._send(*batch)
            async with answered_within(PATIENCE_S):
                await self._frames.flush()

    async def add(self, sample: Sample, *, currency: str) -> None:
        """Take a sample that has been checked; sends a frame when there are enough for one."""
        batch = (partition_of(sample.campaign), unit_micros(currency))
        samples = self._waiting.setdefault(batch, [])
        samples.append(sample)
        if len(samples) >= MOST_ROWS:
            await self._send(*batch)

    async def _send(self, partition: int, unit: int) -> None:
        samples = self._waiting.pop((partition, unit))
        for _, sequence, frame in self._writer.write(samples, unit_micros=unit):
            message_id = f"{self._producer}:{partition}:{sequence}"
            async with answered_within(PATIENCE_S):
                await self._frames.publish(partition, frame, message_id=message_id)
            self.sent += 1
        self.published += len(samples)
