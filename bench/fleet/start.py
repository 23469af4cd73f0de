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
from engine.clock import Clock, SystemClock

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
    imports_s: float  # the floor of a start: what a worker consists of, imported
    imports_least_s: float
    help_s: float
    help_least_s: float
    python_s: float  # the floor of `engine --help`: an interpreter that does nothing
    python_least_s: float


async def start(*, tries: int, campaigns: int, progress: Progress) -> Start:
    """Start a worker, end it in the one way and in the other, and so on."""
    supply, clock = Supply(campaigns), SystemClock()
    given: list[float] = []
    killed: list[float] = []
    bare: dict[str, list[float]] = {name: [] for name in _BARE}
    async with server_with(supply.campaigns(clock.now())) as place:
        for number in range(2 * tries):
            found, end = (given, signal.SIGKILL) if number % 2 == 0 else (killed, signal.SIGTERM)
            progress.share("starting a worker", number, 2 * tries)
            commits = Commits(place)
            async with commits.followed(only_new=True), asyncio.timeout(LONGEST_S):
                began = clock.monotonic()
                await place.start(f"w{number}")
                await commits.first_round()
                found.append(clock.monotonic() - began)
                await clock.sleep(0.5)  # all partitions have decided, and no snapshot is under way
            place.send(f"w{number}", end)
            await place.ended(f"w{number}")
            for name, arguments in _BARE.items():
                bare[name].append(await _took(clock, arguments))
    return Start(
        tries=tries,
        campaigns=campaigns,
        start_s=round(median(given), 3),
        start_least_s=round(min(given), 3),
        after_kill_s=round(median(killed), 3),
        after_kill_least_s=round(min(killed), 3),
        imports_s=round(median(bare["imports"]), 3),
        imports_least_s=round(min(bare["imports"]), 3),
        help_s=round(median(bare["help"]), 3),
        help_least_s=round(min(bare["help"]), 3),
        python_s=round(median(bare["python"]), 3),
        python_least_s=round(min(bare["python"]), 3),
    )


_BARE = {
    "imports": ("-c", "import engine.cli.worker, engine.worker.partition"),
    "help": ("-m", "engine.cli", "--help"),
    "python": ("-c", ""),
}


async def _took(clock: Clock, arguments: tuple[str, ...]) -> float:
    began = clock.monotonic()
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdout=asyncio.subprocess.DEVNULL
    )
    await process.wait()
    return clock.monotonic() - began
