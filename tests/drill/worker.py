"""A worker of the drill: the shipped one, by a clock that the drill can set wrong.

`python -m drill.worker CLOCK NAME=VALUE…`: CLOCK is a file of eight bytes, how many seconds the
clock is ahead; the rest are settings of a worker.
"""

import mmap
import struct
import sys
from pathlib import Path

from engine.cli.worker import serve
from engine.clock import SystemClock
from engine.wiring import load, run_service, set_up_logs
from engine.worker.settings import WorkerSettings

__all__ = ["SkewedClock", "main", "set_skew"]

_SKEW = struct.Struct("<d")


class SkewedClock(SystemClock):
    """The machine's clock, but the time of day is off by what a file says at that moment."""

    def __init__(self, file: Path) -> None:
        with file.open("rb") as opened:
            self._skew = mmap.mmap(opened.fileno(), _SKEW.size, access=mmap.ACCESS_READ)

    def now(self) -> float:
        seconds: float = _SKEW.unpack_from(self._skew)[0]
        return super().now() + seconds


def set_skew(file: Path, seconds: float) -> None:
    """Write how many seconds the clock of `file` is ahead; made where it is missing."""
    with file.open("r+b" if file.exists() else "w+b") as opened:
        opened.write(_SKEW.pack(seconds))


def main() -> int:
    """Run a worker until it is stopped; return its exit code."""
    clock = SkewedClock(Path(sys.argv[1]))
    flags = dict(argument.split("=", 1) for argument in sys.argv[2:])

    async def start() -> None:
        settings = load(WorkerSettings, flags=flags, environ={})
        set_up_logs(settings.log_level)
        await serve(settings, clock=clock)

    return run_service(start, name="drill worker")


if __name__ == "__main__":
    sys.exit(main())
