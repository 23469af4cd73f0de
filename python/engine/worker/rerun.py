"""Recorded rounds of a partition decided again: to the bit, or, what-if, by other parameters.

Nothing is written. The recording begins where the chain does, if its inputs are all still kept,
and at the newest snapshot otherwise. Each round counts exactly the inputs its record names, and
what comes out is compared with the record, byte for byte.

A what-if runs beside it from a time on, over the same samples: they are what the recorded bids
brought, so it says what would have been decided, and nothing about what that would have brought.
"""

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from itertools import pairwise

import msgspec

from engine.backtest.changes import Change
from engine.core.book import Book, Round
from engine.core.frames import decode_frame
from engine.domain.campaign import Campaign
from engine.domain.codec import decode_campaign
from engine.errors import EngineError, MalformedMessageError
from engine.messaging.ports import Broker, Message
from engine.messaging.records import Columns, Decide, Take, decode_record, encode
from engine.messaging.subjects import campaign_subject, decisions_subject
from engine.worker.columns import columns_of
from engine.worker.inbox import Inbox
from engine.worker.settings import WorkerSettings
from engine.worker.snapshot import decode_snapshot, restored
from engine.worker.state import State
from engine.worker.whatif import Comparison, WhatIf

__all__ = ["Difference", "Probe", "Rerun", "probe_round", "rerun"]

Probe = Callable[[State, Decide], None]
"""Takes a state that has counted all that a round counts, just before it is decided. The state is
its own to change: the rounds go on with another."""

# Columns of a record: what is decided first, so that a difference names what mattered.
_BY_CAMPAIGN = (
    *("action", "binding", "best", "pacing_multiplier"),
    *("settled_micros", "reserved_micros", "series_count"),
)
_BY_SERIES = (
    "bid_micros",
    *(
        name
        for name in Columns.__struct_fields__
        if name not in ("campaign", "bid_micros", *_BY_CAMPAIGN)
    ),
)


class Difference(msgspec.Struct, frozen=True):
    """The first place where a round came out otherwise than its record has it."""

    partition: int
    sequence: int  # of the record
    round: int
    at: float  # epoch seconds
    field: str
    campaign: str | None
    wanted: object  # as recorded
    found: object


class Rerun(msgspec.Struct, frozen=True):
    """What became of a partition's recording."""

    partition: int
    begins: str  # "origin", "snapshot", or "nothing" to decide again
    rounds: int  # decided again, those compared with their record
    from_at: float | None  # epoch seconds, of the first and the last of them
    to_at: float | None
    difference: Difference | None = None
    reason: str = ""  # why the recording does not begin at its origin
    comparison: Comparison | None = None


async def rerun(
    partition: int,
    *,
    broker: Broker,
    settings: WorkerSettings,
    interval_ms: int | None = None,
    from_at: float | None = None,
    to_at: float | None = None,
    changes: Sequence[Change] = (),
) -> Rerun:
    """Decide the recorded rounds of a partition again, those due from one time to another.

    `interval_ms`: between rounds; None reads it off the record.

    Raises:
        MalformedMessageError: the chain cannot be read.
        EngineError: the what-if cannot be run over this recording.
        ConfigError: a campaign would not be one with those changes.
        BrokerError: the broker stays away.
    """
    chain = [
        message
        async for message in broker.chain.read(partition)  # the head first, its inputs after
    ]
    records = [
        (message, decode_record(decisions_subject(partition), message.payload)) for message in chain
    ]
    to_ms = None if to_at is None else to_at * 1000
    rounds = [
        (message, record)
        for message, record in records
        if isinstance(record, Decide) and (to_ms is None or record.at_ms <= to_ms)
    ]
    if not rounds:
        return Rerun(partition, "nothing", 0, None, None)
    entries = await _entries(broker, partition, [record for _, record in rounds])
    first = records[0][1]
    is_whole = isinstance(first, Take) and first.previous == 0
    reason = "" if is_whole else "the chain's beginning has aged out"
    if is_whole and (lost := _lost_entry(rounds, entries)):
        reason = f"earlier definitions of {lost} are not kept"
    found = None
    if not reason:
        length = interval_ms or _interval_ms([r.at_ms for _, r in rounds], settings)
        book = Book(window=settings.window, interval_ms=length)
        found = await _Again(
            State(partition, book, bury=_ignore),
            rounds,
            entries,
            from_at,
            changes,
            interval_ms=length,
        ).run(broker)
        if found.lost_inputs:
            reason = "samples of its beginning have aged out"
    if reason:
        found = await _from_snapshot(partition, broker, rounds, entries, from_at, changes, reason)
    assert found is not None
    return found.result("snapshot" if reason else "origin", reason)


async def probe_round(
    partition: int,
    probe: Probe,
    *,
    broker: Broker,
    settings: WorkerSettings,
    at: float | None = None,
) -> Rerun:
    """Hand the state before the newest round, or before the newest one until `at`, to a probe.

    From the newest snapshot where the round is after it, from the chain's beginning otherwise. The
    rerun returned has that round alone: what came of it, and whether it was as recorded. It has no
    rounds where there is none to probe.

    Raises:
        MalformedMessageError: the chain or the snapshot cannot be read.
        EngineError: the inputs of the round are not kept any more.
        BrokerError: the broker stays away.
    """
    payload = await broker.snapshots.newest(partition)
    snapshot = None if payload is None else decode_snapshot(partition, payload)
    kept_from = None if snapshot is None else snapshot.at_ms / 1000
    to_ms = None if at is None else at * 1000
    if snapshot is not None and (to_ms is None or to_ms > snapshot.at_ms):
        chain = await _rounds_of(broker, partition, after=snapshot.chain_sequence, to_ms=to_ms)
        if chain.rounds:
            entries = await _entries(broker, partition, [record for _, record in chain.rounds])
            state, newest = restored(snapshot, bury=_ignore), chain.rounds[-1][1].at_ms
            again = _Again(state, chain.rounds, entries, newest / 1000, (), probe=probe)
            return (await again.run(broker)).result("snapshot", "")
    chain = await _rounds_of(broker, partition, after=0, to_ms=to_ms)
    if not chain.rounds:
        return Rerun(partition, "nothing", 0, None, None)
    entries = await _entries(broker, partition, [record for _, record in chain.rounds])
    if not chain.is_whole or _lost_entry(chain.rounds, entries):
        raise EngineError(_out_of_reach(partition, kept_from))
    length = _interval_ms([record.at_ms for _, record in chain.rounds], settings)
    book = Book(window=settings.window, interval_ms=length)
    state, newest = State(partition, book, bury=_ignore), chain.rounds[-1][1].at_ms
    again = _Again(state, chain.rounds, entries, newest / 1000, (), interval_ms=length, probe=probe)
    await again.run(broker)
    if again.lost_inputs:
        raise EngineError(_out_of_reach(partition, kept_from))
    return again.result("origin", "")


class _Rounds(msgspec.Struct, frozen=True):
    """Rounds of a chain, and whether it was read from its beginning."""

    rounds: list[tuple[Message, Decide]]
    is_whole: bool


async def _rounds_of(broker: Broker, partition: int, *, after: int, to_ms: float | None) -> _Rounds:
    rounds: list[tuple[Message, Decide]] = []
    is_whole = is_first = True
    async for message in broker.chain.read(partition, after=after):
        record = decode_record(decisions_subject(partition), message.payload)
        if is_first:
            is_whole, is_first = isinstance(record, Take) and record.previous == 0, False
        if isinstance(record, Decide):
            if to_ms is not None and record.at_ms > to_ms:
                break
            rounds.append((message, record))
    return _Rounds(rounds, is_whole)


def _out_of_reach(partition: int, from_at: float | None) -> str:
    back = "no snapshot is kept" if from_at is None else f"from {from_at:.3f} (epoch seconds) on"
    return (
        f"partition {partition}: a round whose inputs are all kept, found one before that; "
        f"what can be decided again: {back}"
    )


class _Again:
    """A run over the rounds of a recording, from a state that is older than all of them."""

    def __init__(
        self,
        state: State,
        rounds: Sequence[tuple[Message, Decide]],
        entries: Sequence[Message],
        from_at: float | None,
        changes: Sequence[Change],
        *,
        interval_ms: int = 0,
        probe: Probe | None = None,
    ) -> None:
        self._probe = probe
        self._state = state
        self._rounds = deque(rounds)
        self._inbox = Inbox()
        for entry in entries:
            if entry.sequence > state.campaigns_revision:
                self._inbox.add_entry(entry)
        self._from_ms = None if from_at is None else round(from_at * 1000)
        self._changes = changes
        self._other: WhatIf | None = None
        if any(change.field == "window" for change in changes):
            self._other = WhatIf.anew(state, changes, interval_ms=interval_ms)
        self._counted = state.metrics_sequence
        self._producers: set[int] = set()
        self._failed: BaseException | None = None
        self.lost_inputs = False
        self.difference: Difference | None = None
        self.times: list[int] = []

    async def run(self, broker: Broker) -> "_Again":
        """Decide all rounds again, as their inputs are delivered."""
        async with AsyncExitStack() as inputs:
            frames = await inputs.enter_async_context(
                broker.frames.follow(
                    self._deliver,
                    partitions=[self._state.partition],
                    after=self._state.metrics_sequence,
                )
            )
            await frames.caught_up()
        while self._rounds and not self._is_over:
            self._step(*self._rounds.popleft())
        if self._failed is not None:
            raise self._failed
        return self

    def result(self, begins: str, reason: str) -> Rerun:
        times = self.times
        return Rerun(
            partition=self._state.partition,
            begins=begins,
            rounds=len(times),
            from_at=times[0] / 1000 if times else None,
            to_at=times[-1] / 1000 if times else None,
            difference=self.difference,
            reason=reason,
            comparison=None if self._other is None else self._other.comparison(),
        )

    @property
    def _is_over(self) -> bool:
        return self.lost_inputs or self.difference is not None or self._failed is not None

    def _deliver(self, message: Message) -> None:
        """Take a frame, deciding first the rounds that did not count it."""
        try:
            while self._rounds and not self._is_over:
                if message.sequence <= self._rounds[0][1].metrics_sequence:
                    break
                self._step(*self._rounds.popleft())
            if self._rounds and not self._is_over:
                self._check_beginning(message)
                self._inbox.add_frame(message)
        except Exception as error:  # a follower would bury it and go on
            self._failed = error

    def _check_beginning(self, message: Message) -> None:
        """See whether a producer's first frame is its first: else those before have aged out."""
        try:
            frame = decode_frame(message.payload)
        except MalformedMessageError:
            return
        is_new = frame.producer not in self._producers
        self._producers.add(frame.producer)
        if is_new and frame.sequence > 1 and not self._counted:
            self.lost_inputs = True

    def _step(self, message: Message, record: Decide) -> None:
        frames = self._inbox.take_frames(record.metrics_sequence)
        newest = frames[-1].sequence if frames else self._state.metrics_sequence
        if newest != record.metrics_sequence:
            self.lost_inputs = True
            return
        entries = self._inbox.take_entries(record.campaigns_revision)
        is_wanted = self._from_ms is None or record.at_ms >= self._from_ms
        if is_wanted and self._changes and self._other is None:
            self._other = WhatIf.fork(self._state, self._changes)
        if is_wanted and self._other is not None:
            self._other.begin()
        state = self._state
        if is_wanted and self._probe is not None:
            apart = WhatIf.fork(state, ()).state
            apart.open(entries)
            apart.count(frames)
            self._probe(apart, record)
        decided = _decide(state, record, entries, frames)
        if is_wanted:
            self.times.append(record.at_ms)
            self.difference = _difference(state, message, record, decided)
        if self._other is not None:
            other = _decide(self._other.state, record, entries, frames)
            if is_wanted:
                self._other.compare(decided, other)


def _decide(
    state: State, record: Decide, entries: Sequence[Message], frames: Sequence[Message]
) -> Round:
    state.open(entries)
    state.count(frames)
    decided = state.decide(record.at_ms)
    state.stand_at(record.round, record.metrics_sequence, record.campaigns_revision)
    return decided


def _difference(
    state: State, message: Message, record: Decide, decided: Round
) -> Difference | None:
    """Return where a round came out otherwise than recorded; None where the bytes are the same."""
    platforms, columns = columns_of(decided, state.names)
    found = msgspec.structs.replace(
        record,
        decided=len(decided.decisions),
        settled_micros=decided.settled_micros,
        reserved_micros=decided.reserved_micros,
        platforms=platforms,
        changed=columns,
    )
    if encode(found) == message.payload:
        return None
    field, campaign, wanted, came = _first(record, found)
    return Difference(
        partition=record.partition,
        sequence=message.sequence,
        round=record.round,
        at=record.at_ms / 1000,
        field=field,
        campaign=campaign,
        wanted=wanted,
        found=came,
    )


def _first(record: Decide, found: Decide) -> tuple[str, str | None, object, object]:
    """Return the field, the campaign, and the values of the first difference."""
    if record.changed.campaign != found.changed.campaign:
        pairs = zip(record.changed.campaign, found.changed.campaign, strict=False)
        names = next((pair for pair in pairs if pair[0] != pair[1]), None)
        if names is not None:
            return "changed.campaign", names[0], *names
    rows = {campaign: (row, count) for campaign, row, count in _rows_of(record.changed)}
    for campaign, row, count in _rows_of(found.changed):
        wanted = rows.get(campaign)
        for name in _BY_SERIES:
            came = getattr(found.changed, name)[row : row + count]
            was = getattr(record.changed, name)[wanted[0] : wanted[0] + wanted[1]] if wanted else []
            if came != was:
                return f"changed.{name}", campaign, was, came
    for name in _BY_CAMPAIGN:
        values = zip(
            found.changed.campaign,
            getattr(record.changed, name),
            getattr(found.changed, name),
            strict=False,
        )
        for campaign, was, came in values:
            if was != came:
                return f"changed.{name}", campaign, was, came
    for name in ("decided", "settled_micros", "reserved_micros", "platforms"):
        if getattr(record, name) != getattr(found, name):
            return name, None, getattr(record, name), getattr(found, name)
    return "changed", None, len(record.changed.campaign), len(found.changed.campaign)


def _rows_of(columns: Columns) -> list[tuple[str, int, int]]:
    found, row = [], 0
    for campaign, count in zip(columns.campaign, columns.series_count, strict=True):
        found.append((campaign, row, count))
        row += count
    return found


async def _from_snapshot(
    partition: int,
    broker: Broker,
    rounds: Sequence[tuple[Message, Decide]],
    entries: Sequence[Message],
    from_at: float | None,
    changes: Sequence[Change],
    reason: str,
) -> _Again:
    """Run from the newest snapshot; over no rounds where there is none."""
    if any(change.field == "window" for change in changes):
        raise EngineError(
            f"partition {partition}: another window needs the recording from its beginning, "
            f"and {reason}"
        )
    payload = await broker.snapshots.newest(partition)
    if payload is None:
        state = State(partition, Book(), bury=_ignore)
        return _Again(state, [], [], from_at, ())
    snapshot = decode_snapshot(partition, payload)
    after = [one for one in rounds if one[0].sequence > snapshot.chain_sequence]
    state = restored(snapshot, bury=_ignore)
    return await _Again(state, after, entries, from_at, changes).run(broker)


async def _entries(broker: Broker, partition: int, rounds: Sequence[Decide]) -> list[Message]:
    """Return the entries of a partition's campaigns: those that are kept, and those in records."""
    found: list[Message] = []
    async with broker.campaigns.follow(
        found.append, partitions=[partition], with_history=True, controls=True
    ) as follower:
        await follower.caught_up()
    recorded = (
        Message(partition, revision, entry)
        for record in rounds
        for revision, entry in record.entries
    )
    by_revision = {message.sequence: message for message in (*recorded, *found)}
    return [by_revision[revision] for revision in sorted(by_revision)]


def _lost_entry(rounds: Sequence[tuple[Message, Decide]], entries: Sequence[Message]) -> str | None:
    """Return a campaign that the chain knows from before the oldest entry that is kept."""
    oldest: dict[str, int] = {}
    for message in entries:
        if (campaign := _campaign(message)) is not None:
            oldest.setdefault(campaign.definition.id, message.sequence)
    for _, record in rounds:
        for name in record.changed.campaign:
            if record.campaigns_revision < oldest.get(name, 0):
                return name
    return None


def _campaign(message: Message) -> Campaign | None:
    try:
        return decode_campaign(campaign_subject(message.partition), message.payload)
    except MalformedMessageError:
        return None


def _interval_ms(times: Sequence[int], settings: WorkerSettings) -> int:
    """Return how far apart rounds are: some may have been missed, none came too early."""
    usual = round(settings.interval * 1000)
    apart = [later - earlier for earlier, later in pairwise(times)]
    return min(apart, default=usual)


def _ignore(origin: str, reason: str, payload: bytes) -> None:
    """Leave what cannot be read: whoever decided first has buried it."""
