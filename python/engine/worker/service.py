"""The worker: says that it is alive, listens to the others, holds the partitions that are its own.

Which are its own follows from who is alive (`fleet`). A worker that joins makes the others give
back what is not theirs any more; one that is silent for a suspicion time is taken for dead. Both
may be judged wrongly without harm: the chain of a partition has one owner at a time.
"""

import asyncio
from typing import TYPE_CHECKING

import structlog

from engine.clock import Clock
from engine.errors import FencedError, MalformedMessageError, MessagingError
from engine.fleet.assignment import assign
from engine.fleet.membership import DEAF_S, HEARTBEAT_S, SUSPICION_S, Membership
from engine.messaging.link import UnansweredError
from engine.messaging.ports import Broker
from engine.messaging.records import Heartbeat, decode_heartbeat, encode
from engine.messaging.subjects import heartbeat_subject
from engine.worker.inbox import Room
from engine.worker.load import Load
from engine.worker.pause import Pause
from engine.worker.portion import Portion, RecordTooLargeError
from engine.worker.settings import WorkerSettings
from engine.worker.tally import Tally

if TYPE_CHECKING:
    from engine.worker.partition import Partition

__all__ = ["Worker"]

_log = structlog.get_logger(__name__)

TAKEN_AT_ONCE = 16
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
LOOK_AFTER_S = 0.001  # after the moment at which somebody may be found silent
STUCK_S = 10.0
"""A loop that has not sent a heartbeat for so long does not turn any more."""


class Worker:
    """One process of the fleet. `run` works until `stop`, then gives everything back.

    The settings of a fleet belong together: a worker with another interval or window decides
    otherwise about what it takes over.
    """

    def __init__(
        self,
        *,
        broker: Broker,
        clock: Clock,
        name: str,
        settings: WorkerSettings,
        version: str = "",
    ) -> None:
        self.name = name
        self.tally = Tally()
        self._broker = broker
        self._clock = clock
        self._settings = settings
        self._version = version
        self._partitions: dict[int, Partition] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._not_before: dict[int, float] = {}  # partition → monotonic
        self._failures: dict[int, int] = {}  # partition → in a row
        self._portions: dict[int, Portion] = {}
        self._load = Load(worker=name, interval=settings.interval)
        self._room = Room()
        self._has_looked = False  # for what is nobody's, at the start
        self._beat_at: float | None = None  # monotonic, of the newest heartbeat
        self._taking = asyncio.Semaphore(TAKEN_AT_ONCE)
        self._looking = Pause(clock)
        self._beating = Pause(clock)
        self._told: list[int] = []
        self._assignments: dict[frozenset[str], dict[int, str]] = {}
        self._stops = 0
        self._grace: asyncio.Timeout | None = None

    @property
    def is_ready(self) -> bool:
        """Return whether this worker can decide now."""
        return not self.hindrances()

    @property
    def is_live(self) -> bool:
        """Return whether the loop turns. A broker that is away is no reason to be restarted."""
        return self._beat_at is None or self._clock.monotonic() - self._beat_at < STUCK_S

    def hindrances(self) -> list[str]:
        """Return what keeps this worker from deciding, in words; nothing where it is ready."""
        found = []
        if self._beat_at is None:
            found.append("it has not begun")
        if self._looking.is_over:
            found.append("it is stopping")
        if not self._broker.is_connected:
            found.append("the broker is away")
        stuck = sorted(number for number, one in self._portions.items() if one.is_stuck)
        if stuck:
            found.append(f"records of partitions {stuck} are larger than a message may be")
        return found

    def status(self) -> dict[str, object]:
        """Return what /status tells: figures since the start, and what is held."""
        tally, hindrances = self.tally, self.hindrances()
        return {
            "worker": self.name,
            "version": self._version,
            "live": self.is_live,
            "ready": not hindrances,
            "hindrances": hindrances,
            "connected": self._broker.is_connected,
            "partitions": self.held(),
            "interval_s": self._settings.interval,
            "rounds": tally.rounds,
            "round_ms": round(tally.round_ms, 3),
            "late_rounds": tally.late_rounds,
            "skipped_rounds": tally.skipped_rounds,
            "overloaded": self._load.is_overloaded,
            "shed_rounds": tally.shed_rounds,
            "shed_share": round(self._load.share, 3),
            "decisions": tally.decisions,
            "samples": tally.samples,
            "lag_frames": self.lag_frames,
        }

    @property
    def lag_frames(self) -> int:
        """Return how many frames are stored and not counted in yet, over all partitions held."""
        return sum(one.intake.lag for one in self._partitions.values())

    @property
    def shed_share(self) -> float:
        """Return how much of the work of all rounds is left out now, 0 where there is time."""
        return self._load.share

    def held(self) -> list[int]:
        """Return the partitions that this worker owns, ascending."""
        return sorted(number for number, p in self._partitions.items() if p.is_owned)

    def stop(self) -> None:
        """Ask for the end: finish the rounds in hand, give the partitions back. Never blocks.

        Asked again, it leaves at once: what is not given back is taken from it all the same.
        """
        self._stops += 1
        self._looking.end()
        if self._stops > 1 and self._grace is not None and not self._grace.expired():
            self._grace.reschedule(asyncio.get_running_loop().time())

    async def run(self) -> None:
        """Work until stopped."""
        if self._looking.is_over:
            return
        fleet = Membership(self.name, now=self._clock.monotonic())

        def heard(worker: str, payload: bytes) -> None:
            self._heard(fleet, worker, payload)

        def lost(connection: str) -> None:
            if worker := fleet.lost(connection):
                _log.info("worker_lost", worker=worker, by=self.name)
                self._looking.wake()

        _log.info(
            "worker_started",
            worker=self.name,
            version=self._version,
            interval=self._settings.interval,
            window=self._settings.window,
        )
        listening = self._broker.heartbeats.listen(heard, lost=lost)
        async with listening, asyncio.TaskGroup() as group:
            beating = group.create_task(self._beat())
            await self._look_after_the_partitions(fleet, group)
            await self._give_everything_back()
            beating.cancel()
        _log.info("worker_stopped", worker=self.name, rounds=self.tally.rounds)

    # the fleet

    async def _beat(self) -> None:
        started_at = self._clock.now()
        while True:
            beat = Heartbeat(
                worker=self.name,
                version=self._version,
                started_at=started_at,
                at=self._clock.now(),
                partitions=self.held(),
                rounds=self.tally.rounds,
                decisions=self.tally.decisions,
                samples=self.tally.samples,
                lag_frames=self.lag_frames,
                round_ms=self.tally.round_ms,
                draining=self._looking.is_over,
                late_rounds=self.tally.late_rounds,
                skipped_rounds=self.tally.skipped_rounds,
                shed_rounds=self.tally.shed_rounds,
                shed_share=round(self._load.share, 3),
                connection=self._broker.heartbeats.connection,
            )
            self._beat_at = self._clock.monotonic()
            await self._broker.heartbeats.beat(self.name, encode(beat))
            await self._beating.sleep(HEARTBEAT_S)

    def _heard(self, fleet: Membership, worker: str, payload: bytes) -> None:
        try:
            beat = decode_heartbeat(heartbeat_subject(worker), payload)
        except MalformedMessageError as error:
            self._broker.dead_letters.bury(heartbeat_subject(worker), str(error), payload)
            return
        has_news = fleet.heard(
            worker,
            beat.partitions,
            age=beat.at - beat.started_at,
            is_leaving=beat.draining,
            now=self._clock.monotonic(),
            connection=beat.connection,
        )
        if has_news:
            self._looking.wake()

    async def _look_after_the_partitions(self, fleet: Membership, group: asyncio.TaskGroup) -> None:
        """Hold what should be this worker's, ten times a second or more, until stopped."""
        was_connected, looked_at = True, self._clock.monotonic()
        while not self._looking.is_over:
            now, is_connected = self._clock.monotonic(), self._broker.is_connected
            if is_connected != was_connected:
                _log.warning("broker_back" if is_connected else "broker_away", worker=self.name)
            if not is_connected or now - looked_at > DEAF_S or fleet.is_deaf(now):
                fleet.deaf_until(now)
            elif fleet.may_judge(now):
                self._settle(fleet, group, now)
            elif fleet.is_alone_at_start(now) and not self._has_looked:
                self._take_what_is_nobodys(fleet, group, now)
            self._tell_what_is_held()
            was_connected, looked_at = is_connected, now
            # Up to a heartbeat sooner than the next look: what is taken over waits for it.
            soon = min(fleet.silence_in(now), fleet.roll_call_ends_in(now)) + LOOK_AFTER_S
            await self._looking.sleep(min(HEARTBEAT_S, soon))

    def _settle(self, fleet: Membership, group: asyncio.TaskGroup, now: float) -> None:
        """Take what is ours and free; give back what is another's who can take it."""
        owners, takers = self._assigned(fleet.alive(now)), self._assigned(fleet.settled(now))
        elsewhere = fleet.held_by_others(now)
        for number, owner in owners.items():
            partition = self._partitions.get(number)
            if partition is None and owner != self.name:
                self._portions.pop(number, None)  # what hinders its rounds hinders another now
            if partition is not None:
                if self.name not in (owner, takers[number]):
                    partition.stop()
                elif partition.is_owned and number in elsewhere:
                    partition.verify()
            elif (
                owner == self.name
                and number not in elsewhere
                and now >= self._not_before.get(number, now)
            ):
                self._hold(number, group)

    def _take_what_is_nobodys(
        self, fleet: Membership, group: asyncio.TaskGroup, now: float
    ) -> None:
        """Take, once, the partitions that nobody has according to their chains.

        Those of somebody who is silent wait until silence means that it is dead. Should another
        worker begin in this moment, the chain has one of the two (docs/decisions, 0009).
        """
        self._has_looked = True
        for number in self._assigned(fleet.alive(now)):
            self._not_before[number] = now + fleet.judges_in(now)
            self._hold(number, group, only_free=True)

    def _assigned(self, workers: frozenset[str]) -> dict[int, str]:
        """Return `assign` of some workers, computed when they are others than before."""
        if workers not in self._assignments:
            if len(self._assignments) > 3:
                self._assignments.clear()
            self._assignments[workers] = assign(workers)
        return self._assignments[workers]

    def _tell_what_is_held(self) -> None:
        """Say it in one line, once the taking and giving has come to rest."""
        held = self.held()
        if held != self._told and len(held) == len(self._partitions):
            _log.info(
                "partitions_held",
                worker=self.name,
                count=len(held),
                taken=len(set(held) - set(self._told)),
                given=len(set(self._told) - set(held)),
            )
            self._told = held

    # partitions

    def _hold(self, number: int, group: asyncio.TaskGroup, *, only_free: bool = False) -> None:
        from engine.worker.partition import Partition  # numpy and the core: see `cli.worker`

        partition = Partition(
            number,
            broker=self._broker,
            clock=self._clock,
            worker=self.name,
            settings=self._settings,
            tally=self.tally,
            taking=self._taking,
            moved=self._beating.wake,
            portion=self._portions.setdefault(number, Portion()),
            load=self._load,
            room=self._room,
            only_free=only_free,
        )
        self._partitions[number] = partition
        task = group.create_task(self._run(partition), name=f"partition {number}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, partition: "Partition") -> None:
        """Run a partition to its end. What befalls one does not touch the others."""
        number = partition.number
        try:
            await partition.run()
            self._failures.pop(number, None)
        except FencedError as error:
            if partition.is_owned:
                self.tally.fenced += 1
                _log.warning("partition_lost", partition=number, reason=str(error))
            self._not_before[number] = self._clock.monotonic() + SUSPICION_S
        except RecordTooLargeError as error:
            _log.error("partition_failed", partition=number, reason=str(error))
            if not self._portions[number].is_stuck:
                self._failures.pop(number, None)  # the next try does something else
            self._wait_before(number)
        except UnansweredError as error:
            # The broker's silence is no fault of the partition: it is not made to wait ever longer.
            _log.warning("partition_put_off", partition=number, reason=str(error))
            self._not_before[number] = self._clock.monotonic() + FIRST_WAIT_S
        except MessagingError as error:
            _log.error("partition_failed", partition=number, reason=str(error))
            self._wait_before(number)
        except Exception as error:  # a fault in one must not end the others
            _log.error("partition_failed", partition=number, reason=repr(error), exc_info=error)
            self._wait_before(number)
        finally:
            del self._partitions[number]
            self._load.forget(number)
            self._beating.wake()

    def _wait_before(self, number: int) -> None:
        """Let some time pass, longer with each failure in a row, before it is taken again."""
        failures = self._failures[number] = self._failures.get(number, 0) + 1
        wait = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** (failures - 1))
        self._not_before[number] = self._clock.monotonic() + wait

    async def _give_everything_back(self) -> None:
        _log.info("worker_stopping", worker=self.name, partitions=len(self._partitions))
        self._beating.wake()
        for partition in self._partitions.values():
            partition.stop()
        if not self._tasks:
            return
        grace = 0.0 if self._stops > 1 else self._settings.grace
        try:
            async with asyncio.timeout(grace) as self._grace:
                await asyncio.wait(set(self._tasks))
        except TimeoutError:
            _log.warning("left_without_release", worker=self.name, partitions=self.held())
            for task in self._tasks:
                task.cancel()
        finally:
            self._grace = None
