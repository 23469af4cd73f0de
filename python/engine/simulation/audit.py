"""Reads a run back from the broker and counts it: what is stored, not what anybody remembers."""

import structlog

from engine.clock import Clock
from engine.core.frames import decode_frame
from engine.domain.campaign import Definition
from engine.domain.codec import decode_campaign
from engine.domain.ids import PARTITIONS
from engine.errors import MalformedMessageError
from engine.messaging.ports import Broker, CampaignTable, Chain, Frames, Message
from engine.messaging.records import Decide, Keep, Record, Release, Take, decode_record
from engine.reports.chain import ChainAudit, Kind, Link
from engine.reports.spending import SampleTally, SeriesTotals
from engine.reports.summary import Summary, summarise, totals_by_campaign

__all__ = ["audit", "link_of"]

_log = structlog.get_logger()
# Partitions whose samples are in memory at a time.
_TOGETHER = 16


async def audit(
    broker: Broker,
    *,
    clock: Clock,
    seed: int,
    workers: int,
    duration_s: float,
    interval_ms: int | None = None,
    tolerance: float = 0.0,
) -> Summary:
    """Return the summary of everything the broker holds. `tolerance`: see `summarise`."""
    at = clock.now()
    definitions = await _definitions(broker.campaigns)
    chains = _ChainReader(ChainAudit(interval_ms=interval_ms))
    await chains.read(broker.chain)
    samples = _SampleReader()
    await samples.read(broker.frames)
    return summarise(
        definitions,
        totals_by_campaign(definitions, samples.parts),
        chains.audit,
        settled_micros=chains.settled_micros,
        samples=samples.samples,
        duplicate_frames=samples.duplicate_frames,
        unreadable=chains.unreadable + samples.unreadable,
        at=at,
        workers=workers,
        seed=seed,
        duration_s=duration_s,
        tolerance=tolerance,
    )


def link_of(record: Record, sequence: int) -> Link:
    """Return what the audit wants to know of a record stored at a sequence."""
    kinds: dict[type[Record], Kind] = {
        Take: "take",
        Decide: "decide",
        Keep: "keep",
        Release: "release",
    }
    return Link(
        partition=record.partition,
        sequence=sequence,
        kind=kinds[type(record)],
        previous=record.previous,
        epoch=record.epoch,
        owner=record.owner,
        round=record.round,
        at_ms=record.at_ms,
        metrics_sequence=record.metrics_sequence,
        decided=record.decided if isinstance(record, Decide) else 0,
        changed=len(record.changed.campaign) if isinstance(record, Decide) else 0,
    )


async def _definitions(table: CampaignTable) -> list[Definition]:
    """Return all that decode: an entry that does not is no campaign."""
    found: list[Definition] = []
    async for message in table.all():
        try:
            campaign = decode_campaign(f"campaign at {message.sequence}", message.payload)
        except MalformedMessageError as error:
            _log.warning("campaign_unreadable", reason=str(error))
        else:
            found.append(campaign.definition)
    return found


class _ChainReader:
    def __init__(self, audit: ChainAudit) -> None:
        self.audit = audit
        self.unreadable = 0
        self.settled_micros: dict[str, int] = {}

    async def read(self, chain: Chain) -> None:
        async with chain.follow(self._deliver, after=0) as follower:
            await follower.caught_up()

    def _deliver(self, message: Message) -> None:
        try:
            record = decode_record(f"decision at {message.sequence}", message.payload)
        except MalformedMessageError as error:
            self.unreadable += 1
            _log.warning("decision_unreadable", reason=str(error))
            return
        self.audit.add(link_of(record, message.sequence))
        if isinstance(record, Decide):
            columns = record.changed
            self.settled_micros.update(zip(columns.campaign, columns.settled_micros, strict=True))
        elif isinstance(record, Keep):
            self.settled_micros.update(zip(record.campaign, record.settled_micros, strict=True))


class _SampleReader:
    def __init__(self) -> None:
        self.parts: list[SeriesTotals] = []
        self.samples = 0
        self.duplicate_frames = 0
        self.unreadable = 0
        self._tally = SampleTally()

    async def read(self, frames: Frames) -> None:
        for first in range(0, PARTITIONS, _TOGETHER):
            self._tally = SampleTally()
            some = range(first, first + _TOGETHER)
            async with frames.follow(self._deliver, partitions=some, after=0) as follower:
                await follower.caught_up()
            self.parts.append(self._tally.totals())
            self.samples += self._tally.samples
            self.duplicate_frames += self._tally.duplicate_frames

    def _deliver(self, message: Message) -> None:
        try:
            frame = decode_frame(message.payload)
        except MalformedMessageError as error:
            self.unreadable += 1
            _log.warning("frame_unreadable", reason=str(error))
            return
        self._tally.add(frame)
