"""What the streams say of a fleet: the newest of campaigns, decisions, workers and gateways.

It takes any number of campaigns: a decision is kept as its place in the record it came in, and made
an object only for whoever asks for it. `engine top`, `engine status`, `--where` and the exporter
look at one.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec

from engine.clock import Clock
from engine.domain.accounts import Halt, Share
from engine.domain.campaign import Campaign
from engine.domain.codec import decode_entry
from engine.domain.decision import Action, Binding, Decision
from engine.domain.ids import PARTITIONS, partition_of
from engine.domain.lifecycle import State
from engine.errors import MalformedMessageError
from engine.fleet.membership import SUSPICION_S
from engine.messaging.gateway_status import GatewayStatus, decode_gateway_status
from engine.messaging.ports import Broker, Message
from engine.messaging.records import (
    Decide,
    Heartbeat,
    Keep,
    Release,
    decision_at,
    decode_heartbeat,
    decode_record,
)
from engine.reports.facts import code_name

__all__ = ["Best", "Board", "Heard", "Owner"]

GATEWAY_SILENT_S = 3.0  # a gateway speaks every second
_SPANS = (5_000, 50_000)  # positions of the chain to look back for decisions, before all of it


class Owner(msgspec.Struct, frozen=True):
    """A partition as the newest record of its chain has it."""

    name: str
    epoch: int
    round: int
    at_ms: int  # of the record
    decided_at_ms: int  # of the newest round; 0: none seen
    campaigns_revision: int
    is_released: bool


class Heard(msgspec.Struct, frozen=True):
    """A worker by its newest heartbeat; alive as long as the fleet takes it to be."""

    beat: Heartbeat
    ago_s: float

    @property
    def is_alive(self) -> bool:
        return self.ago_s < SUSPICION_S


class Best(msgspec.Struct, frozen=True):
    """The bid on the platform that promises most. Money in micros."""

    platform: str
    bid_micros: int
    cpc_micros: float | None
    cvr: float | None
    roi_micros: float | None
    confidence: float


class Board:
    """Follows the streams; reading it costs what is asked for."""

    def __init__(self, *, broker: Broker, clock: Clock) -> None:
        self._broker = broker
        self._clock = clock
        self.campaigns: dict[str, Campaign] = {}
        self.owners: dict[int, Owner] = {}
        self.halted: dict[int, Halt] = {}  # by partition
        self.shares: dict[tuple[str, int], Share] = {}  # by account and partition
        self.rounds = self.decided = self.changed = self.unreadable = 0
        self.on_decide: Callable[[Decide], None] = lambda record: None  # told of each round
        self.touched: set[str] = set()  # campaigns with news, for whoever empties it
        self._apart_ms: int | None = None
        self._newest: dict[str, tuple[Decide, int, int]] = {}
        self._kept: dict[str, tuple[int, int]] = {}  # ledger: settled, reserved
        self._beats: dict[str, tuple[Heartbeat, float]] = {}
        self._gateways: dict[str, tuple[GatewayStatus, float]] = {}

    @asynccontextmanager
    async def following(self, *, alive: bool = True) -> AsyncIterator["Board"]:
        """Follow while the context lasts, having read what was there; `alive`: signs of life too.

        Decisions are looked for in the newest part of the chain only: those that are older and
        still in force are missing until their campaign's ledger is kept or they change.
        """
        async with AsyncExitStack() as stack:
            if alive:
                await stack.enter_async_context(self.listening())
            campaigns = await stack.enter_async_context(
                self._broker.campaigns.follow(self.on_entry, after=0, controls=True)
            )
            await campaigns.caught_up()
            after = max(await self._head() - _SPANS[-1], 0)
            chain = await stack.enter_async_context(
                self._broker.chain.follow(self.on_record, after=after)
            )
            await chain.caught_up()
            yield self

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Board"]:
        """Hear signs of life only, while the context lasts."""
        async with (
            self._broker.heartbeats.listen(self._on_beat),
            self._broker.gateways.listen(self._on_gateway),
        ):
            yield self

    async def read(self, *, decisions: bool = True) -> None:
        """Read everything once; with `decisions`, as far back as each campaign's newest."""
        follow = self._broker.campaigns.follow(self.on_entry, after=0, controls=True)
        async with follow as campaigns:
            await campaigns.caught_up()
        if not decisions:
            return
        newest = await self._head()
        starts = [newest - span for span in _SPANS if span < newest] + [0]
        wanted = {partition_of(name) for name in self.campaigns}
        for after in starts:
            if not wanted:
                return
            follow = self._broker.chain.follow(
                self.on_record, partitions=sorted(wanted), after=after
            )
            async with follow as chain:
                await chain.caught_up()
            missing = self.campaigns.keys() - self._newest.keys()
            wanted = {partition_of(name) for name in missing}

    def decision(self, campaign: str) -> Decision | None:
        """Return a campaign's newest decision, as far as it was seen."""
        place = self._newest.get(campaign)
        return None if place is None else decision_at(*place)

    def best(self, campaign: str) -> Best | None:
        """Return a campaign's bid where it promises most; None where nothing is known of any."""
        place = self._newest.get(campaign)
        if place is None or place[0].changed.best[place[1]] < 0:
            return None
        record, i, row = place
        columns, wanted = record.changed, record.changed.best[i]
        for at in range(row, row + columns.series_count[i]):
            if columns.platform[at] == wanted:
                return Best(
                    record.platforms[wanted],
                    columns.bid_micros[at],
                    columns.cpc_micros[at],
                    columns.cvr[at],
                    columns.roi_micros[at],
                    columns.confidence[at],
                )
        return None

    def bids(self, campaign: str) -> Iterator[tuple[str, int, float | None]]:
        """Iterate a campaign's platforms with the bid there, and the ROI a click, in micros."""
        place = self._newest.get(campaign)
        if place is not None:
            record, i, row = place
            columns = record.changed
            for at in range(row, row + columns.series_count[i]):
                platform = record.platforms[columns.platform[at]]
                yield platform, columns.bid_micros[at], columns.roi_micros[at]

    def codes(self, campaign: str) -> tuple[Action, Binding, float] | None:
        """Return a campaign's action, what bound it, and when that was decided."""
        place = self._newest.get(campaign)
        if place is None:
            return None
        record, i, _ = place
        columns = record.changed
        return Action(columns.action[i]), Binding(columns.binding[i]), record.at_ms / 1000

    def ledger(self, campaign: str) -> tuple[int, int] | None:
        """Return what a campaign has settled and reserved, in micros."""
        return self._kept.get(campaign)

    def actions(self) -> dict[tuple[int, int], int]:
        """Return how many campaigns there are by the codes of action and binding."""
        counts: dict[tuple[int, int], int] = {}
        for record, i, _ in self._newest.values():
            key = (record.changed.action[i], record.changed.binding[i])
            counts[key] = counts.get(key, 0) + 1
        return counts

    def holding(self) -> dict[str, int]:
        """Return how many active campaigns hold, by the name of what bound them, most first."""
        counts: dict[str, int] = {}
        for name, (record, i, _) in self._newest.items():
            campaign = self.campaigns.get(name)
            if campaign is None or campaign.state is not State.ACTIVE:
                continue
            if record.changed.action[i] == Action.HOLD:
                why = code_name(Binding(record.changed.binding[i]))
                counts[why] = counts.get(why, 0) + 1
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    def interval_s(self) -> float | None:
        """Return the shortest time that lay between two rounds of a partition, of those seen."""
        return None if self._apart_ms is None else self._apart_ms / 1000

    def workers(self) -> dict[str, Heard]:
        """Return the workers heard so far, by name."""
        now = self._clock.monotonic()
        return {name: Heard(beat, now - at) for name, (beat, at) in sorted(self._beats.items())}

    def gateways(self) -> dict[str, GatewayStatus]:
        """Return the gateways that speak now, by name."""
        now = self._clock.monotonic()
        return {
            name: status
            for name, (status, at) in sorted(self._gateways.items())
            if now - at < GATEWAY_SILENT_S
        }

    def held(self) -> dict[int, str]:
        """Return which worker says that it holds which partition, of those alive."""
        return {
            partition: name
            for name, one in self.workers().items()
            if one.is_alive
            for partition in one.beat.partitions
        }

    def unowned(self) -> list[int]:
        """Return the partitions that nobody alive says to hold, ascending."""
        held = self.held()
        return [partition for partition in range(PARTITIONS) if partition not in held]

    # what comes in

    def on_entry(self, message: Message) -> None:
        try:
            entry = decode_entry(f"campaign at {message.sequence}", message.payload)
        except MalformedMessageError:
            self.unreadable += 1
            return
        if isinstance(entry, Halt):
            self.halted[message.partition] = entry
        elif isinstance(entry, Share):
            self.shares[entry.account.id, entry.partition] = entry
        else:
            self.campaigns[entry.definition.id] = entry
            self.touched.add(entry.definition.id)

    def on_record(self, message: Message) -> None:
        try:
            record = decode_record(f"decision at {message.sequence}", message.payload)
        except MalformedMessageError:
            self.unreadable += 1
            return
        before = self.owners.get(message.partition)
        decided_at_ms = 0 if before is None else before.decided_at_ms
        if isinstance(record, Decide):
            apart_ms = record.at_ms - decided_at_ms
            if decided_at_ms and apart_ms > 0:
                self._apart_ms = min(apart_ms, self._apart_ms or apart_ms)
            decided_at_ms = record.at_ms
            self.rounds += 1
            self.decided += record.decided
            self._learn(record)
            self.on_decide(record)
        elif isinstance(record, Keep):
            rows = zip(record.campaign, record.settled_micros, record.reserved_micros, strict=True)
            for name, settled, reserved in rows:
                self._kept[name] = (settled, reserved)
        self.owners[message.partition] = Owner(
            record.owner,
            record.epoch,
            record.round,
            record.at_ms,
            decided_at_ms,
            record.campaigns_revision,
            isinstance(record, Release),
        )

    def _learn(self, record: Decide) -> None:
        columns, row = record.changed, 0
        self.changed += len(columns.campaign)
        self.touched.update(columns.campaign)
        for i, name in enumerate(columns.campaign):
            self._newest[name] = (record, i, row)
            self._kept[name] = (columns.settled_micros[i], columns.reserved_micros[i])
            row += columns.series_count[i]

    def _on_beat(self, worker: str, payload: bytes) -> None:
        try:
            beat = decode_heartbeat(worker, payload)
        except MalformedMessageError:
            self.unreadable += 1
            return
        self._beats[worker] = (beat, self._clock.monotonic())

    def _on_gateway(self, gateway: str, payload: bytes) -> None:
        try:
            status = decode_gateway_status(gateway, payload)
        except MalformedMessageError:
            self.unreadable += 1
            return
        self._gateways[gateway] = (status, self._clock.monotonic())

    async def _head(self) -> int:
        """Return the position of the newest record of all partitions; 0 where there is none."""
        heads = [await self._broker.chain.head(partition) for partition in range(PARTITIONS)]
        return max((head.sequence for head in _there(heads)), default=0)


def _there(heads: Iterable[Message | None]) -> Iterable[Message]:
    return (head for head in heads if head is not None)
