"""The market as a long-lived service: it obeys published decisions and reports what they bought."""

import asyncio

import structlog

from engine.clock import Clock
from engine.core.frames import producer_key
from engine.domain.campaign import Campaign
from engine.domain.codec import decode_campaign
from engine.errors import MalformedMessageError
from engine.market.landscape import series_of
from engine.market.market import Market
from engine.messaging.ports import Broker, Message
from engine.messaging.records import Decide, Keep, decode_record
from engine.simulation.outbox import Outbox
from engine.simulation.recall import recall
from engine.simulation.samples import Reporter

__all__ = ["MarketService"]

_log = structlog.get_logger()


class MarketService:
    """Runs a market on the clock: a step every `market.step_ms`, on the market's grid.

    The newest published bid and cap of a series are in force until others are published: a
    platform does not know whether the engine is alive. While the broker is away the market goes on
    under them and holds its frames back; when `most_held` frames wait it stands still, so that
    what was sold is never lost.
    """

    def __init__(
        self,
        *,
        broker: Broker,
        market: Market,
        clock: Clock,
        name: str = "market",
        silence_every: int = 5,
        most_late: int = 20,
        most_held: int = 20_000,
        grace_seconds: float = 5.0,
    ) -> None:
        self._broker = broker
        self._market = market
        self._clock = clock
        self._name = name
        self._silence_every = silence_every
        self._most_late = most_late  # steps; more than these are not made up for
        self._most_held = most_held
        self._grace_seconds = grace_seconds
        self._stopping = asyncio.Event()
        self._campaigns: dict[str, Campaign] = {}  # written since the last step
        self._settled: dict[str, int] = {}
        self._stands_still = False
        self._outbox: Outbox | None = None

    async def run(self) -> None:
        """Follow campaigns and decisions, sell and report, until stopped; then flush."""
        broker = self._broker
        # A frame's name must be new with each start: sequences begin at 1 again.
        producer = producer_key(f"{self._name}-{self._clock.now():.6f}")
        reporter = Reporter(producer=producer, silence_every=self._silence_every)
        self._outbox = outbox = Outbox(
            frames=broker.frames, clock=self._clock, capacity=self._most_held
        )
        async with (
            broker.campaigns.follow(self._on_campaign, after=0) as campaigns,
            broker.chain.follow(self._on_record, after=0) as records,
        ):
            await campaigns.caught_up()
            await records.caught_up()
            self._open_campaigns()
            await recall(
                self._market,
                frames=broker.frames,
                clock=self._clock,
                settled_micros=self._settled,
                is_stopped=self._stopping.is_set,
            )
            _log.info("market_opened", seed=self._market.seed, series=len(self._market.series))
            async with asyncio.TaskGroup() as group:
                sender = group.create_task(outbox.run())
                steps = group.create_task(self._keep_stepping(reporter, outbox))
                await self._stopping.wait()
                steps.cancel()
                await self._drain(outbox)
                sender.cancel()
        _log.info("market_closed", spend_micros=int(self._market.books.spend_micros.sum()))

    def stop(self) -> None:
        """Ask for the end; asked again, it changes nothing."""
        self._stopping.set()

    def figures(self) -> dict[str, int]:
        """Return what was sold since the market opened, and what waits to be sent."""
        books = self._market.books
        return {
            "series": len(self._market.series),
            "impressions": int(books.impressions.sum()),
            "clicks": int(books.clicks.sum()),
            "held_frames": 0 if self._outbox is None else len(self._outbox),
            "stands_still": int(self._stands_still),
        }

    async def _keep_stepping(self, reporter: Reporter, outbox: Outbox) -> None:
        market = self._market
        step = market.step_at(self._now_ms()) + 1
        while True:
            wait = step * market.step_ms - self._now_ms()
            await self._clock.sleep(max(wait, 0) / 1000)
            if self._may_sell(outbox):
                newest = market.step_at(self._now_ms())
                if newest - step > self._most_late:
                    _log.warning("steps_skipped", steps=newest - step, step_ms=market.step_ms)
                    step = newest
                self._open_campaigns()
                outbox.put(reporter.frames(market.step(step), market.series))
                step += 1
            else:
                step = market.step_at(self._now_ms()) + 1

    def _may_sell(self, outbox: Outbox) -> bool:
        if outbox.is_full != self._stands_still:
            self._stands_still = outbox.is_full
            _log.warning("market_stands_still" if outbox.is_full else "market_goes_on",
                         held=len(outbox))  # fmt: skip
        return not outbox.is_full

    async def _drain(self, outbox: Outbox) -> None:
        try:
            async with asyncio.timeout(self._grace_seconds):
                await outbox.drained()
        except TimeoutError:
            _log.error("frames_lost", frames=len(outbox), grace_seconds=self._grace_seconds)

    def _open_campaigns(self) -> None:
        """Open the platforms of campaigns that are new or changed. In one go: arrays grow once."""
        if not self._campaigns:
            return
        self._market.add(
            (series_of(one.id, platform, one.currency), one.conversion_value_micros or 0)
            for one in (campaign.definition for campaign in self._campaigns.values())
            for platform in one.platforms
        )
        self._campaigns.clear()

    def _on_campaign(self, message: Message) -> None:
        try:
            campaign = decode_campaign(f"campaign at {message.sequence}", message.payload)
        except MalformedMessageError as error:
            _log.warning("campaign_unreadable", reason=str(error))
            return
        self._campaigns[campaign.definition.id] = campaign

    def _on_record(self, message: Message) -> None:
        try:
            record = decode_record(f"decision at {message.sequence}", message.payload)
        except MalformedMessageError as error:
            _log.warning("decision_unreadable", reason=str(error))
            return
        if isinstance(record, Decide):
            self._obey(record)
        elif isinstance(record, Keep):
            self._settled.update(zip(record.campaign, record.settled_micros, strict=True))

    def _obey(self, record: Decide) -> None:
        columns, row = record.changed, 0
        for i, campaign in enumerate(columns.campaign):
            self._settled[campaign] = columns.settled_micros[i]
            for _ in range(columns.series_count[i]):
                self._market.offer(
                    campaign,
                    record.platforms[columns.platform[row]],
                    bid_micros=columns.bid_micros[row],
                    cap_micros=columns.cap_micros[row],
                )
                row += 1

    def _now_ms(self) -> int:
        return round(self._clock.now() * 1000)
