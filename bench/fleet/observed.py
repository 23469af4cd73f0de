"""A fleet seen from outside: the rounds in its chains, and what its processes have used."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import msgspec
import numpy as np

from bench.fleet.place import Place
from bench.fleet.usage import Used, used_by
from engine.messaging.background import beside
from engine.messaging.ports import Message

__all__ = ["Commits", "Counted", "Watch"]

LOOK_S = 0.1  # between two readings
LOOK_SOON_S = 0.002


class Counted(msgspec.Struct, frozen=True, tag="decide"):
    """What a measurement wants of a Decide: the rest of its bytes is passed over."""

    partition: int
    metrics_sequence: int
    decided: int


_decoder = msgspec.msgpack.Decoder(Counted)


class Commits:
    """The rounds of all chains as they come to a reader: they are stored by then.

    Each is looked at as it comes, in some microseconds. Were they kept for the end, what comes
    meanwhile would be noted seconds late.
    """

    def __init__(self, place: Place) -> None:
        self.rounds: list[tuple[float, Counted]] = []
        self._place = place

    @asynccontextmanager
    async def followed(self, *, only_new: bool = False) -> AsyncIterator[None]:
        """Note what comes while the body runs, with the moment (monotonic)."""
        async with self._place.broker.chain.follow(self._come, after=None if only_new else 0):
            yield

    async def first_round(self) -> None:
        """Return once a round has come."""
        while not self.rounds:
            await self._place.clock.sleep(LOOK_SOON_S)

    def _come(self, message: Message) -> None:
        with suppress(msgspec.ValidationError):  # a record of another kind
            found = _decoder.decode(message.payload)
            self.rounds.append((self._place.clock.monotonic(), found))


class Watch:
    """What workers and server have used, read ten times a second."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._read: list[tuple[float, float, float]] = []  # moment, workers' seconds, server's
        self.worker_mb = 0.0  # the most of any
        self.server_mb = 0.0

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Read while the body runs."""
        async with beside(self._run(), name="watch"):
            yield
            self._look()

    def cpu(self, since: float, until: float) -> tuple[float, float]:
        """Return the processor seconds of all workers, and of the server, between two moments."""
        moments, workers, server = np.array(self._read).T
        used = [np.interp([since, until], moments, each) for each in (workers, server)]
        return float(used[0][1] - used[0][0]), float(used[1][1] - used[1][0])

    async def _run(self) -> None:
        while True:
            self._look()
            await self._place.clock.sleep(LOOK_S)

    def _look(self) -> None:
        workers: list[Used] = [used_by(one.pid) for one in self._place.workers.values()]
        server = used_by(self._place.server.pid)
        now = self._place.clock.monotonic()
        self._read.append((now, sum(one.cpu_s for one in workers), server.cpu_s))
        self.worker_mb = max(self.worker_mb, *(one.resident_mb for one in workers))
        self.server_mb = max(self.server_mb, server.resident_mb)
