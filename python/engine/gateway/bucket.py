"""A token bucket: so many operations a second, with a burst, slower when the platform says so.

>>> bucket = TokenBucket(rate=2.0, burst=4.0, now=0.0)
>>> bucket.take(3, now=0.0), bucket.take(3, now=0.0), bucket.take(3, now=1.0)
(True, False, True)
"""

__all__ = ["TokenBucket"]

RECOVERY_S = 60.0
"""A rate that was cut doubles again in this time, up to what it was."""
LEAST_SHARE = 1 / 64
"""Of the usual rate; however often a platform complains."""


class TokenBucket:
    """Holds up to `burst` tokens, filled at `rate` a second. Times are of one monotonic clock."""

    def __init__(self, *, rate: float, burst: float, now: float) -> None:
        self._usual = rate
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at = now
        self._closed_until = now

    @property
    def rate(self) -> float:
        """Return how many tokens a second come in, after the platform's hints."""
        return self._rate

    def available(self, now: float) -> float:
        """Return how many tokens may be taken now."""
        self._fill(now)
        return 0.0 if now < self._closed_until else self._tokens

    def take(self, count: float, *, now: float) -> bool:
        """Take tokens, all of them or none."""
        if self.available(now) + 1e-9 < count:
            return False
        self._tokens -= count
        return True

    def ready_in(self, count: float, *, now: float) -> float:
        """Return after how many seconds so many tokens (a burst at most) may be taken."""
        self._fill(now)
        missing = min(count, self._burst) - self._tokens
        return max(self._closed_until - now, missing / self._rate, 0.0)

    def rerate(self, rate: float, *, now: float) -> None:
        """Let another number of tokens come in from now on: what the platform says it allows."""
        self._fill(now)
        self._usual = self._rate = rate

    def penalise(self, delay: float, *, now: float) -> None:
        """Give nothing for `delay` seconds, then half as much as before; it recovers by itself."""
        self._fill(now)
        self._closed_until = max(self._closed_until, now + delay)
        self._at = max(self._at, self._closed_until)
        self._tokens = 0.0
        self._rate = max(self._rate / 2, self._usual * LEAST_SHARE)

    def _fill(self, now: float) -> None:
        passed = now - self._at
        if passed <= 0:
            return
        self._tokens = min(self._burst, self._tokens + passed * self._rate)
        if self._rate < self._usual:
            self._rate = min(self._usual, self._rate * 2.0 ** (passed / RECOVERY_S))
        self._at = now
