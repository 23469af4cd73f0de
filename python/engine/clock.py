"""Time, handed in.

No other module calls `time.time`, `datetime.now` or `asyncio.sleep`: they take a
`Clock`. Tests hand in one that only moves when told to.
"""

import asyncio
import time
from typing import Protocol

__all__ = ["Clock", "Pause", "SystemClock"]


class Clock(Protocol):
    """Where time comes from."""

    def now(self) -> float:
        """Return seconds since the Unix epoch."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never step back; only differences mean anything."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Let that many seconds pass."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Pause:
    """The sleeps of one loop. `wake` cuts the present (or next) one short, `end` all to come."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._scope: asyncio.Timeout | None = None
        self._is_woken = False
        self.is_over = False

    async def sleep(self, seconds: float) -> None:
        """Let time pass, or return early."""
        if not (self.is_over or self._is_woken):
            try:
                async with asyncio.timeout(None) as self._scope:
                    await self._clock.sleep(max(0.0, seconds))
            except TimeoutError:
                pass  # cut short: that is what the scope is for
            finally:
                self._scope = None
        self._is_woken = False

    def wake(self) -> None:
        """Cut one sleep short: the present one, or the next where nobody sleeps."""
        self._is_woken = True
        if self._scope is not None and not self._scope.expired():
            self._scope.reschedule(asyncio.get_running_loop().time())

    def end(self) -> None:
        """Let no sleep last any more. May come early, and more than once."""
        self.is_over = True
        self.wake()
