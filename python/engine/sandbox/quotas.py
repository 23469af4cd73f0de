"""Quotas as ad platforms have them: so many operations a day, and so many calls a second.

A day's quota comes back at midnight of the platform's time zone; calls are counted in a bucket
that fills evenly. Who is refused is told how long to wait.
"""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from engine.clock import Clock

__all__ = ["Quota", "Refusal"]


class Refusal(msgspec.Struct, frozen=True):
    """What a quota says to one call too many."""

    is_of_the_day: bool
    retry_after_s: float


class Quota:
    """The quota of one set of credentials. `None`: no such limit."""

    def __init__(
        self,
        *,
        clock: Clock,
        per_day: int | None = None,
        per_second: float | None = None,
        burst: float = 10.0,
        timezone: str = "UTC",
    ) -> None:
        self.per_day = per_day
        self.used = 0
        self._clock = clock
        self._per_second = per_second
        self._burst = burst
        self._zone = ZoneInfo(timezone)
        self._day = self._today()
        self._tokens = burst
        self._filled_at = clock.monotonic()

    def take(self, operations: int) -> Refusal | None:
        """Take operations off; return why not where there are too few left: then none is taken."""
        today = self._today()
        if today != self._day:
            self._day, self.used = today, 0
        if self.per_day is not None and self.used + operations > self.per_day:
            return Refusal(is_of_the_day=True, retry_after_s=self._until_midnight())
        wait = self._wait()
        if wait > 0:
            return Refusal(is_of_the_day=False, retry_after_s=wait)
        self._tokens -= 1
        self.used += operations
        return None

    def _wait(self) -> float:
        if self._per_second is None:
            return 0.0
        now = self._clock.monotonic()
        since, self._filled_at = now - self._filled_at, now
        self._tokens = min(self._burst, self._tokens + since * self._per_second)
        return (1 - self._tokens) / self._per_second if self._tokens < 1 else 0.0

    def _today(self) -> datetime:
        now = datetime.fromtimestamp(self._clock.now(), self._zone)
        return now.replace(hour=0, minute=0, second=0, microsecond=0)

    def _until_midnight(self) -> float:
        midnight = (self._today() + timedelta(days=1)).timestamp()
        return midnight - self._clock.now()
