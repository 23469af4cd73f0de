"""How soon a worker decides after its start, and `engine --help` answers."""

import asyncio
import signal
import sys
from statistics import median

import msgspec

from bench.fleet.observed import Commits
from bench.fleet.place import server_with
from bench.fleet.progress import Progress
from bench.fleet.supply import Supply
from engine.clock import SystemClock

__all__ = ["Start", "start"]

LONGEST_S = 30.0


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds from the start of a process; the median, and the least, of several."""

    tries: int
    campaigns: int
    start_s: float  # to the first decision, where the worker before gave everything back
    start_least_s: float
    after_kill_s: float  # where it was killed: its partitions might still be somebody's
    after_kill_least_s: float
    help_s: float
    help_least_s: float


async def start(*, tries: int, campaigns: int, progress: Progress) -> Start:
    """Start a worker, end it in the one way and in the other, and so on."""
    supply, clock = Supply(campaigns), SystemClock()
    found: dict[signal.Signals, list[float]] = {signal.SIGTERM: [], signal.SIGKILL: []}
    helped: list[float] = []
    async with server_with(supply.campaigns(clock.now())) as place:
        before = signal.SIGTERM  # nobody was there: as if it had left
        for number in range(2 * tries):
            progress.share("starting a worker", number, 2 * tries)
            commits = Commits(place)
            async with commits.followed(only_new=True), asyncio.timeout(LONGEST_S):
                began = clock.monotonic()
                await place.start(f"w{number}")
                await commits.first_round()
                found[before].append(clock.monotonic() - began)
                await clock.sleep(0.5)  # all partitions have decided, and no snapshot is under way
            before = signal.SIGKILL if number % 2 == 0 else signal.SIGTERM
            place.send(f"w{number}", before)
            await place.ended(f"w{number}")
        for _ in range(tries):
            began = clock.monotonic()
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "engine.cli", "--help"), stdout=asyncio.subprocess.DEVNULL
            )
            await process.wait()
            helped.append(clock.monotonic() - began)
    given, killed = found[signal.SIGTERM], found[signal.SIGKILL]
    return Start(
        tries=tries,
        campaigns=campaigns,
        start_s=round(median(given), 3),
        start_least_s=round(min(given), 3),
        after_kill_s=round(median(killed), 3),
        after_kill_least_s=round(min(killed), 3),
        help_s=round(median(helped), 3),
        help_least_s=round(min(helped), 3),
    )
