"""Hours as an ad account counts them: local dates and hours to stretches of epoch seconds.

Most days have 24. Where the clocks are set forward, one hour is missing; where they are set back,
one comes twice, and platforms that name hours by their number report both as one.
"""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

__all__ = ["dates_between", "hour_stretch", "local_hour", "zone_of"]


def zone_of(name: str) -> ZoneInfo:
    """Return a time zone by its IANA name. Raises ValueError where there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"a time zone such as Europe/Berlin wanted, found {name!r}") from None


def hour_stretch(day: date, hour: int, zone: ZoneInfo) -> tuple[float, float]:
    """Return when an hour of the clock, 0 to 23, begins and ends.

    One that comes twice lasts two hours; one that the clocks skip is empty.

    >>> begin, end = hour_stretch(date(2026, 10, 25), 2, ZoneInfo("Europe/Berlin"))
    >>> end - begin
    7200.0
    """
    begins = datetime.combine(day, time(hour), tzinfo=zone)
    last = datetime.combine(day, time(hour), tzinfo=UTC) + timedelta(hours=1)
    ends = last.replace(tzinfo=zone)
    return begins.timestamp(), ends.timestamp()


def dates_between(since: float, until: float, zone: ZoneInfo) -> tuple[date, date]:
    """Return the first and the last local date of a stretch of time that is not empty."""
    if not since < until:
        raise ValueError(f"a time after {since} wanted, found {until}")
    last = datetime.fromtimestamp(until, zone)
    if last.timestamp() == until and last.time() == time():
        last = datetime.fromtimestamp(until - 1, zone)
    return datetime.fromtimestamp(since, zone).date(), last.date()


def local_hour(at: float, zone: ZoneInfo) -> tuple[date, int]:
    """Return the local date and the hour of its clock at a time."""
    local = datetime.fromtimestamp(at, zone)
    return local.date(), local.hour
