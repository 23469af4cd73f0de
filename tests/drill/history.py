"""The chains read back with the times at which the broker stored them, and what follows from them.

Times are the broker's, on the drill's own machine: a worker whose clock is wrong, or a reader that
is late, changes none of them.
"""

import bisect
from array import array
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

import msgspec

from drill.faults import TAKES_OVER, Fault
from engine.clock import Clock
from engine.domain.ids import PARTITIONS
from engine.messaging import subjects, wire
from engine.messaging.jetstream import JetStreamLog
from engine.messaging.link import Link
from engine.messaging.records import Decide, Record, Release, Take, decode_record

__all__ = ["Figures", "History", "Run", "Spread", "Stored", "figures_of", "read_back"]

LONGEST_S = 30.0  # after a fault; what comes later is no consequence of it


class Stored(NamedTuple):
    """A record, where it is, and when the broker stored it (epoch seconds)."""

    sequence: int
    at: float
    record: Record


async def read_back(link: Link, *, clock: Clock) -> AsyncIterator[Stored]:
    """Iterate all records of all chains, in the order of the stream."""
    log = JetStreamLog(
        link=link, clock=clock, stream=subjects.DECISIONS_STREAM, bury=lambda *_: None
    )
    async for sequence, delivery in log.scan([subjects.decisions_subject("*")]):
        found = wire.parse_ack_subject(delivery.reply)
        assert found is not None, delivery.reply
        record = decode_record(delivery.subject, delivery.payload)
        yield Stored(sequence, found.stored_at_ns / 1e9, record)


class History:
    """When rounds were stored, by whom, and who had which partition at a time."""

    def __init__(self) -> None:
        self.decided_at = array("d")  # of every round, in the order of the stream
        self.decided = array("q")  # decisions of that round
        self._rounds: dict[int, list[tuple[float, str]]] = defaultdict(list)
        self._due_ms: dict[int, array[int]] = defaultdict(lambda: array("q"))  # of those rounds
        self._owners: dict[int, list[tuple[float, str]]] = defaultdict(list)

    def add(self, stored: Stored) -> None:
        """Take the next record."""
        record = stored.record
        if isinstance(record, Take):
            self._owners[record.partition].append((stored.at, record.owner))
        elif isinstance(record, Release):
            self._owners[record.partition].append((stored.at, ""))
        elif isinstance(record, Decide):
            self.decided_at.append(stored.at)
            self.decided.append(record.decided)
            self._rounds[record.partition].append((stored.at, record.owner))
            self._due_ms[record.partition].append(record.at_ms)

    @property
    def rounds(self) -> int:
        return len(self.decided_at)

    def owner(self, partition: int, at: float) -> str:
        """Return who had a partition at a time; "" for nobody."""
        owners = self._owners[partition]
        place = bisect.bisect_left(owners, (at, ""))
        return owners[place - 1][1] if place else ""

    def failovers(self, fault: Fault) -> list[float]:
        """Return the seconds from a fault to the next owner's round, for each partition it hit.

        Those that the same worker went on with before anybody took them are left out.
        """
        found = []
        for partition in range(PARTITIONS):
            if self.owner(partition, fault.at) != fault.target:
                continue
            seconds = self._until_another(partition, fault)
            if seconds is not None:
                found.append(seconds)
        return found

    def back(self, since: float) -> list[float]:
        """Return the seconds until each partition's next round."""
        found = []
        for rounds in self._rounds.values():
            place = bisect.bisect_right(rounds, (since, "~"))
            if place < len(rounds) and rounds[place][0] - since < LONGEST_S:
                found.append(rounds[place][0] - since)
        return found

    def skipped(self, fault: Fault, *, interval_s: float) -> int:
        """Return how many rounds were due during a fault, and were not decided."""
        count = 0
        for partition, rounds in self._rounds.items():
            first = max(1, bisect.bisect_right(rounds, (fault.at, "~")))
            last = bisect.bisect_right(rounds, (fault.over_at, "~"))
            due_ms = self._due_ms[partition][first - 1 : last]
            for one, other in pairwise(due_ms):
                count += max(0, round((other - one) / (1000 * interval_s)) - 1)
        return count

    def _until_another(self, partition: int, fault: Fault) -> float | None:
        rounds = self._rounds[partition]
        until = fault.over_at + 1.0  # a worker that is back may have been judged just before
        for at, owner in rounds[bisect.bisect_right(rounds, (fault.at, "~")) :]:
            if owner != fault.target:
                return at - fault.at
            if at > until:
                return None
        return None


class Spread(msgspec.Struct, frozen=True):
    """How long something took, in seconds, over the partitions it happened to."""

    partitions: int
    p50_s: float
    p90_s: float
    max_s: float


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """How long things took, in seconds; None where nothing of the kind happened."""

    failover_p50_s: float | None
    failover_max_s: float | None
    failover_by_kind: dict[str, Spread]
    broker_back_p50_s: float | None  # one server, restarted
    broker_back_max_s: float | None
    server_lost_p50_s: float | None  # one of a cluster, from its death: another leader's election
    server_lost_max_s: float | None
    rolling_restarts: int
    rolling_skipped_rounds: int  # due while workers were restarted in turn, and not decided


class Run(NamedTuple):
    """What the figures are of."""

    servers: int
    interval_s: float
    history: History
    faults: Sequence[Fault]


def figures_of(runs: Sequence[Run]) -> Figures:
    """Return the figures over some runs.

    A worker that is told to stop gives its partitions back: its hand-overs stand by kind only.
    """
    by_kind: dict[str, list[float]] = defaultdict(list)
    back: list[float] = []
    lost: list[float] = []
    skipped: list[int] = []
    for servers, interval_s, history, faults in runs:
        for fault in faults:
            if fault.kind in TAKES_OVER:
                by_kind[fault.kind] += history.failovers(fault)
            elif fault.kind == "rolling_restart":
                skipped.append(history.skipped(fault, interval_s=interval_s))
            elif fault.kind == "broker_kill" and servers == 1:
                back += history.back(fault.over_at)
            elif fault.kind == "broker_kill":
                lost += history.back(fault.at)
    crashes = [one for kind, found in by_kind.items() if kind != "worker_term" for one in found]
    failover, returned, replaced = (_ends(_spread(found)) for found in (crashes, back, lost))
    spreads = ((kind, _spread(found)) for kind, found in sorted(by_kind.items()))
    return Figures(
        failover_p50_s=failover[0],
        failover_max_s=failover[1],
        failover_by_kind={kind: spread for kind, spread in spreads if spread is not None},
        broker_back_p50_s=returned[0],
        broker_back_max_s=returned[1],
        server_lost_p50_s=replaced[0],
        server_lost_max_s=replaced[1],
        rolling_restarts=len(skipped),
        rolling_skipped_rounds=sum(skipped),
    )


def _ends(spread: Spread | None) -> tuple[float | None, float | None]:
    return (None, None) if spread is None else (spread.p50_s, spread.max_s)


def _spread(found: list[float]) -> Spread | None:
    if not found:
        return None
    ordered = sorted(found)
    nine_of_ten = ordered[min(len(ordered) - 1, 9 * len(ordered) // 10)]
    middle, most = round(median(ordered), 3), round(ordered[-1], 3)
    return Spread(len(ordered), middle, round(nine_of_ten, 3), most)
