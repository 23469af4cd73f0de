"""The engine as its messages tell it: campaigns, chains, workers and gateways, kept up to date.

Everything here is heard, nothing is asked of a worker. `Live` is written by callbacks that must be
quick and read by pages between two of them: what one page shows is of one moment.
"""

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import numpy as np

from engine.clock import Clock
from engine.dashboard.columns import UNDECIDED, CampaignColumns
from engine.domain.accounts import Halt
from engine.domain.campaign import Campaign
from engine.domain.codec import decode_entry
from engine.domain.ids import PARTITIONS
from engine.errors import MalformedMessageError
from engine.messaging.gateway_status import GatewayStatus, decode_gateway_status
from engine.messaging.ports import Broker, Follower, Message
from engine.messaging.records import (
    Decide,
    Heartbeat,
    Keep,
    Record,
    Release,
    Take,
    decode_heartbeat,
    decode_record,
)

__all__ = ["Decided", "Handover", "Live", "Owner", "Rates", "Worker"]

RATE_SECONDS = 10.0
FEED = 2_000  # decisions kept for the feed
FEED_A_RECORD = 32  # at most so many of one record
HANDOVERS = 200
DELAYS = 2_048
_NEARLY = 64  # messages: a stream that flows is never read to its very end
FORGOTTEN_S = 600.0  # a worker or gateway not heard for so long has left


class Owner(msgspec.Struct, frozen=True):
    """Who runs a partition, by its chain."""

    name: str  # "" where it was released
    epoch: int
    at: float  # of the newest record, epoch seconds
    round: int
    sequence: int


class Handover(msgspec.Struct, frozen=True):
    """A partition that changed hands, or was left."""

    partition: int
    at: float
    owner: str
    before: str
    epoch: int
    is_release: bool


class Decided(msgspec.Struct, frozen=True):
    """A decision of the feed: where it is in its record, and the bid before it."""

    record: Decide
    index: int  # of the campaign among the record's changed ones
    first: int  # of its series
    bid_before_micros: int | None  # highest over platforms; None where nothing was decided before


class Rates(msgspec.Struct, frozen=True):
    """What happened a second, over the last ten."""

    rounds: float = 0.0
    decisions: float = 0.0
    changes: float = 0.0  # decisions that differ from the one before


class Worker:
    """A worker by its heartbeats: the newest, and what it did between them."""

    def __init__(self, beat: Heartbeat, at: float) -> None:
        self.beat = beat
        self.heard_at = at
        self._past: deque[tuple[float, Heartbeat]] = deque([(at, beat)])

    def hear(self, beat: Heartbeat, at: float) -> None:
        """Take a heartbeat; a worker started anew counts from nothing."""
        if beat.started_at != self.beat.started_at:
            self._past.clear()
        self.beat, self.heard_at = beat, at
        if not self._past or at - self._past[-1][0] >= 1.0:
            self._past.append((at, beat))
        while len(self._past) > 2 and at - self._past[0][0] > RATE_SECONDS:
            self._past.popleft()

    def rate(self, field: str) -> float | None:
        """Return by how much a count of the heartbeats rises a second."""
        since, before = self._past[0]
        seconds = self.heard_at - since
        if seconds < 0.5:
            return None
        rise: float = getattr(self.beat, field) - getattr(before, field)
        return max(rise, 0) / seconds


class Live:
    """Follows the streams while `following` lasts. Times heard at are monotonic."""

    def __init__(self, *, broker: Broker, clock: Clock) -> None:
        self.broker = broker
        self.clock = clock
        self.started_at = clock.now()
        self.campaigns = CampaignColumns()
        self.owners: dict[int, Owner] = {}
        self.workers: dict[str, Worker] = {}
        self.gateways: dict[str, tuple[GatewayStatus, float]] = {}
        self.feed: deque[Decided] = deque(maxlen=FEED)
        self.handovers: deque[Handover] = deque(maxlen=HANDOVERS)
        self.halted: set[int] = set()  # partitions whose kill switch is on
        self.delays: deque[float] = deque(maxlen=DELAYS)  # ms, due time to being heard here
        self.totals = [0, 0, 0]  # rounds, decisions, changes
        self.newest_at = 0.0  # of the newest record, epoch seconds
        self.interval_ms: float | None = None  # between two rounds of a partition
        self.unreadable = 0
        self.version = 0  # rises with everything that a page may show
        self._looks: deque[tuple[float, int, int, int]] = deque()
        self._connected_at = clock.monotonic()
        self._followers: list[Follower] = []
        self._is_caught_up = False
        self._caught_up_at = 0.0

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Follow from the streams' beginning while the context lasts."""
        broker = self.broker
        async with (
            broker.campaigns.follow(self._on_entry, after=0, controls=True) as entries,
            broker.chain.follow(self._on_record, after=0) as records,
            broker.heartbeats.listen(self._on_beat),
            broker.gateways.listen(self._on_gateway),
        ):
            self._followers = [entries, records]
            yield

    @property
    def lag(self) -> int | None:
        """Return how many stored messages are still to be read here; None: not known."""
        lags = [follower.lag for follower in self._followers]
        return None if not lags or None in lags else sum(lag or 0 for lag in lags)

    @property
    def is_caught_up(self) -> bool:
        """Return whether all that was stored at the start has been read."""
        if not self._is_caught_up:
            lag = self.lag
            self._is_caught_up = lag is not None and lag < _NEARLY
            if self._is_caught_up:  # rates from here on are not of reading back
                self._looks.clear()
                self._caught_up_at = self.clock.now()
        return self._is_caught_up

    @property
    def silent_s(self) -> float:
        """Return for how long the broker has been away; 0 while it is there."""
        return 0.0 if self.broker.is_connected else self.clock.monotonic() - self._connected_at

    def look(self) -> None:
        """Note where the totals stand; once a second."""
        now = self.clock.monotonic()
        if self.broker.is_connected:
            self._connected_at = now
        self.campaigns.look(max(self.newest_at, self.clock.now() if self.is_caught_up else 0.0))
        rounds, decisions, changes = self.totals
        self._looks.append((now, rounds, decisions, changes))
        while len(self._looks) > 2 and now - self._looks[1][0] > RATE_SECONDS:
            self._looks.popleft()
        for name in [n for n, one in self.workers.items() if now - one.heard_at > FORGOTTEN_S]:
            del self.workers[name]
        for name in [n for n, (_, at) in self.gateways.items() if now - at > FORGOTTEN_S]:
            del self.gateways[name]

    def rates(self) -> Rates | None:
        """Return what happens a second; None while too little has been seen."""
        if len(self._looks) < 2 or not self.is_caught_up:
            return None
        (since, *before), (now, *after) = self._looks[0], self._looks[-1]
        if now - since < 0.5:
            return None
        return Rates(*((b - a) / (now - since) for a, b in zip(before, after, strict=True)))

    def delay_ms(self) -> tuple[float, float] | None:
        """Return p50 and p99 of the time from a round's due time to its being heard here."""
        if not self.delays:
            return None
        middle, high = np.percentile(np.array(self.delays), (50, 99)).tolist()
        return middle, high

    def _on_entry(self, message: Message) -> None:
        self.version += 1
        where = f"campaigns, revision {message.sequence}"
        if not message.payload:
            return  # somebody deleted the key with another tool
        try:
            entry = decode_entry(where, message.payload)
        except MalformedMessageError:
            self.unreadable += 1
            return
        if isinstance(entry, Campaign):
            self.campaigns.put(entry, revision=message.sequence, payload=message.payload)
        elif isinstance(entry, Halt):
            change = self.halted.add if entry.is_halted else self.halted.discard
            change(message.partition)

    def _on_record(self, message: Message) -> None:
        self.version += 1
        try:
            record = decode_record(f"decision at {message.sequence}", message.payload)
        except MalformedMessageError:
            self.unreadable += 1
            return
        self._own(record, message.sequence)
        at = record.at_ms / 1000
        if isinstance(record, Decide):
            self._decide(record)
        elif isinstance(record, Keep):
            self.campaigns.keep(record)
        if at > self.newest_at:
            self.newest_at = at
            if not self.is_caught_up:
                self.campaigns.look(at)  # trends of before this process

    def _own(self, record: Record, sequence: int) -> None:
        before = self.owners.get(record.partition)
        at, is_release = record.at_ms / 1000, isinstance(record, Release)
        if isinstance(record, Take | Release):
            name = "" if before is None else before.name
            self.handovers.append(
                Handover(record.partition, at, record.owner, name, record.epoch, is_release)
            )
        elif isinstance(record, Decide) and before is not None and record.round == before.round + 1:
            self.interval_ms = max(record.at_ms - round(before.at * 1000), 1)
        owner = "" if is_release else record.owner
        if 0 <= record.partition < PARTITIONS:
            self.owners[record.partition] = Owner(owner, record.epoch, at, record.round, sequence)

    def _decide(self, record: Decide) -> None:
        changed = record.changed
        rows = [self.campaigns.row_of.get(name) for name in changed.campaign[-FEED_A_RECORD:]]
        before = [self._highest_bid(row) for row in rows]
        self.campaigns.decide(record)
        firsts = np.cumsum([0, *changed.series_count])[:-1]
        skipped = len(changed.campaign) - len(rows)
        for i, bid in enumerate(before, skipped):
            self.feed.append(Decided(record, i, int(firsts[i]), bid))
        totals = self.totals
        totals[0] += 1
        totals[1] += record.decided
        totals[2] += len(changed.campaign)
        if self.is_caught_up and record.at_ms >= self._caught_up_at * 1000:
            self.delays.append(max(self.clock.now() * 1000 - record.at_ms, 0.0))

    def _highest_bid(self, row: int | None) -> int | None:
        if row is None or self.campaigns.column("action")[row] == UNDECIDED:
            return None
        return int(self.campaigns.series("bid_micros")[row].max(initial=0))

    def _on_beat(self, name: str, payload: bytes) -> None:
        try:
            beat = decode_heartbeat(name, payload)
        except MalformedMessageError:
            self.unreadable += 1
            return
        now = self.clock.monotonic()
        known = self.workers.get(name)
        if known is None:
            self.workers[name] = Worker(beat, now)
        else:
            known.hear(beat, now)

    def _on_gateway(self, name: str, payload: bytes) -> None:
        try:
            status = decode_gateway_status(name, payload)
        except MalformedMessageError:
            self.unreadable += 1
            return
        self.gateways[name] = (status, self.clock.monotonic())
