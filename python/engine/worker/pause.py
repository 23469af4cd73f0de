"""A sleep that can be cut short, once or for good."""

import asyncio

from engine.clock import Clock

__all__ = ["Pause"]


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
