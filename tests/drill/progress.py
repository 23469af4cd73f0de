"""What a run says of itself while it goes on: a line on stderr now and then."""

import sys
from collections.abc import Callable

from engine.clock import Clock

__all__ = ["Progress"]

EVERY_S = 10.0


class Progress:
    """Writes lines that begin with how many servers there are, and how far the run is."""

    def __init__(self, *, servers: int, seconds: float, is_quiet: bool, clock: Clock) -> None:
        self._title = f"R{servers}"
        self._seconds = seconds
        self._is_quiet = is_quiet
        self._clock = clock

    def say(self, words: str) -> None:
        """Write one line."""
        if not self._is_quiet:
            sys.stderr.write(f"drill {self._title} {words}\n")
            sys.stderr.flush()

    async def run(self, accepted: Callable[[], int], faults: Callable[[], str]) -> None:
        """Say every EVERY_S how far it is, until cancelled."""
        began, before = self._clock.monotonic(), 0
        while True:
            await self._clock.sleep(EVERY_S)
            passed, now = self._clock.monotonic() - began, accepted()
            rate = (now - before) / EVERY_S
            before = now
            self.say(
                f"{passed:.0f} of {self._seconds:.0f} s: {now:,} decisions heard, "
                f"{rate:,.0f}/s, {faults()}"
            )
