"""Instants as people write them: ISO 8601, epoch seconds, "now", "+2h"."""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from zoneinfo import ZoneInfo

from engine.domain.validation import is_timezone

__all__ = ["TIME_WANTED", "instant", "zone_of"]

TIME_WANTED = 'a time such as 2026-12-01T09:00:00Z, epoch seconds, "now" or "+2h"'

_EPOCH = re.compile(r"\d{9,}(\.\d+)?", re.ASCII)
_OFFSET = re.compile(r"\+(\d{1,6})([smhdw])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600}


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
