"""What entities did by the hours of an ad account's clock: slots of books, added up.

An hour that comes twice, where the clocks are set back, is one hour of the number it has.
"""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta

import msgspec

from engine.platforms.hours import local_hour, zone_of
from engine.sandbox.state import Account, Books, Level

__all__ = ["HourOf", "hours_of"]


class HourOf(msgspec.Struct, kw_only=True):
    """What one entity did in one hour of the clock."""

    entity: str
    day: date
    hour: int
    impressions: int = 0
    clicks: int = 0
    spend_micros: int = 0
    milliconversions: int = 0
    revenue_micros: int = 0


def hours_of(
    books: Books, account: Account, level: Level, *, first: date, last: date
) -> Iterator[HourOf]:
    """Iterate hours in which something was counted, of local dates from `first` to `last`."""
    zone = zone_of(account.timezone)
    since = datetime.combine(first, time(), tzinfo=zone).timestamp()
    until = datetime.combine(last + timedelta(days=1), time(), tzinfo=zone).timestamp()
    found: dict[tuple[str, date, int], HourOf] = {}
    for stat in books.stats(account.id, level, since=since, until=until):
        day, hour = local_hour(stat.at, zone)
        key = (stat.entity, day, hour)
        did = found.setdefault(key, HourOf(entity=stat.entity, day=day, hour=hour))
        did.impressions += stat.impressions
        did.clicks += stat.clicks
        did.spend_micros += stat.spend_micros
        did.milliconversions += stat.milliconversions
        did.revenue_micros += stat.revenue_micros
    yield from (found[key] for key in sorted(found))
