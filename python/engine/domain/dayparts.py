"""Day-parts: hours of the week in which a campaign must not bid, as people write them.

A rule is days and hours: "mon-fri 22-6", "sat,sun", "daily 0-7". Hours are whole, from the first up
to the second; where the second is not the greater, they go on into the next day. Without hours a
rule is for whole days. The clocks are those of the campaign's time zone: an hour that they skip is
in no day, and one that they show twice is twice itself.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

__all__ = ["DAYS", "RULE_WANTED", "WEEK_HOURS", "hours_of", "open_hours", "words_of"]

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WEEK_HOURS = 168
RULE_WANTED = 'days and whole hours, such as "mon-fri 22-6", "sat,sun" or "daily 0-7"'

_RULE = re.compile(r"([a-z,-]+)(?: +(\d{1,2})(?::00)? *- *(\d{1,2})(?::00)?)?")


def hours_of(rule: str) -> frozenset[int]:
    """Return the hours of the week that a rule names: 0 is Monday's first, 167 Sunday's last.

    >>> sorted(hours_of("sun 22-2"))
    [0, 1, 166, 167]

    Raises ValueError, whose text is what was wanted.
    """
    found = _RULE.fullmatch(rule.strip().lower())
    if found is None:
        raise ValueError(RULE_WANTED)
    days = _days(found[1])
    if found[2] is None:
        return frozenset(day * 24 + hour for day in days for hour in range(24))
    first, last = int(found[2]), int(found[3])
    if first > 23 or last > 24:
        raise ValueError(f"hours from 0 to 23, up to 24, in {RULE_WANTED}")
    if first == last:
        raise ValueError(f"two different hours (0-24 is the whole day), in {RULE_WANTED}")
    count = last - first if last > first else last + 24 - first
    return frozenset(
        (day * 24 + first + hour) % WEEK_HOURS for day in days for hour in range(count)
    )


def words_of(rules: Iterable[str]) -> tuple[int, int, int]:
    """Return the hours of rules as a CAMPAIGN_ROW has them: hour h, bit h % 64 of word h // 64."""
    words = [0, 0, 0]
    for hour in frozenset[int]().union(*(hours_of(rule) for rule in rules)):
        words[hour // 64] |= 1 << hour % 64
    return words[0], words[1], words[2]


def open_hours(rules: Iterable[str], *, timezone: str, starts_at: float, ends_at: float) -> float:
    """Return how many hours of [starts_at, ends_at) no rule blocks, to a quarter of an hour.

    Counts at most one week: whether there are any is what matters.
    """
    blocked = frozenset[int]().union(*(hours_of(rule) for rule in rules))
    if len(blocked) == WEEK_HOURS:
        return 0.0
    quarters = _quarters(timezone, starts_at, min(ends_at, starts_at + 7 * 86_400))
    return sum(hour not in blocked for hour in quarters) / 4


def _quarters(timezone: str, starts_at: float, ends_at: float) -> Iterator[int]:
    """Iterate the hour of the week of each quarter of an hour, whole or not."""
    zone = ZoneInfo(timezone)
    at = datetime.fromtimestamp(starts_at // 900 * 900, tz=ZoneInfo("UTC"))
    while at.timestamp() < ends_at:
        local = at.astimezone(zone)
        yield local.weekday() * 24 + local.hour
        at += timedelta(minutes=15)


def _days(text: str) -> set[int]:
    if text == "daily":
        return set(range(7))
    days: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            raise ValueError(RULE_WANTED)
        begin, end = DAYS.index(first), DAYS.index(last if dash else first)
        days |= {(begin + step) % 7 for step in range((end - begin) % 7 + 1)}
    return days
