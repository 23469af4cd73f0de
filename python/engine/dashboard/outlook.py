"""Forecasts with their intervals: a book's to make, so a book is restored and asked.

From the partition's newest snapshot, and the frames that came after it: the same sums as the
worker's own. The answer says which round the snapshot is of. Where there is none, or it is another
version's, the forecasts that the decision carries must do, and the page says why.
"""

import asyncio
from typing import Any

import msgspec

from engine.clock import Clock
from engine.core.book import Book, CoreError, Estimate
from engine.domain.campaign import Campaign
from engine.domain.ids import partition_of
from engine.errors import BrokerError, MalformedMessageError
from engine.messaging.ports import Broker, Message

__all__ = ["Outlooks", "front_of"]

KEPT_S = 4.0  # for how long a restored book serves all who ask
FRAMES_S = 3.0  # for reading the frames since the snapshot


class _Snapshot(msgspec.Struct, frozen=True):
    """What is needed of a worker's snapshot; it has more."""

    partition: int
    round: int
    at_ms: int
    metrics_sequence: int
    book: bytes
    v: int = 1


_decoder = msgspec.msgpack.Decoder(_Snapshot)


class _Restored(msgspec.Struct):
    book: Book
    snapshot_at: float
    counted: int  # frames since
    is_current: bool  # all frames there were have been counted
    until: float  # monotonic


class Outlooks:
    """Books of partitions, restored when somebody asks and forgotten soon after."""

    def __init__(self, *, broker: Broker, clock: Clock) -> None:
        self._broker = broker
        self._clock = clock
        self._restored: dict[int, _Restored] = {}
        self._one_at_a_time = asyncio.Lock()

    async def of(self, campaign: Campaign) -> dict[str, Any]:
        """Return the forecasts of a campaign's platforms, or why there are none."""
        name = campaign.definition.id
        try:
            restored = await self._book(partition_of(name))
        except (BrokerError, MalformedMessageError, CoreError) as error:
            return {"problem": str(error), "platforms": {}}
        if restored is None:
            return {"problem": "no snapshot of its partition yet", "platforms": {}}
        at_ms = round(self._clock.now() * 1000)
        platforms = {}
        for platform in campaign.definition.platforms:
            try:
                platforms[platform] = _fields(restored.book, name, platform, at_ms)
            except CoreError:
                continue  # newer than the snapshot
        return {
            "problem": "" if platforms else "newer than the newest snapshot of its partition",
            "snapshot_at": round(restored.snapshot_at, 1),
            "counted": restored.counted,
            "is_current": restored.is_current,
            "platforms": platforms,
            "front": front_of(restored.book, name, at_ms),
        }

    async def _book(self, partition: int) -> _Restored | None:
        async with self._one_at_a_time:
            known = self._restored.get(partition)
            if known is not None and known.until > self._clock.monotonic():
                return known
            self._restored = {
                key: one
                for key, one in self._restored.items()
                if one.until > self._clock.monotonic()
            }
            payload = await self._broker.snapshots.newest(partition)
            if payload is None:
                return None
            restored = await self._restore(partition, payload)
            self._restored[partition] = restored
            return restored

    async def _restore(self, partition: int, payload: bytes) -> _Restored:
        try:
            snapshot = _decoder.decode(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise MalformedMessageError(f"snapshot of partition {partition}", str(error)) from error
        book = await asyncio.to_thread(Book.restore, snapshot.book)
        frames: list[Message] = []
        is_current = True
        async with self._broker.frames.follow(
            frames.append, partitions=[partition], after=snapshot.metrics_sequence
        ) as follower:
            try:
                async with asyncio.timeout(FRAMES_S):
                    await follower.caught_up()
            except TimeoutError:
                is_current = False
        await asyncio.to_thread(_count, book, frames)
        return _Restored(
            book=book,
            snapshot_at=snapshot.at_ms / 1000,
            counted=len(frames),
            is_current=is_current,
            until=self._clock.monotonic() + KEPT_S,
        )


def front_of(book: Book, campaign: str, at_ms: int) -> dict[str, Any] | None:
    """Return a campaign's Pareto front and where it stands; None where the core has none.

    Spend is in micros, and of the whole flight, as is what it brings.
    """
    pareto = getattr(book, "pareto", None)
    if pareto is None:
        return None
    try:
        found = pareto(campaign, at_ms)
    except CoreError:
        return None
    return {
        "points": [_point(one) for one in found.points],
        "stands": _point(found.stands),
        "waste": found.waste,
        "confidence": found.confidence,
    }


def _point(one: Any) -> dict[str, float]:  # noqa: ANN401 - of a core that may be newer
    return {"spend": one.spend_micros, "brings": one.brings}


def _count(book: Book, frames: list[Message]) -> None:
    for frame in frames:
        try:
            book.ingest(frame.payload)
        except CoreError:
            continue  # the worker buries it; nothing is counted of it


def _fields(book: Book, name: str, platform: str, at_ms: int) -> dict[str, Any]:
    forecast = book.forecast(name, platform, at_ms)
    size, age, spread, completeness = forecast.confidence_parts
    return {
        "cpc": _interval(forecast.cpc_micros),
        "cvr": _interval(forecast.cvr),
        "confidence": forecast.confidence,
        "parts": {"size": size, "age": age, "spread": spread, "completeness": completeness},
        "samples": forecast.samples,
        "clicks": forecast.clicks,
    }


def _interval(estimate: Estimate | None) -> dict[str, float] | None:
    if estimate is None:
        return None
    return {
        "value": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "slope_s": estimate.slope_per_s,
    }
