"""Gives peers and core the same work in turn, holds their answers together, and times them.

Times are the least of a few steps, peer and core taken in turn, so that what else the machine does
falls on both. On one core they are processor time, which does not count waiting for a busy machine.
A peer too slow for so many campaigns is given fewer, and what it took is scaled.
"""

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from bench.peers.work import Peer, Terms, Work

LEAST_STEPS, MOST_STEPS, LONG_ENOUGH_S = 3, 20, 1.0
TOLERANCE = 2e-5
"""How far answers may lie apart, of their size: they are singles."""


FORECAST = ("score_micros", "cpc_micros", "cvr", "confidence")
FIELDS = (*FORECAST, "pacing", "bid_micros")


class Entrant(msgspec.Struct, frozen=True):
    """A peer, before it is made."""

    name: str
    make: Callable[[Work, Terms], Peer]
    slot_bytes: int  # roughly, to know whether it fits
    cores: int = 1
    most_campaigns: int | None = None  # what it took for more is scaled
    weighs: bool = True  # by clicks; else answers are compared where all have the same


class Timing(msgspec.Struct, frozen=True):
    """What one step took, of a peer and of the core in the same run."""

    name: str
    campaigns: int
    cores: int
    ingest_s: float
    decide_s: float
    core_ingest_s: float
    core_decide_s: float
    ran_campaigns: int  # fewer than `campaigns`: the peer's times are scaled

    @property
    def ratio(self) -> float:
        """Return how often the core's step goes into the peer's."""
        core_s = self.core_ingest_s + self.core_decide_s
        return (self.ingest_s + self.decide_s) / core_s


class DisagreementError(Exception):
    """A peer does not answer as the core does: it does other work, so its times say nothing."""


def fill(peer: Peer, work: Work, before: int) -> None:
    """Fill a peer's windows with the newest steps before one, each ring at a place of its own.

    Were all at the same, they would share few sets of the caches, and what the core does once in a
    turn of a ring would fall on one step in 64.
    """
    first = before - 2 * work.window
    for step in range(first, before):
        rows = work.in_order(step)
        peer.ingest(rows[rows["slot"] % work.window <= step - first])
    peer.repeat(work.slots // work.pool)


def compare(
    name: str, found: NDArray[np.void], wanted: NDArray[np.void], *, fields: Sequence[str] = FIELDS
) -> None:
    """Check that a peer's answers are the core's.

    Where two platforms are equally good but for rounding, either may be chosen.

    Raises:
        DisagreementError: with the first field and campaign where they differ.
    """
    is_same = found["best"] == wanted["best"]
    for field in fields:
        matters = is_same | (field == "score_micros")
        gap = np.abs(found[field] - wanted[field])
        # A bid is cut to whole micros, and may be cut on either side of one.
        most = TOLERANCE * np.abs(wanted[field]) + (field == "bid_micros")
        bad = np.flatnonzero(matters & ~(gap <= most))
        if len(bad):
            at = bad[0]
            raise DisagreementError(
                f"{name}: {field} of campaign {at} must be {wanted[field][at]},"
                f" was {found[field][at]}; {len(bad)} of {len(found)} differ"
            )


def agree(entrant: Entrant, core: Entrant, campaigns: int = 100, steps: int = 70) -> None:
    """Check that a peer answers as the core does, on a small part of the work.

    Raises:
        DisagreementError: where it does not.
    """
    work = Work(campaigns=campaigns, clicks=0 if entrant.weighs else 50)
    with ExitStack() as stack:
        peers = [_made(one, work, stack) for one in (entrant, core)]
        for peer in peers:
            fill(peer, work, work.begins)
        for step in range(work.begins, work.begins + steps):
            rows = work.shuffled(step)
            for peer in peers:
                peer.ingest(rows)
        for late in (0, 20):  # at once, and when confidence has fallen with age
            found, wanted = (peer.decide(work.tick(step + late)) for peer in peers)
            compare(entrant.name, found, wanted)


def race(entrants: Sequence[Entrant], core: Entrant, campaigns: int) -> Iterator[Timing | str]:
    """Iterate what each peer took; a line instead where there is no place for one."""
    work = Work(campaigns=campaigns)
    if (short := _short(core, work)) is not None:
        yield short
        return
    step = work.begins
    with ExitStack() as outer:
        own = _made(core, work, outer)
        fill(own, work, step)
        for entrant in entrants:
            part = min(campaigns, entrant.most_campaigns or campaigns)
            lesser = Work(campaigns=part)
            if (short := _short(entrant, lesser)) is not None:
                yield short
                continue
            with ExitStack() as inner:
                peer = _made(entrant, lesser, inner)
                fill(peer, lesser, step)
                best, until = [float("inf")] * 4, time.monotonic() + LONG_ENOUGH_S
                for turn in range(MOST_STEPS):
                    if turn >= LEAST_STEPS and time.monotonic() > until:
                        break
                    taken = [
                        *_step(own, work, step, core.cores),
                        *_step(peer, lesser, step, entrant.cores),
                    ]
                    best = [min(pair) for pair in zip(best, taken, strict=True)]
                    step += 1
                if lesser == work and entrant.weighs:
                    tick = work.tick(step - 1)
                    # Windows are the same; what was spent before the peer's began is not.
                    compare(entrant.name, peer.decide(tick), own.decide(tick), fields=FORECAST)
                del peer
            gc.collect()
            scale = campaigns / part
            yield Timing(
                name=entrant.name,
                campaigns=campaigns,
                cores=entrant.cores,
                ingest_s=best[2] * scale,
                decide_s=best[3] * scale,
                core_ingest_s=best[0],
                core_decide_s=best[1],
                ran_campaigns=part,
            )


def _made(entrant: Entrant, work: Work, stack: ExitStack) -> Peer:
    peer = entrant.make(work, work.terms())
    close = getattr(peer, "close", None)
    if close is not None:
        stack.callback(close)
    return peer


def _step(peer: Peer, work: Work, step: int, cores: int) -> tuple[float, float]:
    """Give a peer a step of work; return what it took to take it in and to decide."""
    rows = work.shuffled(step)
    clock = time.process_time if cores == 1 else time.perf_counter
    begun = clock()
    peer.ingest(rows)
    ingest_s = getattr(peer, "took_s", clock() - begun)
    begun = clock()
    peer.decide(work.tick(step))
    return ingest_s, getattr(peer, "took_s", clock() - begun)


def _short(entrant: Entrant, work: Work) -> str | None:
    """Return a line where there is not enough memory for a peer, its rows and some air."""
    needed = work.slots * (entrant.slot_bytes + 150) + 500_000_000
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except FileNotFoundError:
        return None  # not Linux: nobody to ask
    free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    if needed <= free:
        return None
    return (
        f"{entrant.name} with {work.campaigns:,} campaigns needs {needed / 1e9:.1f} GB,"
        f" {free / 1e9:.1f} are free: left out"
    )
