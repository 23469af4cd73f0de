"""A nats-server, campaigns on it, and worker processes that can be killed and started anew."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from engine.clock import Clock, SystemClock
from engine.domain.campaign import Campaign, Definition, Flight, PlatformBounds
from engine.domain.codec import encode_campaign
from engine.domain.ids import PARTITIONS
from engine.domain.lifecycle import State
from engine.messaging import subjects, wire
from engine.messaging.child import dies_with_parent
from engine.messaging.embedded import EmbeddedServer, embedded_server
from engine.messaging.jetstream import JetStreamLog
from engine.messaging.nats import NatsBroker, connect
from engine.messaging.records import Record, Release, Take, decode_record

__all__ = ["Place", "Stored", "place", "server_with", "stored"]

FLIGHT_S = 7200.0
AT_ONCE = 256
Stored = tuple[float, Record]
"""When the broker stored a record (epoch seconds), and the record."""


class Place:
    """What a measurement works on."""

    def __init__(self, server: EmbeddedServer, broker: NatsBroker, clock: Clock) -> None:
        self.server = server
        self.broker = broker
        self.clock = clock
        self.owners: dict[int, str] = {}
        self.decided: dict[int, int] = {}
        self.workers: dict[str, asyncio.subprocess.Process] = {}
        self._flags: tuple[str, ...] = ()

    def set_flags(self, *flags: str) -> None:
        self._flags = flags

    async def start(self, name: str) -> None:
        """Start a worker."""
        self.workers[name] = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "engine.worker", "--nats", self.server.url, "--name", name),
            *("--log-level", "error", *self._flags),
            env={k: v for k, v in os.environ.items() if not k.startswith("ENGINE_")},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            preexec_fn=dies_with_parent(),
        )

    def send(self, name: str, number: signal.Signals) -> None:
        process = self.workers[name]
        if process.returncode is None:
            process.send_signal(number)

    async def ended(self, name: str) -> None:
        await self.workers.pop(name).wait()

    def shares(self) -> dict[str, int]:
        """Return how many partitions each worker owns, as the chains say."""
        found = dict.fromkeys(self.workers, 0)
        for owner in self.owners.values():
            found[owner] = found.get(owner, 0) + 1
        return found

    async def even(self, within_s: float = 30.0) -> None:
        """Return once every partition is owned by a running worker, in even shares."""
        fair = PARTITIONS // len(self.workers)
        until = self.clock.monotonic() + within_s
        while True:
            shares = self.shares()
            living = [shares.get(name, 0) for name in self.workers]
            if sum(living) == PARTITIONS and min(living) >= fair - 1:
                return
            if self.clock.monotonic() > until:
                raise AssertionError(f"the fleet does not come to rest: {shares}")
            await self.clock.sleep(0.02)

    def heard(self, partition: int, payload: bytes) -> None:
        record = decode_record(str(partition), payload)
        if isinstance(record, Take):
            self.owners[partition] = record.owner
        elif isinstance(record, Release):
            self.owners.pop(partition, None)
        else:
            self.decided[partition] = record.round


@asynccontextmanager
async def place(
    *, campaigns: int, flags: tuple[str, ...] = (), tells_of_clients: bool = True
) -> AsyncIterator[Place]:
    """Run a server with some campaigns in its table; workers are started by the body."""
    now = SystemClock().now()
    some = [_campaign(f"campaign-{number}", now) for number in range(campaigns)]
    async with (
        server_with(some, flags=flags, tells_of_clients=tells_of_clients) as found,
        found.broker.chain.follow(lambda m: found.heard(m.partition, m.payload)),
    ):
        yield found


@asynccontextmanager
async def server_with(
    campaigns: Iterable[Campaign],
    *,
    flags: tuple[str, ...] = (),
    tells_of_clients: bool = True,
    syncs_always: bool = True,
) -> AsyncIterator[Place]:
    """Run a server with these campaigns in its table; nobody follows the chains."""
    clock = SystemClock()
    async with (
        embedded_server(
            name="bench", tells_of_clients=tells_of_clients, syncs_always=syncs_always
        ) as server,
        connect(server.url, name="bench", clock=clock) as broker,
    ):
        await _publish(broker, campaigns)
        found = Place(server, broker, clock)
        found.set_flags(*flags)
        try:
            yield found
        finally:
            for name, process in found.workers.items():
                found.send(name, signal.SIGKILL)
                await process.wait()


async def _publish(broker: NatsBroker, campaigns: Iterable[Campaign]) -> None:
    """Put campaigns into the table, many at once: they are then synced together."""
    waiting = iter(campaigns)

    async def some() -> None:
        for one in waiting:
            await broker.campaigns.put(one.definition.id, encode_campaign(one), expected=0)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(some())


async def stored(place: Place) -> AsyncIterator[Stored]:
    """Iterate every record of every chain, with the time at which the broker stored it."""
    log = JetStreamLog(
        link=place.broker.link,
        clock=place.clock,
        stream=subjects.DECISIONS_STREAM,
        bury=lambda *_: None,
    )
    async for _, delivery in log.scan([subjects.decisions_subject("*")]):
        ack = wire.parse_ack_subject(delivery.reply)
        assert ack is not None, delivery.reply
        yield ack.stored_at_ns / 1e9, decode_record(delivery.subject, delivery.payload)


def _campaign(name: str, now: float) -> Campaign:
    return Campaign(
        definition=Definition(
            id=name,
            currency="USD",
            budget_micros=1_000_000_000,
            flight=Flight(starts_at=now - 60, ends_at=now + FLIGHT_S),
            platforms={"google": PlatformBounds(), "meta": PlatformBounds()},
            conversion_value_micros=20_000_000,
        ),
        state=State.ACTIVE,
        changed_at=now,
        changed_by="bench",
    )
