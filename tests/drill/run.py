"""One run of the drill: a fleet at work, changed and fed all the while, under a nemesis."""

import asyncio
import random
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import msgspec
import structlog

from drill.changes import Budgets, Changer, definitions
from drill.checker import Checker, Verdict
from drill.faults import Fault
from drill.fleet import DrillFleet, drill_servers
from drill.history import History, read_back
from drill.nemesis import Nemesis
from drill.progress import Progress
from drill.spender import Spender
from engine.campaigns.repository import Repository
from engine.clock import Clock
from engine.domain.ids import PARTITIONS
from engine.messaging.background import beside
from engine.messaging.nats import NatsBroker, connect
from engine.simulation.outbox import Outbox
from engine.worker.rerun import Rerun, rerun
from engine.worker.settings import WorkerSettings

__all__ = ["Outcome", "Plan", "drill"]

SETTLED_S = 30.0  # for what was fed last to be in the ledger
STEP_S = 0.2  # between two reports of the platforms: 64 frames
CLUSTER_STEP_S = 0.5  # three servers write each frame to one disk here
KEEP_EVERY_S = 5.0
SNAPSHOT_EVERY_S = 4.0

_log = structlog.get_logger(__name__)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What kind of run."""

    servers: int  # 1, or a cluster of 3 or 5 with as many replicas
    workers: int
    campaigns: int
    interval: float
    seconds: float
    seed: int
    module: str = "drill.worker"
    kinds: Sequence[str] = ()  # of faults; all where empty
    replayed: int = 64  # partitions whose rounds are decided again, and compared to the bit
    is_quiet: bool = True  # nothing is told while it runs


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a run came to."""

    plan: Plan
    verdict: Verdict
    history: History
    faults: list[Fault]
    not_recovered: list[Fault]
    replayed_rounds: int
    replay_differs: int  # partitions where a round came out otherwise than recorded
    changes: dict[str, int]
    samples: int
    doubled: int
    late: int
    seconds: float
    errors: list[str]  # what workers said of errors, the first few

    @property
    def is_sound(self) -> bool:
        """Return whether what is stored is as it must be."""
        return self.verdict.is_sound and not self.replay_differs


async def drill(plan: Plan, *, clock: Clock, folder: Path | None = None) -> Outcome:
    """Run one drill; `folder` keeps the workers' logs and the broker's store."""
    async with AsyncExitStack() as stack:
        if folder is None:
            made = stack.enter_context(tempfile.TemporaryDirectory(prefix="engine-drill-"))
            folder = Path(made)
        logs = folder / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        servers = await stack.enter_async_context(drill_servers(plan.servers, folder / "nats"))
        broker = await stack.enter_async_context(
            connect(
                ",".join(server.url for server in servers),
                name="drill",
                clock=clock,
                replicas=plan.servers,
            )
        )
        fleet = DrillFleet(
            folder=logs,
            module=plan.module,
            settings={
                "interval": plan.interval,
                "snapshot_every": SNAPSHOT_EVERY_S,
                "keep_every": KEEP_EVERY_S,
                "log_level": "info",
            },
            workers=plan.workers,
        )
        wanted = definitions(plan.campaigns, seed=plan.seed, now=clock.now(), seconds=plan.seconds)
        changer = Changer(
            repository=Repository(table=broker.campaigns, clock=clock, by="drill", patience=3.0),
            definitions=wanted,
            seed=plan.seed,
            seconds=plan.seconds,
            clock=clock,
        )
        spender = Spender(
            campaigns={one.id: tuple(one.platforms) for one in wanted},
            seed=plan.seed,
            step_s=STEP_S if plan.servers == 1 else CLUSTER_STEP_S,
            clock=clock,
        )
        budgets = Budgets()
        await stack.enter_async_context(broker.campaigns.follow(budgets.heard))
        await stack.enter_async_context(broker.chain.follow(spender.heard))
        await changer.publish_all()
        await stack.enter_async_context(fleet.running(servers))
        nemesis = Nemesis(
            fleet=fleet,
            servers=servers,
            spender=spender,
            link=broker.link,
            clock=clock,
            seed=plan.seed,
            kinds=plan.kinds,
        )
        progress = Progress(
            servers=plan.servers, seconds=plan.seconds, is_quiet=plan.is_quiet, clock=clock
        )
        began = clock.monotonic()
        async with beside(progress.run(lambda: spender.accepted, nemesis.told), name="progress"):
            await _torment(plan, broker, nemesis, changer, spender, clock)
            await fleet.stop()
        seconds = clock.monotonic() - began
        progress.say("reads back what is stored")
        checker, history = Checker(budgets=budgets), History()
        async for stored in read_back(broker.link, clock=clock):
            checker.add(stored.sequence, stored.record)
            history.add(stored)
        verdict = checker.verdict(fed_micros=spender.fed_micros, fed_samples=spender.fed_samples)
        again: list[Rerun] = []
        if verdict.is_sound:  # of chains that are not, nothing can be decided again
            progress.say(f"decides some of {history.rounds:,} rounds again")
            again = await _replayed(plan, broker)
        return Outcome(
            plan=plan,
            verdict=verdict,
            history=history,
            faults=nemesis.faults,
            not_recovered=nemesis.not_recovered,
            replayed_rounds=sum(one.rounds for one in again),
            replay_differs=sum(one.difference is not None for one in again),
            changes=dict(changer.changes),
            samples=sum(spender.fed_samples.values()),
            doubled=spender.doubled,
            late=spender.late,
            seconds=seconds,
            errors=[
                *(f"replay: {one.difference}" for one in again if one.difference is not None),
                *(line for line, _ in zip(fleet.tails(), range(20), strict=False)),
            ],
        )


async def _replayed(plan: Plan, broker: NatsBroker) -> list[Rerun]:
    """Decide the rounds of some partitions again, from what is stored, and compare."""
    numbers = random.Random(plan.seed).sample(range(PARTITIONS), plan.replayed)
    settings = WorkerSettings(interval=plan.interval)
    interval_ms = round(plan.interval * 1000)
    return [
        await rerun(number, broker=broker, settings=settings, interval_ms=interval_ms)
        for number in sorted(numbers)
    ]


async def _torment(
    plan: Plan,
    broker: NatsBroker,
    nemesis: Nemesis,
    changer: Changer,
    spender: Spender,
    clock: Clock,
) -> None:
    """Feed, change and do harm for the plan's time; then let everything come to rest."""
    outbox = Outbox(frames=broker.frames, clock=clock, capacity=20_000)
    async with asyncio.TaskGroup() as group:
        sender = group.create_task(outbox.run())
        if not await nemesis.recovered():
            raise AssertionError("the fleet does not decide, before any fault")
        feeding = group.create_task(spender.run(outbox))
        changing = group.create_task(changer.run())
        await nemesis.run(plan.seconds)
        feeding.cancel()
        changing.cancel()
        outbox.put(spender.rest())
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLED_S):
                await outbox.drained()
                while not spender.is_settled:
                    await clock.sleep(0.05)
        sender.cancel()
    _log.info(
        "settled" if spender.is_settled else "not_settled",
        samples=sum(spender.fed_samples.values()),
    )
