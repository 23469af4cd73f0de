"""How a partition is taken up where its former owner left it: snapshot, chain, replay.

The rounds after the snapshot are decided again, each over exactly the inputs that its record
names: the book is then the former owner's, to the bit. Where inputs have aged out it cannot be,
and then the ledger that the chain has recorded is the truth.
"""

import asyncio
from collections import deque
from typing import NamedTuple

import structlog

from engine.clock import Clock
from engine.errors import MalformedMessageError
from engine.messaging.ports import Chain, Message, Snapshots
from engine.messaging.records import Decide, Keep, Record, decode_record
from engine.messaging.streams import METRICS_KEPT_S
from engine.messaging.subjects import decisions_subject, state_subject
from engine.worker.inbox import Inbox, entered_campaign
from engine.worker.snapshot import Snapshot, decode_snapshot, restored
from engine.worker.state import Bury, State

__all__ = ["Amounts", "History", "Replay", "Step", "read_history"]

_log = structlog.get_logger(__name__)

LOOK_BACK = 64_000
"""How far, in sequences, the chain is read back where there is no snapshot; then 4 times that."""
LOOK_BACK_MS = 1000 * METRICS_KEPT_S
"""How far back it is read at least, in its own times: samples are kept for so long."""


class Amounts(NamedTuple):
    """A campaign's ledger as the chain has it. `caps` by platform; empty where only totals are."""

    settled_micros: int
    reserved_micros: int
    caps: dict[str, int]


class Step(NamedTuple):
    """A round to be decided again, and the totals it came to."""

    round: int
    at_ms: int
    metrics_sequence: int
    campaigns_revision: int
    settled_micros: int
    reserved_micros: int
    entries: list[tuple[int, bytes]]


class History:
    """What the chain of a partition says after a snapshot, or after the start of the reading."""

    def __init__(self) -> None:
        self.head = 0  # the newest record's sequence
        self.first: Record | None = None
        self.last: Record | None = None
        self.steps: deque[Step] = deque()
        self.ledger: dict[str, Amounts] = {}  # the newest mention is the truth
        self.known_at: dict[str, int] = {}  # the campaigns revision of the first mention
        self.is_whole = False  # every campaign's ledger is in it

    @property
    def is_from_origin(self) -> bool:
        """Return whether it begins with the chain's first record, or where a new one will begin."""
        return self.first is None or self.first.previous == 0

    @property
    def length_ms(self) -> int:
        """Return how long ago its first record was when its last one was written."""
        first, last = self.first, self.last
        return 0 if first is None or last is None else last.at_ms - first.at_ms

    def add(self, sequence: int, record: Record) -> None:
        """Take the next record in."""
        self.head, self.last = sequence, record
        self.first = self.first or record
        if isinstance(record, Decide):
            self.steps.append(
                Step(
                    record.round,
                    record.at_ms,
                    record.metrics_sequence,
                    record.campaigns_revision,
                    record.settled_micros,
                    record.reserved_micros,
                    record.entries,
                )
            )
            self._note_decisions(record)
        elif isinstance(record, Keep):
            self._note_totals(record)
            self.is_whole = True

    def _note_decisions(self, record: Decide) -> None:
        columns, row = record.changed, 0
        for i, campaign in enumerate(columns.campaign):
            end = row + columns.series_count[i]
            names = (record.platforms[platform] for platform in columns.platform[row:end])
            caps = dict(zip(names, columns.cap_micros[row:end], strict=True))
            settled, reserved = columns.settled_micros[i], columns.reserved_micros[i]
            # A platform that the campaign has dropped keeps the cap it was given.
            known = self.ledger.get(campaign)
            self.ledger[campaign] = Amounts(settled, reserved, (known.caps if known else {}) | caps)
            self.known_at.setdefault(campaign, record.campaigns_revision)
            row = end

    def _note_totals(self, record: Keep) -> None:
        rows = zip(record.campaign, record.settled_micros, record.reserved_micros, strict=True)
        for campaign, settled, reserved in rows:
            known = self.ledger.get(campaign)
            self.ledger[campaign] = Amounts(settled, reserved, known.caps if known else {})
            self.known_at.setdefault(campaign, record.campaigns_revision)


async def read_history(
    partition: int, *, chain: Chain, snapshots: Snapshots | None, bury: Bury
) -> tuple[State | None, History]:
    """Return the state of the newest snapshot that fits the chain, and the records after it.

    Without one (or without `snapshots`) the history goes back until it has every ledger, and at
    least as far as samples are kept: while none has aged out, that is the chain's first record, and
    everything can be decided again.

    Raises MalformedMessageError where a record of the chain cannot be read: nobody may build on
    what it does not understand.
    """
    head, payload = await asyncio.gather(chain.head(partition), _newest(partition, snapshots))
    if head is None:
        return None, History()
    snapshot = _decoded(partition, payload, bury=bury)
    if snapshot is not None and snapshot.chain_sequence > head.sequence:
        # The chain has moved on between the two answers: a partition that is decided all the while.
        head = await chain.head(partition) or head
    found = _usable(partition, snapshot, payload, head=head.sequence, bury=bury)
    if found is not None:
        state, sequence = found
        history = await _read(partition, chain=chain, after=sequence, until=head.sequence)
        if history.last is None:  # the snapshot is of the head itself
            history.head = head.sequence
            history.last = decode_record(decisions_subject(partition), head.payload)
        return state, history
    span = LOOK_BACK
    while True:
        after = max(0, head.sequence - span)
        history = await _read(partition, chain=chain, after=after, until=head.sequence)
        if after == 0 or (history.is_whole and history.length_ms >= LOOK_BACK_MS):
            return None, history
        span *= 4


async def _newest(partition: int, snapshots: Snapshots | None) -> bytes | None:
    return None if snapshots is None else await snapshots.newest(partition)


def _decoded(partition: int, payload: bytes | None, *, bury: Bury) -> Snapshot | None:
    try:
        return None if payload is None else decode_snapshot(partition, payload)
    except MalformedMessageError as error:
        _say_unusable(partition, payload or b"", error, bury=bury)
        return None


def _usable(
    partition: int, snapshot: Snapshot | None, payload: bytes | None, *, head: int, bury: Bury
) -> tuple[State, int] | None:
    """Return the state of a snapshot, and the sequence of the record it is of."""
    if snapshot is None:
        return None
    try:
        if snapshot.chain_sequence > head:
            reason = f"a snapshot of a record up to {head}, found {snapshot.chain_sequence}"
            raise MalformedMessageError(state_subject(partition), reason)
        return restored(snapshot, bury=bury), snapshot.chain_sequence
    except MalformedMessageError as error:
        _say_unusable(partition, payload or b"", error, bury=bury)
        return None


def _say_unusable(partition: int, payload: bytes, error: Exception, *, bury: Bury) -> None:
    _log.warning("snapshot_unusable", partition=partition, reason=str(error))
    bury(state_subject(partition), str(error), payload)


async def _read(partition: int, *, chain: Chain, after: int, until: int) -> History:
    history = History()
    async for message in chain.read(partition, after=after, until=until):
        history.add(message.sequence, decode_record(decisions_subject(partition), message.payload))
    return history


class Replay:
    """Brings a state to where the chain's newest record was written, as inputs are delivered.

    `decides`: the rounds of the history are decided again, each over the inputs its record names.
    Otherwise inputs are only counted and the ledger is taken from the chain: what is left where
    inputs have aged out. Frames are consumed as they come, so that a long replay needs little
    memory; those after the history stay in the inbox. `frame` is what a follower delivers to.
    """

    def __init__(self, *, state: State, inbox: Inbox, history: History, decides: bool) -> None:
        self._state = state
        self._inbox = inbox
        self._history = history
        self._decides = decides
        self._steps = history.steps if decides else deque[Step]()
        self._is_begun = False
        self.rounds = 0
        self.evidence: dict[str, object] = {}  # what came out otherwise than the chain has it

    def open_early(self) -> None:
        """Put in force first what the history knew under an entry that is no longer kept.

        The table keeps the newest few entries of each campaign, and records have those that they
        put in force. Where the chain mentions a campaign before the oldest that is had (its own
        beginning has aged out), those before are lost: the oldest kept must do.
        """
        known_at, entered = self._history.known_at, self._entered()

        def is_lost(campaign: str, revision: int) -> bool:
            known = known_at.get(campaign, revision)
            return known < revision and not entered.get(campaign, revision) <= known

        early = self._inbox.take_early(is_lost)
        revision = self._state.campaigns_revision
        self._state.open(early)
        self._state.campaigns_revision = revision

    def begin(self) -> None:
        """Decide again from here on: all entries that the history knew have been delivered."""
        self._is_begun = True
        newest = self._inbox.newest_frame
        while self._steps and newest > self._steps[0].metrics_sequence:
            self._step(self._steps.popleft())

    def frame(self, message: Message) -> None:
        """Take a frame, deciding first the rounds that did not count it."""
        self._inbox.add_frame(message)
        if not self._is_begun:
            return
        while self._steps and message.sequence > self._steps[0].metrics_sequence:
            self._step(self._steps.popleft())
        if self._inbox.is_full and (upcoming := self._upcoming()) is not None:
            self._count(upcoming)

    async def finish(self, clock: Clock) -> None:
        """Do what is left, once everything that the history counted has been delivered."""
        while self._steps:
            self._step(self._steps.popleft())
            if self.rounds % 64 == 0:
                await clock.sleep(0)  # heartbeats go on
        last = self._history.last
        if last is None:
            return
        self._count(last)
        self._state.stand_at(last.round, last.metrics_sequence, last.campaigns_revision)
        if self._decides:
            self._compare()
            return
        self._raise_the_ledger()
        if self._history.steps:  # rounds go on after the chain's, were its times ahead of our clock
            self._state.at_ms = self._history.steps[-1].at_ms

    def _upcoming(self) -> "Step | Record | None":
        """Return the positions up to which inputs may be counted now."""
        return self._steps[0] if self._steps else self._history.last

    def _entered(self) -> dict[str, int]:
        """Return the revision under which a record of the history first put a campaign in force."""
        first: dict[str, int] = {}
        for step in self._steps:
            for message in self._recorded(step):
                first.setdefault(entered_campaign(message), message.sequence)
        return first

    def _recorded(self, upto: "Step | Record") -> list[Message]:
        entries = upto.entries if isinstance(upto, Step) else []
        return [Message(self._state.partition, revision, entry) for revision, entry in entries]

    def _count(self, upto: "Step | Record") -> None:
        kept = self._inbox.take_entries(upto.campaigns_revision)
        by_revision = {message.sequence: message for message in (*kept, *self._recorded(upto))}
        self._state.open(by_revision[revision] for revision in sorted(by_revision))
        self._state.count(self._inbox.take_frames(upto.metrics_sequence))

    def _step(self, step: Step) -> None:
        self._count(step)
        decided = self._state.decide(step.at_ms)
        # Inputs that have aged out, or could not be read, count as read here as well.
        self._state.stand_at(step.round, step.metrics_sequence, step.campaigns_revision)
        self.rounds += 1
        wanted = (step.settled_micros, step.reserved_micros)
        found = (decided.settled_micros, decided.reserved_micros)
        if found != wanted and not self.evidence:
            self.evidence = {"round": step.round, "wanted": wanted, "found": found}

    def _compare(self) -> None:
        found = _totals(self._state)
        for name, amounts in self._history.ledger.items():
            if not self.evidence and found.get(name) != amounts[:2]:
                self.evidence = {"campaign": name, "wanted": amounts[:2], "found": found.get(name)}

    def _raise_the_ledger(self) -> None:
        """Raise every campaign to what the chain says; never lower one.

        Everything up to the caps that platforms were given is held to be spent: nobody knows
        better any more, and a budget must not be given out twice.
        """
        for name, amounts in self._history.ledger.items():
            if name in self._state.entries:
                self._state.hold_spent(
                    name, amounts.settled_micros + amounts.reserved_micros, amounts.caps
                )


def _totals(state: State) -> dict[str, tuple[int, int]]:
    """Return settled and reserved micros of each campaign in the book."""
    ledger = state.book.ledger()
    return {
        state.names.campaigns[key]: (settled, reserved)
        for key, settled, reserved in zip(
            ledger["campaign"].tolist(),
            ledger["settled_micros"].tolist(),
            ledger["reserved_micros"].tolist(),
            strict=True,
        )
    }
