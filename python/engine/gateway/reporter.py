"""Reports of an ad account: asked for now and then, kept hour by hour, told to the engine.

Most polls ask for the newest hours; now and then one looks back over all that may be restated.
The record of what was told is stored before samples of a cell are sent (see `telling`). What a
series did before it was first told of is sent as the hours themselves, and only then recorded:
sent once more after a crash, they take their own places again.
"""

from collections.abc import AsyncGenerator, Iterable

import numpy as np
import structlog

from engine.clock import Clock
from engine.core.frames import FrameWriter
from engine.domain.campaign import Strategy
from engine.domain.metrics import Sample
from engine.domain.money import unit_micros
from engine.gateway.anomalies import anomalies
from engine.gateway.claims import Claims, unknown_milli
from engine.gateway.desk import Desk, Link
from engine.gateway.hours import CLICKS, CONVERSIONS, COUNTS, IMPRESSIONS, SPEND, Hours
from engine.gateway.purse import day_of
from engine.gateway.readiness import readiness
from engine.gateway.sender import Sender
from engine.gateway.settings import AccountSettings
from engine.gateway.tally import Tally
from engine.gateway.telling import AFTER_S, TOLD, Telling, Told, decode_told, encode_told
from engine.messaging.ports import Frames, Journal
from engine.messaging.subjects import reported_subject
from engine.platforms.port import AdAccount, Platform, ReportRow

__all__ = ["Reporter"]

FULL_EVERY_S = 3600.0
MOST_BACKFILLED = 48
"""Hours of a series' past that become samples of their own; a window has room for them."""

_log = structlog.get_logger(__name__)


class Reporter:
    """See the head of this file. `recall` first, each time the ad account is taken."""

    def __init__(
        self,
        *,
        platform: Platform,
        account: AdAccount,
        desk: Desk,
        sender: Sender,
        frames: Frames,
        journal: Journal,
        claims: Claims,
        clock: Clock,
        tally: Tally,
        settings: AccountSettings,
        owner: str,
    ) -> None:
        limits = platform.limits
        self.hours = Hours(since=0.0, step_s=limits.report_step_s)
        self.found: dict[str, list[int]] = {}  # anomalies that stand
        self._platform = platform
        self._account = account
        self._desk = desk
        self._sender = sender
        self._frames = frames
        self._journal = journal
        self._claims = claims
        self._clock = clock
        self._tally = tally
        self._settings = settings
        self._owner = owner
        self._subject = reported_subject(desk.platform, desk.ad_account)
        delay = settings.report_delay
        self._delay_s = limits.report_delay_s if delay is None else delay
        days = settings.look_back_days
        self._look_back_s = 86_400.0 * (limits.restated_days if days is None else days)
        self._telling = Telling(cell_s=settings.cell)
        self._head = 0  # of the record of what was told
        self._known: set[int] = set()  # places told of
        self._writer: FrameWriter | None = None
        self._full_at = -1e18  # monotonic
        self._polled_at = 0.0  # epoch seconds
        self._is_recalled = False  # the newest cell may not have arrived
        self._stopped: list[str] = []  # entities that a gateway before had stopped

    async def recall(self) -> None:
        """Take over what was told. Raises BrokerError, MalformedMessageError."""
        now = self._clock.now()
        self._writer = FrameWriter(producer=f"{self._owner}-{self._subject}-{now:.6f}")
        step = self._platform.limits.report_step_s
        self.hours = Hours(since=(now - self._look_back_s) // step * step, step_s=step)
        self._telling = Telling(cell_s=self._settings.cell)
        self._known.clear()
        self._full_at, self._is_recalled, self._stopped = -1e18, False, []
        head = await self._journal.head(self._subject)
        self._head = 0 if head is None else head.sequence
        if head is None:
            return
        told = decode_told(self._subject, head.payload)
        self._take_over(told)
        self._stopped = told.stopped
        self._desk.recall_stopped(told.stopped)

    def _take_over(self, told: Told) -> None:
        count = len(told.series)
        base = np.frombuffer(told.base, "<i8").reshape(count, COUNTS)
        before = np.frombuffer(told.before, "<i8").reshape(count, TOLD)
        total = np.frombuffer(told.total, "<i8").reshape(count, TOLD)
        self.hours.since = told.since
        self._grow()
        if told.cell_s == self._telling.cell_s:
            self._telling.cell, self._is_recalled = told.cell, True
        for i, name in enumerate(told.series):
            campaign, _, entity = name.partition("/")
            place = self._desk.place(campaign, entity)
            if place is not None:
                self._known.add(place)
                self.hours.base[place] = base[i]
                self._telling.total[place] = total[i]
                self._telling.before[place] = before[i] if self._is_recalled else total[i]

    def moved(self, places: Iterable[int]) -> None:
        """Note places that are another series now."""
        self._grow()
        for place in places:
            self.hours.forget(place)
            self._telling.forget(place)
            self._known.discard(place)
            self._full_at = -1e18

    async def poll(self) -> bool:
        """Ask for a report and tell the engine; return whether it was one over the look-back.

        Raises:
            PlatformError: there is no answer. What is known stays.
            ConflictError: somebody else has the ad account.
            BrokerError: the broker stays away.
        """
        now, mono = self._clock.now(), self._clock.monotonic()
        is_full = mono - self._full_at >= min(FULL_EVERY_S, 24 * self._settings.poll_every)
        step = self.hours.step_s
        recent = (now - self._delay_s - step) // step * step
        since = self.hours.since if is_full else max(self.hours.since, min(recent, self._polled_at))
        rows = await self._sender.ask(lambda: self._collect(since, now))
        self._desk.purse.spend(1)
        self._take_in(rows, since=since, now=now, is_full=is_full)
        await self._tell(now)
        if is_full:
            self._full_at = mono
            self.hours.drop_before((now - self._look_back_s) // step * step)
            self._claims.forget_before(self.hours.since)
        self._look_over(now)
        self._polled_at, self._tally.reported_at = now, now
        self._tally.polls += 1
        return is_full

    async def _collect(self, since: float, until: float) -> list[ReportRow]:
        rows = self._platform.report(self._desk.ad_account, since=since, until=until)
        try:
            return [row async for row in rows]
        finally:
            # A generator that is cut off by a time-out must end here, not when it is collected.
            if isinstance(rows, AsyncGenerator):
                await rows.aclose()

    def _take_in(self, rows: list[ReportRow], *, since: float, now: float, is_full: bool) -> None:
        self._grow()
        desk, claims = self._desk, self._claims
        found: list[tuple[int, Link, ReportRow]] = []
        for row in rows:
            place = desk.place_of(row.target.entity)
            link = None if place is None else desk.link_of(place)
            if place is None or link is None:
                continue
            if row.ends_at > link.campaign.definition.flight.starts_at:
                found.append((place, link, row))
                claims.hear(link.id, link.platform, row)
        before = claims.duplicates
        self.hours.replace(
            ((place, row, claims.lost(link.id, link.platform, row)) for place, link, row in found),
            since=since,
            until=now,
        )
        self._tally.duplicate_sales += claims.duplicates - before
        if is_full:
            self._tally.unknown_sales = sum(unknown_milli(row) for *_, row in found) / 1000

    async def _tell(self, now: float) -> None:
        telling, desk = self._telling, self._desk
        whole_until = now - self._delay_s
        if self._is_recalled and int(whole_until // telling.cell_s) > telling.cell:
            linked = self._known & {place for place, _ in desk.links()}
            await self._send([self._sample(place) for place in sorted(linked)])
        self._is_recalled = False
        past = self._backfill(whole_until)
        if past:
            await self._send(past)
        was = telling.total.copy()
        telling.hear(self.hours.totals(), whole_until=whole_until)
        await self._record(now)
        linked = {place for place, _ in desk.links()}
        self._known |= linked
        await self._send([self._sample(place) for place in sorted(linked)])
        self._desk_saw(now, telling.total - was)

    def _backfill(self, whole_until: float) -> list[Sample]:
        """Return what series did before they were first told of, hour by hour."""
        cell_at = whole_until // self._telling.cell_s * self._telling.cell_s
        starts, counts = self.hours.starts(), self.hours.counts()
        past = np.flatnonzero(starts < cell_at)
        samples: list[Sample] = []
        for place, link in self._desk.links():
            if place in self._known:
                continue
            spent = [i for i in past.tolist() if counts[place, i, :TOLD].any()]
            old, recent = spent[:-MOST_BACKFILLED], spent[-MOST_BACKFILLED:]
            for i in recent:
                told = counts[place, i, :TOLD].copy()
                if i == recent[0] and old:
                    told += counts[place, old, :TOLD].sum(axis=0)
                self._telling.total[place] += told
                samples.append(_sample(link, starts[i] + AFTER_S, told))
            self._telling.before[place] = self._telling.total[place]
        return samples

    def _sample(self, place: int) -> Sample:
        link = self._desk.link_of(place)
        assert link is not None  # whoever is known is linked: `moved` sees to it
        return self._telling.sample(place, campaign=link.id, platform=link.platform)

    async def _send(self, samples: list[Sample]) -> None:
        """Publish samples, and return once they are stored."""
        if not samples or self._writer is None:
            return
        for partition, sequence, frame in self._writer.write(
            samples, unit_micros=unit_micros(self._account.currency)
        ):
            name = f"{self._writer.producer:016x}-{partition}-{sequence}"
            await self._frames.publish(partition, frame, message_id=name)
        await self._frames.flush()
        self._tally.samples += len(samples)

    async def _record(self, now: float) -> None:
        """Store what is told by now. Raises ConflictError where somebody else does."""
        telling = self._telling
        links = sorted(self._desk.links())
        places = [place for place, _ in links]
        told = Told(
            owner=self._owner,
            at_ms=round(now * 1000),
            cell=telling.cell,
            cell_s=telling.cell_s,
            since=self.hours.since,
            series=[f"{link.id}/{link.entity}" for _, link in links],
            base=self.hours.base[places].astype("<i8").tobytes(),
            before=telling.before[places].astype("<i8").tobytes(),
            total=telling.total[places].astype("<i8").tobytes(),
            # What a dry run pretends to stop is not ours to start.
            stopped=self._desk.stopped() if self._settings.live else self._stopped,
        )
        self._head = await self._journal.append(
            self._subject, encode_told(told), expected=self._head
        )

    def _desk_saw(
        self, now: float, risen: "np.ndarray[tuple[int, int], np.dtype[np.int64]]"
    ) -> None:
        desk, columns = self._desk, self._desk.columns
        n = len(risen)
        columns.spent[:n] = self._telling.total[:, SPEND]
        began, _ = day_of(now, self._account.timezone)
        today = self.hours.between(began, now + 1.0)[:, SPEND].astype(np.float64)
        if self._polled_at:
            seconds = max(now - self._polled_at, 1.0)
            clicks, spend = risen[:, CLICKS].astype(float), risen[:, SPEND].astype(float)
            desk.saw(clicks, spend, seconds, today=today)
        else:
            columns.today[:n] = today
            self._learn_the_past(now)

    def _learn_the_past(self, now: float) -> None:
        """Take slopes and rates of spend from the look-back, at the bids that are in force now."""
        totals = self.hours.between(now - 86_400.0, now + 1.0)
        columns = self._desk.columns
        n = len(totals)
        self._desk.saw(
            totals[:, CLICKS].astype(float),
            totals[:, SPEND].astype(float),
            86_400.0,
            today=columns.today[:n].copy(),
        )

    def _look_over(self, now: float) -> None:
        """Judge how ready entities are, and what looks broken."""
        desk, columns = self._desk, self._desk.columns
        counts = self.hours.counts()
        n = len(counts)
        wants = np.ones(n, np.bool_)
        for place, link in desk.links():
            wants[place] = link.campaign.definition.strategy is not Strategy.MAXIMISE_REACH
        columns.readiness[:n] = readiness(counts, wants, self._settings.readiness).score
        whole = int((now - self._delay_s - self.hours.since) // self.hours.step_s)
        is_on = (columns.serving[:n] == 1.0) & (columns.bid[:n] > 0) & columns.is_linked[:n]
        found = anomalies(counts, whole=max(whole, 0), is_on=is_on)
        for kind, places in found.items():
            fresh = set(places) - set(self.found.get(kind, ()))
            if fresh:
                entities = [desk.entities[place] for place in sorted(fresh)[:5]]
                _log.warning(
                    "anomaly", kind=kind, journal=self._subject, entities=entities, count=len(fresh)
                )
        self.found = found

    def _grow(self) -> None:
        count = self._desk.columns.count
        self.hours.grow(count)
        self._telling.grow(count)


def _sample(link: Link, at: float, told: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> Sample:
    return Sample(
        campaign=link.id,
        platform=link.platform,
        at=at,
        clicks=int(told[CLICKS]),
        spend_micros=int(told[SPEND]),
        impressions=int(told[IMPRESSIONS]),
        conversions=float(told[CONVERSIONS]) / 1000,
    )
