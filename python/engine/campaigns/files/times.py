"""Instants as people write them: ISO 8601, epoch seconds, "now", "+2h"."""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from zoneinfo import ZoneInfo

import msgspec

from engine.domain.campaign import Flight
from engine.domain.validation import is_timezone

__all__ = ["TIME_WANTED", "Relative", "instant", "zone_of"]

TIME_WANTED = 'a time such as 2026-12-01T09:00:00Z, epoch seconds, "now" or "+2h"'

_EPOCH = re.compile(r"\d{9,}(\.\d+)?", re.ASCII)
_OFFSET = re.compile(r"\+(\d{1,6})([smhdw])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600}


class Relative(msgspec.Struct, frozen=True):
    """A flight that was written to start now, or so long from now."""

    ends: str | None  # as written, where that counts from the start

    @classmethod
    def of(cls, starts: object, ends: object) -> "Relative | None":
        """Return how a flight was written; None for one whose start is a time."""
        if not _is_relative(starts):
            return None
        return cls(ends if isinstance(ends, str) and _OFFSET.fullmatch(ends) else None)

    def kept(self, flight: Flight, *, before: Flight, zone: tzinfo) -> Flight:
        """Return a flight as read now, with the start that it was published with before.

        A start in the published flight that is later than the one meant now is not kept.
        """
        starts_at = before.starts_at
        if starts_at >= flight.starts_at:
            return flight
        if self.ends is None:
            return Flight(starts_at=starts_at, ends_at=flight.ends_at)
        ends_at = instant(self.ends, zone=zone, since=starts_at, now=starts_at)
        return Flight(starts_at=starts_at, ends_at=ends_at)


def zone_of(name: str) -> tzinfo:
    """Return the time zone of a name; UTC for one that does not exist (reported elsewhere)."""
    return ZoneInfo(name) if name and is_timezone(name) else UTC


def instant(value: object, *, zone: tzinfo, since: float, now: float) -> float:
    """Return a written instant as epoch seconds.

    A time without a zone is local to `zone`. An offset counts from `since`: s, m and h are exact,
    d and w are days of the calendar, so that a flight that starts at nine ends at nine.

    Raises ValueError, whose text is what was wanted.
    """
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return _seconds(Decimal(value))
    if not isinstance(value, str):
        raise ValueError(TIME_WANTED)
    if value == "now":
        return now
    if _EPOCH.fullmatch(value):
        return _seconds(Decimal(value))
    if offset := _OFFSET.fullmatch(value):
        return _later(since, int(offset[1]), offset[2], zone)
    return _iso(value, zone)


def _is_relative(value: object) -> bool:
    return isinstance(value, str) and (value == "now" or _OFFSET.fullmatch(value) is not None)


def _seconds(number: Decimal) -> float:
    if number.copy_abs() >= 2**53:
        raise ValueError(TIME_WANTED)
    return float(number)


def _later(since: float, count: int, unit: str, zone: tzinfo) -> float:
    if unit in _SECONDS:
        return since + count * _SECONDS[unit]
    days = count * (7 if unit == "w" else 1)
    try:
        return (datetime.fromtimestamp(since, zone) + timedelta(days=days)).timestamp()
    except (OverflowError, ValueError):
        raise ValueError("an offset of fewer days") from None


def _iso(text: str, zone: tzinfo) -> float:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone)
        return moment.timestamp()
    except (ValueError, OverflowError):
        raise ValueError(TIME_WANTED) from None
