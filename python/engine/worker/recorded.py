"""The recorded state of a campaign: its book, brought to the chain's head, and its samples.

Nothing is written and nobody is fenced: a reader may look while a worker decides.
"""

from contextlib import AsyncExitStack
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.backtest.expectation import Outlook
from engine.clock import Clock
from engine.core.book import Book, Front
from engine.core.frames import decode_frame, spend_micros
from engine.domain.campaign import Definition
from engine.domain.ids import partition_of, series_key
from engine.domain.prospect import Prospect
from engine.errors import MalformedMessageError
from engine.messaging.ports import Broker, Message
from engine.worker.intake import Intake
from engine.worker.settings import WorkerSettings
from engine.worker.state import State

__all__ = ["Recorded", "recorded_of"]

Ints = NDArray[np.int64]

DAY_MS = 86_400_000
_TICKS = 2**32
_Counts = tuple[int, int, int, int]  # clicks, thousandths of conversions, spend, impressions


class _Samples(NamedTuple):
    """The kept samples of one series, restated ones counted once, ascending by time."""

    at_ms: Ints
    clicks: Ints
    milliconversions: Ints
    spend_micros: Ints
    impressions: Ints


class Recorded(NamedTuple):
    """What is known of a campaign."""

    outlooks: list[Outlook]  # by platform
    front: Front | None  # None before a worker has decided for it


async def recorded_of(
    definition: Definition, *, broker: Broker, clock: Clock, settings: WorkerSettings
) -> Recorded:
    """Return what is known of each platform of a campaign, and what its landscapes allow.

    Raises MalformedMessageError where the chain cannot be read, BrokerError where the broker stays
    away.
    """
    partition = partition_of(definition.id)
    state = await _state(partition, broker=broker, clock=clock, settings=settings)
    at_ms = state.at_ms or round(clock.now() * 1000)
    kept = await _samples(partition, definition, broker=broker, now_ms=round(clock.now() * 1000))
    is_known = definition.id in state.entries
    platforms = definition.platforms
    outlooks = [
        _outlook(
            platform,
            kept[platform],
            state.book.prospect(definition.id, platform, at_ms)
            if is_known and platform in state.entries[definition.id].campaign.definition.platforms
            else None,
        )
        for platform in platforms
    ]
    return Recorded(outlooks, state.book.pareto(definition.id, at_ms) if is_known else None)


async def _state(
    partition: int, *, broker: Broker, clock: Clock, settings: WorkerSettings
) -> State:
    """Return the state at the chain's head, as its owner has it."""

    def new_state() -> State:
        book = Book(window=settings.window, interval_ms=round(settings.interval * 1000))
        return State(partition, book, bury=_ignore)

    intake = Intake(partition, broker=broker, clock=clock, overflow=lambda: None)
    async with AsyncExitStack() as inputs:
        found = await intake.recover(inputs, new_state=new_state, bury=_ignore, replays=True)
        return found.state


async def _samples(
    partition: int, definition: Definition, *, broker: Broker, now_ms: int
) -> dict[str, _Samples]:
    names = {series_key(definition.id, platform): platform for platform in definition.platforms}
    found: dict[str, dict[int, _Counts]] = {p: {} for p in names.values()}
    keys = np.array(list(names), np.uint64)

    def take(message: Message) -> None:
        try:
            frame = decode_frame(message.payload)
        except MalformedMessageError:
            return
        mine = np.isin(frame.rows["series"], keys)
        if not mine.any():
            return
        rows = frame.rows[mine]
        spent = spend_micros(rows, frame.unit_micros).tolist()
        for row, spend in zip(rows, spent, strict=True):
            ago = (now_ms // frame.tick_ms - int(row["tick"])) % _TICKS
            ago -= _TICKS if ago >= _TICKS // 2 else 0
            at_ms = now_ms - ago * frame.tick_ms
            found[names[int(row["series"])]][at_ms] = (
                int(row["clicks"]),
                int(row["milliconversions"]),
                spend,
                int(row["impressions"]),
            )

    async with broker.frames.follow(take, partitions=[partition]) as follower:
        await follower.caught_up()
    return {platform: _ascending(samples) for platform, samples in found.items()}


def _ascending(samples: dict[int, _Counts]) -> _Samples:
    times = sorted(samples)
    columns = np.array([samples[at] for at in times], np.int64).reshape(-1, 4)
    return _Samples(np.array(times, np.int64), *columns.T)


def _outlook(platform: str, kept: _Samples, prospect: Prospect | None) -> Outlook:
    return Outlook(
        platform=platform,
        clicks=int(kept.clicks.sum()),
        conversions=int(kept.milliconversions.sum()) / 1000,
        spend_micros=int(kept.spend_micros.sum()),
        impressions=int(kept.impressions.sum()),
        seconds=_seconds(kept.at_ms),
        traffic_spread=_spread(kept),
        prospect=prospect,
    )


def _seconds(at_ms: Ints) -> float:
    """Return how long samples reach: the first stretch is as long as stretches usually are."""
    if len(at_ms) < 2:
        return 0.0
    return float(at_ms[-1] - at_ms[0] + np.median(np.diff(at_ms))) / 1000


def _spread(kept: _Samples) -> float | None:
    """Return the relative sd of a day's clicks, from that of each 24th of the time seen.

    Chance among single clicks is taken out: it is counted by itself. Where less than a day was
    seen, its parts are held to swing together, the more so the less was seen.
    """
    if len(kept.at_ms) < 24:
        return None
    parts = np.array_split(kept.clicks, 24)
    sums = np.array([part.sum() for part in parts], np.float64)
    mean = sums.mean()
    if mean <= 0:
        return None
    more = max(float(sums.var(ddof=1)) - float(mean), 0.0)
    days = float(kept.at_ms[-1] - kept.at_ms[0]) / DAY_MS
    parts_a_day = max(24 / days if days > 1 else 24 * days, 1.0)
    return float(np.sqrt(more) / mean / np.sqrt(parts_a_day))


def _ignore(origin: str, reason: str, payload: bytes) -> None:
    """Leave what cannot be read to whoever decides."""
