"""What a process has used so far, as the kernel counts it."""

import os
from pathlib import Path
from typing import NamedTuple

__all__ = ["Used", "used_by"]

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Used(NamedTuple):
    """Of one process: all its threads, its children left out."""

    cpu_s: float  # user and system, in steps of a hundredth
    resident_mb: float


def used_by(pid: int) -> Used:
    """Return what a living process has used. Raises FileNotFoundError where there is none."""
    # The name is in parentheses and may hold anything; utime and stime are the 14th and 15th.
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1])
    return Used(
        cpu_s=(int(fields[11]) + int(fields[12])) / TICKS_A_SECOND,
        resident_mb=pages * PAGE_BYTES / 2**20,
    )
