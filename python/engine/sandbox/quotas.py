"""Quotas as ad platforms have them: so many operations a day, and so many calls a second.

A day's quota comes back at midnight of the platform's time zone, or, where it has no day, counts
the last 24 hours; calls are counted in a bucket that fills evenly. Who is refused is told how long
to wait.
"""

from collections import deque
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from engine.clock import Clock

__all__ = ["Quota", "Refusal"]

_DAY_S = 86_400.0


class Refusal(msgspec.Struct, frozen=True):
    """What a quota says to one call too many."""

    is_of_the_day: bool
    retry_after_s: float


class Quota:
    """The quota of one set of credentials. `None`: no such limit, or a day that slides."""

    def __init__(
        self,
        *,
        clock: Clock,
        per_day: int | None = None,
        per_second: float | None = None,
        burst: float = 10.0,
        timezone: str | None = "UTC",
    ) -> None:
        self.per_day = per_day
        self._clock = clock
        self._per_second = per_second
        self._burst = burst
        self._zone = ZoneInfo(timezone) if timezone else None
        self._taken: deque[tuple[float, int]] = deque()
        self._used = 0
        self._tokens = burst
        self._filled_at = clock.monotonic()

    @property
    def used(self) -> int:
        """Return the operations that count against the day."""
        self._forget()
        return self._used

    def take(self, operations: int) -> Refusal | None:
        """Take operations off; return why not where there are too few left: then none is taken."""
        if self.per_day is not None and self.used + operations > self.per_day:
            wait = self._until_renewed(operations, self.per_day)
            return Refusal(is_of_the_day=True, retry_after_s=wait)
        wait = self._wait()
        if wait > 0:
            return Refusal(is_of_the_day=False, retry_after_s=wait)
        self._tokens -= 1
        self._taken.append((self._clock.now(), operations))
        self._used += operations
        return None

    def _wait(self) -> float:
        if self._per_second is None:
            return 0.0
        now = self._clock.monotonic()
        since, self._filled_at = now - self._filled_at, now
        self._tokens = min(self._burst, self._tokens + since * self._per_second)
        return (1 - self._tokens) / self._per_second if self._tokens < 1 else 0.0

    def _forget(self) -> None:
        """Drop what counts no more."""
        while self._taken and self._ends(self._taken[0][0]) <= self._clock.now():
            self._used -= self._taken.popleft()[1]

    def _ends(self, at: float) -> float:
        """Return when what was taken at a time counts no more."""
        return at + _DAY_S if self._zone is None else self._midnight_after(at)

    def _until_renewed(self, operations: int, per_day: int) -> float:
        left = per_day - self.used
        for at, taken in self._taken:
            left += taken
            if left >= operations:
                return self._ends(at) - self._clock.now()
        return self._ends(self._clock.now()) - self._clock.now()

    def _midnight_after(self, at: float) -> float:
        begins = datetime.fromtimestamp(at, self._zone).replace(
            hour=0, minute=0, second=0, microsecond=0
        )
        return (begins + timedelta(days=1)).timestamp()
