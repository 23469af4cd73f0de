"""A clock that stands still until a test moves it."""

import asyncio
import heapq
import itertools


class ManualClock:
    """Time moves in `advance` only; sleepers wake in the order of their times."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self._now = now
        self._since_start = 0.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._since_start

    def step(self, seconds: float) -> None:
        """Set the time of day forward or back, as NTP does: nobody wakes."""
        self._now += seconds

    def leap(self, seconds: float) -> None:
        """Let time have passed while nobody ran, as when a process is held: sleepers are late."""
        self._move_to(self._since_start + seconds)

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        wake = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._since_start + seconds, next(self._order), wake))
        await wake

    async def advance(self, seconds: float) -> None:
        """Let time pass, waking each sleeper at its time and letting it run until it waits."""
        end = self._since_start + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end + 1e-9:
            at, _, wake = heapq.heappop(self._sleepers)
            if wake.done():  # cancelled: nobody waits any more
                continue
            self._move_to(max(at, self._since_start))
            wake.set_result(None)
            await settle()
        self._move_to(end)
        await settle()

    def _move_to(self, since_start: float) -> None:
        self._now += since_start - self._since_start
        self._since_start = since_start


async def settle(turns: int = 40) -> None:
    """Let every runnable task run until it waits for something."""
    for _ in range(turns):
        await asyncio.sleep(0)
