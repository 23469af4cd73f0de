"""One partition over the in-memory broker, with time moved by hand."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from engine.domain.campaign import Campaign
from engine.domain.codec import decode_campaign, encode_campaign
from engine.messaging import subjects
from engine.messaging.memory import MemoryBroker, MemoryServer
from engine.messaging.ports import Snapshots
from engine.messaging.records import Decide, Record, decode_record
from engine.worker.partition import Partition
from engine.worker.settings import WorkerSettings
from engine.worker.tally import Tally
from support.clock import ManualClock, settle
from support.definitions import START, campaign, frame, report

P = 25  # where spring-shoes is
NAME = "spring-shoes"


class Fleet:
    """A broker, a clock, and partitions that run over them."""

    def __init__(self) -> None:
        self.clock = ManualClock(START)
        self.server = MemoryServer()
        self.broker = MemoryBroker(server=self.server, name="test", clock=self.clock)
        self.frames = 0
        self.second = ""  # another campaign, and its revision, where a test has one
        self.revision = 0
        self.snapshots: Snapshots | None = None  # in the place of the broker's

    async def publish(self, campaign_id: str = NAME, *, expected: int = 0, **fields: Any) -> int:  # noqa: ANN401
        payload = encode_campaign(campaign(campaign_id, **fields))
        return await self.broker.campaigns.put(campaign_id, payload, expected=expected)

    async def report(self, name: str = NAME, platform: str = "google", **fields: Any) -> None:  # noqa: ANN401
        self.frames += 1
        rows = [report(name, platform, **({"at": self.clock.now()} | fields))]
        payload = frame(P, rows, sequence=self.frames)
        await self.broker.frames.publish(P, payload, message_id=f"f{self.frames}")

    def forget_frames(self) -> None:
        """Let every frame stored so far age out."""
        self.server.streams[subjects.METRICS_STREAM].entries.clear()

    async def records(self) -> list[Record]:
        return [
            decode_record("", message.payload)
            async for message in self.broker.chain.read(P, after=0)
        ]

    async def entry(self, name: str = NAME) -> Campaign:
        """Return a campaign as the table has it."""
        message = await self.broker.campaigns.get(name)
        assert message is not None
        return decode_campaign("", message.payload)

    async def rounds(self) -> list[Decide]:
        return [record for record in await self.records() if isinstance(record, Decide)]

    @asynccontextmanager
    async def worker(self, name: str = "w1", **settings: Any) -> AsyncIterator["Running"]:  # noqa: ANN401
        broker = MemoryBroker(server=self.server, name=name, clock=self.clock)
        if self.snapshots is not None:
            broker.snapshots = self.snapshots  # type: ignore[assignment]  # any that keeps the port
        running = Running(broker, self.clock, name, WorkerSettings(**settings))
        running.task = asyncio.create_task(running.partition.run())
        await settle()
        try:
            yield running
        finally:
            running.task.cancel()
            await asyncio.wait([running.task])


class NoSnapshots:
    """Keeps nothing."""

    async def put(self, partition: int, payload: bytes) -> None:
        """Forget it."""

    async def newest(self, partition: int) -> bytes | None:
        return None


class DamagedSnapshots(NoSnapshots):
    """Gives back the newest snapshot with its last bytes turned."""

    def __init__(self) -> None:
        self._kept: bytes | None = None

    async def put(self, partition: int, payload: bytes) -> None:
        self._kept = payload[:-9] + bytes(byte ^ 0xFF for byte in payload[-9:])

    async def newest(self, partition: int) -> bytes | None:
        return self._kept


class Running:
    """A partition at work."""

    task: asyncio.Task[None]

    def __init__(
        self, broker: MemoryBroker, clock: ManualClock, name: str, settings: WorkerSettings
    ) -> None:
        self.broker = broker
        self.tally = Tally()
        self.partition = Partition(
            P,
            broker=broker,
            clock=clock,
            worker=name,
            settings=settings,
            tally=self.tally,
            taking=asyncio.Semaphore(8),
            moved=lambda: None,
        )
