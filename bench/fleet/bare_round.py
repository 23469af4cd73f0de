"""The floor of a latency: a reader of one partition that decides nothing.

At each time at which a round would be due it stores a few bytes, if frames have come since: how
old they are by then is what the interval, the broker and this machine cost at this moment.
"""

import msgspec

from bench.fleet.place import Place
from engine.domain.ids import PARTITIONS
from engine.messaging.ports import Message

__all__ = ["BareRound"]

STREAM = {"name": "BENCH", "subjects": ["bench"], "storage": "file", "num_replicas": 1}


class BareRound:
    """Runs beside a load; `stored` has (sequence of a frame, when it was in a stored record)."""

    def __init__(self, place: Place, *, partition: int, interval: float) -> None:
        self.stored: list[tuple[int, float]] = []
        self._place = place
        self._partition = partition
        self._interval = interval
        self._waiting: list[int] = []

    async def run(self) -> None:
        """Read and store until cancelled."""
        clock, broker = self._place.clock, self._place.broker
        await broker.link.request("$JS.API.STREAM.CREATE.BENCH", msgspec.json.encode(STREAM))
        # As those of a worker: spread over the interval.
        offset = self._interval * self._partition / PARTITIONS
        async with broker.frames.follow(self._come, partitions=[self._partition], after=None):
            while True:
                await clock.sleep(self._interval - (clock.now() - offset) % self._interval)
                taken, self._waiting = self._waiting, []
                if taken:
                    await broker.link.request("bench", bytes(64))
                    now = clock.monotonic()
                    self.stored += [(sequence, now) for sequence in taken]

    def _come(self, message: Message) -> None:
        self._waiting.append(message.sequence)
