"""One owned partition: take it, run its rounds, give it back.

A round takes in what has been delivered, decides, and appends one record on top of the one
before; the append is refused as soon as somebody else has taken the partition. One append is in
flight at a time. What follows a commit (snapshots, changes of state) is for `Chores` and never
keeps the next round waiting.
"""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, ParamSpec, TypeVar

import msgspec
import structlog

from engine.clock import Clock
from engine.core.book import Book, Round
from engine.domain.ids import PARTITIONS
from engine.errors import FencedError
from engine.messaging import traces
from engine.messaging.background import beside
from engine.messaging.ports import Broker, Message
from engine.messaging.records import (
    Decide,
    Keep,
    Record,
    Release,
    Take,
    decode_record,
    encode,
)
from engine.messaging.subjects import decisions_subject
from engine.worker.chores import Chores
from engine.worker.columns import columns_of
from engine.worker.inbox import Room
from engine.worker.intake import Intake
from engine.worker.lifecycle import Lifecycle, planned_per_s, used_up
from engine.worker.load import Load, Told
from engine.worker.pause import Pause
from engine.worker.portion import Portion, RecordTooLargeError
from engine.worker.schedule import Schedule
from engine.worker.settings import WorkerSettings
from engine.worker.snapshot import snapshot_of
from engine.worker.state import State
from engine.worker.tally import Tally

__all__ = ["Partition"]

_log = structlog.get_logger(__name__)
_P = ParamSpec("_P")
_T = TypeVar("_T")

HAND_OVER_S = 0.25
"""The time that a hand-over is given before the next round is due (half an interval, if less)."""
BROKER_AWAY_S = 0.05
"""How often a partition looks whether the broker is back."""
LARGE_BYTES = 2**20
LARGE_CAMPAIGNS = 4_000
"""From here on a round is decided in a thread: heartbeats go on while the core works."""
TELL_LATE_EVERY_S = 10.0
"""How often a worker speaks of rounds that take too long, over all its partitions."""
TELL_EVERY_S = 60.0
"""How often rows that could not be counted are spoken of."""


class Partition:
    """Runs one partition from taking it to giving it back.

    `taking` bounds how many are taken at once; `moved` is called when it is owned, and when it
    has been given back. `portion` is how much a round may take in, as it was found out so far;
    `load` knows which rounds are left out while there is not time for all; `room` how much may
    wait for them, over all partitions. `only_free`: it is left alone where its chain says that
    somebody has it.
    """

    def __init__(
        self,
        number: int,
        *,
        broker: Broker,
        clock: Clock,
        worker: str,
        settings: WorkerSettings,
        tally: Tally,
        taking: asyncio.Semaphore,
        moved: Callable[[], None],
        portion: Portion | None = None,
        load: Load | None = None,
        room: Room | None = None,
        only_free: bool = False,
    ) -> None:
        self.number = number
        self.is_owned = False
        self.intake = Intake(
            number, broker=broker, clock=clock, overflow=self._count_early, room=room
        )
        self._broker = broker
        self._clock = clock
        self._worker = worker
        self._settings = settings
        self._tally = tally
        self._taking = taking
        self._moved = moved
        self._portion = portion or Portion()
        self._only_free = only_free
        self._load = load or Load(worker=worker, interval=settings.interval)
        self._interval_ms = round(settings.interval * 1000)
        self._schedule = Schedule(interval_ms=self._interval_ms, partition=number)
        self._pause = Pause(clock)
        self._buried: list[tuple[str, str, bytes]] = []
        self._lifecycle = Lifecycle()
        self._chores = Chores(
            number,
            snapshots=broker.snapshots,
            campaigns=broker.campaigns,
            clock=clock,
            worker=worker,
            lifecycle=self._lifecycle,
        )
        self._state = self._new_state()
        self._opened: list[Message] = []  # the entries of the round that is open
        self._is_busy = False  # the state is in another thread's hands
        self._epoch = 0
        self._head = 0  # the sequence of the newest record
        self._committed = (0, 0, 0)  # its round, metrics sequence and campaigns revision
        self._keep_at = 0.0  # when the next Keep is due (monotonic); the next two likewise
        self._snapshot_at = 0.0
        self._tell_at = 0.0
        self._has_news = False  # rounds that no snapshot has
        self._connection = ""  # that the newest round was committed over
        self._planned_per_s = 0.0  # micros, over the active campaigns

    def stop(self) -> None:
        """Ask for the partition to be given back after the round in hand. Never blocks."""
        self._pause.end()

    def verify(self) -> None:
        """Find out with the next round whether this is still the owner: another says that it is.

        Who decides finds out by itself. Without campaigns nothing is appended for an hour, and a
        partition could be thought of as owned by whoever lost it long ago, and be nobody's.
        """
        if self._state.is_idle:
            self._keep_at = 0.0

    async def run(self) -> None:
        """Take the partition, run its rounds until stopped, give it back.

        Raises:
            FencedError: somebody else has taken it; where `is_owned`, from this worker.
            BrokerError: the broker refused, or went away while it was being taken.
            RecordTooLargeError: a round came to more than a message may hold. Nothing of it is
                recorded; with the same `portion` the next try takes in less.
            MalformedMessageError: its chain cannot be read.
        """
        try:
            async with AsyncExitStack() as inputs:
                async with self._taking:
                    if self._pause.is_over or (self._only_free and await self._is_somebodys()):
                        return
                    await self._take(inputs)
                self.is_owned = True
                self._moved()
                self._load.disturbed()
                async with beside(self._chores.run(), name=f"chores of partition {self.number}"):
                    await self._rounds()
                await self._give_back()
        finally:
            self.intake.inbox.clear()  # the room is for those who are still here

    # taking

    async def _is_somebodys(self) -> bool:
        """Return whether the newest record is of an owner who has not given the partition back."""
        head = await self._broker.chain.head(self.number)
        if head is None:
            return False
        record = decode_record(decisions_subject(self.number), head.payload)
        return not isinstance(record, Release)

    async def _take(self, inputs: AsyncExitStack) -> None:
        began = self._clock.monotonic()
        recover = self.intake.recover
        found = await recover(inputs, new_state=self._new_state, bury=self._bury, replays=True)
        if found.evidence:
            self._say_that_the_replay_differs(found.evidence)
            found = await recover(inputs, new_state=self._new_state, bury=self._bury, replays=False)
        self._flush_buried()
        self._state = state = found.state
        self._lifecycle.watch(state.entries.values())
        self._planned_per_s = planned_per_s(state.entries.values())
        self._committed = (state.round, state.metrics_sequence, state.campaigns_revision)
        self._epoch, self._head = found.epoch + 1, found.head
        await self._append(Take(**self._common()))
        self._tally.takes += 1
        now = self._clock.monotonic()
        self._keep_at = now + self._settings.keep_every
        # Without a snapshot the first round is worth one at once; else they spread over the time.
        share = 0.0 if found.is_new else (self.number + 1) / PARTITIONS
        self._snapshot_at = now + self._settings.snapshot_every * share
        self._has_news = found.is_new or found.rounds > 0
        _log.debug(
            "partition_taken",
            partition=self.number,
            epoch=self._epoch,
            round=state.round,
            replayed=found.rounds,
            ms=round((now - began) * 1000, 1),
        )

    def _new_state(self) -> State:
        book = Book(window=self._settings.window, interval_ms=self._interval_ms)
        return State(self.number, book, bury=self._bury)

    def _say_that_the_replay_differs(self, evidence: dict[str, object]) -> None:
        """Leave evidence: inputs are missing, or two workers of one fleet decide differently."""
        _log.error("replay_differs", partition=self.number, **evidence)
        reason = "the rounds after the snapshot came out otherwise: the chain's ledger is taken"
        self._bury(decisions_subject(self.number), reason, msgspec.json.encode(evidence))

    # rounds

    async def _rounds(self) -> None:
        looked_ms, is_last = self._state.at_ms, False
        while True:
            await self._until_due(looked_ms)
            if self._pause.is_over:
                if is_last or not await self._leaves_too_little_time(looked_ms):
                    return
                is_last = True
            before_ms, looked_ms = looked_ms, self._schedule.due(looked_ms, self._now_ms())
            self._count_skipped(before_ms, looked_ms)
            if self._clock.monotonic() >= self._keep_at:
                await self._keep()
            if self._state.is_idle and not len(self.intake.inbox):
                continue
            if self._load.is_due(self.number, looked_ms) or self._may_not_wait(is_last):
                await self._round(looked_ms)
            else:
                self._tally.shed_rounds += 1

    def _may_not_wait(self, is_last: bool) -> bool:
        """Return whether a round is decided though others have more at stake.

        What people have changed (a pause, a kill switch) is in force with the next round, and a
        portion of what did not fit is taken in at its pace.
        """
        return is_last or self.intake.inbox.entries > 0 or self._portion.is_limited

    async def _leaves_too_little_time(self, last_ms: int) -> bool:
        """Return whether one more round is this worker's, though it is to leave; wait until then.

        Whoever comes next needs some time, and should not find the round overdue.
        """
        if self._state.is_idle or not self._broker.is_connected:
            return False
        now_ms = self._clock.now() * 1000
        wait_ms = self._schedule.due(last_ms, int(now_ms)) - now_ms
        if wait_ms > min(HAND_OVER_S * 1000, self._interval_ms / 2):
            return False
        await self._clock.sleep(max(0.0, wait_ms / 1000))
        return True

    async def _until_due(self, last_ms: int) -> None:
        """Sleep until the next round is due and the broker is there, or until stopped.

        Were the chain's times ahead of this machine's clock (a former owner's was wrong), rounds go
        on with times after the chain's, at half their pace: so the clock catches up. At the same
        pace days would begin early, and every report would look old, for good.
        """
        now_ms = self._clock.now() * 1000
        wait_ms = self._schedule.due(last_ms, int(now_ms)) - now_ms
        if wait_ms > self._interval_ms:
            wait_ms = min(wait_ms, 2 * self._interval_ms)
        await self._pause.sleep(wait_ms / 1000)
        while not (self._broker.is_connected or self._pause.is_over):
            await self._pause.sleep(BROKER_AWAY_S)

    async def _round(self, at_ms: int) -> None:
        inbox, waiting = self.intake.inbox, len(self.intake.inbox)
        self._open()
        # Entries first: the samples of a campaign that is not in force yet would not be counted.
        frames = (
            []
            if inbox.entries and not self._state.is_open
            else inbox.take_frames(most=self._portion.most)
        )
        self.intake.go_on()
        taken, tracing = waiting - len(inbox), traces.active()
        if tracing is None:
            decided = await self._commit(frames, taken, at_ms)
        else:
            about = {"engine.partition": self.number, "engine.frames": len(frames)}
            parents = [frame.trace for frame in frames if frame.trace]
            with tracing.span("round", kind="consumer", parents=parents, attributes=about):
                decided = await self._commit(frames, taken, at_ms)
        self._tally.round_took(self._clock.now() * 1000 - at_ms)
        self._tell_if_late()
        self._tell_load(decided)
        state = self._state
        spent = used_up(decided.decisions, state.names)
        self._chores.change(self._lifecycle.due(state.entries, at=at_ms / 1000, spent=spent))
        self._tell_of_rows()
        await self._snapshot_if_due()

    async def _commit(self, frames: list[Message], taken: int, at_ms: int) -> Round:
        """Count the frames, decide, and append the record."""
        size = sum(len(frame.payload) for frame in frames)
        state, before = self._state, self._state.rows
        decided, payload = await self._work(size, self._decide, frames, at_ms)
        self._flush_buried()
        self._check_size(payload, taken)
        self._portion.fitted(taken)
        self._committed = (state.round, state.metrics_sequence, state.campaigns_revision)
        rows = state.rows
        self._head = await self._broker.chain.append(self.number, payload, expected=self._head)
        self._has_news = True
        self._tally.decisions += len(decided.decisions)
        self._tally.samples += rows.samples - before.samples
        self._tally.rows_unknown += rows.unknown - before.unknown
        self._tally.rows_refused += rows.refused - before.refused
        return decided

    def _check_size(self, payload: bytes, taken: int) -> None:
        size, limit = len(payload), self._broker.chain.largest
        if size > limit:
            self._portion.exceeded(taken, size=size, limit=limit)
            raise RecordTooLargeError(
                self.number, size=size, limit=limit, taken=taken, portion=self._portion
            )

    def _open(self) -> None:
        """Put in force what has been published, unless the round has counted frames already."""
        if not self._state.is_open:
            self._opened = self.intake.inbox.take_entries(most=self._portion.most)
            names = self._state.open(self._opened)
            if names:
                self._planned_per_s = planned_per_s(self._state.entries.values())
            self._lifecycle.watch(
                self._state.entries[name] for name in names if name in self._state.entries
            )

    def _count_early(self) -> None:
        """Count in what is too much to wait for the round.

        The round's entries are settled with it: those that come later wait for the next round,
        as a replay will have it.
        """
        if not (self._is_busy or self._portion.is_limited):
            self._open()
            self._state.count(self.intake.inbox.take_frames())

    def _decide(self, frames: list[Message], at_ms: int) -> tuple[Round, bytes]:
        """Count, decide and encode. Touches nothing but the state: it may run in a thread."""
        state = self._state
        state.count(frames)
        decided = state.decide(at_ms)
        platforms, columns = columns_of(decided, state.names)
        record = Decide(
            partition=self.number,
            previous=self._head,
            epoch=self._epoch,
            owner=self._worker,
            round=state.round,
            at_ms=at_ms,
            metrics_sequence=state.metrics_sequence,
            campaigns_revision=state.campaigns_revision,
            decided=len(decided.decisions),
            settled_micros=decided.settled_micros,
            reserved_micros=decided.reserved_micros,
            platforms=platforms,
            changed=columns,
            entries=[(message.sequence, message.payload) for message in self._opened],
        )
        return decided, encode(record)

    async def _snapshot_if_due(self) -> None:
        now = self._clock.monotonic()
        if now < self._snapshot_at or self._state.is_open:
            return  # once frames of the next round are counted in, it is of no record any more
        self._snapshot_at = now + self._settings.snapshot_every
        self._chores.keep(await self._work(0, self._snapshot))
        self._has_news = False

    def _snapshot(self) -> bytes:
        return snapshot_of(self._state, chain_sequence=self._head)

    async def _work(
        self, size: int, do: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> _T:
        """Do what the core takes long for in a thread, and everything else at once."""
        if size < LARGE_BYTES and len(self._state.entries) < LARGE_CAMPAIGNS:
            return do(*args, **kwargs)
        self._is_busy = True
        try:
            return await asyncio.to_thread(do, *args, **kwargs)
        finally:
            self._is_busy = False

    # the chain

    async def _keep(self) -> None:
        self._keep_at = self._clock.monotonic() + self._settings.keep_every
        ledger = self._state.book.ledger()
        names = self._state.names.campaigns
        await self._append(
            Keep(
                campaign=[names[key] for key in ledger["campaign"].tolist()],
                settled_micros=ledger["settled_micros"].tolist(),
                reserved_micros=ledger["reserved_micros"].tolist(),
                **self._common(),
            )
        )

    async def _give_back(self) -> None:
        """Leave a snapshot and a Release behind, so that the next owner starts at once."""
        try:
            if self._has_news and self._committed[0] and not self._state.is_open:
                await self._chores.store(self._snapshot())
            await self._append(Release(**self._common()))
        except FencedError:
            pass  # taken already: that was the purpose
        self.is_owned = False
        self._moved()

    def _common(self) -> dict[str, Any]:
        """Return the fields that every record has, positions where the newest record left them."""
        number, metrics_sequence, campaigns_revision = self._committed
        return {
            "partition": self.number,
            "previous": self._head,
            "epoch": self._epoch,
            "owner": self._worker,
            "at_ms": self._now_ms(),
            "round": number,
            "metrics_sequence": metrics_sequence,
            "campaigns_revision": campaigns_revision,
        }

    async def _append(self, record: Record) -> None:
        self._head = await self._broker.chain.append(
            self.number, encode(record), expected=self._head
        )

    def _now_ms(self) -> int:
        return int(self._clock.now() * 1000)

    # overload

    def _count_skipped(self, before_ms: int, due_ms: int) -> None:
        """Count the rounds that are left out because one before them was late.

        The newest one is decided, over everything that the others would have counted: what is
        shed is the age of decisions, never samples.
        """
        if before_ms and self._state.round:
            self._tally.skipped_rounds += max(0, (due_ms - before_ms) // self._interval_ms - 1)

    def _tell_load(self, decided: Round) -> None:
        """Tell what the round came to; the first after the broker was away says nothing of load."""
        before, self._connection = self._connection, self._broker.heartbeats.connection
        is_fair = before == self._connection and self._broker.is_connected
        round_ms = self._tally.round_ms if is_fair else 0.0
        told = Told(
            campaigns=len(decided.decisions),
            settled_micros=decided.settled_micros,
            planned_micros=self._planned_per_s * self._settings.interval,
            late=round_ms > self._interval_ms,
            slow=round_ms > self._interval_ms / 2,
            lag=self.intake.waiting_in_stream,
        )
        self._load.tell(self.number, told, now=self._clock.monotonic())

    def _tell_if_late(self) -> None:
        """Say, now and then, that a round took longer than there is time for it."""
        round_ms, now = self._tally.round_ms, self._clock.monotonic()
        if round_ms <= self._interval_ms:
            return
        self._tally.late_rounds += 1
        if now >= self._tally.tell_late_at:
            self._tally.tell_late_at = now + TELL_LATE_EVERY_S
            _log.warning(
                "rounds_late",
                worker=self._worker,
                partition=self.number,
                round_ms=round(round_ms),
                interval_ms=self._interval_ms,
                late=self._tally.late_rounds,
                skipped=self._tally.skipped_rounds,
                lag_frames=self.intake.lag,
            )

    # what could not be counted

    def _bury(self, origin: str, reason: str, payload: bytes) -> None:
        """Keep what could not be read until it can be handed over, on the loop's own thread."""
        self._buried.append((origin, reason, payload))

    def _flush_buried(self) -> None:
        if not self._buried:
            return
        self._tally.buried += len(self._buried)
        for letter in self._buried:
            self._broker.dead_letters.bury(*letter)
        _log.warning(
            "messages_buried",
            partition=self.number,
            count=len(self._buried),
            first=self._buried[0][1],
        )
        self._buried.clear()

    def _tell_of_rows(self) -> None:
        """Say now and then how many rows were not counted: somebody's ids or amounts are wrong.

        And how many were older than their window: they are added, for what they might replace is
        known no more. Who sends old reports again counts them twice.
        """
        rows, now = self._state.rows, self._clock.monotonic()
        if (rows.unknown or rows.refused or rows.late) and now >= self._tell_at:
            self._tell_at = now + TELL_EVERY_S
            _log.warning(
                "rows_not_counted" if rows.unknown or rows.refused else "rows_added_late",
                partition=self.number,
                unknown=rows.unknown,
                refused=rows.refused,
                added_late=rows.late,
            )
            self._state.rows = rows._replace(unknown=0, refused=0, late=0)
