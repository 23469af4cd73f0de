"""What anybody may see of a running engine from its streams' beginning: a board, and sales.

Everything here comes from messages; nothing asks a worker. `Watch.view` is a picture of one moment,
for the demo's screen and for anything else that wants to show a fleet.
"""

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from engine.clock import Clock
from engine.core.frames import decode_frame, spend_micros
from engine.domain.campaign import Campaign
from engine.domain.decision import Binding, Decision
from engine.domain.ids import series_key
from engine.errors import MalformedMessageError
from engine.messaging.ports import Broker, Message
from engine.messaging.records import Decide
from engine.metrics.board import Board, Heard
from engine.reports.plan import planned_micros

__all__ = ["CampaignView", "View", "Watch"]

_RATE_SECONDS = 5.0
_DELAYS_KEPT = 4096
_HISTORY_KEPT = 240
_FRAMES_KEPT = 100_000  # a frame that comes twice comes within minutes


class CampaignView(msgspec.Struct, frozen=True):
    """A campaign: what was asked for, decided, spent and won."""

    campaign: Campaign
    decision: Decision | None
    plan_micros: int
    spend_micros: int
    clicks: int
    milliconversions: int

    @property
    def roas(self) -> float | None:
        return self.value_micros / self.spend_micros if self.spend_micros else None

    @property
    def value_micros(self) -> int:
        value = self.campaign.definition.conversion_value_micros or 0
        return self.milliconversions * value // 1000


class View(msgspec.Struct, frozen=True):
    """The engine at one moment."""

    is_connected: bool
    workers: dict[str, Heard]  # by name
    campaigns: tuple[CampaignView, ...]  # by spend, the largest first
    rounds: int
    decisions: int
    samples: int
    rounds_a_second: float
    decisions_a_second: float
    samples_a_second: float
    spend_micros: int
    plan_micros: int
    budget_micros: int
    conversions: float
    value_micros: int
    bindings: tuple[tuple[Binding, int], ...]  # how many campaigns each binds now
    spend_history: tuple[int, ...]  # micros in each stretch between two looks
    plan_history: tuple[int, ...]
    delay_ms: tuple[float, float] | None  # p50 and p99, due time to being readable here

    @property
    def roas(self) -> float | None:
        return self.value_micros / self.spend_micros if self.spend_micros else None


class _Totals(msgspec.Struct):
    spend_micros: int = 0
    clicks: int = 0
    milliconversions: int = 0


class Watch:
    """Follows the streams and keeps the newest of everything."""

    def __init__(self, *, broker: Broker, clock: Clock) -> None:
        self._broker = broker
        self._clock = clock
        self._started_at = clock.now()
        self._board = Board(broker=broker, clock=clock)
        self._board.on_decide = self._on_decide
        self._owner: dict[int, str] = {}  # series key to campaign
        self._totals: dict[str, _Totals] = {}
        self._seen_frames: dict[tuple[int, int, int], None] = {}  # in order of arrival
        self._delays: deque[float] = deque(maxlen=_DELAYS_KEPT)
        self._samples = self._unreadable_frames = 0
        self._looks: deque[tuple[float, int, int, int]] = deque()
        self._spend: deque[int] = deque(maxlen=_HISTORY_KEPT)
        self._plan: deque[int] = deque(maxlen=_HISTORY_KEPT)
        self._last_spend = self._last_plan = 0

    @property
    def unreadable(self) -> int:
        """Return how many messages could not be read."""
        return self._board.unreadable + self._unreadable_frames

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Follow from the streams' beginning while the context lasts."""
        broker = self._broker
        async with broker.campaigns.follow(self._on_campaign, after=0) as campaigns:
            await campaigns.caught_up()  # samples of campaigns not known yet would not count
            async with (
                broker.chain.follow(self._board.on_record, after=0),
                broker.frames.follow(self._on_frame, after=0),
                self._board.listening(),
            ):
                yield

    def look(self) -> None:
        """Note where the totals stand. Rates and histories are between looks: take one a second."""
        now = self._clock.monotonic()
        board = self._board
        self._looks.append((now, board.rounds, board.decided, self._samples))
        while len(self._looks) > 2 and now - self._looks[1][0] > _RATE_SECONDS:
            self._looks.popleft()
        spend = sum(one.spend_micros for one in self._totals.values())
        plan = self._planned(self._clock.now())
        self._spend.append(max(spend - self._last_spend, 0))
        self._plan.append(max(plan - self._last_plan, 0))
        self._last_spend, self._last_plan = spend, plan

    def view(self) -> View:
        """Return the picture of this moment."""
        now, at = self._clock.monotonic(), self._clock.now()
        campaigns = sorted(
            (self._campaign_view(name, at) for name in self._board.campaigns),
            key=lambda one: (-one.spend_micros, one.campaign.definition.id),
        )
        rates = self._rates(now)
        return View(
            is_connected=self._broker.is_connected,
            workers=self._board.workers(),
            campaigns=tuple(campaigns),
            rounds=self._board.rounds,
            decisions=self._board.decided,
            samples=self._samples,
            rounds_a_second=rates[0],
            decisions_a_second=rates[1],
            samples_a_second=rates[2],
            spend_micros=sum(one.spend_micros for one in campaigns),
            plan_micros=self._planned(at),
            budget_micros=sum(one.campaign.definition.budget_micros for one in campaigns),
            conversions=sum(one.milliconversions for one in campaigns) / 1000,
            value_micros=sum(one.value_micros for one in campaigns),
            bindings=self._bindings(),
            spend_history=tuple(self._spend),
            plan_history=tuple(self._plan),
            delay_ms=self._delay_ms(),
        )

    def _campaign_view(self, name: str, at: float) -> CampaignView:
        campaign, totals = self._board.campaigns[name], self._totals[name]
        return CampaignView(
            campaign=campaign,
            decision=self._board.decision(name),
            plan_micros=planned_micros(campaign.definition, at),
            spend_micros=totals.spend_micros,
            clicks=totals.clicks,
            milliconversions=totals.milliconversions,
        )

    def _planned(self, at: float) -> int:
        return sum(planned_micros(one.definition, at) for one in self._board.campaigns.values())

    def _rates(self, now: float) -> tuple[float, float, float]:
        if not self._looks or now <= self._looks[0][0]:
            return 0.0, 0.0, 0.0
        since, rounds, decided, samples = self._looks[0]
        seconds = now - since
        return (
            (self._board.rounds - rounds) / seconds,
            (self._board.decided - decided) / seconds,
            (self._samples - samples) / seconds,
        )

    def _bindings(self) -> tuple[tuple[Binding, int], ...]:
        counts: dict[Binding, int] = {}
        for (_, code), count in self._board.actions().items():
            counts[Binding(code)] = counts.get(Binding(code), 0) + count
        return tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    def _delay_ms(self) -> tuple[float, float] | None:
        if not self._delays:
            return None
        ordered = sorted(self._delays)
        return ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]

    def _on_campaign(self, message: Message) -> None:
        self._board.on_entry(message)
        for name in self._board.touched & self._board.campaigns.keys():  # at least what came
            self._totals.setdefault(name, _Totals())
            for platform in self._board.campaigns[name].definition.platforms:
                self._owner[series_key(name, platform)] = name
        self._board.touched.clear()

    def _on_decide(self, record: Decide) -> None:
        if record.at_ms >= self._started_at * 1000:  # not one read back at the start
            self._delays.append(self._clock.now() * 1000 - record.at_ms)

    def _on_frame(self, message: Message) -> None:
        try:
            frame = decode_frame(message.payload)
        except MalformedMessageError:
            self._unreadable_frames += 1
            return
        name = (frame.partition, frame.producer, frame.sequence)
        if name in self._seen_frames:
            return
        self._seen_frames[name] = None
        if len(self._seen_frames) > _FRAMES_KEPT:
            del self._seen_frames[next(iter(self._seen_frames))]
        rows = frame.rows
        self._samples += len(rows)
        spend = spend_micros(rows, frame.unit_micros).tolist()
        clicks, conversions = rows["clicks"].tolist(), rows["milliconversions"].tolist()
        for i, key in enumerate(rows["series"].tolist()):
            campaign = self._owner.get(key)
            if campaign is not None:
                totals = self._totals[campaign]
                totals.spend_micros += spend[i]
                totals.clicks += clicks[i]
                totals.milliconversions += conversions[i]
