"""What befalls the fleet: one fault after another, chosen by a seed, each written down."""

import os
import random
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import msgspec
import structlog

from drill.faults import WEIGHTS, Fault
from drill.fleet import DrillFleet, DrillWorker
from drill.spender import Spender
from engine.clock import Clock
from engine.errors import EngineError
from engine.messaging import subjects, wire
from engine.messaging.embedded import EmbeddedServer
from engine.messaging.link import Delivery, Link

__all__ = ["Nemesis"]

RECOVERY_S = 30.0
LONG_RECOVERY_S = 180.0  # without snapshots everything is decided again that samples are kept of
LOOK_S = 0.02
ANSWER_S = 20.0  # how long a cluster may take to do what the nemesis asks of a stream

_log = structlog.get_logger(__name__)


class Nemesis:
    """Faults without pause but for recovery. `run` goes on until a time has come."""

    def __init__(
        self,
        *,
        fleet: DrillFleet,
        servers: Sequence[EmbeddedServer],
        spender: Spender,
        link: Link,
        clock: Clock,
        seed: int,
        kinds: Sequence[str] = (),
    ) -> None:
        self.faults: list[Fault] = []
        self.not_recovered: list[Fault] = []
        self._fleet = fleet
        self._servers = servers
        self._spender = spender
        self._link = link
        self._clock = clock
        self._random = random.Random(seed)
        self._kinds = list(kinds) or list(WEIGHTS)
        self._bag: list[str] = []

    @property
    def counts(self) -> dict[str, int]:
        """Return how many faults of each kind there were."""
        return dict(sorted(Counter(fault.kind for fault in self.faults).items()))

    def told(self) -> str:
        """Return in words how many faults there were, and the newest one."""
        if not self.faults:
            return "no fault yet"
        newest = self.faults[-1]
        away = f", {len(self.not_recovered)} not recovered from" if self.not_recovered else ""
        return f"{len(self.faults)} faults{away}, {newest.kind} {newest.target}".rstrip()

    async def run(self, seconds: float) -> None:
        """Do harm for some seconds; the last fault is recovered from when this returns."""
        until = self._clock.monotonic() + seconds
        while self._clock.monotonic() < until:
            kind = self._next()
            fault = Fault(kind=kind, at=self._clock.now())
            self.faults.append(fault)
            do: Callable[[Fault], Awaitable[None]] = getattr(self, f"_{kind}")
            await do(fault)
            fault.over_at = self._clock.now()
            _log.info("fault", kind=kind, target=fault.target, seconds=fault.over_at - fault.at)
            within_s = LONG_RECOVERY_S if kind == "no_snapshots" else RECOVERY_S
            if not await self.recovered(within_s=within_s):
                _log.error("not_recovered", kind=kind, target=fault.target)
                self.not_recovered.append(fault)
            await self._clock.sleep(self._random.uniform(0.1, 0.6))

    async def recovered(self, *, within_s: float = RECOVERY_S) -> bool:
        """Wait until every partition decides again and every worker has some; False if never."""
        since = self._clock.monotonic()
        names = {worker.name for worker in self._fleet.workers if worker.is_running}
        spender = self._spender
        while self._clock.monotonic() < since + within_s:
            is_decided = all(
                spender.decided_at.get(number, 0.0) > since and spender.decided_by[number] in names
                for number in spender.partitions
            )
            if is_decided and names <= set(spender.decided_by.values()):
                return True
            await self._clock.sleep(LOOK_S)
        return False

    def _next(self) -> str:
        """Draw from a bag that holds each kind as often as its weight.

        Each kind comes once before any comes twice, so that a short run has as many as it can.
        """
        if not self._bag:
            kinds = self._random.sample(self._kinds, len(self._kinds))
            turns = range(max(WEIGHTS[kind] for kind in kinds))
            self._bag = [kind for turn in turns for kind in kinds if WEIGHTS[kind] > turn]
        return self._bag.pop(0)

    def _worker(self, fault: Fault) -> DrillWorker:
        """Choose a worker; the fault begins now."""
        worker = self._random.choice([one for one in self._fleet.workers if one.is_running])
        fault.target, fault.at = worker.name, self._clock.now()
        return worker

    async def _some_time(self, least: float, most: float) -> None:
        await self._clock.sleep(self._random.uniform(least, most))

    # workers

    async def _worker_kill(self, fault: Fault) -> None:
        worker = self._worker(fault)
        worker.send(signal.SIGKILL)
        await worker.ended()
        await self._some_time(0.8, 1.5)
        await self._fleet.start(worker)

    async def _worker_stop(self, fault: Fault) -> None:
        worker = self._worker(fault)
        worker.send(signal.SIGSTOP)
        try:
            await self._some_time(1.0, 2.5)
        finally:
            worker.send(signal.SIGCONT)

    async def _worker_term(self, fault: Fault) -> None:
        worker = self._worker(fault)
        worker.send(signal.SIGTERM)
        await worker.ended()
        await self._fleet.start(worker)

    async def _rolling_restart(self, fault: Fault) -> None:
        """Restart one after another, each once the one before has partitions again."""
        fault.target = "all"
        for worker in self._fleet.workers:
            worker.send(signal.SIGTERM)
            await worker.ended()
            await self._fleet.start(worker)
            await self.recovered()

    async def _clock_jump(self, fault: Fault) -> None:
        worker = self._worker(fault)
        seconds = self._random.choice((-600.0, -5.0, -0.7, -0.05, 0.05, 0.7, 5.0, 600.0))
        worker.jump(seconds)
        await self._some_time(0.5, 2.0)
        if self._random.random() < 0.5:
            worker.send(signal.SIGKILL)  # others take up a chain with its times
            await worker.ended()
            worker.jump(0.0)  # by a clock that is wrong none starts
            await self._fleet.start(worker)
        worker.jump(0.0)

    # the network

    async def _black_hole(self, fault: Fault) -> None:
        worker = self._worker(fault)
        self._fleet.links.swallow(worker.place)
        try:
            await self._some_time(1.0, 4.0)
        finally:
            self._fleet.links.heal(worker.place)

    async def _deaf_link(self, fault: Fault) -> None:
        worker = self._worker(fault)
        self._fleet.links.deafen(worker.place)
        try:
            await self._some_time(0.5, 3.0)
        finally:
            self._fleet.links.heal(worker.place)

    async def _slow_link(self, fault: Fault) -> None:
        worker = self._worker(fault)
        self._fleet.links.delay(worker.place, self._random.uniform(0.01, 0.05))
        await self._some_time(1.0, 2.0)
        self._fleet.links.delay(worker.place, 0.0)

    # the broker

    async def _server(self, fault: Fault) -> EmbeddedServer:
        """Choose a server, of a cluster every other time the one that leads the decisions."""
        server = self._random.choice(self._servers)
        if len(self._servers) > 1 and self._random.random() < 0.5:
            leader = await self._leader()
            server = next((one for one in self._servers if one.name == leader), server)
        fault.target, fault.at = server.name, self._clock.now()
        return server

    async def _leader(self) -> str:
        stream = subjects.DECISIONS_STREAM
        delivery = await self._asked(f"$JS.API.STREAM.INFO.{stream}")
        return wire.answer(stream, delivery, _Led).cluster.leader

    async def _broker_kill(self, fault: Fault) -> None:
        server = await self._server(fault)
        await server.kill()
        await self._some_time(0.1, 1.5)
        await server.start()

    async def _broker_stop(self, fault: Fault) -> None:
        server = await self._server(fault)
        os.kill(server.pid, signal.SIGSTOP)
        try:
            await self._some_time(0.3, 3.0)
        finally:
            os.kill(server.pid, signal.SIGCONT)

    async def _kill_in_outage(self, fault: Fault) -> None:
        """A worker dies while the broker is away: nobody can know who lives when it is back."""
        server = await self._server(fault)
        worker = self._random.choice([one for one in self._fleet.workers if one.is_running])
        await server.kill()
        await self._some_time(0.0, 0.5)
        worker.send(signal.SIGKILL)
        await worker.ended()
        await server.start()
        await self._fleet.start(worker)

    # the streams

    async def _full_stream(self, fault: Fault) -> None:
        """Let a stream refuse what comes, with what is in it left alone."""
        stream = self._random.choice(
            (subjects.STATE_STREAM, subjects.METRICS_STREAM, subjects.DECISIONS_STREAM)
        )
        fault.target = stream
        asked = await self._asked(f"$JS.API.STREAM.INFO.{stream}")
        config = wire.answer(stream, asked, wire.StreamInfo).config
        await self._update(config | {"max_bytes": 1, "discard": "new"})
        fault.at = self._clock.now()
        try:
            await self._some_time(0.5, 2.0)
        finally:
            await self._update(config)

    async def _no_snapshots(self, fault: Fault) -> None:
        await self._asked(f"$JS.API.STREAM.PURGE.{subjects.STATE_STREAM}")
        await self._worker_kill(fault)

    async def _update(self, config: dict[str, object]) -> None:
        await self._asked(f"$JS.API.STREAM.UPDATE.{config['name']}", msgspec.json.encode(config))

    async def _asked(self, subject: str, payload: bytes = b"") -> Delivery:
        """Ask JetStream until it does as it is told: a cluster may be electing somebody."""
        until = self._clock.monotonic() + ANSWER_S
        while True:
            try:
                delivery = await self._link.request(subject, payload, timeout_s=5.0)
                wire.answer(subject, delivery, _Led)
            except EngineError:
                if self._clock.monotonic() > until:
                    raise
            else:
                return delivery
            await self._clock.sleep(0.2)


class _Cluster(msgspec.Struct, frozen=True):
    leader: str = ""


class _Led(msgspec.Struct, frozen=True):
    cluster: _Cluster = _Cluster()
