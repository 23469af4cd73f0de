"""A fleet that is not there: campaigns in the table, and decisions for all of them in each round.

Only what the dashboard reads is published: entries, records and heartbeats. Figures wander, so that
every row of every view changes as it would.
"""

import asyncio
import random

from engine.clock import SystemClock
from engine.domain.campaign import Campaign, Definition, Flight, PlatformBounds
from engine.domain.codec import encode_campaign
from engine.domain.decision import Action, Binding
from engine.domain.ids import PARTITIONS, partition_of
from engine.domain.lifecycle import State
from engine.messaging.nats import NatsBroker
from engine.messaging.records import Columns, Decide, Heartbeat, Take, encode

__all__ = ["Feed"]

PLATFORMS = ("google", "meta", "tiktok", "amazon")
AT_ONCE = 256
WORKERS = 4


class Feed:
    """Publishes `count` campaigns, then a round of each partition every `interval_s`."""

    def __init__(self, *, broker: NatsBroker, count: int, interval_s: float, seed: int = 7) -> None:
        self._broker = broker
        self._clock = SystemClock()
        self._interval_s = interval_s
        self._random = random.Random(seed)
        self._names = [f"campaign-{i:06d}" for i in range(count)]
        self._by_partition: dict[int, list[str]] = {n: [] for n in range(PARTITIONS)}
        for name in self._names:
            self._by_partition[partition_of(name)].append(name)
        self._sequences: dict[int, int] = {}
        self._round = 0
        self.late_s = 0.0  # by how much the slowest round came late

    async def publish(self) -> None:
        """Put all campaigns in the table, and take all partitions."""
        now = self._clock.now()
        waiting = iter(self._names)

        async def some() -> None:
            for name in waiting:
                payload = encode_campaign(self._campaign(name, now))
                await self._broker.campaigns.put(name, payload, expected=0)

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(some())
        for partition in range(PARTITIONS):
            take = Take(
                partition=partition,
                previous=0,
                epoch=1,
                owner=_owner(partition),
                at_ms=round(now * 1000),
                round=0,
                metrics_sequence=0,
                campaigns_revision=0,
            )
            self._sequences[partition] = await self._broker.chain.append(
                partition, encode(take), expected=0
            )

    async def run(self) -> None:
        """Decide and beat until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._beat())
            group.create_task(self._decide())

    async def _decide(self) -> None:
        """Spread the partitions over the interval, as a fleet does."""
        due = self._clock.monotonic()
        while True:
            self._round += 1
            for partition in range(PARTITIONS):
                due += self._interval_s / PARTITIONS
                await self._clock.sleep(max(due - self._clock.monotonic(), 0))
                record = encode(self._record(partition))
                self._sequences[partition] = await self._broker.chain.append(
                    partition, record, expected=self._sequences[partition]
                )
                self.late_s = max(self.late_s, self._clock.monotonic() - due)

    async def _beat(self) -> None:
        began = self._clock.now()
        while True:
            for worker in range(WORKERS):
                mine = list(range(worker, PARTITIONS, WORKERS))
                beat = Heartbeat(
                    worker=_owner(worker),
                    version="1",
                    started_at=began,
                    at=self._clock.now(),
                    partitions=mine,
                    rounds=self._round * len(mine),
                    round_ms=20.0,
                )
                await self._broker.heartbeats.beat(_owner(worker), encode(beat))
            await self._clock.sleep(0.1)

    def _campaign(self, name: str, now: float) -> Campaign:
        platforms = {one: PlatformBounds() for one in PLATFORMS}
        definition = Definition(
            id=name,
            name=f"Campaign {name[-6:]}",
            budget_micros=self._random.randrange(10**9, 10**11),
            flight=Flight(now - 3600, now + 86_400),
            platforms=platforms,
            conversion_value_micros=20_000_000,
        )
        return Campaign(
            definition=definition, state=State.ACTIVE, changed_at=now, changed_by="bench"
        )

    def _record(self, partition: int) -> Decide:
        names, draw = self._by_partition[partition], self._random
        count, wide = len(names), len(PLATFORMS)
        rows = count * wide
        settled = [draw.randrange(10**8, 10**10) for _ in range(count)]
        return Decide(
            partition=partition,
            previous=self._sequences[partition],
            epoch=1,
            owner=_owner(partition),
            round=self._round,
            at_ms=round(self._clock.now() * 1000),
            metrics_sequence=self._round,
            campaigns_revision=1,
            decided=count,
            settled_micros=sum(settled),
            reserved_micros=count,
            platforms=list(PLATFORMS),
            changed=Columns(
                campaign=names,
                action=[Action.BID] * count,
                binding=draw.choices(list(Binding), k=count),
                best=draw.choices(range(wide), k=count),
                pacing_multiplier=[draw.random() for _ in range(count)],
                settled_micros=settled,
                reserved_micros=[10**6] * count,
                series_count=[wide] * count,
                platform=list(range(wide)) * count,
                bid_micros=[draw.randrange(10**5, 10**6) for _ in range(rows)],
                cap_micros=[10**9] * rows,
                cpc_micros=[draw.random() * 1e6 for _ in range(rows)],
                cvr=[draw.random() / 20 for _ in range(rows)],
                roi_micros=[draw.random() * 1e6 - 3e5 for _ in range(rows)],
                confidence=[draw.random() for _ in range(rows)],
                bound_by=[0] * rows,
            ),
        )


def _owner(number: int) -> str:
    return f"worker-{number % WORKERS + 1}"
