"""A day's operations, spent evenly, with a reserve for emergency stops.

A platform allows so many operations a day. Spent as they are wanted they would be gone by ten in
the morning, so at each moment only that part of the day's may be gone that has passed, and a little
ahead. A share is kept back for stops, which may also spend all that is left.

>>> purse = Purse(a_day=1000, reserve=0.1, ahead=0.0)
>>> purse.begin(0.0, day_s=86_400.0)
>>> purse.available(43_200.0), purse.available(43_200.0, is_emergency=True)
(450, 1000)
"""

import math
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

__all__ = ["Purse", "day_of"]


class Purse:
    """Operations of one day. `a_day` None: no limit. Times are epoch seconds."""

    def __init__(
        self, *, a_day: int | None, reserve: float = 0.05, ahead: float = 0.02, used: int = 0
    ) -> None:
        self.a_day = a_day
        self.used = used
        self.began_at = 0.0
        self._reserve = reserve
        self._ahead = ahead
        self._day_s = 86_400.0
        self._empty_until: float | None = None

    @property
    def reserved(self) -> int:
        """Return how many operations are kept for emergency stops."""
        return 0 if self.a_day is None else -int(-self.a_day * self._reserve // 1)

    @property
    def left(self) -> int | None:
        """Return how many operations are left of the day; None: no limit."""
        if self.a_day is None:
            return None
        return 0 if self._empty_until is not None else max(self.a_day - self.used, 0)

    def begin(self, at: float, *, day_s: float, used: int = 0) -> None:
        """Begin a day, unless it has begun already: then what is used stays."""
        if at != self.began_at:
            self.began_at, self.used, self._empty_until = at, used, None
        self._day_s = day_s

    def available(self, now: float, *, is_emergency: bool = False) -> int:
        """Return how many operations may be spent now."""
        if self._empty_until is not None:
            if now < self._empty_until:
                return 0
            self._empty_until = None
        if self.a_day is None:
            return 2**31
        if is_emergency:
            return max(self.a_day - self.used, 0)
        passed = min(max((now - self.began_at) / self._day_s, 0.0) + self._ahead, 1.0)
        return max(int((self.a_day - self.reserved) * passed) - self.used, 0)

    def spend(self, count: int) -> None:
        """Count operations as spent, whatever came of them: the platform counts them too."""
        self.used += count

    def exhaust(self, *, until: float | None = None) -> None:
        """The platform says that nothing is left, until a time; None: until the day is over."""
        self._empty_until = math.inf if until is None else until


def day_of(now: float, timezone: str) -> tuple[float, float]:
    """Return when the day of a time zone began, and how many seconds it lasts.

    >>> day_of(1_800_000_000.0, "UTC")
    (1799971200.0, 86400.0)
    """
    zone = ZoneInfo(timezone)
    local = datetime.fromtimestamp(now, zone)
    begins = datetime(local.year, local.month, local.day, tzinfo=zone)
    later = begins.replace(tzinfo=None) + timedelta(days=1)
    ends = later.replace(tzinfo=zone)
    return begins.timestamp(), ends.timestamp() - begins.timestamp()
